"""From strips of any rate to band-limited traces and envelopes of one rate, all bands from one Fourier transform.

A zero-phase Butterworth filter is a product in the frequency domain, and so is resampling; done there, both cost one
forward transform and one short backward transform a band, whatever the rate of the strips.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy.fft import irfft, next_fast_len, rfft
from scipy.ndimage import uniform_filter1d

RATE = 125.0
"""Samples per second of the traces; up to 0.1 % off, so that a whole number of samples fits the strip."""

QRS_HZ, HIGH_HZ, LOW_HZ, SHAPE_HZ = (4.0, 20.0), (10.0, 40.0), (1.0, 8.0), (1.5, 30.0)
_QRS_SEC, _HIGH_SEC, _LOW_SEC = 0.100, 0.077, 0.200
_GAP_SEC = 1.5


class Traces(NamedTuple):
    """Strips of one length, seen in bands.

    Attributes
    ----------
    rate : float
        Hz, of all traces.
    qrs, high, low : float32 (k, m)
        Envelopes (root of the moving mean square) of 4-20, 10-40 and 1-8 Hz.
    shape : float32 (k, m)
        The wave itself, 1.5-30 Hz.
    """

    rate: float
    qrs: NDArray[np.float32]
    high: NDArray[np.float32]
    low: NDArray[np.float32]
    shape: NDArray[np.float32]


def traces_of_block(x: NDArray[np.float32], fs: float) -> Traces:
    """Traces of strips of one length.

    Parameters
    ----------
    x : float32 (k, n)
        Any units and offset.
    fs : float
        Hz.
    """
    length = x.shape[1]
    closed = close_circle(x, fs)
    spectrum = rfft(closed, axis=1)
    whole = closed.shape[1]
    slots = max(8, round(whole * RATE / fs))
    rate = slots * fs / whole
    kept = int((length - 1) / fs * rate) + 1

    def band(low_hz: float, high_hz: float) -> NDArray[np.float32]:
        bins = min(spectrum.shape[1], slots // 2 + 1)
        gain = zero_phase_gain(np.arange(bins) * fs / whole, low_hz, high_hz) * np.float32(slots / whole)
        return irfft(spectrum[:, :bins] * gain, n=slots, axis=1)[:, :kept]

    return Traces(
        rate,
        _envelope(band(*QRS_HZ), rate, _QRS_SEC),
        _envelope(band(*HIGH_HZ), rate, _HIGH_SEC),
        _envelope(band(*LOW_HZ), rate, _LOW_SEC),
        band(*SHAPE_HZ),
    )


def close_circle(x: NDArray[np.float32], fs: float) -> NDArray[np.float32]:
    """Strips less their medians, run on until end and beginning meet without a step.

    The Fourier transform takes a strip for a circle. The gap is filled with the mirrored end fading into the
    mirrored beginning, so that filters see no edge.

    Returns
    -------
    float32 (k, n + gap)
    """
    length = x.shape[1]
    centred = x - np.median(x, axis=1, keepdims=True)
    gap = next_fast_len(length + max(2, round(2 * _GAP_SEC * fs)), real=True) - length
    # how far to look back from the end, and ahead from the beginning: there and back again if the strip is short
    there = np.arange(gap)
    back = _bounce(length - 1 - there, length)
    ahead = _bounce(gap - 1 - there, length)
    fade = (0.5 + 0.5 * np.cos(np.pi * (there + 0.5) / gap)).astype(np.float32)
    filling = centred[:, back] * fade + centred[:, ahead] * (1 - fade)
    return np.concatenate([centred, filling], axis=1)


def zero_phase_gain(hz: NDArray[np.float64], low_hz: float, high_hz: float) -> NDArray[np.float32]:
    """Gain of a Butterworth bandpass of order 2 applied forwards and backwards: its squared magnitude."""
    safe = np.maximum(hz, 1e-9)
    offset = (safe**2 - low_hz * high_hz) / (safe * (high_hz - low_hz))
    return (1 / (1 + offset**4)).astype(np.float32)


def _bounce(index: NDArray[np.int64], length: int) -> NDArray[np.int64]:
    """Indices folded back into 0..length-1 by mirroring at both ends."""
    folded = np.mod(index, 2 * length)
    return np.where(folded < length, folded, 2 * length - 1 - folded)


def _envelope(band: NDArray[np.float32], rate: float, seconds: float) -> NDArray[np.float32]:
    width = max(1, 2 * round(seconds * rate / 2) + 1)
    mean = uniform_filter1d(band * band, width, axis=1, mode="reflect")
    return np.sqrt(np.maximum(mean, 0))
