"""A small multilayer perceptron as plain arrays: kept in a few kB, evaluated with numpy alone."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ecg_engine.errors import BundleError


@dataclass(frozen=True)
class Perceptron:
    """Inputs are standardised and cut off at six deviations; hidden layers are rectified; one logit comes out.

    Attributes
    ----------
    mean, scale : float32 (d,)
        Of the inputs in training.
    weights, biases : tuples of float32 arrays
        Layer by layer, ``weights[i]`` of shape (inputs, outputs).
    """

    mean: NDArray[np.float32]
    scale: NDArray[np.float32]
    weights: tuple[NDArray[np.float32], ...]
    biases: tuple[NDArray[np.float32], ...]

    def logit(self, x: NDArray[np.float32]) -> NDArray[np.float32]:
        """Log odds of each row, float32 (n,), for x float32 (n, d)."""
        hidden = np.clip((x - self.mean) / self.scale, -6, 6)
        for number, (weight, bias) in enumerate(zip(self.weights, self.biases, strict=True)):
            hidden = hidden @ weight + bias
            if number < len(self.weights) - 1:
                np.maximum(hidden, 0, out=hidden)
        return hidden[:, 0]

    def probability(self, x: NDArray[np.float32]) -> NDArray[np.float32]:
        """Probability of each row, float32 (n,), for x float32 (n, d)."""
        return sigmoid(self.logit(x))

    def as_arrays(self, prefix: str = "") -> dict[str, NDArray[np.float32]]:
        """All arrays by name, for an npz file."""
        named = {f"{prefix}mean": self.mean, f"{prefix}scale": self.scale}
        for number, (weight, bias) in enumerate(zip(self.weights, self.biases, strict=True)):
            named |= {f"{prefix}weight{number}": weight, f"{prefix}bias{number}": bias}
        return named


def sigmoid(logit: NDArray[np.float32]) -> NDArray[np.float32]:
    """Log odds as probabilities."""
    return np.asarray(1 / (1 + np.exp(-np.clip(logit, -30, 30))), dtype=np.float32)


def from_arrays(arrays: Mapping[str, NDArray[np.float32]], prefix: str = "") -> Perceptron:
    """A perceptron from what :meth:`Perceptron.as_arrays` gave.

    Raises
    ------
    BundleError
        If arrays are missing or do not fit one another.
    """
    try:
        mean, scale = (np.asarray(arrays[f"{prefix}{name}"], dtype=np.float32) for name in ("mean", "scale"))
        layers = sum(1 for name in arrays if name.startswith(f"{prefix}weight"))
        weights = tuple(np.asarray(arrays[f"{prefix}weight{i}"], dtype=np.float32) for i in range(layers))
        biases = tuple(np.asarray(arrays[f"{prefix}bias{i}"], dtype=np.float32) for i in range(layers))
    except KeyError as missing:
        raise BundleError(f"The weights hold no array {missing}; the file is damaged or of another kind.") from missing
    sizes = [len(mean), *(len(bias) for bias in biases)]
    if not weights or any(w.shape != (sizes[i], sizes[i + 1]) for i, w in enumerate(weights)) or sizes[-1] != 1:
        raise BundleError("The layers of the weights do not fit one another; the file is damaged.")
    return Perceptron(mean, scale, weights, biases)
