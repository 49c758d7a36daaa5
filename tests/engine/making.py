"""Strips and spreadsheets made for the tests of reading and preprocessing."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import openpyxl
from numpy.typing import NDArray

from ecg_engine.config import PreprocessConfig
from ecg_engine.preprocess import Run, preprocess
from ecg_engine.strips import read_strips

HEADER = ("Patient ID", "ECG Wave", "Label")


def ecg(seed: int = 0, *, samples: int = 2604, seconds: float = 10.0, bpm: float = 75.0) -> NDArray[np.int64]:
    """A strip with P, QRS and T waves, a little noise and wander, at about 200 units to the millivolt."""
    rng, rhythm = np.random.default_rng(seed), np.random.default_rng(1000 + seed)
    time = np.arange(samples) / samples * seconds
    wave = 950 + 20 * np.sin(2 * np.pi * 0.2 * time + seed) + rng.normal(0, 2, samples)
    beat = 0.6 + 0.02 * (seed % 7)
    while beat < seconds:
        for lag, height, width in ((-0.17, 25, 0.025), (-0.03, -25, 0.01), (0, 240, 0.011), (0.035, -45, 0.012)):
            wave += height * np.exp(-(((time - beat - lag) / width) ** 2))
        wave += 55 * np.exp(-(((time - beat - 0.26) / 0.05) ** 2))
        beat += 60 / bpm * (1 + 0.03 * rhythm.normal())
    return np.round(wave).astype(np.int64)


def cell(wave: Iterable[Any]) -> str:
    """A wave as the text of its cell."""
    return ",".join(str(value) for value in wave)


def write_xlsx(path: Path, rows: Sequence[Sequence[Any]], header: Sequence[Any] = HEADER) -> Path:
    """Write a sheet with a header row."""
    book = openpyxl.Workbook()
    for row in (header, *rows):
        book.active.append(list(row))
    book.save(path)
    return path


def good_rows(count: int = 3, *, label: Any = 0, patient: Any = 101) -> list[list[Any]]:
    """Rows of usable strips."""
    return [[patient, cell(ecg(seed)), label] for seed in range(count)]


def run_of(path: Path, **settings: Any) -> Run:
    """Read and preprocess a file."""
    config = PreprocessConfig(**settings)
    return preprocess(read_strips(path, config), config)
