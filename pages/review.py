"""Review: let a model read the strips, and settle what is in doubt."""

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
from components.review_items import Desk
from components.review_queue import order_and_filters, queue_keys, review_queue
from components.review_tables import beats_table, strips_table
from components.review_view import KIND, View, gather, predictions_of
from components.words import when
from state import session
from state.models import ModelRow
from state.runs import PREPROCESS, RunRow

QUEUE, BEATS, STRIPS, AGREEMENT, PREDICT = "Queue", "Beats", "Strips", "Agreement", "Predict"


def page() -> None:
    begin_page()
    page_header(
        "Review",
        "What is in doubt waits here for you, one item at a time: a key answers it, and the next one is there.",
        ((START, "Predict"), *queue_keys()),
    )
    source = session.preprocess_run()
    if source is None:
        empty_state(
            "Nothing to review yet",
            "Bring a file of strips and preprocess it; then what is in doubt waits here.",
            action="Go to Upload",
            page="pages/upload.py",
        )
        return
    job_panel([KIND])
    view = gather(source)
    desk = Desk(source, view)
    views = [QUEUE, BEATS, STRIPS, AGREEMENT, PREDICT] if view else [QUEUE, PREDICT]
    with st.container(horizontal=True, gap="small", vertical_alignment="center"):
        shown = st.segmented_control(
            "View",
            views,
            default=QUEUE,
            required=True,
            key="review_view",
            persist_state="session",
            label_visibility="collapsed",
        )
        if shown == QUEUE:
            order_and_filters(desk)
        if view:
            with st.container(width=280):
                which(view)
    models = session.store().models.all(source.study_id)
    if shown == PREDICT:
        predict(source, view, models)
    elif view and shown == BEATS:
        summary(view)
        beats_table(view)
    elif view and shown == STRIPS:
        summary(view)
        strips_table(view)
    elif view and shown == AGREEMENT:
        agreement_view(view)
    else:
        review_queue(desk)
        if view:
            summary(view)
        else:
            without_model(models)
    if view:
        run_downloads(view.row, title="Files of this prediction")


def predict(source: RunRow, view: View | None, models: list[ModelRow]) -> None:
    """Choosing a model and letting it read; the way to a first model where there is none."""
    if not models:
        empty_state(
            "No model yet",
            "Train a model on your labelled strips first; then it reads these and asks about what it does not know.",
            action="Go to Training",
            page="pages/training.py",
        )
        return
    if view:
        summary(view)
    predict_panel(source, models)


def without_model(models: list[ModelRow]) -> None:
    """What is missing from the queue without a prediction."""
    if models:
        text = "No model has read these strips yet: under Predict, choose one. What it is not sure of waits here too."
    else:
        text = (
            "There is no model yet, so these are the items that need none: noise that looks like an ectopic beat, "
            "strips that disagree with their beats, what somebody was unsure of. Train one under Training."
        )
    st.info(text, icon=":material/info:")


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
