"""Charts of training and judging: curves by epoch, the confusion matrix, risk against coverage."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd
import plotly.graph_objects as go

from ecg_engine.figures.charts import GRID, axis, chart, empty, note
from ecg_engine.figures.palette import ALARM, INK, series_colour
from ecg_engine.labels import label_name

_LOSSES = (("train_loss", "training loss", 0, "dot"), ("val_loss", "held-out loss", 0, "solid"))
_SHARES = (("class_acc", "class accuracy", 1, "solid"), ("gate_acc", "noise-gate accuracy", 2, "dash"))


def curves_figure(history: pd.DataFrame) -> go.Figure:
    """Loss above, accuracy on held-out beats below, by epoch; the kept epoch, or where another net begins, is marked.

    Parameters
    ----------
    history : DataFrame
        ``TrainingResult.history`` or its rows so far: epoch, and whichever of train_loss, val_loss, class_acc,
        gate_acc, best, net (the name of the one in training) there are. Without an accuracy there is no lower half.
    """
    if not len(history):
        return empty("No epoch has finished yet.")
    epochs = history["epoch"].to_numpy()
    lines: list[dict[str, Any]] = []
    for place, group in (("y", _LOSSES), ("y2", _SHARES)):
        for column, name, colour, dash in group:
            if column not in history or history[column].isna().all():
                continue
            lines.append(
                {
                    "type": "scatter",
                    "mode": "lines+markers",
                    "name": name,
                    "x": epochs,
                    "y": history[column].to_numpy(dtype=float),
                    "yaxis": place,
                    "line": {"color": series_colour(colour), "width": 2, "dash": dash},
                    "marker": {"size": 5},
                }
            )
    halves = any(line["yaxis"] == "y2" for line in lines)
    data = lines if "net" not in history else [part for line in lines for part in _by_net(line, history["net"])]
    shapes, notes, words = _marks(history, epochs, 0.46 if halves else 1.0)
    what = "Loss and accuracy" if halves else "Loss"
    across = {"rangemode": "tozero", **({"dtick": 1} if len(history) <= 15 else {})}
    axes: dict[str, Any] = {"xaxis": axis("epoch", **across), "yaxis": axis("loss", rangemode="tozero")}
    if halves:
        axes = {
            "xaxis": axis("epoch", anchor="y2", **across),
            "yaxis": axis("loss", domain=[0.54, 1.0], rangemode="tozero"),
            "yaxis2": axis("accuracy", domain=[0.0, 0.46], range=[0, 1.02]),
        }
    return chart(data, alt=f"{what} over {words}", height=440, shapes=shapes, annotations=notes, **axes)


def _by_net(line: dict[str, Any], net: pd.Series) -> list[dict[str, Any]]:
    """A line broken where another net begins: its loss starts anew."""
    number = (net != net.shift()).cumsum().to_numpy()
    parts = []
    for one in range(1, int(number.max()) + 1):
        rows = number == one
        parts.append(line | {"x": line["x"][rows], "y": line["y"][rows], "showlegend": one == 1})
    return parts


def _marks(
    history: pd.DataFrame, epochs: npt.NDArray[Any], top: float
) -> tuple[list[dict[str, Any]], list[dict[str, Any]], str]:
    """Upright lines, their words, and what the chart tells those who cannot see it."""
    shapes, notes, words = [], [], f"{len(history)} epochs"
    if "best" in history and history["best"].any():
        best = int(epochs[history["best"].to_numpy(dtype=bool)][-1])
        shapes.append(_upright(best, ALARM))
        words += f", epoch {best} is kept"
        notes.append(note(f"kept: epoch {best}", 1.0, top))
    if "net" in history:
        begins = np.flatnonzero((history["net"] != history["net"].shift()).to_numpy())
        shapes += [_upright(float(epochs[row]) - 0.5, INK) for row in begins[1:]]
        for row in begins:
            name = str(history["net"].iloc[row])
            mark = {"text": name, "x": float(epochs[row]), "y": 1.0, "yref": "paper", "showarrow": False}
            notes.append(mark | {"xanchor": "left", "yanchor": "top", "font": {"size": 11, "color": INK}})
        words += ": " + ", then ".join(str(history["net"].iloc[row]) for row in begins)
    return shapes, notes, words


def _upright(x: float, colour: str) -> dict[str, Any]:
    line = {"color": colour, "dash": "dot", "width": 1.5}
    return {"type": "line", "x0": x, "x1": x, "y0": 0, "y1": 1, "yref": "paper", "line": line}


def confusion_figure(matrix: npt.ArrayLike, classes: Sequence[Any]) -> go.Figure:
    """Confusion matrix: rows are the truth, shaded by their share of the row, the counts written in.

    Parameters
    ----------
    matrix : array_like of int, shape (k, k)
        Row: true class; column: predicted class.
    classes : sequence
        Label ids, or names.
    """
    counts = np.asarray(matrix, dtype=np.int64)
    if not counts.size or not counts.sum():
        return empty("There are no held-out beats with a class.")
    names = [value if isinstance(value, str) else label_name(int(value)) for value in classes]
    totals = counts.sum(axis=1, keepdims=True)
    shares = counts / np.maximum(totals, 1)
    data = [
        {
            "type": "heatmap",
            "z": shares,
            "x": names,
            "y": names,
            "text": counts,
            "texttemplate": "%{text}",
            "textfont": {"size": 12},
            "customdata": counts,
            # From nothing to a blue on which both black and white can be read.
            "colorscale": [[0, "rgba(5,141,209,0.0)"], [1, "rgba(5,141,209,0.75)"]],
            "zmin": 0,
            "zmax": 1,
            "xgap": 2,
            "ygap": 2,
            "showscale": False,  # the counts are written in, and the scale would take a fifth of the width
            "hovertemplate": "true %{y}, predicted %{x}: %{customdata} (%{z:.0%})<extra></extra>",
        }
    ]
    right = float(np.trace(counts) / counts.sum())
    return chart(
        data,
        alt=f"Confusion matrix of {counts.sum():,} held-out beats, {right:.1%} on the diagonal",
        height=140 + 44 * len(names),
        xaxis=axis("predicted", side="bottom", type="category", showgrid=False),
        yaxis=axis("true", type="category", autorange="reversed", showgrid=False),
        margin={"l": 120, "r": 12, "t": 20, "b": 60},
    )


def risk_coverage_figure(coverage: npt.ArrayLike, accuracy: npt.ArrayLike, *, target: float = 0.98) -> go.Figure:
    """Accuracy of the beats kept, against the share of beats kept (the rest goes to Unknown/Review).

    Parameters
    ----------
    coverage, accuracy : array_like, shape (n,)
        Shares, by ascending coverage.
    target : float
        Accuracy to mark.
    """
    kept, right = np.asarray(coverage, dtype=float), np.asarray(accuracy, dtype=float)
    if not len(kept):
        return empty("There are no beats to judge.")
    line = {"color": series_colour(0), "width": 2.2}
    data = [{"type": "scatter", "mode": "lines", "name": "accuracy", "x": kept, "y": right, "line": line}]
    good = kept[right >= target]
    words = (
        f"{good.max():.0%} of the beats can be kept at {target:.0%} accuracy"
        if len(good)
        else (f"no share of the beats reaches {target:.0%} accuracy")
    )
    limit = {
        "type": "line",
        "x0": 0,
        "x1": 1,
        "y0": target,
        "y1": target,
        "line": {"color": INK, "dash": "dash", "width": 1},
    }
    low = max(0.0, float(np.nanmin(right)) - 0.02)
    return chart(
        data,
        alt=f"Accuracy against coverage: {words}",
        xaxis=axis("share of beats kept", range=[0, 1.02], tickformat=".0%"),
        yaxis=axis("accuracy of those", range=[low, 1.005], tickformat=".0%", gridcolor=GRID),
        shapes=[limit],
        annotations=[note(words)],
    )
