"""What spoils a strip: baseline wander, muscle, electrode motion, a lost electrode, an amplifier at its limit."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import numpy.typing as npt
from scipy.signal import butter, sosfiltfilt

Signal = npt.NDArray[np.float64]
Rng = np.random.Generator

KINDS = ("wander", "muscle", "motion", "flat", "clipped")


class Spoilt(NamedTuple):
    """A spoilt strip in mV and which of its samples still show the heart."""

    signal: Signal
    visible: npt.NDArray[np.bool_]


def coloured(rng: Rng, n: int, fs: float, low: float, high: float) -> Signal:
    """Noise between two frequencies (Hz), of unit rms, shape (n,)."""
    edges = [max(low, 0.02), min(high, 0.49 * fs)]
    pad = int(2 * fs)
    noise = sosfiltfilt(butter(2, edges, "bandpass", fs=fs, output="sos"), rng.standard_normal(n + 2 * pad))
    middle = noise[pad : pad + n]
    return middle / (np.std(middle) + 1e-12)


def envelope(rng: Rng, n: int, fs: float, bursts: int, length: tuple[float, float]) -> Signal:
    """Bursts with soft edges: 0 to 1, shape (n,); ``length`` in s."""
    times = np.arange(n) / fs
    shape = np.zeros(n)
    for _ in range(bursts):
        centre, half = rng.uniform(0, n / fs), rng.uniform(*length) / 2
        shape = np.maximum(shape, 1 / (1 + np.exp((np.abs(times - centre) - half) / 0.08)))
    return shape


def everyday(rng: Rng, signal: Signal, fs: float) -> Signal:
    """The noise of a good recording: some wander, some muscle, mains hum, and now and then a short burst."""
    n = len(signal)
    out = signal + rng.uniform(0.01, 0.07) * coloured(rng, n, fs, 0.05, 0.6)
    out += rng.uniform(0.006, 0.02) * coloured(rng, n, fs, 15, 90)
    hum = rng.uniform(0, 0.006)
    out += hum * np.sin(2 * np.pi * 50 * np.arange(n) / fs + rng.uniform(0, 2 * np.pi))
    if rng.random() < 0.12:
        burst = envelope(rng, n, fs, 1, (0.6, 2.0))
        out += burst * rng.uniform(0.06, 0.14) * coloured(rng, n, fs, 15, 90)
    if rng.random() < 0.08:
        out += rng.uniform(0.1, 0.3) * coloured(rng, n, fs, 0.05, 0.5)
    return out


def spoil(rng: Rng, signal: Signal, fs: float, kind: str) -> Spoilt:
    """Make a strip that a technician files as noise; ``kind`` is one of :data:`KINDS`."""
    n = len(signal)
    visible = np.ones(n, dtype=bool)
    if kind == "wander":
        out = signal + rng.uniform(0.8, 1.6) * coloured(rng, n, fs, 0.08, 0.9) + 0.1 * coloured(rng, n, fs, 10, 70)
    elif kind == "muscle":
        strength = 0.35 + 0.65 * envelope(rng, n, fs, 2, (2.0, 5.0))
        out = signal + rng.uniform(0.3, 0.6) * strength * coloured(rng, n, fs, 12, 100)
    elif kind == "motion":
        out = signal + _motion(rng, n, fs) + 0.05 * coloured(rng, n, fs, 15, 80)
    elif kind == "flat":
        out = signal + 0.2 * coloured(rng, n, fs, 8, 60)
        start = int(rng.uniform(0.5, 4.0) * fs)
        stop = min(n, start + int(rng.uniform(3.0, 6.0) * fs))
        # A lost electrode leaves a line with the last digit's noise, after a short swing.
        swing = np.exp(-np.arange(stop - start) / (0.12 * fs)) * rng.choice([-1.5, 1.5])
        out[start:stop] = swing + rng.normal(0, 0.004, stop - start)
        visible[start:stop] = False
    elif kind == "clipped":
        out = 2.6 * signal + rng.uniform(0.8, 1.4) * coloured(rng, n, fs, 0.3, 4) + 0.2 * coloured(rng, n, fs, 15, 80)
        limit = rng.uniform(0.9, 1.3)
        out = np.clip(out, -limit, limit)
    else:
        raise ValueError(f"kind is {kind!r}; the choices are {', '.join(KINDS)}")
    return Spoilt(out, visible)


def _motion(rng: Rng, n: int, fs: float) -> Signal:
    """Jolts of the electrode: sudden steps that decay, of both signs and of the height of a QRS and more."""
    out = 0.25 * coloured(rng, n, fs, 0.5, 9)
    for _ in range(int(rng.integers(5, 11))):
        start = int(rng.uniform(0, n))
        length = n - start
        decay = np.exp(-np.arange(length) / (rng.uniform(0.08, 0.5) * fs))
        rise = 1 - np.exp(-np.arange(length) / (rng.uniform(0.005, 0.03) * fs))
        out[start:] += rng.choice([-1, 1]) * rng.uniform(0.8, 2.5) * decay * rise
    return out
