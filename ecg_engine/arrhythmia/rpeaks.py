"""R-peaks of short strips on any lead, with the probability of each: a trained look at every candidate, thrice.

The first look knows the envelopes around a candidate and the shapes of the others. Each later one adds what the look
before made of the strip: the rhythm of the beats it is sure of, what became of candidates of the same shape, and what
the strip's edges cut off. The weights were fitted on the MIT-BIH Arrhythmia Database by ``train_rpeaks``; see README.md
beside them. Gain, offset and polarity of the strips do not matter.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from ecg_engine.arrhythmia import candidate_features, edges, kin_features, rhythm_features
from ecg_engine.arrhythmia.alignment import align, snap
from ecg_engine.arrhythmia.candidates import Candidates, find_candidates, places
from ecg_engine.arrhythmia.perceptron import Perceptron, from_arrays, sigmoid
from ecg_engine.arrhythmia.traces import Traces, traces_of_block
from ecg_engine.arrhythmia.weights import read_arrays
from ecg_engine.errors import BundleError

WEIGHTS = Path(__file__).with_name("rpeaks.npz")

ACCEPT = 0.4
"""Candidates at least this likely are beats; under one half, as a missed ectopic costs more than a spurious beat."""

POSSIBLE_LOGIT = -4.0
REFRACTORY_SEC = 0.2
FIRST_INPUTS = len(candidate_features.NAMES)
LATER_INPUTS = FIRST_INPUTS + len(rhythm_features.NAMES) + len(kin_features.NAMES) + len(edges.NAMES)
"""Features that a later look is given of a candidate; the first is given ``FIRST_INPUTS``."""

_LONGEST_SEC, _PIECE_SEC, _MARGIN_SEC = 16.0, 10.0, 2.0


@dataclass(frozen=True)
class Committee:
    """Perceptrons that differ by their random start alone; the mean of their log odds is steadier than any of them."""

    members: tuple[Perceptron, ...]

    def logit(self, features: NDArray[np.float32]) -> NDArray[np.float32]:
        """Mean log odds of each row, float32 (c,)."""
        return np.asarray(np.mean([member.logit(features) for member in self.members], axis=0), dtype=np.float32)


@dataclass(frozen=True)
class RPeakModel:
    """The looks in turn: the first by :func:`first_look`, each later one by :func:`look_again` at the one before."""

    first: Perceptron
    later: tuple[Committee, ...]


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
    arrays = read_arrays(path, "the R-peak finder")
    later: dict[str, list[Perceptron]] = {}
    for name in sorted({name.rpartition("_")[0] for name in arrays if name.startswith("later")}):
        later.setdefault(name.partition("_")[0], []).append(from_arrays(arrays, f"{name}_"))
    if not later:
        raise BundleError(f"{path.name} holds no later look; it is no model of this R-peak finder.")
    model = RPeakModel(from_arrays(arrays, "first_"), tuple(Committee(tuple(members)) for members in later.values()))
    inputs = {len(member.mean) for committee in model.later for member in committee.members}
    if len(model.first.mean) != FIRST_INPUTS or inputs != {LATER_INPUTS}:
        raise BundleError(f"The weights of {path.name} are for other features than those of this R-peak finder.")
    return model


def save_model(model: RPeakModel, path: Path) -> None:
    """Write a model as an npz file of float32 arrays."""
    arrays: dict[str, Any] = model.first.as_arrays("first_")
    for look, committee in enumerate(model.later):
        for number, member in enumerate(committee.members):
            arrays |= member.as_arrays(f"later{look}_{number}_")
    np.savez_compressed(path, **arrays)


class FirstLook(NamedTuple):
    """What is known of the candidates of a block before anything is made of them.

    Attributes
    ----------
    traces : Traces
    found : Candidates
    alike : float32 (k, m, m)
        How like the candidates of each strip are to one another.
    features : float32 (c, d)
    """

    traces: Traces
    found: Candidates
    alike: NDArray[np.float32]
    features: NDArray[np.float32]


def first_look(x: NDArray[np.float32], fs: float) -> FirstLook:
    """Candidates of a block with the features of the first look."""
    traces = traces_of_block(x, fs)
    found = find_candidates(traces)
    alike = candidate_features.correlations(traces, found)
    return FirstLook(traces, found, alike, candidate_features.candidate_features(traces, found, alike))


class LaterLook(NamedTuple):
    """What a later look is given.

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


def look_again(x: NDArray[np.float32], fs: float, first: FirstLook, logit: NDArray[np.float32]) -> LaterLook:
    """What a later look is given, from the log odds of the look before for every candidate."""
    traces, found = first.traces, first.found
    likely = np.flatnonzero(logit > POSSIBLE_LOGIT)
    sample = np.round(found.at / traces.rate * fs).astype(np.int64)
    at, upward = align(traces.shape, found.strip[likely], found.at[likely], traces.rate)
    sample[likely] = snap(x, found.strip[likely], at / traces.rate, upward, fs)
    at_edges = edges.edge_features(x, fs, found.strip, sample, logit > 0, logit > POSSIBLE_LOGIT)
    rhythm = rhythm_features.rhythm_features(traces, found, logit)
    kin = kin_features.kin_features(found, first.alike, logit)
    features = np.concatenate([first.features, rhythm, kin, at_edges], axis=1)
    return LaterLook(features, sample, edges.beyond_edge(at_edges))


def chosen(found: Candidates, probability: NDArray[np.float32], rate: float) -> NDArray[np.bool_]:
    """Which candidates are beats: likely enough, and with no likelier one within the refractory time, bool (c,)."""
    place = places(found)
    shape = (len(found.level), int(place.max(initial=-1)) + 1)
    likely, seconds = np.full(shape, -1, dtype=np.float32), np.full(shape, np.inf, dtype=np.float32)
    likely[found.strip, place], seconds[found.strip, place] = probability, found.at / rate
    return rhythm_features.strongest(likely, seconds, REFRACTORY_SEC)[found.strip, place] & (probability >= ACCEPT)


def _find(x: NDArray[np.float32], fs: float, model: RPeakModel) -> RPeaks:
    count = len(x)
    first = first_look(x, fs)
    logit = model.first.logit(first.features)
    for committee in model.later:
        given = look_again(x, fs, first, logit)
        logit = committee.logit(given.features)
    probability = np.where(given.beyond, np.float32(0), sigmoid(logit))
    strip, rate = first.found.strip, first.traces.rate
    kept = chosen(first.found, probability, rate)
    strip_kept, sure = strip[kept], probability[kept]
    peaks = given.sample[kept]
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
    likely = rhythm_features.strongest(probability[None], (peaks / fs)[None], 0.05)[0]
    return peaks[likely], probability[likely]
