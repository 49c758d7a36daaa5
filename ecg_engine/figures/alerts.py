"""Charts of new patterns: where the groups under review lie, and what they look like."""

from __future__ import annotations

from typing import Any

import numpy as np
import plotly.graph_objects as go

from ecg_engine.alerts import Patterns
from ecg_engine.figures.charts import MAX_POINTS, axis, chart, empty, note, shown, subsample
from ecg_engine.figures.palette import series_colour, series_symbol
from ecg_engine.figures.prototypes import gallery

NOTHING = "No beat is under review, so there is no pattern to look for."


def patterns_figure(patterns: Patterns, *, max_points: int = MAX_POINTS) -> go.Figure:
    """The beats under review in 2-D PCA, by cluster; ``customdata`` is the ``beat_global_id``."""
    if not len(patterns.members):
        return empty(NOTHING)
    members = patterns.members
    cluster = members["cluster_id"].to_numpy(dtype=int)
    rows = subsample(cluster, max_points)
    data: list[dict[str, Any]] = []
    for row in patterns.clusters.to_dict("records"):
        number = int(row["cluster_id"])
        inside = members.iloc[rows[cluster[rows] == number]]
        alert = bool(row["alert_flag"])
        data.append(
            {
                "type": "scatter",
                "mode": "markers",
                "name": cluster_name(number, int(row["size"]), alert),
                "x": inside["pc1"].to_numpy(dtype=np.float32),
                "y": inside["pc2"].to_numpy(dtype=np.float32),
                "customdata": inside["beat_global_id"].to_numpy(),
                "marker": {
                    "size": 8 if alert else 6,
                    "color": series_colour(number),
                    "symbol": series_symbol(number),
                    "opacity": 0.85 if alert else 0.5,
                },
                "hovertemplate": "beat %{customdata}<extra>cluster " + str(number) + "</extra>",
            }
        )
    words = shown(len(rows), len(members), "beats under review")
    alt = f"{len(patterns.clusters)} clusters of {words}, {len(patterns.alerts)} of them alerts"
    return chart(
        data,
        alt=alt,
        height=460,
        xaxis=axis("component 1"),
        yaxis=axis("component 2"),
        annotations=[note(words)],
        dragmode="lasso",
    )


def centroids_figure(patterns: Patterns, fs: float, *, pre_sec: float = 0.250) -> go.Figure:
    """Median beat of every cluster, largest first, alerts named as such."""
    if not patterns.centroids:
        return empty(NOTHING)
    order = [int(number) for number in patterns.clusters["cluster_id"]]
    sizes, flags = patterns.clusters["size"].tolist(), patterns.clusters["alert_flag"].tolist()
    names = [cluster_name(*row) for row in zip(order, sizes, map(bool, flags), strict=True)]
    return gallery(
        [patterns.centroids[number] for number in order],
        names,
        [series_colour(number) for number in order],
        fs,
        alt=f"Median beats of {len(order)} clusters under review, {len(patterns.alerts)} of them alerts",
        columns=3,
        pre_sec=pre_sec,
        customdata=order,
    )


def cluster_name(number: int, size: int, alert: bool) -> str:
    """``"ALERT cluster 2 · 254 beats"``."""
    return f"{'ALERT ' if alert else ''}cluster {number} · {size:,} {'beat' if size == 1 else 'beats'}"
