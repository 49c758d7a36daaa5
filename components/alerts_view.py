"""What the Alerts page draws from, and its overview: gallery, map and table of the clusters under review."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import streamlit as st

from components.cards import Card, CardGroup, card_grid
from components.downloads import table_download
from components.review_view import View as Review
from components.words import many
from ecg_engine.alerts import CLUSTERS_FILE, Patterns, load_patterns
from ecg_engine.beat_svg import beat_svg, shared_limits
from ecg_engine.config import AlertConfig
from ecg_engine.figures import patterns_figure
from ecg_engine.figures.palette import series_colour
from state import session
from state.deciding import Decision
from state.pattern_members import rows_of_cluster
from state.reviewing import acknowledged
from state.runs import ALERTS, RunRow


@dataclass(frozen=True)
class View:
    """A search for new patterns in a prediction. ``order`` holds the clusters as they are listed, largest first."""

    row: RunRow
    review: Review
    patterns: Patterns
    config: AlertConfig
    seen: dict[int, Decision]
    order: list[int]

    def rows(self, cluster: int) -> np.ndarray:
        """Rows of a cluster's beats in the run."""
        return rows_of_cluster(self.review.index, self.patterns.members, cluster)

    def size(self, cluster: int) -> int:
        """Number of beats of a cluster."""
        table = self.patterns.clusters
        return int(table.loc[table["cluster_id"] == cluster, "size"].iloc[0])

    def alert(self, cluster: int) -> bool:
        """Whether a cluster is large enough to call for attention."""
        return cluster in set(self.patterns.alerts["cluster_id"])


def searches_of(prediction: RunRow) -> list[RunRow]:
    """Finished searches in a prediction, newest first."""
    return [run for run in session.store().runs.all(prediction.study_id, ALERTS) if prediction.id in run.parents]


def gather(review: Review) -> View | None:
    """The search in hand: the one chosen, else the newest in the prediction; None if there is none."""
    known = searches_of(review.row)
    if not known:
        return None
    row = next((run for run in known if run.id == session.chosen("search")), known[0])
    patterns = _patterns(row.id, str(session.store().runs.path(row)))
    seen = acknowledged(session.active_decisions(), row.id)
    order = [int(number) for number in patterns.clusters["cluster_id"]]
    return View(row, review, patterns, AlertConfig.from_dict(dict(row.config)), seen, order)


@st.cache_resource(show_spinner=False, max_entries=6)
def _patterns(row_id: str, folder: str) -> Patterns:
    return load_patterns(Path(folder))


def choose(cluster: int) -> None:
    """Choose a cluster."""
    session.choose(cluster=cluster)


def standing(view: View, cluster: int) -> str:
    """In a word or two: an alert, one that was seen, or neither."""
    if not view.alert(cluster):
        return "small"
    return f"seen by {view.seen[cluster].reader}" if cluster in view.seen else "alert"


def gallery(view: View, chosen: int) -> None:
    """The median beat of every cluster, alerts first."""
    run = view.review.run
    scale = shared_limits(view.patterns.centroids.values())
    centre = round(run.config.pre_sec * run.fs)
    cards: dict[bool, list[Card]] = {True: [], False: []}
    for cluster in view.order:
        open_alert = view.alert(cluster) and cluster not in view.seen
        words = standing(view, cluster)
        cards[view.alert(cluster)].append(
            Card(
                id=cluster,
                title=f"Cluster {cluster}",
                svg=beat_svg(
                    view.patterns.centroids[cluster],
                    title=f"Median beat of cluster {cluster}, {many(view.size(cluster), 'beat')}, {words}",
                    limits=scale,
                    colour=series_colour(cluster),
                    centre_sample=centre,
                ),
                lines=(f"{many(view.size(cluster), 'beat')}", *((words,) if cluster in view.seen else ())),
                badge="alert" if open_alert else "",
                note="✓ seen" if cluster in view.seen else "",
                faded=cluster in view.seen,
            )
        )
    groups = [
        CardGroup(cards[True], title="Alerts", note=f"{view.config.min_alert_size:,} beats or more"),
        CardGroup(cards[False], title="Smaller clusters", note=f"fewer than {view.config.min_alert_size:,} beats"),
    ]
    card_grid(
        [group for group in groups if group.cards],
        key="alerts_gallery",
        on_pick=lambda number, action: choose(number),
        selected=chosen,
        card_width=150,
        label="Median beats of the clusters under review, in one scale",
    )


def pattern_map(view: View, chosen: int, on_pick: Callable[[int], None]) -> None:
    """The beats under review in a plane where alike beats lie near each other; a click chooses their cluster."""
    figure = patterns_figure(view.patterns)
    for trace, cluster in zip(figure.data, view.order, strict=True):
        mine = cluster == chosen
        trace.marker.opacity = 0.95 if mine else 0.3
        trace.marker.size = 7 if mine else 5
        trace.update(selected={"marker": {"opacity": 0.95}}, unselected={"marker": {"opacity": 0.3}})
    figure.data = sorted(figure.data, key=lambda trace: trace.marker.size)  # the chosen one on top
    legend = {"orientation": "h", "x": 0, "y": -0.14, "yanchor": "top"}
    figure.update_layout(dragmode="pan", height=600, legend=legend)
    cluster_of = dict(zip(view.patterns.members["beat_global_id"], view.patterns.members["cluster_id"], strict=True))
    # A new key with each choice: the chart would keep the point that was clicked before.
    key = f"alerts_map_{view.row.id}_{chosen}"

    def picked() -> None:
        points = st.session_state[key]["selection"]["points"]
        found = points[0].get("customdata") if points else None
        beat: Any = found[0] if isinstance(found, (list, tuple)) and found else found
        if beat is not None and int(beat) in cluster_of:
            on_pick(int(cluster_of[int(beat)]))

    st.plotly_chart(
        figure,
        key=key,
        theme=None,
        on_select=picked,
        selection_mode="points",
        config={"displayModeBar": False},
        alt=str(figure.layout.meta["alt"]) + f"; cluster {chosen} is chosen",
    )
    st.caption("Click a point to choose its cluster. Beats that lie near each other are alike.")


def table(view: View, chosen: int) -> None:
    """The clusters with sizes, and whether they are alerts."""
    clusters = view.patterns.clusters
    marks = {True: "⚠ alert", False: "small"}
    shown = pd.DataFrame(
        {
            "cluster": clusters["cluster_id"],
            "size": clusters["size"],
            "share": clusters["size_ratio"] * 100,
            "standing": [
                f"✓ {standing(view, number)}" if number in view.seen else marks[view.alert(number)]
                for number in view.order
            ],
        }
    )
    key = f"alerts_table_{view.row.id}"

    def picked() -> None:
        cells = st.session_state[key].selection.cells
        if cells:
            choose(view.order[int(cells[0][0])])

    st.dataframe(
        shown,
        key=key,
        hide_index=True,
        on_select=picked,
        selection_mode="single-cell",
        alt=f"{len(shown)} clusters of beats under review",
        column_config={
            "cluster": st.column_config.NumberColumn("Cluster", format="%d"),
            "size": st.column_config.NumberColumn("Beats", format="localized"),
            "share": st.column_config.NumberColumn("Share of the beats under review", format="%.0f %%"),
            "standing": "Alert",
        },
    )
    st.caption(f"Cluster {chosen} is chosen; click a row to choose another.")
    table_download(clusters, CLUSTERS_FILE, label="Download this table", key="alerts_csv")
