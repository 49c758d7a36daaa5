"""Beats: a slice around each R-peak, and the RR intervals on its two sides (spec section 3)."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

LONE_RR_SEC = 1.0
"""RR of a beat that is alone on its strip."""


class BeatWindow(NamedTuple):
    """Samples before and after the R-peak; a beat has ``before + 1 + after`` of them."""

    before: int
    after: int

    @classmethod
    def of(cls, fs: float, pre_sec: float, post_sec: float) -> BeatWindow:
        """Window of so many seconds at `fs` Hz.

        Examples
        --------
        >>> BeatWindow.of(260.4, 0.25, 0.4).length
        170
        """
        return cls(round(pre_sec * fs), round(post_sec * fs))

    @property
    def length(self) -> int:
        """Samples of one beat."""
        return self.before + 1 + self.after


class Beats(NamedTuple):
    """All beats of all strips, in order of strip and time.

    Attributes
    ----------
    samples : float32 (n, L)
    strip : int64 (n,)
        Row of the strip.
    index_in_strip : int64 (n,)
        0-based number of the beat on its strip.
    r_index : int64 (n,)
        Sample of the R-peak on its strip.
    rr_prev, rr_next : float32 (n,)
        Seconds.
    """

    samples: NDArray[np.float32]
    strip: NDArray[np.int64]
    index_in_strip: NDArray[np.int64]
    r_index: NDArray[np.int64]
    rr_prev: NDArray[np.float32]
    rr_next: NDArray[np.float32]


def cut_beats(
    conditioned: NDArray[np.float32],
    offsets: NDArray[np.int64],
    peaks: list[NDArray[np.int64]],
    fs: float,
    window: BeatWindow,
    *,
    at_edges: bool = False,
) -> Beats:
    """Cut a beat around every R-peak whose slice lies within its strip.

    Parameters
    ----------
    conditioned : float32 (total,)
        All strips end to end.
    offsets : int64 (k + 1,)
    peaks : list of int64 arrays
        R-peaks of each strip, ascending.
    fs : float
        Hz.
    window : BeatWindow
    at_edges : bool
        Keep peaks whose slice leaves the strip, too; beyond the edge its last sample is repeated.

    Returns
    -------
    Beats
        RR intervals are those between the peaks kept.
    """
    lengths = np.diff(offsets)
    strip = np.repeat(np.arange(len(peaks)), [len(found) for found in peaks])
    r_index = np.concatenate([np.empty(0, dtype=np.int64), *peaks]).astype(np.int64)
    inside = (r_index >= window.before) & (r_index + window.after < lengths[strip])
    if not at_edges:
        strip, r_index, inside = strip[inside], r_index[inside], inside[inside]
    rr_prev, rr_next = rr_intervals(strip, r_index, fs)
    counts = np.bincount(strip, minlength=len(peaks))
    index_in_strip = np.arange(len(strip)) - np.repeat(np.cumsum(counts) - counts, counts)
    samples = np.empty((len(strip), window.length), dtype=np.float32)
    if inside.any():
        slices = np.lib.stride_tricks.sliding_window_view(conditioned, window.length)
        samples[inside] = slices[(offsets[strip] + r_index - window.before)[inside]]
    cut = np.flatnonzero(~inside)
    steps = np.arange(-window.before, window.after + 1)
    on_strip = np.clip(r_index[cut, None] + steps, 0, lengths[strip[cut], None] - 1)
    samples[cut] = conditioned[offsets[strip[cut], None] + on_strip]
    return Beats(samples, strip, index_in_strip, r_index, rr_prev, rr_next)


def rr_intervals(
    strip: NDArray[np.int64], r_index: NDArray[np.int64], fs: float
) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """RR before and after each beat in seconds; ends repeat their neighbour, a lone beat has 1.0.

    Parameters
    ----------
    strip, r_index : int64 (n,)
        Beats of one strip stand together.
    fs : float
        Hz.
    """
    rr_prev = np.full(len(strip), LONE_RR_SEC)
    rr_next = np.full(len(strip), LONE_RR_SEC)
    same = strip[1:] == strip[:-1]
    gap = np.diff(r_index) / fs
    has_prev, has_next = np.append(False, same)[: len(strip)], np.append(same, False)[: len(strip)]
    rr_prev[has_prev] = gap[same]
    rr_next[has_next] = gap[same]
    first, last = ~has_prev & has_next, has_prev & ~has_next
    rr_prev[first] = rr_next[first]
    rr_next[last] = rr_prev[last]
    return rr_prev.astype(np.float32), rr_next.astype(np.float32)
