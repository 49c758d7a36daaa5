"""The table of decisions: a page at a time, selection, and undoing or bringing back what is selected."""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial

import pandas as pd
import streamlit as st

from components.history_filters import clear
from components.keymap import NEXT_ITEM, OPEN_STRIP, PREVIOUS_ITEM, REDO, UNDO
from components.outcome import attempt, go
from components.pickers import rows_taken
from components.strips_views import read
from components.words import many
from ecg_engine.strips import Strips
from state import session
from state.anchors import BeatIndex
from state.batches import undo_together
from state.effective import Unmatched, effective_labels
from state.export import as_csv, as_xlsx
from state.history import History as Kept
from state.history import Page, page_of, step
from state.pace import counts_by_doing, counts_per_hour, reader_totals
from state.runs import RunRow
from state.telling import DECISION, HOLDS, UNDONE, beat_of, local

STRIPS_PAGE = "pages/strips.py"
PAGE_SIZE = 100
_TABLE, _SHOWN, _SELECTED = "history_table", "history_shown", "history_selected"
_TOP, _AT_NEWEST = "history_top", "history_at_newest"

KEYS = (
    (UNDO, "Undo the selected decisions"),
    (REDO, "Bring back the selected decisions"),
    (OPEN_STRIP, "Open the strip of the selected decision"),
    (NEXT_ITEM, "Older decisions"),
    (PREVIOUS_ITEM, "Newer decisions"),
)


@dataclass(frozen=True)
class History:
    """All decisions of the study in words, and the run by which strips are named (None: no run yet)."""

    row: RunRow | None
    strips: Strips | None
    index: BeatIndex | None
    table: pd.DataFrame
    version: int
    lost: tuple[Unmatched, ...]


@st.cache_resource(show_spinner=False, max_entries=4)
def _kept(study_id: str, run_id: str | None, folder: str) -> Kept:
    store = session.store()
    run = store.runs.get(run_id) if run_id else None
    strips, index = (session.load(run).strips, session.index(run)) if run else (None, None)
    return Kept(store.engine, study_id, strips, index)


@st.cache_resource(show_spinner=False, max_entries=4)
def _lost(study_id: str, run_id: str, folder: str, version: int) -> tuple[Unmatched, ...]:
    run = session.store().runs.get(run_id)
    return effective_labels(session.index(run), _kept(study_id, run_id, folder).told().decisions).unmatched


def gather(row: RunRow | None) -> History:
    """Every decision of the study in hand. Treat the table as read-only."""
    study, folder = session.the_study().id, str(session.store().folder)
    told = _kept(study, row.id if row else None, folder).told()
    strips, index = (session.load(row).strips, session.index(row)) if row else (None, None)
    lost = _lost(study, row.id, folder, told.version) if row else ()
    return History(row, strips, index, told.table, told.version, lost)


@st.fragment(run_every="4s")
def watch(version: int) -> None:
    """Look now and then whether decisions came in from elsewhere, and draw the page anew if they did."""
    if session.store().decisions.version(session.the_study().id) != version:
        st.rerun(scope="app")


def decisions_table(history: History, shown: pd.DataFrame) -> None:
    """A page of the decisions, with buttons for what is selected on it."""
    page = page_of(shown, st.session_state.get(_TOP), PAGE_SIZE)
    ids = page.rows["id"].tolist()
    selected = [id for id in st.session_state.get(_SELECTED, []) if id in set(ids)]
    st.session_state[_AT_NEWEST] = page.start == 0
    if selected and page.start == 0:  # what comes in meanwhile must not move it away
        st.session_state[_TOP] = ids[0]
    _buttons(history, page.rows[page.rows["id"].isin(selected)])
    if not ids:
        st.info("No decision matches these filters.", icon=":material/filter_alt_off:")
        st.button("Clear the filters", key="history_clear", icon=":material/filter_alt_off:", on_click=clear)
        return
    st.session_state[_SHOWN] = ids
    places = [place for place, id in enumerate(ids) if id in set(selected)]
    st.session_state[_TABLE] = {"selection": {"rows": places, "columns": [], "cells": []}}
    _draw(page.rows)
    _pager(shown, page)


def _draw(rows: pd.DataFrame) -> None:
    undone = rows["undone_by"].where(rows["undone_by"] == "", "undone by " + rows["undone_by"])
    st.dataframe(
        pd.DataFrame(
            {
                "When": local(rows["at"], st.context.timezone),
                "Who": rows["reader"],
                "What": rows["what"],
                "Field": rows["doing"],
                "Change": rows["change"],
                "Why": rows["reason"],
                "Kind": rows["action"],
                "State": undone.where(rows["state"] == UNDONE, rows["state"].str.lower()),
            }
        ),
        key=_TABLE,
        on_select=_select,
        selection_mode=["multi-row", "single-cell"],
        hide_index=True,
        height=460,
        placeholder="",
        column_config={
            "When": st.column_config.DatetimeColumn("When", format="D MMM YYYY, HH:mm:ss", width=150),
            "Who": st.column_config.TextColumn("Who", width=96),
            "What": st.column_config.TextColumn("What", width=290),
            "Field": st.column_config.TextColumn("Field", width=100),
            "Change": st.column_config.TextColumn("Old → new", width=190),
            "Why": st.column_config.TextColumn("Why", width=110),
            "Kind": None if (rows["action"] == DECISION).all() else st.column_config.TextColumn("Kind", width=80),
            "State": st.column_config.TextColumn("State", width=130),
        },
        alt="Decisions with time, reader, target, change, reason and state",
    )


def _pager(shown: pd.DataFrame, page: Page) -> None:
    with st.container(horizontal=True, gap="xsmall", vertical_alignment="center"):
        last = page.start + len(page.rows)
        st.caption(f"{page.start + 1:,} to {last:,} of {many(len(shown), 'decision')}", width="content")
        for text, key, shortcut, icon, off, forth in (
            ("Newer", "history_newer", PREVIOUS_ITEM, "arrow_back", not page.newer, False),
            ("Older", "history_older", NEXT_ITEM, "arrow_forward", not page.older, True),
        ):
            st.button(text, key=key, shortcut=shortcut, icon=f":material/{icon}:", disabled=off,
                      on_click=_turn, args=(step(shown, page, PAGE_SIZE, forth),))  # fmt: skip
        if page.newer:
            st.button(f"Newest ({page.newer:,} above)", key="history_newest", icon=":material/vertical_align_top:",
                      on_click=_turn, args=(None,))  # fmt: skip


def _turn(top: str | None) -> None:
    st.session_state[_TOP] = top
    st.session_state[_SELECTED] = []


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


def _follow() -> None:
    """On the newest page, show what one has just done oneself."""
    if st.session_state.get(_AT_NEWEST):
        st.session_state[_TOP] = None


def _undo(ids: list[str]) -> str:
    store = session.store().decisions
    _follow()
    undo_together(store, [store.get(id) for id in ids], session.reader())
    return "Undone." if len(ids) == 1 else f"{len(ids)} decisions undone."


def _redo(ids: list[str]) -> str:
    store = session.store().decisions
    _follow()
    for id in ids:
        store.redo(id, session.reader())
    return "Brought back." if len(ids) == 1 else f"{len(ids)} decisions brought back."


def _open(history: History, target: str, strip: int) -> None:
    row = None if history.index is None else beat_of(target, history.index)
    beat = None if row is None or history.index is None else int(history.index.beat_ids[row])
    read(strip, beat)
    go(STRIPS_PAGE)


def exports(history: History, shown: pd.DataFrame) -> None:
    """The decisions as files: all of them, or those that the filters show."""
    zone, day = st.context.timezone, pd.Timestamp.now(tz=st.context.timezone)
    name = f"decisions_{day:%Y-%m-%d}"
    all_of_them = f"All {len(history.table):,}"
    which = st.segmented_control(
        "Which",
        [all_of_them, "As filtered"],
        default=all_of_them,
        required=True,
        key=f"history_which_{len(history.table)}",
        label_visibility="collapsed",
    )
    table = shown if which == "As filtered" else history.table
    with st.container(horizontal=True, gap="xsmall"):
        st.download_button(
            "CSV",
            data=partial(as_csv, table),
            file_name=f"{name}.csv",
            mime="text/csv",
            key="history_csv",
            on_click="ignore",
            icon=":material/table:",
        )
        st.download_button(
            "Excel file",
            data=partial(_xlsx, table, zone),
            file_name=f"{name}.xlsx",
            mime="application/vnd.openxmlformats-officedocument.spreadsheetml.sheet",
            key="history_xlsx",
            on_click="ignore",
            icon=":material/table_view:",
        )
    st.caption(
        "With undos. Text that begins with =, +, - or @ has an apostrophe before it in the CSV file, so that no "
        "spreadsheet program takes it for a formula."
    )


def _xlsx(table: pd.DataFrame, zone: str | None) -> bytes:
    times = {name: local(table[name], None) for name in ("at", "undone_at", "stored_at")}
    named = {name: f"{name} (UTC)" for name in times}
    hours = counts_per_hour(table, zone).reset_index()
    sheets = {
        "Decisions": table.assign(**times).rename(columns=named),
        "Per hour": hours,
        "Per reader": reader_totals(table),
        "By what was done": counts_by_doing(table).reset_index(),
    }
    return as_xlsx(sheets)
