"""How far is a strip from all that a model has learned from? Known-pattern distance (issue 4, item 5).

A strip is described in five parts, each in a few numbers: its rhythm, its atria, whether every second beat differs, how
much its beats vary, and the shape of its ordinary beat. In each part the distance to the nearest known strip of each
of several other patients is taken (a pattern that only one patient shows is not yet well known) and turned into the
share of known strips that lie at least as far out from theirs. The parts are kept apart: a distance over all numbers at
once lets the many numbers of one part drown the few of another. The score is their norm, in which the strangest count
most.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from ecg_engine.arrhythmia.learning import Study
from ecg_engine.arrhythmia.references import BEFORE, QRS, activity_width
from ecg_engine.progress import Progress, silent
from ecg_engine.spread import evenly

Floats = NDArray[np.float32]

PARTS: dict[str, tuple[str, ...]] = {
    "rhythm": ("rate", "longest", "shortest", "pairs_unlike"),
    "atria": ("pairs_unlike", "p_coherence"),
    "alternation": ("rr_alternates", "shape_alternates"),
    "variety": ("amplitudes", "unlikeness", "unlike_run"),
    "shape": ("width", "slope", "t_height"),
}
"""What each part looks at; see :func:`describe_strips`."""

WEIGHTS = (1.0, 1.0, 1.0, 1.0, 1.5)
"""Of the parts in the score: the first four often speak together, the shape speaks alone."""

POWER = 1.5
"""Of the norm: 1 would add the parts, and one that is far out be lost among ordinary ones; the more, the less do
several that are somewhat strange count together, as in flutter."""

COLUMNS = tuple(dict.fromkeys(name for names in PARTS.values() for name in names))

NEIGHBOURS = 8
"""Other patients whose nearest strips count, the mean of their distances; at most half of the patients do."""

LEAST_PATIENTS = 3

MOST_STRIPS = 5000
"""Known strips that are kept; of more, evenly spaced ones of each patient."""

MOST_RANKS = 2000

_FAR = 6.0
"""Where a number that cannot be had (too few beats) is set: an edge, so that only strips like it are near."""

_STEADY = 0.5
"""How much of a shape's distance is that of the patient's usual strip, which noise in one strip does not move."""

_TAIL, _STRANGEST = 0.05, 12.0
_POOLS = 20
_NO_EVIDENCE = 0.4
_ROWS = 512


@dataclass(frozen=True)
class KnownPatterns:
    """What a model has seen.

    Attributes
    ----------
    points : float32 (m, D)
        Known strips in ``COLUMNS``, scaled; rows of a patient stand together.
    patient : int64 (m,)
        Ascending.
    centre, spread : float32 (D,)
    distances : float32 (parts, r)
        Of known strips to those of other patients, ascending, for each part.
    scores : float32 (r,)
        Of known strips, their patient held out, ascending.
    """

    points: Floats
    patient: NDArray[np.int64]
    centre: Floats
    spread: Floats
    distances: Floats
    scores: Floats

    def parts(self, study: Study) -> Floats:
        """How strange each strip is in each of ``PARTS``: minus the logarithm of the share of known strips as far out.

        Parameters
        ----------
        study : Study
            Its labels are not looked at. All strips of a patient steady one another's shape.

        Returns
        -------
        float32 (s, parts)
            0 for the most ordinary; 3 where 5 % of known strips are as strange.
        """
        points = _scaled(describe_strips(study), self.centre, self.spread)
        own = np.full(len(points), -1)
        far = _far(points, own, study.beats.patient, self.points, self.patient)
        return np.stack([_strangeness(far[:, i], self.distances[i]) for i in range(len(PARTS))], axis=1)

    def score(self, study: Study) -> Floats:
        """Known-pattern distance of each strip, float32 (s,): higher is stranger. Defined for strips without beats."""
        return together(self.parts(study))

    def share(self, score: Floats) -> Floats:
        """Share of known strips, their patients held out, that score at least as high.

        Parameters
        ----------
        score : float32 (s,)

        Returns
        -------
        float32 (s,)
            0 where a strip is stranger than all.
        """
        return (1 - np.searchsorted(self.scores, score, side="left") / len(self.scores)).astype(np.float32)

    def state(self) -> dict[str, Any]:
        """What :meth:`from_state` needs: plain values and tensors, safe to load with ``weights_only``."""
        arrays = {name: torch.from_numpy(getattr(self, name).copy()) for name in self.__dataclass_fields__}
        return {"columns": list(COLUMNS), **arrays}

    @classmethod
    def from_state(cls, state: dict[str, Any]) -> KnownPatterns | None:
        """The patterns of a state; None if they were made of other columns than this engine computes."""
        if tuple(state["columns"]) != COLUMNS:
            return None
        return cls(**{name: state[name].numpy() for name in cls.__dataclass_fields__})


def learn_known(
    study: Study, patient_group: NDArray[np.integer] | None = None, progress: Progress = silent
) -> KnownPatterns | None:
    """Remember the strips of a study, and how far those of one patient lie from the others'.

    Parameters
    ----------
    study : Study
    patient_group : int (p,), optional
        Numbers of the patients that are held out together; each by herself if not given.
    progress : Progress, optional

    Returns
    -------
    KnownPatterns or None
        None with fewer than ``LEAST_PATIENTS`` patients: there is then nothing to measure a stranger by.
    """
    patient = study.beats.patient
    group = patient if patient_group is None else np.asarray(patient_group, dtype=np.int64)[patient]
    if len(np.unique(group)) < LEAST_PATIENTS:
        return None
    values = describe_strips(study)
    kept = _evenly(group, MOST_STRIPS)
    values, group, patient = values[kept], group[kept], patient[kept]
    progress("known patterns: strips described", 0.4)
    centre, spread = _scale(values)
    points = _scaled(values, centre, spread)
    far = _far(points, group, patient, points, group)
    progress("known patterns: distances to other patients", 0.9)
    strange = np.stack([_held_out(far[:, i], group) for i in range(len(PARTS))], axis=1)
    progress("known patterns learned", 1.0)
    ranks = np.stack([_ranks(one) for one in far.T])
    return KnownPatterns(points, group, centre, spread, ranks, _ranks(together(strange)))


def together(parts: Floats) -> Floats:
    """The score of strips from their strangeness in each part, float32 (s, parts) to (s,)."""
    return ((parts**POWER @ np.array(WEIGHTS, dtype=np.float32)) ** (1 / POWER)).astype(np.float32)


def describe_strips(study: Study) -> Floats:
    """Strips as numbers that depend neither on gain nor on polarity.

    Parameters
    ----------
    study : Study

    Returns
    -------
    float32 (s, D)
        ``COLUMNS``; NaN where a strip has too few beats. ``rate``: log of the median interval; ``longest``,
        ``shortest``: log of the extreme intervals against it; ``pairs_unlike``: share of pairs of intervals that
        differ; ``p_coherence``: how alike the stretches before ordinary beats are; ``rr_alternates``,
        ``shape_alternates``: how much more a beat is like the next but one than like the next; ``amplitudes``: spread
        of the beats' heights; ``unlikeness``: of beats to the strip's reference, mean, log; ``unlike_run``: longest run
        of beats unlike it, log; ``width``, ``slope``, ``t_height``: of the strip's reference.
    """
    beats, context = study.beats, study.context
    like, height = context.column("qrs_like_strip"), context.column("amplitude_strip")
    unlike = (like < 0.85) | (np.abs(height) > 0.5)
    unit, bounds = _aligned(context.pictures), beats.bounds
    out = {name: np.full(len(beats.patient), np.nan) for name in COLUMNS}
    for row in np.flatnonzero(np.diff(bounds) >= 2):
        part = slice(bounds[row], bounds[row + 1])
        rr = np.diff(beats.r_sec[part])
        usual = np.median(rr)
        out["rate"][row] = np.log(usual)
        out["longest"][row], out["shortest"][row] = np.log(rr.max() / usual), np.log(rr.min() / usual)
        out["amplitudes"][row] = height[part].std()
        out["unlikeness"][row] = np.log(1.02 - like[part].mean())
        out["unlike_run"][row] = np.log1p(_longest(unlike[part]))
        if len(rr) < 3:
            continue
        apart = np.abs(rr[:, None] - rr[None])[np.triu_indices(len(rr), 1)] / usual
        out["pairs_unlike"][row] = np.mean(apart > 0.05)
        next_one, next_but_one = np.abs(np.diff(rr)).mean() / usual, np.abs(rr[2:] - rr[:-2]).mean() / usual
        out["rr_alternates"][row] = np.log((next_one + 0.02) / (next_but_one + 0.02))
        alike = unit[part] @ unit[part].T
        out["shape_alternates"][row] = np.diagonal(alike, 2).mean() - np.diagonal(alike, 1).mean()
    out["p_coherence"] = np.where(np.isfinite(context.p_coherence), context.p_coherence, _NO_EVIDENCE)
    out["width"], out["slope"], out["t_height"] = _shape(study.references.strip)
    return np.stack([out[name] for name in COLUMNS], axis=1).astype(np.float32)


def _aligned(pictures: Floats) -> Floats:
    """QRS parts of beats as they lie best on their strip's reference, of length 1; float32 (n, 35)."""
    part = pictures[:, 0, QRS.start // 2 : QRS.stop // 2 + 1]
    part = part - part.mean(axis=1, keepdims=True)
    return part / (np.linalg.norm(part, axis=1, keepdims=True) + np.float32(1e-6))


def _shape(reference: Floats) -> NDArray[np.float64]:
    """Width (s), steepest slope and tallest T wave (logs, against the QRS) of references; NaN where there is none."""
    height = np.ptp(reference[:, QRS], axis=1, keepdims=True)
    base = reference[:, BEFORE - 30 : BEFORE - 20].mean(axis=1, keepdims=True)
    wave = ((reference - base) / np.where(height > 0, height, 1.0)).astype(np.float64)
    slope = np.log(np.abs(np.diff(wave[:, QRS], axis=1)).max(axis=1) + 1e-3)
    t_height = np.log(np.abs(wave[:, BEFORE + 30 : BEFORE + 100]).max(axis=1) + 0.02)
    return np.where(height[:, 0] > 0, np.stack([activity_width(reference), slope, t_height]), np.nan)


def _longest(flags: NDArray[np.bool_]) -> int:
    edges = np.flatnonzero(np.diff(np.concatenate([[0], flags.astype(np.int8), [0]])))
    return int((edges[1::2] - edges[::2]).max(initial=0))


def _scale(values: Floats) -> tuple[Floats, Floats]:
    """Median, and the spread of the middle 80 %: rare strips shall not set the scale by which they are judged rare."""
    known = np.where(np.isfinite(values).any(axis=0), values, 0.0)
    low, centre, high = np.nanquantile(known, [0.1, 0.5, 0.9], axis=0)
    spread = np.maximum((high - low) / 2.56, 0.25 * np.nanstd(known, axis=0)) + 1e-6
    return centre.astype(np.float32), spread.astype(np.float32)


def _scaled(values: Floats, centre: Floats, spread: Floats) -> Floats:
    scaled = np.clip((values - centre) / spread, -_FAR, _FAR)
    return np.where(np.isfinite(scaled), scaled, np.float32(_FAR)).astype(np.float32)


def _far(
    points: Floats, group: NDArray[np.int64], patient: NDArray[np.int64], known: Floats, known_group: NDArray[np.int64]
) -> Floats:
    """Mean distance to the nearest known strip of each of the nearest patients but one's own, float32 (s, parts)."""
    order = np.argsort(known_group, kind="stable")
    known, known_group = known[order], known_group[order]
    names, first = np.unique(known_group, return_index=True)
    count = max(1, min(NEIGHBOURS, len(names) // 2))
    out = np.zeros((len(points), len(PARTS)), dtype=np.float32)
    for number, columns in enumerate(PARTS.values()):
        at = [COLUMNS.index(name) for name in columns]
        there = known[:, at]
        for start in range(0, len(points), _ROWS):
            rows = slice(start, start + _ROWS)
            here = points[rows][:, at]
            # one column after the other, so that a distance of 0 is 0
            square = sum((here[:, i, None] - there[None, :, i]) ** 2 for i in range(len(at)))
            nearest = np.sqrt(np.minimum.reduceat(square, first, axis=1))
            nearest[group[rows, None] == names] = np.inf
            out[rows, number] = np.partition(nearest, count - 1, axis=1)[:, :count].mean(axis=1)
    shape = list(PARTS).index("shape")
    for one in np.unique(patient):
        own = patient == one
        out[own, shape] += np.float32(_STEADY) * (np.median(out[own, shape]) - out[own, shape])
    return out


def _held_out(far: Floats, group: NDArray[np.int64]) -> Floats:
    """Strangeness of known strips, ranked among those of other patients: those of one's own are no strangers."""
    out, pool = np.zeros(len(far), dtype=np.float32), np.unique(group, return_inverse=True)[1] % _POOLS
    for one in np.unique(pool):
        own = pool == one
        out[own] = _strangeness(far[own], far[~own])
    return out


def _strangeness(far: Floats, known: Floats) -> Floats:
    """Minus the logarithm of the share of known distances that are as large.

    Beyond the last ``_TAIL`` of them the share falls on as they did there: else all that lies farther out than any
    known strip would be equally strange, and one far part could not make up for four ordinary ones.
    """
    ranked = np.sort(known)
    beyond = len(ranked) - np.searchsorted(ranked, far, side="left").astype(np.float64)
    edge = np.quantile(ranked, 1 - _TAIL)
    fall = max(float(np.mean(np.maximum(ranked - edge, 0))) / _TAIL, 1e-6)
    share = np.maximum((beyond + 1) / (len(ranked) + 1), _TAIL)
    return np.minimum(-np.log(share) + np.maximum(far - edge, 0) / fall, _STRANGEST).astype(np.float32)


def _ranks(values: Floats) -> Floats:
    """Ascending; of many, evenly spaced ones with both ends."""
    ranked = np.sort(values)
    if len(ranked) <= MOST_RANKS:
        return ranked
    return ranked[np.rint(np.linspace(0, len(ranked) - 1, MOST_RANKS)).astype(np.int64)]


def _evenly(group: NDArray[np.int64], most: int) -> NDArray[np.int64]:
    """Rows, at most so many, sorted by group: all of a small group, evenly spaced ones of a large one."""
    sizes = np.unique(group, return_counts=True)[1]
    cap = int(sizes.max())
    while cap > 1 and np.minimum(sizes, cap).sum() > most:
        cap = cap * 9 // 10
    order = np.argsort(group, kind="stable")
    parts = np.split(order, np.cumsum(sizes)[:-1])
    kept = [rows[evenly(len(rows), cap)] for rows in parts]
    return np.concatenate(kept)[:most] if len(parts) <= most else np.concatenate(kept)[:: -(-len(parts) // most)]
