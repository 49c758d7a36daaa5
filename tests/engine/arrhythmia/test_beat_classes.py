"""Beats learned from labels of strips: on patients not trained on, with known beats, and through a file."""

from __future__ import annotations

import io
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from ecg_engine.arrhythmia.beat_classes import BeatModel, class_numbers, fit, own_classes
from ecg_engine.arrhythmia.beat_training import FitConfig, Lesson, teaching_strips
from ecg_engine.arrhythmia.examples import Examples, join
from ecg_engine.arrhythmia.runs import symbol_log_p
from ecg_engine.errors import Cancelled, InputError
from tests.engine.arrhythmia.small import small

QUICK = FitConfig(epochs=25, members=1, use_cnn=False, batch=64)


@pytest.fixture(scope="module")
def examples(real_data: Path) -> Examples:
    few = small(real_data)
    return Examples.of(few.beats, few.context, few.strips.label)


@pytest.fixture(scope="module")
def held_out(real_data: Path) -> np.ndarray:
    patients = small(real_data).beats.patient
    return np.flatnonzero(patients % 3 == 1)


@pytest.fixture(scope="module")
def model(examples: Examples, held_out: np.ndarray) -> BeatModel:
    rest = np.setdiff1d(np.arange(len(examples.labels)), held_out)
    return fit(examples.strips(rest), QUICK)


def test_ventricular_beats_of_unseen_patients_are_found_from_labels_of_strips(
    real_data: Path, examples: Examples, held_out: np.ndarray, model: BeatModel
) -> None:
    few = small(real_data)
    p = model.probabilities(examples.strips(held_out))
    assert p.shape[1] == 4
    assert np.allclose(p.sum(1), 1, atol=1e-5)
    truth = few.aami[np.isin(few.beats.strip, held_out)] == "V"
    found = p.argmax(1) == 2
    assert truth.sum() > 50
    assert 2 * (truth & found).sum() / (truth.sum() + found.sum()) > 0.75


def test_the_same_seed_gives_the_same_model_and_the_order_of_strips_in_prediction_does_not_matter(
    examples: Examples, held_out: np.ndarray, model: BeatModel
) -> None:
    some = held_out[:20]
    there = model.probabilities(examples.strips(some))
    back = model.probabilities(examples.strips(some[::-1].copy()))
    bounds = examples.strips(some[::-1].copy()).bounds
    turned = np.concatenate([back[bounds[i] : bounds[i + 1]] for i in range(len(some) - 1, -1, -1)])
    assert np.allclose(there, turned, atol=1e-5)
    quick = replace(QUICK, epochs=2)
    first, second = fit(examples, quick), fit(examples, quick)
    assert np.array_equal(first.probabilities(examples), second.probabilities(examples))


def test_a_model_comes_back_from_a_file_unchanged(examples: Examples, model: BeatModel) -> None:
    file = io.BytesIO()
    torch.save(model.state(), file)
    file.seek(0)
    again = BeatModel.from_state(torch.load(file, weights_only=True))
    assert again.names == ("N", "S", "V", "F")
    assert np.array_equal(again.probabilities(examples), model.probabilities(examples))
    with pytest.raises(InputError, match="Train it again"):
        BeatModel.from_state(model.state() | {"s": ["early"]})


def test_known_beats_teach_what_strips_do_not_say_and_a_readers_own_kind(real_data: Path, examples: Examples) -> None:
    few = small(real_data)
    known = np.full(len(examples), -999)
    fusion = np.flatnonzero(few.aami == "F")
    known[fusion] = 12  # a kind of its own in the reader's eyes
    known[np.flatnonzero(few.aami == "N")[:200]] = 0
    config = replace(QUICK, epochs=20, use_cnn=True, epochs_cnn=2)
    model = fit(replace(examples, known=known), config)
    assert model.labels == (0, 1, 2, 9, 12)
    assert model.names[-1] == "PVC Subtypes"
    p = model.probabilities(examples)
    assert p[fusion, 4].mean() > 5 * p[few.aami == "N", 4].mean()


def test_classes_and_what_they_act_as() -> None:
    known = np.array([12] * 10 + [9] * 3 + [4, 10, -1, -999])
    labels, acts_as = own_classes(known)
    assert (labels, acts_as) == ((0, 1, 2, 9, 12), (0, 1, 2, 3, 2))
    assert class_numbers(known, labels).tolist() == [4] * 10 + [3] * 3 + [0, 2, -1, -1]
    log_p = torch.log(torch.tensor([[0.1, 0.2, 0.3, 0.1, 0.3]]))
    assert torch.allclose(symbol_log_p(log_p, acts_as).exp(), torch.tensor([[0.1, 0.2, 0.6, 0.1]]))


def test_files_are_joined_strip_by_strip(examples: Examples) -> None:
    first, second = examples.strips(np.arange(5)), examples.strips(np.arange(5, 12))
    both = join([first, second])
    assert np.array_equal(both.bounds, examples.strips(np.arange(12)).bounds)
    assert np.array_equal(both.vf, examples.strips(np.arange(12)).vf)


def test_nothing_to_learn_from_is_said(examples: Examples) -> None:
    silent = replace(examples, labels=np.full(len(examples.labels), -1))
    with pytest.raises(InputError, match="no strip has beats"):
        fit(silent, QUICK)


def test_every_epoch_is_told_with_the_loss_on_strips_held_out(examples: Examples, held_out: np.ndarray) -> None:
    rest = np.setdiff1d(np.arange(len(examples.labels)), held_out)
    rows: list[dict[str, Any]] = []
    config = replace(QUICK, epochs=4, epochs_cnn=1, use_cnn=True)
    with_ear = fit(examples.strips(rest), config, on_epoch=rows.append, held=examples.strips(held_out))
    assert [row["epoch"] for row in rows] == [1, 2, 3, 4, 5]
    assert {row["epochs"] for row in rows} == {5}
    assert [row["net"] for row in rows] == ["towers 1 of 1"] * 4 + ["convolutions"]
    # ever nearer to the labels, on strips of other patients too
    assert rows[3]["train_loss"] < rows[0]["train_loss"]
    assert 0 < rows[3]["val_loss"] < rows[0]["val_loss"]
    without = fit(examples.strips(rest), config)
    assert np.array_equal(with_ear.probabilities(examples), without.probabilities(examples))


def test_learning_is_stopped_between_epochs(examples: Examples) -> None:
    rows: list[dict[str, Any]] = []

    def progress(message: str, done: float) -> None:
        if len(rows) == 2:
            raise Cancelled

    with pytest.raises(Cancelled):
        fit(examples, replace(QUICK, epochs=5), progress, on_epoch=rows.append)
    assert len(rows) == 2
    assert all("val_loss" not in row for row in rows)


def test_ordinary_strips_that_are_not_drawn_are_spoken_for(examples: Examples) -> None:
    known = class_numbers(examples.known, (0, 1, 2, 9))
    ordinary, others = _lesson(examples, known).ordinary_and_others()
    assert set(examples.labels[ordinary]) <= {0, 3, 4}
    assert not set(ordinary) & set(others)
    assert set(ordinary) | set(others) == set(teaching_strips(examples, known))
    known[examples.bounds[ordinary[0]]] = 2
    assert ordinary[0] in _lesson(examples, known).ordinary_and_others()[1]
    losses: list[float] = []
    for share in (1.0, 0.5):
        rows: list[dict[str, Any]] = []
        fit(examples, replace(QUICK, epochs=10, ordinary=share), on_epoch=rows.append)
        losses.append(rows[-1]["train_loss"])
    # the loss is that of all strips either way, not of those that were drawn
    assert losses[1] == pytest.approx(losses[0], rel=0.35)


def _lesson(examples: Examples, known: np.ndarray) -> Lesson:
    columns = torch.from_numpy(examples.vf), torch.from_numpy(examples.s)
    return Lesson.of(examples, columns, known, (0, 1, 2, 3), 1.0, torch.device("cpu"))
