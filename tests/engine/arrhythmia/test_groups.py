"""Groups for one-action labelling: whose they are, how pure, in which order, and what a label of one does."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from ecg_engine.arrhythmia.groups import (
    describe_for_groups,
    entropy,
    find_groups,
    plain_groups,
    rank_groups,
    smooth,
)
from ecg_engine.arrhythmia.propagation import pass_on, said_of
from tests.engine.arrhythmia.small import small


@pytest.fixture(scope="module")
def group(real_data: Path) -> np.ndarray:
    few = small(real_data)
    return find_groups(few.beats, few.context)


def test_a_group_is_of_one_patient_and_nearly_of_one_class(real_data: Path, group: np.ndarray) -> None:
    few = small(real_data)
    patient = few.beats.patient[few.beats.strip]
    assert len(group) == len(few.beats)
    for one in range(int(group.max()) + 1):
        assert len(np.unique(patient[group == one])) == 1
    codes = np.array(["NSVFQ".index(one) for one in few.aami])
    table = np.zeros((int(group.max()) + 1, 5))
    np.add.at(table, (group, codes), 1)
    assert table.max(axis=1).sum() / table.sum() > 0.98
    assert len(table) < len(few.beats) / 8
    major = table.argmax(axis=1)[group]
    assert np.mean(major[codes == 2] == 2) > 0.93


def test_labelling_the_first_groups_gains_more_than_labelling_others(real_data: Path, group: np.ndarray) -> None:
    few = small(real_data)
    truth = np.array(["NSVFQ".index(one) for one in few.aami]) % 4
    # a model that knows nothing but early and unlike
    odd = np.clip(few.context.column("early") * 2, 0, 1) + (few.context.column("qrs_like_strip") < 0.7)
    v = np.clip(0.02 + 0.4 * odd, 0, 0.9)
    p = np.stack([1 - v, 0.2 * v, 0.7 * v, 0.1 * v], axis=1).astype(np.float32)
    table = rank_groups(group, p, few.beats.patient[few.beats.strip])
    assert table["gain"].is_monotonic_decreasing
    assert (group[table["example"]] == table["group"]).all()

    points, patient = describe_for_groups(few.context), few.beats.patient[few.beats.strip]

    def right(chosen: np.ndarray) -> float:
        said = np.full(len(group), -1)
        for one in chosen:
            said[group == one] = np.bincount(truth[group == one]).argmax()
        nothing = np.full(len(group), -1)
        words = said_of(points, group, nothing, nothing > 0, said)
        return float(np.mean(pass_on(p, points, group, patient, words).argmax(axis=1) == truth))

    order = table["group"].to_numpy()
    assert right(order[:20]) > right(order[-20:]) + 0.01
    assert right(order[:20]) > np.mean(p.argmax(axis=1) == truth) + 0.01
    rest = rank_groups(group, p, few.beats.patient[few.beats.strip], {int(order[0]): 2})
    assert rest["group"].tolist() == order[1:].tolist()


def test_smoothing_keeps_the_mean_of_a_group_and_brings_its_members_together() -> None:
    p = np.random.default_rng(0).dirichlet([1, 1, 1, 1], 12).astype(np.float32)
    group = np.repeat([0, 1, 2], 4)
    out = smooth(p, group, 0.5)
    for one in range(3):
        assert np.allclose(out[group == one].mean(0), p[group == one].mean(0), atol=1e-6)
        assert out[group == one].std(0).sum() < p[group == one].std(0).sum()
    assert np.allclose(smooth(p, group, 0.0), p)


def test_entropy_in_bits_and_no_beats() -> None:
    assert entropy(np.array([[0.25] * 4, [1, 0, 0, 0]])) == pytest.approx([2, 0], abs=1e-6)
    empty = np.zeros(0, dtype=np.int64)
    assert len(rank_groups(empty, np.zeros((0, 4), dtype=np.float32), empty)) == 0


def test_plain_are_a_patients_largest_group_if_it_is_taken_for_n_and_large_groups_of_ectopics() -> None:
    p = np.tile(np.array([0.96, 0.02, 0.01, 0.01], dtype=np.float32), (114, 1))
    group = np.array([0] * 8 + [1] * 3 + [2] * 3 + [3] * 50 + [4] * 40 + [5] * 10)
    patient = np.array([0] * 11 + [1] * 3 + [2] * 100)
    p[11:14] = np.array([0.1, 0.8, 0.05, 0.05])
    p[64:] = np.array([0.02, 0.01, 0.95, 0.02])
    # the second patient's only group is ectopic, and small; so is the third patient's last
    assert plain_groups(p, group, patient) == {0: 0, 3: 0, 4: 2}
    p[64:104] = np.array([0.2, 0.0, 0.8, 0.0])
    assert plain_groups(p, group, patient) == {0: 0, 3: 0}
