"""Strips with noise of known level mixed in, whole or for two seconds: what noise scores are fitted on and judged by.

The level is told for every moment, because recorded noise comes and goes: at 0 dB over ten seconds, single beats lie
between -10 and +10 dB.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import uniform_filter1d
from scipy.signal import butter, sosfiltfilt

from ecg_engine.arrhythmia.augmentation import NoiseRecords, Wave, beat_rms, piece_of

KINDS = ("muscle", "hiss", "hum", "motion", "baseline")
BURST_SEC = 2.0
_LOCAL_SEC = 0.45
_CONTENT_HZ = (1.5, 60.0)
_CLEAN_DB = 40.0


class Mixed(NamedTuple):
    """A strip with noise.

    Attributes
    ----------
    wave : float32 (n,)
        Rounded to integers, as files hold them: a line without digits would give the mixture away.
    decibel : float32 (n,)
        Signal to noise around every sample, within 0.45 s: what lies between 1.5 and 60 Hz of the noise against a sine
        as high as the median QRS complex; 40 where there is none.
    overall : float
        The same over the whole strip.
    """

    wave: NDArray[np.float32]
    decibel: NDArray[np.float32]
    overall: float


def noise_of(kind: str, length: int, fs: float, noises: NoiseRecords, rng: np.random.Generator) -> Wave:
    """A piece of noise, float64 (length,); ``kind`` is one of ``KINDS``.

    Its standard deviation between 1.5 and 60 Hz is 1: five sixths of the power of NSTDB's ``ma`` is slow drift, which
    hides nothing. That of "baseline" is 1 as it is.
    """
    if kind == "muscle":
        piece = piece_of(noises.muscle, length, rng)
        return piece / (float(np.std(_heard(piece, fs))) + 1e-9)
    if kind == "baseline":
        return piece_of(noises.baseline, length, rng)
    if kind == "hiss":
        return rng.standard_normal(length)
    if kind == "hum":
        hz = float(rng.choice([50.0, 60.0]))
        return np.sqrt(2) * np.sin(2 * np.pi * hz * np.arange(length) / fs + rng.uniform(0, 2 * np.pi))
    if kind == "motion":
        return _motion(length, fs, rng)
    raise ValueError(f"kind is {kind!r}; the choices are {', '.join(KINDS)}")


def mix(
    wave: Wave,
    beats: NDArray[np.float64],
    fs: float,
    noise: Wave,
    decibel: float,
    *,
    burst: tuple[float, float] | None = None,
    reference: float | None = None,
) -> Mixed:
    """Add noise as :func:`noise_of` gives it, ``decibel`` below the strip, and say how much of it is where.

    Parameters
    ----------
    wave : float64 (n,)
        In file units, coarse enough for rounding (such as 200 units/mV).
    beats : float64 (b,)
        Samples of the R-peaks.
    fs : float
        Hz.
    noise : float64 (n,)
    decibel : float
    burst : (float, float), optional
        First and last second of the noise; by default it fills the strip. Its edges are soft, 50 ms.
    reference : float, optional
        What the level refers to; by default :func:`ecg_engine.arrhythmia.augmentation.beat_rms`.
    """
    level = beat_rms(wave, beats, fs) if reference is None else reference
    added = noise * level * 10 ** (-decibel / 20)
    if burst is not None:
        seconds = np.arange(len(wave)) / fs
        gate = np.minimum(seconds - burst[0], burst[1] - seconds) / 0.05
        added = added * np.clip(gate + 0.5, 0, 1)
    heard = _heard(added, fs)
    power = uniform_filter1d(heard * heard, max(1, round(2 * _LOCAL_SEC * fs)), mode="nearest")
    floor = level**2 * 10 ** (-_CLEAN_DB / 10)
    local = 10 * np.log10(level**2 / (np.maximum(power, 0) + floor))
    overall = 10 * np.log10(level**2 / (float(np.mean(heard * heard)) + floor))
    return Mixed(np.round(wave + added).astype(np.float32), local.astype(np.float32), overall)


def band_limited(wave: NDArray[np.float32], fs: float, low_hz: float, high_hz: float) -> NDArray[np.float32]:
    """The strip as a recorder of narrower bandwidth would store it, again in whole numbers."""
    sos = butter(2, [low_hz, min(high_hz, 0.45 * fs)], "bandpass", fs=fs, output="sos")
    return np.round(sosfiltfilt(sos, wave.astype(np.float64))).astype(np.float32)


def _heard(noise: Wave, fs: float) -> Wave:
    """What of a noise lies in the band of the waves."""
    band = [_CONTENT_HZ[0], min(_CONTENT_HZ[1], 0.45 * fs)]
    return np.asarray(sosfiltfilt(butter(2, band, "bandpass", fs=fs, output="sos"), noise))


def _motion(length: int, fs: float, rng: np.random.Generator) -> Wave:
    """An electrode that is moved: jolts that rise at once and decay, over a restless line."""
    out = 0.15 * np.cumsum(rng.standard_normal(length)) / np.sqrt(fs)
    for _ in range(int(rng.poisson(1.2 * length / fs)) + 2):
        start = int(rng.uniform(0, length))
        time = np.arange(length - start) / fs
        rise = 1 - np.exp(-time / rng.uniform(0.005, 0.05))
        out[start:] += rng.choice([-1, 1]) * rng.uniform(0.3, 2.0) * rise * np.exp(-time / rng.uniform(0.05, 0.5))
    out -= out.mean()
    return out / (float(np.std(_heard(out, fs))) + 1e-9)
