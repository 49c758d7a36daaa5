"""From a file to a run and its folder: clusters, windows, mining, what is said about odd files, and saving."""

from __future__ import annotations

import json
import resource
import signal
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sklearn.cluster import KMeans
from sklearn.metrics import adjusted_rand_score
from threadpoolctl import threadpool_limits

from ecg_engine import artifacts
from ecg_engine.artifacts import load_run, save_run
from ecg_engine.clusters import feature_space, global_clusters, local_clusters
from ecg_engine.config import PreprocessConfig
from ecg_engine.errors import EngineError, InputError
from ecg_engine.kmeans import kmeans
from ecg_engine.mining import mine_candidates
from ecg_engine.preprocess import Run
from ecg_engine.prototypes import build_library, class_templates
from ecg_engine.windows import context_windows, gather
from tests.engine.making import cell, ecg, good_rows, run_of, write_xlsx


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Run:
    """Two patients and one unknown, labels 0 and 2, unlabelled and skipped rows."""
    rows = [[101 + seed % 2, cell(ecg(seed)), (0, 2)[seed % 2]] for seed in range(8)]
    rows += [[None, cell(ecg(8)), None], ["B-7", "1,2,x", 0], [101, cell(ecg(9)), 1]]
    return run_of(write_xlsx(tmp_path_factory.mktemp("run") / "a.xlsx", rows), min_local_cluster=3)


# -- clusters


@pytest.mark.parametrize("spread", [0.3, 2.0])
def test_kmeans_is_that_of_scikit_learn(spread: float) -> None:
    rng = np.random.default_rng(0)
    blobs = (rng.normal(size=(12, 27)) * spread)[rng.integers(0, 12, 1500)]
    values = (blobs + rng.normal(size=(1500, 27))).astype(np.float32)
    for k in (1, 4, 20):
        with threadpool_limits(1):
            theirs = KMeans(k, random_state=42, n_init=20).fit_predict(values)
        assert adjusted_rand_score(kmeans(values, k, 42), theirs) == 1.0


def test_kmeans_of_few_or_equal_rows() -> None:
    assert kmeans(np.zeros((1, 3), dtype=np.float32), 2, 42).tolist() == [0]
    assert set(kmeans(np.ones((9, 3), dtype=np.float32), 4, 42).tolist()) == {0}


def test_local_clusters_leave_noise_and_unlabelled_beats_out() -> None:
    rng = np.random.default_rng(0)
    beats = rng.normal(size=(60, 8)).astype(np.float32)
    beats[:5] += 50  # far from the others of their label
    labels = np.repeat([0, 2, -999], [40, 10, 10]).astype(np.int32)
    noise = np.zeros(60, dtype=bool)
    noise[39] = True
    cluster, size = local_clusters(beats, labels, noise, PreprocessConfig())
    assert size[:5].tolist() == [5] * 5 and size[5:39].tolist() == [34] * 34
    assert (cluster[39], size[39]) == (-1, 0)
    assert cluster[40:50].tolist() == [0] * 10 and size[40:50].tolist() == [10] * 10  # too few to be grouped
    assert set(cluster[50:]) == {-1} and set(size[50:]) == {0}


@pytest.mark.parametrize("count", [1, 2, 3, 30])
def test_feature_space_and_clusters_of_few_beats(count: int) -> None:
    rng = np.random.default_rng(0)
    beats = rng.normal(size=(count, 20)).astype(np.float32)
    rr = np.linspace(0.5, 1, count).astype(np.float32)
    features = feature_space(beats, rr, rr[::-1], PreprocessConfig())
    assert features.shape == (count, max(1, min(20, count - 1)) + 3) and np.isfinite(features).all()
    cluster, size = global_clusters(features, np.ones(count, dtype=bool), PreprocessConfig())
    assert (cluster.tolist(), size.tolist()) == ([-1], [0]) if count == 1 else (size > 0).all()


def test_beats_that_are_all_alike_have_finite_features() -> None:
    rr = np.ones(30, dtype=np.float32)
    assert np.isfinite(feature_space(np.ones((30, 20), dtype=np.float32), rr, rr, PreprocessConfig())).all()


def test_library_breaks_ties_by_label_and_leaves_unlabelled_beats_out_of_the_mix() -> None:
    labels = np.array([2, 0, 0, 2, -1, -999, -999, -999, 5], dtype=np.int32)
    clusters = np.array([1, 1, 1, 1, 1, 1, 0, 0, -1], dtype=np.int32)
    beats = np.arange(9, dtype=np.float32)[:, None] * np.ones(4, dtype=np.float32)
    rr = np.ones(9, dtype=np.float32)
    library, waves = build_library(labels, clusters, beats, rr, rr, beat_ids=np.arange(100, 109))
    assert library["prototype_id"].tolist() == [1, 0]
    assert library["size"].tolist() == [6, 2]
    assert library["label_mix_top3"].tolist() == ["0:2;2:2;-1:1", ""]
    assert library["dominant_label"].tolist() == [0, -999]
    assert library["example_beat_ids"].tolist() == ["100,101,102,103,104,105", "106,107"]
    assert waves[1].tolist() == [2.5] * 4 and waves[1].dtype == np.float32
    assert list(class_templates(beats, labels, clusters >= 0)) == [-1, 0, 2]


# -- windows


@given(st.lists(st.tuples(st.integers(0, 3), st.booleans()), max_size=30), st.integers(0, 3))
def test_windows_hold_the_neighbours_on_the_same_strip(pairs: list[tuple[int, bool]], radius: int) -> None:
    pairs.sort(key=lambda pair: pair[0])
    strips, usable = [pair[0] for pair in pairs], [pair[1] for pair in pairs]
    windows = context_windows(strips, usable, radius)
    assert windows.centre.tolist() == [beat for beat, good in enumerate(usable) if good]
    for row, centre in zip(windows.beat.tolist(), windows.centre.tolist(), strict=True):
        mine = [beat for beat, good in enumerate(usable) if good and strips[beat] == strips[centre]]
        place = mine.index(centre)
        expected = [mine[p] if 0 <= p < len(mine) else -1 for p in range(place - radius, place + radius + 1)]
        assert row == expected


def test_gathered_windows_are_zero_outside_the_strip() -> None:
    beats = np.arange(1, 13, dtype=np.float32).reshape(4, 3)
    windows = context_windows([0, 0, 1, 1], [True] * 4, 1)
    samples = gather(beats, windows, [0, 3])
    assert samples.shape == (2, 3, 3)
    assert (samples[0, 0] == 0).all() and (samples[1, 2] == 0).all()
    np.testing.assert_array_equal(samples[0, 1:], beats[:2])
    assert windows.mask.tolist()[0] == [0, 1, 1]


# -- mining


def mining_metadata(count: int) -> pd.DataFrame:
    return pd.DataFrame(
        {
            "beat_global_id": np.arange(count),
            "source_row": np.arange(count) // 2 + 7,
            "patient_id": "A",
            "rr_prev_sec": np.float32(0.8),
            "rr_next_sec": np.float32(0.8),
            "noise_flag": (np.arange(count) % 5 == 4).astype(int),
        }
    )


def test_mining_takes_usable_beats_of_the_first_rows_and_never_the_seed() -> None:
    metadata = mining_metadata(40)
    features = np.random.default_rng(0).normal(size=(40, 6)).astype(np.float32)
    seeds = pd.DataFrame({"beat_global_id": [4, 6, "12.0"], "label_name": ["PVC", "PAC", "Normal"]})  # beat 4 is noise
    config = PreprocessConfig(search_rows=10, top_k_candidates=15)
    found, dropped = mine_candidates(seeds, metadata, features, config)
    assert dropped.empty
    for seed, rows in found.groupby("seed_beat_global_id"):
        pool = [beat for beat in range(20) if beat % 5 != 4 and beat != seed]
        unit = features / np.linalg.norm(features, axis=1, keepdims=True)
        expected = sorted(pool, key=lambda beat: -float(unit[beat] @ unit[seed]))[:15]
        assert rows["candidate_beat_global_id"].tolist() == expected
    assert found["seed_label"].tolist() == ["Normal"] * 15 + ["PAC"] * 15 + ["PVC"] * 15


def test_seeds_that_cannot_be_used_are_listed() -> None:
    seeds = pd.DataFrame(
        {"beat_global_id": [1, None, "x", 1e7, 2.5, 3], "label_name": ["PVC", "PVC", "PVC", "PVC", "PVC", " "]}
    )
    result = mine_candidates(seeds, mining_metadata(10), np.ones((10, 3), dtype=np.float32), PreprocessConfig())
    assert set(result.candidates["seed_beat_global_id"]) == {1}
    assert result.dropped["seed_row"].tolist() == [1, 2, 3, 4, 5]
    assert result.dropped["reason"].str.len().min() > 0
    nothing = mine_candidates(seeds.iloc[1:2], mining_metadata(10), np.ones((10, 3)), PreprocessConfig())
    assert nothing.candidates.empty and "similarity" in nothing.candidates
    with pytest.raises(InputError, match=r"no column 'label_name'.*'label'"):
        mine_candidates(
            seeds.rename(columns={"label_name": "label"}), mining_metadata(10), np.ones((10, 3)), PreprocessConfig()
        )


# -- runs


def test_a_run_says_what_it_read_and_what_it_did_not(run: Run) -> None:
    summary = run.summary
    assert (summary["input_rows"], summary["rows_skipped"], summary["unlabelled_rows"]) == (11, 1, 1)
    assert summary["skipped_reasons"] == {"text in the wave": 1}
    assert (summary["patients"], summary["unknown_patient_rows"]) == (2, 1)
    assert set(summary["class_counts_raw"]) == {"-999", "0", "1", "2"}
    assert sum(summary["class_counts_raw"].values()) == summary["beats_extracted"] == len(run.metadata)
    assert run.metadata["patient_id"].unique().tolist() == [101, 102, -1]


def test_every_noise_beat_has_a_reason_and_no_other_beat_has(run: Run) -> None:
    noisy = run.metadata["noise_flag"] == 1
    assert ((run.metadata["noise_reason"] != "") == noisy).all()
    np.testing.assert_array_equal(run.noise_flags == 1, noisy)
    assert set(run.cluster_ids[noisy]) <= {-1} and (run.cluster_ids[~noisy] >= 0).all()
    assert set(run.windows.centre) == set(np.flatnonzero(~noisy))


def test_unlabelled_beats_are_in_clusters_but_in_no_template_or_mix(run: Run) -> None:
    unlabelled = run.labels == -999
    assert unlabelled.any() and (run.cluster_ids[unlabelled & (run.noise_flags == 0)] >= 0).all()
    assert set(run.metadata.loc[unlabelled, "local_cluster_size"]) == {0}
    assert -999 not in run.class_templates
    assert not run.library["label_mix_top3"].str.contains("-999").any()


def test_seconds_of_the_rpeaks(run: Run) -> None:
    np.testing.assert_allclose(run.metadata["r_time_sec"], run.metadata["r_index"] / 260.4, atol=1e-4)
    np.testing.assert_array_equal(run.strip_of_beat, np.searchsorted(run.strips.source_row, run.metadata["source_row"]))


def test_the_order_of_rows_moves_no_beat(tmp_path: Path) -> None:
    rows = [[seed, cell(ecg(seed)), 0] for seed in range(6)]
    one = run_of(write_xlsx(tmp_path / "a.xlsx", rows))
    other = run_of(write_xlsx(tmp_path / "b.xlsx", rows[::-1]))
    keys = ["patient_id", "r_index"]
    columns = [*keys, "rr_prev_sec", "rr_next_sec", "quality_score", "noise_reason"]
    pd.testing.assert_frame_equal(
        one.metadata.sort_values(keys)[columns].reset_index(drop=True),
        other.metadata.sort_values(keys)[columns].reset_index(drop=True),
    )


@pytest.mark.parametrize(
    "rows",
    [
        good_rows(1, label=None),
        [[1, cell(ecg(seed)), None] for seed in range(3)],
        [[seed, cell(ecg(seed)), 2] for seed in range(3)],
    ],
    ids=["one strip", "no labels at all", "one label"],
)
def test_small_files_run_to_the_end(tmp_path: Path, rows: list[list[object]]) -> None:
    run = run_of(write_xlsx(tmp_path / "a.xlsx", rows))
    assert len(run.library) >= 1 and len(run.windows.centre) >= 1
    assert load_run(save_run(run, tmp_path / "out", pictures=False)).summary == json.loads(json.dumps(run.summary))


def test_a_file_whose_beats_are_all_noise_can_still_be_looked_at(tmp_path: Path) -> None:
    run = run_of(write_xlsx(tmp_path / "a.xlsx", good_rows(1)[:1]), min_local_cluster=50)
    assert run.summary["usable_beats"] == 0 and len(run.library) == 0 and len(run.windows.centre) == 0
    assert any("None of the" in text and "small_cluster" in text for text in run.summary["warnings"])
    back = load_run(save_run(run, tmp_path / "out", pictures=False))
    assert len(back.metadata) == len(run.metadata) and (back.metadata["noise_reason"] != "").all()


def test_a_label_with_few_beats_is_emptied_by_the_tiny_cluster_rule_and_named(tmp_path: Path) -> None:
    rows = [*good_rows(4), [1, cell(ecg(5)[1100:1500]), 2], [1, cell(ecg(6)[:1300]), None]]
    run = run_of(write_xlsx(tmp_path / "a.xlsx", rows), fs=260.4)
    few = run.labels == 2
    assert 0 < few.sum() < 12
    assert run.summary["labels_emptied"] == {"2": {"name": "PVC", "beats": int(few.sum())}}
    assert any("PVC" in text and "lost all" in text for text in run.summary["warnings"])
    assert (run.metadata.loc[few, "noise_reason"] != "").all()
    assert run.metadata.loc[few, "noise_reason"].str.contains("small_cluster").any()
    assert (run.noise_flags[run.labels == -999] == 0).any(), "unlabelled beats are not subject to the rule"


def test_strips_without_beats_are_listed_and_kept_to_look_at(tmp_path: Path) -> None:
    short = ecg(0)[140:345]  # an R-peak near its start, none with room for a whole beat
    run = run_of(write_xlsx(tmp_path / "a.xlsx", [*good_rows(1), [9, cell(short), 0], *good_rows(1)]), fs=260.4)
    assert run.skipped["source_row"].tolist() == [1] and run.skipped["kind"].tolist() == ["no beats"]
    assert run.summary["rows_skipped"] == 1 and run.summary["skipped_reasons"] == {"no beats": 1}
    assert run.metadata["source_row"].unique().tolist() == [0, 2]
    assert run.strips is not None and len(run.strips) == 3
    index = artifacts.strip_index(run)
    assert index["num_beats"].tolist()[1] == 0 and index["num_beats"].sum() == len(run.metadata)
    assert index["num_noise"].sum() == run.noise_flags.sum()


def test_no_beats_at_all_is_a_clear_error(tmp_path: Path) -> None:
    short = cell(ecg(0)[:200])
    with pytest.raises(InputError, match=r"no beats were found on any of the 2 strips.*sampling rate \(1000 Hz\)"):
        run_of(write_xlsx(tmp_path / "a.xlsx", [[1, short, 0], [1, short, 0]]), fs=1000.0)


# -- folders


def test_a_saved_run_is_read_back_as_it_was(run: Run, tmp_path: Path) -> None:
    seeds = pd.DataFrame({"beat_global_id": [3], "label_name": ["PVC"]})
    mined = mine_candidates(seeds, run.metadata, run.features, run.config).candidates
    run = Run(**{**run.__dict__, "candidates": mined})
    back = load_run(save_run(run, tmp_path / "new" / "run", pictures=False))
    assert back.config == run.config and back.summary == json.loads(json.dumps(run.summary))
    for name in ("metadata", "library", "candidates", "skipped"):
        pd.testing.assert_frame_equal(getattr(back, name), getattr(run, name), check_dtype=name != "skipped")
    for name in ("beats", "features", "labels", "noise_flags", "cluster_ids", "conditioned"):
        np.testing.assert_array_equal(getattr(back, name), getattr(run, name), err_msg=name)
        assert getattr(back, name).dtype == getattr(run, name).dtype
    np.testing.assert_array_equal(back.windows.beat, run.windows.beat)
    for name in ("class_templates", "prototype_waves"):
        assert getattr(back, name).keys() == getattr(run, name).keys()
    assert isinstance(back.beats, np.memmap) and back.strips is not None and run.strips is not None
    for name in ("samples", "offsets", "source_row", "patient_id", "label", "strip_hash", "source_file", "file_row"):
        np.testing.assert_array_equal(getattr(back.strips, name), getattr(run.strips, name), err_msg=name)
    assert back.strips.report == run.strips.report
    with np.load(tmp_path / "new" / "run" / "context_windows.npz") as archive:
        np.testing.assert_array_equal(archive["X"], gather(run.beats, run.windows, slice(None)))
        np.testing.assert_array_equal(archive["y"], run.labels[run.windows.centre])
        np.testing.assert_array_equal(archive["mask"], run.windows.mask)


def test_skipped_rows_are_a_file(run: Run, tmp_path: Path) -> None:
    folder = save_run(run, tmp_path / "run", pictures=False)
    table = pd.read_csv(folder / "skipped_rows.csv")
    assert list(table.columns)[:2] == ["source_row", "reason"]
    assert table.loc[0, "source_row"] == 9 and "'x'" in table.loc[0, "reason"]


def test_saving_again_replaces_the_run_and_nothing_else(run: Run, tmp_path: Path) -> None:
    folder = tmp_path / "run"
    folder.mkdir()
    (folder / "best_hybrid_v2.pt").write_text("a model")
    (folder / "seed_mined_candidates.csv").write_text("of an earlier run")
    save_run(run, folder, pictures=False)
    save_run(run, folder, pictures=False)
    assert (folder / "best_hybrid_v2.pt").read_text() == "a model"
    assert not (folder / "seed_mined_candidates.csv").exists()
    assert not [path for path in folder.iterdir() if path.name.endswith(".part")]


@pytest.mark.parametrize("room", [400, 50_000, 90_000])
@pytest.mark.parametrize("existing", [False, True])
def test_a_full_disk_leaves_nothing_half_written(run: Run, tmp_path: Path, room: int, existing: bool) -> None:
    folder = tmp_path / "run"
    if existing:
        save_run(run, folder, pictures=False)
    before = {path.name: path.read_bytes() for path in folder.iterdir()} if existing else {}
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    handler = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    try:
        resource.setrlimit(resource.RLIMIT_FSIZE, (room, limits[1]))  # the system refuses to write more to a file
        with pytest.raises(EngineError, match=r"could not be saved in .*run.*Free some space") as caught:
            save_run(run, folder, pictures=False)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
        signal.signal(signal.SIGXFSZ, handler)
    assert str(folder) in str(caught.value)
    assert [path.name for path in tmp_path.iterdir()] == (["run"] if existing else [])
    if existing:
        assert {path.name: path.read_bytes() for path in folder.iterdir()} == before
        assert len(load_run(folder).metadata) == len(run.metadata)


def test_the_summary_is_moved_last(run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    moved = []
    replace = Path.replace

    def spy(self: Path, target: Path) -> Path:
        if self.parent.name.endswith(".part") and Path(target).parent.name == "run":
            moved.append(self.name)
        return replace(self, target)

    (tmp_path / "run").mkdir()
    monkeypatch.setattr(Path, "replace", spy)
    save_run(run, tmp_path / "run", pictures=False)
    assert moved[-1] == "summary.json" and set(moved) <= set(artifacts.RUN_FILES)


def test_a_place_that_cannot_be_written(run: Run, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(EngineError, match="could not be saved"):
        save_run(run, tmp_path / "file" / "run", pictures=False)


@pytest.mark.parametrize("name", ["beats.npy", "beat_metadata.csv", "strips.npy", "class_templates.npz", "config.json"])
@pytest.mark.parametrize("damage", ["missing", "cut"])
def test_a_damaged_folder_names_the_file(run: Run, tmp_path: Path, name: str, damage: str) -> None:
    folder = save_run(run, tmp_path / "run", pictures=False)
    if damage == "missing" and name != "config.json":
        (folder / name).unlink()
    else:
        (folder / name).write_bytes((folder / name).read_bytes()[:100])
    with pytest.raises(InputError) as caught:
        load_run(folder)
    assert name in str(caught.value) or "different numbers of beats" in str(caught.value)


def test_an_incomplete_folder_is_no_run(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="no complete preprocessing run"):
        load_run(tmp_path)
