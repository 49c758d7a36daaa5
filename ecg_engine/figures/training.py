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
    """Loss above, accuracy on held-out beats below, by epoch; the kept epoch is marked.

    Parameters
    ----------
    history : DataFrame
        ``TrainingResult.history`` or its rows so far: epoch, and whichever of train_loss, val_loss, class_acc,
        gate_acc, best there are.
    """
    if not len(history):
        return empty("No epoch has finished yet.")
    epochs = history["epoch"].to_numpy()
    data: list[dict[str, Any]] = []
    for place, group in (("y", _LOSSES), ("y2", _SHARES)):
        for column, name, colour, dash in group:
            if column not in history or history[column].isna().all():
                continue
            data.append(
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
    shapes, notes, words = [], [], f"{len(history)} epochs"
    if "best" in history and history["best"].any():
        best = int(epochs[history["best"].to_numpy(dtype=bool)][-1])
        line = {"color": ALARM, "dash": "dot", "width": 1.5}
        shapes.append({"type": "line", "x0": best, "x1": best, "y0": 0, "y1": 1, "yref": "paper", "line": line})
        words += f", epoch {best} is kept"
        notes.append(note(f"kept: epoch {best}", 1.0, 0.46))
    return chart(
        data,
        alt=f"Loss and accuracy over {words}",
        height=440,
        xaxis=axis("epoch", anchor="y2", rangemode="tozero", **({"dtick": 1} if len(history) <= 15 else {})),
        yaxis=axis("loss", domain=[0.54, 1.0], rangemode="tozero"),
        yaxis2=axis("accuracy", domain=[0.0, 0.46], range=[0, 1.02]),
        shapes=shapes,
        annotations=notes,
    )


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
