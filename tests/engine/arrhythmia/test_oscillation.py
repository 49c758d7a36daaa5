"""Strips that swing without QRS complexes, against rhythms, noise and flat lines."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from ecg_engine.arrhythmia.oscillation import oscillation_probability
from tests.engine.arrhythmia.small import small
from tests.engine.arrhythmia.test_references import strip_of


def score(wave: NDArray[np.floating], fs: float) -> float:
    return float(oscillation_probability(wave.astype(np.float32), np.array([0, len(wave)]), fs)[0])


def swing(fs: float, hz: float) -> NDArray[np.float64]:
    rng = np.random.default_rng(1)
    t = np.arange(int(10 * fs)) / fs
    phase = 2 * np.pi * np.cumsum(hz + 0.3 * np.sin(2 * np.pi * 0.3 * t)) / fs
    return 200 * (1 + 0.3 * np.sin(2 * np.pi * 0.2 * t)) * np.sin(phase) + rng.normal(0, 5, len(t))


@pytest.mark.parametrize("fs", [125.0, 260.4, 500.0])
@pytest.mark.parametrize("hz", [3.0, 5.0, 6.5])
def test_an_oscillation_is_seen_at_any_rate_gain_offset_and_polarity(fs: float, hz: float) -> None:
    wave = swing(fs, hz)
    assert score(wave, fs) > 0.8
    assert score(-0.01 * wave + 1000, fs) == pytest.approx(score(wave, fs), abs=1e-3)


def test_beats_noise_and_flat_lines_are_none() -> None:
    rng = np.random.default_rng(0)
    for rr in (0.3, 0.8):
        times = np.arange(0.4, 9.5, rr).tolist()
        assert score(strip_of(times, [False] * len(times))[0], 260.4) < 0.05
    assert score(rng.normal(size=2604), 260.4) < 0.1
    assert score(np.zeros(2604), 260.4) == 0
    assert score(np.cumsum(rng.normal(size=2604)), 260.4) < 0.1
    assert score(np.zeros(100), 260.4) == 0


def test_on_real_strips(real_data: Path) -> None:
    strips = small(real_data).strips
    p = oscillation_probability(strips.samples, strips.offsets, strips.fs)
    assert (p[strips.label == 8] > 0.5).mean() >= 0.5
    assert (p[~np.isin(strips.label, (8, -1))] > 0.5).sum() == 0
