"""A model as one file: the same after saving and loading, safe, and refused where it does not fit."""

from __future__ import annotations

import pickle
import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch

from ecg_engine import bundle as bundles
from ecg_engine.bundle import Bundle, from_state_dict, load
from ecg_engine.config import PredictConfig, PreprocessConfig, TrainConfig
from ecg_engine.datasets import training_data
from ecg_engine.errors import BundleError, EngineError, InputError
from ecg_engine.heldout import compare, evaluate, held_out_rows
from ecg_engine.training import train
from tests.engine.learning import golden_run, make_run, many_patients

QUICK = TrainConfig(epochs=2, batch_size=32, lr=3e-3, min_proto_size=10)


@pytest.fixture(scope="module")
def model() -> Bundle:
    return train([training_data(many_patients(10))], replace(QUICK, epochs=8)).bundle


def test_a_bundle_is_the_same_after_saving_and_loading(tmp_path: Path, model: Bundle) -> None:
    mine = replace(model, predict=PredictConfig(min_class_conf=0.7))
    path = mine.save(tmp_path / "deep" / "model_bundle.pt")
    assert [p.name for p in path.parent.iterdir()] == ["model_bundle.pt"]
    back = load(path)
    for name in ("model", "classes", "fs", "beat_len", "window_size", "preprocess", "train", "predict", "data_hash"):
        assert getattr(back, name) == getattr(mine, name), name
    assert back.metrics == mine.metrics
    assert back.metrics["patients_val"]
    assert all(torch.equal(back.state_dict[key], value) for key, value in mine.state_dict.items())
    for name in ("waves", "labels", "ids", "sizes"):
        np.testing.assert_array_equal(getattr(back.bank, name), getattr(mine.bank, name))
    assert back.bank.mixes == mine.bank.mixes


def test_damaged_files_and_other_files_are_refused(tmp_path: Path, model: Bundle) -> None:
    path = model.save(tmp_path / "m.pt")
    whole = path.read_bytes()
    with pytest.raises(BundleError, match="no model file"):
        load(tmp_path / "absent.pt")
    rng = np.random.default_rng(0)
    damages = [b"", b"not a model", whole[: len(whole) // 2], whole[:-10]]
    for at in rng.integers(1000, len(whole) - 2000, 6):
        damages += [whole[:at] + bytes(255 - byte for byte in whole[at : at + 400]) + whole[at + 400 :]]
    for damage in damages:
        path.write_bytes(damage)
        with pytest.raises(BundleError, match="damaged"):
            load(path)
    for other in ({"a": torch.zeros(2)}, {"format": "x"}, [1, 2]):
        torch.save(other, path)
        with pytest.raises(BundleError, match="not a model bundle"):
            load(path)
    torch.save({"format": bundles.FORMAT, "version": 99}, path)
    with pytest.raises(BundleError, match="newer version"):
        load(path)


def test_code_in_a_file_is_not_run(tmp_path: Path) -> None:
    class Trap:
        def __reduce__(self) -> tuple[object, tuple[str]]:
            return Path.touch, (tmp_path / "ran",)

    path = tmp_path / "trap.pt"
    for writer in (
        lambda: torch.save({"format": bundles.FORMAT, "x": Trap()}, path),
        lambda: path.write_bytes(pickle.dumps(Trap())),
    ):
        writer()
        with pytest.raises(BundleError):
            load(path)
        assert not (tmp_path / "ran").exists()


def test_a_full_disk_leaves_the_old_model(tmp_path: Path, model: Bundle, monkeypatch: pytest.MonkeyPatch) -> None:
    path = model.save(tmp_path / "m.pt")
    before = path.read_bytes()

    def full(content: object, draft: Path) -> None:
        Path(draft).write_bytes(b"half")
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(bundles.torch, "save", full)
    with pytest.raises(EngineError, match=r"m\.pt could not be saved: .*No space left"):
        replace(model, classes=(0, 1, 5)).save(path)
    assert path.read_bytes() == before
    assert [p.name for p in tmp_path.iterdir()] == ["m.pt"]


def test_other_beats_are_refused_by_naming_both_values(model: Bundle) -> None:
    model.check_fits(many_patients(2))
    model.check_fits(many_patients(2, fs=61.7))
    with pytest.raises(BundleError, match="beat length 40 samples in the model, 50 samples here"):
        model.check_fits(many_patients(2, length=50))
    with pytest.raises(BundleError, match=r"sampling rate 61\.5 Hz in the model, 360 Hz here"):
        model.check_fits(many_patients(2, fs=360.0))
    run = many_patients(2)
    with pytest.raises(BundleError, match=r"pre_sec 0\.25 s in the model, 0\.3 s here"):
        model.check_fits(replace(run, config=PreprocessConfig(pre_sec=0.3, post_sec=0.35)))
    narrow = replace(run, windows=run.windows._replace(beat=run.windows.beat[:, 1:4]))
    with pytest.raises(BundleError, match="window size 5 beats in the model, 3 beats here"):
        model.check_fits(narrow)


@pytest.mark.golden
def test_an_old_checkpoint_becomes_a_bundle(reference_folder: Path, tmp_path: Path) -> None:
    old = tmp_path / "best_hybrid_v2.pt"
    shutil.copyfile(reference_folder / "hybrid_state_dict.pt", old)
    settings = TrainConfig(min_proto_size=40, min_proto_purity=0.5)
    options = {"prototype_dir": reference_folder / "preprocess", "train": settings}
    with pytest.raises(BundleError, match="raw_class_values"):
        from_state_dict(old, **options)
    (tmp_path / "training_summary_v2.json").write_text('{"raw_class_values": [0, 1, 2, 3, 4, 5, 7, 8, 10]}')
    bundle = from_state_dict(old, **options)
    assert bundle.classes == (0, 1, 2, 3, 4, 5, 7, 8, 10)
    bundle.check_fits(golden_run(reference_folder))
    golden = np.load(reference_folder / "hybrid_forward.npz")
    net = load(bundle.save(tmp_path / "b.pt")).net()
    with torch.inference_mode():
        out = net(torch.from_numpy(golden["X"]), torch.from_numpy(bundle.bank.features(golden["X"][:, 2])))
    np.testing.assert_allclose(out.classes.numpy(), golden["class_logits"], atol=1e-4)
    with pytest.raises(BundleError, match="9 classes, but 2 were given"):
        from_state_dict(old, [0, 1], **options)
    with pytest.raises(BundleError, match="expects 14 prototype features, but no prototypes were given"):
        from_state_dict(old)
    with pytest.raises(BundleError, match=r"the prototypes given make \d+"):
        from_state_dict(old, prototype_dir=reference_folder / "preprocess")
    with pytest.raises(BundleError, match="cannot be read"):
        from_state_dict(old, prototype_dir=tmp_path)
    with pytest.raises(BundleError, match="already"):
        from_state_dict(tmp_path / "b.pt")
    torch.save({"a": torch.zeros(1)}, old)
    with pytest.raises(BundleError, match="neither of the two nets"):
        from_state_dict(old)


def test_a_context_checkpoint_needs_no_prototypes(tmp_path: Path) -> None:
    data = training_data(many_patients(5))
    bundle = train([data], replace(QUICK, model="context", epochs=1), out_dir=tmp_path).bundle
    old = from_state_dict(tmp_path / "best_context_model.pt")
    assert old.classes == bundle.classes
    assert old.bank is None
    assert load(tmp_path / "model_bundle.pt").bank is None


def test_weights_that_do_not_belong_to_the_classes_are_refused(model: Bundle) -> None:
    with pytest.raises(BundleError, match=r"with 3 classes .* has hybrid, 2 classes"):
        replace(model, classes=(0, 1)).net()


def test_evaluation_on_the_held_out_patients_repeats_the_training_report(model: Bundle) -> None:
    data = training_data(many_patients(10))
    rows = held_out_rows(model, data)
    assert set(data.patient_group[data.windows.centre[rows]]) == set(model.metrics["patients_val"])
    figures = evaluate(model, data, rows)
    assert figures["class_acc"] == pytest.approx(model.metrics["class_acc"])
    assert figures["gate_acc"] == pytest.approx(model.metrics["gate_acc"])
    assert figures["confusion_matrix"] == model.metrics["confusion_matrix_non_noise"]
    assert figures["seen_in_training"] == 0
    assert evaluate(model, data)["seen_in_training"] > 0


def test_labels_that_the_model_does_not_know_count_as_wrong(model: Bundle) -> None:
    strange = training_data(make_run([(900, 0), (901, 5), (902, -999)], seed=9))
    figures = evaluate(model, strange)
    assert figures["num_beats"] == 12
    assert figures["class_acc"] <= 0.5
    assert figures["labels_not_in_model"] == [5]
    assert 0 <= figures["auroc_unknown"] <= 1
    with pytest.raises(InputError, match="held-out patients is in these data"):
        held_out_rows(model, strange)
    with pytest.raises(BundleError, match="beat length 40 in the model, 50 here"):
        evaluate(model, training_data(many_patients(2, length=50)))


def test_candidate_and_current_are_judged_on_the_same_patients(model: Bundle) -> None:
    run = many_patients(10)
    labels = run.labels.copy()
    labels[:4] = 1
    data = training_data(run, labels=labels)
    fair = train([data], QUICK, hold_out=model.metrics["patients_val"]).bundle
    result = compare(fair, model, data)
    assert result["patients"] == model.metrics["patients_val"]
    assert result["notes"] == []
    assert result["candidate"]["num_beats"] == result["current"]["num_beats"]
    others = model.metrics["patients_train"][:2]
    unfair = train([data], QUICK, hold_out=others).bundle
    assert "too good" in " ".join(compare(unfair, model, data)["notes"])
    by_beat = train([data], replace(QUICK, split="beat")).bundle
    with pytest.raises(InputError, match="split by beat"):
        compare(by_beat, model, data)
    assert pd.DataFrame(result["candidate"]["class_report"])["support"].sum() > 0
