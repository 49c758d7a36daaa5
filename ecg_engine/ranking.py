"""Scores that a queue is sorted by: how doubtful a beat is, how likely its label is right, what is at stake in it.

Every score says in words which way it points. A prediction table keeps the probability of the likeliest class alone
(``pred_conf``); where the others are needed, what is left is spread evenly over them.
"""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike, NDArray

from ecg_engine.config import PredictConfig
from ecg_engine.errors import ConfigError
from ecg_engine.labels import CLASS_LABELS, NOISE, UNKNOWN

SEVERITY: Mapping[int, float] = MappingProxyType(
    {
        8: 1.0,  # VFib
        7: 0.9,  # VTach
        11: 0.7,  # Triplets
        10: 0.6,  # Couplets
        5: 0.5,  # AFib
        6: 0.5,  # Atrial Flutter
        2: 0.4,  # PVC
        9: 0.4,  # Ventricular Ectopic
        12: 0.4,  # PVC Subtypes
        4: 0.2,  # Sinus Tachycardia
        3: 0.2,  # Sinus Bradycardia
        1: 0.2,  # PAC
        0: 0.0,  # Normal
        NOISE: 0.0,
    }
)
"""How serious it is to miss a label, 0 (nothing is lost) to 1 (a life may be).

The order is that in which a technician lets the most serious finding name a strip: ventricular fibrillation, runs,
triplets, couplets, atrial fibrillation and flutter, single ventricular beats, then rates and atrial beats. The steps
between are a convention of this project for sorting a queue; they measure no risk.
"""

METHODS = ("normalized_margin", "self_confidence")


def doubt(beats: pd.DataFrame, config: PredictConfig) -> NDArray[np.float64]:
    """How far a beat lies beyond the limits: 0 at or within all of them, 1 at the worst; higher is more doubtful.

    For each of the three tests, the way beyond its limit as a share of the longest way there is; the largest counts.
    A test that the model cannot make (NaN) adds nothing.

    Parameters
    ----------
    beats : DataFrame
        Columns pred_conf, noise_prob, max_proto_sim.
    config : PredictConfig
        The limits.
    """
    sure, noise, alike = (
        beats[name].to_numpy(dtype=float, na_value=np.nan) for name in ("pred_conf", "noise_prob", "max_proto_sim")
    )
    ways = [
        (config.min_class_conf - sure) / (config.min_class_conf or 1.0),
        (noise - config.max_noise_prob) / ((1.0 - config.max_noise_prob) or 1.0),
        (config.min_proto_sim - alike) / ((config.min_proto_sim + 1.0) or 1.0),
    ]
    return np.asarray(np.clip(np.nan_to_num(np.stack(ways), nan=0.0).max(axis=0), 0.0, 1.0), dtype=np.float64)


def label_quality(
    labels: ArrayLike,
    predicted: ArrayLike,
    confidence: ArrayLike,
    noise: ArrayLike | None = None,
    *,
    method: str = "normalized_margin",
) -> NDArray[np.float64]:
    """How likely the given labels are right by a model's lights, 0 to 1; lower is more likely mislabelled.

    ``self_confidence`` is the probability of the given label. ``normalized_margin`` sets against it the probability of
    the likeliest other label, scaled to 0 to 1: it finds beats that the model would surely call something else, while
    self-confidence also finds beats that look like nothing at all (Northcutt et al. 2021, "Confident learning").
    A label Noise is judged by the noise gate alone. Use it on beats that the model has not been trained on.

    Parameters
    ----------
    labels : int (n,)
        The labels that hold.
    predicted : int or float (n,)
        The likeliest class of each beat.
    confidence : float (n,)
        Its probability; NaN where nothing was predicted.
    noise : float (n,), optional
        Probability that it is noise.
    method : str
        One of ``METHODS``.

    Returns
    -------
    float64 (n,)
        NaN for a beat without a label or without a prediction: nothing can be said of it.

    Raises
    ------
    ConfigError
        If there is no such method.
    """
    if method not in METHODS:
        raise ConfigError(f"There is no method {method!r} of judging labels; there are: {', '.join(METHODS)}.")
    given, raw = np.asarray(labels), np.asarray(predicted, dtype=float)
    sure = np.asarray(confidence, dtype=float)
    other = (1.0 - sure) / (len(CLASS_LABELS) - 1)
    agrees = given == raw
    own = np.where(agrees, sure, other)
    best_other = np.where(agrees, other, sure)
    quality = own if method == "self_confidence" else (own - best_other + 1.0) / 2.0
    gate = np.full(len(given), np.nan) if noise is None else np.asarray(noise, dtype=float)
    quality = np.where(given == NOISE, gate, quality)
    return np.asarray(np.where(given < NOISE, np.nan, quality), dtype=np.float64)


def severity_of(labels: ArrayLike) -> NDArray[np.float64]:
    """:data:`SEVERITY` of labels; NaN for those that have none (Unknown/Review, Unlabelled)."""
    given = np.asarray(labels)
    found = np.full(given.shape, np.nan)
    for label, severity in SEVERITY.items():
        found[given == label] = severity
    return found


def expected_severity(labels: ArrayLike, confidence: ArrayLike) -> NDArray[np.float64]:
    """What is at stake if a beat is passed over, 0 to 1; higher is more serious.

    The severity of the suggested label times its probability, plus what is left of the probability times the mean
    severity of the other labels: a doubtful Normal is more at stake than a sure one.

    Parameters
    ----------
    labels : int (n,)
        Suggested labels; Unknown/Review where there is none: then every label is as likely.
    confidence : float (n,)
        Their probabilities; NaN (nobody says) counts as one half.
    """
    given = np.asarray(labels)
    severity = severity_of(given)
    unknown = np.isnan(severity) | (given == UNKNOWN)
    sure = np.nan_to_num(np.asarray(confidence, dtype=float), nan=0.5)
    classes = np.array([SEVERITY[label] for label in CLASS_LABELS])
    rest = (classes.sum() - np.where(unknown, 0.0, severity)) / (len(classes) - 1)
    return np.asarray(np.where(unknown, classes.mean(), sure * severity + (1.0 - sure) * rest), dtype=np.float64)


def prototype_distance(
    beats: NDArray[np.float32], cluster_ids: NDArray[np.int32], waves: Mapping[int, NDArray[np.float32]]
) -> NDArray[np.float64]:
    """How far each beat is from its prototype: 1 - cosine, 0 for the most typical, up to 2.

    Parameters
    ----------
    beats : float32 (n, L)
    cluster_ids : int32 (n,)
        Beats without a cluster are measured against the nearest prototype.
    waves : mapping of int to float32 (L,)
        Prototype id to waveform.

    Returns
    -------
    float64 (n,)
        NaN where there are no prototypes.
    """
    if not waves or not len(beats):
        return np.full(len(beats), np.nan)
    ids = np.array(sorted(waves))
    shapes = np.stack([waves[number] for number in ids.tolist()])
    shapes = shapes / (np.linalg.norm(shapes, axis=1, keepdims=True) + np.float32(1e-8))
    length = np.sqrt(np.einsum("ij,ij->i", beats, beats)) + np.float32(1e-8)
    cosine = (beats @ shapes.T) / length[:, None]
    column = np.clip(np.searchsorted(ids, cluster_ids), 0, len(ids) - 1)
    own = cosine[np.arange(len(beats)), column]
    return np.asarray(1.0 - np.where(ids[column] == cluster_ids, own, cosine.max(axis=1)), dtype=np.float64)
