"""A study of one patient is split by strip, and a later model is compared with it on strips that neither has seen."""

from __future__ import annotations

from dataclasses import replace
from functools import cache
from pathlib import Path

import numpy as np
import pytest

from ecg_engine.bundle import Bundle
from ecg_engine.config import PreprocessConfig, TrainConfig
from ecg_engine.datasets import combine, strip_names, training_data
from ecg_engine.errors import InputError
from ecg_engine.heldout import compare
from ecg_engine.preprocess import Run, preprocess
from ecg_engine.strips import read_strips
from ecg_engine.training import train
from tests.engine.arrhythmia.test_profile import part_of

PROFILE = PreprocessConfig(profile="arrhythmia")
QUICK = TrainConfig(profile="arrhythmia", epochs=2)


@cache
def runs(folder: Path) -> tuple[Run, Run]:
    """Some strips of one patient; and all of them, so that each has another place."""
    strips = read_strips(folder / "mitdb_ds1_small.xlsx", PROFILE)
    patients, counts = np.unique(strips.patient_id[strips.label == 2], return_counts=True)
    own = np.flatnonzero(strips.patient_id == patients[counts.argmax()])
    return preprocess(part_of(strips, own[3:]), PROFILE), preprocess(part_of(strips, own), PROFILE)


@cache
def model(folder: Path) -> Bundle:
    return train([training_data(runs(folder)[0])], QUICK).bundle


@pytest.mark.real
def test_a_later_model_is_compared_on_the_strips_that_neither_has_seen(real_data: Path) -> None:
    first, (earlier, later) = model(real_data), runs(real_data)
    held = first.metrics["patients_val"]
    assert first.metrics["split"] == "strip" and held
    assert earlier.strips is not None and later.strips is not None
    assert set(held) <= set(strip_names(training_data(later).parts))
    second = train([training_data(later)], QUICK, hold_out=held).bundle
    assert sorted(second.metrics["patients_val"]) == sorted(held), "found again, whatever their rows"
    told = compare(second, first, training_data(later))
    assert told["candidate"]["num_strips_held_out"] == told["current"]["num_strips_held_out"] == len(held)
    assert len(told["notes"]) == 1, "nothing speaks against the comparison"
    again = compare(first, first, training_data(earlier))
    assert again["candidate"]["class_acc"] == first.metrics["class_acc"]


@pytest.mark.real
def test_a_strip_in_two_runs_is_on_one_side(real_data: Path) -> None:
    both = combine([training_data(run, name=name) for run, name in zip(runs(real_data), "ab", strict=True)])
    metrics = train([both], replace(QUICK, epochs=1)).bundle.metrics
    assert metrics["split"] == "strip"
    assert set(metrics["patients_val"]).isdisjoint(metrics["patients_train"])
    assert len(metrics["patients_val"]) + len(metrics["patients_train"]) == len(set(strip_names(both.parts)))


@pytest.mark.real
def test_a_model_that_numbered_its_strips_is_not_taken_for_one_that_has_not_seen_them(real_data: Path) -> None:
    first, data = model(real_data), training_data(runs(real_data)[0])
    old = replace(first, metrics={**first.metrics, "patients_val": ["0", "3"], "patients_train": ["1", "2"]})
    told = compare(first, old, data)
    assert any("does not say which strips" in note for note in told["notes"])
    with pytest.raises(InputError, match="none of the model's held-out"):
        compare(old, first, data)
    seen = replace(first, metrics={**first.metrics, "patients_train": first.metrics["patients_val"]})
    assert any("figures are too good" in note for note in compare(first, seen, data)["notes"])
