"""Alerts: is something new turning up among the beats that the model is not sure of?"""

from __future__ import annotations

import streamlit as st

from components import alerts_detail as detail
from components.alerts_settings import search_settings
from components.alerts_view import View, gallery, gather, pattern_map, searches_of, table
from components.downloads import run_downloads
from components.frame import empty_state, page_header, told
from components.jobs import job_panel
from components.keymap import ACCEPT, NEXT_ITEM, OPEN_STRIP, PREVIOUS_ITEM, SEED, START, UNDO
from components.label_buttons import LABEL_KEYS_SHOWN
from components.outcome import begin_page
from components.pickers import pick_newest_first
from components.review_view import View as Review
from components.review_view import gather as gather_review
from components.words import many, when
from state import session
from state.runs import ALERTS

MANY = 12
GALLERY, MAP, TABLE, AGAIN = "Gallery", "Map", "Table", "Look again"
KEYS = (
    (START, "Look for new patterns"),
    (NEXT_ITEM, "Next cluster"),
    (PREVIOUS_ITEM, "Previous cluster"),
    (ACCEPT, "Acknowledge the alert, or confirm a label"),
    (detail.CANCEL, "Do not label after all"),
    (SEED, "Make the next typical beat a seed"),
    (OPEN_STRIP, "Open the strip of the most typical beat"),
    (UNDO, "Undo your last step"),
    *LABEL_KEYS_SHOWN,
)


def page() -> None:
    begin_page()
    page_header(
        "Alerts",
        "Beats under review, grouped by shape. A large group may be a pattern that the model does not know.",
        KEYS,
    )
    source = session.preprocess_run()
    if source is None:
        empty_state(
            "Nothing to look through yet",
            "Bring a file of strips and preprocess it; then a model can read it.",
            action="Go to Upload",
            page="pages/upload.py",
        )
        return
    review = gather_review(source)
    if review is None:
        empty_state(
            "No prediction yet",
            "New patterns are looked for among the beats that a model is not sure of. Let a model read the strips "
            "first.",
            action="Go to Review",
            page="pages/review.py",
        )
        return
    job_panel([ALERTS])
    view = None
    with told():
        view = gather(review)
    if not review.summary.get("num_review_flagged"):
        good_news(review)
        return
    if view is None:
        st.info(
            f"{many(int(review.summary['num_review_flagged']), 'beat')} of {review.model_name}'s prediction are under "
            "review. Look whether they form groups.",
            icon=":material/arrow_downward:",
        )
        search_settings(review.row, None)
        return
    clusters(view)


def good_news(review: Review) -> None:
    st.success(
        f"Good news: {review.model_name} is sure of all "
        f"{many(int(review.summary.get('num_beats_predicted', 0)), 'beat')}. Nothing is under review, so there is no "
        "new pattern.",
        icon=":material/task_alt:",
    )


def clusters(view: View) -> None:
    left, right = st.columns([0.7, 0.3], vertical_alignment="center")
    shown = left.segmented_control(
        "View",
        [GALLERY, MAP, TABLE, AGAIN],
        default=GALLERY,
        required=True,
        key="alerts_view",
        persist_state="session",
        label_visibility="collapsed",
    )
    with right:
        which(view)
    summary(view)
    if shown == AGAIN:
        search_settings(view.review.row, view.config)
        return
    chosen = session.chosen_number("cluster")
    if chosen not in view.order:
        unseen = [number for number in view.order if view.alert(number) and number not in view.seen]
        chosen = (unseen or view.order)[0]
        session.choose(cluster=chosen)  # so that it stays when it has been seen
    left, right = st.columns([0.54, 0.46], gap="medium")
    with left:
        if shown == MAP:
            pattern_map(view, chosen, lambda cluster: session.choose(cluster=cluster))
        elif shown == TABLE:
            table(view, chosen)
        else:
            # Only a long gallery scrolls by itself: the buttons beside it stay in view.
            with st.container(height=640 if len(view.order) > MANY else "content", border=False):
                gallery(view, chosen)
    with right:
        detail.heading(view, chosen)
        detail.facts(view, chosen)
        detail.actions(view, chosen)
    st.divider()
    left, right = st.columns(2, gap="medium")
    with left, told():
        detail.strips(view, chosen)
    with right:
        detail.members(view, chosen)
    run_downloads(view.row, title="Files of this search")


def summary(view: View) -> None:
    """How many clusters and alerts, and what has changed since."""
    alerts = set(view.patterns.alerts["cluster_id"].astype(int))
    waiting = len(alerts - set(view.seen))
    found = f"**{many(len(alerts), 'alert')}**" if alerts else "**No alert**"
    st.markdown(
        f"{many(int(view.patterns.summary['unknown_count']), 'beat')} under review in "
        f"{many(len(view.order), 'cluster')}: {found}"
        + (f", {waiting} not yet seen" if alerts else f" (none has {view.config.min_alert_size:,} beats or more)")
        + f". By {view.review.model_name}'s prediction of {when(view.review.row.created_at)}."
    )
    for note in notes(view):
        st.warning(note, icon=":material/update:")


def notes(view: View) -> list[str]:
    """What is newer than this search."""
    found = []
    newest = session.store().runs.newest(view.row.study_id, "predict")
    if newest is not None and newest.created_at > view.row.created_at:
        found.append("A model has predicted since. Choose that prediction on the Review page, or look again.")
    until = view.row.decisions_until
    rows = set(view.review.index_rows(view.patterns.members["beat_global_id"]))
    later = [
        row
        for row, made in view.review.said.items()
        if row in rows and (until is None or (made.stored_at or made.at) > until)
    ]
    if later:
        found.append(
            f"Readers have settled {many(len(later), 'of these beats', 'of these beats')} since this search; they are "
            "still in their clusters. Retrain and predict again to see what is left."
        )
    return found


def which(view: View) -> None:
    """The searches that there are in this prediction."""
    oldest_first = reversed(searches_of(view.review.row))
    words = {
        run.id: f"{when(run.created_at)}, {many(int(run.summary.get('alerts', 0)), 'alert')}" for run in oldest_first
    }
    pick_newest_first(
        "Search",
        words,
        view.row.id,
        key=f"search_{view.row.id}",
        on_pick=lambda id: session.choose(search=id, cluster=None),
    )


page()
