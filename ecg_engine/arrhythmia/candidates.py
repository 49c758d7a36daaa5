"""Candidates for R-peaks: wherever the QRS envelope has a local maximum that is not far below the strip's level."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import maximum_filter1d

from ecg_engine.arrhythmia.traces import Traces

APART_SEC = 0.080
"""A candidate is the largest value of the envelope within this distance."""

LEAST_SHARE = 0.05
"""Of the strip's level; lower maxima are no candidates."""

_BLOCK_SEC = 1.25


class Candidates(NamedTuple):
    """Candidates of a block of strips, ordered by strip, then by time.

    Attributes
    ----------
    strip, at : int64 (c,)
        Row of the block, and sample of the traces.
    level : float32 (k,)
        What the QRS envelope reaches in each strip: median of its maxima over blocks of 1.25 s.
    spread : float32 (k,)
        How far these maxima differ: log of their 80th over their 20th percentile.
    """

    strip: NDArray[np.int64]
    at: NDArray[np.int64]
    level: NDArray[np.float32]
    spread: NDArray[np.float32]


def find_candidates(traces: Traces) -> Candidates:
    """Local maxima of the QRS envelope."""
    envelope = traces.qrs
    maxima = block_maxima(envelope, traces.rate)
    level = np.median(maxima, axis=1).astype(np.float32)
    least, most = np.percentile(maxima, [20, 80], axis=1)
    spread = np.log((most + 1e-12) / (least + 1e-12)).astype(np.float32)
    reach = max(1, round(APART_SEC * traces.rate))
    highest = maximum_filter1d(envelope, 2 * reach + 1, axis=1, mode="constant")
    strip, at = np.nonzero((envelope == highest) & (envelope > LEAST_SHARE * level[:, None]))
    return Candidates(strip, at, level, spread)


def places(found: Candidates) -> NDArray[np.int64]:
    """Number of each candidate within its strip, from 0, int64 (c,)."""
    counts = np.bincount(found.strip, minlength=len(found.level))
    return np.arange(len(found.strip)) - np.repeat(np.cumsum(counts) - counts, counts)


def block_maxima(envelope: NDArray[np.float32], rate: float) -> NDArray[np.float32]:
    """Maxima over blocks of about 1.25 s, shape (k, at least 1)."""
    length = envelope.shape[1]
    blocks = max(1, round(length / (_BLOCK_SEC * rate)))
    starts = (np.arange(blocks) * length) // blocks
    return np.maximum.reduceat(envelope, starts, axis=1)
