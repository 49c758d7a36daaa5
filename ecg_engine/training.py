"""Training a model from preprocessed data sets: split, bank, loop, report, bundle (spec section 8)."""

from __future__ import annotations

import json
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import torch
from numpy.typing import NDArray

from ecg_engine.bank import PrototypeBank, build_bank
from ecg_engine.bundle import BUNDLE_FILE, Bundle
from ecg_engine.config import ARRHYTHMIA, TrainConfig
from ecg_engine.datasets import TrainingData, combine, data_hash
from ecg_engine.errors import InputError
from ecg_engine.evaluation import aami_report, calibration_error, class_report, confusion, fit_temperature, softmax
from ecg_engine.files import atomic_write, plain
from ecg_engine.fitting import HISTORY_FILE, Fit, OnEpoch, Problem, fit
from ecg_engine.inference import pick_device
from ecg_engine.labels import NOISE, UNLABELLED, label_name
from ecg_engine.progress import Progress, silent
from ecg_engine.split import Split, split_windows

CHECKPOINTS = {"hybrid": "best_hybrid_v2.pt", "context": "best_context_model.pt"}
SUMMARY_FILE = "training_summary_v2.json"


@dataclass(frozen=True)
class TrainingResult:
    """A trained model and how it came about."""

    bundle: Bundle
    history: pd.DataFrame
    """One row an epoch: epoch, train_loss, val_loss, class_acc, gate_acc, score, seconds, windows_per_sec, best."""
    summary: dict[str, Any]
    """training_summary_v2.json."""


def train(
    datasets: Sequence[TrainingData],
    config: TrainConfig | None = None,
    *,
    device: str | torch.device | None = None,
    on_epoch: OnEpoch | None = None,
    progress: Progress = silent,
    out_dir: str | Path | None = None,
    resume: bool = False,
    hold_out: Collection[str] | None = None,
    batching: str = "stretches",
) -> TrainingResult:
    """Train a model in the config's profile.

    Parameters
    ----------
    datasets : sequence of TrainingData
        They train together; beat length, window size and sampling rate must agree.
    config : TrainConfig, optional
    device : str, optional
        By default a GPU if there is one.
    on_epoch : callable, optional
        Called after each epoch with its row of the history as a dict.
    progress : Progress
        May raise ``Cancelled``; with ``out_dir``, the last full epoch is kept.
    out_dir : path, optional
        Gets the checkpoint (best_hybrid_v2.pt or best_context_model.pt), model_bundle.pt, training_summary_v2.json,
        training_history.csv and training_state.pt.
    resume : bool
        Go on from ``training_state.pt`` in ``out_dir``, if there is one. More ``epochs`` than before are welcome;
        other data or settings are refused.
    hold_out : collection of str, optional
        Patients to hold out, such as ``current.metrics["patients_val"]``: a candidate is then judged on the patients
        that the current model has not seen either.
    batching : {"stretches", "strips", "windows", "scripts"}
        For comparisons, see :data:`ecg_engine.fitting.BATCHINGS`. Like ``resume``, of the reference profile alone: a
        training of the arrhythmia profile takes a minute or two, and begins anew.

    Raises
    ------
    InputError
        If there is too little to train on, or the data sets do not fit together, or are of another profile.
    ConfigError, BundleError
        If the training to resume was another one, or its state is damaged.
    """
    config = config or TrainConfig()
    folder = Path(out_dir) if out_dir is not None else None
    progress("reading the training data", 0.0)
    data = combine(datasets)
    if config.profile == ARRHYTHMIA:
        return _train_arrhythmia(data, config, device, on_epoch, progress, folder, hold_out)
    least = NOISE if config.model == "hybrid" else 0
    rows = np.flatnonzero(data.window_labels >= least)
    classes = _classes(data, rows)
    _check_samples(data)
    split = _split(data, rows, config, hold_out)
    bank = _bank(data, rows, split, config)
    where = pick_device(device)
    problem = _problem(data, rows, classes, bank, split, where)
    digest = data_hash(data)
    fingerprint = {key: value for key, value in config.to_dict().items() if key != "epochs"}
    fingerprint |= {"data": digest, "held-out patients": split.groups_val, "batching": batching}
    fitted = fit(
        problem,
        config,
        fingerprint=fingerprint,
        batching=batching,
        on_epoch=on_epoch,
        progress=progress,
        folder=folder,
        resume=resume,
    )
    summary = _summary(data, rows, classes, bank, split, config, fitted)
    summary |= {"data_hash": digest, "device": str(where), "batching": batching}
    name = CHECKPOINTS[config.model]
    summary["model_path"] = name if folder is None else str(folder / name)
    bundle = Bundle(
        state_dict=fitted.best,
        model=config.model,
        classes=tuple(classes.tolist()),
        bank=bank,
        fs=data.fs,
        beat_len=data.beat_len,
        window_size=data.window_size,
        preprocess=data.config,
        train=config,
        data_hash=digest,
        metrics={key: value for key, value in plain(summary).items() if key != "model_path"},
    )
    if folder is not None:
        atomic_write(folder / name, lambda path: torch.save(fitted.best, path))
    _save(bundle, summary, None, folder)
    progress("model trained", 1.0)
    return TrainingResult(bundle, fitted.history, summary)


def _train_arrhythmia(
    data: TrainingData,
    config: TrainConfig,
    device: str | torch.device | None,
    on_epoch: OnEpoch | None,
    progress: Progress,
    folder: Path | None,
    hold_out: Collection[str] | None,
) -> TrainingResult:
    from ecg_engine.arrhythmia.training import learn_arrhythmia

    where = pick_device(device)
    learned = learn_arrhythmia(data, config, device=where, on_epoch=on_epoch, progress=progress, hold_out=hold_out)
    split, beats = learned.split, learned.model.beats
    notes = list(split.notes)
    if learned.model.known is None:
        notes.append("There are too few patients to say what is usual, so no strip is sent to review as unknown.")
    summary = {
        **learned.figures,
        "profile": config.profile,
        "model": config.model,
        "num_samples": len(data.labels),
        "num_strips": sum(len(part.strip_labels) for part in data.parts),
        "num_known_beats": sum(int(np.sum(part.known != UNLABELLED)) for part in data.parts),
        "num_classes_non_noise": len(beats.labels),
        "num_prototypes_used": 0 if beats.bank is None else len(beats.bank),
        "beat_classes": dict(zip(beats.names, beats.labels, strict=True)),
        "epochs": len(learned.history),
        "split": split.kind,
        "patients_train": list(split.groups_train),
        "patients_val": list(split.groups_val),
        "classes_not_in_both_parts": split.parted,
        "notes": notes,
        "data_hash": data_hash(data),
        "device": str(where),
        "model_path": BUNDLE_FILE if folder is None else str(folder / BUNDLE_FILE),
    }
    bundle = Bundle(
        state_dict={},
        model=config.model,
        classes=beats.labels,
        bank=None,
        fs=data.fs,
        beat_len=data.beat_len,
        window_size=data.window_size,
        preprocess=data.config,
        train=config,
        data_hash=summary["data_hash"],
        metrics={key: value for key, value in plain(summary).items() if key != "model_path"},
        arrhythmia=learned.model,
    )
    _save(bundle, summary, learned.history, folder)
    progress("model trained", 1.0)
    return TrainingResult(bundle, learned.history, summary)


def _save(bundle: Bundle, summary: dict[str, Any], history: pd.DataFrame | None, folder: Path | None) -> None:
    if folder is None:
        return
    bundle.save(folder / BUNDLE_FILE)
    if history is not None:
        atomic_write(folder / HISTORY_FILE, lambda path: history.to_csv(path, index=False))
    text = json.dumps(plain(summary), indent=2, allow_nan=False)
    atomic_write(folder / SUMMARY_FILE, lambda path: path.write_text(text, encoding="utf-8"))


def _classes(data: TrainingData, rows: NDArray[np.int64]) -> NDArray[np.int64]:
    labels = data.window_labels[rows]
    classes = np.unique(labels[labels >= 0]).astype(np.int64)
    if len(classes) >= 2:
        return classes
    what = "no usable beat has a label"
    if len(classes):
        what = f"every labelled usable beat is {label_name(int(classes[0]))}"
    raise InputError(
        f"{what}, so there is nothing to tell apart",
        where="training data",
        remedy="Label beats or strips of at least two kinds, or add a data set that has them.",
    )


def _check_samples(data: TrainingData) -> None:
    whole = np.isfinite(data.beats).all(axis=1)
    if not whole.all():
        raise InputError(
            f"{int((~whole).sum())} beats hold samples that are no numbers, the first is beat {int(np.argmin(whole))}",
            where="training data",
            remedy="Preprocess the strips again.",
        )


def _split(data: TrainingData, rows: NDArray[np.int64], config: TrainConfig, hold_out: Collection[str] | None) -> Split:
    centre = data.windows.centre[rows]
    return split_windows(
        data.labels[centre],
        data.patient_group[centre],
        data.strip[centre],
        kind=config.split,
        val_split=config.val_split,
        seed=config.seed,
        hold_out=hold_out,
    )


def _bank(data: TrainingData, rows: NDArray[np.int64], split: Split, config: TrainConfig) -> PrototypeBank | None:
    if config.model != "hybrid":
        return None
    members = ~data.noise
    # unlabelled beats of training patients are members too; a beat-wise split keeps all, as the scripts did
    if split.kind != "beat":
        group = data.patient_group if split.kind == "patient" else data.strip
        members &= ~np.isin(group.astype(str), split.groups_val)
    return build_bank(data.beats, data.labels, data.cluster_ids, members, config)


def _problem(
    data: TrainingData,
    rows: NDArray[np.int64],
    classes: NDArray[np.int64],
    bank: PrototypeBank | None,
    split: Split,
    device: torch.device,
) -> Problem:
    centre = data.windows.centre[rows]
    labels = data.labels[centre]
    target = np.where(labels >= 0, np.searchsorted(classes, labels), NOISE)
    proto = None if bank is None else torch.from_numpy(bank.features(data.beats[centre])).to(device)
    _, strip = np.unique(data.strip[centre].astype(str), return_inverse=True)
    return Problem(
        beats=torch.from_numpy(np.array(data.beats, dtype=np.float32)).to(device),
        windows=torch.from_numpy(data.windows.beat[rows].astype(np.int64)).to(device),
        proto=proto,
        target=torch.from_numpy(target.astype(np.int64)).to(device),
        strip=torch.from_numpy(strip.astype(np.int64)),
        train=torch.from_numpy(split.train).to(device),
        val=torch.from_numpy(split.val).to(device),
        num_classes=len(classes),
    )


def _summary(
    data: TrainingData,
    rows: NDArray[np.int64],
    classes: NDArray[np.int64],
    bank: PrototypeBank | None,
    split: Split,
    config: TrainConfig,
    fitted: Fit,
) -> dict[str, Any]:
    """The scripts' keys first, then ours; all figures are those of the saved checkpoint on the held-out part."""
    from sklearn.metrics import classification_report

    labels = data.window_labels[rows]
    true = labels[split.val]
    guess = classes[fitted.val_logits.argmax(axis=1)]
    known = true >= 0
    where = np.searchsorted(classes, true[known])
    names = [str(value) for value in classes]
    report: dict[str, Any] = {}
    if known.any():
        report = classification_report(
            true[known], guess[known], labels=classes, target_names=names, output_dict=True, zero_division=0
        )
    logits = fitted.val_logits[known]
    temperature = fit_temperature(logits, where)
    calibration = {"temperature": temperature}
    for name, value in (("before", 1.0), ("after", temperature)):
        p = softmax(logits, value)
        calibration[f"ece_{name}"] = calibration_error(p.max(axis=1, initial=0.0), p.argmax(axis=1) == where)
    history = fitted.history
    unlabelled = int(np.sum(data.window_labels == UNLABELLED))
    notes = list(split.notes)
    if unlabelled:
        notes.append(f"{unlabelled} unlabelled beats were neither trained on nor held out.")
    if not known.any():
        notes.append("No held-out beat has a class, so there are no figures on classes.")
    if bank is not None and not len(bank):
        notes.append("No prototype is large and pure enough, so the model knows no prototypes.")
    return {
        "best_score": fitted.best_score,
        "num_samples": len(rows),
        "num_classes_non_noise": len(classes),
        "raw_class_values": classes.tolist(),
        "num_prototypes_used": 0 if bank is None else len(bank),
        "proto_feature_dim": 0 if bank is None else bank.feature_dim,
        "model_path": "",
        "use_class_weights": config.use_class_weights,
        "confusion_matrix_non_noise": confusion(true[known], guess[known], classes.tolist()).tolist(),
        "classification_report_non_noise": report,
        "model": config.model,
        "best_epoch": fitted.best_epoch,
        "epochs": len(history),
        "class_acc": float(np.mean(guess[known] == true[known])) if known.any() else None,
        "gate_acc": None if fitted.val_gate is None else float(np.mean((fitted.val_gate > 0) == ~known)),
        "split": split.kind,
        "patients_train": list(split.groups_train),
        "patients_val": list(split.groups_val),
        "windows_train": len(split.train),
        "windows_val": len(split.val),
        "classes_not_in_both_parts": split.parted,
        "class_report": class_report(true[known], guess[known], classes.tolist()).to_dict("records"),
        "aami_report": aami_report(true[known], guess[known]).to_dict("records"),
        "calibration": calibration,
        "seconds": float(history["seconds"].sum()),
        "windows_per_sec": float(history["windows_per_sec"].median()),
        "notes": notes,
    }
