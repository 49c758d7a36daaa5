"""Decisions on real strips survive preprocessing again with other settings: each is in its place, or it is listed."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from ecg_engine.config import PreprocessConfig
from ecg_engine.labels import label_id
from ecg_engine.preprocess import PEAK_EDITS_KEY, Run, preprocess
from ecg_engine.strips import Strips, read_strips
from state.anchors import BeatIndex, beat_index
from state.deciding import Decision
from state.effective import Effective, effective_labels
from state.peaks import peak_edits
from state.strip_beats import beats_of_strips
from state.targets import beat_target, strip_target
from tests.state.runs_for_tests import Reading

pytestmark = pytest.mark.real

LABELS = ("PVC", "PAC", "Couplets")


@pytest.fixture(scope="module")
def strips(real_data: Path) -> Strips:
    return read_strips(real_data / "mitdb_ds1_small.xlsx", PreprocessConfig())


@pytest.fixture(scope="module")
def first(strips: Strips) -> tuple[Run, BeatIndex]:
    run = preprocess(strips, PreprocessConfig())
    return run, beat_index(run, "run1")


@pytest.fixture(scope="module")
def decisions(first: tuple[Run, BeatIndex]) -> list[Decision]:
    """On every third strip one peak deleted, one moved and labelled, one added and labelled, one labelled; on another
    beat of each: noise, a note, a seed, doubt."""
    index, said = first[1], Reading()
    made: list[Decision] = []
    for place in range(0, len(index.names), 3):
        name, times = index.names[place], index.time_ms[index.rows_of_strip(place)].tolist()
        if len(times) < 8:
            continue
        label = LABELS[place % 3]
        gap = (times[5] + times[6]) // 2
        made += [
            said(beat_target(name, times[1]), "label", "PVC"),
            said(beat_target(name, times[1]), "peak", "deleted"),
            said(beat_target(name, times[2]), "label", label),
            said(beat_target(name, times[2]), "peak", times[2] + 110),
            said(beat_target(name, gap), "peak", "added"),
            said(beat_target(name, gap), "label", label),
            said(beat_target(name, times[3]), "label", label),
            said(beat_target(name, times[4]), "noise", place % 2),
            said(beat_target(name, times[4]), "note", "looked at"),
            said(beat_target(name, times[7]), "seed", label),
            said(beat_target(name, times[7]), "unsure", 1),
        ]
        if place % 2:
            made.append(said(strip_target(name), "label", label))
    return made


@pytest.mark.parametrize(
    "settings",
    [{"detector": "gradient"}, {"low_hz": 5.0, "high_hz": 20.0}, {"pre_sec": 0.35, "post_sec": 0.5}],
    ids=["another detector", "another bandpass", "wider beats"],
)
def test_each_decision_is_in_its_place_or_listed(
    strips: Strips, decisions: list[Decision], settings: dict[str, Any]
) -> None:
    edits = peak_edits(decisions)
    run = preprocess(strips, PreprocessConfig(**settings), peaks=edits)
    index = beat_index(run, "run2")
    effective = effective_labels(index, decisions)
    told = run.summary[PEAK_EDITS_KEY]
    listed = {lost.decision.id for lost in effective.unmatched}
    beats = beats_of_strips(run, index, effective)
    by_strip = {int(place): table for place, table in beats.groupby("place")}
    for decision in decisions:
        if decision.id not in listed:
            assert _in_place(decision, by_strip, index, effective, decisions), decision
    # Edits never get lost for want of a peak: the reader has seen it. Only the strip's edge can stand against them.
    peaks = [decision for decision in decisions if decision.field == "peak"]
    lost = [decision for decision in peaks if decision.id in listed]
    assert len(lost) == len(told["refused"]) <= 0.2 * len(peaks)
    assert len(listed) < 0.1 * len(decisions)
    # What the run has not taken in, it would have beside its rows.
    assert len(effective.added) == len(told["refused"])
    assert not effective.moved.any() and not effective.deleted.any()


def _in_place(
    decision: Decision,
    by_strip: dict[int, pd.DataFrame],
    index: BeatIndex,
    effective: Effective,
    decisions: list[Decision],
) -> bool:
    kind, name, *time = decision.target.split(":")
    place = index.hashes[name]
    if kind == "strip":
        rows = index.rows_of_strip(place)
        own = effective.source[rows] == "strip"
        return bool(own.any()) and set(effective.labels[rows][own].tolist()) == {label_id(str(decision.new))}
    anchor, table = int(time[0]), by_strip[place]
    peak = next((one.new for one in decisions if one.target == decision.target and one.field == "peak"), None)
    if peak == "deleted":  # and what was said of it is about nothing
        near = table[(table["time_ms"] - anchor).abs() <= 75]
        return len(near) == 0
    at = anchor if peak in (None, "added") else int(peak)
    reach = 75 if peak is None else 0
    near = table[(table["time_ms"] - at).abs() <= reach]
    if len(near) != 1:
        return False
    beat = near.iloc[0]
    if decision.field == "label":
        return bool(beat["label"] == label_id(str(decision.new)) and beat["source"] == "beat")
    if decision.field == "noise":
        return bool(beat["noise"] == (decision.new == "1"))
    held = {"note": beat["note"], "seed": beat["seed"], "unsure": "1" if beat["unsure"] else "0"}
    return decision.field == "peak" or bool(held[decision.field] == decision.new)


def test_edits_taken_in_are_the_same_as_edits_shown(
    strips: Strips, first: tuple[Run, BeatIndex], decisions: list[Decision]
) -> None:
    run, index = first
    shown = beats_of_strips(run, index, effective_labels(index, decisions))
    again = preprocess(strips, PreprocessConfig(), peaks=peak_edits(decisions))
    later = beat_index(again, "run2")
    taken = beats_of_strips(again, later, effective_labels(later, decisions))
    for column in ("place", "time_ms", "anchor_ms", "label", "source", "seed", "unsure", "note", "rr_prev", "rr_next"):
        same = shown[column].to_numpy() == taken[column].to_numpy()
        # Noise is computed anew over all beats of the file: only what the flags decide may differ.
        assert same.all(), (column, np.flatnonzero(~same)[:5])
    assert set(taken["peak"]) == {None}
    # And all of them can be undone without preprocessing: the strips are as they were at first.
    undone = beats_of_strips(again, later, effective_labels(later, []))
    before = beats_of_strips(run, index, effective_labels(index, []))
    assert undone[["place", "time_ms", "label"]].equals(before[["place", "time_ms", "label"]])
