"""Noise of strips and of single beats, with reasons that are told apart; ectopic beats are spared (issue 4, item 2).

A strip is judged by itself alone, as shares of its own QRS height: neither gain, polarity nor the other strips of a
file matter. A noisy beat stays where it is, is shown and predicted; it is marked, and its reasons are told. The weights
were fitted on the MIT-BIH Arrhythmia Database with noise of known level mixed in (``train_quality``, README.md).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from types import MappingProxyType
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy.special import logit

from ecg_engine.arrhythmia.lost_signal import clipped, lost_lead
from ecg_engine.arrhythmia.noise_features import (
    BEAT_FEATURES,
    STRIP_FEATURES,
    NoiseFeatures,
    noise_features,
    noise_traces,
    places,
)
from ecg_engine.arrhythmia.oscillation import oscillation_probability
from ecg_engine.arrhythmia.weights import read_arrays
from ecg_engine.conditioning import blocks, stacked
from ecg_engine.errors import BundleError, InputError

WEIGHTS = Path(__file__).with_name("quality.npz")

REASONS = ("content", "baseline", "flat", "clipped", "lost")
CONTENT, BASELINE, FLAT, CLIPPED, LOST = (1 << bit for bit in range(5))
"""Bits of the flags: noise among the waves; a baseline that wanders; hardly any height; an amplifier at its limit; a
lead that is lost."""
NOISY = CONTENT | FLAT | CLIPPED | LOST
"""What makes a beat or a strip noise. A wandering baseline alone is told, but hides nothing."""

SENTENCES: Mapping[str, str] = MappingProxyType(
    {
        "content": "Noise covers the waves.",
        "baseline": "The baseline wanders.",
        "flat": "The trace has hardly any height.",
        "clipped": "The trace is cut off at the amplifier's limit.",
        "lost": "The lead is lost: no signal.",
    }
)

FLAT_SHARE = 0.1
"""Of the strip's median QRS height; a beat lower than this is flat."""
BEAT_DRIFT, STRIP_DRIFT = 0.6, 0.3
"""Of the QRS height: how far the baseline may move within half a second of a beat, and its deviation over a strip: a
wander nearly as high as the QRS complexes. Under 0.5 % of the beats and 2 % of the strips of DS1 are beyond it."""
NOISY_PART, SUREST = 0.4, 4.0
"""A strip is noise, and all its beats are, if the mean of their log odds, none counted as surer than the second, is
that of a strip of which so large a part is surely noise and the rest surely none. Many beats in doubt weigh as much as
some that are not."""
DOUBTED, DOUBTED_PART = 0.2, 0.6
"""And if so large a part of its beats is in doubt, with a score above the first: noise of two seconds in ten stays with
the beats that it covers."""
LOST_PART = 0.5
"""A strip of which more is lost is noise; of a shorter loss it is told."""
_NEAR_SEC = 0.15


@dataclass(frozen=True)
class QualityModel:
    """Weights of features (none negative) and the constant, for beats and for strips; even odds are the threshold.

    Attributes
    ----------
    beat, strip : float64 (d + 1,)
        One weight for each of ``BEAT_FEATURES`` or ``STRIP_FEATURES``; the constant last.
    """

    beat: NDArray[np.float64]
    strip: NDArray[np.float64]

    def beat_score(self, features: NoiseFeatures) -> NDArray[np.float32]:
        """Probability that noise covers each beat, float32 (b,)."""
        return _probability(features.beat, self.beat)

    def strip_score(self, features: NoiseFeatures) -> NDArray[np.float32]:
        """Probability that noise covers each strip, float32 (k,)."""
        return _probability(features.strip, self.strip)


class Quality(NamedTuple):
    """Scores and flags of strips and their beats.

    Attributes
    ----------
    strip_score : float32 (k,)
        From 0 for a clean strip to 1 for noise. Over one half, there is noise in it, be it in a part.
    strip_flags : uint8 (k,)
        Sum of ``CONTENT`` (most of the strip is noise), ``BASELINE``, ``FLAT``, and, if it is anywhere in the strip,
        ``CLIPPED`` and ``LOST``.
    beat_score : float32 (b,)
        Likewise for every beat by itself, those of the first strip first.
    beat_flags : uint8 (b,)
        ``CONTENT`` if the score is over one half, or if the strip has the flag.
    lost_part : float32 (k,)
        Share of each strip in which the lead is lost.
    bounds : int64 (k + 1,)
        Beats of strip ``i`` are ``bounds[i]:bounds[i + 1]``.
    """

    strip_score: NDArray[np.float32]
    strip_flags: NDArray[np.uint8]
    beat_score: NDArray[np.float32]
    beat_flags: NDArray[np.uint8]
    lost_part: NDArray[np.float32]
    bounds: NDArray[np.int64]

    @property
    def noisy(self) -> NDArray[np.bool_]:
        """Beats to mark as noise: any flag but the baseline's, bool (b,)."""
        return np.asarray(self.beat_flags & NOISY > 0)

    @property
    def noisy_strips(self) -> NDArray[np.bool_]:
        """Strips that are noise as a whole: flat, mostly covered or mostly lost, bool (k,)."""
        return np.asarray((self.strip_flags & (CONTENT | FLAT) > 0) | (self.lost_part >= LOST_PART))

    @property
    def reasons(self) -> NDArray[np.bool_]:
        """One column for each of ``REASONS``, bool (b, 5)."""
        return (self.beat_flags[:, None] >> np.arange(len(REASONS)) & 1).astype(bool)


def quality(
    x: NDArray[np.float32],
    fs: float,
    peaks: Sequence[NDArray[np.int64]],
    *,
    probability: Sequence[NDArray[np.float32]] | None = None,
    doubt: NDArray[np.float32] | None = None,
    model: QualityModel | None = None,
) -> Quality:
    """Noise of strips of one length and of their beats.

    Parameters
    ----------
    x : float32 (k, n)
        As read, not conditioned: a bandpass hides a wandering baseline and a clipped top. In any unit.
    fs : float
        Hz.
    peaks : sequence of int64 arrays
        R-peaks of each strip in samples, ascending; a strip may have none.
    probability : sequence of float32 arrays, optional
        How likely each R-peak is one, and
    doubt : float32 (k,), optional
        the doubt of each strip, as :func:`ecg_engine.arrhythmia.rpeaks.find_rpeaks_of_block` gives them.
    model : QualityModel, optional
        By default the one that is shipped.

    Returns
    -------
    Quality

    Raises
    ------
    InputError
        If strips, peaks, probabilities and doubts do not belong together.

    Examples
    --------
    >>> import numpy as np
    >>> time = np.arange(2500) / 250
    >>> peaks = np.arange(125, 2500, 200)
    >>> wave = sum(np.exp(-0.5 * ((time - r / 250) / 0.012) ** 2) for r in peaks)
    >>> wave = wave + np.where(time > 7, 0.3, 0.0) * np.sin(2 * np.pi * 23 * time)
    >>> found = quality(wave[None].astype(np.float32), 250.0, [peaks])
    >>> found.noisy.tolist() == (peaks > 6.8 * 250).tolist()  # the noise covers the T-wave of the beat at 6.9 s
    True
    """
    x = np.ascontiguousarray(x, dtype=np.float32)
    peaks = [np.asarray(one, dtype=np.int64) for one in peaks]
    _check(x, peaks, probability, doubt)
    model = model or shipped_model()
    traces = noise_traces(x, fs, peaks)
    features = noise_features(traces, fs, peaks, probability, doubt)
    row, at = places(traces, fs, peaks)
    beat_score, strip_score = model.beat_score(features), model.strip_score(features)
    spared = _spared(x, fs, strip_score)
    beat_score, strip_score = beat_score * spared[row], strip_score * spared
    lost = lost_lead(x, fs, traces, row, at)
    cut = clipped(x, fs)
    samples = np.concatenate([*peaks, np.zeros(0, dtype=np.int64)])
    flat = np.ptp(x, axis=1) == 0
    noisy = beat_score > 0.5
    beats = np.bincount(row, minlength=len(x))
    covered = ~flat & _mostly_noise(beat_score, strip_score, row, beats)
    beat_flags = (
        CONTENT * (noisy | covered[row])
        + BASELINE * (features.beat_drift > BEAT_DRIFT)
        + FLAT * (features.beat_height < FLAT_SHARE)
        + CLIPPED * _near(cut, row, samples, fs)
        + LOST * _near(lost, row, at, traces.rate)
    )
    strip_flags = (
        CONTENT * covered
        + BASELINE * (~flat & (features.strip_drift > STRIP_DRIFT))
        + FLAT * flat
        + CLIPPED * cut.any(axis=1)
        + LOST * (~flat & lost.any(axis=1))
    )
    bounds = np.concatenate([[0], np.cumsum(beats)]).astype(np.int64)
    return Quality(
        np.where(flat, np.float32(1), strip_score),
        strip_flags.astype(np.uint8),
        beat_score,
        beat_flags.astype(np.uint8),
        lost.mean(axis=1, dtype=np.float32),
        bounds,
    )


def quality_of_strips(
    samples: NDArray[np.float32],
    offsets: NDArray[np.int64],
    fs: float,
    peaks: Sequence[NDArray[np.int64]],
    *,
    probability: Sequence[NDArray[np.float32]] | None = None,
    doubt: NDArray[np.float32] | None = None,
    model: QualityModel | None = None,
) -> Quality:
    """As :func:`quality`, for strips of any lengths end to end, such as those of ``ecg_engine.strips.Strips``.

    Parameters
    ----------
    samples : float32 (total,)
        Strip ``i`` is ``samples[offsets[i]:offsets[i + 1]]``.
    offsets : int64 (k + 1,)
    """
    count = len(offsets) - 1
    if len(peaks) != count:
        raise InputError(f"There are {count} strips, but R-peaks of {len(peaks)}.")
    bounds = np.concatenate([[0], np.cumsum([len(one) for one in peaks])]).astype(np.int64)
    strip_score, strip_flags = np.zeros(count, dtype=np.float32), np.zeros(count, dtype=np.uint8)
    beat_score, beat_flags = np.zeros(bounds[-1], dtype=np.float32), np.zeros(bounds[-1], dtype=np.uint8)
    lost_part = np.zeros(count, dtype=np.float32)
    for rows in blocks(offsets):
        part = quality(
            stacked(samples, offsets, rows),
            fs,
            [peaks[row] for row in rows],
            probability=None if probability is None else [probability[row] for row in rows],
            doubt=None if doubt is None else doubt[rows],
            model=model,
        )
        beats = np.concatenate([np.arange(bounds[row], bounds[row + 1]) for row in rows])
        strip_score[rows], strip_flags[rows], lost_part[rows] = part.strip_score, part.strip_flags, part.lost_part
        beat_score[beats], beat_flags[beats] = part.beat_score, part.beat_flags
    return Quality(strip_score, strip_flags, beat_score, beat_flags, lost_part, bounds)


def reason_texts(flags: NDArray[np.uint8]) -> list[str]:
    """Reasons of each beat or strip as "content;lost", "" where there is none."""
    texts = [";".join(name for bit, name in enumerate(REASONS) if code >> bit & 1) for code in range(1 << len(REASONS))]
    return [texts[code] for code in flags.tolist()]


def sentence(flags: int) -> str:
    """What a screen says of a beat with these flags; "" where there is nothing to say."""
    return " ".join(SENTENCES[name] for bit, name in enumerate(REASONS) if int(flags) >> bit & 1)


def strip_sentence(found: Quality, strip: int) -> str:
    """What a screen says of a strip: its flags, and how many of its beats are marked; "" for a clean one."""
    beats = found.noisy[found.bounds[strip] : found.bounds[strip + 1]]
    flags, marked = int(found.strip_flags[strip]), int(beats.sum())
    told = sentence(flags & ~LOST)
    if flags & LOST:
        told += f" The lead is lost in {max(1, round(100 * float(found.lost_part[strip])))} % of the strip."
    if marked:
        told += f" {marked} of {len(beats)} beats {'is' if marked == 1 else 'are'} marked as noise."
    return told.strip()


@cache
def shipped_model() -> QualityModel:
    """The weights beside this module, read once."""
    return load_model(WEIGHTS)


def load_model(path: Path) -> QualityModel:
    """Weights from an npz file.

    Raises
    ------
    BundleError
        If the file is missing, damaged or of another kind.
    """
    stored = read_arrays(path, "the noise scores")
    try:
        model = QualityModel(stored["beat"].astype(np.float64), stored["strip"].astype(np.float64))
    except KeyError as missing:
        raise BundleError(f"{path.name} holds no array {missing}; it is no file of the noise scores.") from missing
    if model.beat.shape != (len(BEAT_FEATURES) + 1,) or model.strip.shape != (len(STRIP_FEATURES) + 1,):
        raise BundleError(f"The weights in {path.name} are not those of the noise scores.")
    return model


def save_model(model: QualityModel, path: Path) -> None:
    """Write weights as an npz file."""
    np.savez(path, beat=model.beat, strip=model.strip)


def _check(
    x: NDArray[np.float32],
    peaks: Sequence[NDArray[np.int64]],
    probability: Sequence[NDArray[np.float32]] | None,
    doubt: NDArray[np.float32] | None,
) -> None:
    if x.ndim != 2 or len(peaks) != len(x):
        raise InputError(f"R-peaks of {len(peaks)} strips do not belong to strips of shape {x.shape}.")
    if probability is not None and [len(one) for one in probability] != [len(one) for one in peaks]:
        raise InputError("There must be one probability for each R-peak.")
    if doubt is not None and len(doubt) != len(x):
        raise InputError(f"There are {len(doubt)} doubts for {len(x)} strips.")


def _spared(x: NDArray[np.float32], fs: float, strip_score: NDArray[np.float32]) -> NDArray[np.float32]:
    """What to multiply scores with: 0 for a strip that swings as in ventricular flutter, which is no noise; else 1."""
    spared = np.ones(len(x), dtype=np.float32)
    asked = np.flatnonzero(strip_score > 0.5)
    if len(asked):
        offsets = np.arange(len(asked) + 1, dtype=np.int64) * x.shape[1]
        spared[asked] = oscillation_probability(x[asked].reshape(-1), offsets, fs) <= 0.5
    return spared


def _probability(features: NDArray[np.float32], weights: NDArray[np.float64]) -> NDArray[np.float32]:
    odds = features @ weights[:-1] + weights[-1]
    return np.asarray(1 / (1 + np.exp(-np.clip(odds, -30, 30))), dtype=np.float32)


def _mostly_noise(
    beat_score: NDArray[np.float32], strip_score: NDArray[np.float32], row: NDArray[np.int64], beats: NDArray[np.int64]
) -> NDArray[np.bool_]:
    """Strips whose beats are noise on the whole; a strip without beats is judged by its own score."""
    odds = np.clip(logit(beat_score.astype(np.float64)), -SUREST, SUREST)
    some = np.maximum(beats, 1)
    mean = np.bincount(row, weights=odds, minlength=len(strip_score)) / some
    doubted = np.bincount(row, weights=beat_score > DOUBTED, minlength=len(strip_score)) / some
    return np.where(beats > 0, (mean > SUREST * (2 * NOISY_PART - 1)) & (doubted >= DOUBTED_PART), strip_score > 0.5)


def _near(marked: NDArray[np.bool_], row: NDArray[np.int64], at: NDArray[np.int64], rate: float) -> NDArray[np.bool_]:
    """Whether anything is marked within 150 ms of each beat."""
    total = np.concatenate([np.zeros((len(marked), 1), dtype=np.int64), np.cumsum(marked, axis=1)], axis=1)
    reach = round(_NEAR_SEC * rate)
    first, last = np.maximum(at - reach, 0), np.minimum(at + reach + 1, marked.shape[1])
    return np.asarray(total[row, last] > total[row, first])
