"""The History page: every decision in words, undone and brought back one by one, and taken along."""

from __future__ import annotations

import io

import pandas as pd
from streamlit.testing.v1 import AppTest

from components.history_table import _xlsx
from ecg_engine.labels import label_id
from state.deciding import Decision, activity, decide
from state.export import as_csv, as_xlsx
from state.targets import beat_target, strip_target
from state.telling import counts_per_day, history_table
from tests.pages.conftest import Opened
from tests.pages.test_app import address, texts
from tests.pages.test_prototypes import run_of
from tests.pages.test_strips import made, press

PVC, NORMAL = label_id("PVC"), label_id("Normal")


def shown_in(app: AppTest) -> pd.DataFrame:
    """The table of decisions on the screen."""
    return next(one.value for one in app.dataframe if "Change" in one.value.columns)


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
    shown = shown_in(app)
    assert len(shown) == 2 and set(shown["Who"]) == {"Dr Test"}
    assert shown["Change"].str.contains("PVC").sum() == 1
    assert shown["State"].str.startswith("undone").sum() == 1
    assert shown["What"].str.contains("Beat at").all()


def test_filters_narrow_the_list(preprocessed: Opened) -> None:
    some_decisions(preprocessed)
    app = preprocessed.page("history")
    app.segmented_control(key="history_state").set_value("Undone").run()
    shown = shown_in(app)
    assert len(shown) == 1


def select(app: AppTest, *decisions: Decision) -> AppTest:
    """Tick decisions in the table."""
    app.session_state["history_selected"] = [one.id for one in decisions]
    return app.run()


def test_selected_decisions_are_undone_and_brought_back(preprocessed: Opened) -> None:
    app = preprocessed.page("strips")
    for label in (PVC, NORMAL, PVC):
        press(app, f"label_{label}")
    first, second, third = made(preprocessed)
    app = select(preprocessed.page("history"), first, third)
    assert app.button(key="history_undo").label == "Undo 2" and app.button(key="history_redo").disabled
    app.button(key="history_undo").click().run()
    assert made(preprocessed) == [second], "the one between them stays"
    assert "2 undone" in texts(app)
    assert app.button(key="history_undo").disabled, "they are still selected, and undone"
    select(app, first)
    app.button(key="history_redo").click().run()
    assert [one.id for one in made(preprocessed)] == [first.id, second.id]


def test_an_undo_can_be_undone_itself(preprocessed: Opened) -> None:
    some_decisions(preprocessed)
    (undo,) = [one for one in preprocessed.store.decisions.listing(preprocessed.study.id) if one.undoes]
    app = preprocessed.page("history")
    app.toggle(key="history_undos").set_value(True).run()
    assert shown_in(app)["Kind"].tolist().count("Undo") == 1
    select(app, undo).button(key="history_undo").click().run()
    assert undo.undoes in [one.id for one in made(preprocessed)]
    assert shown_in(app)["Kind"].tolist().count("Redo") == 1


def test_a_decision_leads_to_its_beat(preprocessed: Opened) -> None:
    app = preprocessed.page("strips")
    press(press(app, "next"), "beat_after")
    strip, beat = address(app, "strip"), address(app, "beat")
    press(app, f"label_{PVC}")
    app = select(preprocessed.page("history"), *made(preprocessed))
    app.button(key="history_open").click().run()
    assert not app.exception
    assert (address(app, "strip"), address(app, "beat")) == (strip, beat)
    assert app.title[0].value == "Strips"


def test_decisions_without_a_place_are_listed_with_the_reason(preprocessed: Opened) -> None:
    _row, run = run_of(preprocessed)
    assert run.strips is not None
    elsewhere = beat_target("ab" * 32, 500)
    between = beat_target(str(run.strips.strip_hash[0]), 9_999_999)
    said = [decide(preprocessed.study.id, "Dr Test", target, "label", PVC) for target in (elsewhere, between)]
    preprocessed.store.decisions.add(said)
    app = preprocessed.page("history")
    assert "2 without a place in this run" in texts(app)
    lost = next(one.value for one in app.dataframe if "Why it has no place" in one.value.columns)
    assert lost["Why it has no place"].str.contains("strip is not in this run").sum() == 1
    assert lost["Why it has no place"].str.contains("no R-peak within 75 ms").sum() == 1
    assert len(shown_in(app)) == 2, "they are part of the history all the same"
    app = select(app, said[0])
    assert app.button(key="history_open").disabled, "there is no strip to open"


def test_filters_by_reader_and_kind(preprocessed: Opened) -> None:
    some_decisions(preprocessed)
    _, run = run_of(preprocessed)
    assert run.strips is not None
    target = strip_target(str(run.strips.strip_hash[2]))
    preprocessed.store.decisions.add([decide(preprocessed.study.id, "Dr Other", target, "note", "look again")])
    app = preprocessed.page("history")
    assert len(shown_in(app)) == 3
    app.multiselect(key=f"history_reader_{preprocessed.study.id}").set_value(["Dr Other"]).run()
    assert shown_in(app)["Change"].tolist() == ["look again"]
    app.multiselect(key="history_kind").set_value(["Beat"]).run()
    assert "No decision matches these filters." in texts(app)


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
