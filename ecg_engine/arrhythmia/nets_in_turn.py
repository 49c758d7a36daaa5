"""Training the nets of a model in turn, each from a seed of its own, with one account of all their epochs."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import NamedTuple

import torch
from torch import nn

from ecg_engine.arrhythmia.beat_training import FitConfig, Lesson, OnEpoch, train_net
from ecg_engine.progress import Progress, silent


class Planned(NamedTuple):
    """A net that is to be trained.

    Attributes
    ----------
    name : str
        In words, for whoever watches.
    epochs : int
    make : callable
        Makes the net from those trained before it; torch is seeded then.
    """

    name: str
    epochs: int
    make: Callable[[Sequence[nn.Module]], nn.Module]


def train_in_turn(
    plans: Sequence[Planned],
    taught: Lesson,
    judged: Lesson | None,
    config: FitConfig,
    device: torch.device,
    *,
    on_epoch: OnEpoch | None = None,
    progress: Progress = silent,
) -> list[nn.Module]:
    """Train one net after the other.

    Parameters
    ----------
    plans : sequence of Planned
    taught : Lesson
        On the device.
    judged : Lesson, optional
        Strips held out: they give val_loss.
    config : FitConfig
        ``seed`` is the first net's; each one after it takes the next.
    device : torch.device
    on_epoch : callable, optional
        See :data:`ecg_engine.arrhythmia.beat_training.OnEpoch`.
    progress : Progress, optional
        Called after every epoch; may raise ``Cancelled``.

    Returns
    -------
    list of Module
        On the processor, in eval mode.
    """
    nets: list[nn.Module] = []
    done, total = 0, sum(plan.epochs for plan in plans)
    for number, plan in enumerate(plans):

        def after(net: nn.Module, loss: float, seconds: float, name: str = plan.name) -> None:
            nonlocal done
            done += 1
            row = {"epoch": done, "epochs": total, "net": name, "train_loss": loss, "seconds": seconds}
            if judged is not None:
                row["val_loss"] = judged.likelihood(net)
            if on_epoch is not None:
                on_epoch(row)
            progress(f"learning beats: {name}", done / total)

        with torch.random.fork_rng(devices=[device] if device.type == "cuda" else []):
            torch.manual_seed(config.seed + number)
            net = plan.make(nets).to(device)
            train_net(net, taught, config, plan.epochs, config.seed + number, after)
        nets.append(net.cpu().eval())
    return nets
