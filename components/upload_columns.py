"""One file looked at more closely: its first rows, and which columns hold the wave, the label and the patient."""

from __future__ import annotations

from collections.abc import Sequence

import streamlit as st

from components.outcome import attempt
from components.upload_files import COLUMNS, Looked
from components.words import counted, listed, many
from ecg_engine.strips import Columns, Preview
from state import session
from state.previews import is_record, place_in_file
from state.studies import Study


def columns_asked(study: Study, files: Sequence[Looked]) -> dict[str, dict[str, str | None]]:
    """The columns that were named, of the files to be read."""
    named = study.settings.get(COLUMNS) or {}
    return {one.file.id: dict(named[one.file.id]) for one in files if named.get(one.file.id)}


def look_closer(study: Study, one: Looked) -> None:
    """The columns found in a file, what is in them, and its first rows."""
    if one.preview is None:
        return
    found = one.preview
    if is_record(one.file.name):
        lead = found.columns.wave or "no lead"
        st.markdown(f"Lead **{lead}** is read (of {listed(list(found.header))}), cut into {found.n_rows:,} strips.")
    else:
        if found.columns.wave is None:
            st.warning("No column of this file is called ECG Wave. Say below which one holds the waves.")
        _mapping(study, one, found)
    if found.unreadable_labels:
        texts = counted(found.unreadable_labels)
        st.warning(f"These labels are none of the list, so their rows count as unlabelled: {texts}.")
    if found.rows.empty:
        return
    rows = found.rows.assign(row=[place_in_file(one.file.name, row) for row in found.rows["row"]])
    rows["fs"] = rows["fs"].where(rows["fs"] > 0)
    rows["patient"] = [("" if value == -1 else str(value)) for value in rows["patient"]]
    st.caption(f"The first {many(len(rows), 'row')} of {found.n_rows:,}")
    st.dataframe(
        rows[["row", "patient", "label_name", "samples", "fs", "problem"]],
        hide_index=True,
        height=min(38 + 35 * len(rows), 230),
        alt=f"The first {len(rows)} rows of {one.file.name}",
        column_config={
            "row": st.column_config.NumberColumn("Strip" if is_record(one.file.name) else "Row in the sheet"),
            "patient": "Patient",
            "label_name": "Label",
            "samples": st.column_config.NumberColumn("Readings", help="Numbers in the wave"),
            "fs": st.column_config.NumberColumn("Sampling rate (Hz)", format="%.1f"),
            "problem": st.column_config.TextColumn("Skipped because", width="large"),
        },
    )


def _mapping(study: Study, one: Looked, found: Preview) -> None:
    words = {"wave": "Column of the wave", "label": "Column of the label", "patient": "Column of the patient"}
    without = {"wave": "", "label": "none: all rows unlabelled", "patient": "none: no patient is known"}
    for place, role in zip(st.columns(3), words, strict=True):
        name = getattr(found.columns, role)
        # The key follows what was found, so that another file or a new mapping is shown as it is.
        key = f"column_{one.file.id}_{role}_{name}"
        place.selectbox(
            words[role],
            list(found.header),
            index=found.header.index(name) if name in found.header else None,
            placeholder=without[role] or "Choose the column",
            key=key,
            on_change=attempt,
            args=(lambda role=role, key=key: _name_column(study, one, role, st.session_state[key]),),
        )


def _name_column(study: Study, one: Looked, role: str, name: str | None) -> str:
    store = session.store().studies
    named = dict(store.get(study.id).settings.get(COLUMNS) or {})
    mine = {**dict.fromkeys(Columns._fields), **(named.get(one.file.id) or {}), role: name}
    store.set(study.id, **{COLUMNS: {**named, one.file.id: mine}})
    if name is None:
        return f"The column of the {role} is looked for by its name again."
    return f"{name} is the column of the {role} in {one.file.name}."
