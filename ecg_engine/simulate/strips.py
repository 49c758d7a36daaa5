"""From a rhythm and a patient to strips, to the table of a study and to its spreadsheet."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np
import numpy.typing as npt
import pandas as pd

from ecg_engine.errors import ConfigError
from ecg_engine.labels import FILE_LABELS, NOISE
from ecg_engine.simulate import noise
from ecg_engine.simulate.patients import Patient, add_waves, make_patient
from ecg_engine.simulate.rhythms import RHYTHMS, Rhythm

AAMI_OF_SYMBOL = {"N": "N", "A": "S", "V": "V", "E": "V", "F": "F"}
REFERENCE_RR = 0.8
"""RR interval, in s, at which a patient's P and T waves are described."""


class Simulated(NamedTuple):
    """Strips and their true beats.

    Attributes
    ----------
    strips : DataFrame
        ``Patient ID``, ``ECG Wave`` (comma-separated integers), ``Label``; one row a strip.
    beats : DataFrame
        ``source_row``, ``sample`` (of the R-peak, at ``fs``), ``symbol`` (MIT-BIH), ``aami`` (N, S, V, F).
    fs : float
        Sampling rate in Hz.
    units_per_mv : float
    """

    strips: pd.DataFrame
    beats: pd.DataFrame
    fs: float
    units_per_mv: float


def simulate_strips(
    *,
    n_per_label: int | Mapping[int, int] = 20,
    n_patients: int = 24,
    labels: Sequence[int] = FILE_LABELS,
    seed: int = 42,
    fs: float = 260.4,
    duration_sec: float = 10.0,
    units_per_mv: float = 200.0,
) -> Simulated:
    """Simulate strips of every label.

    A label other than Normal and Noise is seen in about a third of the patients (at least four of them), as
    in life, so that a split by patient finds every label on both sides.

    Parameters
    ----------
    n_per_label : int or mapping of label to int
        Strips of each label; a mapping takes the place of ``labels``.
    n_patients : int
    labels : sequence of int
        Label ids, -1 and 0 to 12.
    seed : int
        The same seed and settings give the same strips.
    fs : float
        Hz.
    duration_sec : float
        Length of a strip in s, at least 5.
    units_per_mv : float
        Gain of the integers.

    Raises
    ------
    ConfigError
        On a label that cannot be simulated, a count below 0, no patient, or a strip too short for its rhythm.

    Examples
    --------
    >>> made = simulate_strips(n_per_label={0: 2, 2: 1}, n_patients=2, seed=1)
    >>> len(made.strips), made.fs
    (3, 260.4)
    """
    counts = dict(n_per_label) if isinstance(n_per_label, Mapping) else dict.fromkeys(labels, n_per_label)
    for label, count in counts.items():
        if label not in RHYTHMS:
            raise ConfigError(f"label {label} cannot be simulated; the choices are {', '.join(map(str, RHYTHMS))}.")
        if count < 0:
            raise ConfigError(f"label {label} has {count} strips; the number must be 0 or more.")
    if n_patients < 1:
        raise ConfigError(f"n_patients is {n_patients}; it must be 1 or more.")
    if duration_sec < 5 or fs < 60:
        raise ConfigError(f"{duration_sec:g} s at {fs:g} Hz is too little; strips need 5 s and 60 Hz or more.")
    rng = np.random.default_rng(seed)
    patients = [make_patient(rng) for _ in range(n_patients)]
    rows, beats = [], []
    noises = 0
    for row, (patient, label) in enumerate(_allot(rng, counts, n_patients)):
        kind = ""
        if label == NOISE:
            kind = noise.KINDS[noises % len(noise.KINDS)]
            noises += 1
        rhythm = RHYTHMS[label](rng, patients[patient], duration_sec)
        signal, visible = render(rng, patients[patient], rhythm, fs=fs, duration_sec=duration_sec, spoilt=kind)
        units = np.rint(signal * units_per_mv + patients[patient].offset).astype(np.int64)
        rows.append((101 + patient, ",".join(map(str, units.tolist())), label))
        for beat in rhythm.beats:
            sample = round(beat.time * fs)
            if 0 <= sample < len(units) and visible[sample]:
                beats.append((row, sample, beat.symbol, AAMI_OF_SYMBOL[beat.symbol]))
    strips = pd.DataFrame(rows, columns=["Patient ID", "ECG Wave", "Label"])
    truth = pd.DataFrame(beats, columns=["source_row", "sample", "symbol", "aami"])
    return Simulated(strips, truth, fs, units_per_mv)


def _allot(rng: np.random.Generator, counts: Mapping[int, int], n_patients: int) -> list[tuple[int, int]]:
    """Deal the strips to patients: (patient, label), by patient, each patient's strips in random order."""
    load = np.zeros(n_patients, dtype=int)
    dealt: list[tuple[int, int]] = []
    # Rare findings first; normal and noisy strips then even out what each patient has.
    for label in sorted(counts, key=lambda label: label in (0, NOISE)):
        everyone = label in (0, NOISE)
        carriers = rng.permutation(n_patients)[: n_patients if everyone else max(4, n_patients // 3)]
        mine = np.zeros(n_patients, dtype=int)
        for _ in range(counts[label]):
            patient = int(min(carriers, key=lambda p: (0 if everyone else mine[p], load[p], rng.random())))
            load[patient] += 1
            mine[patient] += 1
            dealt.append((patient, label))
    order = rng.permutation(len(dealt))
    return sorted((dealt[i] for i in order), key=lambda item: item[0])


def render(
    rng: np.random.Generator,
    patient: Patient,
    rhythm: Rhythm,
    *,
    fs: float,
    duration_sec: float,
    spoilt: str = "",
) -> noise.Spoilt:
    """Draw a rhythm as a strip in mV, with everyday noise, or spoilt by one of ``noise.KINDS``."""
    n = round(fs * duration_sec)
    times = np.arange(n) / fs
    signal = np.zeros(n)
    phase = rng.uniform(0, 2 * np.pi)
    breath = np.sin(2 * np.pi * patient.respiration_hz * times + phase)
    previous = rhythm.beats[0].time - REFERENCE_RR if rhythm.beats else 0.0
    for beat in rhythm.beats:
        rr = float(np.clip(beat.time - previous, 0.3, 1.4))
        previous = beat.time
        lung = np.sin(2 * np.pi * patient.respiration_hz * beat.time + phase)
        scale = 1 + patient.respiration_gain * lung + 0.02 * rng.standard_normal()
        _add_beat(rng, signal, fs, patient, rhythm, beat.time, beat.symbol, beat.focus, rr, float(scale))
    if rhythm.atria == "fibrillation":
        signal += _f_waves(rng, n, fs, rhythm.atrial_hz)
    elif rhythm.atria == "flutter":
        signal += _saw_teeth(rng, times, rhythm.atrial_hz)
    if rhythm.fibrillates:
        signal += _ventricular_fibrillation(rng, n, fs)
    signal += patient.respiration_mv * breath
    if spoilt:
        return noise.spoil(rng, signal, fs, spoilt)
    return noise.Spoilt(noise.everyday(rng, signal, fs), np.ones(n, dtype=bool))


def _add_beat(
    rng: np.random.Generator,
    signal: npt.NDArray[np.float64],
    fs: float,
    patient: Patient,
    rhythm: Rhythm,
    time: float,
    symbol: str,
    focus: int,
    rr: float,
    scale: float,
) -> None:
    # QT follows the square root of RR (Bazett); the PR interval gives way much less.
    repolarisation = (rr / REFERENCE_RR) ** 0.5
    if symbol in "VE":
        add_waves(signal, fs, time, patient.foci[focus], scale=scale, stretch=min(1.0, 0.55 + 0.75 * rr))
        return
    if symbol == "A":
        add_waves(signal, fs, time, patient.ectopic_p, scale=scale)
    elif rhythm.atria == "sinus":
        add_waves(signal, fs, time, patient.p, scale=scale, stretch=float(np.clip(repolarisation, 0.8, 1.06)))
    share = rng.uniform(0.4, 0.6) if symbol == "F" else 1.0  # a fusion beat is half from above, half from below
    if share < 1:
        add_waves(signal, fs, time, patient.foci[focus], scale=scale * (1 - share))
    add_waves(signal, fs, time, patient.qrs, scale=scale * share)
    flat = 0.45 if rhythm.atria == "fibrillation" else 0.6 if rhythm.atria == "flutter" else 1.0
    add_waves(signal, fs, time, patient.t, scale=scale * share * flat, stretch=repolarisation)


def _f_waves(rng: np.random.Generator, n: int, fs: float, hz: float) -> npt.NDArray[np.float64]:
    """Fibrillating atria: waves whose rate and height wander."""
    rate = hz * (1 + 0.12 * noise.coloured(rng, n, fs, 0.3, 2.0))
    phase = 2 * np.pi * np.cumsum(rate) / fs
    height = rng.uniform(0.03, 0.085) * (1 + 0.35 * noise.coloured(rng, n, fs, 0.1, 0.8))
    return height * (np.sin(phase) + 0.35 * np.sin(2 * phase + 0.6))


def _saw_teeth(rng: np.random.Generator, times: npt.NDArray[np.float64], hz: float) -> npt.NDArray[np.float64]:
    """Fluttering atria: a slow fall and a quick rise, its corners rounded by a few harmonics."""
    teeth = sum(np.sin(2 * np.pi * k * hz * times) / k for k in range(1, 6))
    return rng.uniform(0.10, 0.18) * np.asarray(teeth)


def _ventricular_fibrillation(rng: np.random.Generator, n: int, fs: float) -> npt.NDArray[np.float64]:
    """Coarse to fine waves of 3.5 to 6 Hz without any shape that comes back."""
    rate = rng.uniform(3.5, 6.0) * (1 + 0.18 * noise.coloured(rng, n, fs, 0.2, 1.5))
    phase = 2 * np.pi * np.cumsum(rate) / fs
    height = rng.uniform(0.35, 0.8) * np.clip(1 + 0.45 * noise.coloured(rng, n, fs, 0.15, 0.9), 0.15, None)
    return height * np.sin(phase) + 0.12 * noise.coloured(rng, n, fs, 2, 12)


def write_xlsx(simulated: Simulated, path: str | Path) -> Path:
    """Write the strips as a technician's spreadsheet (columns Patient ID, ECG Wave, Label); returns the path."""
    from openpyxl import Workbook

    book = Workbook(write_only=True)
    sheet = book.create_sheet("Strips")
    sheet.append(list(simulated.strips.columns))
    for patient, wave, label in simulated.strips.itertuples(index=False, name=None):
        sheet.append((int(patient), wave, int(label)))
    book.save(path)
    return Path(path)


def write_beats_csv(simulated: Simulated, path: str | Path) -> Path:
    """Write the true beats (source_row, sample, symbol, aami) as csv; returns the path."""
    simulated.beats.to_csv(path, index=False)
    return Path(path)
