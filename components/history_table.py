"""The table of decisions: filters, selection, and undoing or bringing back what is selected."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import pandas as pd
import streamlit as st

from components.keymap import OPEN_STRIP, REDO, UNDO
from components.outcome import attempt, go
from components.pickers import rows_taken
from ecg_engine.strips import Strips
from state import session
from state.anchors import BeatIndex
from state.batches import undo_together
from state.export import as_csv, as_xlsx
from state.runs import RunRow
from state.telling import (
    DECISION,
    FIELD_NAMES,
    HOLDS,
    KIND_NAMES,
    UNDONE,
    beat_of,
    counts_per_day,
    history_table,
    local,
)

STRIPS_PAGE = "pages/strips.py"
_TABLE, _SHOWN, _SELECTED = "history_table", "history_shown", "history_selected"
ALL = "All"

KEYS = (
    (UNDO, "Undo the selected decisions"),
    (REDO, "Bring back the selected decisions"),
    (OPEN_STRIP, "Open the strip of the selected decision"),
)


@dataclass(frozen=True)
class History:
    """All decisions of the study in words, and the run by which strips are named (None: no run yet)."""

    row: RunRow | None
    strips: Strips | None
    index: BeatIndex | None
    table: pd.DataFrame


@st.cache_resource(show_spinner="Reading the decisions", max_entries=4)
def _table(study_id: str, run_id: str | None, folder: str, version: int) -> pd.DataFrame:
    store = session.store()
    run = store.runs.get(run_id) if run_id else None
    strips, index = (session.load(run).strips, session.index(run)) if run else (None, None)
    return history_table(store.decisions.listing(study_id), strips, index)


def gather(row: RunRow | None) -> History:
    """Every decision of the study in hand. Treat the table as read-only."""
    store, study = session.store(), session.the_study()
    table = _table(study.id, row.id if row else None, str(store.folder), store.decisions.version(study.id))
    strips, index = (session.load(row).strips, session.index(row)) if row else (None, None)
    return History(row, strips, index, table)


def filters(history: History) -> pd.DataFrame:
    """Which decisions to show; returns them, newest first."""
    table, study = history.table, session.the_study().id
    common: dict[str, Any] = {"persist_state": "session"}
    first, second, third, fourth = st.columns([0.24, 0.22, 0.22, 0.32], vertical_alignment="bottom")
    readers = sorted(table["reader"].unique())
    who = first.multiselect("Reader", readers, key=f"history_reader_{study}", placeholder="All", **common)
    about = second.multiselect("About", list(KIND_NAMES.values()), key="history_kind", placeholder="All", **common)
    what = third.multiselect("What", list(FIELD_NAMES.values()), key="history_field", placeholder="All", **common)
    with fourth:
        state = st.segmented_control(
            "State", [ALL, HOLDS, UNDONE], default=ALL, required=True, key="history_state", **common
        )
    undos = st.toggle("Show the undos, too", key="history_undos", **common)
    keep = pd.Series(True, index=table.index)
    for name, wanted in (("reader", who), ("kind", about), ("field", what)):
        if wanted:
            keep &= table[name].isin(wanted)
    if state in (HOLDS, UNDONE):
        keep &= table["state"] == state
    if not undos:
        keep &= table["action"] == DECISION
    return table[keep]


def decisions_table(history: History, shown: pd.DataFrame) -> None:
    """The decisions, with buttons for what is selected."""
    ids = shown["id"].tolist()
    selected = [id for id in st.session_state.get(_SELECTED, []) if id in set(ids)]
    _buttons(history, shown[shown["id"].isin(selected)])
    if not ids:
        st.info("No decision matches these filters.", icon=":material/filter_alt_off:")
        return
    zone = st.context.timezone
    st.session_state[_SHOWN] = ids
    # By id, because a new decision moves the rows.
    places = [place for place, id in enumerate(ids) if id in set(selected)]
    st.session_state[_TABLE] = {"selection": {"rows": places, "columns": [], "cells": []}}
    undone = shown["undone_by"].where(shown["undone_by"] == "", "undone by " + shown["undone_by"])
    st.dataframe(
        pd.DataFrame(
            {
                "When": local(shown["at"], zone),
                "Who": shown["reader"],
                "What": shown["what"],
                "Field": shown["field"],
                "Change": shown["change"],
                "Why": shown["reason"],
                "Kind": shown["action"],
                "State": undone.where(shown["state"] == UNDONE, shown["state"].str.lower()),
            }
        ),
        key=_TABLE,
        on_select=_select,
        selection_mode=["multi-row", "single-cell"],
        hide_index=True,
        height=460,
        placeholder="",
        column_config={
            "When": st.column_config.DatetimeColumn("When", format="D MMM YYYY, HH:mm", width=136),
            "Who": st.column_config.TextColumn("Who", width=96),
            "What": st.column_config.TextColumn("What", width=290),
            "Field": st.column_config.TextColumn("Field", width=88),
            "Change": st.column_config.TextColumn("Old → new", width=176),
            "Why": st.column_config.TextColumn("Why", width=110),
            "Kind": None if (shown["action"] == DECISION).all() else st.column_config.TextColumn("Kind", width=80),
            "State": st.column_config.TextColumn("State", width=130),
        },
        alt="Decisions with time, reader, target, change, reason and state",
    )


def _select() -> None:
    rows, shown = rows_taken(st.session_state[_TABLE]["selection"]), st.session_state.get(_SHOWN, [])
    st.session_state[_SELECTED] = [shown[row] for row in rows if row < len(shown)]


def _buttons(history: History, selected: pd.DataFrame) -> None:
    holding, undone = selected[selected["state"] == HOLDS], selected[selected["state"] == UNDONE]
    one = selected.iloc[0] if len(selected) == 1 and selected["strip"].notna().all() else None
    with st.container(horizontal=True, gap="xsmall", vertical_alignment="center"):
        st.button(
            f"Undo {len(holding)}" if len(holding) > 1 else "Undo",
            key="history_undo",
            shortcut=UNDO,
            icon=":material/undo:",
            disabled=not len(holding),
            on_click=attempt,
            args=(lambda: _undo(holding["id"].tolist()),),
        )
        st.button(
            f"Redo {len(undone)}" if len(undone) > 1 else "Redo",
            key="history_redo",
            shortcut=REDO,
            icon=":material/redo:",
            disabled=not len(undone),
            on_click=attempt,
            args=(lambda: _redo(undone["id"].tolist()),),
        )
        st.button(
            "Open the strip",
            key="history_open",
            shortcut=OPEN_STRIP,
            icon=":material/ecg:",
            disabled=one is None,
            on_click=_open,
            args=(history, "" if one is None else str(one["target"]), -1 if one is None else int(one["strip"])),
        )
        st.caption(f"{len(selected)} selected" if len(selected) else "Click a row, or tick several.")


def _undo(ids: list[str]) -> str:
    store = session.store().decisions
    undo_together(store, [store.get(id) for id in ids], session.reader())
    return "Undone." if len(ids) == 1 else f"{len(ids)} decisions undone."


def _redo(ids: list[str]) -> str:
    store = session.store().decisions
    for id in ids:
        store.redo(id, session.reader())
    return "Brought back." if len(ids) == 1 else f"{len(ids)} decisions brought back."


def _open(history: History, target: str, strip: int) -> None:
    row = None if history.index is None else beat_of(target, history.index)
    beat = None if row is None or history.index is None else int(history.index.beat_ids[row])
    session.choose(strip=strip, beat=beat)
    go(STRIPS_PAGE)


def exports(history: History) -> None:
    """The whole history as files, whatever the filters."""
    zone, day = st.context.timezone, pd.Timestamp.now(tz=st.context.timezone)
    name = f"decisions_{day:%Y-%m-%d}"
    with st.container(horizontal=True, gap="xsmall"):
        st.download_button(
            "All decisions as CSV",
            data=lambda: as_csv(history.table),
            file_name=f"{name}.csv",
            mime="text/csv",
            key="history_csv",
            on_click="ignore",
            icon=":material/table:",
        )
        st.download_button(
            "All decisions as Excel file",
            data=lambda: _xlsx(history.table, zone),
            file_name=f"{name}.xlsx",
            mime="application/vnd.openxmlformats-officedocument.spreadsheetml.sheet",
            key="history_xlsx",
            on_click="ignore",
            icon=":material/table_view:",
        )


def _xlsx(table: pd.DataFrame, zone: str | None) -> bytes:
    times = {name: local(table[name], None) for name in ("at", "undone_at", "stored_at")}
    named = {name: f"{name} (UTC)" for name in times}
    return as_xlsx({"Decisions": table.assign(**times).rename(columns=named), "Per day": counts_per_day(table, zone)})
