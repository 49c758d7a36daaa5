"""Long work on the screen: how far it is, its log, a way to stop it and a way to start it again."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import streamlit as st

from components.frame import told
from components.keymap import STOP
from components.outcome import attempt
from state import session
from state.jobs import CANCELLED, FAILED, INTERRUPTED, QUEUED, Job

WORDS = {
    "preprocess": "Preprocessing",
    "train": "Training",
    "retrain": "Retraining",
    "predict": "Prediction",
    "alerts": "Search for new patterns",
    "demo": "The demo study",
}
EVERY = 1.0
"""Seconds between two looks at a job that runs."""

Draw = Callable[[Job], None]


def job_panel(kinds: Sequence[str], *, draw: Draw | None = None) -> Job | None:
    """Show the newest job of these kinds while it waits, runs or has ended badly; nothing for one that is done.

    Parameters
    ----------
    kinds : sequence of str
        Kinds of job that this page starts.
    draw : callable, optional
        Draws what the job tells beside its progress (``job.detail``), at each look.

    Returns
    -------
    Job or None
        The newest job, whatever its state.
    """
    job = next((job for job in session.store().jobs.all(session.the_study().id) if job.kind in kinds), None)
    if job is None:
        return None
    if job.active:
        st.fragment(_live, run_every=EVERY)(job.id, draw)
    elif job.resumable and job.id not in st.session_state.setdefault("jobs_put_away", []):
        _ended_badly(job)
    return job


def busy(kinds: Sequence[str]) -> bool:
    """Whether a job of these kinds waits or runs in the study in hand."""
    return any(job.kind in kinds for job in session.store().jobs.all(session.the_study().id, active=True))


def _live(job_id: str, draw: Draw | None) -> None:
    job = session.store().jobs.get(job_id)
    if not job.active:
        st.rerun(scope="app")
    word = WORDS.get(job.kind, job.kind)
    with st.container(border=True):
        left, right = st.columns([0.8, 0.2], vertical_alignment="bottom")
        waiting = "waits for the job before it" if job.status == QUEUED else job.message or "starts"
        left.progress(min(max(job.share, 0.0), 1.0), text=f"**{word}**: {waiting}, {job.seconds:.0f} s")
        # In a callback: a rerun asked for here would fail when the click comes with a run of the whole page.
        right.button(
            "Stopping…" if job.cancel_requested else "Stop",
            key=f"stop_{job.id}",
            shortcut=STOP,
            icon=":material/stop:",
            disabled=job.cancel_requested,
            width="stretch",
            on_click=attempt,
            args=(lambda: _stop(job.id),),
        )
        if draw is not None:
            draw(job)
        _log(job)


def _stop(job_id: str) -> None:
    session.store().jobs.cancel(job_id)


def _ended_badly(job: Job) -> None:
    word = WORDS.get(job.kind, job.kind)
    with st.container(border=True):
        if job.status == CANCELLED:
            st.info(f"{word} was stopped. Nothing that was there before has changed.", icon=":material/stop:")
        elif job.status == INTERRUPTED:
            st.warning(f"{word} was interrupted. {job.error or ''}", icon=":material/bolt:")
        elif job.status == FAILED:
            st.error(f"{word} failed. {job.error or ''}", icon=":material/error:")
        left, middle, _ = st.columns([0.2, 0.2, 0.6])
        # Only what was interrupted has kept its epochs; what was stopped begins anew.
        again = "Resume" if job.kind in ("train", "retrain") and job.status == INTERRUPTED else "Try again"
        if left.button(again, key=f"resume_{job.id}", icon=":material/replay:", type="primary", width="stretch"):
            with told():
                session.store().jobs.resume(job.id)
                st.rerun()
        if middle.button("Put away", key=f"put_away_{job.id}", icon=":material/close:", width="stretch"):
            st.session_state["jobs_put_away"].append(job.id)
            st.rerun()
        _log(job)


def _log(job: Job) -> None:
    with st.expander("Log", icon=":material/notes:"):
        st.code(session.store().jobs.tail(job.id) or "Nothing yet.", language=None, height=220)
