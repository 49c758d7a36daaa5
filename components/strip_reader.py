"""The Strips page but for its frame, as a fragment: a key redraws this and nothing else."""

from __future__ import annotations

import streamlit as st

from components import strip_list
from components.outcome import begin_page
from components.strip_actions import actions, keys, moves
from components.strip_beat import beat_panel
from components.strip_decisions import strip_decisions
from components.strip_paper import paper, printed, settings
from components.strip_view import all_rows, view_of
from state.runs import RunRow


@st.fragment
def strip_reader(row: RunRow) -> None:
    """The strip at the top, what can be said of it right below, then the list beside the beat in hand."""
    begin_page()
    top = st.container(horizontal=True, gap="xsmall", vertical_alignment="center")
    rows = all_rows(row)
    places = strip_list.places_of(row, rows)
    view = view_of(row, rows, places)
    paper(view, *printed())
    with st.container(gap="xsmall"):
        actions(view)
    with top:
        moves(view)
        settings()
        strip_list.position(view, places)
    left, right = st.columns([0.57, 0.43], gap="medium")
    with left:
        strip_list.filters(row, rows)
        strip_list.table(view, places)
        strip_list.totals(rows, places)
    with right:
        beat_panel(view)
    strip_decisions(view)
    keys(row)
