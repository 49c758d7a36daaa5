"""The review queue: which beats, in which order, and why."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from ecg_engine.config import PredictConfig
from ecg_engine.errors import ConfigError
from ecg_engine.queue import ORDERS, REASON_TITLES, review_queue, why_in_words
from ecg_engine.ranking import doubt

CONFIG = PredictConfig(min_class_conf=0.6, max_noise_prob=0.5, min_proto_sim=0.2)


def beats(**columns: object) -> pd.DataFrame:
    """Six beats, the last of them not under review."""
    table = pd.DataFrame(
        {
            "beat_global_id": [0, 1, 2, 3, 4, 5],
            "source_row": [0, 0, 1, 1, 2, 2],
            "r_index": [100, 300, 90, 400, 80, 200],
            "patient_id": ["10", "10", "2", "2", "A", "A"],
            "pred_label_raw": [2.0, 0.0, 2.0, 0.0, 1.0, 0.0],
            "pred_conf": [0.5, 0.3, 0.9, 0.55, 0.8, 0.99],
            "noise_prob": [0.1, 0.1, 0.9, 0.1, 0.1, 0.1],
            "max_proto_sim": [0.9, 0.9, 0.9, 0.1, 0.05, 0.9],
            "review_flag": [1, 1, 1, 1, 1, 0],
            "review_reason": ["confidence", "confidence", "noise", "confidence;similarity", "similarity", ""],
        }
    )
    return table.assign(**columns)


def ids(**options: object) -> list[int]:
    return review_queue(beats(), CONFIG, **options)["beat_global_id"].tolist()  # type: ignore[arg-type]


def test_only_beats_under_review_wait_and_every_order_has_them_all() -> None:
    for order in ORDERS:
        assert sorted(ids(order=order)) == [0, 1, 2, 3, 4], order


def test_the_most_uncertain_is_the_furthest_beyond_a_limit() -> None:
    # noise 0.4 of 0.5 beyond; confidence half way to nothing; then smaller and smaller steps
    assert ids(order="uncertain") == [2, 1, 0, 4, 3]
    far = doubt(beats(), CONFIG)
    np.testing.assert_allclose(far, [1 / 6, 0.5, 0.8, 1 / 12, 0.125, 0.0], atol=1e-9)


def test_orders_by_confidence_suggestion_patient_and_file() -> None:
    assert ids(order="likely") == [2, 4, 3, 0, 1]
    assert ids(order="suggestion") == [3, 1, 4, 2, 0]
    assert ids(order="first") == [0, 1, 2, 3, 4]
    assert ids(order="patient") == [2, 3, 0, 1, 4], "patient 2 before 10, numbers before names"


@pytest.mark.parametrize("order", list(ORDERS))
def test_an_order_does_not_depend_on_the_order_of_the_rows(order: str) -> None:
    shuffled = beats().sample(frac=1, random_state=3)
    found = review_queue(shuffled, CONFIG, order=order)["beat_global_id"].tolist()
    assert found == ids(order=order)


def test_filters_by_reason_suggestion_and_patient_add_up() -> None:
    assert sorted(ids(reasons=["similarity"])) == [3, 4]
    assert sorted(ids(reasons=["similarity", "noise"])) == [2, 3, 4]
    assert sorted(ids(suggestions=[2])) == [0, 2]
    assert sorted(ids(patients=["2"])) == [2, 3]
    assert ids(reasons=["noise"], suggestions=[0]) == []


def test_a_test_that_the_model_cannot_make_adds_no_doubt() -> None:
    table = beats(noise_prob=np.nan, max_proto_sim=np.nan)
    np.testing.assert_allclose(doubt(table, CONFIG), [1 / 6, 0.5, 0, 1 / 12, 0, 0], atol=1e-9)
    assert len(review_queue(table, CONFIG)) == 5


def test_limits_at_their_ends_do_not_divide_by_nothing() -> None:
    ends = PredictConfig(min_class_conf=0.0, max_noise_prob=1.0, min_proto_sim=-1.0)
    assert np.all(doubt(beats(), ends) == 0)


def test_an_empty_queue_stays_a_table() -> None:
    none = review_queue(beats(review_flag=0), CONFIG)
    assert len(none) == 0 and "pred_conf" in none


def test_an_unknown_order_is_refused_with_those_there_are() -> None:
    with pytest.raises(ConfigError, match=r"no order 'by moon'.*uncertain"):
        review_queue(beats(), CONFIG, order="by moon")


def test_the_reasons_are_told_with_figure_and_limit() -> None:
    rows = beats().to_dict("records")
    (only,) = why_in_words(rows[0], CONFIG)
    assert "50%" in only and "60%" in only
    both = why_in_words(rows[3], CONFIG)
    assert len(both) == 2 and "0.10" in both[1] and "0.20" in both[1]
    (noise,) = why_in_words(rows[2], CONFIG)
    assert "noise" in noise and "90%" in noise
    assert why_in_words(rows[5], CONFIG) == []
    assert {"confidence", "noise", "similarity"} <= set(REASON_TITLES)
