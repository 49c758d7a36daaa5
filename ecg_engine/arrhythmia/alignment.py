"""From a candidate to the R-peak: the extremum of the QRS complex, of one polarity in a strip where shapes allow it."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

REACH_SEC = 0.100
"""The R-peak lies within this distance of the envelope's maximum."""

AHEAD_SEC = 0.020
"""It is looked for a little ahead of that: what follows the R-peak is longer than what precedes it."""

_SIGMA_SEC = 0.100
_PREFERENCE = 1.3
_SNAP_SEC = 0.012


def align(
    shape: NDArray[np.float32], strip: NDArray[np.int64], at: NDArray[np.int64], rate: float
) -> tuple[NDArray[np.int64], NDArray[np.bool_]]:
    """The extremum near each candidate.

    Extrema are weighed by a Gaussian around 20 ms ahead of the candidate. The polarity that dominates in a strip is
    preferred by a factor of 1.3, so that the marks of like beats do not jump between an R and an S of one height.
    Nothing depends on which polarity that is.

    Parameters
    ----------
    shape : float32 (k, m)
        Traces of 1.5-30 Hz.
    strip, at : int64 (c,)
        Row and sample of each candidate, by strip.
    rate : float
        Hz, of the traces.

    Returns
    -------
    at : int64 (c,)
        Sample of the trace.
    upward : bool (c,)
        Whether it is a maximum.
    """
    reach = max(1, round(REACH_SEC * rate))
    steps = np.arange(-reach, reach + 1)
    weight = np.exp(-0.5 * ((steps / rate + AHEAD_SEC) / _SIGMA_SEC) ** 2).astype(np.float32)
    index = at[:, None] + steps
    inside = (index >= 0) & (index < shape.shape[1])
    around = shape[strip[:, None], np.clip(index, 0, shape.shape[1] - 1)] * weight * inside
    up, down = around.max(axis=1), (-around).max(axis=1)
    ratio = np.log(np.maximum(up, 1e-20) / np.maximum(down, 1e-20))
    # a beat counts for the strip's polarity as far as its own is clear, but one large artefact shall not outvote beats
    vote = np.bincount(strip, weights=np.clip(ratio, -1, 1), minlength=len(shape))[strip]
    upward = ratio + np.sign(vote) * np.log(_PREFERENCE) > 0
    best = np.where(upward, around.argmax(axis=1), around.argmin(axis=1))
    return at + steps[best], upward


def snap(
    x: NDArray[np.float32], strip: NDArray[np.int64], seconds: NDArray[np.float64], upward: NDArray[np.bool_], fs: float
) -> NDArray[np.int64]:
    """The sample of the strip itself that is the highest (or lowest) within 12 ms, int64 (c,)."""
    reach = round(_SNAP_SEC * fs)
    middle = np.clip(np.round(seconds * fs).astype(np.int64), 0, x.shape[1] - 1)
    index = middle[:, None] + np.arange(-reach, reach + 1)
    inside = (index >= 0) & (index < x.shape[1])
    around = np.where(upward[:, None], 1, -1) * x[strip[:, None], np.clip(index, 0, x.shape[1] - 1)]
    around = np.where(inside, around, -np.inf)
    # of a plateau the middle
    first = around.argmax(axis=1)
    last = around.shape[1] - 1 - around[:, ::-1].argmax(axis=1)
    same = around[np.arange(len(first)), (first + last) // 2] == around[np.arange(len(first)), first]
    return middle - reach + np.where(same, (first + last) // 2, first)
