"""Is a strip's rhythm that of atrial fibrillation? Irregular intervals between ordinary beats, no P waves that agree.

Ten seconds can show the pattern, not the diagnosis. Three numbers say it, none of which a lone ectopic and its pause
can feign: the share of successive intervals that differ, the share of all pairs of intervals that differ, and how much
the stretches before the QRS complexes are alike (in fibrillation they are not, whatever the lead). Their weights are
those of a logistic regression on MIT-BIH DS1, strongly shrunk (only two of its patients fibrillate), rounded;
``bench/arrhythmia_af.py`` shows them on another database.
"""

from __future__ import annotations

from itertools import pairwise
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float32]

STEP, PAIR = 0.08, 0.05
"""From which relative difference two successive intervals, or any two, count as unlike."""

_WEIGHTS = (4.0, 4.0, -7.0)
_OFFSET = -1.5
_NO_EVIDENCE = 0.4
"""P coherence between that of sinus rhythm and that of fibrillation, for strips with too few beats to tell."""


class Irregularity(NamedTuple):
    """How irregular the rhythm of ordinary beats is; NaN with fewer than three stretches of three beats."""

    jitter: float  # median of |difference of successive intervals| / their mean
    steps_unlike: float  # share of them over STEP
    pairs_unlike: float  # share of all pairs of intervals that differ by more than PAIR of the median


def irregularity(rr: NDArray[np.float64], ordinary: NDArray[np.bool_], or_all: bool = True) -> Irregularity:
    """Judge the intervals between ordinary beats; those around others are left out.

    Parameters
    ----------
    rr : float64 (k - 1,)
        Intervals between successive beats, seconds.
    ordinary : bool (k,)
        Which beats look like the reference.
    or_all : bool
        Take all beats where the ordinary ones leave too few stretches, as on a noisy strip.
    """
    if len(rr) < 4:
        return Irregularity(float("nan"), float("nan"), float("nan"))
    three = ordinary[2:] & ordinary[1:-1] & ordinary[:-2]
    if three.sum() < 3:
        every = np.ones(len(rr) + 1, dtype=bool)
        return irregularity(rr, every) if or_all and not ordinary.all() else Irregularity(*[float("nan")] * 3)
    step = (2 * np.abs(np.diff(rr)) / (rr[1:] + rr[:-1]))[three]
    between = rr[ordinary[1:] & ordinary[:-1]]
    apart = np.abs(between[:, None] - between[None]) / np.median(between)
    pairs = apart[np.triu_indices(len(between), 1)]
    return Irregularity(float(np.median(step)), float(np.mean(step > STEP)), float(np.mean(pairs > PAIR)))


def coherence(parts: Floats, strip: NDArray[np.int64], count: int) -> Floats:
    """How alike the given stretches of each strip are: mean correlation over all pairs.

    Parameters
    ----------
    parts : float32 (n, L)
        Stretches before the QRS of ordinary beats.
    strip : int64 (n,)
    count : int
        Strips.

    Returns
    -------
    float32 (count,)
        NaN with fewer than three stretches.
    """
    centred = parts - parts.mean(axis=1, keepdims=True)
    unit = centred / (np.linalg.norm(centred, axis=1, keepdims=True) + np.float32(1e-6))
    number = np.bincount(strip, minlength=count).astype(np.float64)
    total = np.zeros((count, parts.shape[1]))
    np.add.at(total, strip, unit)
    pairs = np.where(number >= 3, number * (number - 1), np.nan)
    # from the length of the sum of unit vectors
    return (((total**2).sum(axis=1) - number) / pairs).astype(np.float32)


def af_probability(steps_unlike: Floats, pairs_unlike: Floats, p_coherence: Floats) -> Floats:
    """How much a strip looks like atrial fibrillation, 0 to 1; 0 where the intervals are too few to say.

    Parameters
    ----------
    steps_unlike, pairs_unlike, p_coherence : float32 (s,)
        NaN where not known.

    Examples
    --------
    >>> af_probability(np.float32([0.8, 0.05]), np.float32([0.85, 0.1]), np.float32([0.03, 0.8])) > 0.75
    array([ True, False])
    """
    atria = np.where(np.isfinite(p_coherence), p_coherence, _NO_EVIDENCE)
    z = _WEIGHTS[0] * steps_unlike + _WEIGHTS[1] * pairs_unlike + _WEIGHTS[2] * atria + _OFFSET
    known = np.isfinite(z)
    return np.where(known, 1 / (1 + np.exp(-np.where(known, z, 0.0))), 0.0).astype(np.float32)


def af_among_classified(
    r_sec: NDArray[np.float64], bounds: NDArray[np.int64], ventricular: NDArray[np.bool_], p_coherence: Floats
) -> Floats:
    """The AF pattern of strips whose ventricular beats are known: bigeminy is irregular too, but not between N beats.

    Parameters
    ----------
    r_sec : float64 (n,)
    bounds : int64 (s + 1,)
        Beats of each strip.
    ventricular : bool (n,)
        V and fusion beats.
    p_coherence : float32 (s,)

    Returns
    -------
    float32 (s,)
        0 where three stretches of three other beats are not to be had.
    """
    said = [
        irregularity(np.diff(r_sec[first:last]), ~ventricular[first:last], or_all=False)
        for first, last in pairwise(bounds.tolist())
    ]
    values = np.array(said, dtype=np.float32).reshape(-1, 3)
    return af_probability(values[:, 1], values[:, 2], p_coherence)
