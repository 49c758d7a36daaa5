"""Strips made of others: beats moved in time, ectopics set in; and learning from them in two rounds."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from ecg_engine.arrhythmia.beat_classes import FitConfig
from ecg_engine.arrhythmia.context import describe
from ecg_engine.arrhythmia.examples import Examples
from ecg_engine.arrhythmia.learning import LearnConfig, Study, given_labels, learn, moved_examples, set_in_examples
from ecg_engine.arrhythmia.noisy_copies import noisy_copies
from ecg_engine.arrhythmia.references import BEFORE, QRS, find_references
from ecg_engine.arrhythmia.retiming import PLAIN_LABELS, retimed
from ecg_engine.arrhythmia.transplants import find_donors, transplanted
from tests.engine.arrhythmia.small import small

QUICK = LearnConfig(FitConfig(epochs=12, members=1, use_cnn=False, batch=64), moved=0.4, set_in=0.4)


@pytest.fixture(scope="module")
def study(real_data: Path) -> Study:
    few = small(real_data)
    none = np.full(len(few.beats), -999)
    weight = np.ones(len(few.beats), dtype=np.float32)
    quiet = np.zeros(len(few.strips), dtype=np.float32)
    return Study(few.beats, few.references, few.context, few.strips.label.astype(np.int64), none, weight, quiet, quiet)


def test_moved_beats_are_those_that_come_before_their_time(study: Study) -> None:
    more = retimed(study.beats, study.labels, share=0.5, seed=1)
    given = len(study.labels)
    assert np.isin(study.labels[more.source[given:]], PLAIN_LABELS).all()
    assert np.array_equal(more.source[:given], np.arange(given))
    assert np.array_equal(more.beats.r_sec[: len(study.beats)], study.beats.r_sec)
    assert (more.known[: len(study.beats)] == -999).all()
    same_strip = np.diff(more.beats.strip) == 0
    assert np.diff(more.beats.r_sec)[same_strip].min() > 0.15
    context = describe(more.beats, study.references.of_strips(more.source))
    pre = context.column("pre_over_patient")
    known_pre = context.column("pre_unknown") == 0
    assert np.median(pre[(more.known == 1) & known_pre]) < -0.25
    assert np.median(np.abs(pre[(more.known == 0) & known_pre])) < 0.15
    copies = np.arange(len(more.source)) >= given
    assert np.mean(context.af[copies] > 0.5) < 0.2  # their P waves are those of sinus rhythm


def test_noise_is_set_in_on_the_strip_alone_and_changes_no_time(study: Study) -> None:
    rows = np.flatnonzero(study.labels == 0)
    made = noisy_copies(study.beats, study.references, rows, 0.5, 3)
    assert made is not None and np.isin(made.source, rows).all() and len(made.source) == round(0.5 * len(rows))
    bounds = study.beats.bounds
    at = np.concatenate([np.arange(bounds[row], bounds[row + 1]) for row in made.source])
    assert np.array_equal(made.beats.r_sec, study.beats.r_sec[at])
    assert np.array_equal(made.beats.patient, study.beats.patient[made.source])
    added = made.beats.waves - study.beats.waves[at]
    cut = study.beats.inside[at, 0] < 0.5
    assert cut.any() and (added[cut, : BEFORE // 2 - 2] == 0).all()
    height = np.ptp(study.references.patient[:, QRS], axis=1)[made.beats.patient[made.beats.strip]]
    rms = np.sqrt(np.mean(np.square(added), axis=1)) / height
    assert 0.02 < np.median(rms[rms > 0]) < 0.3
    # some are jolted by more than a QRS complex is high
    assert 0.02 < np.mean(np.abs(added).max(axis=1) > 1.2 * height) < 0.3
    again = noisy_copies(study.beats, study.references, rows, 0.5, 3)
    assert again is not None and np.array_equal(again.beats.waves, made.beats.waves)
    assert noisy_copies(study.beats, study.references, rows[:0], 0.5, 3) is None


def test_under_noise_fewer_ordinary_beats_are_called_ventricular(study: Study) -> None:
    """What the copies are for: with them, noise on strips of other patients makes fewer false V."""
    odd = study.beats.patient % 2 == 1
    seen, other = study.strips(np.flatnonzero(~odd)), study.strips(np.flatnonzero(odd))
    normal = np.flatnonzero(other.labels == 0)
    made = noisy_copies(other.beats, other.references, normal, 1.0, 11)
    assert made is not None
    context = describe(made.beats, find_references(made.beats, other.references.patient))
    examples = Examples.of(made.beats, context)
    called = []
    for share in (0.0, 0.6):
        model = learn(seen, replace(QUICK, noisy=share))
        called.append(np.mean(model.symbol_probabilities(examples).argmax(axis=1) == 2))
    assert called[1] < 0.7 * called[0]


def test_the_same_seed_moves_the_same_beats(study: Study) -> None:
    first, second = retimed(study.beats, study.labels, 0.2, 5), retimed(study.beats, study.labels, 0.2, 5)
    assert np.array_equal(first.beats.r_sec, second.beats.r_sec)
    assert not np.array_equal(retimed(study.beats, study.labels, 0.2, 6).source, first.source)


def test_set_in_beats_are_unlike_their_hosts_and_fusion_beats_lie_between(real_data: Path, study: Study) -> None:
    truth = (small(real_data).aami == "V").astype(float)
    donors = find_donors(study.beats, study.labels, truth, study.context.column("qrs_like_strip"))
    assert len(donors) > 50
    made = transplanted(study.beats, study.references, study.labels, donors, share=0.5)
    assert made is not None
    assert np.array_equal(made.beats.patient, study.beats.patient[made.source])
    context = describe(made.beats, find_references(made.beats, study.references.patient))
    like = context.column("qrs_like_patient")
    plain, ventricular, fusion = (np.median(like[made.known == label]) for label in (0, 2, 9))
    assert plain > 0.97
    assert ventricular < 0.7
    assert ventricular < fusion < plain


def test_without_donors_or_ordinary_strips_nothing_is_made(study: Study) -> None:
    none = np.zeros(0, dtype=np.int64)
    assert transplanted(study.beats, study.references, study.labels, none) is None
    noise = np.full(len(study.labels), -1)
    assert transplanted(study.beats, study.references, noise, np.arange(5)) is None
    assert len(retimed(study.beats, noise).source) == len(study.labels)


def test_two_rounds_learn_all_four_classes(real_data: Path, study: Study) -> None:
    few = small(real_data)
    model = learn(study, QUICK)
    found = model.probabilities(study.examples).argmax(axis=1)
    for number, name in enumerate("NSV"):
        truth = few.aami == name
        f1 = 2 * np.sum(truth & (found == number)) / (np.sum(truth) + np.sum(found == number))
        assert f1 > {"N": 0.95, "S": 0.2, "V": 0.8}[name], name
    moved, made = moved_examples(study, QUICK), set_in_examples(study, model, QUICK)
    assert made is not None
    assert set(moved.known) == {0, 1}
    assert set(made.known) == {0, 2, 9}
    given = given_labels(model, study.examples)
    normal = np.isin(study.labels, (0, 3, 4))[study.beats.strip]
    assert given[normal, 0].min() > 0.999
    assert np.allclose(given.sum(axis=1), 1, atol=1e-4)


def test_strips_without_an_ordinary_one_among_them_and_one_without_beats_are_learned_from(study: Study) -> None:
    odd = np.flatnonzero(np.isin(study.labels, (1, 2, 8)))
    assert (np.diff(study.beats.bounds)[odd] == 0).any()
    model = learn(study.strips(odd), LearnConfig(FitConfig(epochs=3, members=1, use_cnn=False)))
    assert np.isfinite(model.probabilities(study.examples)).all()
