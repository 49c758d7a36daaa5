"""RR intervals of beats wherever they come from: a strip, a patient, a choice of strips.

Other than a run's ``rr_prev_sec`` (spec section 3), which repeats the first and last interval so that every beat has
one, nothing is made up here: what was not measured is missing.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

BIN_MS = 20
"""Width of a bin of the histogram."""
PREMATURE = 0.8
"""A beat comes early if its interval is under this share of the usual one."""


class Intervals(NamedTuple):
    """RR of beats, in the order in which the beats were given; NaN where there is none.

    Attributes
    ----------
    before, after : float64 (n,)
        ms from the beat before, and to the beat after.
    rate : float64 (n,)
        Instantaneous rate in beats a minute, from the interval before.
    """

    before: NDArray[np.float64]
    after: NDArray[np.float64]
    rate: NDArray[np.float64]

    @property
    def both(self) -> NDArray[np.bool_]:
        """Beats that have an interval on either side: points of the scatter."""
        return np.isfinite(self.before) & np.isfinite(self.after)


class Spread(NamedTuple):
    """Intervals in a few numbers: how many, and their median, smallest and largest in ms (NaN without any)."""

    n: int
    median: float
    least: float
    most: float


def rr_intervals(
    strip: NDArray[np.integer],
    time_ms: NDArray[np.number],
    noise: NDArray[np.bool_] | None = None,
    *,
    with_noise: bool = False,
) -> Intervals:
    """Intervals between neighbouring R-peaks of the same strip.

    Parameters
    ----------
    strip : int (n,)
        Which strip each beat is on. No interval reaches from one strip to another, even where one follows the other.
    time_ms : (n,)
        R-peaks from the start of their strip, in ms; any order.
    noise : bool (n,), optional
        Beats that are noise.
    with_noise : bool
        Count noise as beats. Otherwise an interval that touches a noise beat is missing: between the two beats around
        noise there may well have been another.

    Examples
    --------
    >>> rr_intervals(np.array([0, 0, 0, 1]), np.array([100, 900, 1500, 1600])).before
    array([ nan, 800., 600.,  nan])
    """
    n = len(strip)
    before, after = np.full(n, np.nan), np.full(n, np.nan)
    order = np.lexsort((time_ms, strip))
    steps = np.diff(np.asarray(time_ms, dtype=np.float64)[order])
    usable = (np.diff(np.asarray(strip)[order]) == 0) & (steps > 0)
    if noise is not None and not with_noise:
        quiet = ~np.asarray(noise, dtype=bool)[order]
        usable &= quiet[1:] & quiet[:-1]
    steps = np.where(usable, steps, np.nan)
    before[order[1:]], after[order[:-1]] = steps, steps
    return Intervals(before, after, 60_000 / before)


def spread(intervals: NDArray[np.floating]) -> Spread:
    """Median, smallest and largest of intervals in ms; NaN among them are left out."""
    known = intervals[np.isfinite(intervals)]
    if not len(known):
        return Spread(0, np.nan, np.nan, np.nan)
    return Spread(len(known), float(np.median(known)), float(known.min()), float(known.max()))


def of_usual(before: NDArray[np.floating], strip: NDArray[np.integer]) -> NDArray[np.float64]:
    """Each interval as a share of its own strip's median interval: under ``PREMATURE`` the beat comes early."""
    shares = np.full(len(before), np.nan)
    rows = np.flatnonzero(np.isfinite(before))
    if not len(rows):
        return shares
    rows = rows[np.lexsort((before[rows], strip[rows]))]
    _, start, count = np.unique(strip[rows], return_index=True, return_counts=True)
    values = before[rows]
    medians = (values[start + (count - 1) // 2] + values[start + count // 2]) / 2
    shares[rows] = values / np.repeat(medians, count)
    return shares


def binned(intervals: NDArray[np.floating], width: int = BIN_MS) -> tuple[NDArray[np.float64], NDArray[np.int64]]:
    """Histogram of intervals: left edges (multiples of ``width``, ms) and counts; empty without any interval.

    A bin holds its left edge and not its right one.
    """
    known = bin_of(intervals[np.isfinite(intervals)], width)
    if not len(known):
        return np.empty(0), np.empty(0, dtype=np.int64)
    first = int(known.min())
    counts = np.bincount((known - first) // width)
    return first + width * np.arange(len(counts), dtype=np.float64), counts.astype(np.int64)


def bin_of(intervals: NDArray[np.floating], width: int = BIN_MS) -> NDArray[np.int64]:
    """Left edge of the bin that each (finite) interval falls into, ms."""
    return (np.floor(np.asarray(intervals, dtype=np.float64) / width) * width).astype(np.int64)


def inside(
    x: NDArray[np.floating], y: NDArray[np.floating], area_x: Sequence[float], area_y: Sequence[float]
) -> NDArray[np.bool_]:
    """Which points lie in an area that somebody drew; points with a missing coordinate lie in none.

    Parameters
    ----------
    x, y : array, shape (n,)
    area_x, area_y : sequence of float
        Two opposite corners of a rectangle, or the corners of a polygon in order (even-odd rule where it crosses
        itself).
    """
    if len(area_x) == 2:
        (left, right), (low, high) = sorted(area_x), sorted(area_y)
        return (x >= left) & (x <= right) & (y >= low) & (y <= high)
    within = np.zeros(len(x), dtype=bool)
    corners = list(zip(area_x, area_y, strict=True))
    for (x0, y0), (x1, y1) in zip(corners, corners[1:] + corners[:1], strict=True):
        if y0 != y1:
            crosses = (y0 > y) != (y1 > y)
            within ^= crosses & (x < (x1 - x0) * (y - y0) / (y1 - y0) + x0)
    return within
