"""What a training would learn from: what each label stands for by now, and what readers have decided."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
import streamlit as st

from components.profiles import profile_of
from components.words import many
from ecg_engine.config import ARRHYTHMIA
from ecg_engine.datasets import training_data
from ecg_engine.figures import label_letter
from ecg_engine.inference import pick_device
from ecg_engine.labels import NOISE, UNLABELLED
from state import session
from state.overview import strips_to_learn_from, training_table
from state.runs import RunRow


def data_there_is(run: RunRow) -> bool:
    """Show what there is; False if it cannot teach a class."""
    return _strips(run) if profile_of(run) == ARRHYTHMIA else _beats(run)


@st.cache_resource(show_spinner=False, max_entries=4)
def _patients(run_id: str, folder: str) -> np.ndarray:
    return training_data(session.load(session.store().runs.get(run_id))).patient_group


def _beats(run: RunRow) -> bool:
    """Beats, each under the label that it has now: what the reference profile learns from."""
    effective = session.effective(run)
    patients = _patients(run.id, str(session.store().folder))
    table = training_table(session.load(run), effective, patients)
    classes = table[table["label"] >= 0]
    gate = int(table.loc[table["label"] == NOISE, "beats"].sum())
    blank = int(table.loc[table["label"] == UNLABELLED, "beats"].sum())
    beats, decided = int(classes["beats"].sum()), int(table["decided"].sum())
    st.markdown(
        f"**{many(beats, 'beat')} of {many(len(classes), 'label')}** teach the classes, "
        f"**{gate:,} marked as noise** teach the noise gate"
        + (f"; {many(blank, 'unlabelled beat')} are left out" if blank else "")
        + f". Readers decided the label of **{decided:,}**; the others have their strip's."
    )
    _table(table, "Beats, patients and decided beats of each label", "beats")
    if not len(classes):
        st.warning(
            "No usable beat has a label, so there is nothing to learn. Label some beats on the Strips page.",
            icon=":material/warning:",
        )
    return bool(len(classes))


def _strips(run: RunRow) -> bool:
    """Strips, each label a statement about its beats, and beats that readers labelled: for the arrhythmia profile."""
    table = _learnt_from(run.id, session.store().decisions.version(run.study_id), run)
    kinds = table[table["label"] >= 0]
    teaching, blank = int(kinds["strips"].sum()), int(table.loc[table["label"] == UNLABELLED, "strips"].sum())
    known = int(kinds["decided"].sum())
    st.markdown(
        f"**{many(teaching, 'strip')} of {many(len(kinds), 'label')}** say which beats they hold"
        + (f", and {many(blank, 'unlabelled strip')} nothing" if blank else "")
        + f". Readers labelled **{many(known, 'beat') if known else 'no beat'}** themselves, alone or with look-alikes."
    )
    _table(table, "Strips, patients and decided beats of each label", "strips")
    if len(kinds) < 2:
        st.warning(
            "Fewer than two kinds of strips or beats are labelled, so there is nothing to tell apart. Label some on "
            "the Strips page.",
            icon=":material/warning:",
        )
    return len(kinds) >= 2


@st.cache_data(show_spinner=False, max_entries=4)
def _learnt_from(run_id: str, version: int, _row: RunRow) -> pd.DataFrame:
    return strips_to_learn_from(session.load(_row), session.effective(_row))


def _table(table: pd.DataFrame, alt: str, counted: str) -> None:
    names = zip(table["label"], table["name"], strict=True)
    shown = table.assign(name=[f"{label_letter(label)}  {name}" for label, name in names])
    columns: dict[str, Any] = {
        "name": "Label",
        counted: st.column_config.NumberColumn(counted.capitalize(), format="localized"),
        "patients": st.column_config.NumberColumn("Patients", format="localized"),
        "decided": st.column_config.NumberColumn(
            "Decided by readers", format="localized", help="Beats whose label a reader gave."
        ),
    }
    st.dataframe(
        shown[list(columns)],
        hide_index=True,
        width="stretch",
        height="content",
        column_config=columns,
        alt=alt,
    )


def device_found() -> None:
    """Where training will run."""
    if pick_device().type == "cuda":
        st.caption(":material/memory: Training will use the graphics card that was found.")
    else:
        st.caption(":material/memory: No graphics card was found: training runs on the processor, beside your work.")
