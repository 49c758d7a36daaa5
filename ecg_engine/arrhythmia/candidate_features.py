"""What can be said of a candidate for an R-peak: how its envelopes stand to the strip's, and which others it is like.

Everything is a ratio, a correlation or a time, so that neither gain nor polarity nor offset of the recorder matters.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import maximum_filter1d

from ecg_engine.arrhythmia.candidates import Candidates, block_maxima, places
from ecg_engine.arrhythmia.traces import Traces

QRS_LAGS_SEC = tuple(round(0.04 * step, 2) for step in range(-12, 13))
HIGH_LAGS_SEC = tuple(round(0.04 * step, 2) for step in range(-5, 6))
LOW_LAGS_SEC = tuple(round(0.08 * step, 2) for step in range(-6, 7))
FLOOR = 0.03
"""Added to ratios before the logarithm: what lies below 3 % of a beat is nothing."""

_NEAR_SEC, _FAR_SEC = 1.0, 2.5
SHAPE_SEC = 0.112
"""A shape is what lies this far around a candidate."""

_SHIFTS = (-1, 0, 1)
_EDGE_SEC = 0.5
LIKE = 0.85
"""Candidates whose shapes correlate by more than this are alike."""

NAMES = (
    *(f"qrs {lag:+.2f}" for lag in QRS_LAGS_SEC),
    *(f"high {lag:+.2f}" for lag in HIGH_LAGS_SEC),
    *(f"low {lag:+.2f}" for lag in LOW_LAGS_SEC),
    "high to qrs level",
    "low to qrs level",
    "floor",
    "high floor",
    "spread",
    "candidates",
    "near maximum",
    "far maximum",
    "width",
    "to start",
    "to end",
    "like best",
    "like third",
    "like count",
    "like level",
)
"""What the columns of :func:`candidate_features` are."""


def candidate_features(traces: Traces, found: Candidates, alike: NDArray[np.float32]) -> NDArray[np.float32]:
    """Features of every candidate, float32 (c, len(NAMES)).

    Parameters
    ----------
    traces : Traces
    found : Candidates
        Of the same block.
    alike : float32 (k, m, m)
        Its :func:`correlations`.
    """
    strip, at, rate = found.strip, found.at, traces.rate
    level = found.level[:, None] + np.float32(1e-20)
    high_level = np.median(block_maxima(traces.high, rate), axis=1)[:, None] + np.float32(1e-20)
    low_level = np.median(block_maxima(traces.low, rate), axis=1)[:, None] + np.float32(1e-20)
    qrs, high, low = traces.qrs / level, _log(traces.high / high_level), _log(traces.low / low_level)
    log_qrs = _log(qrs)
    own = log_qrs[strip, at]
    near = maximum_filter1d(log_qrs, 2 * round(_NEAR_SEC * rate) + 1, axis=1, mode="nearest")[strip, at]
    far = maximum_filter1d(log_qrs, 2 * round(_FAR_SEC * rate) + 1, axis=1, mode="nearest")[strip, at]
    seconds = traces.qrs.shape[1] / rate
    of_strip = np.column_stack(
        [
            np.log(high_level / level),
            np.log(low_level / level),
            _log(np.median(qrs, axis=1)),
            np.median(high, axis=1),
            found.spread,
            np.bincount(strip[qrs[strip, at] > 0.3], minlength=len(level)) / seconds,
        ]
    )[strip]
    edges = np.column_stack([at / rate, (traces.qrs.shape[1] - 1 - at) / rate])
    return np.concatenate(
        [
            _at_lags(log_qrs, strip, at, QRS_LAGS_SEC, rate),
            _at_lags(high, strip, at, HIGH_LAGS_SEC, rate),
            _at_lags(low, strip, at, LOW_LAGS_SEC, rate),
            of_strip,
            (near - own)[:, None],
            (far - own)[:, None],
            _width(log_qrs, strip, at, rate)[:, None],
            np.minimum(edges, _EDGE_SEC),
            likeness(traces, found, alike),
        ],
        axis=1,
        dtype=np.float32,
    )


def correlations(traces: Traces, found: Candidates) -> NDArray[np.float32]:
    """How like each candidate is to the others of its strip, float32 (k, m, m), by :func:`places` in the strip.

    Correlation of the shapes, shifted by up to one sample; -1 for itself, for empty places, and for one more than 2.5
    times as large or as small: a beat's size is near that of those it is like, T-waves and noise are alike at random.
    """
    strip, at, place = found.strip, found.at, places(found)
    rows, most, half = len(found.level), int(place.max(initial=-1)) + 1, round(SHAPE_SEC * traces.rate)
    grid = np.zeros((len(_SHIFTS), rows, most, 2 * half + 1), dtype=np.float32)
    for number, shift in enumerate(_SHIFTS):
        grid[number, strip, place] = unit(windows(traces.shape, strip, at + shift, half))
    middle = np.ascontiguousarray(grid[_SHIFTS.index(0)].transpose(0, 2, 1))
    present = np.zeros((rows, most), dtype=bool)
    present[strip, place] = True
    ratio = _height_ratios(traces, found, place, most)
    fits = present[:, None, :] & (np.abs(ratio) < np.log(2.5)) & ~np.eye(most, dtype=bool)
    return np.where(fits, (grid @ middle).max(axis=0), np.float32(-1))


def likeness(traces: Traces, found: Candidates, alike: NDArray[np.float32]) -> NDArray[np.float32]:
    """How like the other candidates of its strip each one is in shape, float32 (c, 4).

    Best and third best correlation, log of 1 + the number above 0.85, and the mean log ratio of level to those that
    are like it. QRS complexes come back; noise does not.
    """
    if len(found.strip) == 0:
        return np.zeros((0, 4), dtype=np.float32)
    place, most = places(found), alike.shape[2]
    best = -np.partition(-alike, min(2, most - 1), axis=2)[:, :, : min(3, most)]
    best.sort(axis=2)
    like = alike > LIKE
    count = like.sum(axis=2)
    mean_ratio = (_height_ratios(traces, found, place, most) * like).sum(axis=2) / np.maximum(count, 1)
    out = np.stack([best[:, :, -1], best[:, :, 0], np.log1p(count), mean_ratio], axis=2)
    return out[found.strip, place].astype(np.float32)


def _height_ratios(traces: Traces, found: Candidates, place: NDArray[np.int64], most: int) -> NDArray[np.float32]:
    """Log of each candidate's envelope over that of each other one of its strip, float32 (k, m, m)."""
    height = np.zeros((len(found.level), most), dtype=np.float32)
    height[found.strip, place] = _log(
        traces.qrs[found.strip, found.at] / (found.level[found.strip] + np.float32(1e-20))
    )
    return height[:, :, None] - height[:, None, :]


def _log(ratio: NDArray[np.float32]) -> NDArray[np.float32]:
    return np.log(ratio + np.float32(FLOOR))


def _at_lags(
    trace: NDArray[np.float32], strip: NDArray[np.int64], at: NDArray[np.int64], lags: tuple[float, ...], rate: float
) -> NDArray[np.float32]:
    """Values of a trace around each candidate; outside the strip, the floor."""
    reach = round(max(abs(lags[0]), abs(lags[-1])) * rate)
    padded = np.pad(trace, ((0, 0), (reach, reach)), constant_values=np.log(np.float32(FLOOR)))
    steps = np.round(np.array(lags) * rate).astype(np.int64)
    return padded[strip[:, None], at[:, None] + reach + steps]


def windows(
    trace: NDArray[np.float32], strip: NDArray[np.int64], at: NDArray[np.int64], half: int
) -> NDArray[np.float32]:
    """What lies up to ``half`` samples around each candidate, float32 (c, 2 half + 1); edges are held."""
    padded = np.pad(trace, ((0, 0), (half + 1, half + 1)), mode="edge")
    return padded[strip[:, None], at[:, None] + np.arange(1, 2 * half + 2)]


def unit(rows: NDArray[np.float32]) -> NDArray[np.float32]:
    """Rows less their means and of length 1, so that their products are correlations."""
    centred = rows - rows.mean(axis=1, keepdims=True)
    return centred / (np.linalg.norm(centred, axis=1, keepdims=True) + np.float32(1e-12))


def _width(
    log_qrs: NDArray[np.float32], strip: NDArray[np.int64], at: NDArray[np.int64], rate: float
) -> NDArray[np.float32]:
    """Seconds around the candidate for which the envelope stays above half of its own height (at most 0.4)."""
    half = round(0.2 * rate)
    around = windows(log_qrs, strip, at, half)
    below = around < around[:, half, None] - np.log(np.float32(2))
    after = np.argmax(np.pad(below[:, half:], ((0, 0), (0, 1)), constant_values=True), axis=1)
    before = np.argmax(np.pad(below[:, half::-1], ((0, 0), (0, 1)), constant_values=True), axis=1)
    return ((after + before) / rate).astype(np.float32)
