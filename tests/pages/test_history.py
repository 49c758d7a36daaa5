"""The History page: every decision in words, found by filters, undone and brought back one by one, and taken along."""

from __future__ import annotations

import io
from datetime import UTC, datetime, timedelta

import numpy as np
import pandas as pd
import pytest
from openpyxl import load_workbook
from streamlit.testing.v1 import AppTest

from components.history_filters import strips_named
from components.history_table import PAGE_SIZE, _xlsx
from ecg_engine.labels import label_id
from state.deciding import Decision, activity, decide
from state.export import as_csv, as_xlsx
from state.history import DOINGS
from state.plain import now
from state.targets import beat_target, strip_target
from state.telling import history_table
from tests.pages.conftest import Opened
from tests.pages.test_app import address, texts
from tests.pages.test_prototypes import run_of

PVC, NORMAL = label_id("PVC"), label_id("Normal")


def shown_in(app: AppTest) -> pd.DataFrame:
    """The table of decisions on the screen."""
    return next(one.value for one in app.dataframe if "Change" in one.value.columns)


def made(opened: Opened) -> list[Decision]:
    return opened.store.decisions.active(opened.study.id)


def beat(opened: Opened, row: int = 0, later_ms: int = 0) -> str:
    """Target of a beat of the run."""
    run = run_of(opened)[1]
    assert run.strips is not None
    place = int(np.flatnonzero(run.strips.source_row == run.metadata["source_row"].iloc[row])[0])
    time = round(1000 * float(run.metadata["r_time_sec"].iloc[row]))
    return beat_target(str(run.strips.strip_hash[place]), time + later_ms)


def say(opened: Opened, target: str, field: str, new: object, *, by: str = "Dr Test", at: datetime | None = None,
        old: object = None) -> Decision:  # fmt: skip
    said = decide(opened.study.id, by, target, field, new, old=old, at=at)  # type: ignore[arg-type]
    opened.store.decisions.add([said])
    return said


def some_decisions(opened: Opened) -> list[Decision]:
    """A label that holds, and another that was undone."""
    first = say(opened, beat(opened), "label", PVC, old=NORMAL)
    second = say(opened, beat(opened, 1), "label", NORMAL)
    opened.store.decisions.undo(second.id, "Dr Test")
    return [first, second]


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


def test_edits_of_r_peaks_are_told_and_found(preprocessed: Opened) -> None:
    time = int(beat(preprocessed).rsplit(":", 1)[1])
    say(preprocessed, beat(preprocessed, 0, 310), "peak", "added")
    say(preprocessed, beat(preprocessed, 1), "peak", "deleted")
    say(preprocessed, beat(preprocessed), "peak", time + 40)
    app = preprocessed.page("history")
    assert set(shown_in(app)["Field"]) == {"R-peak added", "R-peak deleted", "R-peak moved"} <= set(DOINGS)
    app.multiselect(key="history_doing").set_value(["R-peak moved"]).run()
    (change,) = shown_in(app)["Change"]
    assert change == f"R-peak moved from {time / 1000:.2f} s to {(time + 40) / 1000:.2f} s"


def test_filters_narrow_the_list(preprocessed: Opened) -> None:
    some_decisions(preprocessed)
    app = preprocessed.page("history")
    app.segmented_control(key="history_state").set_value("Undone").run()
    shown = shown_in(app)
    assert len(shown) == 1


def test_filters_by_strip_patient_and_time(preprocessed: Opened) -> None:
    run = run_of(preprocessed)[1]
    assert run.strips is not None
    for place in (0, 5, 9):
        target = strip_target(str(run.strips.strip_hash[place]))
        say(preprocessed, target, "note", f"note {place}", at=now() - timedelta(days=place))
    numbers, patients = run.strips.source_row[[0, 5, 9]], [str(run.strips.patient_id[k]) for k in (0, 5, 9)]
    app = preprocessed.page("history")
    app.text_input(key="history_strips").set_value(f"{numbers[0]}, {numbers[2]}").run()
    assert sorted(shown_in(app)["Change"]) == ["note 0", "note 9"]
    app.text_input(key="history_strips").set_value("all of them").run()
    assert "Write numbers of strips" in texts(app) and len(shown_in(app)) == 3
    app.text_input(key="history_strips").set_value("").run()
    app.selectbox(key="history_when").set_value("Last hour").run()
    assert shown_in(app)["Change"].tolist() == ["note 0"]
    app.selectbox(key="history_when").set_value("Last 7 days").run()
    assert sorted(shown_in(app)["Change"]) == ["note 0", "note 5"]
    app.selectbox(key="history_when").set_value("Any time").run()
    app.multiselect(key=f"history_patient_{preprocessed.study.id}").set_value([patients[1]]).run()
    expected = [f"note {place}" for place, one in zip((0, 5, 9), patients, strict=True) if one == patients[1]]
    assert sorted(shown_in(app)["Change"]) == expected


@pytest.mark.parametrize(
    ("text", "numbers"),
    [("", ()), ("7", (7,)), ("3, 5-7", (3, 5, 6, 7)), ("1 - 2;9", (1, 2, 9)), ("7-3", None), ("x", None), ("-4", None)],
)
def test_strips_as_people_write_them(text: str, numbers: tuple[int, ...] | None) -> None:
    assert strips_named(text) == numbers


def select(app: AppTest, *decisions: Decision) -> AppTest:
    """Tick decisions in the table."""
    app.session_state["history_selected"] = [one.id for one in decisions]
    return app.run()


def test_selected_decisions_are_undone_and_brought_back(preprocessed: Opened) -> None:
    first, second, third = (say(preprocessed, beat(preprocessed, row), "label", PVC) for row in range(3))
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
    metadata = run_of(preprocessed)[1].metadata
    row = 17
    said = say(preprocessed, beat(preprocessed, row), "label", PVC)
    app = select(preprocessed.page("history"), said)
    app.button(key="history_open").click().run()
    assert not app.exception
    assert address(app, "strip") == str(metadata["source_row"].iloc[row])
    assert address(app, "beat") == str(metadata["beat_global_id"].iloc[row])
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


def test_filters_by_reader_and_kind_and_the_way_back(preprocessed: Opened) -> None:
    some_decisions(preprocessed)
    _, run = run_of(preprocessed)
    assert run.strips is not None
    target = strip_target(str(run.strips.strip_hash[2]))
    say(preprocessed, target, "note", "look again", by="Dr Other")
    app = preprocessed.page("history")
    assert len(shown_in(app)) == 3
    app.multiselect(key=f"history_reader_{preprocessed.study.id}").set_value(["Dr Other"]).run()
    assert shown_in(app)["Change"].tolist() == ["look again"]
    app.multiselect(key="history_kind").set_value(["Beat"]).run()
    assert "No decision matches these filters." in texts(app)
    app.button(key="history_clear").click().run()
    assert len(shown_in(app)) == 3


def many_decisions(opened: Opened, count: int, start: datetime) -> list[Decision]:
    target = beat(opened)
    said = [
        decide(opened.study.id, "Dr Test", target, "note", f"n{k}", at=start + timedelta(seconds=k))
        for k in range(count)
    ]
    opened.store.decisions.add(said)
    return said


def test_a_long_history_comes_page_by_page_and_keeps_its_place_when_more_is_stored(preprocessed: Opened) -> None:
    start = datetime(2026, 3, 1, 8, tzinfo=UTC)
    said = many_decisions(preprocessed, PAGE_SIZE + 30, start)
    app = preprocessed.page("history")
    assert shown_in(app)["Change"].tolist() == [f"n{k}" for k in range(PAGE_SIZE + 29, 29, -1)]
    app.button(key="history_older").click().run()
    second = shown_in(app)["Change"].tolist()
    assert second == [f"n{k}" for k in range(29, -1, -1)]
    assert app.button(key="history_older").disabled
    # The channel stores more meanwhile: the page stays with what is being looked at.
    select(app, said[3])
    many_decisions(preprocessed, 7, start + timedelta(hours=1))
    app.run()
    assert shown_in(app)["Change"].tolist() == second
    assert app.session_state["history_selected"] == [said[3].id]
    assert app.button(key="history_newest").label == f"Newest ({PAGE_SIZE + 7:,} above)"
    app.button(key="history_newest").click().run()
    assert shown_in(app)["Change"].tolist()[0] == "n6"


def test_the_first_page_follows_what_comes_in_until_something_is_selected(preprocessed: Opened) -> None:
    start = datetime(2026, 3, 1, 8, tzinfo=UTC)
    said = many_decisions(preprocessed, 3, start)
    app = preprocessed.page("history")
    many_decisions(preprocessed, 2, start + timedelta(hours=1))
    app.run()
    assert shown_in(app)["Change"].tolist() == ["n1", "n0", "n2", "n1", "n0"]
    select(app, said[0])
    many_decisions(preprocessed, 1, start + timedelta(hours=2))
    app.run()
    assert len(shown_in(app)) == 5, "the new one waits above"
    assert "Newest (1 above)" in [one.label for one in app.button]


def test_counts_per_hour_lead_to_what_they_count(preprocessed: Opened) -> None:
    many_decisions(preprocessed, 4, datetime(2026, 3, 1, 8, 10, tzinfo=UTC))
    many_decisions(preprocessed, 2, datetime(2026, 3, 1, 9, 10, tzinfo=UTC))
    app = preprocessed.page("history")
    hours = next(one.value for one in app.dataframe if "Hour" in one.value.columns)
    assert hours["Dr Test"].tolist() == [2, 4]
    app.segmented_control(key="history_counted").set_value("Items").run()
    hours = next(one.value for one in app.dataframe if "Hour" in one.value.columns)
    assert hours["Dr Test"].tolist() == [1, 1], "one beat, however often it was decided"
    app.session_state["history_cell"] = (datetime(2026, 3, 1, 8), "Dr Test")
    app.run()
    assert len(shown_in(app)) == 4 and "Only **Dr Test**, Sun 1 Mar, 08:00 to 09:00." in texts(app)
    app.button(key="history_all_hours").click().run()
    assert len(shown_in(app)) == 6


def test_the_exports_say_what_the_store_says(preprocessed: Opened) -> None:
    some_decisions(preprocessed)
    table = listing(preprocessed).assign(doing="Label")
    stored = preprocessed.store.decisions.listing(preprocessed.study.id)
    back = pd.read_csv(io.BytesIO(as_csv(table)))
    assert sorted(back["id"]) == sorted(one.id for one in stored)
    sheets = pd.read_excel(io.BytesIO(_xlsx(table, None)), sheet_name=None)
    assert sorted(sheets["Decisions"]["id"]) == sorted(back["id"])
    assert sheets["Per hour"]["Dr Test"].sum() == 2 and sheets["Per reader"]["undos"].tolist() == [1]
    assert sum(activity(stored).values()) == len(made(preprocessed)) + 1, "the label that holds, and the undo"


def test_the_page_offers_the_files_and_says_what_happens_to_text(preprocessed: Opened) -> None:
    say(preprocessed, beat(preprocessed), "note", "=1+1")
    app = preprocessed.page("history")
    assert "has an apostrophe before it" in texts(app)
    assert shown_in(app)["Change"].tolist() == ["=1+1"], "on the screen it is as it was written"


def test_text_that_looks_like_a_formula_stays_text() -> None:
    book = load_workbook(io.BytesIO(as_xlsx({"notes": pd.DataFrame({"note": ["=1+1", "plain"]})})))
    cell = book["notes"]["A2"]
    assert cell.value == "=1+1" and cell.data_type != "f"
