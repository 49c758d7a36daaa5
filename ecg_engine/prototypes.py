"""What beats look like on the whole: a template for each label, a prototype for each cluster (spec section 5)."""

from __future__ import annotations

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike, NDArray

from ecg_engine.labels import UNLABELLED

LIBRARY_COLUMNS = (
    "prototype_id",
    "size",
    "dominant_label",
    "label_mix_top3",
    "rr_prev_mean",
    "rr_next_mean",
    "example_beat_ids",
)
_EXAMPLES = 10


def class_templates(
    beats: NDArray[np.float32], labels: NDArray[np.int32], usable: NDArray[np.bool_]
) -> dict[int, NDArray[np.float32]]:
    """Per-sample median of the usable beats of each label; unlabelled beats have none.

    Parameters
    ----------
    beats : float32 (n, L)
    labels : int32 (n,)
    usable : bool (n,)

    Returns
    -------
    dict of int to float32 (L,)
        In ascending order of labels.
    """
    return {
        int(label): median_wave(beats[usable & (labels == label)])
        for label in np.unique(labels[usable])
        if label != UNLABELLED
    }


def build_library(
    labels: NDArray[np.int32],
    cluster_ids: NDArray[np.int32],
    beats: NDArray[np.float32],
    rr_prev: NDArray[np.float32],
    rr_next: NDArray[np.float32],
    *,
    beat_ids: ArrayLike | None = None,
) -> tuple[pd.DataFrame, dict[int, NDArray[np.float32]]]:
    """One prototype for each cluster.

    Parameters
    ----------
    labels, cluster_ids : int32 (n,)
        Beats of cluster -1 are left out. Unlabelled beats are members, but are not counted in the mix.
    beats : float32 (n, L)
    rr_prev, rr_next : float32 (n,)
        Seconds.
    beat_ids : int (n,), optional
        Ids to give as examples; the row numbers by default.

    Returns
    -------
    library : DataFrame
        Columns ``LIBRARY_COLUMNS``, largest first (of equal size the lower id). ``label_mix_top3`` reads
        "2:3090;0:1893;-1:158": label and members, most frequent first, equal counts in ascending label order.
        Without labelled members the mix is empty and the dominant label -999.
    waves : dict of int to float32 (L,)
        Prototype id to per-sample median of the members.
    """
    ids = np.arange(len(labels)) if beat_ids is None else np.asarray(beat_ids)
    rows, waves = [], {}
    for prototype in np.unique(cluster_ids[cluster_ids >= 0]):
        members = np.flatnonzero(cluster_ids == prototype)
        mix = label_mix(labels[members])
        rows.append(
            (
                int(prototype),
                len(members),
                mix[0][0] if mix else UNLABELLED,
                ";".join(f"{label}:{count}" for label, count in mix[:3]),
                float(rr_prev[members].mean()),
                float(rr_next[members].mean()),
                ",".join(str(beat) for beat in ids[members[:_EXAMPLES]]),
            )
        )
        waves[int(prototype)] = median_wave(beats[members])
    library = pd.DataFrame(rows, columns=list(LIBRARY_COLUMNS))
    return library.sort_values("size", ascending=False, kind="stable", ignore_index=True), waves


def label_mix(labels: NDArray[np.int32]) -> list[tuple[int, int]]:
    """(label, count) of labelled beats, most frequent first, equal counts in ascending label order."""
    values, counts = np.unique(labels[labels != UNLABELLED], return_counts=True)
    order = np.argsort(-counts, kind="stable")
    return [(int(values[i]), int(counts[i])) for i in order]


def median_wave(members: NDArray[np.float32]) -> NDArray[np.float32]:
    """Per-sample median, float32 (L,)."""
    # Sorting runs along memory, so the samples are laid one after the other first.
    return np.median(np.ascontiguousarray(members.T), axis=1, overwrite_input=True).astype(np.float32)
