"""Prediction: who is joined to whom, what goes to review, and what comes from where."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from ecg_engine.bank import empty_bank
from ecg_engine.bundle import Bundle
from ecg_engine.config import PredictConfig, TrainConfig
from ecg_engine.datasets import training_data
from ecg_engine.errors import BundleError, InputError
from ecg_engine.models import build_net
from ecg_engine.prediction import predict, save_prediction
from ecg_engine.prediction_tables import strip_votes
from ecg_engine.training import train
from ecg_engine.windows import context_windows
from tests.engine.learning import make_run, many_patients

QUICK = TrainConfig(epochs=12, batch_size=32, lr=3e-3, min_proto_size=10)
ALL = PredictConfig(min_class_conf=0.0, max_noise_prob=1.0, min_proto_sim=-1.0)


@pytest.fixture(scope="module")
def model() -> Bundle:
    return train([training_data(many_patients(14))], QUICK).bundle


@pytest.fixture(scope="module")
def context_model() -> Bundle:
    return train([training_data(many_patients(8))], replace(QUICK, model="context", epochs=6)).bundle


def test_predictions_land_on_their_own_beats(model: Bundle) -> None:
    # noise-flagged beats come first and in between; pasted row by row, every later prediction would slide
    run = make_run([(1, 0), (2, 2), (3, 1), (4, 2), (5, 0)], noise_every=4, seed=5)
    result = predict(model, run, ALL)
    assert result.beats["beat_global_id"].tolist() == run.metadata["beat_global_id"].tolist()
    flagged = run.noise_flags == 1
    table = result.beats
    assert (table.loc[flagged, "final_label"] == -1).all()
    assert (table.loc[flagged, "final_label_name"] == "Noise").all()
    assert table.loc[flagged, ["pred_label_raw", "pred_conf", "noise_prob", "max_proto_sim"]].isna().all(axis=None)
    assert (table.loc[flagged, "review_flag"] == 0).all()
    kept = table[~flagged]
    assert kept["pred_conf"].between(0, 1).all()
    assert (kept["final_label"] == kept["record_label"]).mean() > 0.85
    # and each is what the net says about the beat's own window
    for row in (0, len(run.windows.centre) - 1):
        beat = run.windows.centre[row]
        alone = replace(
            run, windows=run.windows._replace(beat=run.windows.beat[[row]], centre=run.windows.centre[[row]])
        )
        again = predict(model, alone, ALL).beats.loc[beat]
        assert again["pred_conf"] == pytest.approx(table.loc[beat, "pred_conf"], abs=1e-5)
    shuffled = replace(run, metadata=run.metadata.assign(beat_global_id=1000 - run.metadata["beat_global_id"]))
    other = predict(model, shuffled, ALL).beats
    np.testing.assert_allclose(other["pred_conf"], table["pred_conf"])


def test_each_doubt_sends_to_review_and_says_so(model: Bundle) -> None:
    run = many_patients(4, seed=8)
    table = predict(model, run, ALL).beats
    assert (table["review_flag"] == 0).all()
    conf, noise, sim = (float(table[c].median()) for c in ("pred_conf", "noise_prob", "max_proto_sim"))
    tests = {
        "confidence": (replace(ALL, min_class_conf=conf), table["pred_conf"] < conf),
        "noise": (replace(ALL, max_noise_prob=noise), table["noise_prob"] > noise),
        "similarity": (replace(ALL, min_proto_sim=sim), table["max_proto_sim"] < sim),
    }
    for reason, (config, expected) in tests.items():
        result = predict(model, run, config)
        assert expected.any()
        assert (result.beats["review_flag"] == expected).all()
        assert (result.beats.loc[expected, "review_reason"] == reason).all()
        assert (result.beats.loc[expected, "final_label"] == -99).all()
        assert (result.beats.loc[~expected, "review_reason"] == "").all()
        assert (result.beats.loc[expected, "pred_label_raw"] == table.loc[expected, "pred_label_raw"]).all()
        assert result.summary["num_review_flagged"] == expected.sum()
        assert result.summary["review_reasons"][reason] == expected.sum()
        assert result.summary["thresholds"] == config.to_dict()
    every = predict(model, run, PredictConfig(min_class_conf=1.0, max_noise_prob=0.0, min_proto_sim=1.0))
    assert (every.beats["review_reason"] == "confidence;noise;similarity").all()
    assert (every.strips["strip_pred_label"] == -99).all()
    assert (every.strips["strip_pred_ratio"] == 0).all()
    assert every.summary["unknown_strips"] == len(every.strips)


def test_thresholds_are_those_of_the_bundle_unless_given(model: Bundle) -> None:
    run = many_patients(3)
    strict = replace(model, predict=replace(ALL, min_class_conf=1.0))
    assert predict(strict, run).summary["review_rate"] == 1
    assert predict(strict, run, ALL).summary["review_rate"] == 0


def test_the_strip_table_counts_and_breaks_ties_downwards() -> None:
    # a net with zero weights answers by its bias alone; here the class follows the prototype features
    run = make_run([(1, 0), (2, 0), (3, 0)], beats_per_strip=4)
    net = build_net("hybrid", 3, 8)
    bundle = Bundle(net.state_dict(), "hybrid", (0, 2, 5), empty_bank(40), 61.5, 40, 5)
    flags = np.array([0, 0, 0, 1, 1, 1, 1, 1, 0, 0, 0, 0], dtype=np.int32)
    run = replace(run, noise_flags=flags, windows=context_windows(run.metadata["source_row"], flags == 0, 2))
    result = predict(bundle, run, ALL)
    strips = result.strips.set_index("source_row")
    assert strips["num_beats"].tolist() == [3, 0, 4]
    assert strips["num_noise"].tolist() == [1, 4, 0]
    assert strips.loc[1, "strip_pred_label"] == -99
    assert strips.loc[1, "strip_pred_ratio"] == 0
    assert result.summary["strips_of_noise_only"] == 1
    assert result.summary["num_beats_predicted"] == 7
    assert result.summary["num_strips"] == 3
    beats = pd.DataFrame(
        {
            "source_row": [4, 4, 4, 4, 4, 9, 9, 9],
            "final_label": [5, 2, 2, 5, -99, -99, -99, 1],
            "review_flag": [0, 0, 0, 0, 1, 1, 1, 0],
        }
    )
    table = strip_votes(beats, np.ones(8, dtype=bool))
    assert table["strip_pred_label"].tolist() == [2, 1], "equal counts: the lowest; review never outvotes a class"
    assert table["strip_pred_ratio"].tolist() == pytest.approx([0.4, 1 / 3])
    assert table["num_review"].tolist() == [1, 2]


def test_without_prototypes_the_similarity_test_is_left_out_and_said(model: Bundle) -> None:
    run = many_patients(3)
    bare = train([training_data(many_patients(6))], replace(QUICK, epochs=1, min_proto_size=10_000)).bundle
    assert len(bare.bank) == 0
    result = predict(bare, run, replace(ALL, min_proto_sim=1.0))
    assert result.summary["num_review_flagged"] == 0
    assert result.beats["max_proto_sim"].isna().all()
    assert "empty" in result.summary["tests_left_out"]["similarity"]
    assert any("similarity test was left out" in note for note in result.summary["notes"])
    assert predict(model, run).summary["tests_left_out"] == {}


def test_the_context_net_predicts_without_gate_and_prototypes(context_model: Bundle) -> None:
    run = many_patients(3)
    result = predict(context_model, run, PredictConfig(min_class_conf=0.0, max_noise_prob=0.0, min_proto_sim=1.0))
    assert result.beats["noise_prob"].isna().all()
    assert set(result.summary["tests_left_out"]) == {"noise", "similarity"}
    assert result.summary["num_review_flagged"] == 0


@pytest.mark.parametrize("label", [-999, 7, -1])
def test_labels_of_the_predicted_file_change_nothing(model: Bundle, label: int) -> None:
    run = many_patients(4, seed=2)
    blank = replace(run, labels=np.full_like(run.labels, label), metadata=run.metadata.assign(record_label=label))
    columns = ["pred_label_raw", "pred_conf", "noise_prob", "max_proto_sim", "final_label"]
    pd.testing.assert_frame_equal(predict(model, blank).beats[columns], predict(model, run).beats[columns])
    assert set(predict(model, blank).beats["pred_label_raw"]) <= set(model.classes)


def test_other_beats_and_noise_alone_are_refused(model: Bundle) -> None:
    with pytest.raises(BundleError, match="beat length"):
        predict(model, many_patients(2, length=50))
    with pytest.raises(InputError, match="every beat of this run is flagged as noise"):
        predict(model, many_patients(2, noise_every=1))


def test_the_tables_are_written_as_the_spec_names_them(model: Bundle, tmp_path: Path) -> None:
    run = many_patients(3, noise_every=5)
    result = predict(model, run)
    save_prediction(result, tmp_path)
    beats = pd.read_csv(tmp_path / "beat_predictions_v2.csv", keep_default_na=False)
    ours = "pred_label_raw pred_label_name pred_conf noise_prob max_proto_sim review_flag final_label final_label_name"
    assert beats.columns.tolist() == [*run.metadata.columns, *ours.split(), "review_reason"]
    assert set(beats["pred_label_raw"]) <= {"", "0", "1", "2"}, "labels are whole numbers, blank for noise"
    strips = pd.read_csv(tmp_path / "strip_predictions_v2.csv")
    assert strips.columns.tolist()[:6] == [
        "source_row", "strip_pred_label", "strip_pred_name", "strip_pred_ratio", "num_beats", "num_review",
    ]  # fmt: skip
    summary = json.loads((tmp_path / "prediction_summary_v2.json").read_text())
    keys = "num_beats_predicted num_review_flagged review_rate num_strips unknown_strips thresholds"
    assert list(summary)[:6] == keys.split()
    assert summary["num_beats_predicted"] + summary["num_noise_flagged"] == len(run.metadata)
