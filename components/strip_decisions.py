"""Decisions on the strip in hand, each to be undone or brought back by itself."""

from __future__ import annotations

import streamlit as st

from components.outcome import attempt
from components.strip_view import View
from state import session
from state.deciding import Decision, activity
from state.telling import clock, standing_undos, told_change, told_decision, told_target

FEW = 6
_WIDTH = 760
"""Pixels of the words, so that the buttons stand under one another."""


def decisions_of(view: View) -> list[Decision]:
    """All decisions on the strip and its beats, undos included, oldest first."""
    listing, study = session.store().decisions.listing, view.row.study_id
    return listing(study, target=f"beat:{view.hash}:%") + listing(study, target=view.target)


def strip_decisions(view: View) -> None:
    """Who decided what and when, newest first, with a button to undo or redo each."""
    found = decisions_of(view)
    holds, made = activity(found), sorted((d for d in found if not d.undoes), key=lambda d: d.order, reverse=True)
    st.markdown(f"**Decisions on this strip** ({len(made)})")
    if not made:
        st.caption("None yet. Press a label's key, and it is kept here, to be undone at any time.")
        return
    every = len(made) > FEW and st.toggle(f"Show all {len(made)}", key="strips_all_decisions", persist_state="session")
    undone = standing_undos(found, holds)
    for one in made if every else made[:FEW]:
        _row(view, one, holds[one.id], undone.get(one.id))


def _row(view: View, made: Decision, holds: bool, undo: Decision | None) -> None:
    zone = st.context.timezone
    words = _plain(f"{_short(view, made)}: {told_change(made)}")
    tail = f"; undone by {undo.reader}, {clock(undo.at, zone)}" if undo else ""
    why = f" ({made.reason})" if made.reason else ""
    who = _plain(f"{made.reader}, {clock(made.at, zone)}{why}{tail}")
    # Few elements: all of them are sent again at each key.
    with st.container(horizontal=True, gap="small", vertical_alignment="center"):
        st.markdown(f"{words if holds else f'~~{words}~~'} &nbsp; :small[:gray[{who}]]", width=_WIDTH)
        st.button(
            "Undo" if holds else "Redo",
            key=f"strips_{'undo' if holds else 'redo'}_{made.id}",
            icon=":material/undo:" if holds else ":material/redo:",
            on_click=attempt,
            args=(lambda: _turn(view, made, holds),),
        )


def _turn(view: View, made: Decision, holds: bool) -> str:
    store = session.store().decisions
    if holds:
        store.undo(made.id, session.reader())
        return f"Undone: {told_decision(made, view.run.strips, view.index)}"
    store.redo(made.id, session.reader())
    return f"Brought back: {told_decision(made, view.run.strips, view.index)}"


def _short(view: View, made: Decision) -> str:
    told = told_target(made.target, view.run.strips, view.index)
    return "Whole strip" if told.seconds is None else f"Beat at {told.seconds:.2f} s"


def _plain(text: str) -> str:
    """Text as it is, not as Markdown."""
    return "".join(f"\\{sign}" if sign in "\\`*_{}[]()<>#+-!|~$:" else sign for sign in text)
