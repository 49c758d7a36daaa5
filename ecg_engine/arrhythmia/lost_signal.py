"""Where a strip shows no heart at all: a lead that is lost, and an amplifier at its limit. By rule, not by training.

A pause is not a lost lead: in a pause the recorder's own noise goes on. A lost lead either repeats one value, or its
noise changes.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import maximum_filter1d, minimum_filter1d, uniform_filter1d

from ecg_engine.arrhythmia.noise_features import NoiseTraces

Floats = NDArray[np.float32]
Flags = NDArray[np.bool_]

STILL_SEC, STILL_SHARE = 0.8, 0.004
"""A line within 0.4 % of the QRS height for 0.8 s is no signal: between beats P-waves, breath and noise move it."""
SILENT_SEC, SILENT_SHARE, SILENT_DROP = 1.2, 0.06, 3.0
"""Nor is one of 1.2 s without a beat that stays within 6 % and whose noise is a third of what it is elsewhere."""
CLIPPED_SEC, CLIPPED_SHARE, CLIPPED_ALONE_SEC = 0.02, 0.002, 0.06
"""An extreme of the strip held for 20 ms, within 0.2 % of its range, with steep shoulders; twice, or once for 60 ms."""
_SHOULDER_SEC, _SHOULDER_SHARE = 0.012, 0.03
_CELL_SEC = 0.04


def lost_lead(
    x: Floats, fs: float, traces: NoiseTraces, peak_row: NDArray[np.int64], peak_at: NDArray[np.int64]
) -> Flags:
    """Samples of the traces at which the lead is lost, bool (k, m).

    Parameters
    ----------
    x : float32 (k, n)
        Raw.
    fs : float
        Hz.
    traces : NoiseTraces
    peak_row, peak_at : int64 (b,)
        Row and trace sample of every beat.
    """
    height = traces.height[:, None]
    still = _within(x, max(2, round(STILL_SEC * fs)), STILL_SHARE * height)
    length = traces.body.shape[1]
    at = np.minimum(np.rint(np.arange(length) / traces.rate * fs).astype(np.int64), x.shape[1] - 1)
    return np.asarray(still[:, at] | _silent(traces, peak_row, peak_at))


def clipped(x: Floats, fs: float) -> Flags:
    """Samples held at an extreme of the strip, bool (k, n); nothing where one rounded peak is all.

    Parameters
    ----------
    x : float32 (k, n)
        Raw.
    fs : float
        Hz.
    """
    out = np.zeros(x.shape, dtype=bool)
    low, high = x.min(axis=1), x.max(axis=1)
    span = high - low
    least = max(4, round(CLIPPED_SEC * fs))
    shoulder = max(1, round(_SHOULDER_SEC * fs))
    for held in (x >= (high - CLIPPED_SHARE * span)[:, None], x <= (low + CLIPPED_SHARE * span)[:, None]):
        for row in np.flatnonzero((held.sum(axis=1) >= least) & (span > 0)).tolist():
            begin, end = _runs(held[row])
            long = end - begin >= least
            begin, end = begin[long], end[long]
            # a rounded peak leaves its extreme slowly, a cut one at once
            before = np.abs(x[row, np.maximum(begin - shoulder, 0)] - x[row, begin]) > _SHOULDER_SHARE * span[row]
            after = np.abs(x[row, np.minimum(end + shoulder - 1, x.shape[1] - 1)] - x[row, end - 1])
            cut = before | (after > _SHOULDER_SHARE * span[row])
            begin, end = begin[cut], end[cut]
            if len(begin) >= 2 or (end - begin >= CLIPPED_ALONE_SEC * fs).any():
                for first, last in zip(begin.tolist(), end.tolist(), strict=True):
                    out[row, first:last] = True
    return out


def _within(x: Floats, width: int, most: Floats) -> Flags:
    """Samples that lie in some window of this width whose range is at most ``most``."""
    width |= 1
    if x.shape[1] < width:
        return np.zeros(x.shape, dtype=bool)
    span = maximum_filter1d(x, width, axis=1, mode="nearest") - minimum_filter1d(x, width, axis=1, mode="nearest")
    middle = span <= most
    # the filters repeat the edge, which would make the first and last half window seem still
    half = width // 2
    middle[:, :half] = middle[:, x.shape[1] - half :] = False
    if not middle.any():
        return np.zeros(x.shape, dtype=bool)
    return np.asarray(maximum_filter1d(middle, width, axis=1, mode="constant", cval=0))


def _silent(traces: NoiseTraces, peak_row: NDArray[np.int64], peak_at: NDArray[np.int64]) -> Flags:
    rate = traces.rate
    width = round(SILENT_SEC * rate) | 1
    quiet = _within(traces.body, width, SILENT_SHARE * traces.height[:, None])
    rows = np.flatnonzero(quiet.any(axis=1))
    out = np.zeros_like(quiet)
    if len(rows) == 0:
        return out
    beats = np.zeros_like(quiet)
    beats[peak_row, peak_at] = True
    cell = max(1, round(_CELL_SEC * rate))
    for row in rows.tolist():
        level = np.sqrt(np.maximum(uniform_filter1d(traces.quick[row] ** 2, cell, mode="nearest"), 0))
        elsewhere = level[~quiet[row]]
        # QRS complexes fill less than three fifths of the time
        usual = np.percentile(elsewhere, 40) if len(elsewhere) else np.inf
        for first, last in zip(*_runs(quiet[row]), strict=True):
            inner = slice(first + cell, max(first + cell + 1, last - cell))
            if not beats[row, first:last].any() and np.median(level[inner]) * SILENT_DROP < usual:
                out[row, first:last] = True
    return out


def _runs(held: Flags) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """First and one past the last index of every run of True."""
    edges = np.flatnonzero(np.diff(np.concatenate([[False], held, [False]])))
    return edges[::2], edges[1::2]
