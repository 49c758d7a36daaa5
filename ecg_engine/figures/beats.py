"""Charts of beats: one against what it should look like, the templates, and where beats lie among each other."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt
import pandas as pd
import plotly.graph_objects as go

from ecg_engine.figures.charts import MAX_POINTS, axis, beat_times, chart, empty, note, shown, subsample
from ecg_engine.figures.palette import (
    ACCENT,
    ALARM,
    INK,
    label_colour,
    label_letter,
    label_symbol,
    series_colour,
    series_symbol,
)
from ecg_engine.labels import label_name

Wave = npt.NDArray[np.floating]
_DASHES = ("solid", "dash", "dot", "dashdot", "longdash", "longdashdot")
_Y_TITLE = "strip SD"
_X_TITLE = "ms from the R-peak"


class Neighbour(NamedTuple):
    """A prototype near a beat: its id and cosine similarity (higher is nearer)."""

    prototype_id: int
    similarity: float


def nearest_prototypes(beat: Wave, prototypes: Mapping[int, Wave], k: int = 3) -> list[Neighbour]:
    """The ``k`` prototypes with the largest cosine to a beat, nearest first (spec section 8)."""
    if not prototypes:
        return []
    ids = list(prototypes)
    waves = np.stack([np.asarray(prototypes[i], dtype=np.float32) for i in ids])
    norms = np.linalg.norm(waves, axis=1) * np.linalg.norm(beat)
    cosines = waves @ np.asarray(beat, dtype=np.float32) / np.maximum(norms, 1e-12)
    order = np.argsort(-cosines, kind="stable")[:k]
    return [Neighbour(int(ids[i]), float(cosines[i])) for i in order]


def beat_figure(
    beat: Wave,
    fs: float,
    *,
    template: Wave | None = None,
    template_label: int | None = None,
    prototypes: Sequence[tuple[str, Wave]] = (),
    pre_sec: float = 0.250,
    title: str = "",
) -> go.Figure:
    """A beat against its class template and its nearest prototypes, and below it what differs from the template.

    Parameters
    ----------
    beat : array, shape (beat_len,)
    fs : float
        Hz.
    template : array, shape (beat_len,), optional
    template_label : int, optional
        Label of the template, for its name and colour.
    prototypes : sequence of (name, wave)
        Nearest first, each name as it should stand in the legend.
    pre_sec : float
        Seconds of the beat before its R-peak.
    """
    x = beat_times(len(beat), fs, pre_sec)
    lines: list[dict[str, Any]] = []
    for i, (name, wave) in enumerate(prototypes):
        lines.append(_line(x, wave, name, series_colour(i + 1), 1.3, _DASHES[1 + i % 5]))
    if template is not None:
        name = "template" if template_label is None else f"template {label_name(template_label)}"
        colour = INK if template_label is None else label_colour(template_label)
        lines.append(_line(x, template, name, colour, 7, "solid") | {"opacity": 0.4})  # a band, under the beat
    lines.append(_line(x, beat, "this beat", ACCENT, 2.4, "solid"))
    if template is None:
        return chart(lines, alt=title or "One beat", xaxis=axis(_X_TITLE), yaxis=axis(_Y_TITLE))
    difference = np.asarray(beat, dtype=np.float32) - np.asarray(template, dtype=np.float32)
    below = _line(x, difference, "beat − template", INK, 1.4, "solid")
    below |= {"yaxis": "y2", "fill": "tozeroy", "fillcolor": "rgba(125,130,138,0.25)"}
    rms = float(np.sqrt(np.mean(difference**2)))
    return chart(
        [*lines, below],
        alt=title or f"A beat against its template; they differ by {rms:.2f} SD (rms)",
        height=460,
        legend={"orientation": "h", "yanchor": "bottom", "y": 1.0, "x": 0, "font": {"size": 12}},
        xaxis=axis(_X_TITLE, anchor="y2"),
        yaxis=axis(_Y_TITLE, domain=[0.32, 1.0]),
        yaxis2=axis("difference", domain=[0.0, 0.24]),
        annotations=[note(f"rms difference {rms:.2f}", 1.0, 0.24)],
    )


def template_figure(
    templates: Mapping[int, Wave], fs: float, *, counts: Mapping[int, int] | None = None, pre_sec: float = 0.250
) -> go.Figure:
    """The class templates on one another, told apart by colour and dash.

    Parameters
    ----------
    templates : mapping of label to array, shape (beat_len,)
    fs : float
        Hz.
    counts : mapping of label to int, optional
        Beats behind each template, for the legend.
    """
    if not templates:
        return empty("No label has usable beats, so there are no templates.")
    lines = []
    for i, (label, wave) in enumerate(sorted(templates.items())):
        count = f" ({counts[label]:,})" if counts and label in counts else ""
        name = f"{label_letter(label)} {label_name(label)}{count}"
        lines.append(_line(beat_times(len(wave), fs, pre_sec), wave, name, label_colour(label), 2, _DASHES[i % 6]))
    names = ", ".join(label_name(label) for label in sorted(templates))
    return chart(lines, alt=f"Class templates of {names}", height=420, xaxis=axis(_X_TITLE), yaxis=axis(_Y_TITLE))


def candidates_overlay(
    seed: Wave,
    candidates: npt.NDArray[np.floating],
    similarities: npt.ArrayLike,
    fs: float,
    *,
    beat_ids: npt.ArrayLike | None = None,
    seed_name: str = "seed",
    pre_sec: float = 0.250,
) -> go.Figure:
    """A seed and its candidates: the more similar, the stronger the line.

    Parameters
    ----------
    seed : array, shape (beat_len,)
    candidates : array, shape (k, beat_len)
    similarities : array_like, shape (k,)
        Cosines; higher is more similar.
    beat_ids : array_like of int, shape (k,), optional
        Become the ``customdata`` of each line.
    """
    values = np.asarray(similarities, dtype=float)
    ids = np.arange(len(values)) if beat_ids is None else np.asarray(beat_ids)
    x = beat_times(len(seed), fs, pre_sec)
    low, high = (float(values.min()), float(values.max())) if len(values) else (0.0, 0.0)
    lines = []
    for i in np.argsort(values):
        strength = (values[i] - low) / (high - low) if high > low else 1.0
        line = _line(x, candidates[i], f"beat {ids[i]}", ACCENT, 1.2, "solid")
        line |= {
            "opacity": 0.15 + 0.45 * float(strength),
            "showlegend": False,
            "customdata": np.full(len(x), int(ids[i])),
            "hovertemplate": f"beat {ids[i]}<br>similarity {values[i]:.3f}<extra></extra>",
        }
        lines.append(line)
    lines.append(_line(x, seed, seed_name, ALARM, 2.6, "solid"))
    words = f"{len(values)} candidates, similarity {low:.2f} to {high:.2f}" if len(values) else "no candidates"
    return chart(
        lines, alt=f"{seed_name} and {words}", xaxis=axis(_X_TITLE), yaxis=axis(_Y_TITLE), annotations=[note(words)]
    )


def pca_plane(features: npt.NDArray[np.floating]) -> tuple[npt.NDArray[np.float64], npt.NDArray[np.float64]]:
    """First two principal components of the feature space.

    Returns
    -------
    plane : float64 array, shape (n, 2)
    shares : float64 array, shape (2,)
        Share of the variance along each.
    """
    centred = np.asarray(features, dtype=np.float64)
    plane, shares = np.zeros((len(centred), 2)), np.zeros(2)
    if not centred.size:
        return plane, shares
    centred = centred - centred.mean(axis=0)
    values, vectors = np.linalg.eigh(centred.T @ centred)  # d x d: quick however many beats there are
    top = np.argsort(-values)[:2]
    plane[:, : len(top)] = centred @ vectors[:, top]
    total = float(values.clip(0).sum())
    if total > 0:
        shares[: len(top)] = values[top].clip(0) / total
    return plane, shares


def pca_figure(
    features: npt.NDArray[np.floating],
    labels: npt.NDArray[np.integer],
    *,
    beat_ids: npt.ArrayLike | None = None,
    clusters: bool = False,
    max_points: int = MAX_POINTS,
    selected: int | None = None,
) -> go.Figure:
    """Beats in the plane of the first two principal components of the feature space.

    Parameters
    ----------
    features : array, shape (n, d)
    labels : int array, shape (n,)
        What colours the points: labels, or cluster ids with ``clusters=True``.
    beat_ids : array_like of int, shape (n,), optional
        ``customdata`` of the points; the row numbers by default.
    max_points : int
        More are subsampled, each label keeping at least 20; the chart says how many are shown.
    selected : int, optional
        ``beat_global_id`` of a beat to ring; it is always among the points.
    """
    if not len(features):
        return empty("There are no beats to show.")
    ids = np.arange(len(labels)) if beat_ids is None else np.asarray(beat_ids)
    plane, shares = pca_plane(features)
    rows = subsample(labels, max_points)
    data: list[dict[str, Any]] = []
    for label in np.unique(labels[rows]):
        inside = rows[labels[rows] == label]
        data.append(_points(plane[inside], ids[inside], int(label), clusters))
    if selected is not None and (ids == selected).any():
        spot = plane[np.flatnonzero(ids == selected)[:1]]
        data.append(
            _points(spot, np.array([selected]), 0, False)
            | {
                "name": "selected",
                "marker": {"size": 16, "symbol": "circle-open", "color": ALARM, "line": {"width": 3}},
            }
        )
    words = shown(len(rows), len(labels))
    return chart(
        data,
        alt=f"{words} in the plane of the first two principal components, by {'cluster' if clusters else 'label'}",
        height=460,
        xaxis=axis(f"component 1 ({shares[0]:.0%} of the variance)"),
        yaxis=axis(f"component 2 ({shares[1]:.0%})"),
        annotations=[note(words)],
        dragmode="lasso",
    )


def _points(xy: npt.NDArray[np.floating], ids: npt.NDArray[Any], label: int, clusters: bool) -> dict[str, Any]:
    name = ("noise" if label < 0 else f"cluster {label}") if clusters else f"{label_letter(label)} {label_name(label)}"
    colour = (INK if label < 0 else series_colour(label)) if clusters else label_colour(label)
    symbol = ("x-thin-open" if label < 0 else series_symbol(label)) if clusters else label_symbol(label)
    return {
        "type": "scatter",
        "mode": "markers",
        "name": name,
        "x": xy[:, 0].astype(np.float32),
        "y": xy[:, 1].astype(np.float32),
        "customdata": ids,
        "marker": {"size": 6, "color": colour, "symbol": symbol, "opacity": 0.75},
        "hovertemplate": "beat %{customdata}<extra>" + name + "</extra>",
    }


def rr_scatter(
    metadata: pd.DataFrame, *, labels: npt.NDArray[np.integer] | None = None, max_points: int = MAX_POINTS
) -> go.Figure:
    """RR before against RR after: a premature beat lies above the diagonal, a late one below.

    Parameters
    ----------
    metadata : DataFrame
        ``rr_prev_sec``, ``rr_next_sec``, ``beat_global_id`` and, without ``labels``, ``record_label``.
    labels : int array, shape (n,), optional
        Effective labels.
    """
    if not len(metadata):
        return empty("There are no beats to show.")
    given = metadata["record_label"].to_numpy() if labels is None else np.asarray(labels)
    xy = metadata[["rr_prev_sec", "rr_next_sec"]].to_numpy(dtype=float) * 1000
    ids = metadata["beat_global_id"].to_numpy()
    rows = subsample(given, max_points)
    data = [
        _points(xy[rows[given[rows] == label]], ids[rows[given[rows] == label]], int(label), False)
        for label in np.unique(given[rows])
    ]
    top = float(np.nanpercentile(xy, 99.5)) * 1.05
    guide = {"type": "line", "x0": 0, "y0": 0, "x1": top, "y1": top, "line": {"color": INK, "dash": "dot", "width": 1}}
    words = shown(len(rows), len(given))
    return chart(
        data,
        alt=f"RR before against RR after of {words}",
        height=440,
        xaxis=axis("RR before (ms)", range=[0, top]),
        yaxis=axis("RR after (ms)", range=[0, top]),
        shapes=[guide],
        annotations=[note(words)],
    )


def _line(x: Wave, y: Wave, name: str, colour: str, width: float, dash: str) -> dict[str, Any]:
    return {
        "type": "scatter",
        "mode": "lines",
        "name": name,
        "x": x,
        "y": np.asarray(y, dtype=np.float32),
        "line": {"color": colour, "width": width, "dash": dash},
    }
