"""Strips made harder than they were, with their beats: what a detector must have seen to hold on other recorders.

Gain and polarity are left alone, because no feature depends on them.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.signal import butter, sosfiltfilt

Wave = NDArray[np.float64]


@dataclass(frozen=True)
class NoiseRecords:
    """Noise to mix in, at the rate of the strips.

    Attributes
    ----------
    muscle, baseline : float32 (channels, n)
        Such as ``ma`` and ``bw`` of the MIT-BIH Noise Stress Test Database.
    """

    muscle: NDArray[np.float32]
    baseline: NDArray[np.float32]


def piece_of(record: NDArray[np.float32], length: int, rng: np.random.Generator) -> Wave:
    """A random piece of a random channel, of unit standard deviation."""
    channel = record[rng.integers(len(record))]
    start = rng.integers(len(channel) - length + 1)
    piece = channel[start : start + length].astype(np.float64)
    return (piece - piece.mean()) / (piece.std() + 1e-9)


def signal_rms(wave: Wave, fs: float) -> float:
    """Root mean square of a strip between 0.7 and 40 Hz."""
    sos = butter(2, [0.7, min(40.0, 0.45 * fs)], btype="bandpass", fs=fs, output="sos")
    return float(np.std(sosfiltfilt(sos, wave)))


def beat_rms(wave: Wave, beats: NDArray[np.float64], fs: float) -> float:
    """What a signal-to-noise ratio refers to, as the NSTDB's own program ``nst`` has it.

    The root mean square of a sine as high as the median QRS complex is from peak to peak (within 50 ms of the
    R-peak); of a strip without beats its own root mean square.
    """
    reach = max(1, round(0.05 * fs))
    middle = np.round(beats).astype(np.int64)
    heights = [np.ptp(wave[max(0, one - reach) : one + reach + 1]) for one in middle if 0 <= one < len(wave)]
    return float(np.median(heights) / np.sqrt(8)) if heights else signal_rms(wave, fs)


def add_noise(wave: Wave, noise: Wave, decibel: float, reference: float) -> Wave:
    """The strip with noise of unit standard deviation, ``decibel`` below a reference such as :func:`beat_rms`."""
    return wave + noise * reference * 10 ** (-decibel / 20)


def spoilt(
    wave: Wave, beats: NDArray[np.float64], fs: float, noises: NoiseRecords, rng: np.random.Generator
) -> tuple[Wave, NDArray[np.bool_]]:
    """A strip with a random choice of what happens to strips.

    Parameters
    ----------
    wave : float64 (n,)
    beats : float64 (b,)
        Samples of its R-peaks.
    fs : float
        Hz.

    Returns
    -------
    wave : float64 (n,)
    seen : bool (b,)
        Which beats can still be seen.
    """
    reference = beat_rms(wave, beats, fs)
    scale = reference * np.sqrt(8)  # the height of a QRS complex
    wave = wave - np.median(wave)
    seen = np.ones(len(beats), dtype=bool)
    if rng.random() < 0.3:
        wave = wave * _beat_gains(len(wave), beats, fs, rng)
    if rng.random() < 0.3:
        wave = wave + scale * _tall_waves(len(wave), beats, fs, rng)
    if rng.random() < 0.10:
        wave = wave + scale * _atrial_waves(len(wave), fs, rng)
    if rng.random() < 0.04:
        wave = wave + scale * _pacing_spikes(len(wave), beats, fs, rng)
    if rng.random() < 0.3:
        wave = _other_bandwidth(wave, fs, rng)
    if rng.random() < 0.75:
        muscle = piece_of(noises.muscle, len(wave), rng)
        if rng.random() < 0.3:
            muscle = muscle * _burst(len(wave), fs, rng)
        wave = add_noise(wave, muscle, rng.uniform(2, 24), reference)
    if rng.random() < 0.3:
        wave = add_noise(wave, piece_of(noises.baseline, len(wave), rng), rng.uniform(-12, 12), reference)
    if rng.random() < 0.15:
        wave = add_noise(wave, _hum_or_hiss(len(wave), fs, rng), rng.uniform(6, 26), reference)
    if rng.random() < 0.10:
        wave = wave + scale * _jolts(len(wave), fs, rng)
    if rng.random() < 0.05:
        start = int(rng.uniform(0, len(wave)))
        stop = start + int(rng.uniform(0.5, 4.0) * fs)
        wave = wave.copy()
        wave[start:stop] = wave[start] + scale * 0.002 * rng.standard_normal(len(wave[start:stop]))
        seen = (beats < start - 0.03 * fs) | (beats > stop + 0.03 * fs)
    return wave, seen


def _bumps(length: int, centres: NDArray[np.float64], sigma: float) -> Wave:
    out, reach = np.zeros(length), int(4 * sigma) + 1
    for centre in centres:
        low, high = max(0, int(centre) - reach), min(length, int(centre) + reach + 1)
        if low < high:
            out[low:high] += np.exp(-0.5 * ((np.arange(low, high) - centre) / sigma) ** 2)
    return out


def _beat_gains(length: int, beats: NDArray[np.float64], fs: float, rng: np.random.Generator) -> Wave:
    """Some beats smaller or larger than the others, or all of them rising and falling."""
    spread = rng.uniform(0.1, 0.6)
    gain = np.ones(length)
    for beat in beats:
        gain += np.expm1(np.clip(spread * rng.standard_normal(), -1.2, 1.0)) * _bumps(
            length, np.array([beat]), 0.12 * fs
        )
    return np.maximum(gain, 0.2)


def _tall_waves(length: int, beats: NDArray[np.float64], fs: float, rng: np.random.Generator) -> Wave:
    """T-waves, and sometimes P-waves, as tall as a QRS complex may be."""
    rr = np.diff(beats, append=beats[-1] + fs) if len(beats) else np.zeros(0)
    delay = rng.uniform(0.20, 0.36) * fs * np.sqrt(np.clip(rr / fs, 0.3, 1.6))
    out = rng.choice([-1, 1]) * rng.uniform(0.2, 1.4) * _bumps(length, beats + delay, rng.uniform(0.02, 0.055) * fs)
    if rng.random() < 0.4:
        ahead = rng.uniform(0.12, 0.24) * fs
        out += (
            rng.choice([-1, 1]) * rng.uniform(0.1, 0.5) * _bumps(length, beats - ahead, rng.uniform(0.015, 0.03) * fs)
        )
    return out


def _atrial_waves(length: int, fs: float, rng: np.random.Generator) -> Wave:
    """Flutter or fibrillation waves of 4 to 8 Hz."""
    rate = rng.uniform(4, 8)
    wander = np.cumsum(rng.standard_normal(length)) / np.sqrt(fs) * rng.choice([0.0, 1.0])
    phase = 2 * np.pi * rate * np.arange(length) / fs + wander
    return rng.uniform(0.05, 0.35) * (np.sin(phase) + rng.uniform(0, 0.5) * np.sin(2 * phase + 0.6))


def _pacing_spikes(length: int, beats: NDArray[np.float64], fs: float, rng: np.random.Generator) -> Wave:
    ahead = rng.choice([rng.uniform(0.015, 0.04), rng.uniform(0.12, 0.22)])
    return rng.choice([-1, 1]) * rng.uniform(0.3, 2.0) * _bumps(length, beats - ahead * fs, 0.003 * fs)


def _other_bandwidth(wave: Wave, fs: float, rng: np.random.Generator) -> Wave:
    low, high = rng.choice([0.05, 0.5, 1.0]), rng.uniform(18, 60)
    return sosfiltfilt(butter(1, [low, min(high, 0.45 * fs)], btype="bandpass", fs=fs, output="sos"), wave)


def _hum_or_hiss(length: int, fs: float, rng: np.random.Generator) -> Wave:
    """Mains of either frequency, or noise of all frequencies, of unit standard deviation."""
    if rng.random() < 0.5:
        return rng.standard_normal(length)
    hz = rng.choice([50.0, 60.0])
    return np.sqrt(2) * np.sin(2 * np.pi * hz * np.arange(length) / fs + rng.uniform(0, 2 * np.pi))


def _burst(length: int, fs: float, rng: np.random.Generator) -> Wave:
    """1 within a stretch of 1 to 5 s, falling softly to 0.1 outside."""
    centre, half = rng.uniform(0, length), rng.uniform(0.5, 2.5) * fs
    return 0.1 + 0.9 / (1 + np.exp(np.clip((np.abs(np.arange(length) - centre) - half) / (0.08 * fs), -50, 50)))


def _jolts(length: int, fs: float, rng: np.random.Generator) -> Wave:
    """Jolts of the electrode: steps that decay, of the height of a QRS complex and more."""
    out = np.zeros(length)
    for _ in range(int(rng.integers(1, 5))):
        start = int(rng.uniform(0, length))
        time = np.arange(length - start) / fs
        rise = 1 - np.exp(-time / rng.uniform(0.003, 0.03))
        out[start:] += rng.choice([-1, 1]) * rng.uniform(0.5, 3.0) * rise * np.exp(-time / rng.uniform(0.05, 0.6))
    return out
