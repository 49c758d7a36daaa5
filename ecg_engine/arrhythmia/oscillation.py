"""Does a strip swing without QRS complexes, as in ventricular flutter and fibrillation?

Between QRS complexes a strip is nearly flat, whatever the rhythm; an oscillation never rests, and has most of its power
around one frequency of some 2 to 9 Hz. Noise does not rest either, but has no such frequency. Both are asked in
stretches of 2.5 s, and half of a strip's stretches must agree. The bounds are set where MIT-BIH DS1 leaves a wide gap;
only one of its patients has the rhythm, so how well they serve on others is not known.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy.signal import butter, sosfiltfilt

from ecg_engine.conditioning import blocks, stacked

STRETCH_SEC = 2.5

RESTING, STEEPEST = 0.15, 0.98
"""A sample rests if its steepness is below this share of the stretch's steep end (this quantile)."""

RESTS_LESS = 0.6
"""Share of resting samples below which a stretch does not rest; QRS complexes leave .7 to .95."""

ONE_FREQUENCY = 0.5
"""Share of the power within 0.8 Hz of the strongest frequency from which there is but one."""

_SOFT = 0.05
_NEAR_HZ, _SLOWEST_HZ, _FASTEST_HZ, _POWER_HZ = 0.8, 2.0, 9.0, (1.0, 30.0)


def oscillation_probability(samples: NDArray[np.float32], offsets: NDArray[np.int64], fs: float) -> NDArray[np.float32]:
    """How much each strip looks like an oscillation without QRS complexes.

    Parameters
    ----------
    samples : float32 (total,)
        Strips end to end, as read; gain, offset and polarity do not matter.
    offsets : int64 (s + 1,)
    fs : float
        Hz.

    Returns
    -------
    float32 (s,)
        0 to 1; 0 for a flat strip, and for one shorter than a stretch.
    """
    out = np.zeros(len(offsets) - 1, dtype=np.float32)
    sos = butter(2, [0.7, min(30.0, 0.45 * fs)], btype="bandpass", fs=fs, output="sos")
    width = round(STRETCH_SEC * fs)
    for rows in blocks(offsets):
        waves = stacked(samples, offsets, rows).astype(np.float64)
        if waves.shape[1] < width:
            continue
        waves = sosfiltfilt(sos, waves - np.median(waves, axis=1, keepdims=True), axis=1)
        stretches = np.lib.stride_tricks.sliding_window_view(waves, width, axis=1)[:, :: width // 2]
        out[rows] = np.median(_stretch(stretches, fs), axis=1)
    return out


def _stretch(waves: NDArray[np.float64], fs: float) -> NDArray[np.float64]:
    """Score of stretches, float64 (k, m, width) to (k, m)."""
    steep = np.abs(np.diff(waves, axis=-1))
    high = np.quantile(steep, STEEPEST, axis=-1, keepdims=True)
    rest = np.mean(steep <= RESTING * high, axis=-1)
    length = 2 ** int(np.ceil(np.log2(6 * fs)))  # some 0.15 Hz a line
    power = np.abs(np.fft.rfft(waves * np.hanning(waves.shape[-1]), length, axis=-1)) ** 2
    hz = np.fft.rfftfreq(length, 1 / fs)
    band = (hz >= _POWER_HZ[0]) & (hz <= _POWER_HZ[1])
    power, hz = power[..., band], hz[band]
    strongest = hz[power.argmax(axis=-1)]
    near = np.abs(hz - strongest[..., None]) < _NEAR_HZ
    one = (power * near).sum(axis=-1) / (power.sum(axis=-1) + 1e-12)
    moves = (high[..., 0] > 0) & (strongest > _SLOWEST_HZ) & (strongest < _FASTEST_HZ)
    return moves * _above(one, ONE_FREQUENCY) * _above(-rest, -RESTS_LESS)


def _above(value: NDArray[np.float64], bound: float) -> NDArray[np.float64]:
    return 1 / (1 + np.exp(-(value - bound) / _SOFT))
