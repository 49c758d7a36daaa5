"""The nets and the prototype bank: golden numbers, and one way of running them equal to the other."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch

from ecg_engine.bank import PrototypeBank, bank_from_library, build_bank, empty_bank
from ecg_engine.config import TrainConfig
from ecg_engine.errors import ConfigError, InputError
from ecg_engine.inference import infer, run_windows, shuffled_batches, stretches, strip_batches
from ecg_engine.models import build_net, describe_state
from ecg_engine.windows import gather
from tests.engine.learning import golden_run, many_patients


@pytest.mark.golden
def test_golden_weights_give_golden_logits(reference_folder: Path) -> None:
    state = torch.load(reference_folder / "hybrid_state_dict.pt", weights_only=True)
    golden = np.load(reference_folder / "hybrid_forward.npz")
    net = build_net(*describe_state(state))
    net.load_state_dict(state, strict=True)
    net.eval()
    with torch.inference_mode():
        out = net(torch.from_numpy(golden["X"]), torch.from_numpy(golden["proto_features"]))
    np.testing.assert_allclose(out.classes.numpy(), golden["class_logits"], atol=1e-4)
    np.testing.assert_allclose(out.gate.numpy(), golden["gate_logit"], atol=1e-4)


@pytest.mark.golden
def test_golden_prototype_features_and_bank(reference_folder: Path) -> None:
    golden, run = np.load(reference_folder / "hybrid_forward.npz"), golden_run(reference_folder)
    settings = TrainConfig(min_proto_size=40, min_proto_purity=0.5)
    library = bank_from_library(run.library, run.prototype_waves, settings)
    np.testing.assert_allclose(library.waves, golden["proto_waves"], atol=1e-6)
    assert library.labels.tolist() == golden["proto_labels"].tolist()
    np.testing.assert_allclose(library.features(golden["X"][:, 2]), golden["proto_features"], atol=1e-5)
    # over all usable beats, the bank made from the beats is the bank made from the library
    beats = build_bank(run.beats, run.labels, run.cluster_ids, run.noise_flags == 0, settings)
    assert beats.ids.tolist() == library.ids.tolist()
    assert beats.mixes == library.mixes
    np.testing.assert_allclose(beats.waves, library.waves, atol=1e-5)


@pytest.mark.golden
@pytest.mark.parametrize("model", ["hybrid", "context"])
def test_beats_encoded_once_give_the_outputs_of_whole_windows(reference_folder: Path, model: str) -> None:
    run = golden_run(reference_folder)
    bank = bank_from_library(run.library, run.prototype_waves, TrainConfig(min_proto_size=40, min_proto_purity=0.5))
    torch.manual_seed(1)
    net = build_net(model, 9, bank.feature_dim)
    net.train()
    with torch.no_grad():  # running statistics that are not the initial ones
        net(torch.from_numpy(gather(run.beats, run.windows, np.arange(64))), torch.zeros(64, bank.feature_dim))
    net.eval()
    rows = np.random.default_rng(0).permutation(len(run.windows.centre))[:300]
    proto = torch.from_numpy(bank.features(run.beats[run.windows.centre[rows]]))
    beats, index = torch.from_numpy(run.beats), torch.from_numpy(run.windows.beat[rows].astype(np.int64))
    assert (index < 0).any(), "windows at the ends of strips must be among them"
    with torch.inference_mode():
        whole = net(torch.from_numpy(gather(run.beats, run.windows, rows)), proto)
        once = run_windows(net, beats, index, proto)
    torch.testing.assert_close(once.classes, whole.classes, atol=1e-5, rtol=1e-5)
    out = infer(net, bank if model == "hybrid" else None, run.beats, run.windows.beat[rows])
    np.testing.assert_allclose(out.logits, whole.classes.numpy(), atol=1e-5)
    if model == "hybrid":
        torch.testing.assert_close(once.gate, whole.gate, atol=1e-5, rtol=1e-5)
    else:
        assert once.gate is None
        assert out.gate is None


def test_gradients_agree_with_the_whole_lstm() -> None:
    torch.manual_seed(0)
    net = build_net("context", 3).eval()
    windows = torch.tensor([[-1, -1, 0, 1, 2], [0, 1, 2, -1, -1]])
    beats = torch.randn(3, 50)
    samples = torch.cat([beats, torch.zeros(1, 50)])[windows]
    grads = []
    for out in (net(samples), net.forward_beats(beats, windows)):
        net.zero_grad()
        out.classes.square().sum().backward()
        grads.append({name: p.grad.clone() for name, p in net.named_parameters() if p.grad is not None})
    assert grads[0].keys() == grads[1].keys()
    for name, value in grads[0].items():
        torch.testing.assert_close(grads[1][name], value, atol=1e-5, rtol=1e-4, msg=name)


@pytest.mark.parametrize("length", [170, 45])
def test_the_quick_encoder_is_the_layers_one_after_another(length: int) -> None:
    beats = torch.randn(20, length)
    beats[3] = 0.0
    results = []
    for quick in (True, False):
        torch.manual_seed(0)
        encoder = build_net("context", 3).beat_encoder.train()
        out = encoder.encode(beats) if quick else encoder(beats.unsqueeze(1)).squeeze(-1)
        (out * torch.linspace(-1, 1, 64)).square().sum().backward()
        results.append(
            (out.detach(), {n: p.grad for n, p in encoder.named_parameters()}, dict(encoder.named_buffers()))
        )
    (out, grads, buffers), (out_ref, grads_ref, buffers_ref) = results
    torch.testing.assert_close(out, out_ref, atol=1e-5, rtol=1e-4)
    for name, value in grads_ref.items():
        torch.testing.assert_close(grads[name], value, atol=1e-4, rtol=1e-3, msg=name)
    for name, value in buffers_ref.items():
        torch.testing.assert_close(buffers[name], value, msg=name)


def test_batches_hold_whole_strips_and_every_window_once() -> None:
    strip = torch.from_numpy(np.repeat(np.arange(50), np.random.default_rng(0).integers(1, 25, 50)))
    batches = list(strip_batches(strip, 64, torch.Generator().manual_seed(1)))
    assert torch.cat(batches).sort().values.tolist() == list(range(len(strip)))
    homes = [set(strip[batch].tolist()) for batch in batches]
    assert sum(len(home) for home in homes) == 50, "no strip in two batches"
    assert all(40 <= len(batch) <= 90 for batch in batches)
    again = list(strip_batches(strip, 64, torch.Generator().manual_seed(2)))
    assert any(a.tolist() != b.tolist() for a, b in zip(batches, again, strict=True)), "another order each time"
    mixed = list(shuffled_batches(len(strip), 64, torch.Generator().manual_seed(1)))
    assert torch.cat(mixed).sort().values.tolist() == list(range(len(strip)))


def test_stretches_join_neighbours_of_one_strip_and_other_ones_each_time() -> None:
    strip = torch.from_numpy(np.repeat(np.arange(30), np.random.default_rng(1).integers(1, 12, 30)))
    generator = torch.Generator().manual_seed(0)
    cuts = set()
    for _ in range(4):
        number = stretches(strip, 2, generator)
        assert number.unique().tolist() == list(range(int(number.max()) + 1))
        for one in number.unique():
            rows = torch.where(number == one)[0]
            assert len(rows) <= 2
            assert len(strip[rows].unique()) == 1
            assert int(rows[-1] - rows[0]) == len(rows) - 1
        assert len(number.unique()) <= len(strip) / 2 + 30
        cuts.add(tuple(number.tolist()))
    assert len(cuts) > 1
    assert stretches(torch.tensor([0, 0, 0]), 1, generator).tolist() == [0, 1, 2]


def test_a_strip_longer_than_a_batch_is_one_batch() -> None:
    strip = torch.tensor([0] * 300 + [1] * 3)
    batches = list(strip_batches(strip, 64, torch.Generator().manual_seed(0)))
    assert sorted(len(b) for b in batches) in ([3, 300], [303])


def test_bank_counts_only_its_members_and_keeps_the_largest() -> None:
    run = many_patients(6, labels=(0, 1, 2))
    labels = run.labels.copy()
    labels[np.flatnonzero(run.cluster_ids == 2)[:5]] = -999
    members = run.metadata["patient_id"].to_numpy() < 104
    members[np.flatnonzero((run.cluster_ids == 0) & members)[0]] = False
    settings = TrainConfig(min_proto_size=1, min_proto_purity=0.5)
    bank = build_bank(run.beats, labels, run.cluster_ids, members, settings)
    assert bank.sizes.tolist() == [24, 24, 23]
    assert bank.ids.tolist() == [1, 2, 0]
    assert bank.mixes == ("1:24", "2:19", "0:23"), "unlabelled members count for the size, not for the mix"
    inside = members & (run.cluster_ids == 1)
    np.testing.assert_allclose(bank.waves[0], np.median(run.beats[inside], axis=0), atol=1e-6)
    two = build_bank(run.beats, labels, run.cluster_ids, members, TrainConfig(min_proto_size=1, max_prototypes=2))
    assert two.ids.tolist() == [1, 2], "the largest stay"
    large = build_bank(run.beats, labels, run.cluster_ids, members, TrainConfig(min_proto_size=24))
    assert large.ids.tolist() == [1, 2]


def test_purity_decides_and_ties_go_to_the_lower_label() -> None:
    beats = np.ones((10, 4), dtype=np.float32)
    labels = np.array([2, 2, 1, 1, 0, 5, 5, 5, 5, 1], dtype=np.int32)
    clusters = np.array([0] * 5 + [1] * 5, dtype=np.int32)
    everyone = np.ones(10, dtype=bool)
    bank = build_bank(beats, labels, clusters, everyone, TrainConfig(min_proto_size=1, min_proto_purity=0.4))
    assert bank.mixes == ("1:2;2:2;0:1", "5:4;1:1")
    assert bank.labels.tolist() == [1, 5]
    pure = build_bank(beats, labels, clusters, everyone, TrainConfig(min_proto_size=1, min_proto_purity=0.8))
    assert pure.ids.tolist() == [1]


def test_prototype_features_are_top_cosines_then_maxima_by_label() -> None:
    waves = np.eye(3, 4, dtype=np.float32)
    ids = np.arange(3)
    bank = PrototypeBank(waves, np.array([5, 0, 5]), ids, ids, ("", "", ""), top_k=2)
    beat = np.array([[3.0, 0.0, 4.0, 0.0]], dtype=np.float32)
    np.testing.assert_allclose(bank.features(beat), [[0.8, 0.6, 0.0, 0.8]], atol=1e-6)
    np.testing.assert_allclose(bank.features(10 * beat), bank.features(beat), atol=1e-6)
    assert bank.feature_dim == 4
    few = PrototypeBank(waves, np.array([5, 0, 5]), ids, ids, ("", "", ""), top_k=8)
    assert few.features(beat).shape == (1, few.feature_dim) == (1, 5)
    assert not empty_bank(4).features(beat).any()
    assert empty_bank(4).features(beat).shape == (1, 8)
    assert np.isfinite(bank.features(np.zeros((1, 4)))).all()


@pytest.mark.golden
def test_library_without_its_waves_is_refused(reference_folder: Path) -> None:
    run = golden_run(reference_folder)
    with pytest.raises(InputError, match="prototype 6 has no waveform"):
        bank_from_library(run.library, {5: run.prototype_waves[5]}, TrainConfig(min_proto_size=200, min_proto_purity=0))


def test_unknown_model_and_foreign_weights_are_refused() -> None:
    with pytest.raises(ConfigError, match="hybrid, context"):
        build_net("transformer", 3)
    with pytest.raises(ConfigError, match="neither"):
        describe_state({"fc.weight": torch.zeros(2, 2)})
