"""Groups of look-alike beats as questions to a reader: which are worth a key, and what a model takes them for.

A group is one patient's beats that look alike and come alike early (:mod:`ecg_engine.arrhythmia.groups`). What a key
gains is counted in one unit for everything that stands in a queue: the mean doubt about a beat in bits, times the root
of the number of beats that the answer speaks of.
"""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike, NDArray

from ecg_engine.arrhythmia.groups import entropy, rank_groups
from ecg_engine.labels import P_COLUMNS, UNKNOWN, label_name
from ecg_engine.spread import evenly, typical_first

LEAST_SIZE = 3
"""Beats of the smallest group that is asked about: two are answered as fast one by one."""

LEAST_GAIN = 0.5
"""What a key must gain for a group to be asked about: of 25 beats, a tenth of a bit each."""

SWINGS = "Q"
"""AAMI class of a beat on a strip that swings without QRS complexes: R-peaks there are none that could be grouped."""

_ORDINARY, _ANY = (0.97, 0.01, 0.015, 0.005), (0.86, 0.05, 0.08, 0.01)
_SAID: Mapping[int, tuple[float, float, float, float]] = MappingProxyType(
    {
        **dict.fromkeys((0, 3, 4, 5, 6), _ORDINARY),  # Normal, rates, fibrillation and flutter of the atria
        1: (0.80, 0.18, 0.015, 0.005),  # PAC
        **dict.fromkeys((2, 9, 12), (0.80, 0.01, 0.18, 0.01)),  # PVC, Ventricular Ectopic, PVC Subtypes
        10: (0.72, 0.01, 0.26, 0.01),  # Couplets
        11: (0.65, 0.01, 0.33, 0.01),  # Triplets
        7: (0.50, 0.01, 0.48, 0.01),  # VTach
        8: (0.25, 0.25, 0.25, 0.25),  # VFib
    }
)
"""What a strip's label alone leaves open about one of its dozen beats: N, S, V, F. Rough, and only for sorting."""

COLUMNS = ("group", "size", "gain", "doubt", "suggestion", "share")


def expected_classes(strip_labels: ArrayLike) -> NDArray[np.float32]:
    """Probabilities of N, S, V and F for a beat of which only the strip's label is known.

    Parameters
    ----------
    strip_labels : int (n,)

    Returns
    -------
    float32 (n, 4)
    """
    labels, places = np.unique(np.asarray(strip_labels, dtype=np.int64), return_inverse=True)
    rows = [_SAID.get(label, _ANY) for label in labels.tolist()]
    return np.array(rows, dtype=np.float32).reshape(-1, 4)[places]


def bits_of(beats: pd.DataFrame) -> NDArray[np.float64]:
    """Doubt about each predicted beat in bits, 0 to 2; NaN where a prediction does not give all classes.

    Parameters
    ----------
    beats : DataFrame
        ``beat_predictions_v2.csv``; those of the reference profile have no ``P_COLUMNS``.
    """
    if not set(P_COLUMNS) <= set(beats.columns):
        return np.full(len(beats), np.nan)
    p = beats[list(P_COLUMNS)].to_numpy(dtype=float, na_value=np.nan)
    known = ~np.isnan(p).any(axis=1)
    return np.where(known, entropy(np.where(known[:, None], p, 0.25)), np.nan)


def groups_to_ask(
    group: NDArray[np.integer],
    strip_labels: NDArray[np.integer],
    probabilities: NDArray[np.floating] | None = None,
    predicted: NDArray[np.floating] | None = None,
    swings: NDArray[np.bool_] | None = None,
) -> pd.DataFrame:
    """The groups that are worth a reader's key, the most gained first.

    Left out are groups of fewer than :data:`LEAST_SIZE` beats, those that the model is all but sure of
    (:data:`LEAST_GAIN`; without a model all others are asked), and those half of whose beats lie on swinging strips.

    Parameters
    ----------
    group : int (n,)
        Group of each beat, -1 for one that is in none (flagged as noise).
    strip_labels : int (n,)
        Label of each beat's strip, by which groups are sorted where no model has read them.
    probabilities : float (n, 4), optional
        Of N, S, V, F; NaN for beats that the model has not read.
    predicted : float (n,), optional
        The likeliest label id of each beat; NaN for beats that the model has not read.
    swings : bool (n,), optional
        Beats of class Q.

    Returns
    -------
    DataFrame
        ``COLUMNS``: group; size (beats in it); gain (bits times the root of beats); doubt (0 to 1: the mean in bits
        over the most there is); suggestion (label id, Unknown/Review without a model) and share (its class's mean
        probability, NaN without a model).
    """
    p = expected_classes(strip_labels) if probabilities is None else np.asarray(probabilities, dtype=np.float32)
    rows = np.flatnonzero((np.asarray(group) >= 0) & ~np.isnan(p).any(axis=1))
    number = np.asarray(group, dtype=np.int64)[rows]
    table = rank_groups(number, p[rows], np.zeros(len(rows), dtype=np.int64))
    asked = table["size"] >= LEAST_SIZE
    if probabilities is not None:
        asked &= table["gain"] >= LEAST_GAIN
    if swings is not None and len(rows):
        share = np.bincount(number, swings[rows]) / np.maximum(np.bincount(number), 1)
        asked &= share[table["group"]] < 0.5
    table = table[asked].reset_index(drop=True)
    table["doubt"] = table["gain"] / np.sqrt(table["size"]) / 2.0
    table["suggestion"], table["share"] = UNKNOWN, np.nan
    if probabilities is not None and predicted is not None:
        table["suggestion"] = _suggestions(table, number, p[rows].argmax(axis=1), np.asarray(predicted)[rows])
        table["share"] = table["guess_share"].astype(float)
    return table[list(COLUMNS)]


def _suggestions(
    table: pd.DataFrame, number: NDArray[np.int64], classes: NDArray[np.int64], predicted: NDArray[np.floating]
) -> NDArray[np.int64]:
    """The most frequent label among those members that are of the class that the model takes the group for."""
    guess = dict(zip(table["group"].tolist(), table["guess"].tolist(), strict=True))
    wanted = pd.Series(number).map(guess).to_numpy(dtype=float, na_value=np.nan)
    mine = (wanted == classes) & ~np.isnan(predicted)
    counts = pd.DataFrame({"group": number[mine], "label": predicted[mine].astype(np.int64)}).value_counts(sort=True)
    most = counts.reset_index().drop_duplicates("group").set_index("group")["label"]
    return most.reindex(table["group"]).fillna(UNKNOWN).to_numpy(dtype=np.int64)


def typical_members(beats: NDArray[np.floating], whole: NDArray[np.bool_], most: int = 24) -> NDArray[np.int64]:
    """Members of a group to look at: the most typical first, then evenly spread down to the least typical.

    Parameters
    ----------
    beats : float (m, L)
        Waves of the members; typical is near to their mean (root mean square of the difference).
    whole : bool (m,)
        Beats that the strip's edge does not cut; others are shown only where there are no whole ones.
    most : int

    Returns
    -------
    int64 (k,)
        Places among the members, ``k`` at most ``most``.
    """
    chosen = np.flatnonzero(whole) if whole.any() else np.arange(len(beats))
    waves = np.asarray(beats[chosen], dtype=np.float32)
    return chosen[typical_first(waves)[evenly(len(waves), most)]]


def group_sentence(size: int, patient: str, suggestion: int, share: float, kept: int = 0) -> str:
    """What a group is, and what the model takes it for.

    Parameters
    ----------
    size : int
        Beats in it.
    patient : str
        Whose they are; "unknown" where nobody knows.
    suggestion, share
        See :func:`groups_to_ask`.
    kept : int
        Members that readers have labelled one by one.
    """
    whose = "one patient who is not named" if patient == "unknown" else f"patient {patient}"
    words = f"1 of {size:,} beats of {whose} that look and come alike"
    if suggestion != UNKNOWN and not np.isnan(share):
        words += f"; the model takes them for {label_name(suggestion)} ({share:.0%})"
    if kept:
        words += f"; {kept:,} of them {'was' if kept == 1 else 'were'} labelled one by one and will keep that"
    return f"{words}."
