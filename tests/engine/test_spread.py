"""A few of many: which ones, and in which order."""

from __future__ import annotations

import numpy as np

from ecg_engine.spread import evenly, typical_first


def test_evenly_takes_first_and_last_no_place_twice_and_no_more_than_there_are() -> None:
    assert evenly(10, 4).tolist() == [0, 3, 6, 9]
    assert evenly(3, 12).tolist() == [0, 1, 2]
    assert evenly(7, 1).tolist() == [0]
    assert evenly(0, 5).tolist() == []
    gaps = np.diff(evenly(1000, 13))
    assert gaps.min() >= 83 and gaps.max() <= 84


def test_typical_first_goes_by_the_distance_to_the_centre_and_keeps_the_order_of_equals() -> None:
    waves = np.array([[0.0, 0], [3, 3], [1, 1], [1, 1]], dtype=np.float32)
    assert typical_first(waves).tolist() == [2, 3, 0, 1]
    assert typical_first(waves, np.array([3.0, 3])).tolist() == [1, 2, 3, 0]
    assert typical_first(waves[:0]).tolist() == []
