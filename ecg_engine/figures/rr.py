"""Charts of RR intervals: each beat's interval before against the one after, and how often each length comes."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
import plotly.graph_objects as go

from ecg_engine.figures.charts import MAX_POINTS, axis, chart, empty, note, shown, subsample
from ecg_engine.figures.palette import ALARM, INK, label_colour, label_letter, label_symbol
from ecg_engine.labels import label_name
from ecg_engine.rr import BIN_MS, PREMATURE, bin_of, binned, spread

_RATES = (20, 25, 30, 40, 50, 60, 75, 100, 150, 200, 300, 35, 45, 55, 65, 70, 80, 90, 120, 180, 250)
"""Beats a minute at which the second axis has ticks, the rounder ones first: the others where there is room."""


def rr_figure(
    before: npt.NDArray[np.floating],
    after: npt.NDArray[np.floating],
    labels: npt.NDArray[np.integer],
    *,
    beat_ids: npt.ArrayLike | None = None,
    words: Callable[[npt.NDArray[np.int64]], Sequence[str]] | None = None,
    selected: int | None = None,
    max_points: int = MAX_POINTS,
    height: int = 360,
) -> go.Figure:
    """Scatter of RR before against RR after (a Poincaré plot), marked by label.

    On the line of identity the rhythm is regular; an early beat lies left of the first guide line, and above the line
    of identity if a pause follows it.

    Parameters
    ----------
    before, after : array, shape (n,)
        ms; beats without one of them are not drawn, and counted in the note.
    labels : int array, shape (n,)
    beat_ids : array_like of int, shape (n,), optional
        ``customdata`` of the points; the row numbers by default.
    words : callable, optional
        Of some rows, what stands above the numbers when one points at a beat; asked for those that are drawn.
    selected : int, optional
        Beat id to ring; it is always among the points.
    max_points : int
        More are subsampled, each label keeping at least 20; the note says how many of how many are drawn.
    """
    ids = np.arange(len(labels)) if beat_ids is None else np.asarray(beat_ids)
    whole = np.flatnonzero(np.isfinite(before) & np.isfinite(after))
    if not len(whole):
        return empty("No beat here has an RR interval on both sides.")
    rows = whole[subsample(labels[whole], max_points)]
    ring = whole[ids[whole] == selected] if selected is not None else whole[:0]
    rows = np.union1d(rows, ring)
    low, high = _range(before[whole], after[whole])
    usual = spread(before[whole]).median
    early = PREMATURE * usual
    data = [_guide([low, high], [low, high], "before = after", "dot")]
    data.append(_guide([early, early], [low, high], f"early: under {early:.0f} ms", "dash"))
    for label in _ordered(labels[rows]):
        inside = rows[labels[rows] == label]
        told = [""] * len(inside) if words is None else list(words(inside))
        data.append(_points(before, after, ids, told, inside, label))
    if len(ring):
        data.append(
            {
                "type": "scatter",
                "mode": "markers",
                "x": before[ring],
                "y": after[ring],
                "name": "in hand",
                "hoverinfo": "skip",
                "marker": {"size": 17, "symbol": "circle-open", "color": ALARM, "line": {"width": 3}},
            }
        )
    drawn = shown(len(rows), len(whole))
    left = len(labels) - len(whole)
    lacking = f"; {left:,} without an interval on both sides" if left else ""
    outside = int(np.sum(np.maximum(before[rows], after[rows]) > high))
    beyond = f"; {outside:,} beyond the axes" if outside else ""
    premature = int(np.sum(before[whole] < early))
    return chart(
        data,
        alt=f"RR before against RR after of {drawn}{lacking}{beyond}. Median {usual:.0f} ms; {premature:,} beats come "
        f"early, after less than {early:.0f} ms ({PREMATURE:.0%} of it).",
        **_with_legend(height, len(data)),
        xaxis=axis("RR before (ms)", range=[low, high]),
        yaxis=axis("RR after (ms)", range=[low, high]),
        annotations=[note(f"{drawn}{lacking}{beyond}", 1.0, 1.0, yanchor="bottom")],
    )


def rr_histogram(
    intervals: npt.NDArray[np.floating], labels: npt.NDArray[np.integer], *, height: int = 360
) -> go.Figure:
    """How often each length of RR comes, in bins of 20 ms; the axis above says it as a rate.

    Parameters
    ----------
    intervals : array, shape (n,)
        RR before each beat, ms; NaN are left out, and counted in the note.
    labels : int array, shape (n,)
        Of the beats that end the intervals: the bars are stacked by them.
    """
    known = np.flatnonzero(np.isfinite(intervals))
    if not len(known):
        return empty("No beat here has another one before it on its strip.")
    edges, counts = binned(intervals)
    summary = spread(intervals)
    few = len(edges) <= 40  # bars wide enough for a letter
    data = []
    for label in _ordered(labels[known]):
        starts, count = np.unique(bin_of(intervals[known[labels[known] == label]]), return_counts=True)
        fast, slow = 60_000 / np.maximum(starts, 1), 60_000 / (starts + BIN_MS)
        data.append(
            {
                "type": "bar",
                "x": starts + BIN_MS / 2,
                "y": count,
                "width": BIN_MS,
                "name": f"{label_letter(label)} {label_name(label)}",
                "customdata": np.column_stack(
                    [starts, starts + BIN_MS, slow, fast, np.full(len(starts), label)]
                ).tolist(),  # a list: a typed array does not come back from the chart
                "hovertemplate": f"{label_name(label)}: %{{y:,}}<br>%{{customdata[0]:.0f}} to %{{customdata[1]:.0f}} ms"
                "<br>%{customdata[2]:.0f} to %{customdata[3]:.0f} bpm<extra></extra>",
                "text": [label_letter(label) if few and many > counts.max() / 16 else "" for many in count],
                "textposition": "inside",
                "insidetextanchor": "middle",
                "textangle": 0,
                "constraintext": "none",
                "insidetextfont": {"color": "#ffffff"},
                "marker": {"color": label_colour(label), "line": {"width": 0.6, "color": "rgba(125,130,138,0.6)"}},
            }
        )
    # The second axis belongs to a trace of its own: without one plotly does not draw it.
    data.append({"type": "scatter", "x": [None], "y": [None], "xaxis": "x2", "showlegend": False, "hoverinfo": "skip"})
    low, high = float(edges[0]) - BIN_MS, float(edges[-1]) + 2 * BIN_MS
    rates = _ticks(low, high)
    left = len(labels) - len(known)
    words = f"{len(known):,} intervals" + (f"; {left:,} beats without one before them" if left else "")
    most = float(edges[int(np.argmax(counts))])
    return chart(
        data,
        alt=f"Histogram of {words}, by label. Median {summary.median:.0f} ms ({60_000 / summary.median:.0f} bpm), from "
        f"{summary.least:.0f} to {summary.most:.0f} ms; most often {most:.0f} to {most + BIN_MS:.0f} ms.",
        **_with_legend(height, len(data) - 1, above=66),
        barmode="stack",
        bargap=0,
        xaxis=axis("RR before (ms)", range=[low, high]),
        xaxis2=axis(
            "bpm",
            overlaying="x",
            side="top",
            range=[low, high],
            tickvals=[60_000 / rate for rate in rates],
            ticktext=[str(rate) for rate in rates],
            showgrid=False,
            fixedrange=True,
        ),
        yaxis=axis("beats"),
        shapes=[
            {
                "type": "line",
                "x0": summary.median,
                "x1": summary.median,
                "yref": "paper",
                "y0": 0,
                "y1": 1,
                "line": {"color": INK, "width": 1.2, "dash": "dot"},
            }
        ],
        annotations=[
            note(words, 0.0, 1.0, xanchor="left") | {"yshift": 38},
            {
                **note(f"median {summary.median:.0f} ms", summary.median, 1.0, xanchor="left", yanchor="top"),
                "xref": "x",
            },
        ],
    )


def _with_legend(height: int, entries: int, above: int = 32) -> dict[str, Any]:
    """Size of a chart whose plot stays as high, however many entries its legend has below it."""
    below = 50 + 19 * ((entries + 1) // 2)
    return {
        "height": height + below,
        "margin": {"l": 52, "r": 12, "t": above, "b": below},
        "legend": {"orientation": "h", "yanchor": "top", "y": -48 / (height - above), "x": 0, "font": {"size": 12}},
    }


def _ordered(labels: npt.NDArray[np.integer]) -> list[int]:
    """Most frequent first, so that rare labels are drawn on top."""
    values, counts = np.unique(labels, return_counts=True)
    return [int(one) for one in values[np.argsort(-counts, kind="stable")]]


def _range(before: npt.NDArray[np.floating], after: npt.NDArray[np.floating]) -> tuple[float, float]:
    """Axes around all but the farthest points: a missed beat must not press the others into a corner."""
    both = np.concatenate([before, after])
    top = min(float(both.max()), max(1.25 * float(np.quantile(both, 0.995)), 1.5 * float(np.median(both))))
    return max(0.0, float(both.min()) - 60), top + 60


def _ticks(low: float, high: float) -> list[int]:
    """Rates on the second axis, not closer to each other than a fourteenth of it."""
    kept: list[int] = []
    for rate in _RATES:
        at = 60_000 / rate
        room = all(abs(60_000 / other - at) >= (high - low) / 14 for other in kept)
        if low <= at <= high and room:
            kept.append(rate)
    return kept


def _guide(x: list[float], y: list[float], name: str, dash: str) -> dict[str, Any]:
    line = {"color": INK, "width": 1.3, "dash": dash}
    return {"type": "scatter", "mode": "lines", "x": x, "y": y, "name": name, "line": line, "hoverinfo": "skip"}


def _points(
    before: npt.NDArray[np.floating],
    after: npt.NDArray[np.floating],
    ids: npt.NDArray[Any],
    words: Sequence[str],
    rows: npt.NDArray[np.int64],
    label: int,
) -> dict[str, Any]:
    above = "%{customdata[1]}<br>" if any(words) else ""
    return {
        "type": "scatter",
        "mode": "markers",
        "x": before[rows],
        "y": after[rows],
        "name": f"{label_letter(label)} {label_name(label)} ({len(rows):,})",
        "customdata": [
            [int(ids[row]), text, 60_000 / float(before[row])] for row, text in zip(rows, words, strict=True)
        ],
        "hovertemplate": f"{above}{label_name(label)}<br>before %{{x:.0f}} ms (%{{customdata[2]:.0f}} bpm)"
        "<br>after %{y:.0f} ms<extra></extra>",
        "marker": {
            "color": label_colour(label),
            "symbol": label_symbol(label),
            "size": 8 if len(rows) < 400 else 6,
            "opacity": 0.85 if len(rows) < 400 else 0.65,
            "line": {"width": 1},
        },
    }
