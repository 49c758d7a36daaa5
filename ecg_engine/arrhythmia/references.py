"""What a patient's ordinary beat looks like: a reference for each strip and for each patient (issue 4, item 3).

A beat is judged by how it differs from the ordinary beats around it, not by what it is: electrode, gain, polarity and
recorder are then the same on both sides. The ordinary morphology of a strip is the one with the most support by other
beats, where late and narrow beats speak louder than early and wide ones: in bigeminy every second beat is ectopic, and
counting alone would toss a coin. Of the strips' references the most supported one is the patient's, and it in turn has
a say in the choice on each strip.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.signal import butter, sosfiltfilt

from ecg_engine.conditioning import blocks, stacked
from ecg_engine.spread import evenly

GRID_HZ = 250.0
"""Beats are cut on this grid whatever the strip's rate."""

BEFORE, AFTER = 75, 112
"""Grid samples before (0.30 s) and after (0.45 s) the R-peak."""

LENGTH = BEFORE + 1 + AFTER

QRS = slice(BEFORE - 28, BEFORE + 41)
"""-112 to +160 ms: holds a wide ventricular complex too."""

MAX_SHIFT = 9
"""Grid samples (36 ms) that two beats may be shifted against each other: the R-peak of a wide beat is a matter of
taste."""

ALIKE = 0.9
"""Correlation over the QRS from which two beats count as one morphology."""

MAX_STRIPS = 300
"""Strips of a patient that vote for the patient's reference; of more, evenly spaced ones do."""

_REACH_SEC, _MOST_SEC = 0.1, 0.07
"""How far around an R-peak the middle of its QRS is sought, and how far it may lie from it."""

LOW_HZ, HIGH_HZ = 0.5, 40.0
"""Band of the filter that beats are cut from."""

_PAD_SEC = 2.0


@dataclass(frozen=True)
class CutBeats:
    """Beats of strips on one time grid.

    Attributes
    ----------
    waves : float32 (n, LENGTH)
        Filtered, in the units of the file, the middle of the QRS at ``BEFORE``; 0 where the window leaves the strip.
    strip : int64 (n,)
        Row of the strip; ascending, in order of time within a strip.
    r_sec : float64 (n,)
        Time of the R-peak from the start of the strip.
    inside : float32 (n, 2)
        Share of the window before and after the R-peak that lies on the strip.
    patient : int64 (s,)
        Number of the patient of each strip; strips without a patient are each their own.
    """

    waves: NDArray[np.float32]
    strip: NDArray[np.int64]
    r_sec: NDArray[np.float64]
    inside: NDArray[np.float32]
    patient: NDArray[np.int64]

    def __len__(self) -> int:
        return len(self.strip)

    @property
    def bounds(self) -> NDArray[np.int64]:
        """Beats of strip ``i`` are ``bounds[i]:bounds[i + 1]``; int64 (s + 1,)."""
        return np.searchsorted(self.strip, np.arange(len(self.patient) + 1))


@dataclass(frozen=True)
class References:
    """Ordinary beats.

    Attributes
    ----------
    strip : float32 (s, LENGTH)
        Of each strip; zeros where there is no beat.
    strip_support : float32 (s,)
        Share of the strip's beats that look like it.
    patient : float32 (p, LENGTH)
    """

    strip: NDArray[np.float32]
    strip_support: NDArray[np.float32]
    patient: NDArray[np.float32]

    def of_strips(self, rows: NDArray[np.integer]) -> References:
        """References for strips that are copies of these rows."""
        return References(self.strip[rows], self.strip_support[rows], self.patient)


def patient_numbers(patient_id: NDArray[Any]) -> NDArray[np.int64]:
    """Number patients from 0 in order of appearance; every strip without a patient (-1) is its own; int64 (s,)."""
    seen: dict[object, int] = {}
    keys = [("strip", row) if one == -1 else ("patient", one) for row, one in enumerate(patient_id.tolist())]
    return np.array([seen.setdefault(key, len(seen)) for key in keys], dtype=np.int64)


def cut_beats(
    samples: NDArray[np.float32],
    offsets: NDArray[np.int64],
    fs: float,
    peaks: list[NDArray[np.int64]],
    patient_id: NDArray[Any],
) -> CutBeats:
    """Filter strips and cut their beats on the grid.

    Parameters
    ----------
    samples : float32 (total,)
        Strips end to end, as read.
    offsets : int64 (s + 1,)
    fs : float
        Hz.
    peaks : list of int64 arrays
        R-peaks of each strip in samples, ascending. None is left out, however near to an edge.
    patient_id : object (s,)
        -1 where not known.

    Returns
    -------
    CutBeats
    """
    counts = np.array([len(one) for one in peaks], dtype=np.int64)
    strip = np.repeat(np.arange(len(peaks)), counts)
    r = np.concatenate([*peaks, np.zeros(0)]).astype(np.float64)
    waves = np.zeros((len(strip), LENGTH), dtype=np.float32)
    first = np.concatenate([[0], np.cumsum(counts)])
    ticks = np.arange(-BEFORE, AFTER + 1) / GRID_HZ
    sos = butter(2, [LOW_HZ, min(HIGH_HZ, 0.45 * fs)], btype="bandpass", fs=fs, output="sos")
    for rows in blocks(offsets):
        block = stacked(samples, offsets, rows).astype(np.float64)
        block = block - np.median(block, axis=1, keepdims=True)
        length = block.shape[1]
        filtered = sosfiltfilt(sos, block, axis=1, padtype="even", padlen=min(int(_PAD_SEC * fs), length - 1))
        beats = np.concatenate([np.arange(first[row], first[row + 1]) for row in rows])
        line = np.repeat(np.arange(len(rows)), counts[rows])
        place = _centred(filtered, line, r[beats], fs)[:, None] + ticks * fs
        outside = (place < 0) | (place > length - 1)
        left = np.clip(place.astype(np.int64), 0, length - 2)
        part = np.clip(place - left, 0.0, 1.0)
        got = filtered[line[:, None], left] * (1 - part) + filtered[line[:, None], left + 1] * part
        got[outside] = 0.0
        waves[beats] = got
    lengths = np.diff(offsets)[strip]
    before = np.clip(r / fs * GRID_HZ / BEFORE, 0, 1)
    after = np.clip((lengths - 1 - r) / fs * GRID_HZ / AFTER, 0, 1)
    inside = np.stack([before, after], axis=1).astype(np.float32)
    return CutBeats(waves, strip, r / fs, inside, patient_numbers(patient_id))


def _centred(
    filtered: NDArray[np.float64], line: NDArray[np.int64], r: NDArray[np.float64], fs: float
) -> NDArray[np.float64]:
    """Move each R-peak to the middle of its QRS: where the steepness around it has its centre.

    A detector sits on the R of one strip and on the S of the next one when the two are about as tall; a beat would then
    be compared with one that is shifted. The centre depends neither on that choice nor on polarity.
    """
    reach, most = round(_REACH_SEC * fs), _MOST_SEC * fs
    steep = np.gradient(filtered, axis=1) ** 2
    offsets = np.arange(-reach, reach + 1)
    centre = r.copy()
    for _ in range(2):
        index = np.clip(np.rint(centre).astype(np.int64)[:, None] + offsets, 0, filtered.shape[1] - 1)
        weight = steep[line[:, None], index]
        move = (weight * (index - centre[:, None])).sum(axis=1) / (weight.sum(axis=1) + 1e-12)
        centre = np.clip(centre + move, r - most, r + most)
    return centre


def activity_width(waves: NDArray[np.float32]) -> NDArray[np.float32]:
    """Seconds that hold the middle 80 % of the steepness around the R-peak: a QRS width without on- and offsets.

    Parameters
    ----------
    waves : float32 (n, LENGTH)

    Returns
    -------
    float32 (n,)
        0 for a flat beat.
    """
    steep = np.diff(waves[:, BEFORE - 38 : BEFORE + 48], axis=1) ** 2
    total = np.cumsum(steep, axis=1)
    share = total / (total[:, -1:] + 1e-12)
    width = np.sum((share > 0.1) & (share < 0.9), axis=1)
    return (width / GRID_HZ).astype(np.float32)


def unit_qrs(waves: NDArray[np.float32], shift: int = 0) -> NDArray[np.float32]:
    """QRS part, shifted, without its mean and of length 1; float32 (n, 69)."""
    part = waves[:, QRS.start + shift : QRS.stop + shift]
    part = part - part.mean(axis=1, keepdims=True)
    return part / (np.linalg.norm(part, axis=1, keepdims=True) + np.float32(1e-6))


def correlations(waves: NDArray[np.float32], others: NDArray[np.float32]) -> NDArray[np.float32]:
    """Largest correlation of QRS complexes over all shifts up to ``MAX_SHIFT``.

    Parameters
    ----------
    waves : float32 (n, LENGTH)
    others : float32 (m, LENGTH)

    Returns
    -------
    float32 (n, m)
    """
    still = unit_qrs(others).T
    best = np.full((len(waves), len(others)), -1.0, dtype=np.float32)
    for shift in range(-MAX_SHIFT, MAX_SHIFT + 1, 3):
        np.maximum(best, unit_qrs(waves, shift) @ still, out=best)
    return best


def best_shift(waves: NDArray[np.float32], target: NDArray[np.float32]) -> NDArray[np.int64]:
    """Shift of each beat's QRS that suits its own target best; int64 (n,), for :func:`shifted`."""
    still = unit_qrs(target)
    shifts = np.arange(-MAX_SHIFT, MAX_SHIFT + 1)
    values = np.stack([np.einsum("ij,ij->i", unit_qrs(waves, int(shift)), still) for shift in shifts], axis=1)
    # among equals the smaller shift
    return shifts[np.argmax(values - 1e-4 * np.abs(shifts), axis=1)]


def shifted(waves: NDArray[np.float32], shift: NDArray[np.int64]) -> NDArray[np.float32]:
    """Each beat moved by its shift, the ends repeated."""
    index = np.clip(np.arange(LENGTH)[None, :] + shift[:, None], 0, LENGTH - 1)
    return np.take_along_axis(waves, index, axis=1)


def find_references(beats: CutBeats, patient: NDArray[np.float32] | None = None) -> References:
    """Reference of each strip and each patient.

    Parameters
    ----------
    beats : CutBeats
    patient : float32 (p, LENGTH), optional
        References of the patients where they are known already.

    Returns
    -------
    References
    """
    count = len(beats.patient)
    bounds = beats.bounds
    voice = _voice(beats, bounds)
    choices: list[tuple[NDArray[np.float32], NDArray[np.float32]] | None] = []
    strip, support = np.zeros((count, LENGTH), dtype=np.float32), np.zeros(count, dtype=np.float32)
    for row in range(count):
        part = slice(bounds[row], bounds[row + 1])
        alike = correlations(beats.waves[part], beats.waves[part]) if part.stop > part.start else None
        choices.append(None if alike is None else (alike, _support(alike, voice[part])))
        if choices[-1] is not None:
            strip[row], support[row] = _typical(beats.waves[part], *choices[-1])
    given = patient is not None
    if patient is None:
        patient = np.zeros((int(beats.patient.max(initial=-1)) + 1, LENGTH), dtype=np.float32)
    order = np.argsort(beats.patient, kind="stable")
    for rows in np.split(order, np.flatnonzero(np.diff(beats.patient[order])) + 1) if count else []:
        seen = rows[support[rows] > 0]
        if not len(seen):
            continue
        if not given:
            voters = seen[evenly(len(seen), MAX_STRIPS)]
            alike = correlations(strip[voters], strip[voters])
            patient[beats.patient[rows[0]]], _ = _typical(strip[voters], alike, _support(alike, support[voters]))
            if len(seen) == 1:
                continue
        own = patient[beats.patient[rows[0]]][None]
        for row in seen:
            part = slice(bounds[row], bounds[row + 1])
            like = np.maximum(correlations(beats.waves[part], own)[:, 0], 0.0)
            choice = choices[row]
            assert choice is not None
            strip[row], support[row] = _typical(beats.waves[part], choice[0], choice[1] * (0.25 + like))
    return References(strip, support, patient)


def _voice(beats: CutBeats, bounds: NDArray[np.int64]) -> NDArray[np.float32]:
    """How much each beat has to say about what is ordinary: late, narrow and whole ones more."""
    rr = np.full(len(beats), np.nan)
    rr[1:] = np.where(np.diff(beats.strip) == 0, np.diff(beats.r_sec), np.nan)
    width = activity_width(beats.waves)
    voice = np.ones(len(beats), dtype=np.float32)
    for row in range(len(beats.patient)):
        part = slice(bounds[row], bounds[row + 1])
        if part.stop - part.start < 3:
            continue
        late = rr[part] / np.nanmedian(rr[part])
        late = np.where(np.isnan(late), 1.0, np.clip(late, 0.3, 1.2))
        narrow = np.clip(np.median(width[part]) / np.maximum(width[part], 1e-3), 0.3, 1.2)
        whole = beats.inside[part].min(axis=1) > 0.4
        voice[part] = late * narrow * np.where(whole, 1.0, 0.2)
    return voice


def _support(alike: NDArray[np.float32], voice: NDArray[np.float32]) -> NDArray[np.float32]:
    # a beat supports what it looks like, the more the nearer it comes, from a correlation of .8 on
    near = np.clip((alike - 0.8) / 0.15, 0, 1)
    return (near @ voice) * np.sqrt(voice)


def _typical(
    waves: NDArray[np.float32], alike: NDArray[np.float32], support: NDArray[np.float32]
) -> tuple[NDArray[np.float32], float]:
    """Median of the beats that look like the best supported one, and their share."""
    best = int(np.argmax(support))
    members = np.flatnonzero(alike[best] >= ALIKE)
    if best not in members:
        members = np.array([best])
    target = np.broadcast_to(waves[best], (len(members), LENGTH))
    aligned = shifted(waves[members], best_shift(waves[members], target))
    return np.median(aligned, axis=0).astype(np.float32), len(members) / len(waves)
