"""Groups of a patient's beats that one action labels, ordered by what labelling them would gain (issue 4, item 6).

Beats of one patient that look alike and come alike early are almost always of one kind: shown one of them, a reader
labels all. Beats are first gathered into small clusters, then clusters that lie near each other are joined; how near
is a matter of shape and timing in units that mean the same for every patient, so an ordinary rhythm is one large group
and each kind of ectopic is one of its own.
"""

from __future__ import annotations

import warnings
from collections.abc import Mapping

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from ecg_engine.arrhythmia.context import Context
from ecg_engine.arrhythmia.references import CutBeats

SMALL = 60
"""Small clusters of a patient before those near each other are joined."""

JOIN = 0.4
"""Mean distance up to which clusters are joined; two ordinary beats lie some 0.2 apart, a narrow and a wide one 1 or
more."""

PLAIN_SIZE, PLAIN = 30, 0.9
"""Beats, and mean probability of one kind of ectopic beat, from which a group of them is plain."""

_TIMING = (("pre_over_usual", 2.0), ("post_over_usual", 0.7), ("pre_over_patient", 0.8))


def describe_for_groups(context: Context) -> NDArray[np.float32]:
    """Beats as points in which a distance of 1 is a clear difference; float32 (n, 75)."""
    shape = context.pictures[:, 0, 12:82]
    length = np.linalg.norm(shape, axis=1, keepdims=True)
    unit = shape / (length + np.float32(1e-6))
    timing = [np.clip(context.column(name), -0.7, 0.5) * weight for name, weight in _TIMING]
    size = 0.5 * context.column("amplitude_patient")
    wide = 0.7 * context.column("width_patient")
    return np.column_stack([unit, *timing, size, wide]).astype(np.float32)


def find_groups(beats: CutBeats, context: Context, seed: int = 42) -> NDArray[np.int64]:
    """Group of each beat; a group holds beats of one patient.

    Parameters
    ----------
    beats, context : of the same beats
    seed : int

    Returns
    -------
    int64 (n,)
        Numbered from 0, patient by patient.
    """
    points = describe_for_groups(context)
    patient = beats.patient[beats.strip]
    group = np.zeros(len(beats), dtype=np.int64)
    order = np.argsort(patient, kind="stable")
    first = 0
    for rows in np.split(order, np.flatnonzero(np.diff(patient[order])) + 1) if len(order) else []:
        own = _join(points[rows], seed)
        group[rows] = first + own
        first += int(own.max()) + 1
    return group


def _join(points: NDArray[np.float32], seed: int) -> NDArray[np.int64]:
    from scipy.cluster.hierarchy import fcluster, linkage

    small = _small_clusters(points, seed) if len(points) > SMALL else np.arange(len(points))
    names, small = np.unique(small, return_inverse=True)
    if len(names) < 2:
        return np.zeros(len(points), dtype=np.int64)
    centres = np.stack([points[small == k].mean(axis=0) for k in range(len(names))])
    joined = fcluster(linkage(centres, method="average"), JOIN, criterion="distance")
    return (joined[small] - 1).astype(np.int64)


def _small_clusters(points: NDArray[np.float32], seed: int) -> NDArray[np.int64]:
    # the best of two starts will do: what is cut in two here is joined again afterwards
    from sklearn.cluster import KMeans
    from sklearn.exceptions import ConvergenceWarning
    from threadpoolctl import threadpool_limits  # type: ignore[import-untyped]

    with warnings.catch_warnings(), threadpool_limits(1):
        warnings.simplefilter("ignore", ConvergenceWarning)
        return np.asarray(KMeans(SMALL, n_init=2, random_state=seed).fit_predict(points), dtype=np.int64)


def entropy(probabilities: NDArray[np.floating]) -> NDArray[np.float64]:
    """Entropy of rows of probabilities in bits."""
    p = np.asarray(probabilities, dtype=float)
    return -(p * np.log2(np.maximum(p, 1e-12))).sum(axis=1)


def rank_groups(
    group: NDArray[np.int64],
    probabilities: NDArray[np.float32],
    patient: NDArray[np.int64],
    labelled: Mapping[int, int] | None = None,
) -> pd.DataFrame:
    """Groups in the order in which labelling them pays: the mean doubt about a member times the root of the size.

    (The doubt of the mean, and other powers of the size, gained less on unseen patients.)

    Parameters
    ----------
    group : int64 (n,)
    probabilities : float32 (n, K)
    patient : int64 (n,)
        Number of each beat's patient.
    labelled : mapping of group to class, optional
        Groups that are left out, being done.

    Returns
    -------
    DataFrame
        group, patient, size, gain, guess (class number), guess_share (its mean probability), example (the beat whose
        probabilities are the most usual in the group); by gain descending.
    """
    count = int(group.max(initial=-1)) + 1
    size = np.bincount(group, minlength=count)
    mean = (
        np.stack([np.bincount(group, probabilities[:, k], count) for k in range(probabilities.shape[1])], axis=1)
        / np.maximum(size, 1)[:, None]
    )
    example, whose = np.zeros(count, dtype=np.int64), np.zeros(count, dtype=np.int64)
    far = np.abs(probabilities - mean[group]).sum(axis=1)
    # the last one written wins: go from far to near
    nearest_last = np.argsort(-far, kind="stable")
    example[group[nearest_last]] = nearest_last
    whose[group] = patient
    table = pd.DataFrame(
        {
            "group": np.arange(count),
            "patient": whose,
            "size": size,
            "gain": np.bincount(group, entropy(probabilities), count) / np.sqrt(np.maximum(size, 1)),
            "guess": mean.argmax(axis=1),
            "guess_share": mean.max(axis=1, initial=0.0),
            "example": example,
        }
    )
    table = table[(table["size"] > 0) & ~table["group"].isin(list(labelled or {}))]
    return table.sort_values(["gain", "group"], ascending=[False, True], ignore_index=True)


def smooth(probabilities: NDArray[np.float32], group: NDArray[np.int64], share: float = 0.5) -> NDArray[np.float32]:
    """Let each beat's group have a say: a share of its probability is the group's mean.

    Parameters
    ----------
    probabilities : float32 (n, K)
    group : int64 (n,)
    share : float
    """
    count = int(group.max(initial=-1)) + 1
    size = np.maximum(np.bincount(group, minlength=count), 1)
    columns = [np.bincount(group, probabilities[:, k], count) / size for k in range(probabilities.shape[1])]
    mean = np.stack(columns, axis=1)[group]
    return ((1 - share) * probabilities + share * mean).astype(np.float32)


def plain_groups(
    probabilities: NDArray[np.float32], group: NDArray[np.int64], patient: NDArray[np.int64]
) -> dict[int, int]:
    """What is plain of each patient: her ordinary beats, and large groups of one kind of ectopic ones.

    Parameters
    ----------
    probabilities : float32 (n, K)
    group : int64 (n,)
    patient : int64 (n,)
        Number of each beat's patient.

    Returns
    -------
    mapping of group to class number
        0 for each patient's largest group, where the model takes it for N on the whole.
    """
    count = int(group.max(initial=-1)) + 1
    size, whose = np.bincount(group, minlength=count), np.zeros(count, dtype=np.int64)
    whose[group] = patient
    total = np.stack([np.bincount(group, probabilities[:, k], count) for k in range(probabilities.shape[1])], axis=1)
    mean = total / np.maximum(size, 1)[:, None]
    by_size = np.lexsort((-np.arange(count), size))
    largest = dict(zip(whose[by_size].tolist(), by_size.tolist(), strict=True))  # the last one written wins
    ordinary = {one: 0 for one in largest.values() if size[one] and mean[one].argmax() == 0}
    ectopic = np.flatnonzero((size >= PLAIN_SIZE) & (mean[:, 1:].max(axis=1, initial=0) > PLAIN))
    return ordinary | {one: int(mean[one].argmax()) for one in ectopic.tolist()}
