"""Where the reader is on the Strips page: the strip and the beat in hand."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import streamlit as st
from numpy.typing import NDArray

from components.strip_findings import newest_found
from ecg_engine.preprocess import Run
from state import session
from state.anchors import BeatIndex
from state.effective import Effective
from state.runs import RunRow
from state.strip_rows import StripRows, strip_rows
from state.targets import strip_target
from state.telling import patient_words

_BY_HAND = "strips_beat_by_hand"
"""(place, anchor in ms) of a beat in hand that the run has no number for: its R-peak was added since."""


@dataclass(frozen=True)
class View:
    """The strip in hand, gathered once per drawing.

    ``place`` is the strip's place in the run; ``beats`` the rows of its beats in order of time, without those whose
    R-peak was deleted; ``at`` which of them is in hand, -1 for none.
    """

    row: RunRow
    run: Run
    index: BeatIndex
    effective: Effective
    rows: StripRows
    place: int
    beats: NDArray[np.int64]
    at: int

    @property
    def strip(self) -> int:
        """Number of the strip."""
        return int(self.rows.table["strip"].iloc[self.place])

    @property
    def hash(self) -> str:
        """What decisions find the strip by."""
        return self.rows.hashes[self.place]

    @property
    def target(self) -> str:
        """Target of a decision on the whole strip."""
        return strip_target(self.hash)

    @property
    def label(self) -> int:
        """Effective label of the strip."""
        return int(self.rows.table["label"].iloc[self.place])

    @property
    def patient(self) -> str:
        """``"patient 101"``."""
        assert self.run.strips is not None
        return patient_words(self.run.strips.patient_id[self.place])

    @property
    def beat(self) -> int:
        """Row of the beat in hand; -1 for none."""
        return int(self.beats[self.at]) if self.at >= 0 else -1

    @property
    def anchor(self) -> int | None:
        """Time in ms that decisions on the beat in hand are anchored to; None for no beat in particular."""
        place, anchor = st.session_state.get(_BY_HAND) or (-1, 0)
        if place == self.place:
            return int(anchor)
        return int(self.effective.anchor_ms[self.beat]) if self.at >= 0 else None

    def beat_id(self, at: int) -> int:
        """Id of the n-th beat of the strip."""
        return int(self.index.beat_ids[self.beats[at]])


@st.cache_resource(show_spinner=False, max_entries=6)
def _rows(run_id: str, folder: str, version: int, prediction_id: str) -> StripRows:
    row = session.store().runs.get(run_id)
    found = newest_found(row) if prediction_id else None
    findings = found.findings if found else None
    decisions = session.active_decisions()
    return strip_rows(session.load(row), session.index(row), session.effective(row), decisions, findings)


def all_rows(row: RunRow) -> StripRows:
    """The run's strips by effective labels and its newest prediction, kept until the next decision. Read-only."""
    found, version = newest_found(row), session.store().decisions.version(row.study_id)
    return _rows(row.id, str(session.store().folder), version, found.id if found else "")


def view_of(row: RunRow, rows: StripRows, shown: NDArray[np.int64]) -> View:
    """The strip and beat chosen, else the first strip shown.

    Parameters
    ----------
    shown : int64 (k,)
        Places of the strips that the list shows, in its order.
    """
    numbers = rows.table["strip"].to_numpy()
    index, effective = session.index(row), session.effective(row)
    place = _chosen_place(index, numbers)
    if place < 0:
        place = int(shown[0]) if len(shown) else 0
    beats = index.rows_of_strip(place)
    beats = beats[~effective.deleted[beats]]
    beats = beats[np.argsort(effective.time_ms[beats], kind="stable")]
    at = _chosen_beat(index, place, beats)
    if session.chosen_number("strip") != int(numbers[place]):
        session.choose(strip=int(numbers[place]), beat=session.chosen("beat"))
    return View(row, session.load(row), index, effective, rows, place, beats, at)


def _chosen_place(index: BeatIndex, numbers: NDArray[np.int64]) -> int:
    strip, beat = session.chosen_number("strip"), session.chosen_number("beat")
    found = np.flatnonzero(numbers == strip)
    if len(found):
        return int(found[0])
    if strip is None and beat is not None:  # another page named the beat alone
        rows = np.flatnonzero(index.beat_ids == beat)
        return int(index.strip_of_beat[rows[0]]) if len(rows) else -1
    return -1


def _chosen_beat(index: BeatIndex, place: int, beats: NDArray[np.int64]) -> int:
    beat = session.chosen_number("beat")
    if beat is not None:
        st.session_state.pop(_BY_HAND, None)
    elif (st.session_state.get(_BY_HAND) or (-1, 0))[0] == place:
        return -1
    found = np.flatnonzero(index.beat_ids[beats] == beat)
    return int(found[0]) if len(found) else min(0, len(beats) - 1)


def go_to_strip(strip: int | None) -> None:
    """Take a strip in hand, at its first beat."""
    if strip is not None:
        st.session_state.pop(_BY_HAND, None)
        session.choose(strip=strip, beat=None)


def go_to_anchor(row: RunRow, place: int, anchor: int | None) -> None:
    """Take a strip in hand by its place, at the beat that decisions know by a time in ms; at the first for None."""
    index, effective = session.index(row), session.effective(row)
    numbers = all_rows(row).table["strip"].to_numpy()
    if not 0 <= place < len(numbers):
        return
    rows = index.rows_of_strip(place)
    found = rows[(effective.anchor_ms[rows] == anchor) & ~effective.deleted[rows]] if anchor is not None else rows[:0]
    session.choose(strip=int(numbers[place]), beat=int(index.beat_ids[found[0]]) if len(found) else None)
    if anchor is not None and not len(found):
        st.session_state[_BY_HAND] = (place, anchor)
    else:
        st.session_state.pop(_BY_HAND, None)
