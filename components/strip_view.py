"""Where the reader is on the Strips page: the strip and the beat in hand, and moving among them."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import streamlit as st
from numpy.typing import NDArray

from ecg_engine.preprocess import Run
from state import session
from state.anchors import BeatIndex
from state.effective import Effective
from state.runs import RunRow
from state.strip_rows import StripRows, strip_rows
from state.targets import strip_target
from state.telling import patient_words

_ORDER, _PLACE = "strips_shown", "strips_place"


@dataclass(frozen=True)
class View:
    """The strip in hand, gathered once per drawing.

    ``place`` is the strip's place in the run; ``beats`` the rows of its beats in order of time; ``at`` which of them
    is in hand, -1 for a strip without beats.
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
    def number(self) -> int:
        """Number of the beat in hand within its strip, from 1."""
        return int(self.run.metadata["beat_index_in_record"].iloc[self.beat]) + 1

    def beat_id(self, at: int) -> int:
        """Id of the n-th beat of the strip."""
        return int(self.index.beat_ids[self.beats[at]])


@st.cache_resource(show_spinner=False, max_entries=6)
def _rows(run_id: str, folder: str, version: int) -> StripRows:
    row = session.store().runs.get(run_id)
    return strip_rows(session.load(row), session.index(row), session.effective(row), session.active_decisions())


def all_rows(row: RunRow) -> StripRows:
    """The run's strips by effective labels, kept until the next decision. Treat as read-only."""
    return _rows(row.id, str(session.store().folder), session.store().decisions.version(row.study_id))


def view_of(row: RunRow, rows: StripRows, shown: NDArray[np.int64]) -> View:
    """The strip and beat chosen, else the first strip shown and its first beat.

    Parameters
    ----------
    shown : int64 (k,)
        Places of the strips that the list shows, in its order.
    """
    numbers = rows.table["strip"].to_numpy()
    order = numbers[shown].tolist()
    st.session_state[_ORDER] = order
    view = _view(row, rows)
    beat = view.beat_id(view.at) if view.at >= 0 else None
    if session.chosen_number("strip") != view.strip or session.chosen_number("beat") != beat:
        session.choose(strip=view.strip, beat=beat)
    if view.strip in order:
        st.session_state[_PLACE] = order.index(view.strip)
    return view


def view_now(row: RunRow) -> View:
    """Where the reader is at this moment, by the list as it was last shown: what a key typed now is about."""
    view = _view(row, all_rows(row))
    order: list[int] = st.session_state.get(_ORDER, [])
    if view.strip in order:
        st.session_state[_PLACE] = order.index(view.strip)
    return view


def _view(row: RunRow, rows: StripRows) -> View:
    run, index = session.load(row), session.index(row)
    numbers = rows.table["strip"].to_numpy()
    place = _chosen_place(index, numbers)
    if place < 0:
        first = st.session_state.get(_ORDER, [])[:1]
        place = int(np.flatnonzero(numbers == first[0])[0]) if first and first[0] in numbers else 0
    beats = np.flatnonzero(index.strip_of_beat == place)
    found = np.flatnonzero(index.beat_ids[beats] == session.chosen_number("beat"))
    at = int(found[0]) if len(found) else min(0, len(beats) - 1)
    return View(row, run, index, session.effective(row), rows, place, beats, at)


def _chosen_place(index: BeatIndex, numbers: NDArray[np.int64]) -> int:
    strip, beat = session.chosen_number("strip"), session.chosen_number("beat")
    found = np.flatnonzero(numbers == strip)
    if len(found):
        return int(found[0])
    if strip is None and beat is not None:  # another page named the beat alone
        rows = np.flatnonzero(index.beat_ids == beat)
        return int(index.strip_of_beat[rows[0]]) if len(rows) else -1
    return -1


def neighbour(strip: int, step: int) -> int | None:
    """The strip before (-1) or after (1) in the list as it was last shown; None at its ends.

    A strip that has left the list, because a decision changed what the filter goes by, still has its place: the one
    that moved up is next.
    """
    order: list[int] = st.session_state.get(_ORDER, [])
    gone: int = st.session_state.get(_PLACE, 0) + min(step, 0)
    at = order.index(strip) + step if strip in order else gone
    return order[at] if 0 <= at < len(order) else None


def go_to_strip(strip: int | None) -> None:
    """Take a strip in hand, at its first beat."""
    if strip is not None:
        session.choose(strip=strip, beat=None)


def go_to_beat(view: View, at: int) -> None:
    """Take a beat of the strip in hand; beyond its ends nothing happens."""
    if 0 <= at < len(view.beats):
        session.choose(strip=view.strip, beat=view.beat_id(at))
