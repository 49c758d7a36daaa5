"""Training: the split, what may be learned from, the loop, and going on after a stop."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch

from ecg_engine.bundle import load
from ecg_engine.config import PreprocessConfig, TrainConfig
from ecg_engine.datasets import combine, data_hash, sampling_rate, training_data
from ecg_engine.errors import BundleError, Cancelled, ConfigError, EngineError, InputError
from ecg_engine.fitting import class_weights, loss_of
from ecg_engine.models import NetOutput
from ecg_engine.split import split_windows
from ecg_engine.training import train
from tests.engine.learning import golden_run, make_run, many_patients

QUICK = TrainConfig(epochs=3, batch_size=32, lr=3e-3, min_proto_size=10)


def _texts(values: list[object]) -> np.ndarray:
    return np.array([str(value) for value in values], dtype=object)


def test_no_patient_is_on_both_sides_and_rare_labels_are_spread() -> None:
    rng = np.random.default_rng(3)
    patients = np.repeat(np.arange(22), 40)
    labels = rng.choice([0, 1, 2], size=len(patients), p=[0.8, 0.1, 0.1])
    labels[np.isin(patients, [4, 17]) & (np.arange(len(labels)) % 4 == 0)] = 7
    split = split_windows(labels, _texts(patients.tolist()), _texts(patients.tolist()), seed=1)
    assert not set(patients[split.train]) & set(patients[split.val])
    assert sorted([*split.train, *split.val]) == list(range(len(labels)))
    assert split.parted == []
    assert (labels[split.val] == 7).any()
    assert (labels[split.train] == 7).any()
    assert 0.12 < len(split.val) / len(labels) < 0.28
    other = split_windows(labels, _texts(patients.tolist()), _texts(patients.tolist()), seed=2)
    again = split_windows(labels, _texts(patients.tolist()), _texts(patients.tolist()), seed=1)
    assert again.groups_val == split.groups_val
    assert other.groups_val != split.groups_val


def test_a_label_of_one_patient_is_trained_on_and_reported() -> None:
    patients = np.repeat(np.arange(6), 10)
    labels = np.where(patients == 3, 8, patients % 2)
    split = split_windows(labels, _texts(patients.tolist()), _texts(patients.tolist()))
    assert [entry["label"] for entry in split.parted] == [8]
    assert split.parted[0]["val"] == 0
    assert any("VFib is not in both parts" in note for note in split.notes)


def test_one_patient_is_split_by_strip_and_one_strip_not_at_all() -> None:
    labels, strips = np.tile([0, 1], 20), _texts(np.repeat(np.arange(10), 4).tolist())
    split = split_windows(labels, _texts([7] * 40), strips)
    assert split.kind == "strip"
    assert "one patient only" in split.notes[0]
    assert not set(strips[split.train]) & set(strips[split.val])
    with pytest.raises(InputError, match="one strip"):
        split_windows(labels, _texts([7] * 40), _texts([1] * 40))


def test_split_by_beat_is_stratified_and_a_lone_beat_does_not_crash_it() -> None:
    labels = np.array([0] * 50 + [1] * 10 + [5])
    split = split_windows(labels, _texts([1] * 61), _texts([1] * 61), kind="beat")
    assert np.bincount(labels[split.val])[:2].tolist() == [10, 2]
    assert 60 in split.train
    assert any("AFib has a single beat" in note for note in split.notes)


def test_the_patients_asked_for_are_held_out() -> None:
    patients = _texts(np.repeat(np.arange(8), 5).tolist())
    labels = np.tile([0, 1, 2, 0, 1], 8)
    split = split_windows(labels, patients, patients, hold_out=["2", "5", "77"])
    assert split.groups_val == ("2", "5")
    fresh = split_windows(labels, patients, patients, hold_out=["77"])
    assert fresh.groups_val
    assert "fresh" in fresh.notes[0]


def test_strips_without_a_patient_are_their_own_groups() -> None:
    data = training_data(make_run([(-1, 0), (-1, 1), (7.0, 0), ("7", 1), (np.nan, 2)]))
    groups = data.patient_group[:: data.beats.shape[0] // 5].tolist()
    assert groups[2] == groups[3] == "7"
    assert len({groups[0], groups[1], groups[4]}) == 3
    assert all(groups[i].startswith("strip:") for i in (0, 1, 4))


def test_effective_labels_and_flags_replace_those_of_the_run() -> None:
    run = make_run([(1, 0), (2, 1)], beats_per_strip=3)
    labels, flags = run.labels.copy(), run.noise_flags.copy()
    labels[0], flags[1] = 2, 1
    data = training_data(run, labels=labels, noise_flags=flags)
    assert data.window_labels.tolist() == [2, 0, 1, 1, 1]
    assert data.windows.beat[0].tolist() == [-1, -1, 0, 2, -1], "a beat marked noise is nobody's neighbour"
    with pytest.raises(InputError, match="2 labels were given for 6 beats"):
        training_data(run, labels=[0, 1])


def test_data_sets_of_several_runs_train_together() -> None:
    a, b = training_data(many_patients(3), name="a"), training_data(many_patients(4, seed=1), name="b")
    both = combine([a, b])
    assert len(both) == len(a) + len(b)
    assert set(both.patient_group) == {"100", "101", "102", "103"}, "the same id is the same patient"
    np.testing.assert_array_equal(both.beats[both.windows.centre[len(a)]], b.beats[b.windows.centre[0]])
    assert not set(both.cluster_ids[: len(a.labels)]) & set(both.cluster_ids[len(a.labels) :])
    assert len(set(both.strip)) == 12 + 16
    assert data_hash(both) != data_hash(a)
    assert data_hash(a) == data_hash(training_data(many_patients(3), name="other name"))
    for other, words in (
        (many_patients(2, length=50), "beat length differs: 40 samples in a, 50 in c"),
        (many_patients(2, fs=70.0), "sampling rate differs: 61.5 Hz in a, 70 Hz in c"),
    ):
        with pytest.raises(EngineError, match=words):
            combine([a, training_data(other, name="c")])
    wide = replace(many_patients(2), config=PreprocessConfig(context_radius=1))
    with pytest.raises(InputError, match="window size differs: 5 beats in a, 3 in c"):
        combine([a, training_data(wide, noise_flags=wide.noise_flags, name="c")])


@pytest.mark.golden
def test_rate_of_an_old_folder_follows_from_its_intervals(reference_folder: Path) -> None:
    assert sampling_rate(golden_run(reference_folder)) == pytest.approx(260.4, abs=0.01)


def test_class_weights_and_loss_are_those_of_the_spec() -> None:
    target = torch.tensor([0, 0, 0, 1, -1])
    weights = class_weights(target, 3)
    torch.testing.assert_close(weights, torch.tensor([1 / 3, 1.0, 1.0]) * 3 / (7 / 3))
    logits, gate = torch.randn(5, 3), torch.randn(5)
    loss = loss_of(NetOutput(logits, gate), target, weights, 0.5)
    log_p = torch.log_softmax(logits, 1)[torch.arange(4), target[:4]]
    cross = -(weights[target[:4]] * log_p).sum() / weights[target[:4]].sum()
    noise = torch.tensor([0.0, 0, 0, 0, 1])
    binary = -(noise * torch.sigmoid(gate).log() + (1 - noise) * torch.sigmoid(-gate).log()).mean()
    torch.testing.assert_close(loss, cross + 0.5 * binary)
    only_noise = loss_of(NetOutput(logits[4:], gate[4:]), target[4:], weights, 0.5)
    assert torch.isfinite(only_noise), "a batch of noise alone has no class loss"


@pytest.mark.parametrize("model", ["hybrid", "context"])
def test_training_learns_and_leaves_its_files(tmp_path: Path, model: str) -> None:
    seen: list[dict[str, object]] = []
    data = training_data(many_patients(12, noise_every=9))
    result = train([data], replace(QUICK, model=model, epochs=12), out_dir=tmp_path, on_epoch=seen.append)
    name = {"hybrid": "best_hybrid_v2.pt", "context": "best_context_model.pt"}[model]
    files = {"model_bundle.pt", "training_summary_v2.json", "training_history.csv", "training_state.pt", name}
    assert {path.name for path in tmp_path.iterdir()} == files
    assert result.summary["class_acc"] > 0.9
    assert [row["epoch"] for row in seen] == list(range(1, 13))
    assert {"train_loss", "val_loss", "class_acc", "gate_acc", "score", "seconds", "windows_per_sec", "best"} <= set(
        seen[0]
    )
    summary = json.loads((tmp_path / "training_summary_v2.json").read_text())
    keys = "best_score num_samples num_classes_non_noise raw_class_values num_prototypes_used proto_feature_dim "
    keys += "model_path use_class_weights confusion_matrix_non_noise classification_report_non_noise"
    assert list(summary)[:10] == keys.split()
    assert summary["raw_class_values"] == [0, 1, 2]
    held, trained = set(summary["patients_val"]), set(summary["patients_train"])
    assert held
    assert not held & trained
    assert len(held | trained) == 12
    assert np.sum(summary["confusion_matrix_non_noise"]) == sum(r["support"] for r in summary["class_report"])
    assert summary["calibration"]["ece_after"] <= summary["calibration"]["ece_before"] + 0.02
    assert {row["label"] for row in summary["aami_report"]} == {"N", "S", "V"}
    state = torch.load(tmp_path / name, weights_only=True)
    bundle = load(tmp_path / "model_bundle.pt")
    assert all(torch.equal(value, bundle.state_dict[key]) for key, value in state.items())
    assert len(pd.read_csv(tmp_path / "training_history.csv")) == 12
    if model == "hybrid":
        assert summary["num_prototypes_used"] == 4
        assert summary["num_samples"] == len(data)
        assert seen[-1]["score"] == pytest.approx(seen[-1]["class_acc"] + 0.05 * seen[-1]["gate_acc"])
        assert result.summary["best_score"] == max(row["score"] for row in seen)
    else:
        assert result.bundle.bank is None
        assert summary["num_samples"] == int((data.window_labels >= 0).sum())
        assert result.summary["best_score"] == -min(row["val_loss"] for row in seen)


def test_the_report_is_that_of_the_saved_checkpoint() -> None:
    data = training_data(many_patients(10))
    result = train([data], replace(QUICK, epochs=6, lr=0.02))
    best = result.history.loc[result.history["score"].idxmax()]
    assert result.history["class_acc"].iloc[-1] != best["class_acc"], (
        "the last epoch must differ, or this shows nothing"
    )
    assert result.summary["best_epoch"] == best["epoch"]
    assert result.summary["class_acc"] == pytest.approx(best["class_acc"])


def test_the_bank_holds_nothing_of_held_out_patients() -> None:
    data = training_data(many_patients(10))
    bundle = train([data], replace(QUICK, epochs=1)).bundle
    held = np.isin(data.patient_group, bundle.metrics["patients_val"])
    assert bundle.bank is not None
    for number, cluster in enumerate(bundle.bank.ids):
        inside = (data.cluster_ids == cluster) & ~held
        assert bundle.bank.sizes[number] == inside.sum()
        np.testing.assert_allclose(bundle.bank.waves[number], np.median(data.beats[inside], axis=0), atol=1e-6)
    spoilt = replace(data, beats=np.where(held[:, None], 9.0, data.beats).astype(np.float32))
    other = train([spoilt], replace(QUICK, epochs=1)).bundle
    np.testing.assert_array_equal(other.bank.waves, bundle.bank.waves)
    assert all(torch.equal(other.state_dict[k], v) for k, v in bundle.state_dict.items())
    by_beat = train([data], replace(QUICK, epochs=1, split="beat")).bundle
    assert by_beat.bank.sizes.sum() == len(data.labels), "the scripts' split keeps all members"
    assert by_beat.metrics["patients_val"] == []


def test_unlabelled_beats_are_neighbours_but_never_trained_on() -> None:
    run = many_patients(8)
    labels = run.labels.copy()
    labels[::3] = -999
    data = training_data(run, labels=labels)
    result = train([data], replace(QUICK, epochs=1))
    assert result.summary["num_samples"] == int((labels != -999).sum())
    assert any("64 unlabelled beats" in note for note in result.summary["notes"])
    assert -999 not in result.bundle.classes


def test_same_seed_same_model_and_the_caller_keeps_his_random_numbers() -> None:
    data = training_data(many_patients(6))
    torch.manual_seed(5)
    expected = torch.rand(3)
    torch.manual_seed(5)
    first, second = (train([data], replace(QUICK, epochs=2)).bundle.state_dict for _ in range(2))
    assert all(torch.equal(first[key], second[key]) for key in first)
    assert torch.equal(torch.rand(3), expected)
    other = train([data], replace(QUICK, epochs=2, seed=7)).bundle.state_dict
    assert not all(torch.equal(first[key], other[key]) for key in first)


def test_a_stopped_training_resumes_to_the_very_same_model(tmp_path: Path) -> None:
    data = training_data(many_patients(8))
    settings = replace(QUICK, epochs=4)
    whole = train([data], settings)

    def stop(row: dict[str, object]) -> None:
        if row["epoch"] == 2:
            raise Cancelled

    with pytest.raises(Cancelled):
        train([data], settings, out_dir=tmp_path, on_epoch=stop)
    assert len(pd.read_csv(tmp_path / "training_history.csv")) == 2
    assert not (tmp_path / "model_bundle.pt").exists()
    torch.load(tmp_path / "training_state.pt", weights_only=True)
    epochs: list[object] = []
    resumed = train([data], settings, out_dir=tmp_path, resume=True, on_epoch=lambda row: epochs.append(row["epoch"]))
    assert epochs == [3, 4]
    assert all(torch.equal(resumed.bundle.state_dict[k], v) for k, v in whole.bundle.state_dict.items())
    for column in ("train_loss", "val_loss", "class_acc", "gate_acc", "score", "best"):
        assert resumed.history[column].tolist() == whole.history[column].tolist()
    more = train([data], replace(settings, epochs=5), out_dir=tmp_path, resume=True)
    assert len(more.history) == 5


def test_another_training_or_a_damaged_state_is_not_resumed(tmp_path: Path) -> None:
    data = training_data(many_patients(6))
    train([data], replace(QUICK, epochs=1), out_dir=tmp_path)
    with pytest.raises(ConfigError, match=r"lr 0.003, now it is 0.01"):
        train([data], replace(QUICK, epochs=2, lr=0.01), out_dir=tmp_path, resume=True)
    other = training_data(many_patients(6, seed=4))
    with pytest.raises(ConfigError, match="had data "):
        train([other], replace(QUICK, epochs=2), out_dir=tmp_path, resume=True)
    (tmp_path / "training_state.pt").write_bytes(b"PK\x03\x04 torn")
    with pytest.raises(BundleError, match="damaged"):
        train([data], replace(QUICK, epochs=2), out_dir=tmp_path, resume=True)


def test_progress_can_stop_it_and_ends_at_one() -> None:
    data = training_data(many_patients(5))
    shares: list[float] = []
    train([data], replace(QUICK, epochs=2), progress=lambda _, share: shares.append(share))
    assert shares[-1] == 1
    assert shares == sorted(shares)

    def stop(message: str, share: float) -> None:
        if message.startswith("epoch"):
            raise Cancelled

    with pytest.raises(Cancelled):
        train([data], QUICK, progress=stop)


@pytest.mark.parametrize(
    ("strips", "words"),
    [
        ([(1, 0), (2, 0)], "every labelled usable beat is Normal"),
        ([(1, -999), (2, -999)], "no usable beat has a label"),
        ([(1, -1), (2, -1)], "no usable beat has a label"),
    ],
)
def test_too_few_labels_are_refused_with_a_remedy(strips: list[tuple[object, int]], words: str) -> None:
    with pytest.raises(InputError, match=f"{words}.*at least two kinds"):
        train([training_data(make_run(strips))], QUICK)
    with pytest.raises(InputError, match="nothing to train on"):
        train([], QUICK)


def test_odd_data_train_without_a_crash() -> None:
    two = train([training_data(make_run([(1, 0), (2, 1)]))], replace(QUICK, epochs=1))
    assert {entry["label"] for entry in two.summary["classes_not_in_both_parts"]} == {0, 1}
    lone = make_run([(p, p % 2) for p in range(6)], beats_per_strip=1)
    assert train([training_data(lone)], replace(QUICK, epochs=1)).summary["num_samples"] == 6
    held = [(1, 0), (1, 1), (2, -1)]
    noise = train([training_data(make_run(held))], replace(QUICK, epochs=1), hold_out=["2"])
    assert noise.summary["class_acc"] is None
    assert any("no figures on classes" in note for note in noise.summary["notes"])


def test_samples_or_a_loss_that_are_no_numbers_stop_the_training() -> None:
    run = many_patients(4)
    with pytest.raises(EngineError, match=r"loss of epoch \d is no number.*learning rate below 1e\+30"):
        train([training_data(run)], replace(QUICK, epochs=3, lr=1e30))
    run.beats[3, 5] = np.nan
    with pytest.raises(InputError, match="1 beats hold samples that are no numbers, the first is beat 3"):
        train([training_data(run)], replace(QUICK, epochs=1))


@pytest.mark.parametrize("batching", ["strips", "windows", "scripts"])
def test_other_batchings_learn_as_well(batching: str) -> None:
    data = training_data(many_patients(8))
    assert train([data], replace(QUICK, epochs=10), batching=batching).summary["class_acc"] > 0.85
    with pytest.raises(ConfigError, match="stretches, strips, windows, scripts"):
        train([data], QUICK, batching="beats")
