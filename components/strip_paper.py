"""The strip on ECG paper, as large as the page is wide, and how it is printed."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
import plotly.graph_objects as go
import streamlit as st

from components.strip_view import View, go_to_beat
from components.theme import paper as themed_paper
from ecg_engine.figures import GAINS, SPEEDS, strip_figure, strip_units
from ecg_engine.figures.paper import MARGIN
from ecg_engine.labels import label_name
from state import session

RAW, FILTERED = "As recorded", "Filtered"
NORMAL, TALL = "Normal", "Tall"
_CHART, _CLICKED = "strips_paper", "strips_last_click"
_WIDE_MM = 264.0
"""Millimetres of paper across the page: 10 s with the calibration pulse at 25 mm/s."""
_MARKS_MM = 15.0
_PX_PER_MM = 3.8
_HEIGHTS = (36.0, 72.0)
_TALLER = 1.6
"""For wide screens: the boxes are square, so that a wider strip is a taller one."""


def printed() -> tuple[float, float, bool]:
    """Speed in mm/s, gain in mm/mV, and whether the trace is filtered, as last set."""
    now = st.session_state
    speed, gain = now.get("strips_speed") or 25.0, now.get("strips_gain") or 10.0
    return float(speed), float(gain), now.get("strips_trace") == FILTERED


def settings() -> None:
    """Choose how the strip is printed."""
    common: dict[str, Any] = {"persist_state": "session", "required": True, "format_func": _plain}
    before = speed, gain, filtered = printed()
    title = f"{speed:g} mm/s, {gain:g} mm/mV, {(FILTERED if filtered else RAW).lower()}"
    with st.popover(title, icon=":material/straighten:", key="strips_print"):
        st.segmented_control("Speed (mm/s)", SPEEDS, default=25.0, key="strips_speed", **common)
        st.segmented_control("Gain (mm/mV)", GAINS, default=10.0, key="strips_gain", **common)
        st.segmented_control("Trace", [RAW, FILTERED], default=RAW, key="strips_trace", **common)
        st.segmented_control("Paper", [NORMAL, TALL], default=NORMAL, key="strips_size", **common)
    if printed() != before:  # kept from an earlier visit, and only now known
        st.rerun()


def _plain(value: object) -> str:
    return f"{value:g}" if isinstance(value, float) else str(value)


def beats_table(view: View) -> pd.DataFrame:
    """The strip's beats as they are marked: by what holds, noise with its reason."""
    rows = view.beats
    table = view.run.metadata.iloc[rows].copy()
    table["label"] = view.effective.labels[rows]
    computed = view.effective.noise_flags[rows] == 1
    table["noise_flag"] = view.effective.noisy[rows].astype(int)
    reasons = table["noise_reason"].fillna("").to_numpy() if "noise_reason" in table else np.full(len(rows), "")
    said = np.where(view.effective.source[rows] == "strip", "", "reader")
    table["noise_reason"] = np.where(computed, reasons, said)
    return table


@st.cache_resource(show_spinner=False, max_entries=12)
def _height(run_id: str, folder: str, gain: float, units_per_mv: float, taller: float) -> int:
    """Height that shows four strips of five at full size: one for all strips, so that nothing below moves."""
    strips = session.load(session.store().runs.get(run_id)).strips
    assert strips is not None
    starts = strips.offsets[:-1]
    spans = np.maximum.reduceat(strips.samples, starts) - np.minimum.reduceat(strips.samples, starts)
    tall = float(np.nanpercentile(spans, 80)) / units_per_mv * gain + 2 * 5 * 0.6 + _MARKS_MM
    return round(min(max(tall, _HEIGHTS[0]), _HEIGHTS[1]) * _PX_PER_MM * taller) + MARGIN["t"] + MARGIN["b"]


def figure(view: View, speed: float, gain: float, filtered: bool) -> go.Figure:
    """The strip with its beats, on paper that fills the room it is given."""
    study, config = session.the_study(), view.run.config
    row = view.rows.table.iloc[view.place]
    by_reader = ", as decided" if row["decided"] else ""
    wave = strip_units(view.run, view.strip, filtered=filtered)
    drawn = strip_figure(
        wave,
        view.run.fs,
        beats_table(view),
        units_per_mv=study.units_per_mv,
        assumed=study.units_assumed,
        filter_hz=(config.low_hz, config.high_hz) if filtered else None,
        paper=themed_paper(speed=speed, gain=gain, px_per_mm=_PX_PER_MM),
        window_sec=(config.pre_sec, config.post_sec),
        selected=int(view.index.beat_ids[view.beat]) if view.beat >= 0 else None,
        title=f"Strip {view.strip} · {view.patient} · {label_name(view.label)}{by_reader}",
    )
    layout = drawn.layout
    # The width is the page's, the height that of all strips of the run. Where the boxes, which stay square, leave
    # room, there is more paper; the signal is never stretched.
    tall = _TALLER if st.session_state.get("strips_size") == TALL else 1.0
    height = _height(view.row.id, str(session.store().folder), gain, study.units_per_mv, tall)
    layout.width, layout.height, layout.autosize = None, height, True
    layout.xaxis.constrain, layout.yaxis.constrain = "range", "range"
    layout.xaxis.constraintoward, layout.yaxis.constraintoward = "left", "middle"
    layout.yaxis.fixedrange = True
    layout.xaxis.range = _window(view, speed, list(layout.xaxis.range))
    layout.uirevision = f"{view.strip}-{speed}-{layout.xaxis.range[0]}"
    return drawn


def _window(view: View, speed: float, whole: list[float]) -> list[float]:
    """The seconds in view: all, or at high speed the page that the beat in hand is on."""
    wide = _WIDE_MM / speed
    start, end = whole
    if end - start <= wide * 1.05 or view.beat < 0:
        return [start, min(end, start + wide)] if view.beat < 0 else whole
    step = wide - 1.0  # pages overlap by a second
    at = float(view.index.time_ms[view.beat]) / 1000
    page = max(0, int((at - start - 0.5) // step))
    left = min(start + page * step, end - wide)
    return [left, left + wide]


def paper(view: View, speed: float, gain: float, filtered: bool) -> None:
    """Draw the strip; a click on a beat's marker takes it in hand."""
    drawn = figure(view, speed, gain, filtered)
    words = f"; beat {view.number} is in hand" if view.beat >= 0 else "; no beat was found"
    st.plotly_chart(
        drawn,
        key=_CHART,
        theme=None,
        height=int(drawn.layout.height),
        on_select=lambda: _clicked(view),
        selection_mode="points",
        config={"displayModeBar": False, "scrollZoom": False, "doubleClick": False},
        alt=str(drawn.layout.meta["alt"]) + words,
    )


def _clicked(view: View) -> None:
    points = st.session_state[_CHART]["selection"]["points"]
    # A second click on the same marker lets go of it in plotly; for a reader it is the same beat again.
    beat = points[0].get("customdata") if points else st.session_state.get(_CLICKED)
    if isinstance(beat, (list, tuple)):
        beat = beat[0] if beat else None
    if beat is None:
        return
    st.session_state[_CLICKED] = beat
    found = np.flatnonzero(view.index.beat_ids[view.beats] == int(beat))
    if len(found):
        go_to_beat(view, int(found[0]))
