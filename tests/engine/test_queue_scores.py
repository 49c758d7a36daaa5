"""Scores that queues are sorted by, and orders that depend on the items alone."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from ecg_engine.errors import ConfigError
from ecg_engine.labels import CLASS_LABELS, FILE_LABELS, NOISE, UNKNOWN, UNLABELLED, label_id
from ecg_engine.queue import ORDERS, order_of, patient_order
from ecg_engine.ranking import METHODS, SEVERITY, expected_severity, label_quality, prototype_distance, severity_of

PVC, NORMAL, VTACH, AFIB, PAC = (label_id(name) for name in ("PVC", "Normal", "VTach", "AFib", "PAC"))
SCORES = ("doubt", "gain", "distance", "quality", "severity", "confidence")


def test_a_label_is_good_if_the_model_would_give_it_and_bad_if_it_surely_gives_another() -> None:
    labels = [PVC, PVC, PVC, PVC]
    predicted, sure = [PVC, PVC, NORMAL, NORMAL], [0.9, 0.5, 0.5, 0.9]
    for method in METHODS:
        found = label_quality(labels, predicted, sure, method=method)
        assert np.all(np.diff(found) < 0), method
        assert found.min() >= 0 and found.max() <= 1
    assert label_quality(labels, predicted, sure, method="self_confidence")[0] == pytest.approx(0.9)
    # 0.9 against 0.1 / 12 for the likeliest other label
    assert label_quality(labels, predicted, sure)[0] == pytest.approx((0.9 - 0.1 / 12 + 1) / 2)


def test_a_margin_of_nothing_is_one_half() -> None:
    even = 1 / len(CLASS_LABELS)
    np.testing.assert_allclose(label_quality([PVC, PVC], [PVC, NORMAL], [even, even]), 0.5)


def test_noise_is_judged_by_the_gate_and_what_has_no_label_or_prediction_by_nothing() -> None:
    found = label_quality([NOISE, NOISE, UNLABELLED, PVC], [PVC] * 4, [0.9, 0.9, 0.9, np.nan], [0.8, np.nan, 0.1, 0.1])
    np.testing.assert_array_equal(found, [0.8, np.nan, np.nan, np.nan])
    assert np.isnan(label_quality([NOISE], [PVC], [0.9])[0])


def test_an_unknown_method_is_refused() -> None:
    with pytest.raises(ConfigError, match=r"no method 'entropy'.*self_confidence"):
        label_quality([PVC], [PVC], [1.0], method="entropy")


def test_every_label_has_a_severity_and_the_serious_ones_more() -> None:
    assert set(SEVERITY) == set(FILE_LABELS)
    order = ["VFib", "VTach", "Triplets", "Couplets", "AFib", "PVC", "PAC", "Normal"]
    assert [SEVERITY[label_id(name)] for name in order] == sorted(SEVERITY[label_id(name)] for name in order)[::-1]
    np.testing.assert_array_equal(severity_of([VTACH, UNKNOWN, UNLABELLED]), [SEVERITY[VTACH], np.nan, np.nan])


def test_what_is_at_stake_grows_with_the_chance_of_something_serious() -> None:
    sure, doubtful = expected_severity([NORMAL, NORMAL], [0.99, 0.4])
    assert sure < doubtful, "a doubtful Normal may be something serious"
    sure, doubtful = expected_severity([VTACH, VTACH], [0.99, 0.4])
    assert sure > doubtful
    assert expected_severity([VTACH], [1.0])[0] == SEVERITY[VTACH]
    unknown = expected_severity([UNKNOWN, UNKNOWN], [0.9, np.nan])
    np.testing.assert_allclose(unknown, np.mean([SEVERITY[label] for label in CLASS_LABELS]))
    assert expected_severity([PVC], [np.nan])[0] == pytest.approx(expected_severity([PVC], [0.5])[0])


def test_distance_is_to_the_own_prototype_else_to_the_nearest() -> None:
    waves = {3: np.array([1, 0, 0], np.float32), 7: np.array([0, 2, 0], np.float32)}
    beats = np.array([[5, 0, 0], [0, 1, 0], [0, 1, 0], [0, 0, 0]], np.float32)
    found = prototype_distance(beats, np.array([3, 3, -1, -1], np.int32), waves)
    np.testing.assert_allclose(found, [0, 1, 0, 1], atol=1e-6)
    assert np.isnan(prototype_distance(beats, np.array([3, 3, -1, -1], np.int32), {})).all()
    assert prototype_distance(beats[:0], np.zeros(0, np.int32), waves).shape == (0,)


def items(seed: int, size: int) -> pd.DataFrame:
    """Items with many ties and many missing figures; strips have the id -1, one a row of the file."""
    rng = np.random.default_rng(seed)
    values = {name: np.where(rng.random(size) < 0.2, np.nan, rng.integers(0, 4, size) / 3) for name in SCORES}
    rows, strip = rng.integers(0, 6, size), rng.random(size) < 0.2
    strip &= ~pd.Series(np.where(strip, rows, -1 - np.arange(size))).duplicated().to_numpy()
    return pd.DataFrame(
        {
            **values,
            "source_row": rows,
            "beat_global_id": np.where(strip, -1, rng.permutation(size)),
            "suggestion": np.where(rng.random(size) < 0.2, np.nan, rng.integers(0, 4, size)),
            "patient_order": rows // 2,
        }
    )


def told(table: pd.DataFrame, order: str) -> list[tuple[int, int]]:
    found = table.iloc[order_of(table, order)]
    return list(zip(found["source_row"].tolist(), found["beat_global_id"].tolist(), strict=True))


def a_permutation(seed: int, size: int) -> NDArray[np.int64]:
    return np.random.default_rng(seed).permutation(size)


@settings(deadline=None, max_examples=60)
@given(st.sampled_from(list(ORDERS)), st.integers(0, 1000), st.integers(0, 40), st.integers(0, 1000))
def test_an_order_is_that_of_the_items_and_not_of_their_rows(order: str, seed: int, size: int, shuffle: int) -> None:
    table = items(seed, size)
    assert told(table.iloc[a_permutation(shuffle, size)], order) == told(table, order)


@settings(deadline=None, max_examples=60)
@given(st.sampled_from(list(ORDERS)), st.integers(0, 1000), st.integers(1, 40), st.data())
def test_items_that_come_or_go_do_not_reorder_the_others(order: str, seed: int, size: int, data: st.DataObject) -> None:
    table = items(seed, size)
    kept = np.array(data.draw(st.lists(st.booleans(), min_size=size, max_size=size)), dtype=bool)
    names = set(zip(table["source_row"][kept].tolist(), table["beat_global_id"][kept].tolist(), strict=True))
    assert told(table[kept], order) == [one for one in told(table, order) if one in names]


@pytest.mark.parametrize("order", [name for name, order in ORDERS.items() if order.by])
def test_what_has_no_figure_comes_last(order: str) -> None:
    table = items(5, 30)
    first = table.iloc[order_of(table, order)][ORDERS[order].by[0].removeprefix("-")].isna().to_numpy()
    assert np.all(np.diff(first.astype(int)) >= 0)


def test_each_order_says_what_it_does() -> None:
    assert next(iter(ORDERS)) == "uncertain"
    names = {"uncertain", "gain", "typical", "mislabelled", "serious", "likely", "suggestion", "patient", "first"}
    assert names == set(ORDERS)
    assert len({order.title for order in ORDERS.values()}) == len(ORDERS)
    assert all(order.help.endswith(".") for order in ORDERS.values())


def test_an_unknown_order_is_refused() -> None:
    with pytest.raises(ConfigError, match=r"no order 'by moon'.*serious"):
        order_of(items(1, 3), "by moon")


def test_patients_are_ordered_by_number_then_by_name() -> None:
    found = patient_order(pd.Series(["B", "10", "2", "unknown", "2", "A"]))
    assert found.tolist() == [3, 1, 0, 4, 0, 2]
    assert patient_order(pd.Series([], dtype=object)).tolist() == []
