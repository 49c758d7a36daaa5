"""Review: let a model read the strips, and settle what is in doubt."""

from __future__ import annotations

import streamlit as st

from components.downloads import run_downloads
from components.findings_age import findings_age_of
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
from components.review_view import KIND, READ_ANEW, SHOWN, View, gather, predictions_of
from components.words import many, when
from ecg_engine.config import ARRHYTHMIA
from state import session
from state.models import ModelRow
from state.runs import PREPROCESS, RunRow

QUEUE, BEATS, STRIPS, AGREEMENT, PREDICT = "Queue", "Beats", "Strips", "Agreement", READ_ANEW


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
    models = session.store().models.all(source.study_id)
    shown = QUEUE
    with st.container(horizontal=True, gap="small", vertical_alignment="center"):
        if view:
            chosen = st.segmented_control(
                "View",
                [QUEUE, BEATS, STRIPS, AGREEMENT, PREDICT],
                default=None if SHOWN in st.session_state else QUEUE,  # another page may have chosen
                required=True,
                key=SHOWN,
                persist_state="session",
                label_visibility="collapsed",
            )
            shown = chosen or QUEUE
        if shown == QUEUE:
            order_and_filters(desk)
        if view:
            with st.container(width=280):
                which(view)
    if view is None:
        without_prediction(source, models)
        review_queue(desk)
        return
    if shown == QUEUE:
        review_queue(desk)
    summary(view)
    if shown == PREDICT and models:
        predict_panel(source, models)
    elif shown == BEATS:
        beats_table(view)
    elif shown == STRIPS:
        findings_age_of(view.row, view.source)
        strips_table(view)
    elif shown == AGREEMENT:
        agreement_view(view)
    run_downloads(view.row, title="Files of this prediction")


def without_prediction(source: RunRow, models: list[ModelRow]) -> None:
    """The way to a first prediction, above a queue that needs none."""
    if models:
        st.info(
            "No model has read these strips yet. Choose one and press Predict: what it is not sure of will wait here "
            "too. Below are the items that need no model.",
            icon=":material/info:",
        )
        predict_panel(source, models)
        return
    with st.container(horizontal=True, vertical_alignment="center"):
        groups = "groups of beats that look alike, " if source.config.get("profile") == ARRHYTHMIA else ""
        st.info(
            f"There is no model yet, so these are the items that need none: {groups}noise that looks like an ectopic "
            "beat, strips at odds with their beats, what somebody was unsure of.",
            icon=":material/info:",
        )
        if st.button("Go to Training", key="review_to_training", icon=":material/model_training:"):
            st.switch_page("pages/training.py")


def summary(view: View) -> None:
    """What the prediction came to, and what speaks against trusting it."""
    total = view.summary
    limits = f"confidence at least {view.config.min_class_conf:.0%}, noise at most {view.config.max_noise_prob:.0%}"
    if total.get("profile") == ARRHYTHMIA:
        doubtful = f"{many(total['unknown_strips'], 'strip')} without a finding that can be stood by"
        strange = f", {total['strange_strips']:,} of them unknown patterns" if total["strange_strips"] else ""
        left = f"{doubtful}{strange}; {many(total['num_noise_flagged'], 'beat')} marked as noise, and read all the same"
        limits += f", patterns at least as common as {view.config.min_known_share:.1%} of the known"
    else:
        left = f"{total['unknown_strips']:,} strips without a final label, {total['num_noise_flagged']:,} noise beats "
        left += "left out"
        limits += f", similarity at least {view.config.min_proto_sim:.2f}"
    st.markdown(
        f"**{view.model_name}** read **{total['num_beats_predicted']:,} beats** on {total['num_strips']:,} strips: "
        f"**{total['num_review_flagged']:,} under review ({total['review_rate']:.0%})**, {left}.",
        help=f"Limits used: {limits}.",
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
