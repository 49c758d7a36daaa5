"""Decisions in words: what is about what, what changed, and whether it holds."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime
from types import SimpleNamespace
from typing import Any

import numpy as np
import pandas as pd
import pytest

from ecg_engine.tables import NO_PATIENT
from state.deciding import Decision
from state.store import Store
from state.studies import Study
from state.targets import alert_target, beat_target, prototype_target, strip_target
from state.telling import (
    HISTORY_COLUMNS,
    beat_of,
    clock,
    history_table,
    local,
    told_change,
    told_decision,
    told_target,
)
from tests.state.runs_for_tests import Reading, index_of, strip_hash

INDEX = index_of([[500, 1500], [700]])
STRIPS: Any = SimpleNamespace(
    source_row=np.array([17, 18]),
    patient_id=np.array(["101", NO_PATIENT], dtype=object),
    source_file=np.array(["ward.xlsx", "ward.xlsx"]),
    file_row=np.array([16, 17]),
)
BEAT, STRIP = beat_target(strip_hash(0), 1500), strip_target(strip_hash(1))


@pytest.mark.parametrize(
    ("target", "words"),
    [
        (BEAT, "Beat at 1.50 s of strip 17 (patient 101)"),
        (STRIP, "Strip 18 (patient unknown)"),
        (strip_target(strip_hash(9)), "A strip that is not in this run"),
        (beat_target(strip_hash(9), 40), "Beat at 0.04 s of a strip that is not in this run"),
        (prototype_target("run1", 4), "Prototype 4"),
        (prototype_target("run0", 4), "Prototype 4 of an earlier run"),
        (alert_target("run1", 2), "New pattern 2"),
    ],
)
def test_targets_are_told(target: str, words: str) -> None:
    assert told_target(target, STRIPS, INDEX).words == words


@pytest.mark.parametrize(
    ("new", "old", "words"),
    [
        ("added", None, "R-peak added at 1.50 s"),
        ("deleted", None, "R-peak deleted"),
        (1580, None, "R-peak moved from 1.50 s to 1.58 s"),
        (1640, "1580", "R-peak moved from 1.58 s to 1.64 s"),
        (1640, "added", "R-peak moved from 1.50 s to 1.64 s"),
        (None, "deleted", "R-peak as computed again"),
    ],
)
def test_edits_of_peaks_are_told(new: Any, old: str | None, words: str) -> None:
    made = Reading()(BEAT, "peak", new, old=old)
    assert told_change(made) == words
    assert told_decision(made, STRIPS, INDEX) == f"Beat at 1.50 s of strip 17 (patient 101): {words}"
    row = history_table([made], STRIPS, INDEX).iloc[0]
    assert (row["field"], row["change"], row["beat_time_sec"]) == ("R-peak", words, 1.5)


def test_undone_edits_of_peaks_are_told() -> None:
    made = Reading()(BEAT, "peak", 1580)
    undo = replace(made, id="u", old=made.new, new=made.old, undoes=made.id)
    assert told_change(undo) == "R-peak at 1.58 s → as computed"
    added = Reading()(BEAT, "peak", "added")
    undo = replace(added, id="u", old=added.new, new=added.old, undoes=added.id)
    assert told_change(undo) == "R-peak added → as computed"


def test_a_beat_is_found_within_reach_of_its_peak_and_nothing_else_is() -> None:
    assert beat_of(BEAT, INDEX) == 1
    assert beat_of(beat_target(strip_hash(0), 1540), INDEX) == 1
    assert beat_of(beat_target(strip_hash(0), 1000), INDEX) is None
    assert beat_of(STRIP, INDEX) is None


@pytest.mark.parametrize(
    ("field", "old", "new", "words"),
    [
        ("label", "Normal", "PVC", "Normal → PVC"),
        ("label", None, "PVC", "not said → PVC"),
        ("label", "PVC", None, "PVC → not said"),
        ("label", "PVC", "PVC", "PVC, confirmed"),
        ("noise", None, 1, "noise"),
        ("noise", "1", 0, "is valid after all"),
        ("seed", None, "PVC", "no seed → PVC"),
        ("seed", "PVC", None, "PVC → no seed"),
        ("unsure", None, 1, "unsure"),
        ("not_like", None, "PVC", "not like PVC"),
    ],
)
def test_changes_are_told(field: str, old: str | None, new: Any, words: str) -> None:
    assert told_change(Reading()(BEAT, field, new, old=old)) == words


def test_one_line_says_what_and_how() -> None:
    made = Reading()(BEAT, "label", "PVC", old="Normal")
    assert told_decision(made, STRIPS, INDEX) == "Beat at 1.50 s of strip 17 (patient 101): Normal → PVC"


@pytest.fixture
def undone_twice(store: Store, study: Study) -> tuple[Store, Decision, Decision]:
    """One label undone by another reader, one undone and brought back."""
    say = Reading(study.id)
    first, second = say(BEAT, "label", "PVC", old="Normal"), say(STRIP, "label", "PAC", reason="P wave")
    store.decisions.add([first, second])
    store.decisions.undo(first.id, "Bo")
    store.decisions.undo(second.id, "Bo")
    store.decisions.redo(second.id, "Cy")
    return store, first, second


def test_the_history_has_every_decision_once_newest_first(undone_twice: tuple[Store, Decision, Decision]) -> None:
    store, first, second = undone_twice
    stored = store.decisions.listing(first.study_id)
    table = history_table(stored, STRIPS, INDEX)
    assert tuple(table.columns) == HISTORY_COLUMNS
    assert table["id"].tolist() == [one.id for one in sorted(stored, key=lambda one: one.order, reverse=True)]
    assert table["at"].is_monotonic_decreasing
    by_id = table.set_index("id")
    assert (by_id.loc[first.id, "state"], by_id.loc[first.id, "undone_by"]) == ("Undone", "Bo")
    assert (by_id.loc[second.id, "state"], by_id.loc[second.id, "undone_by"]) == ("Holds", "")
    assert sorted(table["action"]) == ["Decision", "Decision", "Redo", "Undo", "Undo"]
    assert by_id.loc[second.id, "reason"] == "P wave"
    assert by_id.loc[first.id, ["strip", "patient", "file", "file_row", "beat_time_sec"]].tolist() == [
        17, "101", "ward.xlsx", 17, 1.5
    ]  # fmt: skip
    assert by_id.loc[second.id, "patient"] == "" and pd.isna(by_id.loc[second.id, "beat_time_sec"])


def test_without_a_run_the_history_still_has_them_all(undone_twice: tuple[Store, Decision, Decision]) -> None:
    store, first, _ = undone_twice
    stored = store.decisions.listing(first.study_id)
    table = history_table(stored, None, None)
    assert len(table) == len(stored) and table["strip"].isna().all()
    assert table["what"].str.contains("not in this run").all()


def test_clocks_go_by_their_zone() -> None:
    at = datetime(2026, 11, 24, 8, 4, tzinfo=UTC)
    assert clock(at, None) == "24 Nov, 08:04"
    assert clock(at, "Asia/Kolkata") == "24 Nov, 13:34"
    times = local(pd.Series([pd.Timestamp(at)]), "Asia/Kolkata")
    assert times[0] == pd.Timestamp("2026-11-24 13:34") and times.dt.tz is None
