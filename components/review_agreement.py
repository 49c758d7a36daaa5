"""How far the model agrees with the labels that hold, on patients it has not seen if there are any."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pandas as pd
import streamlit as st

from components.downloads import table_download
from components.frame import told
from components.review_view import View
from components.theme import confusion_chart
from components.words import many
from ecg_engine.agreement import HELD_OUT, NEW, TRAINED, Agreement, agreement, training_parts
from ecg_engine.labels import UNKNOWN
from state import session
from state.strip_rows import strip_labels

UNSEEN, SEEN, ALL = "Patients it has not seen", "Patients it was trained on", "All patients"


@dataclass(frozen=True)
class _Judged:
    """What is compared: beats or, where the model makes findings, strips.

    ``table`` has pred_label_raw and review_flag; ``labels`` hold for its rows, and ``parts`` say whether the model has
    seen their patients (None if it does not tell).
    """

    what: str
    table: pd.DataFrame
    labels: np.ndarray
    parts: np.ndarray | None


def agreement_view(view: View) -> None:
    """Figures, confusion matrix, and a warning where the figures are too good."""
    judged = _strips(view) if "strip_finding" in view.strips else _beats(view)
    if not (judged.labels >= 0).any():
        st.info(
            "These strips have no labels yet, so there is nothing to compare with. Label some beats, or strips.",
            icon=":material/info:",
        )
        return
    left, right = st.columns([0.6, 0.4], vertical_alignment="bottom")
    with left:
        wanted = _which(judged)
    with_review = judged.what == "beat" and right.toggle(
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
        judged,
    )
    _figures(view, found, judged)


def _beats(view: View) -> _Judged:
    rows = view.beats["row"].to_numpy()
    parts = _parts(view)
    return _Judged("beat", view.beats, view.effective.labels[rows], None if parts is None else parts[rows])


def _strips(view: View) -> _Judged:
    assert view.run.strips is not None
    places = {row: place for place, row in enumerate(view.run.strips.source_row.tolist())}
    at = np.array([places[row] for row in view.strips["source_row"].tolist()], dtype=np.int64)
    labels, _, _ = strip_labels(view.run, view.index, session.active_decisions())
    finding = view.strips["strip_finding"].to_numpy()
    table = pd.DataFrame({"pred_label_raw": finding, "review_flag": (finding == UNKNOWN).astype(np.int64)})
    parts, of_beats = None, _parts(view)
    if of_beats is not None:
        parts = np.full(len(view.run.strips), NEW, dtype=of_beats.dtype)
        parts[view.run.strip_of_beat] = of_beats
    return _Judged("strip", table, labels[at], None if parts is None else parts[at])


def _parts(view: View) -> np.ndarray | None:
    """The part of each beat of the run; None if the model does not say or cannot be opened."""
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


def _which(judged: _Judged) -> str | None:
    """Which patients count; None where the model does not say whom it has seen."""
    parts = judged.parts
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
        f"{judged.what.capitalize()}s of",
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
def _agreement(row_id: str, version: int, data: str, whose: str, with_review: bool, _judged: _Judged) -> Agreement:
    wanted = np.ones(len(_judged.table), dtype=bool)
    if _judged.parts is not None and whose in (UNSEEN, SEEN):
        wanted = np.isin(_judged.parts, [HELD_OUT, NEW] if whose == UNSEEN else [TRAINED])
    return agreement(_judged.table[wanted], _judged.labels[wanted], count_review=with_review)


def _figures(view: View, found: Agreement, judged: _Judged) -> None:
    what = judged.what
    if not found.labelled:
        st.info(f"None of these {what}s has a label to compare with.", icon=":material/info:")
        return
    kept = f"{found.accuracy_kept:.0%}" if found.kept else "–"
    if what == "strip":
        st.markdown(
            f"Of **{many(found.labelled, 'labelled strip')}** the model's most serious finding is the label for "
            f"**{found.accuracy:.0%}**; of the **{found.kept:,}** whose finding can be stood by, for **{kept}**."
        )
        st.caption("The label of a strip is what a reader said of it, else that of the file.")
    else:
        st.markdown(
            f"Of **{found.labelled:,} labelled beats** the model's class is the label for **{found.accuracy:.0%}**; "
            f"of the **{found.kept:,}** that it keeps out of review, for **{kept}**."
        )
        accepted = int(np.sum(view.effective.source == "model"))
        st.caption(
            "The label of a beat is what a reader said of it, else the label of its strip: a strip called PVC also "
            "holds normal beats, and they count as PVC here."
            + (f" {accepted:,} labels are suggestions that a reader accepted." if accepted else "")
        )
    if not found.counted:
        st.info(
            "No finding can be stood by."
            if what == "strip"
            else "All of these beats are under review. Count beats under review to see what the model would call them.",
            icon=":material/info:",
        )
        return
    left, right = st.columns([0.56, 0.44], gap="medium")
    with left:
        confusion_chart(found.matrix, found.classes, key="review_confusion", of=f"{what}s")
    with right:
        _report(found.report, "review_report", f"Agreement by label over {found.counted:,} {what}s", what)
        if what == "beat":
            st.caption("EC57-style, by AAMI class (N normal, S supraventricular, V ventricular):")
            _report(found.aami, "review_aami", "Agreement by AAMI class", what)
        table_download(found.report, "agreement.csv", label="Download the figures", key="agreement_csv")


def _report(table: pd.DataFrame, key: str, alt: str, what: str) -> None:
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
            "se": st.column_config.NumberColumn("Se", format="%.0f %%", help=f"Share of these {what}s that were found"),
            "ppv": st.column_config.NumberColumn("+P", format="%.0f %%", help="Share of such answers that are right"),
            "f1": st.column_config.NumberColumn("F1", format="%.0f %%"),
            "support": st.column_config.NumberColumn(f"{what.capitalize()}s", format="localized"),
        },
    )
