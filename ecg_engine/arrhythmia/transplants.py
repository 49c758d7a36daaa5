"""Ordinary strips with ventricular beats of other patients set into them: what a V or an F is on anybody's strip.

Labels of strips say little about beats that fill a strip (an idioventricular rhythm looks regular, and all its beats
alike) and next to nothing about fusion beats. But a beat that is surely ventricular on one patient's strip is so in
another patient's rhythm too, early or late, alone or in a run that fills the strip; and where it meets the ordinary
beat halfway, the two add up to a fusion beat. A QRS that turns its axis when the patient turns in bed is none: it still
follows its P wave; strips with the QRS of another patient's ordinary beats between their own P and T say so.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from ecg_engine.arrhythmia.references import BEFORE, LENGTH, QRS, CutBeats, References
from ecg_engine.arrhythmia.retiming import PLAIN_LABELS

_BETWEEN = np.interp(
    np.arange(LENGTH), [BEFORE - 20, BEFORE - 14, BEFORE + 25, BEFORE + 60, LENGTH - 20], [0, 1, 1, 0.6, 0]
).astype(np.float32)
"""How much of another QRS there is along a beat whose axis has turned: all of the QRS, something of the T wave."""

DONOR_LABELS = (2, 7, 10, 11, 12)
"""Strips that hold ventricular beats for certain."""

_LABELS = np.array([0, 1, 2, 9, 0])

SURE = 0.95
"""Probability, the strip's label being true, from which a beat may be set into other strips."""

CLEAR = 0.9
"""A donor is less like its strip's reference than this: what looks ordinary teaches nothing but doubt."""

TURNED = 4
"""In a plan: an ordinary beat with another patient's ordinary QRS."""


class Plan(NamedTuple):
    """Where ventricular beats go on one strip, and when."""

    rr: NDArray[np.float64]
    symbol: NDArray[np.int64]  # 0 N, 2 V, 3 F of each beat, 4 an ordinary one with its axis turned


class Transplanted(NamedTuple):
    """Strips with beats set in; no strip of the given ones is among them.

    Attributes
    ----------
    beats : CutBeats
        Patients keep the numbers of the given beats.
    known : int64 (n,)
        Label ids: 0, 2 or 9 (F).
    source : int64 (s,)
        The strip whose rhythm each began with.
    donor : int64 (s,)
        Number of the patient who gave the ventricular beats.
    """

    beats: CutBeats
    known: NDArray[np.int64]
    source: NDArray[np.int64]
    donor: NDArray[np.int64]


def _alone(rr: NDArray[np.float64], rng: np.random.Generator) -> Plan:
    """One to four ectopics, most of them early and with a compensatory pause."""
    rr, symbol = rr.copy(), np.zeros(len(rr) + 1, dtype=np.int64)
    for i in rng.choice(len(rr), size=min(int(rng.integers(1, 5)), len(rr)), replace=False):
        if symbol[i] or (i + 2 < len(symbol) and symbol[i + 2]):
            continue
        factor = rng.uniform(0.5, 0.9) if rng.random() < 0.85 else rng.uniform(0.9, 1.05)
        usual, symbol[i + 1] = rr[i], 2
        rr[i] = usual * factor
        if i + 1 < len(rr):
            rr[i + 1] = usual * ((2 - factor) if rng.random() < 0.7 else rng.uniform(1.0, 1.3))
    return Plan(rr, symbol)


def _bigeminy(rr: NDArray[np.float64], rng: np.random.Generator) -> Plan:
    symbol = np.zeros(len(rr) + 1, dtype=np.int64)
    every = int(rng.integers(2, 4))
    symbol[int(rng.integers(1, every + 1)) :: every] = 2
    factor, rr = rng.uniform(0.55, 0.85), rr.copy()
    before = symbol[1:] == 2
    after = symbol[:-1] == 2
    rr[before] *= factor
    rr[after & ~before] *= 2 - factor
    return Plan(rr, symbol)


def _run(rr: NDArray[np.float64], rng: np.random.Generator) -> Plan:
    """A couplet up to a run of half the strip."""
    rr, symbol = rr.copy(), np.zeros(len(rr) + 1, dtype=np.int64)
    length = int(rng.integers(2, max(3, len(rr) // 2 + 1)))
    first = int(rng.integers(0, max(1, len(rr) - length)))
    symbol[first + 1 : first + 1 + length] = 2
    rr[first : first + length] *= rng.uniform(0.45, 0.95) * rng.uniform(0.94, 1.06, length)
    if first + length < len(rr):
        rr[first + length] *= rng.uniform(1.0, 1.5)
    return Plan(rr, symbol)


def _throughout(rr: NDArray[np.float64], rng: np.random.Generator) -> Plan:
    """An idioventricular rhythm or a tachycardia that fills the strip, or all but its ends."""
    symbol = np.full(len(rr) + 1, 2, dtype=np.int64)
    if rng.random() < 0.4:
        symbol[: int(rng.integers(1, 4))] = 0
    rr = np.median(rr) * rng.uniform(0.4, 1.4) * rng.uniform(0.97, 1.03, len(rr))
    return Plan(rr, symbol)


def _fusion(rr: NDArray[np.float64], rng: np.random.Generator) -> Plan:
    """Beats on time, or a little before it, that are half ordinary; now and then whole ectopics beside them."""
    rr, symbol = rr.copy(), np.zeros(len(rr) + 1, dtype=np.int64)
    for i in rng.choice(len(rr), size=min(int(rng.integers(1, 5)), len(rr)), replace=False):
        symbol[i + 1] = 2 if rng.random() < 0.2 else 3
        factor = rng.uniform(0.6, 0.85) if symbol[i + 1] == 2 else rng.uniform(0.88, 1.02)
        if i + 1 < len(rr):
            rr[i + 1] += rr[i] * (1 - factor)
        rr[i] *= factor
    return Plan(rr, symbol)


def _turned(rr: NDArray[np.float64], rng: np.random.Generator) -> Plan:
    """The patient has turned: all beats, or all up to or from some beat on, and nothing is early."""
    symbol = np.full(len(rr) + 1, TURNED, dtype=np.int64)
    if rng.random() < 0.4:
        at = int(rng.integers(2, len(symbol) - 1))
        symbol[slice(at, None) if rng.random() < 0.5 else slice(None, at)] = 0
    return Plan(rr * rng.uniform(0.85, 1.15), symbol)


KINDS = ((0.3, _alone), (0.12, _bigeminy), (0.22, _run), (0.1, _throughout), (0.12, _fusion), (0.14, _turned))
"""Share of the strips that get each plan."""


def find_donors(
    beats: CutBeats,
    labels: NDArray[np.integer],
    ventricular: NDArray[np.floating],
    qrs_like_strip: NDArray[np.floating],
) -> NDArray[np.int64]:
    """Beats that are ventricular for certain.

    Parameters
    ----------
    beats : CutBeats
    labels : int (s,)
    ventricular : float (n,)
        Probability of V of each beat, the label of its strip being true.
    qrs_like_strip : float (n,)

    Returns
    -------
    int64
        Rows of ``beats``.
    """
    said = np.isin(labels, DONOR_LABELS)[beats.strip]
    whole = beats.inside.min(axis=1) > 0.9
    return np.flatnonzero(said & whole & (ventricular > SURE) & (qrs_like_strip < CLEAR))


def transplanted(
    beats: CutBeats,
    references: References,
    labels: NDArray[np.integer],
    donors: NDArray[np.integer],
    share: float = 0.15,
    seed: int = 42,
) -> Transplanted | None:
    """Copies of ordinary strips with donors' beats set in.

    Parameters
    ----------
    beats : CutBeats
    references : References
    labels : int (s,)
        Labels of the strips; those of ordinary beats are copied.
    donors : int
        Rows of ``beats`` from :func:`find_donors`.
    share : float
        Copies for each ordinary strip.
    seed : int

    Returns
    -------
    Transplanted or None
        None where there is no donor or no ordinary strip.
    """
    rng = np.random.default_rng(seed)
    bounds = beats.bounds
    plain = np.flatnonzero(np.isin(labels, PLAIN_LABELS) & (np.diff(bounds) >= 5))
    rows = rng.choice(plain, size=round(share * len(plain)), replace=False) if len(plain) else plain
    if not len(rows) or not len(donors):
        return None
    height = np.ptp(references.patient[:, QRS], axis=1) + np.float32(1e-6)
    donor_patient = beats.patient[beats.strip[donors]]
    # every patient gives as often as any other, however many ectopics she has
    givers = rng.choice(np.unique(donor_patient), size=len(rows))
    chances = np.array([chance for chance, _ in KINDS])
    kinds = rng.choice(len(KINDS), size=len(rows), p=chances / chances.sum())
    ordinary = np.flatnonzero((references.strip_support > 0.5) & np.isin(labels, PLAIN_LABELS))
    times, waves, strip, inside, known = [], [], [], [], []
    for number, (row, giver, kind) in enumerate(zip(rows.tolist(), givers.tolist(), kinds.tolist(), strict=True)):
        span = slice(bounds[row], bounds[row + 1])
        old, host = beats.r_sec[span], beats.patient[row]
        plan = KINDS[kind][1](np.diff(old), rng)
        own = donors[donor_patient == giver]
        # beats of one focus look alike: those of one strip of the donor
        focus = own[beats.strip[own] == beats.strip[rng.choice(own)]]
        new = beats.waves[span].copy()
        scale = height[host] / height[giver] * rng.choice((-1.0, 1.0)) * np.exp(rng.normal(0, 0.25))
        if (plan.symbol == TURNED).any():
            other = int(rng.choice(ordinary)) if len(ordinary) else row
            turned = references.strip[other] * (height[host] / height[beats.patient[other]] * rng.choice((-1.0, 1.0)))
            new[plan.symbol == TURNED] += _BETWEEN * (turned - references.strip[row])
        for place in np.flatnonzero((plan.symbol == 2) | (plan.symbol == 3)):
            given = beats.waves[rng.choice(focus)] * np.float32(scale)
            part = 1.0 if plan.symbol[place] == 2 else rng.uniform(0.35, 0.7)
            new[place] = part * given + (1 - part) * new[place]
        times.append(old[0] + np.concatenate([[0.0], np.cumsum(plan.rr)]))
        waves.append(new)
        strip.append(np.full(len(old), number))
        inside.append(beats.inside[span])
        known.append(_LABELS[plan.symbol])
    more = CutBeats(
        np.concatenate(waves),
        np.concatenate(strip),
        np.concatenate(times),
        np.concatenate(inside),
        beats.patient[rows],
    )
    return Transplanted(more, np.concatenate(known), rows, givers)
