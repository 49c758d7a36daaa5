"""Bad input through the app: what is wrong, where, and what to do stands on the screen, and nothing else is lost."""

from __future__ import annotations

import io
from collections.abc import Callable, Mapping
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from streamlit.testing.v1 import AppTest

from ecg_engine.artifacts import load_run
from ecg_engine.labels import label_name
from state.anchors import beat_index
from state.db import writing
from state.deciding import decide
from state.jobs import FAILED, Job
from state.runs import PREPROCESS, RunRow
from state.seeding import target_of
from tests.pages.conftest import FILE, SKIPPED_ROWS, Opened, do_job, job_done, small_table

BAD = "night shift"
LENGTH = 2604
EXCEL_CELL = 32_767


@lru_cache
def good() -> pd.DataFrame:
    """Strips that can all be used: 12 normal ones, 8 with PVCs, of several patients."""
    table = pd.read_csv(io.BytesIO(small_table())).iloc[SKIPPED_ROWS:]
    chosen = pd.concat([table[table["Label"] == 0].iloc[:12], table[table["Label"] == 2].iloc[:8]])
    return chosen.reset_index(drop=True).astype({"Label": object, "Patient ID": object})


def wave(row: int) -> list[str]:
    return str(good()["ECG Wave"].iloc[row]).split(",")


def csv(table: pd.DataFrame) -> bytes:
    return table.to_csv(index=False).encode()


def excel(table: pd.DataFrame) -> bytes:
    out = io.BytesIO()
    table.to_excel(out, index=False)
    return out.getvalue()


def with_wave(text: str, row: int = 4) -> pd.DataFrame:
    table = good().copy()
    table.loc[row, "ECG Wave"] = text
    return table


def cut_off() -> str:
    """What Excel leaves of a long wave: the last number may be half of one, and nothing says so."""
    return ("1234567," * (EXCEL_CELL // 8 + 1))[:EXCEL_CELL]


def standing(opened: Opened) -> dict[str, Any]:
    """Everything that the study holds."""
    store, study = opened.store, opened.study.id
    files = {file.id: (file.name, store.files.path(file).read_bytes()) for file in store.files.all(study)}
    runs = {run.id: (run.status, run.folder, dict(run.summary)) for run in store.runs.all(study) if run.done}
    models = {model.id: (model.status, model.name) for model in store.models.all(study)}
    return {
        "files": files,
        "runs": runs,
        "models": models,
        "alerts": {run: [cluster.id for cluster in store.alerts.all(run)] for run in runs},
        "decisions": [made.id for made in store.decisions.active(study)],
    }


def nothing_is_lost(opened: Opened, before: Mapping[str, Any]) -> None:
    now = standing(opened)
    for kind, held in before.items():
        if isinstance(held, dict):
            assert {key: now[kind].get(key) for key in held} == held, f"{kind} changed"
        else:
            assert now[kind][: len(held)] == held, f"{kind} changed"
    for run in opened.store.runs.all(opened.study.id, PREPROCESS):
        if run.done:
            assert len(load_run(opened.store.runs.path(run)).labels) == run.summary["beats_extracted"]
    assert not list(opened.store.folder.rglob("*.part")), "half-written files are left"


def kept_decision(opened: Opened) -> None:
    """A decision that must outlive everything below."""
    opened.store.decisions.add([decide(opened.study.id, "Dr Test", "strip:" + "a" * 64, "note", "look again")])


def do(opened: Opened, kind: str, params: Mapping[str, Any]) -> Job:
    """A job as the page would start it, done here; it may fail."""
    with writing(opened.store.engine) as connection:
        job_id = opened.store.jobs.enter(connection, opened.study.id, kind, dict(params))
    do_job(opened.store, job_id)
    return opened.store.jobs.get(job_id)


def preprocess(opened: Opened, content: bytes, name: str, **config: Any) -> Job:
    added = opened.store.files.add(opened.study.id, name, content)
    return do(opened, "preprocess", {"files": [added.file.id], "config": config, "pictures": False})


def messages(app: AppTest) -> list[str]:
    """What is told as an error, a warning or a note."""
    return [str(one.value) for kind in (app.error, app.warning, app.info) for one in kind]


def one_tells(app: AppTest, *words: str) -> None:
    told = [*messages(app), *(str(one.value) for one in (*app.markdown, *app.caption))]
    assert any(all(word in text for word in words) for text in told), f"nothing says {words}; it says {messages(app)}"


@pytest.fixture
def ward(trained: Opened) -> Opened:
    """A study with something of everything in it, a decision too."""
    trained.store.decisions.add([decide(trained.study.id, "Dr Test", "strip:" + "a" * 64, "note", "look again")])
    return trained


NO_SIGNAL = {
    "not a spreadsheet": (
        "letter.xlsx",
        lambda: b"Dear colleague, the strips are in the other file.",
        ("letter.xlsx: this is not a spreadsheet that can be read", "Save it as .xlsx or .csv"),
    ),
    "a picture called csv": (
        "scan.csv",
        lambda: b"\x89PNG\r\n\x1a\n\x00\x00\x00",
        ("scan.csv: this is not a text table", "Save it as .xlsx"),
    ),
    "an empty sheet": (
        "empty.xlsx",
        lambda: excel(pd.DataFrame()),
        ("empty.xlsx: the sheet is empty", "Put one strip in each row, under a header row"),
    ),
    "a header and no rows": (
        "header.xlsx",
        lambda: excel(good().iloc[:0]),
        ("header.xlsx: the sheet has a header but no rows", "Put one strip in each row, under a header row"),
    ),
    "an empty text file": (
        "empty.csv",
        lambda: b"",
        ("empty.csv: ", "Put one strip in each row, under a header row"),
    ),
}
"""Name of the file, what it holds, what must be said."""


@pytest.mark.parametrize("name, content, words", NO_SIGNAL.values(), ids=NO_SIGNAL)
def test_a_file_that_cannot_be_read_is_named_with_what_to_do(
    ward: Opened, name: str, content: Callable[[], bytes], words: tuple[str, ...]
) -> None:
    before = standing(ward)
    job = preprocess(ward, content(), name)
    assert job.status == FAILED
    app = ward.page("upload")
    one_tells(app, "Preprocessing failed.", *words)
    app.segmented_control[0].set_value("Files and settings").run()
    assert not app.exception
    one_tells(app, *words, "The other files are read all the same")
    table = next(one.value for one in app.dataframe if "State" in one.value.columns).set_index("File")
    assert table["State"].to_dict() == {FILE: "ready", name: "cannot be read"}
    assert not app.button(key="preprocess").disabled, "the other file can be preprocessed"
    nothing_is_lost(ward, before)


def test_missing_columns_are_asked_for(ward: Opened) -> None:
    before = standing(ward)
    columns = {"ECG Wave": "Trace", "Label": "Finding", "Patient ID": "Case"}
    assert preprocess(ward, excel(good().rename(columns=columns)), "renamed.xlsx").status == FAILED
    app = ward.page("upload")
    one_tells(app, "renamed.xlsx: no column holds the ECG wave", "Trace", "Finding", "Case", "say which it is")
    app.segmented_control[0].set_value("Files and settings").run()
    table = next(one.value for one in app.dataframe if "State" in one.value.columns).set_index("File")
    assert table.loc["renamed.xlsx", "State"] == "which column holds the wave?"
    one_tells(app, "No column of this file is called ECG Wave")
    nothing_is_lost(ward, before)


def test_without_labels_and_patients_the_strips_are_read_all_the_same(ward: Opened) -> None:
    before = standing(ward)
    assert preprocess(ward, excel(good()[["ECG Wave"]]), "waves.xlsx").status == "done"
    app = ward.page("upload")
    one_tells(app, "waves.xlsx", "no label column", "its rows are unlabelled")
    one_tells(app, "waves.xlsx", "no patient column", "its patients are unknown")
    assert {one.label: one.value for one in app.metric}["Strips"] == "20"
    training = ward.page("training")
    one_tells(training, "No usable beat has a label, so there is nothing to learn", "Label some beats")
    assert training.button(key="train").disabled
    nothing_is_lost(ward, before)


ROWS = {
    "text": ("text in the wave", lambda: ",".join([*wave(4)[:5], "lead off", *wave(4)[6:]]), "'lead off' is not a num"),
    "cut": ("wave cut off by Excel", cut_off, "32767 characters, the most that Excel keeps; export it as CSV"),
    "nan": ("NaN or infinite", lambda: ",".join([*wave(4)[:5], "NaN", "inf", *wave(4)[7:]]), "2 of 2604"),
    "flat": ("flat line", lambda: ",".join(["955"] * LENGTH), "all 2604 samples are 955"),
    "short": ("wave too short", lambda: ",".join(wave(4)[:12]), "12 samples, at least"),
    "blank": ("no wave", lambda: "", "the cell is blank"),
}


@pytest.mark.parametrize("kind, text, value", ROWS.values(), ids=ROWS)
def test_a_row_that_cannot_be_used_is_listed_and_the_others_are_read(
    ward: Opened, kind: str, text: Callable[[], str], value: str
) -> None:
    before = standing(ward)
    assert preprocess(ward, excel(with_wave(text())), f"{BAD}.xlsx").status == "done"
    app = ward.page("upload")
    figures = {one.label: one.value for one in app.metric}
    assert (figures["Strips"], figures["Rows skipped"]) == ("19", "1")
    (row,) = next(one.value for one in app.dataframe if list(one.value.columns) == ["file", "row", "reason"]).to_dict(
        "records"
    )
    assert (row["file"], row["row"]) == (f"{BAD}.xlsx", 6), "as the sheet numbers it, its header being row 1"
    assert kind in row["reason"] and value in row["reason"]
    assert any(one.label.startswith("1 skipped row: ") and kind in one.label for one in app.expander)
    app.segmented_control[0].set_value("Files and settings").run()
    app.selectbox(key=f"file_shown_{ward.study.id}").select(newest_file(ward)).run()
    first = next(one.value for one in app.dataframe if "problem" in one.value.columns).set_index("row")
    assert value in first.loc[6, "problem"], "the first look at the file says so before anything is run"
    nothing_is_lost(ward, before)


def newest_file(opened: Opened) -> str:
    return opened.store.files.all(opened.study.id)[-1].id


@pytest.mark.parametrize("text, kind", [(cut_off(), "wave cut off by Excel"), (",".join(["7"] * LENGTH), "flat line")])
def test_a_file_without_one_usable_row_counts_the_reasons(ward: Opened, text: str, kind: str) -> None:
    before = standing(ward)
    table = good().assign(**{"ECG Wave": text})
    assert preprocess(ward, csv(table), f"{BAD}.csv").status == FAILED
    one_tells(
        ward.page("upload"),
        f"{BAD}.csv: none of the 20 rows can be used ({kind}: 20)",
        "numbers parted by commas",
        "a CSV file keeps all",
    )
    nothing_is_lost(ward, before)


def test_waves_of_three_lengths_are_brought_to_one_rate_and_counted(ward: Opened) -> None:
    before = standing(ward)
    table = good().copy()
    for row, keep in ((0, 2), (1, 2), (2, 3)):
        table.loc[row, "ECG Wave"] = ",".join(wave(row)[::keep])
    assert preprocess(ward, csv(table), f"{BAD}.csv").status == "done"
    app = ward.page("upload")
    one_tells(app, "3 strips were resampled to 260.4 Hz")
    assert {one.label: one.value for one in app.metric}["Strips"] == "20"
    nothing_is_lost(ward, before)


def test_blank_and_unknown_labels_and_patients_count_as_such(ward: Opened) -> None:
    before = standing(ward)
    table = good().copy()
    table.loc[[0, 1, 2], "Label"] = ["", None, "Wobble"]
    table.loc[[0, 5], "Patient ID"] = ["", None]
    assert preprocess(ward, excel(table), f"{BAD}.xlsx").status == "done"
    app = ward.page("upload")
    one_tells(app, "none of the list count as unlabelled", "Wobble: 1")
    labels = next(one.value for one in app.dataframe if "noise_share" in one.value.columns).set_index("name")
    (unlabelled,) = [name for name in labels.index if "Unlabelled" in name]
    assert labels.loc[unlabelled, "strips"] == 3
    one_tells(app, "2 strips have no patient", "each counts as a patient of its own")
    nothing_is_lost(ward, before)


def relabel_a_beat(opened: Opened, row: RunRow, label: int) -> None:
    """Decide that one usable beat is of another label than all others."""
    run = load_run(opened.store.runs.path(row))
    beat = int(np.flatnonzero((np.asarray(run.labels) != label) & (np.asarray(run.noise_flags) == 0))[3])
    target = target_of(run, beat_index(run, row.id), beat)
    opened.store.decisions.add([decide(opened.study.id, "Dr Test", target, "label", label)])


def test_one_strip_is_read_and_training_says_that_it_takes_more(ward: Opened) -> None:
    before = standing(ward)
    assert preprocess(ward, csv(good().iloc[12:13]), f"{BAD}.csv", min_local_cluster=1).status == "done"
    run = ward.store.runs.newest(ward.study.id, PREPROCESS)
    assert run is not None
    assert {one.label: one.value for one in ward.page("upload").metric}["Strips"] == "1"
    relabel_a_beat(ward, run, 0)
    job = do(ward, "train", {"config": {"epochs": 1}, "runs": [run.id]})
    assert job.status == FAILED
    app = ward.page("training")
    one_tells(app, "Training failed.", "come from one strip", "Training needs at least two strips")
    nothing_is_lost(ward, before)


def test_one_patient_is_parted_by_strips_and_the_figures_say_so(ward: Opened) -> None:
    before = standing(ward)
    assert preprocess(ward, csv(good().assign(**{"Patient ID": 7})), f"{BAD}.csv", min_local_cluster=2).status == "done"
    run = ward.store.runs.newest(ward.study.id, PREPROCESS)
    assert run is not None
    job_done(ward.store, ward.study.id, "train", {"config": {"epochs": 1}, "runs": [run.id]})
    model = ward.store.models.all(ward.study.id)[0]
    app = ward.page("training", model=model.id)
    one_tells(app, "There is one patient only, so the split is by strip")
    assert not model.current, "the current model stays"
    nothing_is_lost(ward, before)


def test_one_label_cannot_be_learned_and_the_way_out_is_told(ward: Opened) -> None:
    before = standing(ward)
    table = good().iloc[:12]
    assert preprocess(ward, csv(table), f"{BAD}.csv").status == "done"
    run = ward.store.runs.newest(ward.study.id, PREPROCESS)
    assert run is not None
    assert do(ward, "train", {"config": {"epochs": 1}, "runs": [run.id]}).status == FAILED
    one_tells(
        ward.page("training"),
        "Training failed.",
        "every labelled usable beat is Normal",
        "Label beats or strips of at least two kinds",
    )
    nothing_is_lost(ward, before)


def lone_beat() -> bytes:
    """Normal strips, and one strip of another label of which little more than one beat is left."""
    rare = good().iloc[14:15].assign(Label=12)
    rare.iloc[0, rare.columns.get_loc("ECG Wave")] = ",".join([*wave(14)[:500], *[wave(14)[500]] * (LENGTH - 500)])
    return csv(pd.concat([good().iloc[:12], rare]))


def test_a_label_that_lost_its_few_beats_is_told_first(ward: Opened) -> None:
    before = standing(ward)
    assert preprocess(ward, lone_beat(), f"{BAD}.csv").status == "done"
    app = ward.page("upload")
    one_tells(app, f"{label_name(12)} lost all of its", "clusters of fewer than", "No model can learn this label")
    nothing_is_lost(ward, before)


def test_a_label_with_one_beat_is_learned_and_its_figures_say_nothing(ward: Opened) -> None:
    before = standing(ward)
    store = ward.store
    run = store.runs.newest(ward.study.id, PREPROCESS)
    assert run is not None
    relabel_a_beat(ward, run, 8)
    job_done(store, ward.study.id, "train", {"config": {"epochs": 1}, "runs": [run.id]})
    app = ward.page("training", model=store.models.all(ward.study.id)[0].id)
    one_tells(app, f"{label_name(8)} is not in both parts", "its figures say nothing")
    nothing_is_lost(ward, before)


def test_no_usable_beat_is_told_and_nothing_can_be_trained(ward: Opened) -> None:
    before = standing(ward)
    assert preprocess(ward, csv(good().iloc[:3]), f"{BAD}.csv", min_local_cluster=10_000).status == "done"
    app = ward.page("upload")
    one_tells(app, "None of the", "is usable", "shape too rare within its label: ", "lower “Groups smaller than”")
    one_tells(app, "No label has usable beats, so there are no templates")
    training = ward.page("training")
    one_tells(training, "No usable beat has a label, so there is nothing to learn")
    assert training.button(key="train").disabled
    for name in ("strips", "prototypes", "seeds", "review", "alerts", "history"):
        assert not ward.page(name).exception
    nothing_is_lost(ward, before)


def test_no_beat_at_all_says_what_to_look_at(ward: Opened) -> None:
    before = standing(ward)
    content = csv(good().iloc[:3])
    job = preprocess(ward, content, f"{BAD}.csv", fs=10_000.0, duration_sec=0.26)
    assert job.status == FAILED
    one_tells(
        ward.page("upload"), f"{BAD}.csv: no beats were found on any of the 3 strips", "Look at the sampling rate"
    )
    nothing_is_lost(ward, before)


def test_a_damaged_current_model_is_told_wherever_it_is_needed(ward: Opened) -> None:
    model = ward.store.models.current(ward.study.id)
    assert model is not None
    path: Path = ward.store.models.path(model)
    path.write_bytes(path.read_bytes()[:2000])
    before = standing(ward)
    assert do(ward, "retrain", {}).status == FAILED
    app = ward.page("training")
    one_tells(app, "Retraining failed.", model.name, "damaged", "Restore it from a copy, or train the model again")
    assert do(ward, "predict", {}).status == FAILED
    one_tells(ward.page("review"), model.name, "damaged", "Restore it from a copy, or train the model again")
    nothing_is_lost(ward, before)


FULL: dict[str, tuple[str, dict[str, Any], str]] = {
    "preprocess": ("upload", {"pictures": False}, "Preprocessing failed."),
    "train": ("training", {"config": {"epochs": 1}}, "Training failed."),
    "retrain": ("training", {}, "Retraining failed."),
    "predict": ("review", {}, "Prediction failed."),
    "alerts": ("alerts", {}, "failed."),
}


@pytest.mark.parametrize("kind", FULL)
@pytest.mark.parametrize("place", ["pathlib.Path.replace", "state.results._flush"])
def test_a_full_disk_ends_the_work_with_a_sentence_and_keeps_what_was_there(
    ward: Opened, monkeypatch: pytest.MonkeyPatch, kind: str, place: str
) -> None:
    page, params, words = FULL[kind]
    before = standing(ward)

    def full(*_: object, **__: object) -> None:
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr(place, full)
        job = do(ward, kind, params)
    assert job.status == FAILED, "the disk was full"
    one_tells(ward.page(page), words, "disk is full", "Free some space")
    nothing_is_lost(ward, before)
    assert do(ward, kind, params).status == "done", "once there is room, the same step is done"


def test_a_full_disk_refuses_a_file_and_a_model_by_name(ward: Opened, monkeypatch: pytest.MonkeyPatch) -> None:
    before = standing(ward)
    model = ward.store.models.current(ward.study.id)
    assert model is not None
    content = ward.store.models.path(model).read_bytes()

    def full(*_: object, **__: object) -> None:
        raise OSError(28, "No space left on device")

    app = ward.page("upload")
    monkeypatch.setattr("state.files.os.fsync", full)
    app.file_uploader[0].set_value([("more.csv", csv(good()), "text/csv")]).run()
    one_tells(app, "**more.csv** was not taken", "disk is full")
    app = ward.page("training")
    monkeypatch.setattr("pathlib.Path.write_bytes", full)
    app.file_uploader[0].set_value([("brought.pt", content, "application/octet-stream")]).run()
    assert not app.exception
    one_tells(app, "brought.pt could not be kept", "disk is full", "Free some space")
    monkeypatch.undo()
    assert standing(ward) == before
