"""The History page: every decision in words, undone and brought back one by one, and taken along."""

from __future__ import annotations

import io

import pandas as pd

from components.history_table import _xlsx
from ecg_engine.labels import label_id
from state.deciding import activity
from state.export import as_csv, as_xlsx
from state.telling import counts_per_day, history_table
from tests.pages.conftest import Opened
from tests.pages.test_app import texts
from tests.pages.test_prototypes import run_of
from tests.pages.test_strips import made, press

PVC, NORMAL = label_id("PVC"), label_id("Normal")


def some_decisions(opened: Opened) -> None:
    app = opened.page("strips")
    press(press(press(app, f"label_{PVC}"), f"label_{NORMAL}"), "undo")


def listing(opened: Opened) -> pd.DataFrame:
    run = run_of(opened)[1]
    return history_table(opened.store.decisions.listing(opened.study.id), run.strips, None)


def test_an_empty_history_says_what_will_stand_here(preprocessed: Opened) -> None:
    app = preprocessed.page("history")
    assert "decision" in texts(app).lower()


def test_all_decisions_are_listed_with_who_what_and_whether_they_hold(preprocessed: Opened) -> None:
    some_decisions(preprocessed)
    app = preprocessed.page("history")
    shown = next(one.value for one in app.dataframe if "Change" in one.value.columns)
    assert len(shown) == 2 and set(shown["Who"]) == {"Dr Test"}
    assert shown["Change"].str.contains("PVC").sum() == 1
    assert shown["State"].str.startswith("undone").sum() == 1
    assert shown["What"].str.contains("Beat at").all()


def test_filters_narrow_the_list(preprocessed: Opened) -> None:
    some_decisions(preprocessed)
    app = preprocessed.page("history")
    app.segmented_control(key="history_state").set_value("Undone").run()
    shown = next(one.value for one in app.dataframe if "Change" in one.value.columns)
    assert len(shown) == 1


def test_the_exports_say_what_the_store_says(preprocessed: Opened) -> None:
    some_decisions(preprocessed)
    table = listing(preprocessed)
    stored = preprocessed.store.decisions.listing(preprocessed.study.id)
    back = pd.read_csv(io.BytesIO(as_csv(table)))
    assert sorted(back["id"]) == sorted(one.id for one in stored)
    book = pd.read_excel(io.BytesIO(_xlsx(table, None)))
    assert sorted(book["id"]) == sorted(back["id"])
    assert sum(activity(stored).values()) == len(made(preprocessed)) + 1, "the label that holds, and the undo"


def test_text_that_looks_like_a_formula_stays_text() -> None:
    from openpyxl import load_workbook

    book = load_workbook(io.BytesIO(as_xlsx({"notes": pd.DataFrame({"note": ["=1+1", "plain"]})})))
    cell = book["notes"]["A2"]
    assert cell.value == "=1+1" and cell.data_type != "f"


def test_counts_per_reader_and_day(preprocessed: Opened) -> None:
    some_decisions(preprocessed)
    counts = counts_per_day(listing(preprocessed))
    assert len(counts) == 1 and counts.iloc[0].tolist().count(2) == 1
