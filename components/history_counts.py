"""Counts of decisions: by reader and hour, and by what was done."""

from __future__ import annotations

from datetime import datetime

import pandas as pd
import streamlit as st

from components.history_filters import show_hour
from state.pace import DECISIONS, ITEMS, PAUSE_MIN, counts_by_doing, counts_per_hour, reader_totals

_HOURS, _SHOWN = "history_hours", "history_hours_shown"


def counts(table: pd.DataFrame) -> None:
    """Draw the counts of the decisions handed in."""
    left, right = st.columns([0.52, 0.48], gap="medium")
    with left:
        _per_hour(table)
    with right:
        _per_reader(table)
        _per_doing(table)


def _per_hour(table: pd.DataFrame) -> None:
    with st.container(horizontal=True, vertical_alignment="center", gap="small"):
        st.markdown("**By hour and reader**", width="content")
        what = st.segmented_control(
            "What is counted",
            [DECISIONS, ITEMS],
            default=DECISIONS,
            required=True,
            key="history_counted",
            label_visibility="collapsed",
            persist_state="session",
            help="Items are beats, strips, groups, prototypes: each counts once an hour, however often it was decided.",
        )
    hours = counts_per_hour(table, st.context.timezone, what or DECISIONS)
    if not len(hours):
        st.caption("No decision matches these filters.")
        return
    readers = [str(name) for name in hours.columns]
    st.session_state[_SHOWN] = ([stamp.to_pydatetime() for stamp in hours.index], readers)
    most = max(int(hours.to_numpy().max()), 1)
    drawn = hours.reset_index().rename(columns={"hour": "Hour"})
    drawn.columns = ["Hour", *readers]
    st.dataframe(
        drawn.style.map(lambda count: _shade(count, most), subset=pd.Index(readers)),
        key=_HOURS,
        on_select=_chosen,
        selection_mode="single-cell",
        hide_index=True,
        height=min(38 + 35 * len(hours), 388),
        column_config={
            "Hour": st.column_config.DatetimeColumn("Hour", format="ddd D MMM, HH:mm", width=140),
            **{name: st.column_config.NumberColumn(name, format="%d", width=84) for name in readers},
        },
        alt=f"{what} per hour and reader; the most in one hour is {most}",
    )
    st.caption("The more in an hour, the darker. Click a number to list what it counts.")


def _shade(count: object, most: int) -> str:
    share = float(str(count)) / most
    if share <= 0:
        return "color: rgba(125,130,138,0.6)"
    return f"background-color: rgba(5,141,209,{0.08 + 0.42 * share:.2f})"


def _chosen() -> None:
    cells = st.session_state[_HOURS]["selection"]["cells"]
    hours, readers = st.session_state.get(_SHOWN, ([], []))
    if not cells:
        return
    row, column = cells[0]
    if row < len(hours) and column in readers:
        start: datetime = hours[row]
        show_hour(start, column)


def _per_reader(table: pd.DataFrame) -> None:
    st.markdown("**By reader**")
    totals = reader_totals(table)
    st.dataframe(
        totals.rename(columns=str.capitalize),
        hide_index=True,
        placeholder="–",
        column_config={
            "Reader": st.column_config.TextColumn("Reader", width=96),
            "Decisions": st.column_config.NumberColumn("Decisions", width=72),
            "Of which undone": st.column_config.NumberColumn("Undone", width=60, help="Of these decisions"),
            "Undos": st.column_config.NumberColumn("Undos", width=52, help="That this reader made"),
            "Items": st.column_config.NumberColumn("Items", width=52),
            "Minutes": st.column_config.NumberColumn("At work", format="%.0f min", width=72),
            "Items an hour": st.column_config.NumberColumn("Items an hour", format="%.0f", width=88),
        },
        alt="For each reader decisions, undos, items, time at work and items an hour",
    )
    st.caption(f"At work: time between decisions that follow each other within {PAUSE_MIN:.0f} minutes.")


def _per_doing(table: pd.DataFrame) -> None:
    st.markdown("**By what was done**")
    done = counts_by_doing(table)
    done.columns = [str(name) for name in done.columns]
    st.dataframe(
        done.reset_index().rename(columns={"doing": "What"}),
        hide_index=True,
        height=min(38 + 35 * max(len(done), 1), 250),
        alt="What was done how often, by each reader",
    )
