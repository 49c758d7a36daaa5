"""Fitting the noise scores: clean strips, and copies with noise of known level in the whole strip or in two seconds.

The weights cannot be negative: every feature is made so that more of it means more noise, and a fit that wants the
opposite has found a habit of one recorder. The target is not yes or no but how far the noise lies from a level, so that
what is neither clean nor noisy does not have to be decided.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import minimize

from ecg_engine.arrhythmia.augmentation import NoiseRecords
from ecg_engine.arrhythmia.noise_features import noise_features, noise_traces
from ecg_engine.arrhythmia.noise_mixing import BURST_SEC, Mixed, band_limited, mix, noise_of
from ecg_engine.arrhythmia.quality import QualityModel
from ecg_engine.arrhythmia.rpeak_training import AnnotatedStrips
from ecg_engine.arrhythmia.rpeaks import find_rpeaks_of_block

BEAT_DB, STRIP_DB, _SOFT_DB = 13.0, 9.0, 2.0
"""Signal to noise at which a beat, and a strip, is as much noise as not. At 13 dB noise is a third to a half as high
as the QRS complex from peak to peak, so that P-waves are gone; over a whole strip, more is borne."""

KIND_SHARES = {"muscle": 3, "motion": 2, "hiss": 1, "hum": 1, "baseline": 1}
_BURST_SHARE, _NARROW_SHARE, _OTHER_SHARE = 0.4, 0.35, 0.3
_ECTOPIC_WEIGHT, _OTHER_LEAD_WEIGHT = 8.0, 0.5
_MATCH_SEC = 0.15
_BLOCK = 256


class Examples(NamedTuple):
    """Beats and strips with their features and how noisy they are.

    Attributes
    ----------
    beat : float32 (b, d)
    beat_target : float64 (b,)
        From 0, clean, to 1.
    beat_weight : float64 (b,)
    strip : float32 (k, e)
    strip_target : float64 (k,)
    """

    beat: NDArray[np.float32]
    beat_target: NDArray[np.float64]
    beat_weight: NDArray[np.float64]
    strip: NDArray[np.float32]
    strip_target: NDArray[np.float64]


def training_examples(
    strips: AnnotatedStrips,
    noises: NoiseRecords,
    *,
    copies: int = 2,
    seed: int = 0,
    tell: Callable[[str], None] = lambda _: None,
) -> Examples:
    """Both leads as they are, and ``copies`` of every strip with noise."""
    rng = np.random.default_rng(seed)
    parts = []
    for wave, importance in ((strips.lead, 1.0), (strips.other, _OTHER_LEAD_WEIGHT)):
        for start in range(0, len(wave), _BLOCK):
            rows = np.arange(start, min(start + _BLOCK, len(wave)))
            parts.append(_examples(wave[rows], [None] * len(rows), strips, rows, importance))
    tell("clean strips")
    for copy in range(copies):
        for start in range(0, len(strips.lead), _BLOCK):
            rows = np.arange(start, min(start + _BLOCK, len(strips.lead)))
            mixed = [_noisy(strips, int(row), noises, rng) for row in rows]
            parts.append(_examples(np.stack([one.wave for one in mixed]), mixed, strips, rows, 1.0))
        tell(f"noisy copies: {copy + 1} of {copies}")
    return joined(parts)


def joined(parts: Sequence[Examples]) -> Examples:
    """Examples one after the other."""
    return Examples(*(np.concatenate(arrays) for arrays in zip(*parts, strict=True)))


def fit_model(examples: Examples) -> QualityModel:
    """Fit both scores."""
    every = np.ones(len(examples.strip))
    return QualityModel(
        fit_signed(examples.beat, examples.beat_target, examples.beat_weight),
        fit_signed(examples.strip, examples.strip_target, every),
    )


def fit_signed(
    x: NDArray[np.float32], target: NDArray[np.float64], weight: NDArray[np.float64], ridge: float = 1e-3
) -> NDArray[np.float64]:
    """Logistic regression with no weight under zero.

    Parameters
    ----------
    x : float32 (n, d)
    target : float64 (n,)
        From 0 to 1.
    weight : float64 (n,)
    ridge : float
        Penalty on the squares of the weights of standardised features.

    Returns
    -------
    float64 (d + 1,)
        Weights of the features as they are, and the constant.
    """
    mean, scale = x.mean(axis=0, dtype=np.float64), x.std(axis=0, dtype=np.float64) + 1e-6
    z, share = (x - mean) / scale, weight / weight.sum()

    def loss(at: NDArray[np.float64]) -> tuple[float, NDArray[np.float64]]:
        odds = z @ at[:-1] + at[-1]
        value = share @ (np.logaddexp(0, odds) - target * odds) + ridge * (at[:-1] @ at[:-1])
        error = share * (1 / (1 + np.exp(-np.clip(odds, -500, 500))) - target)
        return float(value), np.append(z.T @ error + 2 * ridge * at[:-1], error.sum())

    start = np.append(np.full(x.shape[1], 0.1), 0.0)
    found = minimize(loss, start, jac=True, method="L-BFGS-B", bounds=[(0, None)] * x.shape[1] + [(None, None)]).x
    weights = found[:-1] / scale
    return np.append(weights, found[-1] - mean @ weights)


def _noisy(strips: AnnotatedStrips, row: int, noises: NoiseRecords, rng: np.random.Generator) -> Mixed:
    wave = (strips.other if rng.random() < _OTHER_SHARE else strips.lead)[row].astype(np.float64)
    kinds, shares = zip(*KIND_SHARES.items(), strict=True)
    kind = str(rng.choice(kinds, p=np.array(shares) / sum(shares)))
    noise = noise_of(kind, len(wave), strips.fs, noises, rng)
    decibel = rng.uniform(-15, 6) if kind == "baseline" else rng.uniform(-9, 24)
    burst = None
    if rng.random() < _BURST_SHARE:
        begin = rng.uniform(0, len(wave) / strips.fs - BURST_SEC)
        burst = (begin, begin + BURST_SEC)
    mixed = mix(wave, strips.beats[row], strips.fs, noise, decibel, burst=burst)
    if rng.random() < _NARROW_SHARE:
        narrow = band_limited(mixed.wave, strips.fs, float(rng.choice([0.05, 0.5])), rng.uniform(25, 45))
        mixed = mixed._replace(wave=narrow)
    return mixed


def _examples(
    x: NDArray[np.float32],
    mixed: Sequence[Mixed | None],
    strips: AnnotatedStrips,
    rows: NDArray[np.int64],
    importance: float,
) -> Examples:
    """Beats as the R-peak finder sees them; what it takes for a beat in a clean place and is none is left out."""
    fs = strips.fs
    found = find_rpeaks_of_block(x, fs)
    features = noise_features(noise_traces(x, fs, found.peaks), fs, found.peaks, found.probability, found.doubt)
    target, weight = [], []
    for one, row, peaks in zip(mixed, rows.tolist(), found.peaks, strict=True):
        truth = strips.beats[row]
        distance = np.abs(peaks[:, None] - truth[None, :]) if len(truth) else np.full((len(peaks), 1), np.inf)
        real = distance.min(axis=1) <= _MATCH_SEC * fs
        ectopic = real & (strips.ectopic[row][distance.argmin(axis=1)] if len(truth) else False)
        noise = np.zeros(len(peaks)) if one is None else _share(one.decibel[peaks], BEAT_DB)
        target.append(noise)
        counted = np.where((noise < 0.5) & ectopic, _ECTOPIC_WEIGHT, 1.0) * importance
        weight.append(np.where(real | (noise > 0.5), counted, 0.0))
    overall = np.array([np.inf if one is None else one.overall for one in mixed])
    return Examples(
        features.beat, np.concatenate(target), np.concatenate(weight), features.strip, _share(overall, STRIP_DB)
    )


def _share(decibel: NDArray[np.floating], middle: float) -> NDArray[np.float64]:
    """How much of a noise a level is: 1 far below the middle, one half there, 0 far above."""
    return np.asarray(1 / (1 + np.exp(np.clip((decibel - middle) / _SOFT_DB, -50, 50))), dtype=np.float64)
