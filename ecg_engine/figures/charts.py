"""What all charts share: a quiet layout that suits light and dark pages, subsampling, and words for who cannot see."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt
import plotly.graph_objects as go

from ecg_engine.figures.palette import INK

GRID = "rgba(125,130,138,0.22)"
MAX_POINTS = 3000
"""Points that a scatter shows at most; the chart says how many it left out."""


def axis(title: str, **more: Any) -> dict[str, Any]:
    """A plotly axis in the house's manner."""
    return {
        "title": {"text": title, "font": {"size": 12}, "standoff": 6},
        "gridcolor": GRID,
        "zerolinecolor": GRID,
        "linecolor": GRID,
        "automargin": True,
        **more,
    }


def chart(data: list[dict[str, Any]], *, alt: str, height: int = 380, **layout: Any) -> go.Figure:
    """A figure from plain dicts: no validation, so it is built in a millisecond or two.

    ``alt`` goes to ``layout.meta["alt"]``: what the picture shows, in words.
    """
    base = {
        "height": height,
        "margin": {"l": 52, "r": 12, "t": 32, "b": 44},
        "paper_bgcolor": "rgba(0,0,0,0)",
        "plot_bgcolor": "rgba(0,0,0,0)",
        "font": {"color": INK, "size": 12},
        "hovermode": "closest",
        "legend": _legend(sum(1 for trace in data if trace.get("showlegend", True))),
        "modebar": {"bgcolor": "rgba(0,0,0,0)", "color": INK, "activecolor": INK},
        "meta": {"alt": alt},
    }
    return go.Figure({"data": data, "layout": base | layout}, _validate=False)


def _legend(entries: int) -> dict[str, Any]:
    """Above the chart while it is one line, else beside it, so that it never takes the chart's height."""
    if entries <= 4:
        return {"orientation": "h", "yanchor": "bottom", "y": 1.0, "x": 0, "font": {"size": 12}}
    return {"orientation": "v", "yanchor": "top", "y": 1.0, "x": 1.01, "xanchor": "left", "font": {"size": 12}}


def note(
    text: str,
    x: float = 1.0,
    y: float = 0.0,
    *,
    xanchor: str = "right",
    yanchor: str = "bottom",
    colour: str = INK,
) -> dict[str, Any]:
    """A small text in a corner of the plot."""
    return {
        "text": text,
        "x": x,
        "y": y,
        "xref": "paper",
        "yref": "paper",
        "xanchor": xanchor,
        "yanchor": yanchor,
        "showarrow": False,
        "font": {"size": 11, "color": colour},
    }


def empty(words: str, *, height: int = 240) -> go.Figure:
    """A figure that says why there is nothing to see."""
    blank = {"visible": False}
    return chart(
        [], alt=words, height=height, xaxis=blank, yaxis=blank, annotations=[note(words, 0.5, 0.5, xanchor="center")]
    )


def beat_times(n: int, fs: float, pre_sec: float) -> npt.NDArray[np.float32]:
    """Milliseconds around the R-peak of a beat's samples, shape (n,)."""
    return ((np.arange(n) - round(pre_sec * fs)) / fs * 1000).astype(np.float32)


def subsample(labels: npt.NDArray[Any], most: int, seed: int = 42) -> npt.NDArray[np.int64]:
    """Rows to show when there are too many: at random, but every label keeps at least 20 of its points.

    Returns rows in ascending order; all of them if there are at most ``most``.
    """
    n = len(labels)
    if n <= most:
        return np.arange(n)
    rng = np.random.default_rng(seed)
    chosen = rng.choice(n, most, replace=False)
    extra = [chosen]
    for label in np.unique(labels):
        rows = np.flatnonzero(labels == label)
        have = int(np.count_nonzero(labels[chosen] == label))
        least = min(20, len(rows))
        if have < least:
            extra.append(rng.permutation(rows)[:least])
    return np.unique(np.concatenate(extra))


def shown(part: int, whole: int, what: str = "beats") -> str:
    """``"all 120 beats"`` or ``"3,000 of 45,123 beats"``."""
    return f"all {whole:,} {what}" if part >= whole else f"{part:,} of {whole:,} {what}"
