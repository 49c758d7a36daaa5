"""The Upload page: files in and out, columns, settings, the run that comes of them, and what is told of it."""

from __future__ import annotations

import io
import re
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from streamlit.testing.v1 import AppTest

from components.profiles import OFFERED_FIRST, profile_words
from ecg_engine.artifacts import load_run
from ecg_engine.config import ARRHYTHMIA, PROFILES
from ecg_engine.labels import label_name
from ecg_engine.profiles import FIGURES
from state import demo
from state.anchors import beat_index
from state.deciding import decide
from state.runs import PREPROCESS
from state.seeding import target_of
from tests.pages.conftest import FILE, N_PER_LABEL, SKIPPED_ROWS, Opened, small_table
from tests.pages.test_app import address, texts

CSV = "text/csv"
ROWS = sum(N_PER_LABEL.values()) + SKIPPED_ROWS


def drop(app: AppTest, *files: tuple[str, bytes]) -> None:
    app.file_uploader[0].set_value([(name, content, "application/octet-stream") for name, content in files])
    app.run()
    assert not app.exception


def click(app: AppTest, key: str) -> None:
    app.button(key=key).click()
    app.run()
    assert not app.exception


def pick(app: AppTest, label: str, value: str) -> None:
    next(one for one in app.selectbox if one.label == label).select(value)
    app.run()
    assert not app.exception


def profile_box(app: AppTest) -> Any:
    return next(one for one in app.radio if one.label == "Profile")


def choose_profile(app: AppTest, profile: str) -> None:
    profile_box(app).set_value(profile)
    app.run()
    assert not app.exception


def fields(app: AppTest) -> set[str]:
    return {one.label for one in (*app.number_input, *app.selectbox)}


def files_of(opened: Opened) -> list[str]:
    return [file.name for file in opened.store.files.all(opened.store.studies.all()[-1].id)]


def listed(app: AppTest) -> pd.DataFrame:
    """The table of files."""
    return next(one.value for one in app.dataframe if "State" in one.value.columns)


def other_names() -> bytes:
    table = pd.read_csv(io.BytesIO(small_table()))
    names = {"ECG Wave": "Signal", "Label": "Diagnosis", "Patient ID": "Case"}
    return table.iloc[SKIPPED_ROWS : SKIPPED_ROWS + 30].rename(columns=names).to_csv(index=False).encode()


def test_a_file_without_a_study_makes_one_of_its_name(with_files: Opened) -> None:
    with_files.store.studies.archive(with_files.study.id)
    app = with_files.page("upload")
    assert "Drop a file to begin" in texts(app)
    drop(app, ("night_shift.csv", small_table()))
    (study,) = with_files.store.studies.all()
    assert study.name == "night shift"
    assert files_of(with_files) == ["night_shift.csv"]
    assert "Taken in: **night_shift.csv**" in texts(app)


def test_a_file_dropped_on_the_demo_makes_a_study_of_its_own(empty: Opened, jobs_wait: None) -> None:
    shown, _ = empty.store.studies.ensure(demo.KEY, demo.NAME)
    empty.store.studies.restore(shown.id)
    app = Opened(empty.store, shown).page("upload")
    drop(app, ("night_shift.csv", small_table()))
    made = empty.store.studies.all()[-1]
    assert made.name == "night shift" and made.id != shown.id
    assert "night_shift.csv" not in [file.name for file in empty.store.files.all(shown.id)], "the demo fills itself"


def test_what_is_no_table_is_refused_by_name_and_the_others_stay(empty: Opened) -> None:
    app = empty.page("upload")
    drop(app, ("letter.docx", b"x"), ("ward 3.csv", small_table()), ("broken.xlsx", b"PK no zip"))
    assert files_of(empty) == ["ward 3.csv", "broken.xlsx"]
    told = [one.value for one in app.error]
    assert any("**letter.docx** was not taken" in text and ".docx are not read here" in text for text in told)
    assert any(text.startswith("broken.xlsx: this is not a spreadsheet") for text in told)
    table = listed(app).set_index("File")
    assert table.loc["ward 3.csv", "State"] == "ready"
    assert table.loc["ward 3.csv", "Rows"] == ROWS
    assert table.loc["broken.xlsx", "State"] == "cannot be read"
    assert not app.button(key="preprocess").disabled


def test_an_unreadable_file_is_left_out_of_the_run(empty: Opened, jobs_wait: None) -> None:
    app = empty.page("upload")
    drop(app, ("broken.xlsx", b"PK no zip"), ("ward 3.csv", small_table()))
    click(app, "preprocess")
    (job,) = empty.store.jobs.all(empty.study.id)
    readable = next(file for file in empty.store.files.all(empty.study.id) if file.name == "ward 3.csv")
    assert job.params["files"] == [readable.id]


def test_the_same_file_again_is_said_and_not_counted_twice(with_files: Opened) -> None:
    app = with_files.page("upload")
    drop(app, ("copy.csv", small_table()))
    assert files_of(with_files) == [FILE]
    assert any(f"as **{FILE}**; it is not counted twice" in one.value for one in app.info)


def test_a_file_is_taken_out_and_put_back(with_files: Opened) -> None:
    app = with_files.page("upload")
    click(app, "take_out")
    assert files_of(with_files) == []
    assert f"**{FILE}** is taken out" in texts(app)
    (file,) = with_files.store.files.all(with_files.study.id, removed=True)
    click(app, f"put_back_{file.id}")
    assert files_of(with_files) == [FILE]
    assert listed(app)["State"].tolist() == ["ready"]


def test_columns_of_other_names_are_named_by_hand(empty: Opened, jobs_now: None) -> None:
    app = empty.page("upload")
    drop(app, ("other.csv", other_names()), ("ward 3.csv", small_table()))
    assert listed(app).set_index("File").loc["other.csv", "State"] == "which column holds the wave?"
    assert any("No column of this file is called ECG Wave" in one.value for one in app.warning)
    pick(app, "Column of the wave", "Signal")
    pick(app, "Column of the label", "Diagnosis")
    pick(app, "Column of the patient", "Case")
    row = listed(app).set_index("File").loc["other.csv"]
    assert row["State"] == "ready" and row["Patients"] > 0 and "Normal" in row["Labels"]
    click(app, "preprocess")
    run = empty.store.runs.newest(empty.study.id, PREPROCESS)
    assert run is not None and run.summary["input_rows"] == ROWS + 30
    assert run.summary["columns"]["other.csv"] == {"wave": "Signal", "label": "Diagnosis", "patient": "Case"}
    assert run.summary["columns"]["ward 3.csv"]["wave"] == "ECG Wave", "a name given for one file is that file's"
    assert run.summary["unlabelled_rows"] == 0


@pytest.mark.real
def test_a_record_is_read_with_its_companions(empty: Opened, real_data: Path) -> None:
    names = [f"101.{ending}" for ending in ("hea", "dat", "atr")]
    contents = {name: (real_data / "mitdb-ds1" / name).read_bytes() for name in names}
    app = empty.page("upload")
    drop(app, ("101.dat", contents["101.dat"]))
    assert any("Without the .hea file" in one.value and "101.dat" in one.value for one in app.warning)
    drop(app, *[(name, contents[name]) for name in names[::2]])
    (row,) = listed(app).to_dict("records")
    assert row["State"] == "ready" and row["Rows"] == 181 and row["Rate"] == "360.0 Hz"
    assert row["File"].startswith("101.hea") and ".dat" in row["File"] and ".atr" in row["File"]
    click(app, "take_out")
    assert files_of(empty) == [], "signal and annotations leave with their header"


def test_impossible_settings_are_told_in_words_and_nothing_starts(with_files: Opened) -> None:
    app = with_files.page("upload")
    low = next(one for one in app.number_input if one.label == "Filter from (Hz)")
    low.set_value(60.0)
    app.run()
    assert "“Filter from (Hz)” is 60.0; it must be below “Filter to (Hz)” (45)." in [one.value for one in app.error]
    assert app.button(key="preprocess").disabled
    next(one for one in app.number_input if one.label == "Filter from (Hz)").set_value(1.0)
    app.run()
    assert not app.error and not app.button(key="preprocess").disabled


def test_settings_reach_the_run(with_files: Opened, jobs_wait: None) -> None:
    app = with_files.page("upload")
    for label, value in (("Filter from (Hz)", 1.0), ("Before the R-peak (ms)", 200.0), ("Clusters", 9)):
        next(one for one in app.number_input if one.label == label).set_value(value)
    next(one for one in app.selectbox if one.label == "Time axis").select(True)
    app.run()
    next(one for one in app.number_input if one.label == "Sampling rate (Hz)").set_value(250.0)
    app.run()
    click(app, "preprocess")
    (job,) = with_files.store.jobs.all(with_files.study.id)
    asked = job.params["config"]
    assert (asked["low_hz"], asked["pre_sec"], asked["n_global_clusters"], asked["fs"]) == (1.0, 0.2, 9, 250.0)
    assert app.button(key="preprocess").disabled, "one preprocessing at a time"


def test_the_gain_is_assumed_until_it_is_set(with_files: Opened) -> None:
    app = with_files.page("upload")
    assert any(one.label == "Units in one millivolt (assumed)" for one in app.number_input)
    next(one for one in app.number_input if one.label.startswith("Units in one millivolt")).set_value(100.0)
    app.run()
    study = with_files.store.studies.get(with_files.study.id)
    assert study.units_per_mv == 100.0 and not study.units_assumed
    assert any(one.label == "Units in one millivolt (set)" for one in app.number_input)


@pytest.mark.parametrize("profile", PROFILES)
def test_a_run_is_made_and_its_overview_agrees_with_the_store(with_files: Opened, jobs_now: None, profile: str) -> None:
    app = with_files.page("upload")
    choose_profile(app, profile)
    click(app, "preprocess")
    run = with_files.store.runs.newest(with_files.study.id, PREPROCESS)
    assert run is not None and run.config["profile"] == profile
    assert f", {profile} profile: {run.summary['strips']} strips" in texts(app)
    summary = run.summary
    shown = {one.label: one.value for one in app.metric}
    assert shown["Strips"] == f"{summary['strips']}" and shown["Rows skipped"] == f"{SKIPPED_ROWS}"
    assert shown["Beats"] == f"{summary['beats_extracted']:,}"
    assert shown["Noise"] == f"{summary['noise_beats'] / summary['beats_extracted']:.1%}"
    skipped = next(one.value for one in app.dataframe if list(one.value.columns) == ["file", "row", "reason"])
    assert skipped["row"].tolist() == [2, 3, 4], "rows as they are numbered in the sheet, below the header"
    assert set(skipped["file"]) == {FILE}
    labels = next(one.value for one in app.dataframe if "noise_share" in one.value.columns)
    assert labels["beats"].tolist() == list(summary["class_counts_raw"].values())
    assert labels["usable"].tolist() == list(summary["class_counts_usable"].values())
    reasons = next(one.value for one in app.dataframe if "share" in one.value.columns)
    counts = dict(summary["noise_reasons"])
    wandering = counts.pop("baseline", 0)
    assert reasons["beats"].sum() == sum(counts.values())
    assert ("Noisy strips" in shown) == (profile == ARRHYTHMIA)
    if profile == ARRHYTHMIA:
        assert shown["Noisy strips"] == f"{summary['noisy_strips']}"
        assert f"The baseline wanders at {wandering} beats" in texts(app)
        assert f"The edge of a strip cuts {summary['beats_cut_by_edges']} beats" in texts(app)


def test_the_profile_is_chosen_in_sight_with_the_figures_to_choose_by(with_files: Opened) -> None:
    app = with_files.page("upload")
    assert profile_box(app).value == OFFERED_FIRST
    captions = list(profile_box(app).proto.captions)
    assert sorted(captions) == sorted(profile_words(profile) for profile in PROFILES)
    shown = " ".join(one.proto.body for one in app.get("html"))
    rows = [re.findall(r">([^<]*)</t[hd]>", row) for row in re.findall(r"<tr>(.*?)</tr>", shown)]
    assert rows[0][1:] == ["Arrhythmia", "Reference"]
    assert rows[1:] == [[one.name, one.arrhythmia, one.reference] for one in FIGURES]


def test_a_profile_asks_only_for_what_it_uses(with_files: Opened, jobs_wait: None) -> None:
    app = with_files.page("upload")
    choose_profile(app, "reference")
    assert fields(app) >= {"R-peak finder", "Groups smaller than", "Clusters", "Filter from (Hz)"}
    next(one for one in app.number_input if one.label == "Clusters").set_value(9)
    app.run()
    choose_profile(app, "arrhythmia")
    assert not fields(app) & {"R-peak finder", "Groups smaller than", "Flat: height score under"}
    assert next(one for one in app.number_input if one.label == "Clusters").value == 9, "what both use stays"
    click(app, "preprocess")
    (job,) = with_files.store.jobs.all(with_files.study.id)
    assert job.params["config"]["profile"] == "arrhythmia" and job.params["config"]["n_global_clusters"] == 9


def test_a_study_goes_on_with_the_profile_it_was_made_with(preprocessed: Opened) -> None:
    app = preprocessed.page("upload")
    app.segmented_control[0].set_value("Files and settings").run()
    assert profile_box(app).value == "reference", "its run is of the reference profile"


def test_a_failed_run_says_why_and_can_be_tried_again(empty: Opened, jobs_now: None) -> None:
    flat = pd.DataFrame({"ECG Wave": [",".join(["5"] * 2604)] * 3, "Label": 0}).to_csv(index=False).encode()
    app = empty.page("upload")
    drop(app, ("flat.csv", flat))
    click(app, "preprocess")
    assert any("none of the 3 rows can be used (flat line: 3)" in one.value for one in app.error)
    assert any(one.label == "Try again" for one in app.button)
    assert files_of(empty) == ["flat.csv"]


def test_labels_that_lost_all_their_beats_are_told_loudly(empty: Opened, jobs_now: None) -> None:
    table = pd.read_csv(io.BytesIO(small_table())).iloc[SKIPPED_ROWS:]
    rare = table[table["Label"] == 1].iloc[:1]
    few = pd.concat([table[table["Label"] == 0].iloc[:12], rare.assign(Label=12)])
    wave = np.array(rare["ECG Wave"].iloc[0].split(","))
    few.iloc[-1, few.columns.get_loc("ECG Wave")] = ",".join(wave[:1200])
    app = empty.page("upload")
    drop(app, ("rare.csv", few.to_csv(index=False).encode()))
    click(app, "preprocess")
    told = [one.value for one in app.error]
    assert any(text.startswith(f"{label_name(12)} lost all of its") and "No model can learn" in text for text in told)


def test_later_decisions_mark_the_run_out_of_date_until_it_is_run_again(preprocessed: Opened, jobs_now: None) -> None:
    store, study = preprocessed.store, preprocessed.study
    row = store.runs.newest(study.id, PREPROCESS)
    assert row is not None
    app = preprocessed.page("upload")
    assert "Out of date" not in texts(app)
    run = load_run(store.runs.path(row))
    beat = int(np.flatnonzero((np.asarray(run.labels) == 0) & (np.asarray(run.noise_flags) == 0))[0])
    store.decisions.add([decide(study.id, "Dr Test", target_of(run, beat_index(run, row.id), beat), "label", 2)])
    app.run()
    assert "**Out of date.** 1 beat has another label" in texts(app)
    labels = next(one.value for one in app.dataframe if "noise_share" in one.value.columns)
    counted = dict(zip(labels["name"], labels["usable_now"] - labels["usable"], strict=True))
    assert counted["N  Normal"] == -1 and counted["V  PVC"] == 1
    click(app, "run_again")
    assert len(store.runs.all(study.id, PREPROCESS)) == 2
    assert "Out of date" not in texts(app)


def test_an_earlier_run_can_be_taken_in_hand(preprocessed: Opened, jobs_now: None) -> None:
    store, study = preprocessed.store, preprocessed.study
    first = store.runs.newest(study.id, PREPROCESS)
    assert first is not None
    store.files.add(study.id, "more.csv", other_names().replace(b"Signal", b"wave").replace(b"Diagnosis", b"label"))
    app = preprocessed.page("upload")
    assert "1 file came after it" in texts(app)
    click(app, "run_again")
    newest = store.runs.newest(study.id, PREPROCESS)
    assert newest is not None and newest.id != first.id
    (box,) = [one for one in app.selectbox if one.label == "Run in hand"]
    assert box.value == newest.id
    box.select(first.id)
    app.run()
    assert address(app, "run") == first.id
    assert {one.label: one.value for one in app.metric}["Strips"] == f"{first.summary['strips']}"


def test_a_full_disk_is_told_and_nothing_is_half_taken(empty: Opened, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_: object, **__: object) -> None:
        raise OSError(28, "No space left on device")

    app = empty.page("upload")
    monkeypatch.setattr(shutil, "copyfileobj", full)
    monkeypatch.setattr("state.files.os.fsync", full)
    drop(app, ("ward 3.csv", small_table()))
    assert any("was not taken" in one.value and "disk is full" in one.value for one in app.error)
    assert files_of(empty) == []
