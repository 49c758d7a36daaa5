"""The frame around every page: its title, its keys, its empty state, its errors, and the steady line."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager

import streamlit as st

from components.keys import keys_panel
from ecg_engine.errors import EngineError

ACTIONABLE = (EngineError, OSError)
"""Errors that a person can do something about; others are the program's own."""
STEADY_LINE = "Research and teaching use. A clinician confirms every finding."


def page_header(title: str, purpose: str, keys: Sequence[tuple[str, str]] = ()) -> None:
    """Title of a page, one sentence on what it is for, and its keys behind ``?``."""
    left, right = st.columns([0.88, 0.12], vertical_alignment="bottom")
    left.title(title, anchor=False)
    with right:
        keys_panel(keys)
    st.caption(purpose)


def empty_state(title: str, text: str, *, action: str = "", page: str = "", icon: str = ":material/info:") -> None:
    """Say that there is nothing here yet, and lead to the step that changes it."""
    with st.container(border=True, horizontal_alignment="center", gap="small"):
        st.markdown(f"### {icon} {title}")
        st.markdown(text)
        if action and page and st.button(action, type="primary", key=f"empty_{page}", icon=":material/arrow_forward:"):
            st.switch_page(page)


def sentence(error: Exception) -> str:
    """One of :data:`ACTIONABLE` as it is told on the screen."""
    if isinstance(error, OSError):
        return f"The disk or a file refused: {error}. Free some space or check the folder, then try again."
    return str(error)


@contextmanager
def told() -> Iterator[None]:
    """Turn an error that a person can act on into a message on the page; other errors pass."""
    try:
        yield
    except ACTIONABLE as error:
        st.error(sentence(error), icon=":material/error:")


def tight_page() -> None:
    """Give the room above and beside a page to the strips: Streamlit's own margins are those of an article."""
    st.html("<style>.stMainBlockContainer { padding: 2.25rem 2.5rem 2rem; }</style>")


def steady_line() -> None:
    """The line that stands under every page."""
    st.divider()
    st.caption(STEADY_LINE)
