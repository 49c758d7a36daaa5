"""Conditioning: bandpass without phase shift, then z-score over the whole strip (spec section 2)."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray
from scipy.signal import butter, filtfilt

from ecg_engine.config import PreprocessConfig
from ecg_engine.errors import ConfigError
from ecg_engine.progress import Progress, silent
from ecg_engine.strips import Strips

_BLOCK = 256
"""Strips conditioned at once: enough to leave Python out of the cost, few enough to fit the memory."""


def blocks(offsets: NDArray[np.int64], size: int = _BLOCK) -> Iterator[NDArray[np.int64]]:
    """Rows of strips that have one length, at most `size` at a time, ascending within a block."""
    lengths = np.diff(offsets)
    for length in np.unique(lengths):
        rows = np.flatnonzero(lengths == length)
        for start in range(0, len(rows), size):
            yield rows[start : start + size]


def stacked(samples: NDArray[np.float32], offsets: NDArray[np.int64], rows: NDArray[np.int64]) -> NDArray[np.float32]:
    """Strips of one length as an array (k, n): a view where they lie side by side, else a copy."""
    first, last = int(rows[0]), int(rows[-1])
    if last - first + 1 == len(rows):
        return samples[offsets[first] : offsets[last + 1]].reshape(len(rows), -1)
    return np.stack([samples[offsets[row] : offsets[row + 1]] for row in rows])


def bandpass(
    waves: NDArray[np.float32], fs: float, *, low_hz: float = 0.5, high_hz: float = 45.0, order: int = 4
) -> NDArray[np.float32]:
    """Butterworth bandpass in transfer-function form, forwards and backwards (spec section 2).

    Parameters
    ----------
    waves : float32 (..., n)
    fs : float
        Hz.
    low_hz, high_hz : float
        Edges. The upper one is held below Nyquist; if the edges then cross, nothing is filtered.
    order : int

    Returns
    -------
    float32 (..., n)
    """
    high = min(high_hz, fs / 2 - 0.001)
    if low_hz >= high:
        return waves.astype(np.float32)
    b, a = butter(order, [low_hz, high], btype="bandpass", fs=fs)
    # scipy's default padding, but never more than a very short wave has
    padding = min(3 * max(len(a), len(b)), waves.shape[-1] - 1)
    return filtfilt(b, a, waves, axis=-1, padlen=padding).astype(np.float32)


def zscore(waves: NDArray[np.float32]) -> NDArray[np.float32]:
    """Each wave with mean 0 and population standard deviation 1: (x - mean) / (std + 1e-8), float32 (..., n)."""
    centred = waves - waves.mean(axis=-1, keepdims=True)
    return centred / (waves.std(axis=-1, keepdims=True) + np.float32(1e-8))


def condition(strips: Strips, config: PreprocessConfig, progress: Progress = silent) -> NDArray[np.float32]:
    """Filter and z-score all strips, those of one length as one array.

    Parameters
    ----------
    strips : Strips
    config : PreprocessConfig
        ``low_hz``, ``high_hz``, ``filter_order``.

    Returns
    -------
    float32 (total,)
        Laid out as ``strips.samples``.

    Raises
    ------
    ConfigError
        If the filter is unstable at this order, edges and rate, so that its output is not finite.
    """
    out = np.empty_like(strips.samples)
    done = 0
    for rows in blocks(strips.offsets):
        with np.errstate(over="ignore", invalid="ignore"):  # an unstable filter is found out below
            waves = stacked(strips.samples, strips.offsets, rows)
            waves = bandpass(waves, strips.fs, low_hz=config.low_hz, high_hz=config.high_hz, order=config.filter_order)
            waves = zscore(waves)
        if not np.isfinite(waves).all():
            raise ConfigError(
                f"A bandpass of order {config.filter_order} from {config.low_hz:g} to {config.high_hz:g} Hz is "
                f"unstable at {strips.fs:g} Hz; choose a lower order or a wider band."
            )
        for row, wave in zip(rows, waves, strict=True):
            out[strips.offsets[row] : strips.offsets[row + 1]] = wave
        done += len(rows)
        progress(f"filtering: strip {done:,} of {len(strips):,}", done / len(strips))
    return out
