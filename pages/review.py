"""Review: let a model read the strips, and settle the beats that it is not sure of."""

from __future__ import annotations

import streamlit as st

from components.downloads import run_downloads
from components.frame import empty_state, page_header
from components.jobs import job_panel
from components.keymap import START
from components.outcome import begin_page
from components.pickers import pick_newest_first
from components.predict_panel import predict_panel
from components.review_agreement import agreement_view
from components.review_queue import KEYS, review_queue
from components.review_tables import beats_table, strips_table
from components.review_view import KIND, View, gather, predictions_of
from components.words import when
from state import session
from state.runs import PREPROCESS, RunRow

QUEUE, BEATS, STRIPS, AGREEMENT, PREDICT = "Queue", "Beats", "Strips", "Agreement", "Predict again"


def page() -> None:
    begin_page()
    page_header(
        "Review",
        "A model reads the strips. What it is not sure of waits here for you, one beat at a time.",
        ((START, "Predict"), *KEYS),
    )
    source = session.preprocess_run()
    if source is None:
        empty_state(
            "Nothing to review yet",
            "Bring a file of strips and preprocess it; then a model can read it.",
            action="Go to Upload",
            page="pages/upload.py",
        )
        return
    models = session.store().models.all(source.study_id)
    if not models:
        empty_state(
            "No model yet",
            "Train a model on your labelled strips first; then it reads these and asks about what it does not know.",
            action="Go to Training",
            page="pages/training.py",
        )
        return
    job_panel([KIND])
    view = gather(source)
    if view is None:
        predict_panel(source, models)
        st.info(
            "No model has read these strips yet. Choose one and press Predict: beats that it is not sure of will wait "
            "here for you.",
            icon=":material/arrow_upward:",
        )
        return
    left, right = st.columns([0.7, 0.3], vertical_alignment="center")
    shown = left.segmented_control(
        "View",
        [QUEUE, BEATS, STRIPS, AGREEMENT, PREDICT],
        default=QUEUE,
        required=True,
        key="review_view",
        persist_state="session",
        label_visibility="collapsed",
    )
    with right:
        which(view)
    summary(view)
    if shown == PREDICT:
        predict_panel(source, models)
    elif shown == BEATS:
        beats_table(view)
    elif shown == STRIPS:
        strips_table(view)
    elif shown == AGREEMENT:
        agreement_view(view)
    elif not view.summary.get("num_review_flagged"):
        st.success(
            "The model is sure of every beat: nothing is under review. See its labels under Beats and Strips.",
            icon=":material/task_alt:",
        )
    else:
        review_queue(view)
    run_downloads(view.row, title="Files of this prediction")


def summary(view: View) -> None:
    """What the prediction came to, and what speaks against trusting it."""
    total = view.summary
    st.markdown(
        f"**{view.model_name}** read **{total['num_beats_predicted']:,} beats** on {total['num_strips']:,} strips: "
        f"**{total['num_review_flagged']:,} under review ({total['review_rate']:.0%})**, "
        f"{total['unknown_strips']:,} strips without a final label, {total['num_noise_flagged']:,} noise beats left "
        "out.",
        help=f"Limits used: confidence at least {view.config.min_class_conf:.0%}, noise at most "
        f"{view.config.max_noise_prob:.0%}, similarity at least {view.config.min_proto_sim:.2f}.",
    )
    for note in notes(view):
        st.warning(note, icon=":material/info:")


def which(view: View) -> None:
    """The predictions that there are of these strips."""
    oldest_first = reversed(predictions_of(view.source))
    words = {run.id: f"{run.summary.get('model_name', 'A model')}, {when(run.created_at)}" for run in oldest_first}
    pick_newest_first(
        "Prediction",
        words,
        view.row.id,
        key=f"prediction_{view.row.id}",
        on_pick=lambda id: session.choose(prediction=id),
    )


def notes(view: View) -> list[str]:
    """What a reader should know: tests left out, other settings, a newer model or run."""
    found = [str(note) for note in view.summary.get("notes", ())]
    store = session.store()
    current = store.models.current(view.source.study_id)
    if current is not None and current.id != view.summary.get("model_id"):
        found.append(f"{current.name} is the current model now; this prediction is by {view.model_name}.")
    newest = store.runs.newest(view.source.study_id, PREPROCESS)
    if newest is not None and _newer(newest, view.source):
        found.append("The strips were preprocessed again after this prediction. Predict again to read the newest run.")
    return found


def _newer(newest: RunRow, source: RunRow) -> bool:
    return newest.id != source.id and newest.created_at > source.created_at


page()
