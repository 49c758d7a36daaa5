"""The Strips page but for its frame, as a fragment: what follows from decisions is drawn anew without the page."""

from __future__ import annotations

import streamlit as st

from components import strip_list
from components.disclosure_view import disclosure
from components.findings_age import findings_age
from components.keymap import NEXT_BEAT, NEXT_STRIP, NOTE, PREVIOUS_BEAT, PREVIOUS_STRIP, SEED, UNDO, UNSURE, VALID
from components.label_buttons import LABEL_KEYS_SHOWN
from components.outcome import begin_page, go
from components.rr_view import rr_view
from components.scripts import style
from components.strip_beat import beat_facts
from components.strip_decisions import strip_decisions
from components.strip_desk import INSERT, REMOVE, beat_panel, strip_desk
from components.strip_findings import strip_words
from components.strip_view import View, all_rows, view_of
from components.strips_views import DISCLOSURE, READ, RR, VIEW, VIEWS
from components.words import many
from state.runs import RunRow

KEYS = (
    (PREVIOUS_BEAT, "Previous beat"),
    (NEXT_BEAT, "Next beat"),
    (PREVIOUS_STRIP, "Previous strip of the list"),
    (NEXT_STRIP, "Next strip of the list"),
    *LABEL_KEYS_SHOWN,
    (VALID, "It is a beat, not noise"),
    (SEED, "Add the beat to the seeds, or take it out"),
    (UNSURE, "Unsure, for a second reader; again: not unsure"),
    (NOTE, "Write a note"),
    (UNDO, "Undo your last step"),
    (INSERT, "Add an R-peak between this beat and the next"),
    (REMOVE, "Delete the R-peak of the beat in hand"),
    ("Shift + ← →", "Move the R-peak by one sample"),
    ("Esc", "Put the calipers away"),
)


@st.fragment
def strip_reader(row: RunRow) -> None:
    """The strip with all that can be done on it, then the list beside the beat in hand; or all strips, or RR."""
    begin_page()
    st.html(f"<style>{style('strips_page')}</style>")
    shown = st.segmented_control(
        "View", VIEWS, default=READ, required=True, key=VIEW, persist_state="session", label_visibility="collapsed"
    )
    rows = all_rows(row)
    places = strip_list.places_of(row, rows)
    view = view_of(row, rows, places)
    if shown == DISCLOSURE:
        disclosure(row, view)
    elif shown == RR:
        rr_view(row, view, places)
    else:
        strip_words(row)
        strip_desk(view, places)
        findings_age(view)
        _out_of_date(view)
    if shown != DISCLOSURE:
        with st.container(key="strips_below"):
            _below(view, rows, places, shown == READ)


def _below(view: View, rows: strip_list.StripRows, places: strip_list.Places, reading: bool) -> None:
    left, right = st.columns([0.57, 0.43], gap="medium") if reading else (st.container(), None)
    with left:
        strip_list.filters(view.row, rows)
        strip_list.table(view, places)
        strip_list.totals(rows, places)
    if right is not None:
        with right:
            beat_panel()
            beat_facts(view)
        strip_decisions(view)


def _out_of_date(view: View) -> None:
    """Say what is of before an edit of R-peaks, and offer the way to have it computed again."""
    effective, index = view.effective, view.index
    changed = set(index.strip_of_beat[effective.deleted | effective.moved].tolist()) | set(effective.added_on)
    if not changed:
        return
    with st.container(key="strips_peaks_changed", horizontal=True, vertical_alignment="center", gap="small"):
        st.markdown(
            f":material/update: R-peaks changed on {many(len(changed), 'strip')}: features, clusters and the model are "
            "of before.",
            width="content",
        )
        st.button("Preprocess again", key="strips_again", icon=":material/arrow_forward:", on_click=go,
                  args=("pages/upload.py",))  # fmt: skip
