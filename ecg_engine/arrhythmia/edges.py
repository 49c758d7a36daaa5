"""Beats that a strip's edge cuts: did the R-peak lie inside or just outside?

What is left of the beat is laid over whole beats of the same strip; the shift that fits best tells where its R-peak
is, even when that is beyond the edge.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

NAMES = ("at edge", "R-peak inside by", "misfit", "extremum inside by", "rise towards edge")
"""What the columns of :func:`edge_features` are."""

NEAR_SEC = 0.13
"""Candidates closer to an edge than this are looked at."""

_SEEN_SEC = 0.16
_OUTSIDE_SEC = 0.08
_UNIT_SEC, _FAR = 0.010, 5.0
_BEYOND, _GOOD_FIT = 0.25, 0.1
_BEST, _MOST = 3, 8


def edge_features(
    x: NDArray[np.float32],
    fs: float,
    strip: NDArray[np.int64],
    peak: NDArray[np.int64],
    sure: NDArray[np.bool_],
    possible: NDArray[np.bool_],
) -> NDArray[np.float32]:
    """Features of every candidate, float32 (c, len(NAMES)); constant away from the edges.

    Parameters
    ----------
    x : float32 (k, n)
        The strips.
    fs : float
        Hz.
    strip : int64 (c,)
        Row of each candidate, ascending.
    peak : int64 (c,)
        Its sample, at the R-peak if it is one.
    sure : bool (c,)
        Which candidates are surely beats.
    possible : bool (c,)
        Which candidates may be beats; the others are not looked at.

    Returns
    -------
    float32 (c, 5)
        1 at an edge; from the edge to the R-peak by the best fit, in units of 10 ms from -5 (outside) to 5; misfit
        from 0 to 1; from the edge to the extremum of the samples, likewise; how steeply they rise towards the edge,
        by their range.
    """
    length = x.shape[1]
    out = np.tile(np.array([0, _FAR, 0, _FAR, 0], dtype=np.float32), (len(strip), 1))
    seen = max(4, round(_SEEN_SEC * fs))
    if length < 3 * seen:
        return out
    before, after = round(NEAR_SEC * fs), seen + round(_OUTSIDE_SEC * fs)
    for at_end in (False, True):
        wave = x[:, ::-1] if at_end else x
        inside = length - 1 - peak if at_end else peak
        edge = np.flatnonzero(possible & (inside < NEAR_SEC * fs))
        if len(edge) == 0:
            continue
        whole = np.flatnonzero(sure & (inside >= before) & (inside + after < length))
        cut = wave[strip[edge], :seen]
        out[edge, 0] = 1
        out[edge, 3:5] = _extremum(cut, np.clip(inside[edge], 0, seen - 1), fs)
        first, last = np.searchsorted(strip[whole], strip[edge]), np.searchsorted(strip[whole], strip[edge], "right")
        # the beats next to the edge are the most like the one at the edge
        first, last = (np.maximum(first, last - _MOST), last) if at_end else (first, np.minimum(last, first + _MOST))
        pair_edge = np.repeat(np.arange(len(edge)), last - first)
        if len(pair_edge) == 0:
            out[edge, 1], out[edge, 2] = inside[edge] / fs / _UNIT_SEC, 1
            continue
        offset = np.arange(len(pair_edge)) - np.repeat(np.cumsum(last - first) - (last - first), last - first)
        pair_whole = whole[np.repeat(first, last - first) + offset]
        steps = np.arange(-before, after)
        beats = wave[strip[pair_whole][:, None], inside[pair_whole][:, None] + steps]
        misfit, at = _best_shift(cut[pair_edge], beats)
        # beats[:, j:] laid over the cut means that the R-peak, at `before`, falls on sample before - j
        where = (before - at) / fs / _UNIT_SEC
        for number, row in enumerate(edge):
            mine = np.flatnonzero(pair_edge == number)
            if len(mine) == 0:
                out[row, 1], out[row, 2] = inside[row] / fs / _UNIT_SEC, 1
                continue
            best = mine[np.argsort(misfit[mine])[:_BEST]]
            out[row, 1], out[row, 2] = np.median(where[best]), misfit[best[0]]
    out[:, [1, 3]] = np.clip(out[:, [1, 3]], -_FAR, _FAR)
    return out


def beyond_edge(features: NDArray[np.float32]) -> NDArray[np.bool_]:
    """Which candidates have their R-peak outside of the strip, by at least 2.5 ms and by a good fit, bool (c,)."""
    return (features[:, 0] > 0) & (features[:, 1] < -_BEYOND) & (features[:, 2] < _GOOD_FIT)


def _best_shift(cut: NDArray[np.float32], beats: NDArray[np.float32]) -> tuple[NDArray[np.float32], NDArray[np.int64]]:
    """Smallest misfit of each cut (p, s) to a piece of its beat (p, w), and where that piece begins.

    Misfit: squared difference over the sum of both powers, all less their means. The gain is not fitted: beats of
    one strip are of one size.
    """
    size = cut.shape[1]
    first = cut - cut.mean(axis=1, keepdims=True)
    power = (first**2).sum(axis=1)[:, None]
    beats = beats - beats.mean(axis=1, keepdims=True)
    piece = np.lib.stride_tricks.sliding_window_view(beats, size, axis=1)
    total = _moving_sum(beats, size)
    other = np.maximum(_moving_sum(beats**2, size) - total**2 / size, 0)
    product = (piece @ first[:, :, None])[:, :, 0]
    misfit = (power + other - 2 * product) / (power + other + 1e-12)
    at = misfit.argmin(axis=1)
    return misfit[np.arange(len(cut)), at].astype(np.float32), at


def _moving_sum(values: NDArray[np.float32], size: int) -> NDArray[np.float64]:
    total = np.cumsum(values, axis=1, dtype=np.float64)
    return total[:, size - 1 :] - np.pad(total, ((0, 0), (1, 0)))[:, : total.shape[1] - size + 1]


def _extremum(cut: NDArray[np.float32], at: NDArray[np.int64], fs: float) -> NDArray[np.float32]:
    """From the edge to the extremum next to sample ``at``, in units of 10 ms; and the rise towards the edge."""
    rows = np.arange(len(cut))
    sign = np.sign(cut[rows, at] - np.median(cut, axis=1))[:, None]
    reach = max(1, round(0.024 * fs))
    column = np.arange(cut.shape[1])
    close = np.abs(column - at[:, None]) <= reach
    extremum = np.where(close, sign * cut, -np.inf).argmax(axis=1)
    two = min(max(1, round(0.008 * fs)), cut.shape[1] - 1)
    rise = sign[:, 0] * (cut[:, 0] - cut[:, two]) / (np.ptp(cut, axis=1) + 1e-12)
    return np.column_stack([extremum / fs / _UNIT_SEC, rise]).astype(np.float32)
