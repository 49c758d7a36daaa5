"""New-pattern alerts: the golden clusters, the join by beat id, and small counts."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from ecg_engine.alerts import CLUSTER_COLUMNS, find_patterns, number_of_clusters, save_patterns
from ecg_engine.config import AlertConfig
from ecg_engine.errors import InputError


def groups(sizes: tuple[int, ...], seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """Well-separated groups: features (n, 6) and beats (n, 20)."""
    rng = np.random.default_rng(seed)
    which = np.repeat(np.arange(len(sizes)), sizes)
    features = rng.normal(0, 0.1, (len(which), 6)) + 10.0 * np.eye(6)[which]
    return features.astype(np.float32), (which[:, None] + np.zeros((1, 20))).astype(np.float32)


def table(ids: np.ndarray, flags: np.ndarray | int = 1) -> pd.DataFrame:
    return pd.DataFrame({"beat_global_id": ids, "review_flag": flags})


@pytest.fixture(scope="module")
def golden(reference_folder: Path) -> tuple[pd.DataFrame, np.ndarray, np.ndarray, Path]:
    folder = reference_folder / "preprocess"
    predictions = pd.read_csv(reference_folder / "alerts_input_predictions.csv")
    return predictions, np.load(folder / "features.npy"), np.load(folder / "beats.npy"), reference_folder / "alerts"


@pytest.mark.golden
def test_golden_alerts(golden: tuple[pd.DataFrame, np.ndarray, np.ndarray, Path]) -> None:
    predictions, features, beats, folder = golden
    found = find_patterns(predictions, features, beats)
    want = pd.read_csv(folder / "new_pattern_clusters.csv")
    same = ["size", "size_ratio", "example_beat_ids", "alert_flag"]
    pd.testing.assert_frame_equal(found.clusters[same], want[same], check_dtype=False)
    pd.testing.assert_frame_equal(
        found.alerts[same], pd.read_csv(folder / "new_pattern_alerts.csv")[same], check_dtype=False
    )
    assert list(found.clusters.columns) == list(want.columns) == list(CLUSTER_COLUMNS)
    assert found.summary == json.loads((folder / "new_pattern_summary.json").read_text())
    for mine, theirs in zip(found.clusters["cluster_id"], want["cluster_id"], strict=True):
        centroid = np.load(folder / f"cluster_{theirs}_centroid.npy")
        np.testing.assert_allclose(found.centroids[mine], centroid, atol=1e-4)


@pytest.mark.golden
def test_order_of_the_predictions_does_not_matter(golden: tuple[pd.DataFrame, np.ndarray, np.ndarray, Path]) -> None:
    """Rows are joined by beat id: a shuffled table that lacks rows still finds the same beats (correction 1)."""
    predictions, features, beats, _ = golden
    found = find_patterns(predictions, features, beats)
    shuffled = predictions[predictions["review_flag"] == 1].sample(frac=1.0, random_state=1)
    again = find_patterns(shuffled, features, beats)
    pd.testing.assert_frame_equal(again.members, found.members)
    pd.testing.assert_frame_equal(again.clusters, found.clusters)


def test_join_is_by_id_not_by_position() -> None:
    features, beats = groups((90, 40))
    ids = np.arange(1000, 1130)
    found = find_patterns(table(ids[90:]), features, beats, beat_ids=ids)
    assert found.summary["unknown_count"] == 40
    assert all((wave == 1).all() for wave in found.centroids.values())


def test_large_groups_are_alerts_and_small_ones_are_not() -> None:
    features, beats = groups((90, 40))
    found = find_patterns(table(np.arange(130)), features, beats)
    assert found.clusters["size"].tolist() == [90, 40]
    assert found.clusters["alert_flag"].tolist() == [1, 0]
    assert found.alerts["cluster_id"].tolist() == [found.clusters["cluster_id"].iloc[0]]
    assert found.clusters["size_ratio"].sum() == pytest.approx(1)
    assert (found.centroids[found.alerts["cluster_id"].iloc[0]] == 0).all()


def test_nothing_under_review_is_a_summary_of_zeros() -> None:
    features, beats = groups((10,))
    found = find_patterns(table(np.arange(10), 0), features, beats)
    assert found.summary == {"unknown_count": 0, "clusters_found": 0, "alerts": 0, "min_alert_size": 80}
    assert list(found.clusters.columns) == list(CLUSTER_COLUMNS) and len(found.members) == 0


@pytest.mark.parametrize("n", [1, 2, 3])
def test_few_beats_under_review(n: int) -> None:
    """One beat asked the old script for two clusters (correction 8)."""
    features, beats = groups((10,))
    found = find_patterns(table(np.arange(n)), features, beats)
    assert found.summary["unknown_count"] == n == found.clusters["size"].sum()
    assert len(found.clusters) == min(n, 2)
    assert np.isfinite(found.members[["pc1", "pc2"]].to_numpy()).all()


def test_equal_beats_are_one_cluster() -> None:
    found = find_patterns(table(np.arange(50)), np.zeros((50, 4), np.float32), np.zeros((50, 9), np.float32))
    assert found.clusters["size"].tolist() == [50]


@pytest.mark.parametrize(("n", "k"), [(1, 1), (40, 2), (697, 4), (40 * 25, 5), (10**6, 20)])
def test_number_of_clusters(n: int, k: int) -> None:
    assert number_of_clusters(n, AlertConfig()) == k


def test_bad_tables_are_refused_by_name() -> None:
    features, beats = groups((10,))
    with pytest.raises(InputError, match="review_flag"):
        find_patterns(pd.DataFrame({"beat_global_id": [1]}), features, beats)
    with pytest.raises(InputError, match="beat_global_id 4 comes twice"):
        find_patterns(table(np.array([4, 4])), features, beats)
    with pytest.raises(InputError, match="first with beat_global_id 10,"):
        find_patterns(table(np.array([9, 10])), features, beats)


def test_saved_artefacts_are_those_of_the_spec_and_of_this_search_alone(tmp_path: Path) -> None:
    features, beats = groups((90, 40))
    found = find_patterns(table(np.arange(130)), features, beats)
    save_patterns(found, tmp_path)
    written = {path.name for path in tmp_path.iterdir()}
    assert {"new_pattern_clusters.csv", "new_pattern_alerts.csv", "new_pattern_summary.json"} <= written
    assert {"cluster_0_centroid.npy", "cluster_1_centroid.npy"} <= written
    pd.testing.assert_frame_equal(pd.read_csv(tmp_path / "new_pattern_clusters.csv"), found.clusters)
    np.testing.assert_array_equal(np.load(tmp_path / "cluster_1_centroid.npy"), found.centroids[1])
    save_patterns(find_patterns(table(np.arange(130), 0), features, beats), tmp_path)
    assert not list(tmp_path.glob("*.npy"))
    assert json.loads((tmp_path / "new_pattern_summary.json").read_text())["unknown_count"] == 0
    assert list(pd.read_csv(tmp_path / "new_pattern_clusters.csv").columns) == list(CLUSTER_COLUMNS)
