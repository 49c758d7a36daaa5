"""The reference profile holds the golden outputs of the scripts that it restates (spec, tolerances)."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from sklearn.decomposition import PCA
from sklearn.metrics import adjusted_rand_score
from threadpoolctl import threadpool_limits  # type: ignore[import-untyped]

from ecg_engine.artifacts import load_run, save_run
from ecg_engine.config import PreprocessConfig
from ecg_engine.preprocess import Run, preprocess
from ecg_engine.strips import read_strips
from ecg_engine.windows import gather

pytestmark = pytest.mark.golden
CLOSE = 1e-4


@pytest.fixture(scope="module")
def run(reference_folder: Path) -> Run:
    config = PreprocessConfig()
    seeds = pd.read_csv(reference_folder / "seeds.csv")
    return preprocess(read_strips(reference_folder / "strips.xlsx", config), config, seeds=seeds)


@pytest.fixture(scope="module")
def golden(reference_folder: Path) -> Path:
    return reference_folder / "preprocess"


def array(golden: Path, name: str) -> np.ndarray:
    return np.load(golden / f"{name}.npy")


def same_ids(run: Run, golden: Path) -> dict[int, int]:
    """Golden cluster id to the run's."""
    pairs = set(zip(array(golden, "global_cluster_ids").tolist(), run.cluster_ids.tolist(), strict=True))
    assert len(pairs) == len({theirs for theirs, _ in pairs}), "a golden cluster was split"
    return dict(pairs)


def test_metadata(run: Run, golden: Path) -> None:
    theirs = pd.read_csv(golden / "beat_metadata.csv")
    assert list(run.metadata.columns)[: len(theirs.columns)] == list(theirs.columns)
    exact = ["beat_global_id", "source_row", "patient_id", "record_label", "record_label_name", "beat_index_in_record"]
    for column in (*exact, "r_index", "noise_flag", "local_cluster_size", "global_cluster_size"):
        assert run.metadata[column].tolist() == theirs[column].tolist(), column
    for column in ("rr_prev_sec", "rr_next_sec", "quality_score"):
        np.testing.assert_allclose(run.metadata[column], theirs[column], rtol=0, atol=CLOSE, err_msg=column)


def test_arrays(run: Run, golden: Path) -> None:
    np.testing.assert_array_equal(run.labels, array(golden, "labels"))
    np.testing.assert_array_equal(run.noise_flags, array(golden, "noise_flags"))
    np.testing.assert_allclose(run.beats, array(golden, "beats"), rtol=0, atol=CLOSE)
    theirs = array(golden, "features")
    signs = np.sign((theirs * run.features).sum(axis=0))  # the sign of a principal axis is free
    assert (signs[-3:] == 1).all()
    np.testing.assert_allclose(run.features * signs, theirs, rtol=0, atol=max(CLOSE, 2 * rounding_here(golden)))


def rounding_here(golden: Path) -> float:
    """How far plain scikit-learn is from the golden features on the golden beats themselves, on this processor.

    In float32 the last principal components depend on the order in which BLAS sums, and OpenBLAS has kernels for many
    processors: 0 with those for AVX-512, 0.97e-4 with those for Haswell. Our beats may be off in the last digit, too.
    """
    beats, theirs = array(golden, "beats"), array(golden, "features")
    count = theirs.shape[1] - 3  # the rhythm stands behind the components
    with threadpool_limits(1):
        shape = PCA(n_components=count, random_state=42).fit_transform(beats)
    standard = (shape - shape.mean(axis=0)) / (shape.std(axis=0) + np.float32(1e-6))
    return float(np.abs(standard * np.sign((standard * theirs[:, :count]).sum(axis=0)) - theirs[:, :count]).max())


def test_rounding_explains_no_more_than_it_can(golden: Path) -> None:
    assert rounding_here(golden) < 2 * CLOSE


def test_clusters_are_the_same_up_to_their_numbers(run: Run, golden: Path) -> None:
    assert adjusted_rand_score(array(golden, "global_cluster_ids"), run.cluster_ids) == 1.0
    theirs = pd.read_csv(golden / "beat_metadata.csv")
    for label, rows in theirs.groupby("record_label").groups.items():
        ours = run.metadata.loc[rows, "local_cluster_id"]
        assert adjusted_rand_score(theirs.loc[rows, "local_cluster_id"], ours) == 1.0, label


def test_templates_and_prototypes(run: Run, golden: Path) -> None:
    templates = np.load(golden / "class_templates.npz")
    assert [f"class_{label}" for label in run.class_templates] == templates.files
    for label, wave in run.class_templates.items():
        np.testing.assert_allclose(wave, templates[f"class_{label}"], rtol=0, atol=CLOSE)
    ids = same_ids(run, golden)
    waves = np.load(golden / "prototype_library_waves.npz")
    assert len(waves.files) == len(run.prototype_waves)
    for name in waves.files:
        ours = run.prototype_waves[ids[int(name.removeprefix("prototype_"))]]
        np.testing.assert_allclose(ours, waves[name], rtol=0, atol=CLOSE)


def test_library(run: Run, golden: Path) -> None:
    theirs = pd.read_csv(golden / "prototype_library.csv")
    ids = same_ids(run, golden)
    theirs["prototype_id"] = [ids[number] for number in theirs["prototype_id"]]
    assert list(run.library.columns) == list(theirs.columns)
    assert run.library["size"].is_monotonic_decreasing
    ours = run.library.set_index("prototype_id").loc[theirs["prototype_id"]].reset_index()
    for column in ("size", "dominant_label", "example_beat_ids", "label_mix_top3"):
        assert ours[column].tolist() == theirs[column].tolist(), column
    for column in ("rr_prev_mean", "rr_next_mean"):
        np.testing.assert_allclose(ours[column], theirs[column], rtol=0, atol=CLOSE)


def test_windows(run: Run, golden: Path) -> None:
    theirs = np.load(golden / "context_windows.npz")
    np.testing.assert_array_equal(run.windows.mask, theirs["mask"])
    np.testing.assert_array_equal(run.labels[run.windows.centre], theirs["y"])
    np.testing.assert_allclose(gather(run.beats, run.windows, slice(None)), theirs["X"], rtol=0, atol=CLOSE)


def test_summary(run: Run, golden: Path) -> None:
    theirs = json.loads((golden / "summary.json").read_text())
    assert list(run.summary)[: len(theirs)] == list(theirs)
    assert {key: run.summary[key] for key in theirs} == theirs


def test_mining_leaves_out_the_seed_itself(run: Run, golden: Path) -> None:
    theirs = pd.read_csv(golden / "seed_mined_candidates.csv")
    theirs = theirs[theirs["seed_beat_global_id"] != theirs["candidate_beat_global_id"]]
    assert run.candidates is not None
    assert list(run.candidates.columns) == list(theirs.columns)
    assert (run.candidates["seed_beat_global_id"] != run.candidates["candidate_beat_global_id"]).all()
    assert run.candidates["seed_label"].is_monotonic_increasing
    for seed, rows in theirs.groupby("seed_beat_global_id"):
        ours = run.candidates[run.candidates["seed_beat_global_id"] == seed]
        assert len(ours) == 50
        count = min(len(rows), 49)
        assert ours["candidate_beat_global_id"].tolist()[:count] == rows["candidate_beat_global_id"].tolist()[:count]
        np.testing.assert_allclose(ours["similarity"][:count], rows["similarity"][:count], rtol=0, atol=CLOSE)
    assert [row["beat_global_id"] for row in run.summary["seeds_dropped"]] == ["10000000"]


def test_the_label_that_lost_all_its_beats_is_named(run: Run) -> None:
    assert run.summary["class_counts_usable"]["8"] == 0
    assert run.summary["labels_emptied"] == {"8": {"name": "VFib", "beats": 11}}


def test_the_files_hold_what_the_golden_files_hold(run: Run, golden: Path, tmp_path: Path) -> None:
    folder = save_run(run, tmp_path / "run", pictures=False)
    for name in ("beats", "labels", "noise_flags", "features", "global_cluster_ids"):
        assert array(folder, name).dtype == array(golden, name).dtype
        assert array(folder, name).shape == array(golden, name).shape
    for name in ("context_windows", "class_templates", "prototype_library_waves"):
        with np.load(folder / f"{name}.npz") as ours, np.load(golden / f"{name}.npz") as theirs:
            assert {key: (ours[key].shape, ours[key].dtype) for key in ours.files} == {
                key: (theirs[key].shape, theirs[key].dtype) for key in theirs.files
            }
            if name == "context_windows":
                np.testing.assert_allclose(ours["X"], theirs["X"], rtol=0, atol=CLOSE)
    table = pd.read_csv(folder / "beat_metadata.csv")
    golden_table = pd.read_csv(golden / "beat_metadata.csv")
    assert list(table.columns)[: len(golden_table.columns)] == list(golden_table.columns)


def test_a_folder_of_the_old_scripts_is_a_run(run: Run, golden: Path) -> None:
    old = load_run(golden)
    assert old.strips is None and old.conditioned is None
    assert old.fs == pytest.approx(260.4)
    np.testing.assert_array_equal(old.windows.beat, run.windows.beat)
    assert old.metadata["noise_reason"].tolist() == run.metadata["noise_reason"].tolist()
    np.testing.assert_allclose(old.metadata["r_time_sec"], run.metadata["r_time_sec"], atol=1e-3)
    assert isinstance(old.beats, np.memmap)
