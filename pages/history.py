"""History: every decision that was ever made, and the way back from any single one."""

from __future__ import annotations

from dataclasses import replace

import pandas as pd
import streamlit as st

from components.frame import empty_state, page_header
from components.history_counts import counts
from components.history_filters import filters, hour_filter
from components.history_table import KEYS, History, decisions_table, exports, gather, watch
from components.outcome import begin_page
from components.words import many
from state import session
from state.effective import Unmatched
from state.history import filtered_history
from state.telling import DECISION, UNDONE, told_change, told_target


def page() -> None:
    begin_page()
    page_header("History", "Every decision, with who made it and when. Any single one can be undone.", KEYS)
    if session.study() is None:
        empty_state(
            "No study yet",
            "Make a study and bring a file of strips; what readers decide is then kept here.",
            action="Go to Upload",
            page="pages/upload.py",
        )
        return
    row = session.preprocess_run()
    history = gather(row)
    if not len(history.table):
        empty_state(
            "No decisions yet",
            "Label a beat on the Strips page: it is kept here, and can be undone at any time.",
            action="Go to Strips" if row else "Go to Upload",
            page="pages/strips.py" if row else "pages/upload.py",
        )
        return
    summary(history.table, history.lost)
    wanted = filters(history.table)
    shown = filtered_history(history.table, hour_filter(wanted))
    decisions_table(history, shown)
    unmatched(history, history.lost)
    # All hours stay in sight when one of them is looked at.
    counts(filtered_history(history.table, replace(wanted, undos=True)))
    with st.expander("Take it with you", icon=":material/download:"):
        exports(history, shown)
    watch(history.version)


def summary(table: pd.DataFrame, lost: tuple[Unmatched, ...]) -> None:
    """How many decisions, by how many readers."""
    made = table[table["action"] == DECISION]
    undone = int((made["state"] == UNDONE).sum())
    words = f"**{many(len(made), 'decision')}** by {many(made['reader'].nunique(), 'reader')}, {undone:,} undone"
    st.markdown(f"{words}, {len(lost):,} without a place in this run." if lost else f"{words}.")


def unmatched(history: History, lost: tuple[Unmatched, ...]) -> None:
    """Decisions that hold, but that the run in hand has no place for."""
    if not lost:
        return
    with st.expander(f"{many(len(lost), 'decision')} without a place in this run", icon=":material/wrong_location:"):
        st.caption(
            "They are kept, and hold again in a run that has their beats, such as one with other settings or all files."
        )
        st.dataframe(
            pd.DataFrame(
                {
                    "What": [told_target(one.decision.target, history.strips, history.index).words for one in lost],
                    "Old → new": [told_change(one.decision) for one in lost],
                    "Who": [one.decision.reader for one in lost],
                    "Why it has no place": [one.reason for one in lost],
                }
            ),
            hide_index=True,
            alt="Decisions that found no beat, with the reason",
        )


page()
