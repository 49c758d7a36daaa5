"""Fitting a small perceptron with torch; what comes out needs numpy alone."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from ecg_engine.arrhythmia.perceptron import Perceptron


def fit_perceptron(
    x: NDArray[np.float32],
    target: NDArray[np.float32],
    weight: NDArray[np.float32],
    *,
    hidden: tuple[int, ...] = (64, 32),
    epochs: int = 12,
    seed: int = 0,
    learning_rate: float = 4e-3,
    decay: float = 1e-4,
    batch: int = 2048,
) -> Perceptron:
    """Weighted cross-entropy, AdamW, one cycle of the learning rate; the same seed gives the same net.

    Parameters
    ----------
    x : float32 (n, d)
    target : float32 (n,)
        From 0 to 1.
    weight : float32 (n,)
    """
    import torch  # slow to import, and only needed in training

    rng, generator = np.random.default_rng(seed), torch.Generator().manual_seed(seed)
    mean = x.mean(axis=0)
    # a feature that is constant but for rare and telling rows must not be cut off by its own small deviation
    scale = np.maximum(x.std(axis=0), np.ptp(x, axis=0) / 6) + np.float32(1e-6)
    inputs = torch.from_numpy(np.clip((x - mean) / scale, -6, 6).astype(np.float32))
    truth, importance = torch.from_numpy(target.astype(np.float32)), torch.from_numpy(weight.astype(np.float32))
    sizes = (x.shape[1], *hidden, 1)
    linear = [torch.nn.Linear(a, b) for a, b in pairwise(sizes)]
    for layer in linear:
        torch.nn.init.kaiming_uniform_(layer.weight, nonlinearity="relu", generator=generator)
        torch.nn.init.zeros_(layer.bias)
    parts: list[torch.nn.Module] = []
    for layer in linear:
        parts += [layer, torch.nn.ReLU()]
    net = torch.nn.Sequential(*parts[:-1])
    optimiser = torch.optim.AdamW(net.parameters(), lr=learning_rate, weight_decay=decay)
    batches = -(-len(x) // batch)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimiser, learning_rate, total_steps=epochs * batches)
    for _ in range(epochs):
        for rows in np.array_split(rng.permutation(len(x)), batches):
            chosen = torch.from_numpy(rows)
            loss = torch.nn.functional.binary_cross_entropy_with_logits(
                net(inputs[chosen])[:, 0], truth[chosen], weight=importance[chosen]
            )
            optimiser.zero_grad()
            loss.backward()
            optimiser.step()
            schedule.step()
    return Perceptron(
        mean.astype(np.float32),
        scale.astype(np.float32),
        tuple(layer.weight.detach().numpy().T.copy() for layer in linear),
        tuple(layer.bias.detach().numpy().copy() for layer in linear),
    )
