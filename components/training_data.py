"""What a training would learn from: beats and patients of each label, and what readers have decided of them."""

from __future__ import annotations

import numpy as np
import streamlit as st

from components.words import many
from ecg_engine.datasets import training_data
from ecg_engine.figures import label_letter
from ecg_engine.inference import pick_device
from ecg_engine.labels import NOISE, UNLABELLED
from state import session
from state.overview import training_table
from state.runs import RunRow


@st.cache_resource(show_spinner=False, max_entries=4)
def _patients(run_id: str, folder: str) -> np.ndarray:
    return training_data(session.load(session.store().runs.get(run_id))).patient_group


def data_there_is(run: RunRow) -> bool:
    """Show what there is; False if it cannot teach a class."""
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
    shown = table.assign(
        name=[f"{label_letter(label)}  {name}" for label, name in zip(table["label"], table["name"], strict=True)]
    )
    st.dataframe(
        shown[["name", "beats", "patients", "decided"]],
        hide_index=True,
        width="stretch",
        height="content",
        column_config={
            "name": "Label",
            "beats": st.column_config.NumberColumn("Beats", format="localized"),
            "patients": st.column_config.NumberColumn("Patients", format="localized"),
            "decided": st.column_config.NumberColumn(
                "Decided by readers", format="localized", help="Beats whose label a reader gave."
            ),
        },
        alt="Beats, patients and decided beats of each label",
    )
    if not len(classes):
        st.warning(
            "No usable beat has a label, so there is nothing to learn. Label some beats on the Strips page.",
            icon=":material/warning:",
        )
    return bool(len(classes))


def device_found() -> None:
    """Where training will run."""
    if pick_device().type == "cuda":
        st.caption(":material/memory: Training will use the graphics card that was found.")
    else:
        st.caption(":material/memory: No graphics card was found: training runs on the processor, beside your work.")
