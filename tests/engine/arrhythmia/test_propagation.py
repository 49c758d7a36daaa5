"""What a reader said of some beats is passed on to their look-alikes, and to nobody else's."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.special import softmax

from ecg_engine.arrhythmia import propagation
from ecg_engine.arrhythmia.propagation import Said, pass_on, said_of, with_plain

N_LIKE = np.array([0.9, 0.04, 0.05, 0.01], dtype=np.float32)
NOBODY = np.full(12, -1)


def _beats(seed: int = 0) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """Two patients with the same beats: four of one shape, two of a shape nearby, as many far off; in two groups."""
    rng = np.random.default_rng(seed)
    places = np.zeros((6, 5))
    places[2:4, 0], places[4:, 0] = 0.5, 6.0
    points = np.tile(places, (2, 1)) + rng.normal(0, 0.02, (12, 5))
    group = np.array([0, 0, 1, 1, 2, 2, 3, 3, 4, 4, 5, 5])
    return points.astype(np.float32), group, np.repeat([0, 1], 6), np.tile(N_LIKE, (12, 1))


def _said(beat: int, number: int, for_group: bool = False, lone: bool = False) -> Said:
    return Said(np.array([beat]), np.array([number]), np.array([for_group]), np.array([lone]))


def test_a_correction_reaches_look_alikes_of_the_same_patient_by_how_near_they_are() -> None:
    points, group, patient, p = _beats()
    out = pass_on(p, points, group, patient, _said(0, 2))
    v = out[:, 2]
    assert out.argmax(axis=1)[:2].tolist() == [2, 2]
    assert v[1] > v[2] > v[4] and v[2] > p[2, 2]
    assert np.allclose(out[4:6], p[4:6], atol=1e-3)
    assert np.array_equal(out[6:], p[6:])
    assert np.allclose(out.sum(axis=1), 1, atol=1e-5)


def test_a_word_about_a_group_reaches_members_that_look_otherwise_and_one_about_a_beat_does_not() -> None:
    points, group, patient, p = _beats()
    points[1, 1] = 9.0
    alone, whole = (pass_on(p, points, group, patient, _said(0, 2, for_group)) for for_group in (False, True))
    assert np.allclose(alone[1], p[1], atol=1e-3)
    assert whole[1, 2] > 1.5 * p[1, 2] and whole[1, 0] < p[1, 0]
    # one of which the model is all but certain is a stray
    p[1] = [0.9997, 1e-4, 1e-4, 1e-4]
    assert pass_on(p, points, group, patient, _said(0, 2, True))[1].argmax() == 0


def test_agreement_moves_less_than_contradiction_and_never_another_way() -> None:
    points, group, patient, p = _beats()
    agreed = pass_on(p, points, group, patient, _said(0, 0))
    assert (agreed.argmax(axis=1) == 0).all() and (agreed[:4, 0] >= p[:4, 0]).all()
    assert np.abs(agreed - p).max() < 0.1
    assert np.abs(pass_on(p, points, group, patient, _said(0, 2)) - p).max() > 0.5


def test_the_order_of_beats_and_of_words_does_not_matter() -> None:
    points, group, patient, p = _beats()
    said = Said(np.array([0, 2, 7]), np.array([2, 0, 1]), np.array([True, False, True]), NOBODY[:3] > 0)
    out = pass_on(p, points, group, patient, said)
    order = np.random.default_rng(1).permutation(12)
    moved = Said(np.argsort(order)[said.beat][::-1], *(one[::-1] for one in said[1:]))
    again = pass_on(p[order], points[order], group[order], patient[order], moved)
    assert np.allclose(again, out[order], atol=2e-3)


def test_nearby_words_that_differ_each_have_their_own_neighbourhood() -> None:
    points, group, patient, p = _beats()
    said = Said(np.array([0, 2]), np.array([2, 0]), np.array([True, True]), NOBODY[:2] > 0)
    out = pass_on(p, points, group, patient, said)
    assert out.argmax(axis=1)[:4].tolist() == [2, 2, 0, 0]


def test_the_mode_is_where_each_pull_is_what_was_said_less_what_is_thought() -> None:
    rng = np.random.default_rng(3)
    places = rng.normal(0, 1, (40, 3))
    group = np.arange(40) % 4
    covariance = 30 * np.exp(-((places[:, None] - places) ** 2).sum(axis=2)) + 5 * (group[:, None] == group)
    offsets = np.log(rng.dirichlet([1, 1, 1, 1, 1], 40))
    number = rng.integers(0, 5, 40)
    pull = propagation._conditioned(covariance, offsets, number)
    assert np.allclose(pull, np.eye(5)[number] - softmax(offsets + covariance @ pull, axis=1), atol=1e-3)
    assert np.allclose(pull.sum(axis=1), 0, atol=1e-6)


def test_beats_labelled_in_one_stroke_speak_by_the_most_typical_and_for_the_group_if_they_are_half_of_it() -> None:
    points, group = np.zeros((12, 2), dtype=np.float32), np.zeros(12, dtype=np.int64)
    points[:, 0] = [0, 0.1, -0.1, 0.2, 9, 5, 5.1, 4.9, 5, 5, 5, 5]
    group[8:] = 1
    stroke = np.array([2, 2, 2, 2, 2, -1, -1, -1, 1, -1, -1, -1])
    said = said_of(points, group, NOBODY, NOBODY > 0, stroke)
    # not the one that is far from the rest: perhaps it is a stray
    assert dict(zip(said.beat.tolist(), said.number.tolist(), strict=True)) == {0: 2, 1: 2, 3: 2, 8: 1}
    assert said.for_group[said.number == 2].all() and not said.for_group[said.number == 1].any()
    # what was said of a beat alone comes first
    alone = NOBODY.copy()
    alone[:5] = 0
    said = said_of(points, group, alone, NOBODY > 0, stroke)
    assert sorted(said.beat.tolist()) == [0, 1, 2, 3, 4, 8] and not said.for_group.any()


def test_a_lone_beat_may_be_a_stray_but_three_that_agree_weigh_more() -> None:
    points, group, patient, p = _beats()
    p[:6] = [0.99, 0.004, 0.004, 0.002]
    one, more = _said(0, 2, lone=True), Said(np.array([0, 1, 3]), np.full(3, 2), NOBODY[:3] > 0, NOBODY[:3] < 0)
    firm, lone, three = (pass_on(p, points, group, patient, said)[2, 2] for said in (_said(0, 2), one, more))
    assert p[2, 2] < lone < 0.5 < firm
    assert three > 2 * lone


def test_what_is_plain_of_a_patient_holds_its_place_unless_it_is_spoken_of() -> None:
    rng = np.random.default_rng(5)
    points = rng.normal(0, 0.04, (200, 5)).astype(np.float32)
    group, patient = np.repeat([0, 1], 100), np.repeat([0, 1], 100)
    p = np.tile(np.array([0.97, 0.01, 0.01, 0.01], dtype=np.float32), (200, 1))
    stray = _said(0, 2, lone=True)
    held = with_plain(stray, points, group, patient, p, {0: 0, 1: 0})
    assert set(patient[held.beat]) == {0}  # nothing was said of the other patient
    assert (held.number[1:] == 0).all() and 5 < len(held.beat) < 20
    turned = pass_on(p, points, group, patient, held).argmax(axis=1) == 2
    assert turned[:100].sum() < 10 and not turned[100:].any()
    # members that the model doubts hold nothing, and a word about the group stands
    p[:100, :3] = [0.5, 0.1, 0.39]
    assert len(with_plain(stray, points, group, patient, p, {0: 0}).beat) == 1
    p[:100, :3] = [0.97, 0.01, 0.01]
    assert len(with_plain(_said(0, 2, True), points, group, patient, p, {0: 0}).beat) == 1


def test_a_large_group_of_sure_ectopics_is_not_turned_by_one_of_them_and_is_by_a_word_about_all() -> None:
    points = np.random.default_rng(6).normal(0, 0.04, (60, 5)).astype(np.float32)
    group = patient = np.zeros(60, dtype=np.int64)
    p = np.tile(np.array([0.03, 0.01, 0.95, 0.01], dtype=np.float32), (60, 1))
    for said, turned in ((_said(0, 0, lone=True), 0.0), (_said(0, 0, True), 1.0)):
        held = with_plain(said, points, group, patient, p, {0: 2})
        assert np.mean(pass_on(p, points, group, patient, held).argmax(axis=1)[1:] == 0) == pytest.approx(
            turned, abs=0.1
        )


def test_nothing_said_changes_nothing_and_no_beats_are_no_trouble() -> None:
    points, group, patient, p = _beats()
    silent = said_of(points, group, NOBODY, NOBODY > 0, NOBODY)
    assert len(silent.beat) == 0
    assert np.array_equal(pass_on(p, points, group, patient, silent), p)
    none = np.zeros(0, dtype=np.int64)
    silent = said_of(points[:0], none, none, none > 0, none)
    assert pass_on(p[:0], points[:0], none, none, silent).shape == (0, 4)


def test_a_patient_with_more_words_and_beats_than_are_taken_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    points, group, patient, p = _beats()
    words = said_of(points, group, np.array([2, 2, 0, 0, 0, 0, 2, 2, 0, 0, 0, 0]), NOBODY > 0, NOBODY)
    plain = pass_on(p, points, group, patient, words)
    monkeypatch.setattr(propagation, "PART", 4)
    assert np.allclose(pass_on(p, points, group, patient, words), plain)
    monkeypatch.setattr(propagation, "MOST", 4)
    fewer = pass_on(p, points, group, patient, words)
    assert fewer.argmax(axis=1).tolist() == plain.argmax(axis=1).tolist()
