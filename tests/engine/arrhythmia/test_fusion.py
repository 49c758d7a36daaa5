"""Fusion beats: sums of a patient's ordinary and ventricular beat that come when the ordinary one was due."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from ecg_engine.arrhythmia.fusion import F, is_sum, ventricular_shapes, with_fusion
from ecg_engine.arrhythmia.groups import find_groups
from tests.engine.arrhythmia.small import Small, small


@pytest.fixture(scope="module")
def few(real_data: Path) -> Small:
    return small(real_data)


@pytest.fixture(scope="module")
def group(few: Small) -> np.ndarray:
    return find_groups(few.beats, few.context)


@pytest.fixture(scope="module")
def true_p(few: Small) -> np.ndarray:
    """Probabilities of a model that knows V, and is in some doubt of all else."""
    v = np.where(few.aami == "V", 0.95, 0.05).astype(np.float32)
    return np.stack([0.98 - v, np.full_like(v, 0.01), v, np.full_like(v, 0.01)], axis=1)


@pytest.fixture(scope="module")
def shapes(few: Small, true_p: np.ndarray, group: np.ndarray) -> dict[int, np.ndarray]:
    return ventricular_shapes(true_p[:, 2], few.beats, group)


def test_shapes_are_of_patients_with_several_ventricular_beats_alike(few: Small, shapes: dict[int, np.ndarray]) -> None:
    patient = few.beats.patient[few.beats.strip]
    assert len(shapes) >= 4
    assert all(np.sum(few.aami[patient == one] == "V") >= 5 for one in shapes)


@pytest.mark.parametrize("factor", [1.0, -1.0, 0.01])
def test_a_sum_is_neither_of_its_parts_whatever_the_gain_and_polarity(
    few: Small, shapes: dict[int, np.ndarray], factor: float
) -> None:
    for patient, own in shapes.items():
        ordinary = few.references.patient[patient][None]
        plain, wide = ordinary * np.float32(factor), own * np.float32(factor)
        assert not is_sum(plain, plain, wide).any()
        assert not is_sum(wide, np.repeat(plain, len(wide), 0), wide).any()
    gain, both = np.float32(factor), []
    for patient, own in shapes.items():
        plain = few.references.patient[patient][None] * gain
        both.append(bool(is_sum(plain + np.float32(0.6) * gain * own[:1], plain, own * gain)[0]))
    # where the two look alike, a sum of them looks like either
    assert np.mean(both) >= 0.5


def test_true_fusion_beats_of_real_strips_are_found_and_few_others(
    few: Small, true_p: np.ndarray, group: np.ndarray
) -> None:
    p = with_fusion(true_p, few.beats, few.references, few.context, group)
    given = p.argmax(axis=1) == F
    assert np.allclose(p.sum(axis=1), true_p.sum(axis=1), atol=1e-5)
    truth = few.aami == "F"
    assert truth.sum() >= 20
    assert np.sum(given & truth) >= 0.25 * truth.sum()
    assert np.sum(given & ~truth) <= 0.005 * np.sum(~truth)
    assert not given[few.aami == "V"].mean() > 0.02
    assert np.array_equal(with_fusion(p, few.beats, few.references, few.context, group), p)


def test_a_readers_word_and_early_beats_are_left_alone(few: Small, true_p: np.ndarray, group: np.ndarray) -> None:
    settled = np.ones(len(few.beats), dtype=bool)
    same = with_fusion(true_p, few.beats, few.references, few.context, group, settled)
    assert np.array_equal(same, true_p)
    values = few.context.values.copy()
    values[:, few.context.names.index("pre_over_usual")] = -0.3
    early = replace(few.context, values=values)
    assert np.array_equal(with_fusion(true_p, few.beats, few.references, early, group), true_p)


def test_without_beats_or_ventricular_shapes_nothing_happens(few: Small, true_p: np.ndarray, group: np.ndarray) -> None:
    quiet = np.tile(np.array([0.9, 0.03, 0.04, 0.03], dtype=np.float32), (len(few.beats), 1))
    assert np.array_equal(with_fusion(quiet, few.beats, few.references, few.context, group), quiet)
