"""The beats of one cluster of new patterns: where they are, what they look like, what is known of them. Pure."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from ecg_engine import spread
from ecg_engine.preprocess import Run
from state.anchors import BeatIndex
from state.deciding import Decision
from state.reviewing import rows_of_ids, verdict_label

STRIP_COLUMNS = ("source_row", "patient_id", "record_label_name", "members", "beats", "settled")


def rows_of_cluster(index: BeatIndex, members: pd.DataFrame, cluster: int) -> NDArray[np.int64]:
    """Rows of a cluster's beats in the run, ascending.

    Parameters
    ----------
    members : DataFrame
        ``new_pattern_members.csv``.
    """
    ids = members.loc[members["cluster_id"] == cluster, "beat_global_id"]
    rows = rows_of_ids(index, ids)
    return np.sort(rows[rows >= 0])


def strips_of(run: Run, rows: NDArray[np.int64], said: Mapping[int, Decision]) -> pd.DataFrame:
    """The strips that some beats lie on, most of them first.

    Returns
    -------
    DataFrame
        ``STRIP_COLUMNS``: ``members`` of the beats asked for, out of ``beats`` of the strip; ``settled`` of the members
        by readers.
    """
    table = run.metadata
    source = table["source_row"].to_numpy()
    strips, first, place = np.unique(source[rows], return_index=True, return_inverse=True)
    settled = np.fromiter((row in said for row in rows.tolist()), dtype=float, count=len(rows))
    known, counts = np.unique(source, return_counts=True)
    found = pd.DataFrame(
        {
            "source_row": strips,
            "patient_id": table["patient_id"].to_numpy()[rows[first]],
            "record_label_name": table["record_label_name"].to_numpy()[rows[first]],
            "members": np.bincount(place, minlength=len(strips)),
            "beats": counts[np.searchsorted(known, strips)],
            "settled": np.bincount(place, settled, minlength=len(strips)).astype(np.int64),
        },
        columns=list(STRIP_COLUMNS),
    )
    return found.sort_values(["members", "source_row"], ascending=[False, True], ignore_index=True)


def typical_first(
    beats: NDArray[np.floating], rows: NDArray[np.int64], centroid: NDArray[np.floating]
) -> NDArray[np.int64]:
    """The same rows, the nearest to the centroid first (root mean square of the difference)."""
    return rows[spread.typical_first(np.asarray(beats)[rows], centroid)]


def words_said(said: Mapping[int, Decision], rows: NDArray[np.int64]) -> list[tuple[str, int]]:
    """What readers said of these beats one by one, counted, most frequent first."""
    counts: dict[str, int] = {}
    for row in rows.tolist():
        if row in said:
            word = verdict_label(said[row])
            counts[word] = counts.get(word, 0) + 1
    return sorted(counts.items(), key=lambda item: (-item[1], item[0]))


def open_rows(said: Mapping[int, Decision], rows: NDArray[np.int64]) -> NDArray[np.int64]:
    """The beats that no reader has settled."""
    return rows[[row not in said for row in rows.tolist()]] if len(rows) else rows
