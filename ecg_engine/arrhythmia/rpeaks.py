"""R-peaks of short strips on any lead, with the probability of each: a trained look at every candidate, taken twice.

The first look knows the envelopes around a candidate and the shapes of the others; the second adds the rhythm of the
beats that the first is sure of, and what the strip's edges cut off. The weights were fitted on the MIT-BIH Arrhythmia
Database by ``train_rpeaks``; see README.md beside them. Gain, offset and polarity of the strips do not matter.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from ecg_engine.arrhythmia.alignment import align, snap
from ecg_engine.arrhythmia.candidate_features import candidate_features
from ecg_engine.arrhythmia.candidates import Candidates, find_candidates
from ecg_engine.arrhythmia.edges import beyond_edge, edge_features
from ecg_engine.arrhythmia.perceptron import Perceptron, from_arrays, sigmoid
from ecg_engine.arrhythmia.rhythm_features import rhythm_features, strongest
from ecg_engine.arrhythmia.traces import Traces, traces_of_block
from ecg_engine.errors import BundleError

WEIGHTS = Path(__file__).with_name("rpeaks.npz")

ACCEPT = 0.4
"""Candidates at least this likely are beats; under one half, as a missed ectopic costs more than a spurious beat."""

POSSIBLE_LOGIT = -4.0
REFRACTORY_SEC = 0.2
_LONGEST_SEC, _PIECE_SEC, _MARGIN_SEC = 16.0, 10.0, 2.0


@dataclass(frozen=True)
class RPeakModel:
    """The two looks: a perceptron on candidate features, and a committee on these with rhythm and edge features.

    The committee's members differ by their random start alone; the mean of their log odds is steadier than any of them.
    """

    first: Perceptron
    second: tuple[Perceptron, ...]

    def probability(self, features: NDArray[np.float32]) -> NDArray[np.float32]:
        """What the second look says of each row, float32 (c,)."""
        return sigmoid(np.mean([member.logit(features) for member in self.second], axis=0))


class RPeaks(NamedTuple):
    """R-peaks of a block of strips.

    Attributes
    ----------
    peaks : list of int64 (b,)
        Samples of each strip's R-peaks, ascending.
    probability : list of float32 (b,)
        How likely each is one.
    doubt : float32 (k,)
        Of each strip: sum of p (1 - p) over all its candidates, by its number of beats (at least one). 0 where
        everything is clear; noise raises it, ectopic beats do not.
    """

    peaks: list[NDArray[np.int64]]
    probability: list[NDArray[np.float32]]
    doubt: NDArray[np.float32]


def find_rpeaks(x: NDArray[np.float32], fs: float) -> tuple[NDArray[np.int64], NDArray[np.float32]]:
    """R-peaks of one strip, conditioned or raw, and the probability of each.

    Parameters
    ----------
    x : float32 (n,)
    fs : float
        Hz.

    Examples
    --------
    >>> import numpy as np
    >>> time = np.arange(2500) / 250
    >>> beats = sum(np.exp(-0.5 * ((time - r) / 0.012) ** 2) for r in np.arange(0.5, 10, 0.8))
    >>> (find_rpeaks(beats.astype(np.float32), 250.0)[0] / 250).round(1).tolist()[:3]
    [0.5, 1.3, 2.1]
    """
    found = find_rpeaks_of_block(np.asarray(x, dtype=np.float32)[np.newaxis], fs)
    return found.peaks[0], found.probability[0]


def find_rpeaks_of_block(x: NDArray[np.float32], fs: float, model: RPeakModel | None = None) -> RPeaks:
    """R-peaks of strips of one length.

    Parameters
    ----------
    x : float32 (k, n)
        Conditioned or raw, in any unit, of any length; what is longer than 16 s is read in pieces of 10 s, because
        a strip's level and rhythm are taken for the same throughout.
    fs : float
        Hz.
    model : RPeakModel, optional
        By default the one that is shipped.

    Returns
    -------
    RPeaks
        Flat strips have none.
    """
    model = model or shipped_model()
    x = np.ascontiguousarray(x, dtype=np.float32)
    if x.shape[1] <= _LONGEST_SEC * fs:
        return _find(x, fs, model)
    return _in_pieces(x, fs, model)


@cache
def shipped_model() -> RPeakModel:
    """The model beside this module, read once."""
    return load_model(WEIGHTS)


def load_model(path: Path) -> RPeakModel:
    """A model from an npz file.

    Raises
    ------
    BundleError
        If the file is missing, damaged or of another kind.
    """
    try:
        with np.load(path, allow_pickle=False) as stored:
            arrays = {name: stored[name] for name in stored.files}
    except (OSError, ValueError, EOFError) as error:
        raise BundleError(f"The weights of the R-peak finder cannot be read from {path.name} ({error}).") from error
    members = sorted({name.split("_")[0] for name in arrays if name.startswith("second")})
    if not members:
        raise BundleError(f"{path.name} holds no second look; it is no model of the R-peak finder.")
    return RPeakModel(from_arrays(arrays, "first_"), tuple(from_arrays(arrays, f"{name}_") for name in members))


def save_model(model: RPeakModel, path: Path) -> None:
    """Write a model as an npz file of float32 arrays."""
    arrays: dict[str, Any] = model.first.as_arrays("first_")
    for number, member in enumerate(model.second):
        arrays |= member.as_arrays(f"second{number}_")
    np.savez_compressed(path, **arrays)


class FirstLook(NamedTuple):
    """What is known of the candidates of a block before the second look.

    Attributes
    ----------
    traces : Traces
    found : Candidates
    features : float32 (c, d)
    """

    traces: Traces
    found: Candidates
    features: NDArray[np.float32]


def first_look(x: NDArray[np.float32], fs: float) -> FirstLook:
    """Candidates of a block with the features of the first look."""
    traces = traces_of_block(x, fs)
    found = find_candidates(traces)
    return FirstLook(traces, found, candidate_features(traces, found))


class SecondLook(NamedTuple):
    """What the second look is given.

    Attributes
    ----------
    features : float32 (c, d)
    sample : int64 (c,)
        Where in the strip each candidate's R-peak would be.
    beyond : bool (c,)
        Which belong to a beat whose R-peak lies outside of the strip.
    """

    features: NDArray[np.float32]
    sample: NDArray[np.int64]
    beyond: NDArray[np.bool_]


def second_look(x: NDArray[np.float32], fs: float, first: FirstLook, logit: NDArray[np.float32]) -> SecondLook:
    """Features of the second look, given the logit of the first for every candidate."""
    traces, found = first.traces, first.found
    likely = np.flatnonzero(logit > POSSIBLE_LOGIT)
    sample = np.round(found.at / traces.rate * fs).astype(np.int64)
    at, upward = align(traces.shape, found.strip[likely], found.at[likely], traces.rate)
    sample[likely] = snap(x, found.strip[likely], at / traces.rate, upward, fs)
    at_edges = edge_features(x, fs, found.strip, sample, logit > 0, logit > POSSIBLE_LOGIT)
    features = np.concatenate([first.features, rhythm_features(traces, found, logit), at_edges], axis=1)
    return SecondLook(features, sample, beyond_edge(at_edges))


def chosen(found: Candidates, probability: NDArray[np.float32], rate: float) -> NDArray[np.bool_]:
    """Which candidates are beats: likely enough, and with no likelier one within the refractory time, bool (c,)."""
    rows = len(found.level)
    counts = np.bincount(found.strip, minlength=rows)
    place = np.arange(len(found.strip)) - np.repeat(np.cumsum(counts) - counts, counts)
    shape = (rows, int(counts.max(initial=0)))
    likely, seconds = np.full(shape, -1, dtype=np.float32), np.full(shape, np.inf, dtype=np.float32)
    likely[found.strip, place], seconds[found.strip, place] = probability, found.at / rate
    return strongest(likely, seconds, REFRACTORY_SEC)[found.strip, place] & (probability >= ACCEPT)


def _find(x: NDArray[np.float32], fs: float, model: RPeakModel) -> RPeaks:
    count = len(x)
    first = first_look(x, fs)
    logit = model.first.logit(first.features)
    second = second_look(x, fs, first, logit)
    probability = np.where(second.beyond, np.float32(0), model.probability(second.features))
    strip, rate = first.found.strip, first.traces.rate
    kept = chosen(first.found, probability, rate)
    strip_kept, sure = strip[kept], probability[kept]
    peaks = second.sample[kept]
    beats = np.bincount(strip_kept, minlength=count)
    doubt = np.bincount(strip, weights=probability * (1 - probability), minlength=count) / np.maximum(beats, 1)
    order = np.lexsort((peaks, strip_kept))
    cuts = np.cumsum(beats)[:-1]
    return RPeaks(np.split(peaks[order], cuts), np.split(sure[order], cuts), doubt.astype(np.float32))


def _in_pieces(x: NDArray[np.float32], fs: float, model: RPeakModel) -> RPeaks:
    """Long strips in pieces that overlap; each piece answers for its middle."""
    length, piece, margin = x.shape[1], round(_PIECE_SEC * fs), round(_MARGIN_SEC * fs)
    step = piece - 2 * margin
    starts = np.unique(np.minimum(np.arange(0, length - 2 * margin, step), length - piece))
    peaks: list[list[NDArray[np.int64]]] = [[] for _ in x]
    sure: list[list[NDArray[np.float32]]] = [[] for _ in x]
    doubt = np.zeros(len(x))
    answered = 0
    for number, start in enumerate(starts.tolist()):
        stop = length if number == len(starts) - 1 else start + margin + step
        found = _find(np.ascontiguousarray(x[:, start : start + piece]), fs, model)
        for row in range(len(x)):
            mine = (found.peaks[row] + start >= answered) & (found.peaks[row] + start < stop)
            peaks[row].append(found.peaks[row][mine] + start)
            sure[row].append(found.probability[row][mine])
        doubt += found.doubt * (stop - answered) / length
        answered = stop
    joined = [_without_twins(np.concatenate(p), np.concatenate(s), fs) for p, s in zip(peaks, sure, strict=True)]
    return RPeaks([p for p, _ in joined], [s for _, s in joined], doubt.astype(np.float32))


def _without_twins(
    peaks: NDArray[np.int64], probability: NDArray[np.float32], fs: float
) -> tuple[NDArray[np.int64], NDArray[np.float32]]:
    """Peaks of which two pieces each found one, a little apart, once."""
    if len(peaks) == 0:
        return peaks, probability
    likely = strongest(probability[None], (peaks / fs)[None], 0.05)[0]
    return peaks[likely], probability[likely]
