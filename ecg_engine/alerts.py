"""Beats under review, grouped: is something new turning up? (spec section 9)"""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt
import pandas as pd

from ecg_engine.artifacts import save_array, save_json, save_table
from ecg_engine.config import AlertConfig
from ecg_engine.errors import InputError
from ecg_engine.kmeans import kmeans

CLUSTER_COLUMNS = ("cluster_id", "size", "size_ratio", "example_beat_ids", "alert_flag")
CLUSTERS_FILE = "new_pattern_clusters.csv"
ALERTS_FILE = "new_pattern_alerts.csv"
MEMBERS_FILE = "new_pattern_members.csv"
SUMMARY_FILE = "new_pattern_summary.json"
NUM_EXAMPLES = 15


class Patterns(NamedTuple):
    """Groups among the beats under review.

    Attributes
    ----------
    clusters : DataFrame
        cluster_id, size, size_ratio, example_beat_ids (first 15), alert_flag (0 or 1); by size descending.
    alerts : DataFrame
        The rows of ``clusters`` with an alert.
    summary : dict
        unknown_count, clusters_found, alerts, min_alert_size.
    centroids : dict of int to float32 array, shape (beat_len,)
        Per-sample median of each cluster's beats.
    members : DataFrame
        beat_global_id, cluster_id, pc1, pc2 (2-D PCA of the features of the beats under review), by
        ascending beat_global_id.
    """

    clusters: pd.DataFrame
    alerts: pd.DataFrame
    summary: dict[str, Any]
    centroids: dict[int, npt.NDArray[np.float32]]
    members: pd.DataFrame


def number_of_clusters(n: int, config: AlertConfig) -> int:
    """k of spec section 9, max(2, min(20, int(sqrt(n / 40)))), but never more than ``n`` (correction 8)."""
    wanted = max(2, min(config.max_clusters, int(math.sqrt(n / config.cluster_scale))))
    return min(wanted, config.max_clusters, n)


def find_patterns(
    predictions: pd.DataFrame,
    features: npt.NDArray[np.floating],
    beats: npt.NDArray[np.floating],
    config: AlertConfig | None = None,
    *,
    beat_ids: npt.ArrayLike | None = None,
) -> Patterns:
    """Cluster the beats under review in the feature space and mark the large groups (spec section 9).

    Parameters
    ----------
    predictions : DataFrame
        ``beat_predictions_v2.csv``: needs ``beat_global_id`` and ``review_flag``; rows may be in any order
        and may be only a part of the run's beats.
    features : array, shape (n, d)
        Feature space of the preprocessing run.
    beats : array, shape (n, beat_len)
    config : AlertConfig, optional
    beat_ids : array_like of int, shape (n,), optional
        ``beat_global_id`` of each row of ``features`` and ``beats``; by default the row number.

    Raises
    ------
    InputError
        If a column is missing, an id comes twice or does not belong to the run, or the arrays differ in length.

    Examples
    --------
    >>> table = pd.DataFrame({"beat_global_id": [0, 1], "review_flag": [0, 0]})
    >>> find_patterns(table, np.zeros((2, 3)), np.zeros((2, 170))).summary["unknown_count"]
    0
    """
    config = config or AlertConfig()
    ids = _ids_under_review(predictions)
    rows = _rows_of(ids, len(features), beat_ids)
    if len(beats) != len(features):
        raise InputError(f"there are {len(features)} rows of features but {len(beats)} beats")
    if not len(rows):
        empty = pd.DataFrame({name: pd.Series(dtype=object) for name in CLUSTER_COLUMNS})
        members = pd.DataFrame({"beat_global_id": ids, "cluster_id": ids, "pc1": ids * 0.0, "pc2": ids * 0.0})
        return Patterns(empty, empty.copy(), _summary(0, 0, 0, config), {}, members)
    space = np.asarray(features)[rows]
    cluster = kmeans(space, number_of_clusters(len(rows), config), config.seed)
    waves = np.asarray(beats)[rows]
    table, centroids = [], {}
    for number in np.unique(cluster):
        inside = cluster == number
        size = int(inside.sum())
        examples = ",".join(str(beat) for beat in ids[inside][:NUM_EXAMPLES])
        table.append((int(number), size, size / len(rows), examples, int(size >= config.min_alert_size)))
        centroids[int(number)] = np.median(waves[inside], axis=0).astype(np.float32)
    clusters = pd.DataFrame(table, columns=list(CLUSTER_COLUMNS))
    clusters = clusters.sort_values("size", ascending=False, kind="stable").reset_index(drop=True)
    alerts = clusters[clusters["alert_flag"] == 1].reset_index(drop=True)
    plane = _plane(space)
    members = pd.DataFrame({"beat_global_id": ids, "cluster_id": cluster, "pc1": plane[:, 0], "pc2": plane[:, 1]})
    return Patterns(clusters, alerts, _summary(len(rows), len(clusters), len(alerts), config), centroids, members)


def _ids_under_review(predictions: pd.DataFrame) -> npt.NDArray[np.int64]:
    absent = [name for name in ("beat_global_id", "review_flag") if name not in predictions.columns]
    if absent:
        raise InputError(
            f"the predictions lack the column {', '.join(absent)}",
            remedy="They must be the beat_predictions_v2.csv of a prediction.",
        )
    flags = pd.to_numeric(predictions["review_flag"], errors="coerce").fillna(0).to_numpy() != 0
    chosen = pd.to_numeric(predictions["beat_global_id"], errors="coerce")[flags]
    if chosen.isna().any():
        row = int(np.flatnonzero(chosen.isna().to_numpy())[0])
        raise InputError(f"beat {row + 1} under review has no beat_global_id that is a number")
    ids = chosen.to_numpy(dtype=np.int64)
    unique, counts = np.unique(ids, return_counts=True)
    if (counts > 1).any():
        raise InputError(
            f"beat_global_id {unique[counts > 1][0]} comes twice in the predictions",
            remedy="Each beat may have one prediction; do the predictions come from several runs?",
        )
    return unique  # ascending, so that the order of the table cannot change the clusters


def _rows_of(ids: npt.NDArray[np.int64], n: int, beat_ids: npt.ArrayLike | None) -> npt.NDArray[np.int64]:
    """Rows of the run that hold these beats: the join is by id, never by position (correction 1)."""
    known = np.arange(n) if beat_ids is None else np.asarray(beat_ids)
    if len(known) != n:
        raise InputError(f"there are {n} rows of features but {len(known)} beat ids")
    rows = pd.Index(known).get_indexer(pd.Index(ids))
    if (rows < 0).any():
        raise InputError(
            f"{int((rows < 0).sum())} beats under review, the first with beat_global_id {ids[rows < 0][0]}, "
            "are not in this preprocessing run",
            remedy="The predictions and the preprocessing run must be of the same data.",
        )
    return rows.astype(np.int64)


def _plane(space: npt.NDArray[np.floating]) -> npt.NDArray[np.floating]:
    """The first two principal components; scikit-learn's PCA would warn where all beats are equal."""
    centred = space - space.mean(axis=0)
    axes = np.linalg.svd(centred, full_matrices=False)[2][:2]
    plane = np.zeros((len(space), 2))
    plane[:, : len(axes)] = centred @ axes.T
    return plane


def _summary(unknown: int, clusters: int, alerts: int, config: AlertConfig) -> dict[str, Any]:
    return {
        "unknown_count": unknown,
        "clusters_found": clusters,
        "alerts": alerts,
        "min_alert_size": config.min_alert_size,
    }


def save_patterns(patterns: Patterns, folder: str | Path) -> list[Path]:
    """Write tables, summary and centroids under the names of spec section 9; returns the paths written.

    Centroids that an earlier search left in the folder are removed, so that none is taken for one of these.
    """
    target = Path(folder)
    target.mkdir(parents=True, exist_ok=True)
    for old in target.glob("cluster_*_centroid.npy"):
        old.unlink()
    written = []
    tables = {CLUSTERS_FILE: patterns.clusters, ALERTS_FILE: patterns.alerts, MEMBERS_FILE: patterns.members}
    for name, table in tables.items():
        save_table(table, target / name)
        written.append(target / name)
    for number, wave in patterns.centroids.items():
        path = target / f"cluster_{number}_centroid.npy"
        save_array(wave, path)
        written.append(path)
    save_json(patterns.summary, target / SUMMARY_FILE)
    return [*written, target / SUMMARY_FILE]


def load_patterns(folder: str | Path) -> Patterns:
    """Read what :func:`save_patterns` wrote.

    Raises
    ------
    InputError
        If a file is missing or cannot be read.
    """
    source = Path(folder)
    try:
        clusters, alerts, members = (pd.read_csv(source / name) for name in (CLUSTERS_FILE, ALERTS_FILE, MEMBERS_FILE))
        clusters["example_beat_ids"] = clusters["example_beat_ids"].astype(str)
        summary = json.loads((source / SUMMARY_FILE).read_text(encoding="utf-8"))
        numbers = [int(number) for number in clusters["cluster_id"]]
        centroids = {number: np.load(source / f"cluster_{number}_centroid.npy") for number in numbers}
    except (OSError, ValueError, KeyError) as error:
        raise InputError(
            f"the new patterns cannot be read: {error}", where=str(source), remedy="Look for new patterns again."
        ) from error
    return Patterns(clusters, alerts, summary, centroids, members)
