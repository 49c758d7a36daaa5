"""The reference's hybrid net with the inputs of the arrhythmia profile: one more look at a beat, beside the towers'.

All parts of the reference's net are there under the names that they have there: each beat is encoded by convolutions, a
BiLSTM reads five beats, the beat's likeness to prototypes is a branch of its own, a gate says what is noise. What is
added: the profile's columns (timing and shape beside the strip's and the patient's ordinary beat) go into the fusion,
and S has the tower of its own that the profile's other nets have. Waves are in units of the patient's ordinary QRS.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from ecg_engine.arrhythmia.examples import Examples
from ecg_engine.arrhythmia.references import LENGTH
from ecg_engine.arrhythmia.towers import beside_n, rare_at_first, s_tower
from ecg_engine.bank import PrototypeBank, build_bank
from ecg_engine.config import TrainConfig
from ecg_engine.errors import InputError
from ecg_engine.labels import NOISE
from ecg_engine.models import ENCODING, HIDDEN, ECGHybridNet, NetOutput
from ecg_engine.spread import evenly

REACH = 2
"""Beats on either side that the BiLSTM reads."""

CLUSTERS = 64
"""Clusters of training beats from which prototypes are taken."""

_CLUSTERED, _CAP, _AT_ONCE = 8000, 5.0, 4096


class HybridBeatNet(ECGHybridNet):
    """Morphology, context, prototypes and columns; classes N (whose logit is 0), S, V, F and own ones, and a gate.

    Parameters
    ----------
    vf, s : int
        Number of columns of each kind.
    classes : int
    proto_dim : int
        Number of prototype features.
    """

    def __init__(self, vf: int, s: int, classes: int, proto_dim: int) -> None:
        super().__init__(classes - 2, proto_dim)
        self.widths = (proto_dim, vf, s)
        first = self.fusion[0]
        assert isinstance(first, nn.Linear)
        self.fusion[0] = nn.Linear(ENCODING + 2 * HIDDEN + 32 + vf, first.out_features)
        self.s = s_tower(s)
        rare_at_first(self.class_head)
        rare_at_first(self.gate_head)

    def heads(self, morphology: Tensor, context: Tensor, proto: Tensor | None) -> NetOutput:
        """Logits; ``proto`` holds prototype features, columns for V and F, and columns for S, side by side."""
        assert proto is not None
        likeness, vf, s = proto.split(self.widths, 1)
        fused = self.fusion(torch.cat([morphology, context, self.proto_mlp(likeness), vf], dim=1))
        return NetOutput(beside_n(self.s(s), self.class_head(fused)), self.gate_head(fused).squeeze(1))


class HybridInputs(NamedTuple):
    """What the net reads of n beats.

    Attributes
    ----------
    waves : Tensor (n, LENGTH)
    beside : Tensor (n, proto_dim + Dv + Ds)
        See :meth:`HybridBeatNet.heads`.
    counts : int64 (s,)
        Beats of each strip.
    """

    waves: Tensor
    beside: Tensor
    counts: NDArray[np.int64]


def hybrid_inputs(examples: Examples, vf: Tensor, s: Tensor, bank: PrototypeBank) -> HybridInputs:
    """Gather what the net reads.

    Parameters
    ----------
    examples : Examples
    vf, s : Tensor (n, Dv) and (n, Ds)
        The columns as the towers get them.
    bank : PrototypeBank

    Raises
    ------
    InputError
        If the examples hold no waves.
    """
    waves = scaled_waves(examples)
    likeness = torch.from_numpy(bank.features(waves))
    return HybridInputs(torch.from_numpy(waves), torch.cat([likeness, vf, s], dim=1), np.diff(examples.bounds))


def scaled_waves(examples: Examples) -> NDArray[np.float32]:
    """Beats in units of the patient's ordinary QRS, its main deflection upwards; float32 (n, LENGTH).

    Raises
    ------
    InputError
        If the examples hold no waves.
    """
    if examples.waves is None or examples.unit is None:
        raise InputError(
            "the hybrid net reads waves of beats, and there are none",
            remedy="Give the references of the strips when examples are gathered.",
        )
    # an artefact may be many times higher than any beat
    return np.clip(examples.waves * examples.unit[:, None], -_CAP, _CAP)


def windows_of(counts: NDArray[np.int64]) -> Tensor:
    """Rows of the five beats around each beat of strips that follow each other; int64 (n, 5), -1 outside a strip."""
    last = np.cumsum(counts)
    own = np.repeat(np.arange(len(counts)), counts)
    rows = np.arange(len(own))[:, None] + np.arange(-REACH, REACH + 1)
    outside = (rows < (last - counts)[own, None]) | (rows >= last[own, None])
    return torch.from_numpy(np.where(outside, -1, rows))


def noise_targets(examples: Examples) -> NDArray[np.bool_]:
    """What the gate learns: beats that are flagged, of a strip labelled Noise, or called noise; bool (n,).

    What a reader has said of a beat stands above its flag and its strip's label.
    """
    strip_is = np.repeat(examples.labels == NOISE, np.diff(examples.bounds))
    noisy = strip_is if examples.noise is None else strip_is | examples.noise
    return np.where(examples.known >= NOISE, examples.known == NOISE, noisy)


def bank_of(examples: Examples, labels: NDArray[np.integer], settings: TrainConfig) -> PrototypeBank:
    """Prototypes: clusters of training beats that are large and pure enough.

    Parameters
    ----------
    examples : Examples
        With waves.
    labels : int (n,)
        Likely label id of each beat; -999 where nothing is known, and for beats that shall not be members.
    settings : TrainConfig
        ``min_proto_size``, ``min_proto_purity``, ``max_prototypes``, ``top_k_sim``, ``seed``.

    Returns
    -------
    PrototypeBank
        In units of the patients' ordinary QRS; empty where no cluster will do.
    """
    from sklearn.cluster import KMeans
    from threadpoolctl import threadpool_limits  # type: ignore[import-untyped]

    waves = scaled_waves(examples)
    members = (labels >= 0) & ~noise_targets(examples)
    rows = np.flatnonzero(members)
    cluster = np.full(len(waves), -1, dtype=np.int32)
    if len(rows):
        # the bank compares by cosine, so clusters are of beats of one length
        unit = waves[rows] / (np.linalg.norm(waves[rows], axis=1, keepdims=True) + np.float32(1e-6))
        some = unit[evenly(len(unit), _CLUSTERED)]
        count = min(CLUSTERS, len(np.unique(some, axis=0)))
        with threadpool_limits(1):
            cluster[rows] = KMeans(count, n_init=2, random_state=settings.seed).fit(some).predict(unit)
    bank = build_bank(waves, labels.astype(np.int32), cluster, members, settings)
    assert bank.waves.shape[1] == LENGTH
    return bank


def bank_state(bank: PrototypeBank) -> dict[str, Any]:
    """A bank as plain values and tensors, safe to load with ``weights_only``."""
    arrays = {name: torch.from_numpy(getattr(bank, name)) for name in ("waves", "labels", "ids", "sizes")}
    return {**arrays, "mixes": list(bank.mixes), "top_k": bank.top_k}


def bank_from_state(state: dict[str, Any]) -> PrototypeBank:
    """The bank of a state."""
    arrays = {name: state[name].numpy() for name in ("waves", "labels", "ids", "sizes")}
    return PrototypeBank(**arrays, mixes=tuple(state["mixes"]), top_k=state["top_k"])


def run_hybrid(net: HybridBeatNet, inputs: HybridInputs) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Probabilities of the classes and of noise; float32 (n, K) and (n,). Strips are read whole, many at a time."""
    ends = np.cumsum(inputs.counts)
    classes, noise = [], []
    net.eval()
    with torch.no_grad():
        for strips in np.split(np.arange(len(ends)), np.flatnonzero(np.diff((ends - 1) // _AT_ONCE)) + 1):
            counts = inputs.counts[strips]
            span = slice(int(ends[strips[0]] - counts[0]), int(ends[strips[-1]])) if len(strips) else slice(0, 0)
            if span.stop == span.start:
                continue
            said = net.forward_beats(inputs.waves[span], windows_of(counts), inputs.beside[span])
            assert said.gate is not None
            classes.append(torch.softmax(said.classes, 1).numpy())
            noise.append(torch.sigmoid(said.gate).numpy())
    none = np.zeros((0, net.class_head.out_features + 2), dtype=np.float32)
    return np.concatenate([none, *classes]), np.concatenate([none[:, 0], *noise])
