"""Running a net over many windows: which beats a batch needs, and the outputs of all windows in pieces."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from ecg_engine.bank import PrototypeBank
from ecg_engine.models import Net, NetOutput
from ecg_engine.progress import Progress, silent

CHUNK = 1024
"""Windows run at once outside training; what bounds memory (about 1,030 beats of 170 samples: 60 MB)."""


class Outputs(NamedTuple):
    """What a net says about k windows."""

    logits: NDArray[np.float32]  # (k, K)
    gate: NDArray[np.float32] | None  # (k,) noise logit
    similarity: NDArray[np.float32] | None  # (k,) largest prototype cosine; None without prototypes


def pick_device(device: str | torch.device | None = None) -> torch.device:
    """The device asked for, else a GPU if there is one, else the processor."""
    if device is not None:
        return torch.device(device)
    return torch.device("cuda" if torch.cuda.is_available() else "cpu")


def run_windows(net: Net, beats: Tensor, windows: Tensor, proto: Tensor | None) -> NetOutput:
    """Run a net on windows (B, W) of row numbers, encoding every beat that they need once."""
    used, place = torch.unique(windows, return_inverse=True)
    if used[0] < 0:  # absent places keep -1
        used, place = used[1:], place - 1
    return net.forward_beats(beats.index_select(0, used), place, proto)


def shuffled_batches(n: int, size: int, generator: torch.Generator) -> Iterator[Tensor]:
    """Batches of shuffled windows, as the scripts trained."""
    yield from torch.randperm(n, generator=generator).split(size)


def strip_batches(strip: Tensor, size: int, generator: torch.Generator) -> Iterator[Tensor]:
    """Batches of whole strips in a new order, about ``size`` windows each.

    Parameters
    ----------
    strip : Tensor of int64, shape (n,)
        Strip number of each window, 0 to S - 1, each occurring.
    size : int
        Windows wished for in a batch.
    generator : torch.Generator

    Yields
    ------
    Tensor of int64
        Numbers of windows; all batches together hold each once, and no strip lies in two.
    """
    counts = torch.bincount(strip)
    order = torch.randperm(len(counts), generator=generator)
    ends = counts[order].cumsum(0)
    n_batches = max(1, round(len(strip) / size))
    # a strip belongs to the batch in which its middle falls, so that no batch is a small rest
    batch = ((ends - counts[order] / 2) * n_batches / len(strip)).long().clamp(max=n_batches - 1)
    rank = torch.empty_like(order)
    rank[order] = torch.arange(len(order))
    rows = torch.argsort(rank[strip], stable=True)
    sizes = torch.bincount(batch[rank[strip]], minlength=n_batches)
    yield from (rows_of for rows_of in rows.split(sizes.tolist()) if len(rows_of))


def stretches(strip: Tensor, length: int, generator: torch.Generator) -> Tensor:
    """Cut strips into short stretches of neighbouring windows.

    A batch of whole strips holds only a dozen strips, and so, with strip labels on beats, a dozen independent labels:
    an epoch then teaches far less than one of shuffled windows. Stretches of two share most of their beats (six are
    encoded for two windows, not ten) and lose little of what shuffling gives.

    Parameters
    ----------
    strip : Tensor of int64, shape (n,)
        Strip of each window; the windows of a strip stand together, in order.
    length : int
        Windows in a stretch; the first and last of a strip may be shorter.
    generator : torch.Generator
        Each strip is cut at a random place, so that another epoch joins other neighbours.

    Returns
    -------
    Tensor of int64, shape (n,)
        Stretch number of each window, 0 to S - 1, each occurring.
    """
    place = torch.arange(len(strip))
    first = torch.ones_like(strip, dtype=torch.bool)
    first[1:] = strip[1:] != strip[:-1]
    inside = place - torch.cummax(torch.where(first, place, 0), dim=0).values
    shift = torch.randint(0, length, (int(strip.max()) + 1,), generator=generator)
    piece = (inside + shift[strip]) // length
    _, number = torch.unique(strip * (len(strip) + 1) + piece, return_inverse=True)
    return number


def infer(
    net: Net,
    bank: PrototypeBank | None,
    beats: NDArray[Any],
    windows: NDArray[np.int32],
    *,
    device: torch.device | None = None,
    progress: Progress = silent,
) -> Outputs:
    """Run a trained net over windows in their order, piece by piece.

    Parameters
    ----------
    net : Net
        Left in eval mode.
    bank : PrototypeBank or None
        Prototypes for the features of each centre beat; None for a net without that branch.
    beats : float32, shape (N, L)
        May be memory-mapped: only what a piece needs is read.
    windows : int32, shape (k, W)
        Rows of ``beats``, -1 where absent.
    """
    where = device or torch.device("cpu")
    net = net.to(where).eval()
    logits, gates, similar = [], [], []
    with torch.inference_mode():
        for start in range(0, len(windows), CHUNK):
            progress("running the model", start / len(windows))
            index = windows[start : start + CHUNK]
            used, place = np.unique(index, return_inverse=True)
            place = place.reshape(index.shape)
            if used[0] < 0:
                used, place = used[1:], place - 1
            x = np.asarray(beats[used], dtype=np.float32)
            proto = None
            if bank is not None:
                features = bank.features(x[place[:, index.shape[1] // 2]])
                similar.append(features[:, 0])
                proto = torch.from_numpy(features).to(where)
            out = net.forward_beats(torch.from_numpy(x).to(where), torch.from_numpy(place).to(where), proto)
            logits.append(out.classes.cpu().numpy())
            if out.gate is not None:
                gates.append(out.gate.cpu().numpy())
    progress("running the model", 1.0)
    if not logits:
        raise ValueError("there are no windows to run")
    return Outputs(
        np.concatenate(logits),
        np.concatenate(gates) if gates else None,
        np.concatenate(similar) if similar and bank is not None and len(bank) else None,
    )
