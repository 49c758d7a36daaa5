"""The ways to look at strips, and the way from any of them to reading one."""

from __future__ import annotations

import streamlit as st

from state import session

VIEW = "strips_view"
"""Key of the choice among ``VIEWS`` on the Strips page."""
READ, DISCLOSURE, RR = "Read", "Full disclosure", "RR intervals"
VIEWS = (READ, DISCLOSURE, RR)


def read(strip: int, beat: int | None = None) -> None:
    """Take a strip in hand, at a beat if one is named, and show it to be read. For callbacks, before the page is drawn.

    Parameters
    ----------
    strip : int
        Its number (``source_row``).
    beat : int, optional
        ``beat_global_id``.
    """
    session.choose(strip=strip, beat=beat)
    st.session_state[VIEW] = READ
