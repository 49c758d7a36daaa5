"""The training loop: epochs, the best checkpoint, and a state from which it can go on (spec section 8).

What an epoch does depends on the seed and its number alone, so a resumed training ends exactly where an
uninterrupted one does.
"""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from torch import Tensor

from ecg_engine.config import TrainConfig
from ecg_engine.errors import BundleError, ConfigError, EngineError
from ecg_engine.files import atomic_write, plain
from ecg_engine.inference import CHUNK, run_windows, shuffled_batches, stretches, strip_batches
from ecg_engine.labels import NOISE
from ecg_engine.models import Net, NetOutput, build_net
from ecg_engine.progress import Progress

STATE_FILE, HISTORY_FILE = "training_state.pt", "training_history.csv"
GATE_SHARE = 0.05
"""What gate accuracy counts beside class accuracy when checkpoints are compared."""

BATCHINGS = ("stretches", "strips", "windows", "scripts")
"""How batches are made. In the first three each beat is encoded once a batch: short stretches of strips; whole strips
(fastest, but an epoch teaches far less); shuffled windows. "scripts": shuffled windows, every place encoded anew."""

STRETCH = 2
"""Windows in a stretch. Held-out loss after ten epochs on a quarter of MIT-BIH DS1, split by strip (seed 42; seed 7):
shuffled windows 1.30; 1.41, stretches of 2 1.38; 1.45, of 3 -; 1.62, of 4 1.77; -, whole strips 2.04; -. Processor
time an epoch, shuffled windows being 1: 0.7, 0.55, 0.5 and 0.34. Normalising with running statistics did not help
whole strips: what they lack is independent labels in a batch."""

OnEpoch = Callable[[dict[str, Any]], None]


@dataclass
class Problem:
    """All that the loop needs, as tensors on one device. Windows are those that are trained on or held out."""

    beats: Tensor  # (N, L) float32
    windows: Tensor  # (n, W) int64, rows of beats, -1 where absent
    proto: Tensor | None  # (n, D) features of the centre beats
    target: Tensor  # (n,) int64 class number, -1 for noise
    strip: Tensor  # (n,) int64, on the CPU
    train: Tensor  # rows of windows, ascending
    val: Tensor
    num_classes: int

    @property
    def device(self) -> torch.device:
        """Where the tensors are."""
        return self.beats.device


@dataclass(frozen=True)
class Fit:
    """What the loop leaves."""

    best: dict[str, Tensor]
    best_epoch: int
    best_score: float
    history: pd.DataFrame
    val_logits: NDArray[np.float32]  # of the best checkpoint, over problem.val
    val_gate: NDArray[np.float32] | None


def class_weights(target: Tensor, num_classes: int) -> Tensor:
    """1 / count of each class, normalised to sum to their number; a class that does not occur counts as 1."""
    counts = torch.bincount(target[target >= 0], minlength=num_classes).clamp(min=1).float()
    weights = 1.0 / counts
    return weights * (num_classes / weights.sum())


def loss_of(out: NetOutput, target: Tensor, weights: Tensor | None, gate_weight: float) -> Tensor:
    """Cross-entropy over the windows with a class plus, for a net with a gate, its binary cross-entropy over all."""
    labelled = target >= 0
    loss = out.classes.sum() * 0.0
    if bool(labelled.any()):
        loss = F.cross_entropy(out.classes, target, weights, ignore_index=NOISE)
    if out.gate is not None:
        noise = (~labelled).to(out.gate.dtype)
        loss = loss + gate_weight * F.binary_cross_entropy_with_logits(out.gate, noise)
    return loss


def fit(
    problem: Problem,
    config: TrainConfig,
    *,
    fingerprint: dict[str, Any],
    batching: str = "stretches",
    on_epoch: OnEpoch | None = None,
    progress: Progress,
    folder: Path | None = None,
    resume: bool = False,
) -> Fit:
    """Train, and keep the best checkpoint.

    Parameters
    ----------
    problem : Problem
    config : TrainConfig
    fingerprint : dict
        What must be the same when training is resumed, as plain values.
    batching : {"stretches", "strips", "windows", "scripts"}
        How batches are made, see :data:`BATCHINGS`; the others are for comparison.
    on_epoch : callable, optional
        Called after each epoch with its figures, once its state is saved.
    progress : Progress
        Called several times an epoch; may raise ``Cancelled``, and the last full epoch can be resumed.
    folder : Path, optional
        Where the state and the history are kept.
    resume : bool
        Go on from the state in ``folder``, if there is one.

    Raises
    ------
    ConfigError
        If the state to resume belongs to other data or settings.
    EngineError
        If the loss is no number.
    """
    if batching not in BATCHINGS:
        raise ConfigError(f"batching is {batching!r}; it must be one of {', '.join(BATCHINGS)}.")
    device = problem.device
    with torch.random.fork_rng(devices=[device.index or 0] if device.type == "cuda" else []):
        torch.manual_seed(config.seed)
        proto_dim = 0 if problem.proto is None else int(problem.proto.shape[1])
        net = build_net(config.model, problem.num_classes, proto_dim).to(device)
        optimizer = torch.optim.Adam(net.parameters(), lr=config.lr, fused=True)
        weights = None
        if config.use_class_weights and config.model == "hybrid":
            weights = class_weights(problem.target[problem.train], problem.num_classes)
        rows: list[dict[str, Any]] = []
        best, best_score, best_epoch = _copy(net), -np.inf, 0
        if resume and folder is not None and (folder / STATE_FILE).exists():
            state = _load_state(folder / STATE_FILE, fingerprint)
            net.load_state_dict(state["net"])
            optimizer.load_state_dict(state["optimizer"])
            rows, best = json.loads(state["history"]), state["best"]
            best_score, best_epoch = state["best_score"], state["best_epoch"]
        for epoch in range(len(rows) + 1, config.epochs + 1):
            row = _epoch(net, optimizer, problem, config, weights, epoch, batching, progress)
            row["best"] = row["score"] > best_score
            if row["best"]:
                best, best_score, best_epoch = _copy(net), row["score"], epoch
            rows.append(row)
            if folder is not None:
                _save_state(folder, net, optimizer, best, best_score, best_epoch, rows, fingerprint)
            if on_epoch is not None:
                on_epoch(dict(row))
        net.load_state_dict(best)
        _, logits, gate = validate(net, problem, weights, config.gate_loss_weight)
    return Fit(
        best={name: value.cpu() for name, value in best.items()},
        best_epoch=best_epoch,
        best_score=float(best_score),
        history=pd.DataFrame(rows),
        val_logits=logits.cpu().numpy(),
        val_gate=None if gate is None else gate.cpu().numpy(),
    )


def _epoch(
    net: Net,
    optimizer: torch.optim.Optimizer,
    problem: Problem,
    config: TrainConfig,
    weights: Tensor | None,
    epoch: int,
    batching: str,
    progress: Progress,
) -> dict[str, Any]:
    start = time.perf_counter()
    torch.manual_seed(config.seed * 100_003 + epoch)  # dropout
    generator = torch.Generator().manual_seed(config.seed * 100_003 + epoch)
    net.train()
    total, seen, told = 0.0, 0, start
    for batch in _batches(problem, config.batch_size, batching, generator):
        proto = None if problem.proto is None else problem.proto.index_select(0, batch)
        windows = problem.windows.index_select(0, batch)
        if batching == "scripts":
            samples = problem.beats[windows.clamp(min=0)] * (windows >= 0).unsqueeze(2)
            out = net(samples, proto)
        else:
            out = run_windows(net, problem.beats, windows, proto)
        loss = loss_of(out, problem.target.index_select(0, batch), weights, config.gate_loss_weight)
        optimizer.zero_grad(set_to_none=True)
        loss.backward()
        optimizer.step()
        total += float(loss.detach()) * len(batch)
        seen += len(batch)
        if time.perf_counter() - told > 0.25:
            told = time.perf_counter()
            progress(f"epoch {epoch} of {config.epochs}", (epoch - 1 + seen / len(problem.train)) / config.epochs)
    trained = time.perf_counter() - start
    val_loss, logits, gate = validate(net, problem, weights, config.gate_loss_weight)
    if not np.isfinite(total + val_loss):
        raise EngineError(
            f"Training went astray: the loss of epoch {epoch} is no number. Try a learning rate below {config.lr:g}."
        )
    class_acc, gate_acc = _accuracies(problem.target[problem.val], logits, gate)
    # V1 keeps the checkpoint with the lowest validation loss
    score = -val_loss if gate is None else float(np.nan_to_num(class_acc)) + GATE_SHARE * gate_acc
    row = {
        "epoch": epoch,
        "train_loss": total / max(seen, 1),
        "val_loss": val_loss,
        "class_acc": class_acc,
        "gate_acc": gate_acc,
        "score": score,
        "seconds": time.perf_counter() - start,
        "windows_per_sec": seen / trained,
    }
    progress(f"epoch {epoch} of {config.epochs}: held-out class accuracy {class_acc:.3f}", epoch / config.epochs)
    return row


def _batches(problem: Problem, size: int, batching: str, generator: torch.Generator) -> Iterator[Tensor]:
    train = problem.train.cpu()
    if batching in ("stretches", "strips"):
        _, strip = torch.unique(problem.strip[train], return_inverse=True)
        if batching == "stretches":
            strip = stretches(strip, STRETCH, generator)
        batches = strip_batches(strip, size, generator)
    else:
        batches = shuffled_batches(len(train), size, generator)
    for batch in batches:
        yield train[batch].to(problem.device)


@torch.inference_mode()
def validate(
    net: Net, problem: Problem, weights: Tensor | None, gate_weight: float
) -> tuple[float, Tensor, Tensor | None]:
    """Loss over the held-out windows, their class logits and their noise logits."""
    net.eval()
    logits, gates = [], []
    for rows in problem.val.split(CHUNK):
        proto = None if problem.proto is None else problem.proto.index_select(0, rows)
        out = run_windows(net, problem.beats, problem.windows.index_select(0, rows), proto)
        logits.append(out.classes)
        if out.gate is not None:
            gates.append(out.gate)
    whole = NetOutput(torch.cat(logits), torch.cat(gates) if gates else None)
    loss = float(loss_of(whole, problem.target[problem.val], weights, gate_weight))
    return loss, whole.classes, whole.gate


def _accuracies(target: Tensor, logits: Tensor, gate: Tensor | None) -> tuple[float, float]:
    labelled = target >= 0
    hits = (logits.argmax(dim=1) == target)[labelled]
    class_acc = float(hits.float().mean()) if len(hits) else float("nan")
    if gate is None:
        return class_acc, float("nan")
    return class_acc, float(((gate > 0) == ~labelled).float().mean())


def _copy(net: Net) -> dict[str, Tensor]:
    return {name: value.detach().clone() for name, value in net.state_dict().items()}


def _save_state(
    folder: Path,
    net: Net,
    optimizer: torch.optim.Optimizer,
    best: dict[str, Tensor],
    best_score: float,
    best_epoch: int,
    rows: list[dict[str, Any]],
    fingerprint: dict[str, Any],
) -> None:
    state = {
        "net": net.state_dict(),
        "optimizer": optimizer.state_dict(),
        "best": best,
        "best_score": float(best_score),
        "best_epoch": best_epoch,
        "history": json.dumps(rows),
        "fingerprint": json.dumps(plain(fingerprint), sort_keys=True),
    }
    atomic_write(folder / STATE_FILE, lambda path: torch.save(state, path))
    atomic_write(folder / HISTORY_FILE, lambda path: pd.DataFrame(rows).to_csv(path, index=False))


def _load_state(path: Path, fingerprint: dict[str, Any]) -> dict[str, Any]:
    try:
        state: dict[str, Any] = torch.load(path, map_location="cpu", weights_only=True)
        then, now = json.loads(state["fingerprint"]), json.loads(json.dumps(plain(fingerprint)))
    except Exception as error:
        raise BundleError(f"{path.name} is damaged and cannot be resumed. Start the training anew.") from error
    for key in now:
        if then.get(key) != now[key]:
            raise ConfigError(
                f"The training to resume had {key} {then.get(key)!r}, now it is {now[key]!r}. "
                "Resume with the same data and settings, or start the training anew."
            )
    return state
