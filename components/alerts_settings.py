"""What a search for new patterns is asked, and its start."""

from __future__ import annotations

import streamlit as st

from components.jobs import busy
from components.keymap import START
from components.outcome import attempt
from ecg_engine.config import AlertConfig
from state import session
from state.runs import ALERTS, RunRow


def search_settings(prediction: RunRow, before: AlertConfig | None) -> None:
    """Fields and the button that starts a search in a prediction.

    Parameters
    ----------
    before : AlertConfig, optional
        The settings of the last search, to begin with.
    """
    own = before or AlertConfig()
    first, second, third = st.columns(3)
    size = first.number_input(
        "Beats that make an alert",
        min_value=1,
        max_value=1_000_000,
        step=10,
        value=own.min_alert_size,
        key=f"alert_size_{prediction.id}",
        persist_state="session",
        help="A cluster of so many beats or more is an alert.",
    )
    most = second.number_input(
        "Most clusters",
        min_value=1,
        max_value=200,
        step=1,
        value=own.max_clusters,
        key=f"alert_clusters_{prediction.id}",
        persist_state="session",
    )
    scale = third.number_input(
        "Fineness",
        min_value=1.0,
        max_value=10_000.0,
        step=5.0,
        value=float(own.cluster_scale),
        format="%.0f",
        key=f"alert_scale_{prediction.id}",
        persist_state="session",
        help="Number of clusters: the square root of (beats under review / this number). Smaller is finer.",
    )
    config = AlertConfig(min_alert_size=int(size), max_clusters=int(most), cluster_scale=float(scale), seed=own.seed)
    st.button(
        "Look for new patterns",
        type="primary",
        shortcut=START,
        icon=":material/search:",
        key="alerts_search",
        disabled=busy([ALERTS]),
        on_click=attempt,
        args=(lambda: _start(prediction, config),),
    )


def _start(prediction: RunRow, config: AlertConfig) -> None:
    session.store().jobs.submit(prediction.study_id, ALERTS, {"run": prediction.id, "config": config.to_dict()})
    session.choose(search=None, cluster=None)  # the newest is shown once it is there
