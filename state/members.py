"""Prototypes as their readers see them now: label mix, purity and origins by effective labels. Pure functions."""

from __future__ import annotations

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from ecg_engine.labels import label_name
from ecg_engine.preprocess import Run
from ecg_engine.prototypes import label_mix
from ecg_engine.spread import evenly, typical_first
from state.anchors import BeatIndex
from state.derived import prototype_mix
from state.effective import Effective

ORIGIN_COLUMNS = ("source_row", "source_file", "file_row", "patient_id", "strip_label", "members", "share", "labels")


def effective_library(run: Run, index: BeatIndex, effective: Effective) -> pd.DataFrame:
    """The run's prototype library with dominant label and label mix by effective labels.

    Sizes, RR means, examples and waves belong to the clusters and stay as the run computed them.

    Returns
    -------
    DataFrame
        The columns of ``prototype_library.csv``, in its order.
    """
    mix = prototype_mix(index, effective).set_index("prototype_id")
    library = run.library.copy()
    ids = library["prototype_id"]
    library["dominant_label"] = mix["dominant_label"].reindex(ids).to_numpy(dtype=np.int64)
    library["label_mix_top3"] = mix["label_mix_top3"].reindex(ids).to_numpy(dtype=object)
    return library


def member_rows(index: BeatIndex, prototype_id: int, effective: Effective | None = None) -> NDArray[np.int64]:
    """Rows of a prototype's members, in the order of the beats; with ``effective`` without those deleted by readers."""
    members = index.prototypes == prototype_id
    return np.flatnonzero(members if effective is None else members & ~effective.deleted)


def member_origins(run: Run, index: BeatIndex, effective: Effective, prototype_id: int) -> pd.DataFrame:
    """Which strips and patients a prototype's members come from.

    Returns
    -------
    DataFrame
        ``ORIGIN_COLUMNS``, one row a strip, most members first: ``members`` beats, ``share`` of the strip's beats
        (0 to 1), ``labels`` their effective labels in words ("PVC 8, Normal 2"). Columns on the file are left out for
        folders that know no strips. Beats whose R-peak was deleted are left out.
    """
    rows = member_rows(index, prototype_id, effective)
    table = run.metadata
    source = table["source_row"].to_numpy()
    there = source[~effective.deleted]
    strips, first, counts = np.unique(source[rows], return_index=True, return_counts=True)
    beats_on = np.bincount(np.searchsorted(strips, there[np.isin(there, strips)]), minlength=len(strips))
    labels = [_in_words(effective.labels[rows[source[rows] == strip]]) for strip in strips]
    found = pd.DataFrame(
        {
            "source_row": strips,
            "patient_id": table["patient_id"].to_numpy()[rows[first]],
            "strip_label": table["record_label_name"].to_numpy()[rows[first]],
            "members": counts,
            "share": counts / np.maximum(beats_on, 1),
            "labels": labels,
        }
    )
    if run.strips is not None:
        place = index.strip_of_beat[rows[first]]
        found["source_file"] = np.asarray(run.strips.source_file)[place]
        found["file_row"] = np.asarray(run.strips.file_row)[place]
    columns = [name for name in ORIGIN_COLUMNS if name in found]
    return found[columns].sort_values(["members", "source_row"], ascending=[False, True], ignore_index=True)


def example_rows(index: BeatIndex, wave: NDArray[np.floating], beats: NDArray[np.floating], prototype_id: int,
                 most: int = 12) -> NDArray[np.int64]:  # fmt: skip
    """Members to look at: from the most typical to the least, evenly spread.

    Typical is near to the prototype's wave (root mean square of the difference).
    """
    rows = member_rows(index, prototype_id)
    return rows[typical_first(beats[rows], wave)[evenly(len(rows), most)]]


def mix_of(effective: Effective, rows: NDArray[np.int64]) -> list[tuple[int, int]]:
    """(label, beats) of all labelled members, most frequent first; deleted ones have no label."""
    return label_mix(effective.labels[rows])


def _in_words(labels: NDArray[np.int32]) -> str:
    values, counts = np.unique(labels, return_counts=True)
    order = np.argsort(-counts, kind="stable")
    return ", ".join(f"{label_name(int(values[i]))} {counts[i]}" for i in order)
