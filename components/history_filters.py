"""Which decisions the History page shows: filters by reader, kind, time, strip, patient, and whether they hold."""

from __future__ import annotations

import re
from datetime import date, datetime, time, timedelta
from typing import Any
from zoneinfo import ZoneInfo

import pandas as pd
import streamlit as st

from state import session
from state.history import DOINGS, HistoryFilter
from state.telling import HOLDS, KIND_NAMES, UNDONE

ALL = "All"
ANY, HOUR, TODAY, YESTERDAY, WEEK, DAYS = "Any time", "Last hour", "Today", "Yesterday", "Last 7 days", "From … to …"
WHENS = (ANY, HOUR, TODAY, YESTERDAY, WEEK, DAYS)
_STRIPS, _WHEN, _DAYS, _CELL = "history_strips", "history_when", "history_days", "history_cell"


def filters(table: pd.DataFrame) -> HistoryFilter:
    """Draw the filters, and return what they say."""
    study = session.the_study().id
    common: dict[str, Any] = {"persist_state": "session"}
    first, second, third, fourth = st.columns([0.22, 0.2, 0.24, 0.34], vertical_alignment="bottom")
    readers = sorted(table["reader"].unique())
    who = first.multiselect("Reader", readers, key=f"history_reader_{study}", placeholder="All", **common)
    about = second.multiselect("About", list(KIND_NAMES.values()), key="history_kind", placeholder="All", **common)
    what = third.multiselect("What", DOINGS, key="history_doing", placeholder="All", **common)
    with fourth:
        state = st.segmented_control(
            "State", [ALL, HOLDS, UNDONE], default=ALL, required=True, key="history_state", **common
        )
    first, second, third, fourth = st.columns([0.22, 0.2, 0.24, 0.34], vertical_alignment="bottom")
    when = first.selectbox("When", WHENS, key=_WHEN, **common)
    patients = sorted(one for one in table["patient"].unique() if one)
    of = second.multiselect("Patient", patients, key=f"history_patient_{study}", placeholder="All", **common)
    numbers = third.text_input("Strips", key=_STRIPS, placeholder="All; or 12, 15, 20-25", **common)
    with fourth:
        undos = st.toggle("Show the undos, too", key="history_undos", **common)
    strips = strips_named(numbers or "")
    if strips is None:
        third.caption("Write numbers of strips, such as 12, 15, 20-25.")
    since, until = _span(str(when))
    return HistoryFilter(
        readers=who,
        kinds=about,
        doings=what,
        patients=of,
        strips=strips or (),
        state="" if state == ALL or state is None else str(state),
        since=since,
        until=until,
        undos=bool(undos),
    )


def strips_named(text: str) -> tuple[int, ...] | None:
    """Numbers of strips as people write them: ``12, 15 20-25``; None if it is something else.

    Examples
    --------
    >>> strips_named("3, 5-7")
    (3, 5, 6, 7)
    """
    found: list[int] = []
    for part in re.sub(r"\s*[-–]\s*", "-", text).replace(",", " ").replace(";", " ").split():
        match = re.fullmatch(r"(\d{1,7})(?:-(\d{1,7}))?", part)
        if match is None:
            return None
        low, high = int(match[1]), int(match[2] or match[1])
        if not low <= high <= low + 100_000:
            return None
        found.extend(range(low, high + 1))
    return tuple(found)


def hour_filter(wanted: HistoryFilter) -> HistoryFilter:
    """The filter, narrowed to the hour and reader that were chosen among the counts, with the way back."""
    cell = st.session_state.get(_CELL)
    if cell is None:
        return wanted
    start, reader = cell
    zone = _zone()
    left, right = st.columns([0.5, 0.5], vertical_alignment="center")
    left.markdown(f"Only **{reader}**, {start:%a} {start.day} {start:%b, %H:%M} to {start + timedelta(hours=1):%H:%M}.")
    right.button("Show all hours", key="history_all_hours", icon=":material/filter_alt_off:", on_click=show_hour)
    since = start.replace(tzinfo=zone)
    return HistoryFilter(
        **{**wanted.__dict__, "readers": (reader,), "since": since, "until": since + timedelta(hours=1)}
    )


def show_hour(start: datetime | None = None, reader: str = "") -> None:
    """Narrow the list to one hour (by the clock of the screen) of one reader; without arguments, all again."""
    if start is None:
        st.session_state.pop(_CELL, None)
    else:
        st.session_state[_CELL] = (start, reader)


def clear() -> None:
    """Take all filters off."""
    study = session.the_study().id
    for key in (f"history_reader_{study}", "history_kind", "history_doing", f"history_patient_{study}"):
        st.session_state[key] = []
    st.session_state["history_state"], st.session_state[_WHEN], st.session_state[_STRIPS] = ALL, ANY, ""
    show_hour()


def _zone() -> ZoneInfo:
    return ZoneInfo(st.context.timezone or "UTC")


def _span(when: str) -> tuple[datetime | None, datetime | None]:
    zone = _zone()
    now = datetime.now(zone)
    today = now.date()
    if when == HOUR:
        # To the minute, so that the list does not change with each drawing.
        return now.replace(second=0, microsecond=0) - timedelta(hours=1), None
    if when == TODAY:
        return _midnight(today, zone), None
    if when == YESTERDAY:
        return _midnight(today - timedelta(days=1), zone), _midnight(today, zone)
    if when == WEEK:
        return _midnight(today - timedelta(days=6), zone), None
    if when == DAYS:
        picked = st.date_input(
            "Days", value=(today - timedelta(days=6), today), key=_DAYS, max_value=today, persist_state="session"
        )
        days = list(picked) if isinstance(picked, (tuple, list)) else [picked]
        if days:
            return _midnight(days[0], zone), _midnight(days[-1] + timedelta(days=1), zone)
    return None, None


def _midnight(day: date, zone: ZoneInfo) -> datetime:
    return datetime.combine(day, time(), zone)
