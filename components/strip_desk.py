"""The strip reader in the browser, and the beat beside it: what Python tells them, and what it hears from them.

The browser leads. It tells where the reader is when the hand rests; Python's choice of a strip (a click in the list, an
undo, an address) counts only when it is newer than what the browser has told, which its serial says.
"""

from __future__ import annotations

import secrets
from functools import partial
from typing import Any

import numpy as np
import streamlit as st
from numpy.typing import NDArray

from components.keymap import NEXT_BEAT, PREVIOUS_BEAT, all_keys
from components.outcome import attempt
from components.reading import channel_data, look_data
from components.scripts import script, style
from components.strip_list import ROW_PX, TABLE
from components.strip_view import View, go_to_anchor
from components.strips_views import VIEW
from state import session
from state.deciding import Decision
from state.runs import RunRow
from state.telling import beat_of, told_decision, told_target

KEY = "strip_desk"
INSERT, REMOVE = "Insert", "Delete"
_SERIAL, _KNOWN, _DONE = "strips_serial", "strips_known", "strips_undos_done"
_CALIPERS = "ghqy"
"""Keys that may be the calipers': the first that no label or action has."""
_REMEMBERED = 200
"""The reader's newest decisions that hold, told to the browser: any of them may have been undone elsewhere."""
_TALL_STRIPS = 90
"""Of a hundred strips, so many are shown in full at any gain that leaves room."""


def calipers_key() -> str:
    """The key of the calipers, which gives way to the reader's own keys."""
    taken = {key for name, key in all_keys().items() if not name.endswith(("open_strip", "accept", "accept_strip"))}
    return next((key for key in _CALIPERS if key not in taken), "")


def _component() -> Any:
    return st.components.v2.component(
        "ecg_review.strip_reader",
        html='<div class="reader"></div>',
        css=style("strip_reader"),
        js=script("strip_reader"),
    )


def _panel() -> Any:
    return st.components.v2.component(
        "ecg_review.beat_panel",
        html='<div class="beat-panel"></div>',
        css=style("beat_panel"),
        js=script("beat_panel"),
    )


def strip_desk(view: View, places: NDArray[np.int64]) -> None:
    """Draw the strip in hand with all that can be done on it.

    Parameters
    ----------
    places : int64 (k,)
        Places of the strips that the list shows, in its order: where the keys go to.
    """
    study, config = session.the_study(), view.run.config
    data = {
        "channel": channel_data(),
        "look": look_data(),
        "run": view.row.id,
        "places": places.tolist(),
        "mine": [one.id for one in session.active_decisions() if one.reader == session.reader()][-_REMEMBERED:],
        "at": {"serial": _serial(view), "place": view.place, "beat": view.anchor},
        "paper": {
            "span_mv": _span(view.row.id, str(session.store().folder)) / study.units_per_mv,
            "filter_hz": [config.low_hz, config.high_hz],
            "assumed": study.units_assumed,
            "window_sec": [config.pre_sec, config.post_sec],
        },
        "view_key": VIEW,
        "list": {"key": TABLE, "row_px": ROW_PX},
        "keys": {
            "beat_back": PREVIOUS_BEAT,
            "beat_next": NEXT_BEAT,
            "insert": INSERT,
            "remove": REMOVE,
            "calipers": calipers_key(),
        },
    }
    _component()(key=KEY, data=data, on_where_change=partial(_heard, view.row))


def beat_panel() -> None:
    """Draw the beat in hand over the shapes it may be; it follows the strip reader by itself."""
    _panel()(key="strip_beat", data={})


def _serial(view: View) -> str:
    """A new one whenever somebody else than the browser has chosen."""
    now = (view.row.id, view.strip, session.chosen_number("beat"))
    if st.session_state.get(_KNOWN) != now:
        st.session_state[_KNOWN] = now
        st.session_state[_SERIAL] = secrets.token_hex(6)
    return str(st.session_state[_SERIAL])


def _heard(row: RunRow) -> None:
    """Follow the browser: where the reader is, and undos of decisions that the browser does not know."""
    where = st.session_state[KEY].get("where")
    if not isinstance(where, dict):
        return
    place, beat = where.get("place"), where.get("beat")
    if where.get("serial") == st.session_state.get(_SERIAL) and isinstance(place, int):
        go_to_anchor(row, place, beat if isinstance(beat, int) else None)
        st.session_state[_KNOWN] = (row.id, session.chosen_number("strip"), session.chosen_number("beat"))
    life, undos = str(where.get("life")), int(where.get("undos") or 0)
    known, done = st.session_state.get(_DONE) or ("", 0)
    if life != known:
        done = 0
    st.session_state[_DONE] = (life, undos)
    for _ in range(undos - done):
        attempt(partial(undo_last, row))


def undo_last(row: RunRow) -> str:
    """Undo the reader's newest decision that holds, show what it was about, and say what it was."""
    undone = session.undo_last()
    if undone is None:
        return "There is nothing of yours to undo."
    show(row, undone)
    many = ", and all that was decided with it" if undone.payload.get("batch") else ""
    return f"Undone: {told_decision(undone, session.load(row).strips, session.index(row))}{many}"


def show(row: RunRow, decision: Decision) -> None:
    """Go to the strip and beat that a decision is about, if the run has them."""
    run, index = session.load(row), session.index(row)
    place = told_target(decision.target, run.strips, index).place
    if place is None:
        return
    found = beat_of(decision.target, index)
    anchor = None if found is None else int(session.effective(row).anchor_ms[found])
    go_to_anchor(row, place, anchor)


@st.cache_resource(show_spinner=False, max_entries=12)
def _span(run_id: str, folder: str) -> float:
    """Height in units of the file that nearly all strips fit into: one for all, so that nothing below moves."""
    strips = session.load(session.store().runs.get(run_id)).strips
    assert strips is not None
    starts = strips.offsets[:-1]
    spans = np.maximum.reduceat(strips.samples, starts) - np.minimum.reduceat(strips.samples, starts)
    return float(np.nanpercentile(spans, _TALL_STRIPS))
