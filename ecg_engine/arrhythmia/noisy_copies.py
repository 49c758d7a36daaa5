"""Strips with noise set in: an ordinary beat under noise is still an ordinary beat (issue 4, item 3).

Hand-held and worn recorders are noisier than the ambulatory ones that studies are labelled on. Under noise an ordinary
QRS complex looks less like its reference, and nets that learned from clean strips alone call it ventricular. What a
strip's label says stays true when noise is added to it, so copies with noise teach how far noise can change a beat.
The noise is made up here (muscle, the motion of an electrode, a wandering baseline), in the whole strip or in some
seconds of it, at levels at which the R-peaks can still be found. A third of the copies is jolted instead: the line
leaves its place by up to four times the height of the QRS and comes back, as it does when an electrode is pulled. Such
excursions are as wide as a ventricular beat, and an ordinary beat on one of them looks like it.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy.signal import butter, sosfilt, sosfiltfilt

from ecg_engine.arrhythmia.references import (
    AFTER,
    BEFORE,
    GRID_HZ,
    HIGH_HZ,
    LENGTH,
    LOW_HZ,
    QRS,
    CutBeats,
    References,
)

LEVELS_DB = (3.0, 18.0)
"""Height of the QRS against a sine of the noise's power, as the Noise Stress Test Database has it."""

BURST_SEC = (1.5, 4.0)

JOLTED = 1 / 3
"""Share of the copies that are jolted."""

JOLT_HEIGHTS = (0.4, 4.0)
"""Of a jolt, against the QRS from peak to peak."""

_MARGIN_SEC = 1.0
_BUMP_SEC = (0.02, 0.15)
_SWELL_SEC, _RISE_SEC, _DECAY_SEC, _TOGETHER_SEC = (0.05, 0.4), (0.01, 0.15), (0.1, 0.8), 1.5


class Noisy(NamedTuple):
    """Copies of strips under noise.

    Attributes
    ----------
    beats : CutBeats
    source : int64 (s,)
        The strip that each strip is a copy of.
    """

    beats: CutBeats
    source: NDArray[np.int64]


def noisy_copies(
    beats: CutBeats, references: References, rows: NDArray[np.integer], share: float, seed: int
) -> Noisy | None:
    """Copies of some of these strips with noise of random kind, level and extent.

    Parameters
    ----------
    beats, references : of the same strips
    rows : int
        Strips that may be copied.
    share : float
        Copies for each of them.
    seed : int

    Returns
    -------
    Noisy or None
        None if there is nothing to copy.
    """
    rng, bounds = np.random.default_rng(seed), beats.bounds
    rows = np.asarray(rows, dtype=np.int64)
    rows = rows[np.diff(bounds)[rows] > 0]
    count = round(share * len(rows))
    if not count:
        return None
    source = np.sort(rng.choice(rows, size=count, replace=count > len(rows)))
    at = np.concatenate([np.arange(bounds[row], bounds[row + 1]) for row in source])
    strip = np.repeat(np.arange(count), np.diff(bounds)[source])
    waves, height = beats.waves[at].copy(), np.ptp(references.patient[:, QRS], axis=1)
    for copy, row in enumerate(source.tolist()):
        own = strip == copy
        seconds = float(beats.r_sec[bounds[row + 1] - 1]) + _MARGIN_SEC
        if rng.random() < JOLTED:
            noise = _jolts(seconds, rng)
        else:
            noise = _noise(seconds, rng) / np.float32(2 * np.sqrt(2) * 10 ** (rng.uniform(*LEVELS_DB) / 20))
        level = height[beats.patient[row]]
        waves[own] += level * _around(noise, beats.r_sec[at[own]]) * _on_strip(beats.inside[at[own]])
    return Noisy(CutBeats(waves, strip, beats.r_sec[at], beats.inside[at], beats.patient[source]), source)


def _noise(seconds: float, rng: np.random.Generator) -> NDArray[np.float32]:
    """Noise of power one where it is, on the beats' grid, with a margin before the strip's start."""
    length = round((seconds + _MARGIN_SEC) * GRID_HZ)
    time = np.arange(length) / GRID_HZ
    parts = [_muscle(length, rng), _motion(time, rng), _wander(time, rng)]
    mixed = sum(weight * one for weight, one in zip(rng.dirichlet((1.0, 1.0, 0.5)), parts, strict=True))
    mixed = mixed / (np.sqrt(np.mean(np.square(mixed))) + 1e-9)
    if rng.random() < 0.4:
        middle, half = rng.uniform(0, time[-1]), rng.uniform(*BURST_SEC) / 2
        mixed = mixed * np.clip((half - np.abs(time - middle)) / 0.2 + 1, 0, 1)
    return np.asarray(mixed, dtype=np.float32)


def _jolts(seconds: float, rng: np.random.Generator) -> NDArray[np.float32]:
    """Jolts as multiples of the QRS height, filtered as strips are, on the beats' grid with the same margin."""
    length = round((seconds + _MARGIN_SEC) * GRID_HZ)
    time = np.arange(length) / GRID_HZ
    out, middle, together = np.zeros(length), rng.uniform(0, time[-1]), rng.random() < 0.5
    for _ in range(1 + rng.poisson(rng.uniform(0.1, 0.5) * time[-1])):
        at = middle + rng.uniform(-_TOGETHER_SEC, _TOGETHER_SEC) if together else rng.uniform(0, time[-1])
        height = rng.choice([-1, 1]) * np.exp(rng.uniform(*np.log(JOLT_HEIGHTS)))
        if rng.random() < 0.6:
            width = np.exp(rng.uniform(*np.log(_SWELL_SEC)))
            out += height * np.exp(-0.5 * ((time - at) / width) ** 2)
        else:
            since = np.maximum(time - at, 0)
            rise, decay = rng.uniform(*_RISE_SEC), rng.uniform(*_DECAY_SEC)
            out += height * (1 - np.exp(-since / rise)) * np.exp(-since / decay)
    if rng.random() < 0.5:
        out += rng.uniform(0, 0.15) * _muscle(length, rng)
    band = butter(2, [LOW_HZ, HIGH_HZ], btype="bandpass", fs=GRID_HZ, output="sos")
    return np.asarray(sosfiltfilt(band, out), dtype=np.float32)


def _muscle(length: int, rng: np.random.Generator) -> NDArray[np.float64]:
    band = butter(2, [rng.uniform(2, 12), 40], btype="bandpass", fs=GRID_HZ, output="sos")
    return _unit(sosfilt(band, rng.normal(size=length)))


def _motion(time: NDArray[np.float64], rng: np.random.Generator) -> NDArray[np.float64]:
    """Bumps as wide as QRS complexes and T-waves, here and there."""
    out = np.zeros(len(time))
    for _ in range(1 + rng.poisson(rng.uniform(0.5, 4) * time[-1])):
        middle, width = rng.uniform(0, time[-1]), rng.uniform(*_BUMP_SEC)
        out += rng.normal() * np.exp(-0.5 * ((time - middle) / width) ** 2)
    return _unit(out)


def _wander(time: NDArray[np.float64], rng: np.random.Generator) -> NDArray[np.float64]:
    out = np.zeros(len(time))
    for _ in range(3):
        out += rng.normal() * np.sin(2 * np.pi * (rng.uniform(0.5, 3) * time + rng.random()))
    return _unit(out)


def _unit(wave: NDArray[np.float64]) -> NDArray[np.float64]:
    return wave / (wave.std() + 1e-9)


def _around(noise: NDArray[np.float32], r_sec: NDArray[np.float64]) -> NDArray[np.float32]:
    """The stretch of noise that lies under each beat, float32 (n, LENGTH)."""
    middle = np.round((r_sec + _MARGIN_SEC) * GRID_HZ).astype(np.int64)
    places = middle[:, None] + np.arange(-BEFORE, AFTER + 1)
    return np.asarray(noise[np.clip(places, 0, len(noise) - 1)])


def _on_strip(inside: NDArray[np.float32]) -> NDArray[np.bool_]:
    """Where each beat's window lies on its strip, bool (n, LENGTH)."""
    steps = np.arange(LENGTH)[None]
    first, last = np.round((1 - inside[:, :1]) * BEFORE), BEFORE + np.round(inside[:, 1:] * AFTER)
    return np.asarray((steps >= first) & (steps <= last))
