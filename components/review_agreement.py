"""How far the model agrees with the labels that hold, on patients it has not seen if there are any."""

from __future__ import annotations

import numpy as np
import pandas as pd
import streamlit as st

from components.downloads import table_download
from components.frame import told
from components.review_view import View
from components.theme import confusion_chart
from ecg_engine.agreement import HELD_OUT, NEW, TRAINED, Agreement, agreement, training_parts
from state import session

UNSEEN, SEEN, ALL = "Patients it has not seen", "Patients it was trained on", "All patients"


def agreement_view(view: View) -> None:
    """Figures, confusion matrix, and a warning where the figures are too good."""
    labels = view.effective.labels[view.beats["row"].to_numpy()]
    if not (labels >= 0).any():
        st.info(
            "These strips have no labels yet, so there is nothing to compare with. Label some beats, or strips.",
            icon=":material/info:",
        )
        return
    parts = _parts(view)
    left, right = st.columns([0.6, 0.4], vertical_alignment="bottom")
    with left:
        wanted = _which(view, parts)
    with_review = right.toggle(
        "Count beats under review",
        key="review_count_review",
        persist_state="session",
        help="With the class that the model would give them. Otherwise only beats with a final label count.",
    )
    found = _agreement(
        view.row.id,
        session.store().decisions.version(view.source.study_id),
        str(session.store().folder),
        ALL if wanted is None else wanted,
        with_review,
        view,
        parts,
    )
    _figures(view, found, wanted, parts)


def _parts(view: View) -> np.ndarray | None:
    """The part of each beat of the prediction; None if the model does not say or cannot be opened."""
    model = session.store().models.find(str(view.summary.get("model_id", "")))
    if model is None:
        return None
    with told():
        return _parts_of(model.id, view.source.id, str(session.store().folder))
    return None


@st.cache_resource(show_spinner="Looking up which patients the model has seen", max_entries=4)
def _parts_of(model_id: str, source_id: str, data: str) -> np.ndarray | None:
    store = session.store()
    return training_parts(session.bundle(store.models.get(model_id)), session.load(store.runs.get(source_id)))


def _which(view: View, parts: np.ndarray | None) -> str | None:
    """Which patients' beats count; None where the model does not say whom it has seen."""
    if parts is None:
        st.warning(
            "This model does not say which patients it was trained on. If it has seen these, the figures are too good.",
            icon=":material/warning:",
        )
        return None
    seen = parts == TRAINED
    if not seen.any():
        st.markdown("The model has seen none of these patients in training.")
        return UNSEEN
    if seen.all():
        st.warning(
            "The model was trained on all of these patients, so these figures are too good. Predict strips of other "
            "patients to know how good it is.",
            icon=":material/warning:",
        )
        return SEEN
    choice = st.segmented_control(
        "Beats of",
        [UNSEEN, SEEN, ALL],
        default=UNSEEN,
        required=True,
        key="review_whose",
        persist_state="session",
    )
    if choice in (SEEN, ALL):
        st.warning(
            "The model was trained on patients among these, so the figures are too good.", icon=":material/warning:"
        )
    return str(choice)


@st.cache_resource(show_spinner=False, max_entries=12)
def _agreement(
    row_id: str, version: int, data: str, whose: str, with_review: bool, _view: View, _parts: np.ndarray | None
) -> Agreement:
    rows = _view.beats["row"].to_numpy()
    wanted = np.ones(len(rows), dtype=bool)
    if _parts is not None and whose in (UNSEEN, SEEN):
        wanted = np.isin(_parts[rows], [HELD_OUT, NEW] if whose == UNSEEN else [TRAINED])
    labels = _view.effective.labels[rows]
    return agreement(_view.beats[wanted], labels[wanted], count_review=with_review)


def _figures(view: View, found: Agreement, wanted: str | None, parts: np.ndarray | None) -> None:
    if not found.labelled:
        st.info("None of these beats has a label to compare with.", icon=":material/info:")
        return
    kept = f"{found.accuracy_kept:.0%}" if found.kept else "–"
    st.markdown(
        f"Of **{found.labelled:,} labelled beats** the model's class is the label for **{found.accuracy:.0%}**; "
        f"of the **{found.kept:,}** that it keeps out of review, for **{kept}**."
    )
    accepted = int(np.sum(view.effective.source == "model"))
    st.caption(
        "The label of a beat is what a reader said of it, else the label of its strip: a strip called PVC also holds "
        "normal beats, and they count as PVC here."
        + (f" {accepted:,} labels are suggestions that a reader accepted." if accepted else "")
    )
    if not found.counted:
        st.info(
            "All of these beats are under review. Count beats under review to see what the model would call them.",
            icon=":material/info:",
        )
        return
    left, right = st.columns([0.56, 0.44], gap="medium")
    with left:
        confusion_chart(found.matrix, found.classes, key="review_confusion", of="beats")
    with right:
        _report(found.report, "review_report", f"Agreement by label over {found.counted:,} beats")
        st.caption("EC57-style, by AAMI class (N normal, S supraventricular, V ventricular):")
        _report(found.aami, "review_aami", "Agreement by AAMI class")
        table_download(found.report, "agreement.csv", label="Download the figures", key="agreement_csv")


def _report(table: pd.DataFrame, key: str, alt: str) -> None:
    shown = table.drop(columns=["label", "predicted"])
    for name in ("se", "ppv", "f1"):
        shown[name] = shown[name] * 100
    st.dataframe(
        shown,
        key=key,
        hide_index=True,
        alt=alt,
        placeholder="–",
        column_config={
            "name": "Label",
            "se": st.column_config.NumberColumn("Se", format="%.0f %%", help="Share of these beats that were found"),
            "ppv": st.column_config.NumberColumn("+P", format="%.0f %%", help="Share of such answers that are right"),
            "f1": st.column_config.NumberColumn("F1", format="%.0f %%"),
            "support": st.column_config.NumberColumn("Beats", format="localized"),
        },
    )
