"""Ordinary strips with their beats moved in time: what early, fast and irregular mean, taught from known timing.

A label "PAC" says that some beat on the strip is supraventricular, and few strips have it; a run of supraventricular
tachycardia may fill a strip, so that no beat in it is early. But what such a beat is, is known: an ordinary QRS before
its time. Strips of ordinary beats whose beats are moved in time say so, and say as well what is not one: a faster or
slower sinus rhythm, breathing, atrial fibrillation, a beat that the detector missed.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from ecg_engine.arrhythmia.references import CutBeats
from ecg_engine.labels import UNLABELLED

PLAIN_LABELS = (0, 3, 4)
"""Strips of nothing but ordinary beats."""

Moved = tuple[NDArray[np.float64], NDArray[np.bool_]]


class Retimed(NamedTuple):
    """Beats with moved copies appended.

    Attributes
    ----------
    beats : CutBeats
        The given beats, then the copies; patients keep their numbers.
    known : int64 (n,)
        For the copies 1 (PAC) where a beat was moved before its time and 0 (Normal) else; -999 for the given beats.
    source : int64 (s,)
        The strip that each strip is a copy of; of the given ones, itself.
    """

    beats: CutBeats
    known: NDArray[np.int64]
    source: NDArray[np.int64]


def _premature(rr: NDArray[np.float64], rng: np.random.Generator) -> Moved:
    """One to three early beats, each with a pause that is or is not compensatory."""
    rr, early = rr.copy(), np.zeros(len(rr) + 1, dtype=bool)
    for i in rng.choice(len(rr), size=min(int(rng.integers(1, 4)), len(rr)), replace=False):
        factor = rng.uniform(0.5, 0.85)
        usual = rr[i]
        rr[i], early[i + 1] = usual * factor, True
        if i + 1 < len(rr) and not early[i + 2]:
            rr[i + 1] = usual * (2 - factor if rng.random() < 0.4 else rng.uniform(1.0, 1.2))
    return rr, early


def _run(rr: NDArray[np.float64], rng: np.random.Generator) -> Moved:
    """A run of fast beats that begins or ends on the strip, or fills it."""
    rr, early = rr.copy(), np.zeros(len(rr) + 1, dtype=bool)
    length = int(rng.integers(3, len(rr) + 1))
    first = int(rng.integers(0, len(rr) - length + 1))
    factor = rng.uniform(0.42, 0.72)
    rr[first : first + length] *= factor * rng.uniform(0.97, 1.03, length)
    early[first + 1 : first + length + 1] = True
    # a run that comes from before the strip: its first beat is one of it too
    early[0] = first == 0
    if first + length < len(rr):
        rr[first + length] *= rng.uniform(1.0, 1.3)
    return rr, early


def _sinus(rr: NDArray[np.float64], rng: np.random.Generator) -> Moved:
    """Another rate, and breathing."""
    phase = 2 * np.pi * (np.cumsum(rr) / rng.uniform(3, 6) + rng.random())
    changed = rr * rng.uniform(0.8, 1.25) * (1 + rng.uniform(0, 0.18) * np.sin(phase))
    return changed, np.zeros(len(rr) + 1, dtype=bool)


def _fibrillation(rr: NDArray[np.float64], rng: np.random.Generator) -> Moved:
    factors = np.clip(rng.gamma(1 / 0.22**2, 0.22**2, len(rr)), 0.45, 2.0)
    return rr * rng.uniform(0.6, 1.1) * factors, np.zeros(len(rr) + 1, dtype=bool)


def _missed(rr: NDArray[np.float64], rng: np.random.Generator) -> Moved:
    """A pause, or a beat that was not detected."""
    rr = rr.copy()
    rr[rng.integers(0, len(rr))] *= rng.uniform(1.4, 2.2)
    return rr, np.zeros(len(rr) + 1, dtype=bool)


KINDS: tuple[tuple[float, Callable[[NDArray[np.float64], np.random.Generator], Moved]], ...] = (
    (0.3, _premature),
    (0.2, _run),
    (0.2, _sinus),
    (0.2, _fibrillation),
    (0.1, _missed),
)
"""Share of the moved strips that get each way."""


def retimed(beats: CutBeats, labels: NDArray[np.integer], share: float = 0.15, seed: int = 42) -> Retimed:
    """Beats with copies of ordinary strips appended, whose beats are moved in time.

    Parameters
    ----------
    beats : CutBeats
    labels : int (s,)
        Labels of the strips; those in ``PLAIN_LABELS`` are copied.
    share : float
        Copies for each ordinary strip; few enough not to change the patient's usual interval.
    seed : int

    Returns
    -------
    Retimed
    """
    rng = np.random.default_rng(seed)
    bounds = beats.bounds
    plain = np.flatnonzero(np.isin(labels, PLAIN_LABELS) & (np.diff(bounds) >= 5))
    rows = rng.choice(plain, size=round(share * len(plain)), replace=False) if len(plain) else plain
    chances = np.array([chance for chance, _ in KINDS])
    kinds = rng.choice(len(KINDS), size=len(rows), p=chances / chances.sum())
    times, taken, strip, known = [beats.r_sec], [np.arange(len(beats))], [beats.strip], []
    for number, (row, kind) in enumerate(zip(rows.tolist(), kinds.tolist(), strict=True)):
        span = np.arange(bounds[row], bounds[row + 1])
        old = beats.r_sec[span]
        rr, early = KINDS[kind][1](np.diff(old), rng)
        times.append(old[0] + np.concatenate([[0.0], np.cumsum(rr)]))
        taken.append(span)
        strip.append(np.full(len(span), len(labels) + number))
        known.append(early.astype(np.int64))
    beat = np.concatenate(taken)
    more = CutBeats(
        beats.waves[beat],
        np.concatenate(strip),
        np.concatenate(times),
        beats.inside[beat],
        np.concatenate([beats.patient, beats.patient[rows]]),
    )
    said = np.concatenate([np.full(len(beats), UNLABELLED), *known]).astype(np.int64)
    return Retimed(more, said, np.concatenate([np.arange(len(labels)), rows]))
