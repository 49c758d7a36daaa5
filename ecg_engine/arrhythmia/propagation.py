"""What a reader said of some of a patient's beats, passed on to those that resemble them (issue 4, item 6).

Not the label is passed on but the correction: a Gaussian process over the patient's beats, with the model's own logits
as its mean, is conditioned on what was said. Where the reader agrees with the model nothing moves; where she does not,
beats of the same group, and beats that look and come alike, move with the one she spoke of, each from where the model
had it. A beat labelled alone may also be a stray: part of its correction is its own. And what is plain of a patient
holds its place unless it is spoken of. Other patients' beats are never touched.

The mode of the process is found as in Rasmussen and Williams, "Gaussian Processes for Machine Learning" (2006),
sections 3.3 and 3.5, after Williams and Barber (IEEE PAMI 20, 1998): it is a logistic regression on a root of the
covariance, with the logits as offsets.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy.linalg import cholesky
from scipy.optimize import minimize
from scipy.spatial.distance import cdist
from scipy.special import log_softmax, softmax

from ecg_engine.spread import evenly, typical_first

Points = NDArray[np.float32]
Doubles = NDArray[np.float64]

ALIKE = 30.0
"""Variance of the correction that beats share which look and come alike."""

REACH = 1.0
"""Distance over which they share it; so far apart, beats differ clearly
(:func:`ecg_engine.arrhythmia.groups.describe_for_groups`)."""

TOGETHER = 3.0
"""Variance of the correction that all beats of a group share."""

LEAST = 1e-4
"""Probability below which the model is not taken at its word: it is surer than right."""

OWN = 30.0
"""Variance of what is a lone beat's own in its correction. Without it one stray would turn hundreds."""

SPEAKERS = 3
"""Members that stand for beats labelled in one stroke, the most typical ones: others may be strays."""

HOLDERS, HOLDING = 6, 0.9
"""Members that hold a plain group where the model has it, and their least probability of its class."""

MOST = 1000
"""Beats of one patient at most that are conditioned on."""

PART = 8192
"""Beats of a patient at a time: she may have a day of them."""


class Said(NamedTuple):
    """Beats of which a reader has spoken, or which stand for what nobody doubts.

    Attributes
    ----------
    beat : int64 (m,)
    number : int64 (m,)
        Class number.
    for_group : bool (m,)
        The word was about the whole group.
    lone : bool (m,)
        It was about this beat, which may be a stray.
    """

    beat: NDArray[np.int64]
    number: NDArray[np.int64]
    for_group: NDArray[np.bool_]
    lone: NDArray[np.bool_]


def said_of(
    points: Points,
    group: NDArray[np.int64],
    alone: NDArray[np.int64],
    for_group: NDArray[np.bool_],
    in_one_stroke: NDArray[np.int64],
) -> Said:
    """The beats on which a reader's words rest.

    Parameters
    ----------
    points : float32 (n, d)
        From :func:`ecg_engine.arrhythmia.groups.describe_for_groups`.
    group : int64 (n,)
    alone : int64 (n,)
        Class number of beats that she labelled one by one, negative elsewhere.
    for_group : bool (n,)
        Such beats by which she labelled their group, unseen otherwise.
    in_one_stroke : int64 (n,)
        Class number of beats that she labelled together with their look-alikes, negative elsewhere. It speaks for the
        rest of a group if it is at least half of it.
    """
    one_by_one = np.flatnonzero(alone >= 0)
    beats, numbers, whole = [one_by_one], [alone[one_by_one]], [for_group[one_by_one]]
    together = np.flatnonzero((in_one_stroke >= 0) & (alone < 0))
    size = np.bincount(group)
    pairs = np.stack([group[together], in_one_stroke[together]], axis=1)
    strokes, place, count = np.unique(pairs, axis=0, return_inverse=True, return_counts=True)
    order = np.argsort(place.ravel(), kind="stable")
    for (one, number), rows in zip(strokes.tolist(), np.split(together[order], np.cumsum(count)[:-1]), strict=False):
        chosen = rows[typical_first(points[rows])[:SPEAKERS]]
        beats.append(chosen)
        numbers.append(np.full(len(chosen), number))
        whole.append(np.full(len(chosen), 2 * len(rows) >= size[one]))
    about_groups = np.concatenate(whole)
    return Said(np.concatenate(beats), np.concatenate(numbers), about_groups, ~about_groups)


def with_plain(
    said: Said,
    points: Points,
    group: NDArray[np.int64],
    patient: NDArray[np.int64],
    probabilities: NDArray[np.float32],
    plain: Mapping[int, int],
) -> Said:
    """What a reader said, and some members of her patients' plain groups, from typical to not, as what they are.

    Parameters
    ----------
    said : Said
    points, group, patient, probabilities : of all beats
    plain : mapping of group to class number
        From :func:`ecg_engine.arrhythmia.groups.plain_groups`; those are left out of which she spoke otherwise.
    """
    about = said.for_group
    spoken = dict(zip(group[said.beat[about]].tolist(), said.number[about].tolist(), strict=True))
    asked = np.isin(patient, patient[said.beat])
    asked[said.beat] = False
    beats, numbers = [said.beat], [said.number]
    # only groups of her patients: a file may hold thousands of others
    for one in np.unique(group[asked]).tolist():
        if one not in plain or spoken.get(one, plain[one]) != plain[one]:
            continue
        rows = np.flatnonzero((group == one) & asked & (probabilities[:, plain[one]] > HOLDING))
        beats.append(rows[typical_first(points[rows])[evenly(len(rows), HOLDERS)]])
        numbers.append(np.full(len(beats[-1]), plain[one]))
    more = np.zeros(sum(map(len, beats[1:])), dtype=bool)
    flags = np.append(said.for_group, more), np.append(said.lone, more)
    return Said(np.concatenate(beats), np.concatenate(numbers), *flags)


def pass_on(
    probabilities: NDArray[np.float32],
    points: Points,
    group: NDArray[np.int64],
    patient: NDArray[np.int64],
    said: Said,
) -> NDArray[np.float32]:
    """Probabilities after a reader has spoken of some beats.

    Parameters
    ----------
    probabilities : float32 (n, K)
    points : float32 (n, d)
    group, patient : int64 (n,)
        Of each beat.
    said : Said

    Returns
    -------
    float32 (n, K)
        Those of patients of whom nothing was said are as they were.
    """
    out = probabilities.copy()
    whose = patient[said.beat]
    order = np.argsort(patient, kind="stable")
    sorted_patients = patient[order]
    for one in np.unique(whose).tolist():
        first, last = np.searchsorted(sorted_patients, [one, one + 1])
        rows, mine = order[first:last], np.flatnonzero(whose == one)
        mine = mine[evenly(len(mine), MOST)]
        beat = said.beat[mine]
        # a word about one beat is no word about its group
        place = np.where(said.for_group[mine], group[beat], -1)
        logits = _logits(probabilities[rows])
        among = _covariance(points[beat], place, points[beat], place) + np.diag(OWN * said.lone[mine])
        pull = _conditioned(among, _logits(probabilities[beat]), said.number[mine])
        for start in range(0, len(rows), PART):
            some = slice(start, start + PART)
            moved = logits[some] + _covariance(points[rows[some]], group[rows[some]], points[beat], place) @ pull
            out[rows[some]] = softmax(moved, axis=1)
    return out


def _logits(probabilities: NDArray[np.float32]) -> Doubles:
    return np.log(np.maximum(probabilities.astype(np.float64), LEAST))


def _covariance(a: Points, group_a: NDArray[np.int64], b: Points, group_b: NDArray[np.int64]) -> Doubles:
    """Of the correction at beats ``a`` and ``b``; (len(a), len(b)). Nothing is together with a group below 0."""
    alike = ALIKE * np.exp(-cdist(a, b, "sqeuclidean") / REACH**2)
    return np.asarray(alike + TOGETHER * ((group_a[:, None] == group_b) & (group_b >= 0)))


def _conditioned(covariance: Doubles, offsets: Doubles, number: NDArray[np.int64]) -> Doubles:
    """By what each spoken-of beat pulls on each class at the mode: what was said, less what is then thought; (m, K)."""
    m, classes = offsets.shape
    root = cholesky(covariance + 1e-6 * np.eye(m), lower=True)
    said = np.eye(classes)[number]

    def loss(flat: Doubles) -> tuple[float, Doubles]:
        w = flat.reshape(m, classes)
        log_p = log_softmax(offsets + root @ w, axis=1)
        value = 0.5 * (w**2).sum() - (said * log_p).sum()
        return float(value), (w - root.T @ (said - np.exp(log_p))).ravel()

    found = minimize(loss, np.zeros(m * classes), jac=True, method="L-BFGS-B", options={"maxiter": 500, "gtol": 1e-4})
    return np.asarray(said - softmax(offsets + root @ found.x.reshape(m, classes), axis=1))
