"""Strips unlike all known ones: what was never seen scores higher, and ordinary new patients are not called strange."""

from __future__ import annotations

import io
from functools import cache
from pathlib import Path

import numpy as np
import pytest
import torch
from numpy.typing import NDArray

from ecg_engine.arrhythmia.learning import Study
from ecg_engine.arrhythmia.references import cut_beats
from ecg_engine.arrhythmia.unknown import COLUMNS, PARTS, KnownPatterns, describe_strips, learn_known
from ecg_engine.evaluation import auroc
from tests.engine.arrhythmia.small import small


@cache
def study(folder: Path) -> Study:
    data = small(folder)
    return Study.of(data.beats, data.strips.label)


def learned(given: Study, rows: NDArray[np.integer] | None = None) -> KnownPatterns:
    known = learn_known(given if rows is None else given.strips(rows))
    assert known is not None
    return known


@pytest.mark.real
def test_strips_of_a_kind_left_out_score_above_known_ones_of_patients_held_out(real_data: Path) -> None:
    given = study(real_data)
    fold = given.beats.patient % 3
    for label, least in ((8, 0.98), (7, 0.9)):
        score = np.zeros(len(fold))
        for one in range(3):
            rows = np.flatnonzero(fold == one)
            score[rows] = learned(given, np.flatnonzero((fold != one) & (given.labels != label))).score(
                given.strips(rows)
            )
        assert auroc(score, given.labels == label) > least


@pytest.mark.real
def test_share_tells_how_many_known_strips_of_new_patients_are_as_strange(real_data: Path) -> None:
    given = study(real_data)
    fold, share = given.beats.patient % 4, np.zeros(len(given.labels))
    for one in range(4):
        known, rows = learned(given, np.flatnonzero(fold != one)), np.flatnonzero(fold == one)
        share[rows] = known.share(known.score(given.strips(rows)))
    for at in (0.1, 0.3, 0.5, 0.7):
        assert np.mean(share <= at) == pytest.approx(at, abs=0.1)
    assert np.mean(share[given.labels == 0] < 0.05) < 0.08
    assert known.share(np.array([-1, 1e6], dtype=np.float32)).tolist() == [1, 0]


@pytest.mark.real
def test_gain_polarity_and_the_order_of_strips_do_not_matter(real_data: Path) -> None:
    data = small(real_data)
    rows = np.arange(0, len(data.strips), 3)
    order = np.random.default_rng(0).permutation(rows)
    gain = np.random.default_rng(1).uniform(0.1, 10, len(order)) * np.array([-1, 1])[np.arange(len(order)) % 2]
    gain = gain[data.strips.patient_id[order].astype(int) % len(gain)]  # one gain a patient, as a recorder has
    waves = [data.strips.samples[data.strips.offsets[i] : data.strips.offsets[i + 1]] for i in range(len(data.strips))]

    def build(which: NDArray[np.integer], factor: NDArray[np.floating]) -> Study:
        parts = [(waves[i] * f).astype(np.float32) for i, f in zip(which, factor, strict=True)]
        offsets = np.concatenate([[0], np.cumsum([len(one) for one in parts])])
        peaks = [data.peaks[i] for i in which]
        beats = cut_beats(np.concatenate(parts), offsets, data.strips.fs, peaks, data.strips.patient_id[which])
        return Study.of(beats)

    plain = build(rows, np.ones(len(rows)))
    louder, moved = build(rows, gain[np.argsort(order)]), build(order, np.ones(len(rows)))
    known = learned(plain)
    score = known.score(plain)
    np.testing.assert_allclose(describe_strips(louder), describe_strips(plain), atol=0.02)
    np.testing.assert_allclose(known.score(louder), score, atol=0.1)
    np.testing.assert_allclose(learned(louder).score(plain), score, atol=0.1)
    # of two references with the same support the first one is taken
    for again in (known.score(moved)[np.argsort(order)], learned(moved).score(plain)):
        assert np.mean(np.abs(again - score) < 0.1) > 0.97


@pytest.mark.real
def test_the_state_gives_the_same_scores_again_and_is_small(real_data: Path) -> None:
    given = study(real_data)
    known, kept = learned(given), io.BytesIO()
    torch.save(known.state(), kept)
    assert len(kept.getvalue()) < 1e6
    kept.seek(0)
    state = torch.load(kept, weights_only=True)
    back = KnownPatterns.from_state(state)
    assert back is not None
    np.testing.assert_array_equal(back.score(given), known.score(given))
    np.testing.assert_array_equal(back.share(back.score(given)), known.share(known.score(given)))
    assert KnownPatterns.from_state(state | {"columns": [*COLUMNS[1:], "another"]}) is None


@pytest.mark.real
def test_a_pattern_of_one_patient_alone_is_no_known_pattern_of_others(real_data: Path) -> None:
    """Held out, her strips are as strange as if she had never been there."""
    given = study(real_data)
    her = given.beats.patient == given.beats.patient[np.flatnonzero(given.labels == 8)[0]]
    with_her, without = learned(given), learned(given, np.flatnonzero(~her))
    strange = without.score(given.strips(np.flatnonzero(her))).max()
    assert with_her.scores[-1] > 0.8 * strange


@pytest.mark.real
def test_strips_without_beats_are_strange_where_none_were_known_and_finite(real_data: Path) -> None:
    data = small(real_data)
    given = study(real_data)
    empty = [np.zeros(0, dtype=np.int64)] * 3
    beats = cut_beats(np.zeros(3 * 2604, np.float32), np.arange(4) * 2604, data.strips.fs, empty, np.array([-1] * 3))
    known = learned(given, np.flatnonzero(np.diff(given.beats.bounds) > 0))
    parts = known.parts(Study.of(beats))
    assert parts.shape == (3, len(PARTS)) and np.isfinite(parts).all()
    assert (known.share(known.score(Study.of(beats))) < 0.02).all()


@pytest.mark.real
def test_with_too_few_patients_nothing_is_known(real_data: Path) -> None:
    given = study(real_data)
    first = np.flatnonzero(given.beats.patient < 2)
    assert learn_known(given.strips(first)) is None
    together = np.zeros(int(given.beats.patient.max()) + 1, dtype=np.int64)
    assert learn_known(given, together) is None
