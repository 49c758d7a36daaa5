"""The work itself, with the real engine on simulated strips: what each kind of job makes of files and decisions."""

from __future__ import annotations

import shutil
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import torch
from sqlalchemy import update

from ecg_engine.artifacts import load_run
from ecg_engine.bundle import load
from ecg_engine.errors import Cancelled, EngineError
from ecg_engine.labels import NOISE
from ecg_engine.simulate import simulate_strips
from state import demo, schema
from state.anchors import beat_index, members_payload
from state.db import connect, migrate, writing
from state.decisions import Decision, decide
from state.effective import effective_labels, out_of_date
from state.errors import StoreError
from state.results import keep
from state.runs import RunRow
from state.seeding import target_of
from state.store import Store
from state.strip_beats import strip_beats
from state.studies import Study
from state.targets import beat_target, prototype_target, strip_target
from state.tasks import TASKS
from state.work import Work
from state.worker import RUN_KINDS

PVC = 2
CONFIG = {"epochs": 2, "min_proto_size": 5, "min_proto_purity": 0.5}


def _do(store: Store, study: Study, kind: str, params: Mapping[str, Any] | None = None) -> RunRow:
    """A job's work in this process."""
    with writing(store.engine) as connection:
        job_id = store.jobs.enter(connection, study.id, kind, params or {})
    assert store.jobs.claim(job_id)
    job = store.jobs.get(job_id)
    part = store.folder / "runs" / f"{job.run_id}.part"
    part.mkdir(parents=True)
    until = store.runs.start(job.run_id, study.id, RUN_KINDS.get(kind, kind))
    work = Work(store, job, part, False, until)
    try:
        outcome = TASKS[kind](work)
    except BaseException:
        store.jobs.end(job_id, "failed")
        raise
    keep(store, job, part, outcome, work.detail)
    return store.runs.get(job.run_id)


def _strips() -> bytes:
    made = simulate_strips(n_per_label={NOISE: 3, 0: 12, PVC: 12}, n_patients=6, seed=3).strips
    return made.to_csv(index=False).encode()


@pytest.fixture(scope="module", autouse=True)
def one_thread() -> Iterator[None]:
    """Nets this small only lose by a second thread, and on a busy machine they lose a lot."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


@pytest.fixture(scope="module")
def preprocessed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Data folder of a store whose study is preprocessed and has a model."""
    folder = tmp_path_factory.mktemp("tasks")
    store = _open(folder)
    study = store.studies.create("Ward 3")
    store.files.add(study.id, "a.csv", _strips())
    _do(store, study, "preprocess")
    _do(store, study, "train", {"config": CONFIG})
    store.close()
    return folder


def _open(folder: Path) -> Store:
    engine = connect(f"sqlite:///{folder / 'review.db'}")
    migrate(engine)
    return Store(engine, folder)


@pytest.fixture
def ward(preprocessed: Path, tmp_path: Path) -> Iterator[tuple[Store, Study]]:
    """A copy of that store, to do with as one likes."""
    shutil.copytree(preprocessed, tmp_path / "data")
    store = _open(tmp_path / "data")
    yield store, store.studies.all()[0]
    store.close()


def _newest(store: Store, study: Study, kind: str) -> RunRow:
    run = store.runs.newest(study.id, kind)
    assert run is not None
    return run


def test_from_files_to_alerts(ward: tuple[Store, Study]) -> None:
    store, study = ward
    source = _newest(store, study, "preprocess")
    assert source.files == [file.id for file in store.files.all(study.id)]
    assert source.summary["files"] == ["a.csv"]
    assert not (store.runs.path(source) / "input").exists()
    trained = _newest(store, study, "train")
    model = store.models.current(study.id)
    assert model is not None and model.run_id == trained.id and trained.parents == [source.id]
    assert load(store.models.path(model)).metrics["patients_val"] == model.metrics["patients_val"]
    assert trained.summary["model_path"] == "best_hybrid_v2.pt"
    assert (
        "part" not in (store.runs.path(trained) / "training_summary_v2.json").read_text().split('"model_path"')[1][:60]
    )
    predicted = _do(store, study, "predict", {"config": {"min_class_conf": 1.0}})
    assert predicted.parents == [source.id, trained.id]
    table = pd.read_csv(store.runs.path(predicted) / "beat_predictions_v2.csv")
    assert predicted.summary["num_review_flagged"] == table["review_flag"].sum() > 0
    found = _do(store, study, "alerts", {"config": {"min_alert_size": 1}})
    clusters = store.alerts.all(found.id)
    assert sum(cluster.size for cluster in clusters) == predicted.summary["num_review_flagged"]
    assert all(cluster.alert for cluster in clusters)
    assert set(clusters[0].example_beats) <= set(table.loc[table["review_flag"] == 1, "beat_global_id"])


def test_the_gain_of_the_study_goes_into_the_run(ward: tuple[Store, Study]) -> None:
    store, study = ward
    store.studies.set_units(study.id, 1000)
    assert _do(store, study, "preprocess", {"pictures": False}).config["units_per_mv"] == 1000


def test_decisions_survive_preprocessing_with_other_settings(ward: tuple[Store, Study]) -> None:
    store, study = ward
    first = _newest(store, study, "preprocess")
    run = load_run(store.runs.path(first))
    index = beat_index(run, first.id)
    names, flagged = list(index.hashes), int(np.flatnonzero(index.flags == 1)[0])

    def beat(row: int) -> str:
        return beat_target(names[index.strip_of_beat[row]], float(index.time_ms[row]))

    usable = np.flatnonzero(index.flags == 0)
    prototype = int(index.prototypes[usable[-1]])
    decisions = [
        decide(study.id, "Ada", beat(int(usable[0])), "label", "PAC"),
        decide(study.id, "Ada", beat(flagged), "noise", 0),
        decide(study.id, "Ada", beat(int(usable[1])), "seed", "PVC"),
        decide(study.id, "Ada", strip_target(names[index.strip_of_beat[usable[2]]]), "label", "Couplets"),
        decide(
            study.id,
            "Ada",
            prototype_target(first.id, prototype),
            "label",
            "Triplets",
            payload=members_payload(index, prototype),
        ),
    ]
    store.decisions.add(decisions)
    before = effective_labels(index, decisions)
    again = _do(store, study, "preprocess", {"config": {"low_hz": 0.7, "post_sec": 0.3}, "pictures": False})
    later = load_run(store.runs.path(again))
    after_index = beat_index(later, again.id)
    after = effective_labels(after_index, decisions)
    key = {
        (names[strip], time): row
        for row, (strip, time) in enumerate(zip(index.strip_of_beat, index.time_ms, strict=True))
    }
    later_names = list(after_index.hashes)
    compared = 0
    for row, (strip, time) in enumerate(zip(after_index.strip_of_beat, after_index.time_ms, strict=True)):
        old = next(
            (key[(later_names[strip], time + d)] for d in range(-40, 41) if (later_names[strip], time + d) in key), None
        )
        if old is not None:
            compared += 1
            assert (after.labels[row], after.source[row]) == (before.labels[old], before.source[old])
    assert compared > 0.9 * len(index)
    assert not any(lost.decision in decisions[:4] for lost in after.unmatched)
    # The decided strip label went into preprocessing; the file's own is still known, for the day it is undone.
    assert 10 in np.asarray(later.labels)
    assert after_index.file_labels.tolist().count(10) == 0
    store.decisions.undo(decisions[3].id, "Ada")
    undone = effective_labels(after_index, store.decisions.listing(study.id))
    assert 10 not in undone.labels
    assert later.candidates is not None and set(later.candidates["seed_label"]) == {"PVC"}


def test_preprocessing_takes_edited_peaks_in_and_says_so(ward: tuple[Store, Study]) -> None:
    store, study = ward
    first = _newest(store, study, "preprocess")
    index = beat_index(load_run(store.runs.path(first)), first.id)
    place = int(np.bincount(index.strip_of_beat).argmax())
    name, times = index.names[place], index.time_ms[index.rows_of_strip(place)].tolist()
    between = (times[4] + times[5]) // 2

    def edit(time: int, field: str, new: Any) -> Decision:
        return decide(study.id, "Ada", beat_target(name, time), field, new)

    decisions = [
        edit(times[1], "peak", "deleted"),
        edit(times[2], "peak", times[2] + 120),
        edit(times[2], "label", "PAC"),
        edit(between, "peak", "added"),
        edit(between, "label", "Couplets"),
        edit(between, "seed", "PVC"),
        edit(3, "peak", "added"),
    ]
    undone = edit(times[6], "peak", "deleted")
    store.decisions.add([*decisions, undone])
    store.decisions.undo(undone.id, "Ada")
    assert out_of_date(index, store.decisions.listing(study.id), first.decisions_until).beats == 4
    row = _do(store, study, "preprocess", {"pictures": False})
    assert not out_of_date(index, store.decisions.listing(study.id), row.decisions_until)
    told = row.summary["peak_edits"]
    assert (told["added"], told["moved"], told["deleted"], len(told["refused"]), told["strips"]) == (1, 1, 1, 1, 1)
    assert row.summary["decisions_unmatched"] == 1
    run = load_run(store.runs.path(row))
    later = beat_index(run, row.id)
    effective = effective_labels(later, store.decisions.listing(study.id))
    beats = strip_beats(run, later, effective, place)
    wanted = sorted([3, times[0], times[2] + 120, between, *times[3:]])
    assert beats["time_ms"].tolist() == wanted
    by_time = beats.set_index("time_ms")
    assert by_time.loc[between, "row"] >= 0 and by_time.loc[between, "label"] == 10
    assert by_time.loc[times[2] + 120, "label"] == 1
    # Said of a peak that had no features yet, the seed is mined with by now.
    assert run.candidates is not None and set(run.candidates["seed_beat_global_id"]) == {
        by_time.loc[between, "beat_id"]
    }
    assert [(lost.decision.id, "too near the edge" in lost.reason) for lost in effective.unmatched] == [
        (decisions[-1].id, True)
    ]


def test_deleted_beats_are_no_neighbours_of_what_is_predicted(ward: tuple[Store, Study]) -> None:
    store, study = ward
    source = _newest(store, study, "preprocess")
    run = load_run(store.runs.path(source))
    index = beat_index(run, source.id)
    usable = np.flatnonzero(index.flags == 0)
    row = int(usable[len(usable) // 2])
    store.decisions.add([decide(study.id, "Ada", target_of(run, index, row), "peak", "deleted")])
    predicted = _do(store, study, "predict")
    table = pd.read_csv(store.runs.path(predicted) / "beat_predictions_v2.csv").set_index("beat_global_id")
    assert table.loc[index.beat_ids[row], "noise_reason"] == "deleted"
    assert np.isnan(table.loc[index.beat_ids[row], "pred_conf"])
    assert predicted.summary["num_beats_predicted"] == len(usable) - 1


def test_retraining_learns_the_decisions_and_compares_on_the_same_patients(ward: tuple[Store, Study]) -> None:
    store, study = ward
    source, current = _newest(store, study, "preprocess"), store.models.current(study.id)
    assert current is not None
    index = beat_index(load_run(store.runs.path(source)), source.id)
    names = list(index.hashes)
    rows = np.flatnonzero((index.file_labels == 0) & (index.flags == 0))
    taught = [
        decide(study.id, "Ada", beat_target(names[index.strip_of_beat[row]], float(index.time_ms[row])), "label", "PAC")
        for row in rows[::2].tolist()
    ]
    store.decisions.add(taught)
    _do(store, study, "retrain")
    new = store.models.all(study.id)[0]
    assert (new.status, store.models.current(study.id)) == ("candidate", current)
    assert load(store.models.path(new)).classes == (0, 1, PVC)
    assert new.metrics["patients_val"] == current.metrics["patients_val"]
    assert new.comparison is not None and new.comparison["current_model"] == current.id
    assert new.comparison["candidate"]["num_beats"] == new.comparison["current"]["num_beats"] > 0
    assert new.comparison["current"]["seen_in_training"] == 0
    assert new.comparison["current"]["labels_not_in_model"] == [1]
    run = store.runs.get(new.run_id)
    assert run.config["epochs"] == CONFIG["epochs"]


def test_a_beat_called_valid_is_predicted(ward: tuple[Store, Study]) -> None:
    store, study = ward
    source = _newest(store, study, "preprocess")
    index = beat_index(load_run(store.runs.path(source)), source.id)
    row = int(np.flatnonzero(index.flags == 1)[0])
    target = beat_target(list(index.hashes)[index.strip_of_beat[row]], float(index.time_ms[row]))

    def confidence() -> float:
        predicted = _do(store, study, "predict")
        table = pd.read_csv(store.runs.path(predicted) / "beat_predictions_v2.csv").set_index("beat_global_id")
        return float(table.loc[index.beat_ids[row], "pred_conf"])

    assert np.isnan(confidence())
    store.decisions.add([decide(study.id, "Ada", target, "noise", 0)])
    assert confidence() > 0


def test_training_tells_its_epochs_and_is_stopped_between_them(ward: tuple[Store, Study]) -> None:
    store, study = ward
    job_id, work = _begun(store, study, {"config": {**CONFIG, "epochs": 50}})
    told: list[int] = []
    tell = work.tell

    def stop_after_two(**detail: Any) -> None:
        tell(**detail)
        told.append(len(detail.get("history", ())))
        if told[-1] >= 2:
            work.stop.set()

    work.tell = stop_after_two  # type: ignore[method-assign]
    with pytest.raises(Cancelled):
        TASKS["train"](work)
    assert [row["epoch"] for row in work.detail["history"]] == [1, 2]
    assert work.detail["epochs"] == 50
    # Resumed by another process: epochs go on from the third.
    with writing(store.engine) as connection:
        params = {"config": {**CONFIG, "epochs": 4}}
        connection.execute(update(schema.jobs).where(schema.jobs.c.id == job_id).values(params=params))
    again = Work(store, store.jobs.get(job_id), work.folder, True, work.decisions_until, detail=work.detail)
    outcome = TASKS["train"](again)
    assert [row["epoch"] for row in again.detail["history"]] == [1, 2, 3, 4]
    assert outcome.summary["epochs"] == 4
    assert not (work.folder / "training_state.pt").exists()


def _begun(store: Store, study: Study, params: Mapping[str, Any]) -> tuple[str, Work]:
    with writing(store.engine) as connection:
        job_id = store.jobs.enter(connection, study.id, "train", params)
    job = store.jobs.get(job_id)
    part = store.folder / "runs" / f"{job.run_id}.part"
    part.mkdir(parents=True)
    return job_id, Work(store, job, part, False, store.runs.start(job.run_id, study.id, "train"))


@pytest.mark.parametrize(
    ("kind", "params", "words"),
    [
        ("preprocess", {}, "no files yet"),
        ("train", {}, "not been preprocessed yet"),
        ("retrain", {}, "not been preprocessed yet"),
        ("predict", {}, "no model yet"),
        ("alerts", {}, "Nothing has been predicted"),
        ("train", {"config": {"epoch": 2}}, "no setting 'epoch'"),
    ],
)
def test_what_is_missing_is_said(ward: tuple[Store, Study], kind: str, params: dict[str, Any], words: str) -> None:
    store, _ = ward
    with pytest.raises(EngineError, match=words):
        _do(store, store.studies.create("Empty"), kind, params)


def test_a_run_of_another_kind_is_refused(ward: tuple[Store, Study]) -> None:
    store, study = ward
    with pytest.raises(StoreError, match="finished preprocess run is needed"):
        _do(store, study, "predict", {"run": _newest(store, study, "train").id})


@pytest.mark.postgres
@pytest.mark.parametrize("store", ["postgres"], indirect=True)  # the other tests here are on SQLite
def test_the_demo_study_fills_itself(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(demo, "N_PER_LABEL", {0: 6, PVC: 6, NOISE: 2})
    monkeypatch.setattr(demo, "N_PATIENTS", 4)
    monkeypatch.setattr(demo, "TRAINING", {**CONFIG, "epochs": 1})
    store = Store(store.engine, store.folder)
    study = demo.ensure_demo(store)
    assert demo.ensure_demo(store) == study
    assert [file.name for file in store.files.all(study.id)] == [demo.SIMULATED_FILE, demo.REAL_FILE]
    for kind in ("preprocess", "train", "predict", "alerts"):
        job = store.jobs.newest(study.id)
        assert job is not None and job.kind == kind
        assert store.jobs.wait(job.id).status == "done", store.jobs.tail(job.id)
    real = load_run(store.runs.path(_newest(store, study, "preprocess"))).metadata
    assert (real["patient_id"].astype(str) == "MIT-BIH 208").sum() > 300
    assert len(store.jobs.all(study.id)) == 4
    assert store.models.current(study.id) is not None
