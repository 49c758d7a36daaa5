"""What became of the candidates that a candidate is like in shape: its kin, taken for beats or turned down.

T-waves, P-waves and artefacts come back within a strip as QRS complexes do. One that is doubtful by itself is told by
what the look before made of the others of its kind.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from ecg_engine.arrhythmia.candidate_features import LIKE
from ecg_engine.arrhythmia.candidates import Candidates, places
from ecg_engine.arrhythmia.perceptron import sigmoid

NAMES = ("logit of kin", "probability of kin", "probability of close kin", "like a beat", "like no beat", "likely kin")
"""What the columns of :func:`kin_features` are."""

_MOST = 6.0
_NONE = 0.05
"""Weight of "nothing is known" in the means: where there is hardly any kin, they say nothing."""


def kin_features(found: Candidates, alike: NDArray[np.float32], logit: NDArray[np.float32]) -> NDArray[np.float32]:
    """Features of every candidate, float32 (c, len(NAMES)).

    Parameters
    ----------
    found : Candidates
    alike : float32 (k, m, m)
        Their :func:`~ecg_engine.arrhythmia.candidate_features.correlations`.
    logit : float32 (c,)
        What the look before says of each candidate.

    Returns
    -------
    float32 (c, 6)
        Mean log odds and mean probability above one half of the others, by the eighth power of their correlation; the
        latter of those alike alone; the best correlation to a likely one and to an unlikely one; log of 1 + the
        number of those alike that are likely.
    """
    strip, place = found.strip, places(found)
    odds = np.zeros(alike.shape[:2], dtype=np.float32)
    odds[strip, place] = np.clip(logit, -_MOST, _MOST)
    above = sigmoid(odds) - np.float32(0.5)
    likely = (odds > 0)[:, None, :]
    weight = np.maximum(alike, 0)
    for _ in range(3):
        weight = weight * weight
    total = weight.sum(axis=2) + _NONE
    like = (alike > LIKE).astype(np.float32)
    every = [
        _product(weight, odds) / total,
        _product(weight, above) / total,
        _product(like, above) / np.maximum(like.sum(axis=2), 1),
        np.where(likely, alike, -1).max(axis=2, initial=-1),
        np.where(likely, -1, alike).max(axis=2, initial=-1),
        np.log1p((like * likely).sum(axis=2)),
    ]
    return np.stack([values[strip, place] for values in every], axis=1).astype(np.float32)


def _product(weight: NDArray[np.float32], values: NDArray[np.float32]) -> NDArray[np.float32]:
    """Sum of the others' values by their weights, (k, m)."""
    return (weight @ values[:, :, None])[:, :, 0]
