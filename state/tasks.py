"""What each kind of job does, by calling the engine.

Parameters, all optional (``params`` of :meth:`state.jobs.Jobs.submit`):

- ``preprocess``: config (PreprocessConfig), columns (wave, label, patient; of all files, or by file id), files (ids),
  pictures (bool)
- ``train``: config (TrainConfig), runs (ids of preprocessing runs; the newest by default)
- ``retrain``: as train; by default with the current model's settings, and compared with it
- ``predict``: model (id; the current one by default), run (id of a preprocessing run), config (PredictConfig)
- ``alerts``: run (id of a prediction run), config (AlertConfig)
"""

from __future__ import annotations

import shutil
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from ecg_engine.alerts import find_patterns, save_patterns
from ecg_engine.artifacts import load_run, save_json, save_run
from ecg_engine.bundle import BUNDLE_FILE, Bundle
from ecg_engine.config import AlertConfig, PreprocessConfig, TrainConfig
from ecg_engine.datasets import TrainingData, combine, training_data
from ecg_engine.errors import EngineError
from ecg_engine.heldout import compare
from ecg_engine.labels import label_id
from ecg_engine.mining import mine_candidates
from ecg_engine.peak_edits import DELETED
from ecg_engine.prediction import BEATS_FILE, save_prediction
from ecg_engine.prediction import predict as predict_beats
from ecg_engine.preprocess import PEAK_EDITS_KEY, Run
from ecg_engine.preprocess import preprocess as preprocess_strips
from ecg_engine.progress import part
from ecg_engine.strips import Columns, Strips, read_strips
from ecg_engine.training import SUMMARY_FILE
from ecg_engine.training import train as train_model
from ecg_engine.windows import context_windows
from state.anchors import FILE_LABELS_KEY
from state.deciding import Decision
from state.effective import Effective, effective_labels
from state.errors import StoreError
from state.models import ModelRow
from state.peaks import peak_edits
from state.runs import PREDICT, PREPROCESS, RunRow
from state.targets import STRIP, parse_target
from state.work import NewModel, Outcome, Task, Work

INPUT = "input"
"""Folder, within the job's own, where the source files lie under their names while they are read."""


def preprocess(work: Work) -> Outcome:
    """From the study's files to a preprocessing run, with what readers decided on strips, seeds and R-peaks."""
    store, study = work.store, work.store.studies.get(work.job.study_id)
    config = PreprocessConfig.from_dict({"units_per_mv": study.units_per_mv, **_asked(work, "config")})
    wanted = work.params.get("files")
    files = [file for file in store.files.all(study.id) if wanted is None or file.id in wanted]
    if not files:
        raise StoreError("This study has no files yet. Bring at least one spreadsheet, CSV file or WFDB record.")
    shutil.rmtree(work.folder / INPUT, ignore_errors=True)
    laid_out = store.files.laid_out(files, work.folder / INPUT)
    strips = read_strips(
        list(laid_out.values()),
        config,
        columns=_columns(work.params.get("columns"), laid_out),
        progress=part(work.progress, 0.0, 0.3),
    )
    shutil.rmtree(work.folder / INPUT)
    decisions = work.store.decisions.active(study.id, stored_until=work.decisions_until)
    strips, file_labels = _decided_labels(decisions, strips)
    peaks = peak_edits(decisions)
    run = preprocess_strips(strips, config, peaks=peaks, progress=part(work.progress, 0.3, 0.85))
    run = replace(run, summary={**run.summary, FILE_LABELS_KEY: file_labels})
    effective = effective_labels(run, decisions, run_id=work.job.run_id)
    if len(effective.seeds):
        mined = mine_candidates(effective.seeds, run.metadata, run.features, config)
        dropped = mined.dropped.astype(str).to_dict("records")
        summary = {**run.summary, "seed_mining_enabled": True, "seeds_dropped": dropped}
        run = replace(run, candidates=mined.candidates, summary=summary)
    save_run(run, work.folder, pictures=work.params.get("pictures", True), progress=part(work.progress, 0.85, 1.0))
    summary = {**run.summary, "decisions_unmatched": len(effective.unmatched)}
    if PEAK_EDITS_KEY in summary:  # strip by strip it is told in the run's folder
        summary[PEAK_EDITS_KEY] = {**summary[PEAK_EDITS_KEY], "strips": len(summary[PEAK_EDITS_KEY]["strips"])}
    return Outcome(config=config.to_dict(), summary=summary, files=[file.id for file in files])


def _columns(asked: Mapping[str, Any] | None, laid_out: Mapping[str, Path]) -> Columns | dict[str, Columns] | None:
    """Column names to use: the same in all files, or by file."""
    if not asked:
        return None
    if set(asked) <= set(Columns._fields):
        return Columns(**asked)
    return {str(laid_out[id]): Columns(**names) for id, names in asked.items() if id in laid_out}


def _decided_labels(decisions: Sequence[Decision], strips: Strips) -> tuple[Strips, dict[str, int]]:
    """Strips under the labels that readers gave them, and the file's labels of those that changed."""
    decided: dict[str, int | None] = {}
    for decision in decisions:
        target = parse_target(decision.target)
        if target.kind == STRIP and decision.field == "label":
            decided[target.name] = None if decision.new is None else label_id(decision.new)
    labels, kept = strips.label.copy(), {}
    for place, name in enumerate(strips.strip_hash):
        label = decided.get(name)
        if label is not None and label != labels[place]:
            kept[str(name)] = int(labels[place])
            labels[place] = label
    return replace(strips, label=labels), kept


def train(work: Work) -> Outcome:
    """Train on the effective labels of one or more preprocessing runs; the model joins the study's list."""
    return _train(work, TrainConfig.from_dict(_asked(work, "config")), None)


def retrain(work: Work) -> Outcome:
    """Train on what readers have decided by now, and judge the new model beside the current one.

    The new model holds out the patients that the current one held out, so that neither has seen them.
    """
    current = work.store.models.current(work.job.study_id)
    if current is None:
        return train(work)
    bundle = work.store.models.open(current)
    config = TrainConfig.from_dict({**bundle.train.to_dict(), **_asked(work, "config")})
    return _train(work, config, (current, bundle))


def _train(work: Work, config: TrainConfig, current: tuple[ModelRow, Bundle] | None) -> Outcome:
    runs = _runs(work)
    datasets = []
    for row in runs:
        run = load_run(work.store.runs.path(row))
        effective = _effective(work, run, row.id)
        name = ", ".join(run.summary.get("files", ())) or row.id
        datasets.append(_training_data(run, effective, f"{name} ({row.id})"))
    history: list[dict[str, Any]] = list(work.detail.get("history", ())) if work.resume else []

    def on_epoch(epoch: Mapping[str, Any]) -> None:
        # An epoch that was told but not saved before an interruption comes again.
        history[:] = [known for known in history if known["epoch"] < epoch["epoch"]] + [dict(epoch)]
        work.tell(history=list(history))

    work.tell(epochs=config.epochs)
    result = train_model(
        datasets,
        config,
        on_epoch=on_epoch,
        progress=part(work.progress, 0.0, 0.97),
        out_dir=work.folder,
        resume=work.resume,
        hold_out=current[1].metrics.get("patients_val") if current else None,
    )
    # The checkpoint's path is told by name: the folder moves once the work is done.
    summary = {**result.summary, "model_path": str(result.summary["model_path"]).rpartition("/")[2]}
    save_json(summary, work.folder / SUMMARY_FILE)
    (work.folder / "training_state.pt").unlink(missing_ok=True)
    comparison = _comparison(work, result.bundle, current, datasets) if current else None
    return Outcome(
        config=config.to_dict(),
        summary=summary,
        parents=[row.id for row in runs],
        model=NewModel(config.model, BUNDLE_FILE, result.bundle.metrics, comparison),
    )


def _training_data(run: Run, effective: Effective, name: str) -> TrainingData:
    return training_data(
        run,
        labels=effective.labels,
        noise_flags=effective.noise_flags,
        source=effective.source,
        deleted=effective.deleted,
        name=name,
    )


def _comparison(
    work: Work, candidate: Bundle, current: tuple[ModelRow, Bundle], datasets: list[TrainingData]
) -> dict[str, Any]:
    row, bundle = current
    work.progress("comparing with the current model", 0.98)
    named = {"current_model": row.id, "current_name": row.name}
    try:
        return {**named, **compare(candidate, bundle, combine(datasets))}
    except EngineError as error:  # the new model is good all the same: say why there is no comparison
        return {**named, "notes": [str(error)]}


def predict(work: Work) -> Outcome:
    """Let a model read a preprocessing run. Beats that a reader called valid after all are read, too."""
    store, study_id = work.store, work.job.study_id
    wanted = work.params.get("model")
    model = store.models.get(wanted) if wanted else store.models.current(study_id)
    if model is None:
        raise StoreError("This study has no model yet. Train one first.")
    (row,) = _runs(work)
    bundle = store.models.open(model)
    config = replace(bundle.predict, **_asked(work, "config"))
    work.progress("opening the run", 0.02)
    run = load_run(store.runs.path(row))
    effective = _effective(work, run, row.id)
    said = _training_data(run, effective, row.id).parts
    run = _with_flags(run, effective)
    prediction = predict_beats(
        bundle, run, config, said=said[0] if said else None, progress=part(work.progress, 0.05, 0.95)
    )
    save_prediction(prediction, work.folder)
    return Outcome(
        config={**config.to_dict(), "model": model.id},
        summary={**prediction.summary, "model_id": model.id, "model_name": model.name},
        parents=[row.id, model.run_id],
    )


def _with_flags(run: Run, effective: Effective) -> Run:
    flags = effective.noise_flags
    if np.array_equal(flags, run.noise_flags):
        return run
    metadata = run.metadata.copy()
    metadata["noise_flag"] = flags
    reasons = np.where(flags == 1, metadata["noise_reason"], "")
    metadata["noise_reason"] = np.where(effective.deleted, DELETED, reasons)
    windows = context_windows(run.metadata["source_row"].to_numpy(), flags == 0, run.config.context_radius)
    return replace(run, metadata=metadata, noise_flags=flags, windows=windows)


def alerts(work: Work) -> Outcome:
    """Group the beats under review of a prediction: is something new turning up?"""
    from ecg_engine.pictures import draw_pattern_pictures

    store, study_id = work.store, work.job.study_id
    wanted = work.params.get("run")
    row = _run_of_kind(work, wanted, PREDICT) if wanted else store.runs.newest(study_id, PREDICT)
    if row is None:
        raise StoreError("Nothing has been predicted in this study yet. Run a model on it first.")
    source = next(run for run in map(store.runs.get, row.parents) if run.kind == PREPROCESS)
    config = AlertConfig.from_dict(_asked(work, "config"))
    work.progress("reading the predictions", 0.05)
    beats = pd.read_csv(store.runs.path(row) / BEATS_FILE)
    run = load_run(store.runs.path(source))
    work.progress("grouping the beats under review", 0.2)
    ids = run.metadata["beat_global_id"].to_numpy()
    patterns = find_patterns(beats, run.features, run.beats, config, beat_ids=ids)
    work.progress("drawing pictures", 0.8)
    save_patterns(patterns, work.folder)
    draw_pattern_pictures(patterns, run.fs, work.folder, pre_sec=run.config.pre_sec)
    return Outcome(
        config=config.to_dict(),
        summary=patterns.summary,
        parents=[row.id, source.id],
        alerts=[_cluster(cluster) for cluster in patterns.clusters.to_dict("records")],
    )


def _cluster(row: Mapping[Any, Any]) -> dict[str, Any]:
    return {
        "cluster_id": int(row["cluster_id"]),
        "size": int(row["size"]),
        "size_ratio": float(row["size_ratio"]),
        "alert": bool(row["alert_flag"]),
        "example_beats": [int(beat) for beat in str(row["example_beat_ids"]).split(",")],
    }


def _asked(work: Work, name: str) -> dict[str, Any]:
    return dict(work.params.get(name) or {})


def _effective(work: Work, run: Run, run_id: str) -> Effective:
    decisions = work.store.decisions.active(work.job.study_id, stored_until=work.decisions_until)
    return effective_labels(run, decisions, run_id=run_id)


def _runs(work: Work) -> list[RunRow]:
    """Preprocessing runs that were asked for (``runs`` or ``run``), else the study's newest."""
    wanted = list(work.params.get("runs") or ([work.params["run"]] if work.params.get("run") else []))
    if wanted:
        return [_run_of_kind(work, run_id, PREPROCESS) for run_id in wanted]
    newest = work.store.runs.newest(work.job.study_id, PREPROCESS)
    if newest is None:
        raise StoreError("This study has not been preprocessed yet. Do that first.")
    return [newest]


def _run_of_kind(work: Work, run_id: str, kind: str) -> RunRow:
    row = work.store.runs.get(run_id)
    if row.kind != kind or not row.done:
        raise StoreError(f"The run {run_id} is a {row.kind} run that is {row.status}; a finished {kind} run is needed.")
    return row


_ALL: tuple[Callable[[Work], Outcome], ...] = (preprocess, train, retrain, predict, alerts)
TASKS: Mapping[str, Task] = {task.__name__: task for task in _ALL}
