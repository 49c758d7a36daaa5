"""Training of the hybrid net of the arrhythmia profile: as the towers are, with a gate that learns flags of noise."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from torch import Tensor, nn

from ecg_engine.arrhythmia.beat_classes import BeatModel, class_numbers, scaled_columns
from ecg_engine.arrhythmia.beat_training import FitConfig, Lesson, OnEpoch, Said
from ecg_engine.arrhythmia.context import S_COLUMNS, VF_COLUMNS
from ecg_engine.arrhythmia.examples import Examples
from ecg_engine.arrhythmia.hybrid import HybridBeatNet, HybridInputs, bank_of, hybrid_inputs, noise_targets, windows_of
from ecg_engine.arrhythmia.nets_in_turn import Planned, train_in_turn
from ecg_engine.arrhythmia.towers import Towers
from ecg_engine.bank import PrototypeBank
from ecg_engine.config import TrainConfig
from ecg_engine.labels import NOISE
from ecg_engine.progress import Progress, silent


@dataclass(frozen=True)
class HybridConfig(FitConfig):
    """How the hybrid net is trained: a fit of a single net, with steps of its own.

    Attributes
    ----------
    epochs, rate, ordinary, members, use_cnn
        As in :class:`FitConfig`, with other defaults; it is one net, and has no convolutions beside it.
    settings : TrainConfig
        ``gate_loss_weight`` and what makes a prototype: ``min_proto_size``, ``min_proto_purity``, ``max_prototypes``,
        ``top_k_sim``.
    """

    epochs: int = 8
    rate: float = 2e-3
    members: int = 1
    use_cnn: bool = False
    ordinary: float = 0.25
    settings: TrainConfig = field(default_factory=TrainConfig)


@dataclass(frozen=True)
class HybridLesson(Lesson):
    """Strips and what is said of them, as the hybrid net reads them.

    Attributes
    ----------
    read : HybridInputs
    noisy : Tensor (n,)
        1 for noise, else 0.
    gate_weight : float
    """

    read: HybridInputs
    noisy: Tensor
    gate_weight: float

    def log_p(self, net: nn.Module, strips: NDArray[np.int64]) -> Said:
        """As for the towers; the gate's cross-entropy stands aside."""
        assert isinstance(net, HybridBeatNet)
        beat, inside = self.beats_of(strips)
        windows = windows_of(inside.sum(axis=1)).to(beat.device)
        out = net.forward_beats(self.read.waves[beat], windows, self.read.beside[beat])
        assert out.gate is not None
        gate = F.binary_cross_entropy_with_logits(out.gate, self.noisy[beat])
        return self.said(torch.log_softmax(out.classes, 1), beat, inside, self.gate_weight * gate)


def add_hybrid(
    model: BeatModel,
    examples: Examples,
    likely: NDArray[np.integer],
    config: HybridConfig | None = None,
    progress: Progress = silent,
    *,
    on_epoch: OnEpoch | None = None,
    held: Examples | None = None,
    device: str | torch.device | None = None,
) -> BeatModel:
    """A model with the hybrid net among its nets; all have the same say in a class, and it alone speaks of noise.

    Parameters
    ----------
    model : BeatModel
        Its classes and the scale of its columns are kept.
    examples : Examples
        What to learn from, with waves.
    likely : int (n,)
        Likely label id of each beat, for the labels of the prototypes; -999 for beats that shall not be part of one.
    config : HybridConfig, optional
    progress : Progress, optional
        Called after every epoch; may raise ``Cancelled``.
    on_epoch, held, device : optional
        As for :func:`ecg_engine.arrhythmia.beat_classes.fit`.

    Returns
    -------
    BeatModel

    Raises
    ------
    InputError
        If the examples hold no waves.
    """
    config, where = config or HybridConfig(), torch.device("cpu" if device is None else device)
    bank = bank_of(examples, likely, config.settings)
    taught = _lesson(examples, model, bank, config, where)
    judged = None if held is None else _lesson(held, model, bank, config, where)

    def hybrid(_: Sequence[nn.Module]) -> nn.Module:
        net = HybridBeatNet(len(VF_COLUMNS), len(S_COLUMNS), len(model.labels), bank.feature_dim)
        # there is little to learn S from: what a tower knows of it already is kept to go on from
        towers = [one for one in model.nets if isinstance(one, Towers)]
        if towers:
            net.s.load_state_dict(towers[0].s.state_dict())
        return net

    plan = Planned("hybrid net", config.epochs, hybrid)
    nets = train_in_turn([plan], taught, judged, config, where, on_epoch=on_epoch, progress=progress)
    return replace(model, nets=[*model.nets, *nets], bank=bank)


def _lesson(
    examples: Examples, model: BeatModel, bank: PrototypeBank, config: HybridConfig, device: torch.device
) -> HybridLesson:
    number = class_numbers(examples.known, model.labels)
    vf, s = scaled_columns(examples, model.scale)
    read = hybrid_inputs(examples, vf, s, bank)
    # the net looks at waves instead of pictures
    blind = replace(examples, pictures=examples.pictures[:0])
    plain = Lesson.of(blind, (vf, s), number, model.acts_as, config.known_weight, device)
    noisy = noise_targets(examples)
    # strips of noise teach the gate
    noise_strips = np.flatnonzero((examples.labels == NOISE) & (np.diff(examples.bounds) > 0))
    return HybridLesson(
        **(vars(plain) | {"rows": np.union1d(plain.rows, noise_strips)}),
        read=HybridInputs(read.waves.to(device), read.beside.to(device), read.counts),
        noisy=torch.from_numpy(noisy.astype(np.float32)).to(device),
        gate_weight=config.settings.gate_loss_weight,
    )
