"""A model of some patients predicts strips of others: another recorder, blank labels, classes it never saw."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from ecg_engine.alerts import find_patterns
from ecg_engine.bundle import Bundle, load
from ecg_engine.config import AlertConfig, PreprocessConfig, TrainConfig
from ecg_engine.datasets import training_data
from ecg_engine.labels import NOISE, UNKNOWN, UNLABELLED
from ecg_engine.prediction import predict
from ecg_engine.preprocess import Run, preprocess
from ecg_engine.strips import read_strips
from ecg_engine.training import train

pytestmark = pytest.mark.real
CONFIG = PreprocessConfig()


@pytest.fixture(scope="module")
def model(real_data: Path, tmp_path_factory: pytest.TempPathFactory) -> Bundle:
    run = preprocess(read_strips([real_data / "mitdb_ds1_small.xlsx"], CONFIG), CONFIG)
    folder = tmp_path_factory.mktemp("model")
    train([training_data(run)], TrainConfig(epochs=2), out_dir=folder)
    return load(folder / "model_bundle.pt")


@pytest.fixture(scope="module")
def others(real_data: Path, tmp_path_factory: pytest.TempPathFactory) -> Run:
    """Strips of the challenge of 2017, some labelled AFib, some Noise, some blank, all of patients never seen."""
    sheet = pd.read_excel(real_data / "cinc2017_a.xlsx", nrows=150)
    assert sheet["Label"].isna().any() and (sheet["Label"] == 5).any()
    path = tmp_path_factory.mktemp("others") / "others.csv"
    sheet.to_csv(path, index=False)
    return preprocess(read_strips([path], CONFIG), CONFIG)


def test_every_beat_of_other_patients_gets_an_answer(model: Bundle, others: Run) -> None:
    predicted = predict(model, others)
    beats = predicted.beats
    assert beats["beat_global_id"].tolist() == others.metadata["beat_global_id"].tolist()
    flagged = np.asarray(others.noise_flags) == 1
    assert (beats.loc[flagged, "final_label"] == NOISE).all()
    assert beats.loc[flagged, "pred_conf"].isna().all()
    assert set(beats.loc[~flagged, "final_label"]) <= {*model.classes, UNKNOWN}
    assert beats.loc[~flagged, "pred_conf"].between(0, 1).all()
    unlabelled = (beats["record_label"] == UNLABELLED) & ~flagged
    assert unlabelled.any() and beats.loc[unlabelled, "pred_label_raw"].notna().all()
    assert set(predicted.strips["source_row"]) == set(others.metadata["source_row"])


def test_labels_of_the_file_do_not_reach_the_prediction(model: Bundle, others: Run) -> None:
    blank = training_data(others, labels=np.full(len(others.labels), UNLABELLED, dtype=np.int32))
    assert (blank.window_labels == UNLABELLED).all()
    with_labels = predict(model, others).beats
    renamed = others.metadata.assign(record_label=UNLABELLED, record_label_name="Unlabelled")
    without = predict(model, Run(**{**vars(others), "metadata": renamed, "labels": np.full_like(others.labels, -999)}))
    same = ["pred_label_raw", "pred_conf", "noise_prob", "max_proto_sim", "final_label"]
    pd.testing.assert_frame_equal(with_labels[same], without.beats[same])


def test_what_it_does_not_know_is_grouped(model: Bundle, others: Run) -> None:
    beats = predict(model, others).beats
    patterns = find_patterns(beats, others.features, others.beats, AlertConfig(min_alert_size=20))
    under_review = int((beats["review_flag"] == 1).sum())
    assert under_review and int(patterns.clusters["size"].sum()) == under_review
