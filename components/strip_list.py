"""The list of strips: search, filters, order, and the strip in hand marked."""

from __future__ import annotations

from typing import Any

import numpy as np
import streamlit as st
from numpy.typing import NDArray

from components.pickers import rows_taken
from components.strip_view import View, go_to_strip
from ecg_engine.labels import FILE_LABELS, NOISE, UNLABELLED, label_name
from state import session
from state.runs import RunRow
from state.strip_rows import ALL, NOISY, READABLE, WITH, WITHOUT, StripFilter, StripRows, filtered, orders_of

Places = NDArray[np.int64]
TABLE, ROW_PX = "strips_table", 30
_SHOWN, _REFIT = "strips_table_shown", "strips_refit"
HEIGHT = 520
_COLUMNS = (
    *("strip", "patient", "label_name", "finding", "beats", "noise_share", "decisions", "findings", "noise_said"),
    *("mix", "row", "file"),
)


def wanted(row: RunRow) -> StripFilter:
    """What the filters say, as they were last set: known before they are drawn, so that the strip is drawn first."""
    state = st.session_state
    labels, holds, patients = (tuple(state.get(key) or ()) for key in _multi(row))
    low, high = state.get("strips_noise") or (0, 100)
    return StripFilter(
        search=state.get("strips_search") or "",
        labels=labels,
        holds=holds,
        patients=patients,
        noise=(low / 100, high / 100),
        decided=state.get("strips_decided") or ALL,
        order=state.get("strips_order") or "Strip",
        findings=tuple(state.get("strips_findings") or ()),
        noisy=state.get("strips_noisy") or ALL,
    )


def places_of(row: RunRow, rows: StripRows) -> NDArray[np.int64]:
    """Places of the strips that the filters let through, in order; after a change, one of them is taken in hand."""
    places = filtered(rows, wanted(row))
    if st.session_state.pop(_REFIT, False) and len(places):
        numbers = rows.table["strip"].to_numpy()[places]
        if session.chosen_number("strip") not in numbers:
            go_to_strip(int(numbers[0]))
    return places


def filters(row: RunRow, rows: StripRows) -> None:
    """Draw search and filters."""
    before = wanted(row)
    search, folded = st.columns([0.56, 0.44], vertical_alignment="bottom")
    search.text_input(
        "Search",
        key="strips_search",
        type="search",
        live="200ms",
        placeholder="Patient, strip, row or file",
        icon=":material/search:",
        label_visibility="collapsed",
        on_change=_changed,
        persist_state="session",
    )
    with folded:
        _folded(row, rows, before)
    if wanted(row) != before:  # kept from an earlier visit, and only now known
        st.rerun()


def _changed() -> None:
    st.session_state[_REFIT] = True


def _folded(row: RunRow, rows: StripRows, now: StripFilter) -> None:
    common: dict[str, Any] = {"on_change": _changed, "persist_state": "session"}
    table = rows.table
    parts = (now.labels, now.holds, now.patients, now.decided != ALL, now.noise != (0.0, 1.0))
    more = (now.findings and "finding" in table, now.noisy != ALL and "noisy" in table)
    count = sum(map(bool, (*parts, *more)))
    title = "Filter and order" + (f" ({count} set)" if count else "")
    with st.popover(title, icon=":material/filter_list:", width="stretch", key="strips_filters"):
        orders = orders_of(rows)
        if st.session_state.get("strips_order") not in orders:  # of a run that had more to go by
            st.session_state["strips_order"] = orders[0]
        st.selectbox("Order", orders, key="strips_order", **common)
        st.multiselect(
            "Label of the strip",
            [*FILE_LABELS, UNLABELLED],
            format_func=label_name,
            key="strips_labels",
            placeholder="Any",
            **common,
        )
        st.multiselect(
            "Holds at least one beat of",
            [*FILE_LABELS, UNLABELLED],
            format_func=label_name,
            key="strips_holds",
            placeholder="Any",
            **common,
        )
        if "finding" in table:
            _finding_filter(rows, common)
        st.multiselect("Patient", _patients(rows), key=f"strips_patients_{row.id}", placeholder="All", **common)
        st.slider("Share of noise", 0, 100, (0, 100), format="%d %%", key="strips_noise", **common)
        if "noisy" in table:
            options = [ALL, NOISY, READABLE]
            st.segmented_control("Strips", options, default=ALL, required=True, key="strips_noisy", **common)
        st.segmented_control(
            "Decisions", [ALL, WITH, WITHOUT], default=ALL, required=True, key="strips_decided", **common
        )


def _finding_filter(rows: StripRows, common: dict[str, Any]) -> None:
    found = rows.table.sort_values("serious")["finding"]
    counts = found.value_counts()
    options = found.unique().tolist()
    chosen = st.session_state.get("strips_findings") or []
    if not set(chosen) <= set(options):  # of another prediction
        st.session_state["strips_findings"] = [name for name in chosen if name in options]
    st.multiselect(
        "Finding of the model",
        options,
        format_func=lambda name: f"{name} ({counts.get(name, 0):,})",
        key="strips_findings",
        placeholder="Any",
        **common,
    )


def _multi(row: RunRow) -> tuple[str, ...]:
    return ("strips_labels", "strips_holds", f"strips_patients_{row.id}")


def _patients(rows: StripRows) -> list[str]:
    names = rows.table["patient"].unique().tolist()
    return sorted(names, key=lambda name: (0, int(name), "") if name.isdigit() else (1, 0, name))


def clear(row: RunRow) -> None:
    """Take all filters off; the order stays."""
    state = st.session_state
    state["strips_search"] = ""
    for key in _multi(row):
        state[key] = []
    state["strips_noise"], state["strips_decided"] = (0, 100), ALL
    state["strips_findings"], state["strips_noisy"] = [], ALL


def totals(rows: StripRows, places: NDArray[np.int64]) -> None:
    """What the strips shown come to, by what holds now."""
    table = rows.table
    shown = table.iloc[places]
    beats, noise = int(shown["beats"].sum()), int(shown["noise_beats"].sum())
    share = f", {noise / beats:.1%} noise" if beats else ""
    counts = sorted(
        ((int(counts[places].sum()), label) for label, counts in rows.by_label.items() if label != NOISE), reverse=True
    )
    mix = " · ".join(f"{label_name(label)} {count:,}" for count, label in counts if count)
    st.caption(
        f"{len(shown):,} of {len(table):,} strips, {beats:,} beats{share}, {int(shown['decisions'].sum()):,} "
        f"decisions{'. ' + mix if mix else ''}"
    )


def table(view: View, places: NDArray[np.int64]) -> None:
    """The strips shown, one a row; a click takes a strip in hand."""
    if not len(places):
        st.info("No strip matches.", icon=":material/filter_alt_off:")
        st.button("Clear the filters", on_click=clear, args=(view.row,), icon=":material/filter_alt_off:")
        return
    rows = view.rows.table.iloc[places]
    numbers = rows["strip"].to_numpy()
    st.session_state[_SHOWN] = numbers.tolist()
    # The mark follows the strip in hand, however it was chosen: by click, by key, or from another page.
    at = np.flatnonzero(numbers == view.strip)
    st.session_state[TABLE] = {"selection": {"rows": at[:1].tolist(), "columns": [], "cells": []}}
    st.dataframe(
        rows[[name for name in _COLUMNS if name in rows]].assign(noise_share=100 * rows["noise_share"]),
        key=TABLE,
        on_select=_clicked,
        selection_mode=["single-row", "single-cell"],
        hide_index=True,
        height=HEIGHT,
        row_height=ROW_PX,
        placeholder="–",
        column_config={
            "strip": st.column_config.NumberColumn("Strip", width=48, format="%d"),
            "patient": st.column_config.TextColumn("Patient", width=60),
            "label_name": st.column_config.TextColumn("Label", width=122),
            "finding": st.column_config.TextColumn("Finding", width=122, help="The most serious one of the model"),
            "beats": st.column_config.NumberColumn("Beats", width=52),
            "noise_share": st.column_config.NumberColumn("Noise", format="%.0f %%", width=56),
            "decisions": st.column_config.NumberColumn("Decisions", width=72),
            "findings": st.column_config.TextColumn("All findings", width=210),
            "noise_said": st.column_config.TextColumn("Noise of the strip", width=210),
            "mix": st.column_config.TextColumn("Beats by label", width=210),
            "row": st.column_config.NumberColumn("Row in file", width=84, format="%d"),
            "file": st.column_config.TextColumn("File", width=160),
        },
        alt="Strips with patient, label, beats, share of noise and decisions",
    )


def _clicked() -> None:
    rows = rows_taken(st.session_state[TABLE]["selection"])
    shown: list[int] = st.session_state.get(_SHOWN, [])
    if rows and rows[0] < len(shown):  # a click on the box of the strip in hand takes its mark away, and says nothing
        go_to_strip(shown[rows[0]])
