"""What the rhythm says of a candidate, once a look before has told which candidates are likely beats.

A beat that is doubtful by itself is likely where the rhythm leaves a gap and its shape is that of the sure beats, and
unlikely right after a sure beat. The rhythm is only evidence beside the rest: ectopic beats come where none is due.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from ecg_engine.arrhythmia.candidate_features import SHAPE_SEC, unit, windows
from ecg_engine.arrhythmia.candidates import Candidates, places
from ecg_engine.arrhythmia.traces import Traces

NAMES = (
    "logit",
    "since sure",
    "until sure",
    "since by median",
    "until by median",
    "both by median",
    "logit of last sure",
    "logit of next sure",
    "level by last sure",
    "level by next sure",
    "best other logit within 0.15 s",
    "best other logit within 0.25 s",
    "best other logit within 0.40 s",
    "like sure beats",
    "like best sure beat",
    "level by sure beats",
    "median interval",
    "irregularity",
    "doubt of strip",
    "sure beats a second",
)
"""What the columns of :func:`rhythm_features` are."""

_LONGEST_SEC = 3.0
_TYPICAL_SEC = 0.8
_REFRACTORY_SEC = 0.2
_LEAST = -12.0


def rhythm_features(traces: Traces, found: Candidates, logit: NDArray[np.float32]) -> NDArray[np.float32]:
    """Features of every candidate, float32 (c, len(NAMES)).

    Parameters
    ----------
    traces : Traces
    found : Candidates
        Of the same block.
    logit : float32 (c,)
        What the look before says of each candidate.
    """
    strip, at, rate = found.strip, found.at, traces.rate
    if len(strip) == 0:
        return np.zeros((0, len(NAMES)), dtype=np.float32)
    rows, place = len(found.level), places(found)
    shape = (rows, int(place.max()) + 1)

    def grid(values: NDArray[Any], empty: float) -> NDArray[np.float32]:
        out = np.full(shape, empty, dtype=np.float32)
        out[strip, place] = values
        return out

    odds = grid(np.clip(logit, _LEAST, -_LEAST), _LEAST)
    seconds = grid(at / rate, np.inf)
    height = grid(np.log(traces.qrs[strip, at] / (found.level[strip] + 1e-20) + 0.03), 0.0)
    sure = strongest(odds, seconds) & (odds > 0)

    last, following = _neighbours(sure)
    row = np.arange(rows)[:, None]
    with np.errstate(invalid="ignore"):
        since = np.where(last >= 0, seconds - seconds[row, last], _LONGEST_SEC)
        until = np.where(following >= 0, seconds[row, following] - seconds, _LONGEST_SEC)
        interval = np.where(sure & (last >= 0), np.log(np.maximum(since, 1e-3)), np.nan)
    quarter, median, three = _quartiles(interval)
    known = np.isfinite(median)
    median = np.where(known, np.exp(np.where(known, median, 0)), _TYPICAL_SEC)[:, None]
    irregular = np.where(known, three - quarter, 0.0)
    since, until = np.minimum(since, _LONGEST_SEC), np.minimum(until, _LONGEST_SEC)

    probability = 1 / (1 + np.exp(-odds))
    doubt = (probability * (1 - probability)).sum(axis=1) / np.maximum(sure.sum(axis=1), 1)
    per_second = sure.sum(axis=1) * rate / traces.qrs.shape[1]
    sure_height = _quartiles(np.where(sure, height, np.nan))[1]
    sure_height = np.where(np.isfinite(sure_height), sure_height, 0.0)[:, None]

    every = [
        odds,
        since,
        until,
        np.log(since / median + 0.05),
        np.log(until / median + 0.05),
        np.log((since + until) / median + 0.05),
        np.where(last >= 0, odds[row, last], 0),
        np.where(following >= 0, odds[row, following], 0),
        np.where(last >= 0, height - height[row, last], 0),
        np.where(following >= 0, height - height[row, following], 0),
        *_best_others(odds, seconds, (0.15, 0.25, 0.40)),
        *_likeness_to_sure(traces, found, place, sure),
        height - sure_height,
        np.broadcast_to(np.log(median), shape),
        np.broadcast_to(irregular[:, None], shape),
        np.broadcast_to(doubt[:, None], shape),
        np.broadcast_to(per_second[:, None], shape),
    ]
    return np.stack([values[strip, place] for values in every], axis=1).astype(np.float32)


def strongest(odds: NDArray[np.float32], seconds: NDArray[Any], apart: float = _REFRACTORY_SEC) -> NDArray[np.bool_]:
    """Which of the candidates of each row have no better one within ``apart`` seconds, shape as ``odds``.

    Both arrays (rows, places) in ascending time; empty places hold infinity in ``seconds``. Suppressed candidates
    suppress no others: of three in a chain the outer two may stay.
    """
    left = np.isfinite(seconds)
    kept = np.zeros_like(left)
    with np.errstate(invalid="ignore"):
        near = np.abs(seconds[:, :, None] - seconds[:, None, :]) < apart
    number = np.arange(odds.shape[1])
    better = (odds[:, None, :] > odds[:, :, None]) | (
        (odds[:, None, :] == odds[:, :, None]) & (number[None, None, :] < number[None, :, None])
    )
    rival = near & better
    while left.any():
        best = left & ~(rival & left[:, None, :]).any(axis=2)
        kept |= best
        left &= ~best & ~(near & best[:, None, :]).any(axis=2)
    return kept


def _neighbours(sure: NDArray[np.bool_]) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Place of the last sure candidate before each place and of the next one after it; -1 where there is none."""
    number = np.arange(sure.shape[1])
    before = np.maximum.accumulate(np.where(sure, number, -1), axis=1)
    none = np.full((len(sure), 1), -1)
    last = np.concatenate([none, before[:, :-1]], axis=1)
    end = sure.shape[1]
    after = np.minimum.accumulate(np.where(sure, number, end)[:, ::-1], axis=1)[:, ::-1]
    following = np.concatenate([after[:, 1:], none], axis=1)
    return last, np.where(following == end, -1, following)


def _quartiles(values: NDArray[np.float32]) -> NDArray[np.float64]:
    """Quartiles of each row without its NaNs, shape (3, rows); NaN where a row has nothing else."""
    ordered = np.sort(values.astype(np.float64), axis=1)  # NaN last
    count = np.isfinite(ordered).sum(axis=1)
    row = np.arange(len(values))
    return np.stack([ordered[row, np.round(q * np.maximum(count - 1, 0)).astype(int)] for q in (0.25, 0.5, 0.75)])


def _best_others(
    odds: NDArray[np.float32], seconds: NDArray[np.float32], reaches: tuple[float, ...]
) -> list[NDArray[np.float32]]:
    with np.errstate(invalid="ignore"):
        distance = np.abs(seconds[:, :, None] - seconds[:, None, :])
    itself = np.eye(odds.shape[1], dtype=bool)
    return [
        np.where((distance <= reach) & ~itself, odds[:, None, :], _LEAST).max(axis=2, initial=_LEAST)
        for reach in reaches
    ]


def _likeness_to_sure(
    traces: Traces, found: Candidates, place: NDArray[np.int64], sure: NDArray[np.bool_]
) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Correlation of each candidate with the mean shape of the other sure beats, and with the most alike of them."""
    half = round(SHAPE_SEC * traces.rate)
    pieces = np.zeros((*sure.shape, 2 * half + 1), dtype=np.float32)
    pieces[found.strip, place] = unit(windows(traces.shape, found.strip, found.at, half))
    with_sure = pieces @ (pieces * sure[:, :, None]).transpose(0, 2, 1)
    itself = np.eye(sure.shape[1], dtype=bool)
    others = sure[:, None, :] & ~itself
    total = (with_sure * others).sum(axis=2) / np.maximum(others.sum(axis=2), 1)
    best = np.where(others, with_sure, -1).max(axis=2, initial=-1)
    return total, best
