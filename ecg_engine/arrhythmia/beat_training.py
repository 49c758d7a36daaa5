"""Training one net on beats of strips: steps over strips, an account of every epoch, and a way to stop (issue 4).

The loss is the likelihood of each strip's label (:mod:`ecg_engine.arrhythmia.runs`); beats that a reader has labelled
add the cross-entropy of their class.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from ecg_engine.arrhythmia.examples import Examples
from ecg_engine.arrhythmia.retiming import PLAIN_LABELS
from ecg_engine.arrhythmia.runs import STRIP_RULES, SYMBOLS, strip_log_likelihood, symbol_log_p

OnEpoch = Callable[[dict[str, Any]], None]
"""Called after every epoch with its row: epoch (a running number over all nets, from 1), epochs (how many there will
be), net (words), train_loss, val_loss (mean negative log-likelihood of the labels of strips; val_loss only where
strips are held out) and seconds."""


@dataclass(frozen=True)
class FitConfig:
    """How the towers are trained; chosen for being ordinary, not for a score.

    Attributes
    ----------
    epochs, epochs_cnn : int
        Passes over the strips.
    batch : int
        Strips a step, were all seen in an epoch.
    rate, decay : float
        AdamW.
    members : int
        Pairs of towers that are averaged; each starts from other weights.
    use_cnn : bool
    ordinary : float
        Share of the strips of nothing but ordinary beats that an epoch sees; they are most of a study and teach least.
    known_weight : float
        Weight of one labelled beat against one strip's label.
    seed : int
    """

    epochs: int = 30
    epochs_cnn: int = 8
    batch: int = 256
    rate: float = 4e-3
    decay: float = 1e-3
    members: int = 2
    use_cnn: bool = True
    ordinary: float = 1.0
    known_weight: float = 1.0
    seed: int = 42

    @property
    def all_epochs(self) -> int:
        """Epochs of all nets together."""
        return self.members * self.epochs + self.use_cnn * self.epochs_cnn


class Said(NamedTuple):
    """What a net says of the beats of B strips.

    Attributes
    ----------
    log_p : Tensor (m, K)
        Log-probabilities of the classes.
    beat : Tensor of int64 (m,)
        Which beats these are.
    symbols : Tensor (B, T, 4)
        Log-probabilities of the symbols, strip by strip.
    lengths : Tensor of int64 (B,)
    aside : Tensor or float
        A loss of the net's own, for what it says beside classes.
    """

    log_p: Tensor
    beat: Tensor
    symbols: Tensor
    lengths: Tensor
    aside: Tensor | float = 0.0


@dataclass(frozen=True)
class Lesson:
    """Strips and what is said of them, on one device.

    Attributes
    ----------
    vf, s, pictures : Tensor (n, Dv), (n, Ds), (n, L, 3)
        Columns in standard deviations, and pictures with the channels last.
    bounds : int64 (s + 1,)
    labels : int64 (s,)
    known : Tensor of int64 (n,)
        Class numbers, -1 where nothing is known.
    weight : Tensor (n,)
    rows : int64
        Strips of which something is said.
    acts_as : tuple of int
        Symbol of each class.
    """

    vf: Tensor
    s: Tensor
    pictures: Tensor
    bounds: NDArray[np.int64]
    labels: NDArray[np.int64]
    known: Tensor
    weight: Tensor
    rows: NDArray[np.int64]
    acts_as: tuple[int, ...]

    @classmethod
    def of(
        cls,
        examples: Examples,
        columns: tuple[Tensor, Tensor],
        known: NDArray[np.int64],
        acts_as: tuple[int, ...],
        weight: float,
        device: torch.device,
    ) -> Lesson:
        """Gather them; ``known`` are class numbers, ``weight`` multiplies the beats' own weights."""
        vf, s = columns
        return cls(
            vf.to(device),
            s.to(device),
            torch.from_numpy(np.ascontiguousarray(examples.pictures.transpose(0, 2, 1))).to(device),
            examples.bounds,
            examples.labels,
            torch.from_numpy(known).to(device),
            (torch.from_numpy(examples.weight) * weight).to(device),
            teaching_strips(examples, known),
            acts_as,
        )

    def ordinary_and_others(self) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
        """Strips that are said to hold nothing but ordinary beats, and of which nothing else is said; and all others
        that teach."""
        plain = (np.isin(self.labels, PLAIN_LABELS) & ~_told(self.known.cpu().numpy(), self.bounds))[self.rows]
        return self.rows[plain], self.rows[~plain]

    def log_p(self, net: nn.Module, strips: NDArray[np.int64]) -> Said:
        """What a net says of these strips' beats."""
        beat, inside = self.beats_of(strips)
        return self.said(torch.log_softmax(net(*self.inputs(net, beat)), 1), beat, inside)

    def beats_of(self, strips: NDArray[np.int64]) -> tuple[Tensor, NDArray[np.bool_]]:
        """Which beats these strips have (m,), and where they stand when each strip is a row (B, T)."""
        first, counts = self.bounds[strips], np.diff(self.bounds)[strips]
        steps = np.arange(max(int(counts.max(initial=0)), 1))
        inside = steps[None] < counts[:, None]
        return torch.from_numpy((first[:, None] + steps[None])[inside]).to(self.vf.device), inside

    def said(self, log_p: Tensor, beat: Tensor, inside: NDArray[np.bool_], aside: Tensor | float = 0.0) -> Said:
        """Put what was said of beats into strips."""
        device = self.vf.device
        mask = torch.from_numpy(inside).to(device)[:, :, None]
        filled = log_p.new_zeros(*inside.shape, len(SYMBOLS)).masked_scatter(mask, symbol_log_p(log_p, self.acts_as))
        return Said(log_p, beat, filled, torch.from_numpy(inside.sum(axis=1)).to(device), aside)

    def inputs(self, net: nn.Module, beat: Tensor | slice) -> tuple[Tensor, Tensor, Tensor]:
        """What the net sees of some beats; pictures are gathered only for nets that look at them."""
        looks = getattr(net, "looks_at_pictures", True)
        pictures = self.pictures[beat] if looks else self.pictures[:0]
        return self.vf[beat], self.s[beat], pictures.transpose(1, 2)

    def likelihood(self, net: nn.Module) -> float:
        """Mean negative log-likelihood of the labels of strips; NaN where no label says anything."""
        rows = self.rows[np.isin(self.labels[self.rows], list(STRIP_RULES))]
        total = 0.0
        was, _ = net.training, net.eval()
        with torch.no_grad():
            for start in range(0, len(rows), 512):
                some = rows[start : start + 512]
                said = self.log_p(net, some)
                labels = torch.from_numpy(self.labels[some])
                total -= float(strip_log_likelihood(said.symbols, said.lengths, labels).sum())
        net.train(was)
        return total / len(rows) if len(rows) else float("nan")


def teaching_strips(examples: Examples, known: NDArray[np.int64]) -> NDArray[np.int64]:
    """Strips with beats of which something is said: by a label, or by a known class number (0 or more) of a beat."""
    said = np.isin(examples.labels, list(STRIP_RULES)) | _told(known, examples.bounds)
    return np.flatnonzero(said & (np.diff(examples.bounds) > 0))


def _told(known: NDArray[np.int64], bounds: NDArray[np.int64]) -> NDArray[np.bool_]:
    """Strips in which a beat is known."""
    strip = np.repeat(np.arange(len(bounds) - 1), np.diff(bounds))
    return np.bincount(strip[known >= 0], minlength=len(bounds) - 1) > 0


def train_net(
    net: nn.Module,
    lesson: Lesson,
    config: FitConfig,
    epochs: int,
    seed: int,
    after: Callable[[nn.Module, float, float], None],
) -> None:
    """Train a net in place.

    Parameters
    ----------
    net : Module
        On the lesson's device.
    lesson : Lesson
    config : FitConfig
    epochs : int
    seed : int
        Of the order of the strips; dropout takes torch's own state.
    after : callable
        Told after every epoch: the net, the mean negative log-likelihood of the strips' labels, and seconds. What it
        raises ends the training.
    """
    generator = torch.Generator().manual_seed(seed)
    ordinary, others = lesson.ordinary_and_others()
    drawn = max(round(config.ordinary * len(ordinary)), min(len(ordinary), 1))
    # those that are drawn speak for those that are not
    speaks_for = np.ones(len(lesson.labels), dtype=np.float32)
    speaks_for[ordinary] = len(ordinary) / max(drawn, 1)
    # as many steps as if all were seen, with fewer strips each: it is steps that teach
    steps = max(1, -(-len(lesson.rows) // config.batch))
    optimiser = torch.optim.AdamW(net.parameters(), lr=config.rate, weight_decay=config.decay)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimiser, config.rate, total_steps=epochs * steps)
    telling = np.isin(lesson.labels, list(STRIP_RULES)) * speaks_for
    net.train()
    for _ in range(epochs):
        begun, total, said_of = time.perf_counter(), 0.0, 0.0
        order = np.concatenate([_shuffled(ordinary, generator)[:drawn], others])
        for some in np.array_split(_shuffled(order, generator), steps):
            says = lesson.log_p(net, some)
            weight = torch.from_numpy(speaks_for[some]).to(says.log_p.device)
            likelihood = strip_log_likelihood(says.symbols, says.lengths, torch.from_numpy(lesson.labels[some]))
            loss = -(likelihood * weight).sum()
            total, said_of = total + float(loss.detach()), said_of + float(telling[some].sum())
            said = (lesson.known[says.beat] >= 0).nonzero()[:, 0]
            if len(said):
                beat = says.beat[said]
                loss = loss - (says.log_p[said, lesson.known[beat]] * lesson.weight[beat]).sum()
            optimiser.zero_grad()
            (loss / weight.sum() + says.aside).backward()
            nn.utils.clip_grad_norm_(net.parameters(), 2.0)
            optimiser.step()
            schedule.step()
        after(net, total / said_of if said_of else float("nan"), time.perf_counter() - begun)


def _shuffled(rows: NDArray[np.int64], generator: torch.Generator) -> NDArray[np.int64]:
    return rows[torch.randperm(len(rows), generator=generator).numpy()]
