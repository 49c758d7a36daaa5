"""A strip on ECG paper, with its beats: what a reader looks at most."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd
import plotly.graph_objects as go

from ecg_engine.errors import InputError
from ecg_engine.figures.charts import note
from ecg_engine.figures.palette import ACCENT, INK, label_colour, label_letter
from ecg_engine.figures.paper import ASSUMED_UNITS_PER_MV, Paper, to_millivolts
from ecg_engine.labels import NOISE, label_name

REASON_WORDS = {
    "rr": "RR",
    "flat": "flat",
    "slope": "slope",
    "edge": "edge",
    "small_cluster": "small cluster",
    "content": "noise over waves",
    "baseline": "baseline wanders",
    "clipped": "clipped",
    "lost": "lost lead",
    "morphology": "shape",
    "reader": "marked by reader",
}
"""Noise reasons of a run, in words that fit above a beat."""

# Rows above and below the trace, in large boxes: whole small boxes in all, so that the paper ends on a line.
_HEAD, _MARKS, _TIGHT, _REASONS, _FOOT = 2.4, 1.75, 0.95, 0.35, 0.6
_ROOM_MM = 11.5
"""Millimetres from one marker to the next that an interval needs to stand between them."""

_BEAT_NAMES = {"sample": ("r_index", "sample"), "label": ("label", "final_label", "record_label")}


def reasons_text(reason: object) -> str:
    """``"rr;slope"`` as ``"RR, slope"``; unknown reasons stand as they are."""
    if not isinstance(reason, str) or not reason:
        return ""
    return ", ".join(REASON_WORDS.get(part, part) for part in reason.split(";") if part)


def strip_figure(
    wave: npt.ArrayLike,
    fs: float,
    beats: pd.DataFrame | None = None,
    *,
    units_per_mv: float = ASSUMED_UNITS_PER_MV,
    assumed: bool = True,
    filter_hz: tuple[float, float] | None = None,
    paper: Paper | None = None,
    window_sec: tuple[float, float] = (0.250, 0.400),
    selected: int | None = None,
    title: str = "",
    show_rr: bool = True,
    show_numbers: bool = True,
) -> go.Figure:
    """Draw a strip on ECG paper with its R-peaks.

    Parameters
    ----------
    wave : array_like, shape (n,)
        Samples in the units of the file, raw or filtered; they are drawn around their median.
    fs : float
        Hz.
    beats : DataFrame, optional
        One row a beat, in order of time: ``r_index`` (sample), and where known ``beat_global_id``, ``label``
        (else ``final_label``, else ``record_label``), ``noise_flag``, ``noise_reason``,
        ``beat_index_in_record``. A row is a marker above the trace with its letter and colour; noise beats are
        shaded, with the reason.
    units_per_mv, assumed
        The study's gain, and whether nobody has confirmed it yet.
    filter_hz : (low, high), optional
        What the trace was filtered with; None prints "unfiltered".
    paper : Paper, optional
        Speed, gain, size and theme.
    window_sec : (before, after)
        Reach of a beat around its R-peak, for shading, in s.
    selected : int, optional
        ``beat_global_id`` of the beat to highlight.
    title : str
        Printed above the strip, at the left.
    show_rr, show_numbers : bool
        RR intervals in ms between the markers; the beats' numbers (from 1) under the strip.

    Returns
    -------
    go.Figure
        Trace 0 is the strip; the trace named ``beats`` holds the markers, its ``customdata`` the
        ``beat_global_id``. ``layout.meta["alt"]`` describes the picture in words.

    Raises
    ------
    InputError
        If the wave is empty, the rate is not above 0, or a beat lies outside the strip.
    """
    paper = paper or Paper()
    samples = np.asarray(wave, dtype=np.float32)
    if samples.ndim != 1 or samples.size == 0 or not fs > 0:
        raise InputError(f"a strip of shape {samples.shape} at {fs:g} Hz cannot be drawn")
    mv = to_millivolts(samples, units_per_mv)
    low, high = paper.window_mv(float(np.nanmin(mv)), float(np.nanmax(mv)))
    step = 5 / paper.gain
    top, bottom = high + _HEAD * step, low - _FOOT * step
    seconds = (-paper.calibration_sec - 1 / paper.speed, _round_up(len(mv) / fs, 5 / paper.speed))
    layout = paper.axes(seconds, (bottom, top))
    ink = paper.ink
    data: list[dict[str, Any]] = [
        {
            "type": "scatter",
            "mode": "lines",
            "name": "strip",
            "x0": 0,
            "dx": 1 / fs,
            "y": np.round(mv, 4),
            "line": {"color": ink.trace, "width": 1.3},
            "hoverinfo": "skip",
        }
    ]
    pulse_x, pulse_y = paper.calibration()
    data.append(
        {
            "type": "scatter",
            "mode": "lines",
            "name": "1 mV",
            "x": pulse_x,
            "y": pulse_y,
            "line": {"color": ink.trace, "width": 1.3},
            "hoverinfo": "skip",
        }
    )
    shapes: list[dict[str, Any]] = []
    notes = _prints(paper, fs, units_per_mv, assumed, filter_hz, title)
    cut = float(np.nanmax(mv)) > high or float(np.nanmin(mv)) < low
    if cut:
        text = f"The trace leaves the paper ({np.nanmin(mv):.1f} to {np.nanmax(mv):.1f} mV): check the gain."
        notes.append(note(text, 0.5, 1.0, xanchor="center", yanchor="top", colour=label_colour(2)))
    number = 0
    if beats is not None and len(beats):
        number = len(beats)
        _draw_beats(data, shapes, beats, paper, fs, len(mv), (low, high), window_sec, selected, show_rr, show_numbers)
    alt = f"ECG strip of {len(mv) / fs:.1f} s with {number} beats marked"
    layout |= {"shapes": shapes, "annotations": notes, "meta": {"alt": f"{title}: {alt}" if title else alt}}
    return go.Figure({"data": data, "layout": layout}, _validate=False)


def _round_up(value: float, step: float) -> float:
    return float(np.ceil(value / step - 1e-3) * step)


def _prints(
    paper: Paper, fs: float, units_per_mv: float, assumed: bool, filter_hz: tuple[float, float] | None, title: str
) -> list[dict[str, Any]]:
    line = paper.printed(fs, units_per_mv, assumed=assumed, filter_hz=filter_hz)
    notes = [note(line.replace("   ", " &nbsp; "), 0, 0, xanchor="left", yanchor="top") | {"yshift": -10}]
    if title:
        notes.append(
            note(title, 0, 1, xanchor="left", yanchor="bottom") | {"yshift": 8, "font": {"size": 13, "color": INK}}
        )
    return notes


def _column(beats: pd.DataFrame, *names: str) -> npt.NDArray[Any] | None:
    return next((beats[name].to_numpy() for name in names if name in beats.columns), None)


def _draw_beats(
    data: list[dict[str, Any]],
    shapes: list[dict[str, Any]],
    beats: pd.DataFrame,
    paper: Paper,
    fs: float,
    n: int,
    millivolts: tuple[float, float],
    window_sec: tuple[float, float],
    selected: int | None,
    show_rr: bool,
    show_numbers: bool,
) -> None:
    low, high = millivolts
    step = 5 / paper.gain
    peaks = _column(beats, *_BEAT_NAMES["sample"])
    if peaks is None:
        raise InputError("the beats have no column r_index", remedy="Give a table with one row a beat.")
    outside = (peaks < 0) | (peaks >= n)
    if outside.any():
        raise InputError(f"the R-peak at sample {peaks[outside][0]} lies outside the strip of {n} samples")
    at = peaks / fs
    found = _column(beats, *_BEAT_NAMES["label"])
    labels = np.zeros(len(at), dtype=int) if found is None else found.astype(int)
    flags = _column(beats, "noise_flag")
    noise = (labels == NOISE) if flags is None else flags.astype(bool)
    reasons = _column(beats, "noise_reason")
    words = ["" if reasons is None or not noise[i] else reasons_text(reasons[i]) for i in range(len(at))]
    found_ids = _column(beats, "beat_global_id")
    ids = np.arange(len(at)) if found_ids is None else found_ids
    found_numbers = _column(beats, "beat_index_in_record")
    numbers = np.arange(1, len(at) + 1) if found_numbers is None else found_numbers + 1
    rr = np.diff(at) * 1000
    spans: list[tuple[float, float, str, float]] = [
        (at[i] - window_sec[0], at[i] + window_sec[1], INK, 0.16) for i in np.flatnonzero(noise)
    ]
    chosen = np.flatnonzero(ids == selected) if selected is not None else np.array([], dtype=int)
    spans += [(at[i] - window_sec[0], at[i] + window_sec[1], ACCENT, 0.20) for i in chosen]
    for start, end, colour, opacity in spans:
        shapes.append(
            {
                "type": "rect",
                "x0": start,
                "x1": end,
                "y0": low - _FOOT * step,
                "y1": high + _HEAD * step,
                "fillcolor": colour,
                "opacity": opacity,
                "line": {"width": 0},
                "layer": "below",
            }
        )
    colours = [label_colour(NOISE if noise[i] else labels[i]) for i in range(len(at))]
    hover = []
    for i in range(len(at)):
        text = f"Beat {numbers[i]}: {label_name(labels[i])}" + (f"<br>Noise: {words[i] or 'yes'}" if noise[i] else "")
        before = f"{rr[i - 1]:.0f}" if i else "–"
        after = f"{rr[i]:.0f}" if i < len(rr) else "–"
        hover.append(f"{text}<br>{at[i]:.2f} s, RR before {before} ms, after {after} ms")
    data.append(
        {
            "type": "scatter",
            "mode": "markers+text",
            "name": "beats",
            "x": at,
            "y": np.full(len(at), high + _MARKS * step),
            "text": [label_letter(NOISE if noise[i] else labels[i]) for i in range(len(at))],
            "textfont": {"size": 12, "color": colours, "weight": 700},
            "textposition": "middle center",
            "customdata": np.asarray(ids),
            "hovertext": hover,
            "hoverinfo": "text",
            "marker": {
                "size": 22,
                "symbol": ["square" if noise[i] else "circle" for i in range(len(at))],
                "color": paper.ink.paper,
                "line": {"color": colours, "width": [3.0 if i in chosen else 1.3 for i in range(len(at))]},
            },
            "selected": {"marker": {"opacity": 1}},
            "unselected": {"marker": {"opacity": 1}},
            "cliponaxis": False,
        }
    )
    small = {"size": 10, "color": paper.ink.text}
    if noise.any():
        which = np.flatnonzero(noise)
        data.append(
            _texts(
                "noise", at[which], high + _REASONS * step, [words[i] or "noise" for i in which], small, "middle center"
            )
        )
    if show_rr and len(at) > 1:
        # Where the markers of fast beats leave no room between them, the intervals stand under them.
        room = rr >= _ROOM_MM / paper.speed * 1000 * 4 / paper.px_per_mm
        heights = np.where(room, high + _MARKS * step, high + _TIGHT * step)
        texts = [f"{value:.0f}" for value in rr]
        data.append(_texts("RR (ms)", (at[:-1] + at[1:]) / 2, heights, texts, small, "middle center"))
    if show_numbers:
        data.append(_texts("number", at, low - _FOOT * step, [str(value) for value in numbers], small, "top center"))


def _texts(
    name: str,
    x: npt.NDArray[np.floating],
    y: float | npt.NDArray[np.floating],
    text: list[str],
    font: dict[str, Any],
    position: str,
) -> dict[str, Any]:
    return {
        "type": "scatter",
        "mode": "text",
        "name": name,
        "x": x,
        "y": np.broadcast_to(y, len(x)).copy(),
        "text": text,
        "textfont": font,
        "textposition": position,
        "hoverinfo": "skip",
    }
