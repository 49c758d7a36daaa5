"""Findings are as of their prediction: what readers have said since is told in one line, and what brings it in."""

from __future__ import annotations

import numpy as np
import streamlit as st

from components.outcome import go
from components.review_view import to_predict
from components.strip_findings import newest_found
from components.strip_view import View
from components.words import many
from state import kept, session
from state.deciding import active
from state.effective import Effective, effective_labels
from state.runs import RunRow
from state.said_since import SaidSince, said_since
from state.telling import clock


@st.cache_resource(show_spinner=False, max_entries=4)
def _then(prediction_id: str, source_id: str, folder: str) -> Effective:
    """What held as a prediction began: worked out once for each, however much is said since."""
    store = session.store()
    prediction, source = store.runs.get(prediction_id), store.runs.get(source_id)
    until = prediction.decisions_until
    listing = kept.listing_of(store, source.study_id, store.decisions.version(source.study_id))
    counted = [made for made in listing if until is None or (made.stored_at or made.at) <= until]
    return effective_labels(session.index(source), active(counted))


def since(prediction: RunRow, source: RunRow) -> SaidSince:
    """What readers have said of a run's beats and strips since a prediction of it."""
    then = _then(prediction.id, source.id, str(session.store().folder))
    return said_since(session.index(source), then, session.effective(source))


def since_words(prediction: RunRow, said: SaidSince, place: int | None = None) -> str:
    """The line that says so.

    Parameters
    ----------
    prediction : RunRow
    said : SaidSince
        Not empty.
    place : int, optional
        Of the strip in hand.
    """
    every = np.union1d(said.beats, said.strips)
    here = " (this one too)" if place is not None and place in every else ""
    way = "Predict again to take them in."
    if not len(said.beats):
        way = "They are labels of whole strips: retrain, then predict again to take them in."
    elif len(said.strips):
        way = "Predict again to take in what was said of beats; labels of whole strips count once you retrain."
    moment = clock(prediction.decisions_until or prediction.created_at, st.context.timezone)
    return (
        f"Findings are from the prediction of {moment}; labels given since on {many(len(every), 'strip')}{here} are "
        f"not in them. {way}"
    )


def findings_age(view: View) -> None:
    """Say what the findings above the strip do not know yet, and lead to where it is taken in; else nothing."""
    found = newest_found(view.row)
    if found is None or found.findings is None:
        return
    prediction = session.store().runs.get(found.id)
    said = since(prediction, view.row)
    if not said:
        return
    with st.container(key="strips_findings_age", horizontal=True, vertical_alignment="center", gap="small"):
        # the words give way to the button, so that the list below does not jump from strip to strip
        st.markdown(f":small[:material/update: {since_words(prediction, said, view.place)}]", width="stretch")
        if len(said.beats):
            st.button("Predict again", key="strips_predict", icon=":material/arrow_forward:", on_click=to_predict)
        else:
            st.button("Retrain", key="strips_retrain", icon=":material/arrow_forward:", on_click=go,
                      args=("pages/training.py",))  # fmt: skip


def findings_age_of(prediction: RunRow, source: RunRow) -> None:
    """The same above all strips of a prediction; nothing where it makes no findings, or nothing was said since."""
    said = since(prediction, source)
    if "strip_finding_counts" in prediction.summary and said:
        st.caption(f":material/update: {since_words(prediction, said)}")
