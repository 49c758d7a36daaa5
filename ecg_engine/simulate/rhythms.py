"""When a simulated heart beats, and from where: one plan of beats for every label."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import numpy as np

from ecg_engine.simulate.patients import Patient

LEAD_IN = 1.6
"""Seconds of rhythm before and after the strip, so that it does not start with a first beat."""


class PlannedBeat(NamedTuple):
    """R-peak time in s, MIT-BIH symbol (N, A, V, E, F) and, for ventricular beats, the focus (0 or 1)."""

    time: float
    symbol: str
    focus: int = 0


class Rhythm(NamedTuple):
    """A plan: beats in order of time, what the atria do between them, and whether the ventricles fibrillate.

    ``atria`` is ``sinus`` (P waves), ``fibrillation`` (f-waves), ``flutter`` (saw teeth) or ``none``;
    ``atrial_hz`` is the rate of f-waves and saw teeth.
    """

    beats: tuple[PlannedBeat, ...]
    atria: str = "sinus"
    atrial_hz: float = 0.0
    fibrillates: bool = False


Rng = np.random.Generator


def _sinus_times(rng: Rng, patient: Patient, rr: float, duration: float) -> list[float]:
    times = [-LEAD_IN + rng.uniform(0, rr)]
    phase = rng.uniform(0, 2 * np.pi)
    while times[-1] < duration + LEAD_IN:
        breath = np.sin(2 * np.pi * patient.respiration_hz * times[-1] + phase)
        times.append(times[-1] + rr * (1 + patient.variability * (0.8 * breath + 0.5 * rng.standard_normal())))
    return times


def _normal_rr(rng: Rng, patient: Patient) -> float:
    return float(np.clip(patient.resting_rr * rng.uniform(0.94, 1.06), 0.64, 0.97))


def _places(rng: Rng, times: list[float], duration: float, count: int, apart: int) -> list[int]:
    """Beats of the sinus rhythm after which an ectopic comes: well inside the strip, at least ``apart`` apart."""
    inside = [i for i, time in enumerate(times[:-1]) if 0.6 < time < duration - 1.9]
    chosen: list[int] = []
    for i in rng.permutation(inside):
        if len(chosen) < count and all(abs(int(i) - other) >= apart for other in chosen):
            chosen.append(int(i))
    return sorted(chosen)


def _sinus(low: float, high: float) -> Callable[[Rng, Patient, float], Rhythm]:
    def plan(rng: Rng, patient: Patient, duration: float) -> Rhythm:
        rr = _normal_rr(rng, patient) if low == high else 60.0 / rng.uniform(low, high)
        return Rhythm(tuple(PlannedBeat(t, "N") for t in _sinus_times(rng, patient, rr, duration)))

    return plan


def _pac(rng: Rng, patient: Patient, duration: float) -> Rhythm:
    """Premature atrial beats reset the sinus: the pause after them is shorter than a compensatory one."""
    rr = _normal_rr(rng, patient)
    times = _sinus_times(rng, patient, rr, duration)
    early = set(_places(rng, times, duration, int(rng.integers(1, 4)), 3))
    beats: list[PlannedBeat] = []
    shift = 0.0
    for i, time in enumerate(times):
        beats.append(PlannedBeat(time + shift, "N"))
        if i in early:
            premature = time + shift + rr * rng.uniform(0.56, 0.76)
            beats.append(PlannedBeat(premature, "A"))
            shift += premature + rr * rng.uniform(1.04, 1.2) - (times[i + 1] + shift)
    return Rhythm(tuple(beats))


def _ventricular(
    rng: Rng,
    patient: Patient,
    duration: float,
    runs: list[tuple[int, int]],
    *,
    rate: tuple[float, float] = (0.42, 0.56),
) -> Rhythm:
    """Sinus rhythm with runs of ventricular beats: each run is (length, focus).

    The sinus goes on under a run, so the pause after a single premature beat is fully compensatory.
    """
    rr = _normal_rr(rng, patient)
    times = _sinus_times(rng, patient, rr, duration)
    longest = max(length for length, _ in runs)
    places = _places(rng, times, duration - 0.45 * (longest - 1), len(runs), 3 + longest // 2)
    inside = dict(zip(places, runs, strict=False))
    beats: list[PlannedBeat] = []
    quiet_until = -np.inf
    for i, time in enumerate(times):
        if time < quiet_until:
            continue
        beats.append(PlannedBeat(time, "N"))
        if i not in inside:
            continue
        length, focus = inside[i]
        at = time + rr * rng.uniform(0.52, 0.68)
        step = rng.uniform(*rate)
        for _ in range(length):
            beats.append(PlannedBeat(at, "V", focus))
            at += step * rng.uniform(0.95, 1.05)
        # The sinus beat that the run swallows is not conducted; the next one comes when it is due.
        quiet_until = max(at - step + 0.62 * rr, time + 1.5 * rr)
    return Rhythm(tuple(beats))


def _pvc(rng: Rng, patient: Patient, duration: float) -> Rhythm:
    focus = int(rng.random() < 0.15)
    return _ventricular(rng, patient, duration, [(1, focus)] * int(rng.integers(1, 4)))


def _subtypes(rng: Rng, patient: Patient, duration: float) -> Rhythm:
    return _ventricular(rng, patient, duration, [(1, 0), (1, 1)] + [(1, 0)] * int(rng.integers(0, 2)))


def _couplets(rng: Rng, patient: Patient, duration: float) -> Rhythm:
    return _ventricular(rng, patient, duration, [(2, 0)] + ([(1, 0)] if rng.random() < 0.5 else []))


def _triplets(rng: Rng, patient: Patient, duration: float) -> Rhythm:
    return _ventricular(rng, patient, duration, [(3, 0)])


def _vtach(rng: Rng, patient: Patient, duration: float) -> Rhythm:
    """A run of 5 to 12 beats in sinus rhythm, or, in four of ten strips, a sustained one."""
    step = 60.0 / rng.uniform(130, 190)
    if rng.random() < 0.6:
        return _ventricular(rng, patient, duration, [(int(rng.integers(5, 13)), 0)], rate=(step * 0.98, step * 1.02))
    times = np.arange(-LEAD_IN + rng.uniform(0, step), duration + LEAD_IN, step)
    times += rng.normal(0, 0.008, len(times))
    return Rhythm(tuple(PlannedBeat(float(t), "V", 0) for t in times), atria="none")


def _vfib(rng: Rng, patient: Patient, duration: float) -> Rhythm:
    return Rhythm((), atria="none", fibrillates=True)


def _afib(rng: Rng, patient: Patient, duration: float) -> Rhythm:
    """Irregularly irregular: intervals without memory, none shorter than the node's refractory time."""
    mean, spread = rng.uniform(0.48, 0.86), rng.uniform(0.17, 0.27)
    times = [-LEAD_IN]
    while times[-1] < duration + LEAD_IN:
        times.append(times[-1] + max(0.32, mean * float(rng.lognormal(-0.5 * spread**2, spread))))
    return Rhythm(tuple(PlannedBeat(t, "N") for t in times), atria="fibrillation", atrial_hz=rng.uniform(5.2, 7.6))


def _flutter(rng: Rng, patient: Patient, duration: float) -> Rhythm:
    """Saw teeth at 250 to 320 a minute, of which every second, third or fourth is conducted."""
    hz = rng.uniform(250, 320) / 60
    ratios = [(2,), (3,), (4,), (2, 4), (3, 4, 2)][int(rng.choice(5, p=[0.25, 0.2, 0.3, 0.15, 0.1]))]
    tooth = -round(LEAD_IN * hz)
    beats = []
    while tooth / hz < duration + LEAD_IN:
        beats.append(PlannedBeat(tooth / hz + 0.3 / hz + float(rng.normal(0, 0.004)), "N"))
        tooth += int(rng.choice(ratios))
    return Rhythm(tuple(beats), atria="flutter", atrial_hz=hz)


def _ectopic(rng: Rng, patient: Patient, duration: float) -> Rhythm:
    """Ventricular beats that are not premature: escapes after a pause, and fusion beats."""
    rr = _normal_rr(rng, patient)
    times = _sinus_times(rng, patient, rr, duration)
    late = set(_places(rng, times, duration, int(rng.integers(1, 3)), 4))
    fused = {i + 2 for i in late if rng.random() < 0.5}
    beats: list[PlannedBeat] = []
    shift = 0.0
    for i, time in enumerate(times):
        beats.append(PlannedBeat(time + shift, "F" if i in fused else "N"))
        if i in late:  # the sinus stops for a moment and the ventricle answers
            escape = time + shift + rr * rng.uniform(1.35, 1.55)
            beats.append(PlannedBeat(escape, "E"))
            shift += escape + rr * rng.uniform(1.0, 1.1) - (times[i + 1] + shift)
    return Rhythm(tuple(beats))


RHYTHMS: dict[int, Callable[[Rng, Patient, float], Rhythm]] = {
    -1: _sinus(0, 0),  # what is under the noise
    0: _sinus(0, 0),
    1: _pac,
    2: _pvc,
    3: _sinus(40, 57),
    4: _sinus(104, 145),
    5: _afib,
    6: _flutter,
    7: _vtach,
    8: _vfib,
    9: _ectopic,
    10: _couplets,
    11: _triplets,
    12: _subtypes,
}
"""The plan for every label that a file may give: (rng, patient, duration in s) to a :class:`Rhythm`."""
