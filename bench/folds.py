"""Patients of DS1 in five folds, their R-peaks and noise as found by weights that were trained without them.

The shipped weights have seen all of DS1; those of the folds are kept (:mod:`bench.kept`).
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from bench import arrhythmia_rpeaks
from bench import quality as bench_quality
from bench.kept import folder_of, once
from ecg_engine.arrhythmia import quality, rpeaks
from ecg_engine.conditioning import blocks, stacked
from ecg_engine.strips import Strips

FOLDS = 5


class Found(NamedTuple):
    """What is found on strips."""

    peaks: list[NDArray[np.int64]]
    noisy: NDArray[np.bool_]  # (s,) strips that cannot be read
    noisy_beats: NDArray[np.bool_]  # (n,)


def folds_of(patient: NDArray[np.int64]) -> NDArray[np.int64]:
    """Fold of each strip, from the numbers of the patients."""
    shuffled = np.random.RandomState(0).permutation(int(patient.max()) + 1)
    number = np.empty(len(shuffled), dtype=np.int64)
    number[shuffled] = np.arange(len(shuffled)) % FOLDS
    return number[patient]


def find(strips: Strips, fold: NDArray[np.int64]) -> Found:
    """R-peaks and noise of all strips, each by its own fold's weights."""
    groups = _groups(strips, fold)
    return _found_by(strips, fold, arrhythmia_rpeaks.grouped_finders(groups), _judges(groups))


def find_as_shipped(strips: Strips) -> Found:
    """R-peaks and noise of all strips by the shipped weights."""
    return _found_by(strips, np.zeros(len(strips), dtype=np.int64), [rpeaks.shipped_model()], [quality.shipped_model()])


def _found_by(
    strips: Strips,
    fold: NDArray[np.int64],
    finders: Sequence[rpeaks.RPeakModel],
    judges: Sequence[quality.QualityModel],
) -> Found:
    peaks = [np.zeros(0, dtype=np.int64)] * len(strips)
    noisy, beats = np.zeros(len(strips), dtype=bool), [np.zeros(0, dtype=bool)] * len(strips)
    for every in blocks(strips.offsets):
        for one, (finder, judge) in enumerate(zip(finders, judges, strict=True)):
            rows = every[fold[every] == one]
            if not len(rows):
                continue
            x = stacked(strips.samples, strips.offsets, rows)
            found = rpeaks.find_rpeaks_of_block(x, strips.fs, finder)
            judged = quality.quality(
                x, strips.fs, found.peaks, probability=found.probability, doubt=found.doubt, model=judge
            )
            noisy[rows] = judged.noisy_strips
            for place, row in enumerate(rows):
                peaks[row] = found.peaks[place]
                beats[row] = judged.noisy[judged.bounds[place] : judged.bounds[place + 1]]
    return Found(peaks, noisy, np.concatenate(beats))


def kept(strips: Strips, fold: NDArray[np.int64]) -> Path:
    """Folder of what was worked out for these folds without any weights of the arrhythmia profile."""
    return folder_of(_groups(strips, fold))


def _groups(strips: Strips, fold: NDArray[np.int64]) -> list[NDArray[np.int64]]:
    return [np.unique(strips.patient_id[fold == one].astype(np.int64)) for one in range(FOLDS)]


def _judges(groups: list[NDArray[np.int64]]) -> list[quality.QualityModel]:
    models = partial(bench_quality.grouped_models, groups)
    return once(groups, "quality", models, quality.save_model, quality.load_model, rpeaks.WEIGHTS, quality.WEIGHTS)
