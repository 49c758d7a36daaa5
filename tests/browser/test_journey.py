"""The whole road on real strips, as a person walks it: the store agrees with the screen after each step."""

from __future__ import annotations

from pathlib import Path

import pytest

from state.runs import PREPROCESS
from tests.browser.reading import Reader, until

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
    reader.click("preprocess")
    run = until(lambda: store.runs.newest(study.id, PREPROCESS), "the file was not preprocessed")
    assert run.summary["input_rows"] == 330
    reader.see(f"{run.summary['beats_extracted']:,}")
    reader.no_traceback()
    reader.page.screenshot(path="/tmp/lead/j1.png")

    # Label five beats by key, undo one.
    reader.go("Strips")
    for count, key in enumerate("vnvsn", 1):
        reader.type_key(key)
        until(lambda count=count: len(store.decisions.active(study.id)) == count, f"the key {key} was not kept")
    reader.page.screenshot(path="/tmp/lead/j2.png")
    made = store.decisions.active(study.id)
    assert [decision.new for decision in made] == ["PVC", "Normal", "PVC", "PAC", "Normal"]
    assert len({decision.target for decision in made}) == 5, "each key went to the next beat"
    reader.type_key("u")
    until(lambda: len(store.decisions.active(study.id)) == 4, "the undo was not kept")
    assert [decision.id for decision in store.decisions.active(study.id)] == [decision.id for decision in made[:4]]
    reader.no_traceback()
    reader.page.screenshot(path="/tmp/lead/j3.png")
