"""What a click did, told when the page is drawn again, and where it leads.

Clicks are handled in callbacks, before the page is drawn, so that one click costs one drawing. A callback cannot show
anything, nor switch the page: it leaves word here, and the page begins with :func:`begin_page`.
"""

from __future__ import annotations

from collections.abc import Callable

import streamlit as st

from components.frame import ACTIONABLE, sentence
from state import session

_TOLD, _GO = "outcome_told", "outcome_go"


def attempt(action: Callable[[], str | None]) -> None:
    """Do something in a callback; what it returns is told, and an error that a person can act on is shown."""
    try:
        done = action()
    except ACTIONABLE as error:
        st.session_state[_TOLD] = ("error", sentence(error))
    else:
        # An error is not covered by what went well after it.
        if done and st.session_state.get(_TOLD, ("", ""))[0] != "error":
            st.session_state[_TOLD] = ("done", done)


def go(page: str) -> None:
    """Let a callback lead to another page."""
    st.session_state[_GO] = page


def begin_page() -> None:
    """Follow and tell what the last click left."""
    page = st.session_state.pop(_GO, None)
    if page:
        st.switch_page(page)
    kind, text = st.session_state.pop(_TOLD, ("", ""))
    if kind == "error":
        st.error(text, icon=":material/error:")
    elif kind == "done":
        st.toast(text, icon=":material/check:")


def undo() -> str:
    """Undo the reader's last step and say what it was."""
    undone = session.undo_last()
    if undone is None:
        return "There is nothing of yours to undo."
    what = {
        "label": "label",
        "seed": "seed",
        "noise": "noise mark",
        "not_like": "rejection",
        "refined": "accepted suggestion",
        "acknowledged": "acknowledgement",
    }
    said = f" {undone.new}" if undone.new and undone.field in ("label", "seed") else ""
    if undone.new is None and undone.old:
        said = f" {undone.old} taken away"
    many = " and all that was decided with it" if undone.payload.get("batch") else ""
    return f"Undone: {what.get(undone.field, undone.field)}{said}{many}."
