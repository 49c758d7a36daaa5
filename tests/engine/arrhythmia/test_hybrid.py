"""The hybrid net with the profile's inputs: the reference's parts and more, learned from labels of strips and flags."""

from __future__ import annotations

import io
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from ecg_engine.arrhythmia.beat_classes import BeatModel, FitConfig, fit
from ecg_engine.arrhythmia.context import S_COLUMNS, VF_COLUMNS
from ecg_engine.arrhythmia.examples import join
from ecg_engine.arrhythmia.hybrid import HybridBeatNet, bank_of, noise_targets, scaled_waves, windows_of
from ecg_engine.arrhythmia.hybrid_fit import HybridConfig, add_hybrid
from ecg_engine.arrhythmia.learning import LearnConfig, Study, learn, likely_labels, moved_examples
from ecg_engine.arrhythmia.references import LENGTH
from ecg_engine.bundle import load
from ecg_engine.config import TrainConfig
from ecg_engine.datasets import training_data
from ecg_engine.errors import InputError
from ecg_engine.evaluation import auroc
from ecg_engine.prediction import predict
from ecg_engine.training import train
from tests.engine.arrhythmia.small import small
from tests.engine.arrhythmia.test_profile import run_of

SETTINGS = TrainConfig(min_proto_size=20)
QUICK = HybridConfig(settings=SETTINGS, epochs=4, batch=32, ordinary=1.0)


@pytest.fixture(scope="module", autouse=True)
def one_thread() -> Iterator[None]:
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


@pytest.fixture(scope="module")
def study(real_data: Path) -> Study:
    """The small real file, one beat in ten of it buried in noise and flagged."""
    few = small(real_data)
    rng = np.random.default_rng(3)
    noise = rng.random(len(few.beats)) < 0.1
    buried = rng.normal(0, 0.3 * np.ptp(few.beats.waves, axis=1).mean(), (int(noise.sum()), LENGTH))
    waves = few.beats.waves.copy()
    waves[noise] += buried.astype(np.float32)
    return Study.of(replace(few.beats, waves=waves), few.strips.label.astype(np.int64), noise=noise)


@pytest.fixture(scope="module")
def held_out(study: Study) -> np.ndarray:
    return np.flatnonzero(study.beats.patient % 3 == 1)


@pytest.fixture(scope="module")
def model(study: Study, held_out: np.ndarray) -> BeatModel:
    """The hybrid net alone; the towers only tell it of what class a prototype is."""
    examples = study.strips(np.setdiff1d(np.arange(len(study.labels)), held_out)).examples
    towers = fit(examples, FitConfig(epochs=10, members=1, use_cnn=False, batch=64))
    both = add_hybrid(towers, examples, likely_labels(towers, examples), QUICK)
    return replace(both, nets=both.nets[1:])


def test_the_net_has_every_part_of_the_references_net(reference_folder: Path) -> None:
    old = torch.load(reference_folder / "hybrid_state_dict.pt", weights_only=True)
    proto_dim = old["proto_mlp.0.weight"].shape[1]
    new = HybridBeatNet(len(VF_COLUMNS), len(S_COLUMNS), 4, proto_dim).state_dict()
    assert set(old) < set(new)
    others = {name for name in old if old[name].shape != new[name].shape}
    # the columns come into the fusion beside what it had, and S and N have no place in the head
    assert others <= {"fusion.0.weight", "class_head.weight", "class_head.bias"}
    assert new["fusion.0.weight"].shape[1] == old["fusion.0.weight"].shape[1] + len(VF_COLUMNS)
    assert {name.split(".")[0] for name in set(new) - set(old)} == {"s"}


def test_ventricular_beats_of_unseen_patients_are_found(
    real_data: Path, study: Study, held_out: np.ndarray, model: BeatModel
) -> None:
    few, noise = small(real_data), study.strips(held_out).noise
    assert noise is not None
    clear = ~noise
    truth = few.aami[np.isin(few.beats.strip, held_out)][clear] == "V"
    p = model.probabilities(study.strips(held_out).examples)
    assert np.allclose(p.sum(1), 1, atol=1e-5)
    found = p.argmax(1)[clear] == 2
    assert truth.sum() > 50
    assert 2 * (truth & found).sum() / (truth.sum() + found.sum()) > 0.7


def test_the_gate_learns_the_flags(study: Study, held_out: np.ndarray, model: BeatModel) -> None:
    examples = study.strips(held_out).examples
    said = model.look(examples).noise
    assert said is not None
    assert auroc(said, noise_targets(examples)) > 0.9


def test_a_model_comes_back_from_a_file_unchanged(study: Study, model: BeatModel) -> None:
    assert model.bank is not None
    assert len(model.bank) > 0
    examples = study.strips(np.arange(40)).examples
    for bank in (model.bank, bank_of(examples, np.full(len(examples), -999), SETTINGS)):
        net = model.nets[0] if len(bank) else HybridBeatNet(len(VF_COLUMNS), len(S_COLUMNS), 4, bank.feature_dim)
        one = replace(model, nets=[net], bank=bank)
        file = io.BytesIO()
        torch.save(one.state(), file)
        file.seek(0)
        again = BeatModel.from_state(torch.load(file, weights_only=True))
        there, back = one.look(examples), again.look(examples)
        assert np.array_equal(there.classes, back.classes)
        assert there.noise is not None and back.noise is not None
        assert np.array_equal(there.noise, back.noise)


def test_neither_gain_nor_polarity_matters(study: Study, model: BeatModel) -> None:
    beats = study.strips(np.arange(30)).beats
    there, back = Study.of(beats).examples, Study.of(replace(beats, waves=-0.02 * beats.waves)).examples
    assert np.allclose(scaled_waves(there), scaled_waves(back), atol=1e-3)
    assert np.allclose(model.probabilities(there), model.probabilities(back), atol=2e-2)


def test_s_is_said_from_timing_and_narrowness_alone(study: Study) -> None:
    torch.manual_seed(0)
    net = HybridBeatNet(len(VF_COLUMNS), len(S_COLUMNS), 4, 8).eval()
    counts = np.array([6])
    beside = torch.randn(6, 8 + len(VF_COLUMNS) + len(S_COLUMNS))
    other = torch.cat([torch.randn(6, 8 + len(VF_COLUMNS)), beside[:, -len(S_COLUMNS) :]], dim=1)
    with torch.no_grad():
        here = net.forward_beats(torch.randn(6, LENGTH), windows_of(counts), beside).classes
        there = net.forward_beats(torch.randn(6, LENGTH), windows_of(counts), other).classes
    assert torch.equal(here[:, :2], there[:, :2])
    assert not torch.isclose(here[:, 2:], there[:, 2:]).any()


def test_neighbours_are_those_of_the_strip(study: Study, model: BeatModel) -> None:
    assert windows_of(np.array([3, 0, 1])).tolist() == [
        [-1, -1, 0, 1, 2],
        [-1, 0, 1, 2, -1],
        [0, 1, 2, -1, -1],
        [-1, -1, 3, -1, -1],
    ]
    many, one = study.strips(np.arange(30)).examples, study.strips(np.array([17])).examples
    span = slice(many.bounds[17], many.bounds[18])
    assert np.allclose(model.probabilities(many)[span], model.probabilities(one), atol=1e-5)


def test_what_a_reader_says_stands_above_flags_and_strips(study: Study) -> None:
    examples = study.strips(np.arange(3)).examples
    first, second, third = examples.bounds[:3]
    known = np.full(len(examples), -999)
    known[first], known[second] = -1, 2
    flags = np.zeros(len(examples), dtype=bool)
    flags[[second, second + 1]] = True
    labels = np.array([0, 0, -1])
    noisy = noise_targets(replace(examples, known=known, noise=flags, labels=labels))
    assert np.flatnonzero(noisy).tolist() == [first, second + 1, *range(third, len(examples))]


def test_learning_a_study_takes_the_net_in_and_copies_keep_their_waves_and_flags(study: Study) -> None:
    config = LearnConfig(FitConfig(epochs=2, members=1, use_cnn=False), 0.3, 0.3, hybrid=replace(QUICK, epochs=1))
    some = study.strips(np.arange(0, len(study.labels), 3))
    moved = moved_examples(some, config)
    assert moved is not None and moved.waves is not None and moved.noise is not None
    assert moved.waves.shape == (len(moved), LENGTH)
    assert 0 < moved.noise.mean() < 0.3
    rows: list[dict[str, object]] = []
    model = learn(some, config, on_epoch=rows.append)
    assert [type(net).__name__ for net in model.nets] == ["Towers", "HybridBeatNet"]
    assert rows[-1]["net"] == "hybrid net"
    assert model.look(some.examples).noise is not None
    assert learn(some, replace(config, hybrid=None)).look(some.examples).noise is None


def test_the_option_goes_all_the_way_through_a_bundle(real_data: Path, tmp_path: Path) -> None:
    run = run_of(real_data)
    config = TrainConfig(profile="arrhythmia", model="hybrid", epochs=1, min_proto_size=20)
    result = train([training_data(run)], config)
    assert "hybrid net" in set(result.history["net"])
    assert result.history["val_loss"].notna().all()
    result.bundle.save(tmp_path / "model_bundle.pt")
    there, back = predict(result.bundle, run).beats, predict(load(tmp_path / "model_bundle.pt"), run).beats
    # a gate can only add to what preprocessing found
    assert (there["noise_prob"] >= run.metadata["quality_score"]).all()
    assert (there["noise_prob"] > run.metadata["quality_score"]).any()
    for name in ("noise_prob", "p_v", "pred_label_raw"):
        assert there[name].equals(back[name])


def test_without_waves_there_is_a_sentence_for_it(study: Study, model: BeatModel) -> None:
    examples = study.strips(np.arange(3)).examples
    with pytest.raises(InputError, match="reads waves"):
        model.probabilities(examples.without_waves)
    assert join([examples, examples.without_waves]).waves is None


def test_the_same_seed_gives_the_same_net(study: Study, model: BeatModel) -> None:
    examples, quick = study.strips(np.arange(40)).examples, replace(QUICK, epochs=1)
    bare = replace(model, nets=[], bank=None)
    likely = np.zeros(len(examples), dtype=np.int64)
    first, second = (add_hybrid(bare, examples, likely, quick).probabilities(examples) for _ in range(2))
    assert np.array_equal(first, second)
