"""The arrhythmia profile from strips to predictions, on real strips: what a run keeps, what a model needs and says."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from ecg_engine.artifacts import load_run, save_run
from ecg_engine.bundle import Bundle, load
from ecg_engine.cli import main
from ecg_engine.config import PredictConfig, PreprocessConfig, TrainConfig
from ecg_engine.datasets import combine, training_data
from ecg_engine.errors import BundleError, ConfigError, InputError
from ecg_engine.evaluation import match_beats
from ecg_engine.heldout import compare
from ecg_engine.labels import NOISE, UNKNOWN
from ecg_engine.peak_edits import ADDED, PeakEdit
from ecg_engine.prediction import Prediction, predict
from ecg_engine.preprocess import Run, preprocess
from ecg_engine.strips import Strips, read_strips
from ecg_engine.training import train

PROFILE = PreprocessConfig(profile="arrhythmia")
QUICK = TrainConfig(profile="arrhythmia", epochs=8)
EVERY = 3
"""Every third strip of the small file: enough to learn PVCs from."""


@cache
def strips_of(folder: Path) -> Strips:
    return part_of(read_strips(folder / "mitdb_ds1_small.xlsx", PROFILE), np.arange(0, 330, EVERY))


def part_of(strips: Strips, rows: np.ndarray[Any, Any]) -> Strips:
    waves = [strips.samples[strips.offsets[row] : strips.offsets[row + 1]] for row in rows]
    offsets = np.concatenate([[0], np.cumsum([len(wave) for wave in waves])])
    per_strip = ("source_row", "patient_id", "label", "strip_hash", "source_file", "file_row")
    columns = {name: getattr(strips, name)[rows] for name in per_strip}
    return replace(strips, samples=np.concatenate(waves), offsets=offsets, **columns)


@cache
def run_of(folder: Path) -> Run:
    return preprocess(strips_of(folder), PROFILE)


@cache
def model_of(folder: Path) -> Bundle:
    return train([training_data(run_of(folder))], QUICK).bundle


@cache
def prediction_of(folder: Path) -> Prediction:
    return predict(model_of(folder), run_of(folder))


@pytest.fixture
def run(real_data: Path) -> Run:
    return run_of(real_data)


@pytest.fixture
def model(real_data: Path) -> Bundle:
    return model_of(real_data)


@pytest.fixture
def prediction(real_data: Path) -> Prediction:
    return prediction_of(real_data)


@pytest.fixture(scope="module", autouse=True)
def forget() -> Iterator[None]:
    yield
    for kept in (strips_of, run_of, model_of, prediction_of):
        kept.cache_clear()


def same_table(a: pd.DataFrame, b: pd.DataFrame) -> None:
    pd.testing.assert_frame_equal(a, b, check_dtype=False, rtol=1e-4, atol=1e-6)


@pytest.mark.real
def test_beats_at_the_edges_are_kept_and_ectopics_are_no_noise(run: Run, real_data: Path) -> None:
    truth = pd.read_csv(real_data / "mitdb_ds1_small_beats.csv")
    assert run.strips is not None
    truth = truth[truth["source_row"].isin(run.strips.source_row)]
    match = match_beats(
        truth["sample"] / run.fs,
        run.metadata["r_index"] / run.fs,
        true_strip=truth["source_row"],
        found_strip=run.metadata["source_row"],
    )
    found = np.zeros(len(truth), dtype=bool)
    found[match.true_index] = True
    ectopic = truth["aami"].isin(["S", "V"]).to_numpy()
    assert found[ectopic].mean() > 0.98
    aami = truth["aami"].to_numpy()[match.true_index]
    flags = np.asarray(run.noise_flags)[match.found_index]
    assert flags[np.isin(aami, ["S", "V"])].mean() < 0.02
    cut = run.metadata["whole"].to_numpy() == 0
    assert cut.sum() > len(run.strips) / 2
    assert run.beats.shape == (len(run.metadata), run.beat_len) and np.isfinite(run.beats).all()
    assert (run.metadata["global_cluster_id"].to_numpy()[cut] == -1).all()


@pytest.mark.real
def test_a_group_is_of_one_patient(run: Run) -> None:
    assert (run.metadata.groupby("group_id")["patient_id"].nunique() == 1).all()
    assert run.summary["groups"] == run.metadata["group_id"].nunique()


@pytest.mark.real
def test_a_run_comes_back_from_its_folder(run: Run, tmp_path: Path) -> None:
    again = load_run(save_run(run, tmp_path / "run", pictures=False))
    same_table(again.metadata, run.metadata)
    assert again.strip_quality is not None and run.strip_quality is not None
    same_table(again.strip_quality, run.strip_quality)
    assert again.config == run.config


@pytest.mark.real
def test_a_strip_is_judged_by_itself(run: Run, real_data: Path) -> None:
    """No file-wide statistics: R-peaks, noise and wholeness of a strip are the same without the other strips."""
    rows = np.arange(0, 110, 9)
    alone = preprocess(part_of(strips_of(real_data), rows), PROFILE)
    assert run.strips is not None and alone.strips is not None
    there = run.metadata[run.metadata["source_row"].isin(alone.strips.source_row)].reset_index(drop=True)
    names = ["source_row", "r_index", "quality_score", "noise_flag", "noise_reason", "rpeak_prob", "whole"]
    same_table(alone.metadata[names], there[names])


@pytest.mark.real
def test_an_r_peak_of_a_reader_stays_at_the_very_edge(real_data: Path) -> None:
    one = part_of(strips_of(real_data), np.array([0]))
    edit = {str(one.strip_hash[0]): [PeakEdit(30, ADDED)]}
    changed = preprocess(one, PROFILE, peaks=edit)
    first = changed.metadata.iloc[0]
    assert first["r_time_sec"] == pytest.approx(0.03, abs=0.003)
    assert first["whole"] == 0 and first["rpeak_prob"] == 1


@pytest.mark.real
def test_every_beat_is_predicted_and_the_tables_hold_what_they_promise(run: Run, prediction: Prediction) -> None:
    beats, strips = prediction.beats, prediction.strips
    assert (beats["beat_global_id"] == run.metadata["beat_global_id"]).all()
    assert set(beats["aami"]) <= set("NSVFQ") and beats["pred_conf"].notna().all()
    sums = beats[["p_n", "p_s", "p_v", "p_f"]].sum(axis=1)
    assert np.allclose(sums, 1, atol=1e-4)
    noisy = beats["noise_flag"] == 1
    assert noisy.any() and (beats.loc[noisy, "final_label"] == NOISE).all()
    assert run.strips is not None
    assert strips["source_row"].tolist() == run.strips.source_row.tolist()
    assert strips["findings"].str.len().gt(0).all()
    assert prediction.summary["profile"] == "arrhythmia"


@pytest.mark.real
def test_ventricular_strips_are_mostly_right_even_after_little_training(run: Run, prediction: Prediction) -> None:
    assert run.strips is not None
    label, found = run.strips.label, prediction.strips["strip_finding"].to_numpy()
    ventricular = np.isin(label, [2, 10])
    assert np.isin(found[ventricular], [2, 7, 9, 10, 11]).mean() > 0.7
    assert np.isin(found[label == 0], [2, 7, 10, 11]).mean() < 0.1


@pytest.mark.real
def test_a_strip_that_is_strange_goes_to_review_with_its_beats(model: Bundle, run: Run) -> None:
    strict = predict(model, run, PredictConfig(min_known_share=0.2))
    strange = strict.strips["known_share"] < 0.2
    assert 0 < strange.mean() < 0.6
    assert strict.strips.loc[strange, "strip_finding"].isin([UNKNOWN, NOISE, 8]).all()
    assert (strict.strips.loc[strange, "strip_finding"] == UNKNOWN).mean() > 0.5
    of_beat = strange.to_numpy()[run.strip_of_beat] & (run.noise_flags == 0)
    assert strict.beats.loc[of_beat, "review_reason"].str.contains("pattern").all()
    assert (strict.beats.loc[of_beat, "final_label"] == UNKNOWN).all()
    assert not strict.beats.loc[~of_beat, "review_reason"].str.contains("pattern").any()


@pytest.mark.real
def test_a_bundle_predicts_the_same_from_its_file(
    model: Bundle, run: Run, prediction: Prediction, tmp_path: Path
) -> None:
    again = predict(load(model.save(tmp_path / "model.pt")), run)
    same_table(again.beats, prediction.beats)
    same_table(again.strips, prediction.strips)


@pytest.mark.real
def test_gain_and_offset_change_no_finding(model: Bundle, prediction: Prediction, real_data: Path) -> None:
    strips = strips_of(real_data)
    louder = preprocess(replace(strips, samples=(strips.samples * 5 - 300).astype(np.float32)), PROFILE)
    again = predict(model, louder)
    agree = again.strips["strip_finding"] == prediction.strips["strip_finding"]
    assert agree.mean() > 0.98


@pytest.mark.real
def test_what_a_reader_said_of_a_beat_is_what_the_prediction_says(model: Bundle, run: Run) -> None:
    row = 40
    labels, source = np.array(run.labels), np.full(len(run.labels), "strip", dtype=object)
    labels[row], source[row] = 1, "beat"
    said = training_data(run, labels=labels, source=source).parts[0]
    told = predict(model, run, said=said)
    assert told.beats.loc[row, "aami"] == "S" and told.beats.loc[row, "p_s"] == 1


@pytest.mark.real
def test_a_label_of_a_group_speaks_for_its_members(model: Bundle, run: Run, prediction: Prediction) -> None:
    sizes = run.metadata["group_id"].value_counts()
    group = int(sizes.index[0])
    members = (run.metadata["group_id"] == group).to_numpy()
    labels = np.where(members, 1, run.labels)
    source = np.where(members, "group", "strip")
    said = training_data(run, labels=labels, source=source).parts[0]
    told = predict(model, run, said=said)
    assert told.beats.loc[members, "p_s"].mean() > prediction.beats.loc[members, "p_s"].mean() + 0.2


@pytest.mark.real
def test_a_deleted_beat_is_not_predicted_and_nothing_else_is_lost(model: Bundle, run: Run) -> None:
    gone = np.zeros(len(run.labels), dtype=bool)
    gone[[3, 77]] = True
    said = training_data(run, deleted=gone, source=np.full(len(gone), "strip")).parts[0]
    told = predict(model, run, said=said)
    assert told.beats["pred_conf"].isna().to_numpy().tolist() == gone.tolist()
    assert (told.beats.loc[gone, "aami"] == "").all() and told.beats.loc[gone, "pred_label_raw"].isna().all()


@pytest.mark.real
def test_profiles_do_not_mix(model: Bundle, real_data: Path, run: Run) -> None:
    plain = preprocess(part_of(strips_of(real_data), np.arange(12)), PreprocessConfig())
    with pytest.raises(BundleError, match="Preprocess the strips in the arrhythmia profile"):
        predict(model, plain)
    with pytest.raises(InputError, match="reference profile"):
        train([training_data(plain)], QUICK)
    with pytest.raises(BundleError, match="arrhythmia profile"):
        model.net()
    with pytest.raises(ConfigError, match="towers, hybrid"):
        TrainConfig(profile="arrhythmia", model="context")
    assert "z_ptp" not in run.metadata and "z_ptp" in plain.metadata


@pytest.mark.real
def test_one_kind_of_label_teaches_nothing(real_data: Path) -> None:
    strips = strips_of(real_data)
    normal = preprocess(part_of(strips, np.flatnonzero(strips.label == 0)[:6]), PROFILE)
    with pytest.raises(InputError, match="two kinds"):
        train([training_data(normal)], QUICK)


@pytest.mark.real
def test_models_are_compared_on_patients_that_neither_has_seen(model: Bundle, run: Run) -> None:
    told = compare(model, model, training_data(run))
    assert told["patients"] == model.metrics["patients_val"]
    for name in ("class_acc", "macro_f1", "confusion_matrix_non_noise"):
        assert told["candidate"][name] == told["current"][name]
    assert told["candidate"]["class_acc"] == model.metrics["class_acc"]


@pytest.mark.real
def test_data_of_two_runs_train_together(run: Run, real_data: Path) -> None:
    other = preprocess(part_of(strips_of(real_data), np.arange(0, 110, 5)), PROFILE)
    both = combine([training_data(run, name="a"), training_data(other, name="b")])
    result = train([both], replace(QUICK, epochs=1))
    assert result.summary["num_strips"] == 110 + 22
    assert set(result.summary["patients_val"]).isdisjoint(result.summary["patients_train"])


@pytest.mark.real
def test_the_shell_takes_the_profile_all_the_way(
    run: Run, model: Bundle, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    save_run(run, tmp_path / "run", pictures=False)
    words = f"train --data_dirs {tmp_path}/run --out_dir {tmp_path}/model --profile arrhythmia --epochs 1 --quiet"
    assert main(words.split()) == 0
    words = f"predict --model_ckpt {tmp_path}/model/model_bundle.pt --preprocessed_dir {tmp_path}/run"
    words += f" --out_dir {tmp_path}/out"
    assert main([*words.split(), "--quiet", "--profile", "arrhythmia"]) == 0
    assert "Findings of strips" in capsys.readouterr().out
    strips = pd.read_csv(tmp_path / "out" / "strip_predictions_v2.csv")
    assert {"strip_pred_label", "strip_finding", "findings"} <= set(strips.columns)
    assert main([*words.split(), "--quiet", "--profile", "reference"]) == 2
    assert "the model is of the arrhythmia profile" in capsys.readouterr().err
    assert main(["inspect", f"{tmp_path}/model/model_bundle.pt"]) == 0
