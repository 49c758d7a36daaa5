"""Training of the hybrid net of the arrhythmia profile: labels of strips and known beats as for the towers, and a gate.

Ordinary strips are most of a study and teach least: each epoch sees a share of them, which then weigh the more.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from torch import Tensor, nn

from ecg_engine.arrhythmia.beat_classes import BeatModel, class_numbers, scaled_columns, symbol_log_p
from ecg_engine.arrhythmia.context import S_COLUMNS, VF_COLUMNS
from ecg_engine.arrhythmia.examples import Examples
from ecg_engine.arrhythmia.hybrid import HybridBeatNet, HybridInputs, bank_of, hybrid_inputs, noise_targets, windows_of
from ecg_engine.arrhythmia.retiming import PLAIN_LABELS
from ecg_engine.arrhythmia.runs import STRIP_RULES, SYMBOLS, strip_log_likelihood
from ecg_engine.arrhythmia.towers import Towers
from ecg_engine.config import TrainConfig
from ecg_engine.labels import NOISE
from ecg_engine.progress import Progress, silent


@dataclass(frozen=True)
class HybridConfig:
    """How the hybrid net is trained.

    Attributes
    ----------
    settings : TrainConfig
        ``gate_loss_weight`` and what makes a prototype: ``min_proto_size``, ``min_proto_purity``, ``max_prototypes``,
        ``top_k_sim``.
    epochs : int
    batch : int
        Strips a step.
    rate, decay : float
        AdamW.
    ordinary : float
        Share of the strips of nothing but ordinary beats that an epoch sees.
    known_weight : float
        Weight of one labelled beat against one strip's label.
    seed : int
    """

    settings: TrainConfig = field(default_factory=TrainConfig)
    epochs: int = 12
    batch: int = 128
    rate: float = 2e-3
    decay: float = 1e-3
    ordinary: float = 1 / 3
    known_weight: float = 1.0
    seed: int = 42


def add_hybrid(
    model: BeatModel,
    examples: Examples,
    likely: NDArray[np.integer],
    config: HybridConfig | None = None,
    progress: Progress = silent,
    on_epoch: Callable[[int, float], None] | None = None,
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
        May raise ``Cancelled``.
    on_epoch : callable, optional
        Called with the epoch, from 1, and its mean loss a strip.

    Returns
    -------
    BeatModel

    Raises
    ------
    InputError
        If the examples hold no waves.
    """
    config = config or HybridConfig()
    bank = bank_of(examples, likely, config.settings)
    vf, s = scaled_columns(examples, model.scale)
    inputs = hybrid_inputs(examples, vf, s, bank)
    generator = torch.Generator().manual_seed(config.seed)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(config.seed)
        net = HybridBeatNet(len(VF_COLUMNS), len(S_COLUMNS), len(model.labels), bank.feature_dim)
        # there is little to learn S from: what a tower knows of it already is kept to go on from
        towers = [one for one in model.nets if isinstance(one, Towers)]
        if towers:
            net.s.load_state_dict(towers[0].s.state_dict())

        def after(epoch: int, loss: float) -> None:
            if on_epoch is not None:
                on_epoch(epoch, loss)
            progress(f"learning beats: hybrid net, epoch {epoch} of {config.epochs}", epoch / config.epochs)

        _train(net, inputs, examples, model, config, generator, after)
    return BeatModel(model.labels, model.acts_as, [*model.nets, net.eval()], model.scale, bank)


def _train(
    net: HybridBeatNet,
    inputs: HybridInputs,
    examples: Examples,
    model: BeatModel,
    config: HybridConfig,
    generator: torch.Generator,
    after: Callable[[int, float], None],
) -> None:
    number = class_numbers(examples.known, model.labels)
    said = torch.from_numpy(number)
    weight = torch.from_numpy(examples.weight) * config.known_weight
    gate, labels = torch.from_numpy(noise_targets(examples).astype(np.float32)), torch.from_numpy(examples.labels)
    plain, rest = _rows(examples, number)
    drawn = round(config.ordinary * len(plain)) or len(plain)
    steps = max(1, -(-(drawn + len(rest)) // config.batch))
    optimiser = torch.optim.AdamW(net.parameters(), lr=config.rate, weight_decay=config.decay)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimiser, config.rate, total_steps=config.epochs * steps)
    share = np.where(np.isin(np.arange(len(labels)), plain), len(plain) / max(drawn, 1), 1.0)
    counts_as = torch.from_numpy(share.astype(np.float32))
    net.train()
    for epoch in range(config.epochs):
        some_plain = plain[torch.randperm(len(plain), generator=generator).numpy()[:drawn]]
        order = np.concatenate([some_plain, rest])
        order = order[torch.randperm(len(order), generator=generator).numpy()]
        total = 0.0
        for rows in np.array_split(order, steps):
            counts = inputs.counts[rows]
            beat = torch.from_numpy(
                np.concatenate([np.arange(examples.bounds[i], examples.bounds[i + 1]) for i in rows])
            )
            out = net.forward_beats(inputs.waves[beat], windows_of(counts), inputs.beside[beat])
            assert out.gate is not None
            log_p = torch.log_softmax(out.classes, 1)
            by_strip = _by_strip(symbol_log_p(log_p, model.acts_as), counts)
            likelihood = strip_log_likelihood(by_strip, torch.from_numpy(counts), labels[rows])
            loss = -(likelihood * counts_as[rows]).sum()
            told = (said[beat] >= 0).nonzero()[:, 0]
            if len(told):
                loss = loss - (log_p[told, said[beat[told]]] * weight[beat[told]]).sum()
            loss = loss / len(rows)
            noise = F.binary_cross_entropy_with_logits(out.gate, gate[beat])
            optimiser.zero_grad()
            (loss + config.settings.gate_loss_weight * noise).backward()
            nn.utils.clip_grad_norm_(net.parameters(), 2.0)
            optimiser.step()
            schedule.step()
            total += float(loss.detach()) * len(rows)
        after(epoch + 1, total / max(len(order), 1))


def _rows(examples: Examples, number: NDArray[np.int64]) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Strips of nothing but ordinary beats about which nothing else is known, and all others that teach something."""
    counts = np.diff(examples.bounds)
    strip = np.repeat(np.arange(len(counts)), counts)
    told = np.bincount(strip[number >= 0], minlength=len(counts)) > 0
    plain = np.isin(examples.labels, PLAIN_LABELS) & ~told
    teaching = told | np.isin(examples.labels, [*STRIP_RULES, NOISE])
    return np.flatnonzero(plain & (counts > 0)), np.flatnonzero(teaching & ~plain & (counts > 0))


def _by_strip(symbols: Tensor, counts: NDArray[np.int64]) -> Tensor:
    """Rows of beats to (B, T, 4), zeros beyond a strip's end."""
    inside = torch.from_numpy(np.arange(int(counts.max(initial=1))) < counts[:, None])
    return symbols.new_zeros(*inside.shape, len(SYMBOLS)).masked_scatter(inside[:, :, None], symbols)
