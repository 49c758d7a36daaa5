"""How ventricular each beat looks, by its time and its shape against what is usual for its strip and its patient.

A yardstick that needs no model: nine features in a logistic regression, fitted on the true beats of MIT-BIH DS1, with
beats of CinC 2017 that are not ventricular beside them. It serves to say which strips and which flagged beats deserve a
second look; it labels nothing. On patients of DS1 that it was not fitted to (22, one left out at a time) it finds 89 %
of the ventricular beats from 0.15 on (75 % of what it names are), 68 % from 0.5 (88 %) and 58 % from 0.7 (92 %):
``python -m bench.suspects``, which also prints the constants anew.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from ecg_engine.preprocess import Run
from ecg_engine.prototypes import median_wave
from ecg_engine.tables import NO_PATIENT

QRS_SEC = (-0.12, 0.20)
"""The part of a beat whose shape is compared: from before a wide QRS to its end; the neighbours lie outside."""
WIDTH_SEC = (-0.15, 0.20)
EDGE_SEC = 0.045
"""Length of the stretches before and after the QRS between which the level may shift."""
SHIFT_SEC = 0.03
"""How far the R-peak may have been put aside when shapes are compared."""
REFERENCE_BEATS = 400
"""Beats that a patient's usual shape is worked out from, spread evenly over what there is."""

USUAL = 0.80
"""From this cosine on a beat has its patient's usual shape."""

FEATURES = ("early", "pause", "unlike", "unlike, up to 0.3", "unlike, beyond 0.6", "wide", "early and unlike",
            "smooth", "shifted")  # fmt: skip
WEIGHTS = np.array([3.823, 2.571, 4.617, 10.542, -7.752, 0.584, -0.581, 2.589, -1.910])
INTERCEPT = -5.652


@dataclass(frozen=True)
class Ectopy:
    """What speaks for an ectopic in each beat of a run.

    Attributes
    ----------
    early : float64 (n,)
        1 - RR before / the strip's median RR: 0.3 is 30 % early. 0 for the first beat of a strip.
    pause : float64 (n,)
        RR after / the strip's median RR, less 1. 0 for the last beat of a strip.
    alike : float64 (n,)
        Cosine with the patient's usual beat around the QRS, at the best shift; a strip without a patient is its own.
    wide : float64 (n,)
        Area over height around the QRS, relative to the strip's median: 1.5 is half as wide again.
    smooth : float64 (n,)
        Bends (second differences) over height, relative to the strip's median: log of how many times less there are.
        A ventricular beat is smoother than its neighbours, a spoilt one is not.
    shifted : float64 (n,)
        How far the level after the QRS lies from that before it, as a share of the height: wander, or an electrode.
    """

    early: NDArray[np.float64]
    pause: NDArray[np.float64]
    alike: NDArray[np.float64]
    wide: NDArray[np.float64]
    smooth: NDArray[np.float64]
    shifted: NDArray[np.float64]

    @cached_property
    def features(self) -> NDArray[np.float64]:
        """The features of the regression, float64 (n, 9), in the order of ``FEATURES``; extremes are held in."""
        soon, late = np.clip(self.early, -0.5, 0.6), np.clip(self.pause, -0.5, 1.0)
        unlike = np.clip(1.0 - self.alike, 0.0, 1.2)
        width = np.clip(np.log(np.maximum(self.wide, 1e-6)), -1.0, 1.0)
        return np.stack(
            [
                *(soon, late, unlike, np.minimum(unlike, 0.3), np.clip(unlike - 0.6, 0.0, 0.6), width),
                *(np.maximum(soon, 0.0) * unlike, np.clip(self.smooth, -1.0, 1.0), np.clip(self.shifted, 0.0, 1.0)),
            ],
            axis=1,
        )

    @cached_property
    def logit(self) -> NDArray[np.float64]:
        """Log odds that a beat is ventricular, by the constants above."""
        return self.features @ WEIGHTS + INTERCEPT

    @cached_property
    def probability(self) -> NDArray[np.float64]:
        """That a beat is ventricular."""
        return 1.0 / (1.0 + np.exp(-self.logit))


def ectopy(run: Run) -> Ectopy:
    """Measure every beat of a run. Worth keeping: 47,000 beats take some 0.2 s.

    Parameters
    ----------
    run : Run
        Its noise flags keep flagged beats out of the patients' usual shapes.
    """
    strip = run.strip_of_beat
    table = run.metadata
    place = table["beat_index_in_record"].to_numpy(dtype=np.int64)
    before, after = (table[name].to_numpy(dtype=float) for name in ("rr_prev_sec", "rr_next_sec"))
    n_strips = int(strip.max(initial=-1)) + 1
    is_last = np.append(strip[1:] != strip[:-1], True)
    usual = strip_medians(np.where(place == 0, np.nan, before), strip, n_strips)[strip]
    usual = np.where(usual > 0, usual, np.nan)
    early = np.nan_to_num(np.where(place == 0, 0.0, 1.0 - before / usual))
    pause = np.nan_to_num(np.where(is_last, 0.0, after / usual - 1.0))
    beats = np.asarray(run.beats)
    peak = round(run.config.pre_sec * run.fs)
    flags = np.asarray(run.noise_flags) == 1
    alike = _alike(beats, peak, run.fs, _groups(table["patient_id"].to_numpy(dtype=object), strip), flags)
    width = _width(beats, peak, run.fs)
    wide = width / np.maximum(strip_medians(width, strip, n_strips)[strip], 1e-6)
    bends, shifted = _bends_and_shift(beats, peak, run.fs)
    smooth = np.log(np.maximum(strip_medians(bends, strip, n_strips)[strip], 1e-6) / np.maximum(bends, 1e-6))
    return Ectopy(early, pause, alike, wide, smooth, shifted)


def strip_medians(values: NDArray[np.float64], strip: NDArray[np.int64], n_strips: int) -> NDArray[np.float64]:
    """Median of the values of each strip's beats, float64 (n_strips,); NaN is left out, NaN where nothing is left."""
    known = np.flatnonzero(~np.isnan(values))
    order = known[np.lexsort((values[known], strip[known]))]
    count = np.bincount(strip[order], minlength=n_strips)
    start = np.cumsum(count) - count
    found = np.full(n_strips, np.nan)
    some = count > 0
    ranked = values[order]
    low, high = start[some] + (count[some] - 1) // 2, start[some] + count[some] // 2
    found[some] = (ranked[low] + ranked[high]) / 2.0
    return found


def _groups(patients: NDArray[np.object_], strip: NDArray[np.int64]) -> NDArray[np.int64]:
    """A number for each beat's patient; strips without one are each their own."""
    first = np.flatnonzero(np.append(True, strip[1:] != strip[:-1])) if len(strip) else np.zeros(0, dtype=np.int64)
    numbers: dict[tuple[bool, object], int] = {}
    of_strip = np.zeros(int(strip.max(initial=-1)) + 1, dtype=np.int64)
    for place, who in zip(strip[first].tolist(), patients[first].tolist(), strict=True):
        known = who != NO_PATIENT
        of_strip[place] = numbers.setdefault((known, who if known else place), len(numbers))
    return of_strip[strip]


def _alike(
    beats: NDArray[np.float32], peak: int, fs: float, group: NDArray[np.int64], flags: NDArray[np.bool_]
) -> NDArray[np.float64]:
    """Cosine of each beat with its group's usual beat."""
    start, end = _span(QRS_SEC, peak, fs, beats.shape[1])
    shapes = _unit(beats[:, start:end])
    reach = max(1, round(SHIFT_SEC * fs))
    shifts = [by for by in range(-reach, reach + 1, 2) if start + by >= 0 and end + by <= beats.shape[1]] or [0]
    found = np.zeros(len(beats))
    order = np.argsort(group, kind="stable")
    for members in np.split(order, np.flatnonzero(np.diff(group[order])) + 1):
        usable = members[~flags[members]]
        usable = usable if len(usable) >= 3 else members
        usable = usable[:: -(-len(usable) // REFERENCE_BEATS)]
        # Two passes: the half most like the median of all, so that ectopics do not blur it.
        near = shapes[usable] @ _unit(median_wave(shapes[usable]))
        wave = median_wave(beats[usable[near >= np.median(near)]])
        references = np.stack([_unit(wave[start + by : end + by]) for by in shifts])
        found[members] = (shapes[members] @ references.T).max(axis=1)
    return found


def _width(beats: NDArray[np.float32], peak: int, fs: float) -> NDArray[np.float64]:
    """Area over height around the QRS, in seconds."""
    start, end = _span(WIDTH_SEC, peak, fs, beats.shape[1])
    part = beats[:, start:end]
    height = np.abs(part - np.median(part, axis=1, keepdims=True))
    return np.asarray(height.sum(axis=1) / (height.max(axis=1) + 1e-6) / fs, dtype=np.float64)


def _bends_and_shift(
    beats: NDArray[np.float32], peak: int, fs: float
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Root mean square of second differences, and the step of the level over the QRS; both over the height."""
    start, end = _span(QRS_SEC, peak, fs, beats.shape[1])
    height = np.ptp(beats[:, start:end], axis=1) + 1e-6
    bend = np.diff(beats, 2, axis=1)
    bends = np.sqrt(np.einsum("ij,ij->i", bend, bend) / max(bend.shape[1], 1)) / height
    reach, inside = round(2 / 3 * EDGE_SEC * fs), round(EDGE_SEC / 3 * fs)
    before = beats[:, max(0, start - reach) : start + inside].mean(axis=1)
    after = beats[:, end - inside : end + reach].mean(axis=1)
    return bends.astype(np.float64), np.asarray(np.abs(after - before) / height, dtype=np.float64)


def _span(seconds: tuple[float, float], peak: int, fs: float, length: int) -> tuple[int, int]:
    return max(0, peak + int(seconds[0] * fs)), min(length, peak + int(seconds[1] * fs))


def _unit(x: NDArray[np.float32]) -> NDArray[np.float32]:
    x = x - x.mean(axis=-1, keepdims=True)
    return x / (np.linalg.norm(x, axis=-1, keepdims=True) + np.float32(1e-6))
