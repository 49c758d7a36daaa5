"""Fusion beats: on time, and the sum of the patient's ordinary beat and her ventricular one (issue 4, item 3).

Labels of strips say next to nothing about fusion beats, but what one is, is known: the impulse from the atria and one
from the ventricles meet halfway. Its QRS complex is a bit of both, each with a part of its own height, and it comes
about when the ordinary beat was due. So where a patient has ventricular beats of one shape, a beat that neither shape
explains alone, but both together do, is one.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from ecg_engine.arrhythmia.context import Context
from ecg_engine.arrhythmia.references import MAX_SHIFT, QRS, CutBeats, References

Floats = NDArray[np.float32]

VENTRICULAR, MEMBERS = 0.8, 5
"""Mean probability of V, and beats, from which a group gives a ventricular shape."""

ON_TIME = 0.12
"""Largest logarithm of the interval over the usual one."""

LEAST_V = 0.02
"""Probability of V below which a beat is not asked: noise is a sum of anything."""

EXPLAINED, MORE = 0.9, 0.1
"""Share of a QRS complex's energy that both shapes together must explain, and how much more than either alone."""

PARTS = (0.5, 0.25, 0.9)
"""Least height of the ordinary beat, least and most height of the ventricular one, as shares of their own."""

SHARE = 0.6
"""How much of its probability a beat that is a sum of both gives to F; about that many are."""

N, V, F = 0, 2, 3


def with_fusion(
    probabilities: Floats,
    beats: CutBeats,
    references: References,
    context: Context,
    group: NDArray[np.int64],
    settled: NDArray[np.bool_] | None = None,
) -> Floats:
    """Probabilities in which sums of a patient's two shapes are likely fusion beats.

    Parameters
    ----------
    probabilities : float32 (n, K)
        Of N, S, V, F and own classes.
    beats, references, context : of the same beats
    group : int64 (n,)
    settled : bool (n,), optional
        Beats of which a reader has spoken; they are left as they are.

    Returns
    -------
    float32 (n, K)
    """
    settled = np.zeros(len(beats), dtype=bool) if settled is None else settled
    asked = np.flatnonzero(
        ~settled
        & (np.abs(context.column("pre_over_usual")) < ON_TIME)
        & (context.column("pre_unknown") == 0)
        & (np.maximum(context.column("qrs_like_strip"), 0) ** 2 < 1 - MORE)
        & (probabilities[:, V] > LEAST_V)
        # what is likely F already stays as it is: to ask again changes nothing
        & (probabilities[:, F] < SHARE)
    )
    shapes = ventricular_shapes(probabilities[:, V], beats, group)
    patient = beats.patient[beats.strip]
    sums = [
        mine[is_sum(beats.waves[mine], references.strip[beats.strip[mine]], shapes[one])]
        for one in np.unique(patient[asked]).tolist()
        if one in shapes
        for mine in (asked[patient[asked] == one],)
    ]
    out = probabilities.copy()
    for rows in sums:
        out[rows] *= np.float32(1 - SHARE)
        out[rows, F] += np.float32(SHARE)
    return out


def ventricular_shapes(ventricular: Floats, beats: CutBeats, group: NDArray[np.int64]) -> dict[int, Floats]:
    """Median waves of each patient's ventricular groups, float32 (m, LENGTH) for patients who have any."""
    count = int(group.max(initial=-1)) + 1
    size = np.bincount(group, minlength=count)
    mean = np.bincount(group, ventricular, count) / np.maximum(size, 1)
    shapes: dict[int, list[Floats]] = {}
    for one in np.flatnonzero((size >= MEMBERS) & (mean > VENTRICULAR)).tolist():
        rows = np.flatnonzero(group == one)
        shapes.setdefault(int(beats.patient[beats.strip[rows[0]]]), []).append(np.median(beats.waves[rows], axis=0))
    return {patient: np.stack(some).astype(np.float32) for patient, some in shapes.items()}


def is_sum(waves: Floats, ordinary: Floats, shapes: Floats) -> NDArray[np.bool_]:
    """Beats that an ordinary and a ventricular shape explain together, and neither alone.

    Parameters
    ----------
    waves, ordinary : float32 (m, LENGTH)
        Each beat, and the reference that it is compared with.
    shapes : float32 (k, LENGTH)
        Ventricular shapes of the same patient.

    Returns
    -------
    bool (m,)
    """
    moves = range(-MAX_SHIFT, MAX_SHIFT + 1, 3)
    y = _qrs(waves)
    energy = _dot(y, y)
    plain = [_qrs(ordinary, move) for move in moves]
    alone = np.max([_explained(_dot(one, y), _dot(one, one), energy) for one in plain], axis=0)
    best = np.zeros((3, len(waves)))  # explained, height of the ordinary beat, of the ventricular one
    for shape in shapes:
        for move in moves:
            v = _qrs(shape[None], move)[0]
            vv, vy = v @ v + 1e-9, y @ v
            alone = np.maximum(alone, _explained(vy, vv, energy))
            for n in plain:
                nn, nv, ny = _dot(n, n), n @ v, _dot(n, y)
                apart = np.maximum(nn * vv - nv**2, 1e-3 * nn * vv)
                a, b = (ny * vv - vy * nv) / apart, (vy * nn - ny * nv) / apart
                both = np.where((a > 0) & (b > 0), (a * ny + b * vy) / energy, 0.0)
                best = np.where(both > best[0], np.stack([both, a, b]), best)
    least, lowest, highest = PARTS
    return (
        (best[0] > EXPLAINED) & (best[0] - alone > MORE) & (best[1] > least) & (best[2] > lowest) & (best[2] < highest)
    )


def _qrs(waves: Floats, move: int = 0) -> NDArray[np.float64]:
    part = waves[:, QRS.start + move : QRS.stop + move].astype(np.float64)
    return part - part.mean(axis=1, keepdims=True)


def _dot(a: NDArray[np.float64], b: NDArray[np.float64]) -> NDArray[np.float64]:
    return np.einsum("ij,ij->i", a, b) + 1e-9


def _explained(
    product: NDArray[np.float64], own: NDArray[np.float64] | float, energy: NDArray[np.float64]
) -> NDArray[np.float64]:
    """Share of the energy that a shape explains with a height of its own, never upside down."""
    return np.maximum(product, 0.0) ** 2 / (own * energy)
