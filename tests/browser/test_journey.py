"""The whole road on real strips, as a person walks it: the store agrees with the screen after each step."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from playwright.sync_api import expect

from state.runs import ALERTS, PREDICT, PREPROCESS, TRAIN
from tests.browser.reading import PATIENCE, Reader, until

pytestmark = [pytest.mark.browser, pytest.mark.real, pytest.mark.timeout(600)]


def test_from_a_spreadsheet_to_a_retrained_model(reader: Reader, real_data: Path) -> None:
    store = reader.store()
    reader.open()
    reader.see("Drop a file to begin")

    # Upload, look, preprocess.
    reader.page.locator('input[type="file"]').first.set_input_files(real_data / "mitdb_ds1_small.xlsx")
    study = until(lambda: store.studies.all(), "no study was made for the file")[0]
    reader.see("mitdb_ds1_small.xlsx")
    assert [file.name for file in store.files.all(study.id)] == ["mitdb_ds1_small.xlsx"]
    reader.rest()
    reader.choose_profile("Reference")
    reader.click("preprocess")
    run = until(lambda: store.runs.newest(study.id, PREPROCESS), "the file was not preprocessed")
    assert run.summary["input_rows"] == 330
    reader.see(f"{run.summary['beats_extracted']:,}")
    reader.no_traceback()

    # Label five beats by key, undo one.
    reader.go("Strips")
    for count, key in enumerate("vnvsn", 1):
        reader.type_key(key)
        until(lambda count=count: len(store.decisions.active(study.id)) == count, f"the key {key} was not kept")
    made = store.decisions.active(study.id)
    assert [decision.new for decision in made] == ["PVC", "Normal", "PVC", "PAC", "Normal"]
    assert len({decision.target for decision in made}) == 5, "each key went to the next beat"
    reader.type_key("u")
    until(lambda: len(store.decisions.active(study.id)) == 4, "the undo was not kept")
    assert [decision.id for decision in store.decisions.active(study.id)] == [decision.id for decision in made[:4]]
    reader.no_traceback()

    # Train two epochs.
    reader.go("Training")
    epochs = reader.page.get_by_role("spinbutton", name="Epochs")
    epochs.fill("2")
    epochs.press("Enter")
    reader.rest()
    reader.click("train")
    model = until(lambda: store.models.current(study.id), "no model came of the training")
    row = store.runs.newest(study.id, TRAIN)
    assert row is not None and row.config["epochs"] == 2
    reader.see(f"judged on {len(model.metrics['patients_val'])} patients never seen")
    reader.no_traceback()

    # Predict; the queue stands at its first beat, and an answer is kept.
    reader.go("Review")
    reader.click("predict")
    predicted = until(lambda: store.runs.newest(study.id, PREDICT), "nothing was predicted")
    under_review = predicted.summary["num_review_flagged"]
    assert under_review
    queue = reader.page.locator(".queue:not(.nothing):not(.waiting)[data-item]")
    expect(queue).to_be_visible(timeout=PATIENCE)
    reader.see(re.compile(r"[\d,]+ of [\d,]+ settled"))
    before, item = len(store.decisions.active(study.id)), str(queue.get_attribute("data-item"))
    reader.type_key("n")
    until(lambda: len(store.decisions.active(study.id)) > before, "the answer was not kept")
    answer = store.decisions.active(study.id)[-1]
    assert (answer.target, answer.field, answer.new) == (item, "label", "Normal")
    reader.see(re.compile(r"[1-9][\d,]* of [\d,]+ settled"))
    reader.no_traceback()

    # Alerts.
    reader.go("Alerts")
    reader.click("alerts_search")
    searched = until(lambda: store.runs.newest(study.id, ALERTS), "no search was made")
    rows = store.alerts.all(searched.id)
    assert sum(row.size for row in rows) == under_review
    reader.see(f"{under_review:,} beats under review in {len(rows)} clusters")
    reader.no_traceback()

    # Retrain with one key: the new model is listed beside the current one, on the same held-out patients.
    reader.go("Training")
    reader.type_key("t")
    newer = until(lambda: next((m for m in store.models.all(study.id) if not m.current), None), "no new model")
    assert newer.status == "candidate" and newer.comparison
    assert newer.metrics["patients_val"] == model.metrics["patients_val"]
    assert newer.comparison["candidate"]["num_beats"] == newer.comparison["current"]["num_beats"]
    current = store.models.current(study.id)
    assert current is not None and current.id == model.id, "the current model stays until somebody changes it"
    reader.see("Model 2 beside Model 1")

    # All that was decided is in the history.
    reader.go("History")
    reader.see("By hour and reader")
    reader.no_traceback()
