"""The same queue as an ordinary Streamlit page, one rerun a key: what ``bench.review_latency`` measures beside ours.

It is as quick as such a page can be made: a fragment, a drawing without validation, tables kept between reruns.
"""

from __future__ import annotations

import sys
from pathlib import Path

import streamlit as st

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from components.keymap import LABEL_KEYS
from ecg_engine.config import PredictConfig
from ecg_engine.figures import beats_of_strip, strip_figure, strip_units
from ecg_engine.labels import label_name
from ecg_engine.queue import review_queue
from state import session
from state.anchors import BeatIndex
from state.reviewing import rows_of_ids
from state.runs import PREDICT
from state.targets import beat_target


def _target(index: BeatIndex, row: int) -> str:
    names = list(index.hashes)
    return beat_target(names[int(index.strip_of_beat[row])], int(index.time_ms[row]))


def _decide(target: str, label: int) -> None:
    session.keep([session.decision(target, "label", label)])
    st.session_state["at"] = st.session_state.get("at", 0) + 1


@st.fragment
def queue() -> None:
    """One item and its buttons."""
    row = session.preprocess_run()
    assert row is not None
    prediction = session.store().runs.newest(row.study_id, PREDICT)
    assert prediction is not None
    run, index = session.load(row), session.index(row)
    beats = session.table(prediction, "beat_predictions_v2.csv")
    assert beats is not None
    items = st.session_state.setdefault("items", review_queue(beats, PredictConfig()))
    at = st.session_state.get("at", 0)
    item = items.iloc[at % len(items)]
    source_row, beat_id = int(item["source_row"]), int(item["beat_global_id"])
    target = _target(index, int(rows_of_ids(index, [beat_id])[0]))
    figure = strip_figure(
        strip_units(run, source_row), run.fs, beats_of_strip(run, source_row), selected=beat_id, title=f"Item {at + 1}"
    )
    st.plotly_chart(figure, key="strip", theme=None, config={"displayModeBar": False})
    with st.container(horizontal=True):
        for label, key in LABEL_KEYS.items():
            st.button(
                label_name(label), key=f"label_{label}", shortcut=key, on_click=_decide, args=(target, max(label, 0))
            )
    st.markdown(f"Item number {at + 1}")


session.begin()
queue()
