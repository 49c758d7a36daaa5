"""Context windows: for each usable beat, which beats stand around it (spec section 6).

A window is a row of beat numbers, never a copy of the samples: what needs samples gathers them for the rows at hand.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray


class Windows(NamedTuple):
    """Windows over the usable beats of a run, in the order of the beats.

    Attributes
    ----------
    beat : int32 (n, W)
        Row of the beat at each place of the window, -1 outside the strip.
    centre : int32 (n,)
        Row of the centre beat; equal to ``beat[:, W // 2]``.
    """

    beat: NDArray[np.int32]
    centre: NDArray[np.int32]

    @property
    def mask(self) -> NDArray[np.float32]:
        """1 where a beat is present, 0 outside the strip; float32 (n, W)."""
        return (self.beat >= 0).astype(np.float32)


def context_windows(strip_of_beat: ArrayLike, usable: ArrayLike, radius: int) -> Windows:
    """Find the neighbours of every usable beat on its own strip (spec section 6).

    Parameters
    ----------
    strip_of_beat : int (n,)
        Strip of each beat; the beats of one strip stand together, in order of time.
    usable : bool (n,)
        True for beats that are not noise. Only these are centres, and only these are neighbours.
    radius : int
        Beats before and after the centre.

    Returns
    -------
    Windows
        One row for each usable beat; ``W = 2 * radius + 1``.

    Examples
    --------
    >>> context_windows([0, 0, 0, 1], [True, False, True, True], radius=1).beat.tolist()
    [[-1, 0, 2], [0, 2, -1], [-1, 3, -1]]
    """
    centre = np.flatnonzero(np.asarray(usable, dtype=bool)).astype(np.int32)
    strip = np.asarray(strip_of_beat)[centre]
    beat = np.full((len(centre), 2 * radius + 1), -1, dtype=np.int32)
    beat[:, radius] = centre
    for step in range(1, min(radius, len(centre) - 1) + 1):
        same = strip[step:] == strip[:-step]
        beat[step:, radius - step] = np.where(same, centre[:-step], -1)
        beat[:-step, radius + step] = np.where(same, centre[step:], -1)
    return Windows(beat, centre)


def gather(beats: NDArray[np.float32], windows: Windows, rows: ArrayLike | slice) -> NDArray[np.float32]:
    """Samples of some windows, float32 (k, W, L): zeros where no beat is.

    Parameters
    ----------
    beats : float32 (n, L)
    windows : Windows
    rows : int (k,), bool (n,) or slice
        Which windows.
    """
    index = windows.beat[rows if isinstance(rows, slice) else np.asarray(rows)]
    samples = np.asarray(beats[np.maximum(index, 0)], dtype=np.float32)
    samples[index < 0] = 0.0
    return samples
