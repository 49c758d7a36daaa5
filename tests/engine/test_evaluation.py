"""Reports, beat matching and the figures for doubt."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from sklearn.metrics import precision_recall_fscore_support, roc_auc_score

from ecg_engine.evaluation import (
    NO_BEAT,
    aami_report,
    auroc,
    calibration_error,
    class_report,
    confusion,
    coverage_at_accuracy,
    fit_temperature,
    match_beats,
    risk_coverage,
    softmax,
    strict_labels,
)

RNG = np.random.default_rng(0)


def test_class_report_agrees_with_sklearn() -> None:
    true, guess = RNG.integers(0, 4, 200), RNG.integers(0, 4, 200)
    report = class_report(true, guess)
    ppv, se, f1, support = precision_recall_fscore_support(true, guess)
    np.testing.assert_allclose(report["se"], se)
    np.testing.assert_allclose(report["ppv"], ppv)
    np.testing.assert_allclose(report["f1"], f1)
    assert report["support"].tolist() == support.tolist()


def test_unknown_counts_as_a_miss_and_undefined_shares_are_nan() -> None:
    report = class_report([0, 0, 2], [0, -99, 0], [0, 2, 5]).set_index("label")
    assert report.loc[0, "se"] == 0.5
    assert report.loc[2, "se"] == 0
    assert np.isnan(report.loc[2, "ppv"])
    assert np.isnan(report.loc[5, "se"])
    assert report.loc[0, "name"] == "Normal"


def test_aami_groups_subtypes_and_leaves_out_what_has_no_class() -> None:
    #        brady-normal  PVC-couplet  PAC missed  VFib true   noise true  spurious V
    true = [3, 2, 1, 8, -1, NO_BEAT]
    guess = [0, 10, 0, 2, 2, 2]
    report = aami_report(true, guess).set_index("label")
    assert report["support"].to_dict() == {"N": 1, "S": 1, "V": 1}
    assert report.loc["V", "se"] == 1
    assert report.loc["V", "ppv"] == 0.5, "the spurious V counts, those on VFib and noise do not"
    assert report.loc["N", "ppv"] == 0.5
    assert report.loc["S", "se"] == 0


def test_confusion_has_true_in_rows() -> None:
    assert confusion([0, 0, 5, 2], [5, 0, 5, -99], [0, 2, 5]).tolist() == [[1, 0, 1], [0, 0, 0], [0, 0, 1]]
    assert confusion([], [], [0, 1]).tolist() == [[0, 0], [0, 0]]


def test_a_spurious_peak_does_not_steal_a_beat() -> None:
    match = match_beats([1.0, 2.0], [0.9, 1.01, 2.149, 3.0])
    assert match.true_index.tolist() == [0, 1]
    assert match.found_index.tolist() == [1, 2]
    assert match.spurious.tolist() == [0, 3]
    assert match.missed.tolist() == []


def test_as_many_beats_as_possible_are_matched() -> None:
    # nearest-first would pair 0.20 with 0.14 and leave two beats alone
    match = match_beats([0.0, 0.20], [0.14, 0.34])
    assert match.found_index.tolist() == [0, 1]


def test_the_tolerance_is_inclusive_and_strips_stay_apart() -> None:
    assert len(match_beats([1.0], [1.15]).true_index) == 1
    assert len(match_beats([1.0], [1.1501]).true_index) == 0
    match = match_beats([1.0, 1.0], [1.0, 1.05], true_strip=[3, 7], found_strip=[7, 7])
    assert match.true_index.tolist() == [1]
    assert match.found_index.tolist() == [0]
    with pytest.raises(ValueError, match="neither"):
        match_beats([1.0], [1.0], true_strip=[0])


@example([57], [72])
@given(
    st.lists(st.integers(0, 200), unique=True, max_size=12),
    st.lists(st.integers(0, 200), unique=True, max_size=12),
)
def test_matching_is_one_to_one_and_optimal(true: list[int], found: list[int]) -> None:
    from scipy.optimize import linear_sum_assignment

    a, b = np.array(true) / 100, np.array(found) / 100
    match = match_beats(a, b)
    assert len(set(match.found_index.tolist())) == len(match.found_index)
    assert sorted([*match.true_index, *match.missed]) == list(range(len(a)))
    assert sorted([*match.found_index, *match.spurious]) == list(range(len(b)))
    near = np.abs(a[:, None] - b[None, :])
    assert (near[match.true_index, match.found_index] <= 0.15 + 1e-9).all()
    gain = np.where(near <= 0.15 + 1e-9, 1000.0 - near, 0.0)
    best = gain[linear_sum_assignment(-gain)].sum()
    assert gain[match.true_index, match.found_index].sum() == pytest.approx(best)


def test_strict_labels_count_missed_and_spurious() -> None:
    match = match_beats([1.0, 2.0, 3.0], [1.0, 2.5, 3.0])
    true, guess = strict_labels(match, [0, 2, 2], [0, 2, 0])
    report = class_report(true, guess, [0, 2]).set_index("label")
    assert report.loc[2, "se"] == 0
    assert report.loc[2, "support"] == 2
    assert report.loc[2, "predicted"] == 1
    assert report.loc[0, "ppv"] == 0.5


def test_risk_falls_as_coverage_falls_for_an_honest_confidence() -> None:
    sure = np.linspace(0.5, 1, 2000)
    right = RNG.random(2000) < sure
    curve = risk_coverage(sure, right)
    assert curve["coverage"].iloc[-1] == 1
    assert curve["risk"].iloc[-1] == pytest.approx(1 - right.mean())
    assert curve["risk"].iloc[500] < curve["risk"].iloc[-1]
    assert coverage_at_accuracy([0.9, 0.8, 0.7, 0.7], [1, 1, 0, 1], 0.98) == 0.5, "equal confidences stay together"
    assert coverage_at_accuracy([0.9], [0]) == 0


def test_auroc_agrees_with_sklearn() -> None:
    score, flag = RNG.integers(0, 9, 300), RNG.random(300) < 0.3
    assert auroc(score, flag) == pytest.approx(roc_auc_score(flag, score))
    assert np.isnan(auroc([1.0, 2.0], [True, True]))


def test_temperature_finds_the_scale_and_lowers_the_calibration_error() -> None:
    honest = RNG.normal(size=(4000, 5)) * 2
    p = softmax(honest)
    y = np.array([RNG.choice(5, p=row) for row in p])
    loud = honest * 3
    temperature = fit_temperature(loud, y)
    assert temperature == pytest.approx(3, rel=0.1)
    errors = [
        calibration_error(q.max(axis=1), q.argmax(axis=1) == y) for q in (softmax(loud), softmax(loud, temperature))
    ]
    assert errors[1] < errors[0] / 3
    assert calibration_error([0.75] * 4, [1, 1, 1, 0]) == 0
    assert fit_temperature(np.zeros((0, 3)), []) == 1
