"""New patterns come back from their files as they were."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from ecg_engine.alerts import CLUSTERS_FILE, MEMBERS_FILE, find_patterns, load_patterns, save_patterns
from ecg_engine.config import AlertConfig
from ecg_engine.errors import InputError


def test_what_was_saved_is_loaded(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    features = rng.normal(size=(60, 5)) + np.repeat([0, 8, 16], 20)[:, None]
    beats = rng.normal(size=(60, 30)).astype(np.float32)
    predictions = pd.DataFrame({"beat_global_id": range(60), "review_flag": [1, 1, 0] * 20})
    found = find_patterns(predictions, features, beats, AlertConfig(min_alert_size=12, cluster_scale=4))
    save_patterns(found, tmp_path)
    loaded = load_patterns(tmp_path)
    pd.testing.assert_frame_equal(loaded.clusters, found.clusters, check_dtype=False)
    pd.testing.assert_frame_equal(loaded.members, found.members, check_dtype=False)
    assert loaded.alerts["cluster_id"].tolist() == found.alerts["cluster_id"].tolist()
    assert loaded.summary == found.summary
    assert loaded.centroids.keys() == found.centroids.keys()
    for number, wave in found.centroids.items():
        np.testing.assert_array_equal(loaded.centroids[number], wave)


def test_nothing_under_review_is_loaded_as_nothing(tmp_path: Path) -> None:
    none = pd.DataFrame({"beat_global_id": [0], "review_flag": [0]})
    save_patterns(find_patterns(none, np.zeros((1, 3)), np.zeros((1, 10))), tmp_path)
    loaded = load_patterns(tmp_path)
    assert len(loaded.clusters) == len(loaded.members) == 0
    assert loaded.centroids == {} and loaded.summary["unknown_count"] == 0


@pytest.mark.parametrize("name", [CLUSTERS_FILE, MEMBERS_FILE])
def test_a_missing_file_is_named(tmp_path: Path, name: str) -> None:
    none = pd.DataFrame({"beat_global_id": [0], "review_flag": [0]})
    save_patterns(find_patterns(none, np.zeros((1, 3)), np.zeros((1, 10))), tmp_path)
    (tmp_path / name).unlink()
    with pytest.raises(InputError, match=name):
        load_patterns(tmp_path)
