"""A few of many: evenly spread, or the most typical first."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray


def evenly(count: int, most: int) -> NDArray[np.int64]:
    """Places of at most ``most`` among ``count``, evenly spread from the first to the last; int64, ascending."""
    return np.unique(np.linspace(0, count - 1, min(most, count)).astype(np.int64))


def typical_first(waves: NDArray[np.floating], centre: NDArray[np.floating] | None = None) -> NDArray[np.int64]:
    """Places of waves, the nearest to the centre first (root mean square of the difference).

    Parameters
    ----------
    waves : float (n, L)
    centre : float (L,), optional
        By default the mean of the waves.

    Returns
    -------
    int64 (n,)
    """
    if not len(waves):
        return np.zeros(0, dtype=np.int64)
    distance = np.sqrt(np.mean((waves - (waves.mean(axis=0) if centre is None else centre)) ** 2, axis=1))
    return np.argsort(distance, kind="stable").astype(np.int64)
