"""Beats flagged as noise that look ectopic: what the noise rules may have taken from the reader.

This leans on :mod:`ecg_engine.ectopy`. The figures are from MIT-BIH DS1 (3,960 strips, 46,970 beats), each patient
judged by constants that were fitted without her; ``python -m bench.suspects`` prints them.
"""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from ecg_engine.ectopy import USUAL, Ectopy
from ecg_engine.labels import UNLABELLED, aami_class, label_name

SUSPECT_LIMIT = 0.40
"""From this score on a flagged beat is a suspect."""

PAC, PVC = 1, 2

FLAGGED: Mapping[str, tuple[float, float]] = MappingProxyType(
    {"V": (2.17, 0.75), "S": (2.76, 0.26), "N": (-0.91, 0.75), "": (-1.32, 0.75), "unlabelled": (0.83, 0.51)}
)
"""Log odds that a flagged beat is ectopic: intercept, and slope over its own log odds of being ventricular, by what its
strip is labelled (V, S and N as in AAMI classes, "" for Noise and VFib). In a strip labelled PAC the shape says
little: a flagged beat there mostly is the PAC."""

_REASONS = {
    "rr": "its RR interval",
    "flat": "being flat",
    "slope": "a steep step",
    "edge": "unrest at its edges",
    "small_cluster": "a small cluster",
}
EARLY, PAUSE, UNLIKE, WIDE = 0.12, 0.12, 0.85, 1.15
"""From these figures on, evidence is told in words."""


class Suspects(NamedTuple):
    """Flagged beats that look ectopic, in the order of the run.

    Attributes
    ----------
    rows : int64 (k,)
    score : float64 (k,)
        Probability that the beat is ectopic after all, from ``SUSPECT_LIMIT`` to 1.
    label : int64 (k,)
        PVC, or PAC in a strip labelled so, and where the shape is the patient's usual one.
    why : list of str
        A sentence each.
    """

    rows: NDArray[np.int64]
    score: NDArray[np.float64]
    label: NDArray[np.int64]
    why: list[str]


def suspects(
    found: Ectopy, flags: NDArray[np.int32], labels: NDArray[np.int32], reasons: NDArray[np.object_]
) -> Suspects:
    """Beats flagged as noise that look ectopic.

    On DS1 the reference profile flags 983 of 3,364 true ventricular and 328 of 828 true supraventricular beats (and
    2,271 normal ones). Of these the list holds 88 % and 95 %; 85 % of the list is truly ectopic (on average over
    patients 76 %). Most of those S are one patient's runs, told by the label of the strip. Without strip labels, from
    the shape alone: 93 % and 12 %, and 67 % of the list (68 %).

    Parameters
    ----------
    found : Ectopy
        Of n beats.
    flags : int32 (n,)
        1 for beats flagged as noise.
    labels : int32 (n,)
        The label of each beat's strip.
    reasons : object (str) (n,)
        Why each beat was flagged: "edge;rr" (``noise_reason``).
    """
    rows = np.flatnonzero(np.asarray(flags) == 1)
    given = np.asarray(labels)[rows]
    groups = {label: _group(label) for label in np.unique(given).tolist()}
    intercept, slope = np.zeros(len(rows)), np.zeros(len(rows))
    for label, group in groups.items():
        intercept[given == label], slope[given == label] = FLAGGED[group]
    score = 1.0 / (1.0 + np.exp(-(intercept + slope * found.logit[rows])))
    keep = score >= SUSPECT_LIMIT
    rows, score, given = rows[keep], score[keep], given[keep]
    families = [groups[label] for label in given.tolist()]
    usual = found.alike[rows] >= USUAL
    atrial = np.array([group == "S" or (group != "V" and same) for group, same in zip(families, usual, strict=True)])
    return Suspects(
        rows=rows,
        score=score,
        label=np.where(atrial, PAC, PVC).astype(np.int64),
        why=[
            _suspicion(found, row, value, label, reason)
            for row, value, label, reason in zip(
                rows.tolist(), score.tolist(), given.tolist(), reasons[rows].tolist(), strict=True
            )
        ],
    )


def _group(label: int) -> str:
    return "unlabelled" if label == UNLABELLED else aami_class(label) or ""


def _suspicion(found: Ectopy, row: int, score: float, label: int, reason: str) -> str:
    said = []
    if found.early[row] >= EARLY:
        said.append(f"it comes {found.early[row]:.0%} early")
    if found.pause[row] >= PAUSE:
        said.append(f"a pause of {1.0 + found.pause[row]:.2f} RR follows")
    alike = f"its shape is {found.alike[row]:.2f} alike to the patient's usual beat"
    if found.alike[row] < UNLIKE:
        said.append(alike)
    if found.wide[row] >= WIDE:
        said.append(f"it is {found.wide[row]:.1f} times as wide as its neighbours")
    if aami_class(label) in ("S", "V"):
        said.append(f"its strip is labelled {label_name(label)}")
    flagged = " and ".join(_REASONS.get(word, word) for word in reason.split(";") if word)
    because = f" for {flagged}" if flagged else ""
    return (
        f"Flagged as noise{because}, but likely an ectopic beat ({score:.0%}; {SUSPECT_LIMIT:.0%} is asked for): "
        f"{', '.join(said) if said else alike}."
    )
