"""How good labels and doubts are: EC57-style reports, beat matching, and figures for Unknown/Review.

Everything here takes plain arrays. Reports follow the AAMI classes N, S, V (:func:`ecg_engine.labels.aami_class`);
they are EC57-style, not a claim of conformity.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike, NDArray

from ecg_engine.labels import aami_class, label_name

MATCH_TOLERANCE_SEC = 0.150
"""How far a found beat may lie from the true one (EC57)."""

NO_BEAT = -9
"""Stands for "no beat here" where missed and spurious beats are counted strictly."""

AAMI_CLASSES = ("N", "S", "V")


def class_report(true: ArrayLike, predicted: ArrayLike, classes: Sequence[Any] | None = None) -> pd.DataFrame:
    """Sensitivity, positive predictivity and F1 of every class.

    Parameters
    ----------
    true, predicted : array_like, shape (n,)
        Labels. Values outside ``classes`` (Unknown/Review, :data:`NO_BEAT`) count as misses of the true class.
    classes : sequence, optional
        The rows of the report; by default all labels >= 0 in either array, ascending.

    Returns
    -------
    DataFrame
        label, name, se, ppv (+P), f1, support (true beats), predicted (beats given this label). Undefined
        shares (nothing true, nothing predicted) are NaN.
    """
    truth, guess = _pair(true, predicted)
    if classes is None:
        classes = [value for value in np.union1d(truth, guess).tolist() if value >= 0]
    rows = []
    for value in classes:
        hit = int(np.sum((truth == value) & (guess == value)))
        support, given = int(np.sum(truth == value)), int(np.sum(guess == value))
        name = value if isinstance(value, str) else label_name(value)
        f1 = _share(2 * hit, support + given)
        rows.append((value, name, _share(hit, support), _share(hit, given), f1, support, given))
    return pd.DataFrame(rows, columns=["label", "name", "se", "ppv", "f1", "support", "predicted"])


def aami_report(true: ArrayLike, predicted: ArrayLike) -> pd.DataFrame:
    """Report over the AAMI classes N, S and V.

    Beats whose true label has no AAMI class (noise, VFib, unlabelled) are left out; a prediction without one is a
    miss. A true :data:`NO_BEAT` stays in, so that spurious beats lower +P.
    """
    truth, guess = _pair(true, predicted)
    groups = {int(value): aami_class(int(value)) or "" for value in np.union1d(truth, guess)}
    kept = np.array([groups[int(value)] != "" or value == NO_BEAT for value in truth], dtype=bool)
    as_true = np.array([groups[int(value)] for value in truth[kept]], dtype=object)
    as_guess = np.array([groups[int(value)] for value in guess[kept]], dtype=object)
    return class_report(as_true, as_guess, AAMI_CLASSES)


def confusion(true: ArrayLike, predicted: ArrayLike, classes: Sequence[Any]) -> NDArray[np.int64]:
    """Counts of true (rows) against predicted (columns) class, in the order of ``classes``.

    Pairs with a value outside ``classes`` are not counted.
    """
    truth, guess = _pair(true, predicted)
    place = {value: number for number, value in enumerate(classes)}
    table = np.zeros((len(classes), len(classes)), dtype=np.int64)
    pairs = [
        (place[a], place[b]) for a, b in zip(truth.tolist(), guess.tolist(), strict=True) if {a, b} <= place.keys()
    ]
    if pairs:
        np.add.at(table, tuple(np.array(pairs).T), 1)
    return table


class BeatMatch(NamedTuple):
    """Which true beat is which found beat."""

    true_index: NDArray[np.int64]  # (m,) matched true beats, ascending
    found_index: NDArray[np.int64]  # (m,) the found beat of each
    missed: NDArray[np.int64]  # true beats without a found one
    spurious: NDArray[np.int64]  # found beats without a true one


def match_beats(
    true_sec: ArrayLike,
    found_sec: ArrayLike,
    *,
    true_strip: ArrayLike | None = None,
    found_strip: ArrayLike | None = None,
    tolerance_sec: float = MATCH_TOLERANCE_SEC,
) -> BeatMatch:
    """Match found beats with true beats one to one.

    As many beats as possible are matched, and among such matchings the one with the smallest sum of distances is
    taken, so that a spurious peak beside a true one does not steal its beat.

    Parameters
    ----------
    true_sec, found_sec : array_like, shapes (n,) and (m,)
        Times of the R-peaks in seconds, from the start of the strip; any order.
    true_strip, found_strip : array_like of int, optional
        Strip of each beat; only beats of the same strip match. Give both or neither.
    tolerance_sec : float
        Largest distance of a pair.

    Examples
    --------
    >>> match_beats([1.0, 2.0], [0.9, 1.01, 3.0]).found_index.tolist()
    [1]
    """
    true_time, found_time = np.asarray(true_sec, dtype=float), np.asarray(found_sec, dtype=float)
    if (true_strip is None) != (found_strip is None):
        raise ValueError("give true_strip and found_strip, or neither")
    both = np.concatenate([true_time, found_time])
    strip = np.zeros(len(both), dtype=np.int64)
    if true_strip is not None and found_strip is not None:
        strip = np.concatenate([np.asarray(true_strip), np.asarray(found_strip)]).astype(np.int64)
    order = np.lexsort((both, strip))
    # beats further apart than the tolerance cannot influence each other: cut there, and match each piece by itself
    apart = (np.diff(both[order]) > tolerance_sec + 1e-9) | (np.diff(strip[order]) != 0)
    pairs: list[tuple[int, int]] = []
    for piece in np.split(order, np.flatnonzero(apart) + 1):
        left, right = piece[piece < len(true_time)], piece[piece >= len(true_time)] - len(true_time)
        if len(left) and len(right):
            chosen = _match_piece(true_time[left], found_time[right], tolerance_sec)
            pairs += [(int(left[i]), int(right[j])) for i, j in chosen]
    matched = np.array(sorted(pairs), dtype=np.int64).reshape(-1, 2)
    return BeatMatch(
        matched[:, 0],
        matched[:, 1],
        np.setdiff1d(np.arange(len(true_time)), matched[:, 0]),
        np.setdiff1d(np.arange(len(found_time)), matched[:, 1]),
    )


def strict_labels(
    match: BeatMatch, true_labels: ArrayLike, found_labels: ArrayLike
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Pair up labels so that missed and spurious beats count.

    Returns
    -------
    true, predicted : int64
        Matched beats first, then missed ones (predicted :data:`NO_BEAT`), then spurious ones (true NO_BEAT):
        ready for :func:`class_report` and :func:`aami_report`.
    """
    true, found = np.asarray(true_labels), np.asarray(found_labels)
    nobody_missed, nobody_there = np.full(len(match.missed), NO_BEAT), np.full(len(match.spurious), NO_BEAT)
    truth = np.concatenate([true[match.true_index], true[match.missed], nobody_there])
    guess = np.concatenate([found[match.found_index], nobody_missed, found[match.spurious]])
    return truth.astype(np.int64), guess.astype(np.int64)


def risk_coverage(confidence: ArrayLike, correct: ArrayLike) -> pd.DataFrame:
    """Error among the beats that are kept when the least confident go to review.

    Returns
    -------
    DataFrame
        One row a distinct confidence, descending: threshold (kept are >= it), coverage (share kept), risk (share
        wrong among the kept).
    """
    sure, right = np.asarray(confidence, dtype=float), np.asarray(correct, dtype=bool)
    order = np.argsort(-sure, kind="stable")
    sure, wrong = sure[order], np.cumsum(~right[order])
    last = np.flatnonzero(np.append(np.diff(sure) != 0, True)) if len(sure) else np.zeros(0, dtype=int)
    kept = last + 1
    return pd.DataFrame({"threshold": sure[last], "coverage": kept / max(len(sure), 1), "risk": wrong[last] / kept})


def coverage_at_accuracy(confidence: ArrayLike, correct: ArrayLike, accuracy: float = 0.98) -> float:
    """Largest share of beats that can be kept at this accuracy or better; 0 if none."""
    curve = risk_coverage(confidence, correct)
    good = curve.loc[curve["risk"] <= 1 - accuracy + 1e-12, "coverage"]
    return float(good.max()) if len(good) else 0.0


def auroc(score: ArrayLike, positive: ArrayLike) -> float:
    """Chance that a positive scores higher than a negative, ties counting half; NaN if either is missing."""
    value, flag = np.asarray(score, dtype=float), np.asarray(positive, dtype=bool)
    n_pos, n_neg = int(flag.sum()), int((~flag).sum())
    if not n_pos or not n_neg:
        return float("nan")
    ranks = pd.Series(value).rank().to_numpy()
    return float((ranks[flag].sum() - n_pos * (n_pos + 1) / 2) / (n_pos * n_neg))


def calibration_error(confidence: ArrayLike, correct: ArrayLike, bins: int = 15) -> float:
    """Expected calibration error: mean |accuracy - confidence| over equal-width bins, weighted by their beats."""
    sure, right = np.asarray(confidence, dtype=float), np.asarray(correct, dtype=float)
    if not len(sure):
        return float("nan")
    slot = np.clip((sure * bins).astype(int), 0, bins - 1)
    gap = np.bincount(slot, right, bins) - np.bincount(slot, sure, bins)
    return float(np.abs(gap).sum() / len(sure))


def fit_temperature(logits: ArrayLike, targets: ArrayLike) -> float:
    """Temperature that minimises the cross-entropy of ``softmax(logits / T)`` (Guo et al., ICML 2017).

    Parameters
    ----------
    logits : array_like, shape (n, K)
        Of beats that were not trained on.
    targets : array_like of int, shape (n,)
        Class number of each.

    Returns
    -------
    float
        Between 0.05 and 20; 1 if there is nothing to fit.
    """
    z, y = np.asarray(logits, dtype=float), np.asarray(targets, dtype=int)
    if len(z) == 0 or z.shape[1] < 2:
        return 1.0
    from scipy.optimize import minimize_scalar

    def loss(log_t: float) -> float:
        scaled = z / np.exp(log_t)
        return float(np.mean(_logsumexp(scaled) - scaled[np.arange(len(y)), y]))

    found = minimize_scalar(loss, bounds=(np.log(0.05), np.log(20.0)), method="bounded")
    return float(np.exp(found.x))


def softmax(logits: ArrayLike, temperature: float = 1.0) -> NDArray[np.float64]:
    """Probabilities of logits, shape (n, K)."""
    z = np.asarray(logits, dtype=float) / temperature
    return np.asarray(np.exp(z - _logsumexp(z)[:, None]), dtype=float)


def _logsumexp(z: NDArray[np.float64]) -> NDArray[np.float64]:
    top = z.max(axis=1, initial=-np.inf)
    return np.asarray(top + np.log(np.exp(z - top[:, None]).sum(axis=1)), dtype=float)


def _match_piece(true: NDArray[np.float64], found: NDArray[np.float64], tolerance: float) -> list[tuple[int, int]]:
    # dynamic programming over two sorted lists: on a line some best matching never crosses
    n, m = len(true), len(found)
    near = np.abs(true[:, None] - found[None, :])
    if n == m == 1:
        return [(0, 0)] if near[0, 0] <= tolerance + 1e-9 else []
    best: list[list[tuple[int, float]]] = [[(0, 0.0)] * (m + 1) for _ in range(n + 1)]  # (-matches, distance)
    for i in range(1, n + 1):
        for j in range(1, m + 1):
            options = [best[i - 1][j], best[i][j - 1]]
            if near[i - 1, j - 1] <= tolerance + 1e-9:
                count, distance = best[i - 1][j - 1]
                options.append((count - 1, distance + float(near[i - 1, j - 1])))
            best[i][j] = min(options)
    pairs, i, j = [], n, m
    while i and j:
        if best[i][j] == best[i - 1][j]:
            i -= 1
        elif best[i][j] == best[i][j - 1]:
            j -= 1
        else:
            i, j = i - 1, j - 1
            pairs.append((i, j))
    return pairs


def _pair(true: ArrayLike, predicted: ArrayLike) -> tuple[NDArray[Any], NDArray[Any]]:
    truth, guess = np.asarray(true), np.asarray(predicted)
    if truth.shape != guess.shape:
        raise ValueError(f"true and predicted differ in shape: {truth.shape} and {guess.shape}")
    return truth, guess


def _share(part: int, whole: int) -> float:
    return part / whole if whole else float("nan")
