"""Annotated strips and noise from PhysioNet records: what the R-peak finder is trained on and judged by."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from scipy.signal import resample_poly

from ecg_engine.arrhythmia.augmentation import NoiseRecords
from ecg_engine.arrhythmia.rpeak_training import AnnotatedStrips
from ecg_engine.errors import InputError

RATE = 260.4
"""Hz of the strips: 360 Hz times 217 / 300."""

DURATION_SEC = 10.0
NORMAL = frozenset("NLRej")
BEATS = NORMAL | frozenset("AaJSVEF/fQ")
"""Annotations of the MIT-BIH databases that mark a beat; of those not normal, paced and unclassifiable ones are not
ectopic either."""

_NOT_ECTOPIC = NORMAL | frozenset("/fQ")


def mitdb_strips(folder: Path, *, lead: str = "MLII") -> AnnotatedStrips:
    """All records of a folder of the MIT-BIH Arrhythmia Database, in strips of 10 s with their beats.

    Strips of ventricular flutter are left out: they have no beats to be found.

    Parameters
    ----------
    folder : Path
        Holds .hea, .dat and .atr files of records of two leads at 360 Hz.
    lead : str
        The lead of the annotations; a record without it gives its first.

    Raises
    ------
    InputError
        If there is no record in the folder.
    """
    import wfdb  # slow to import, and only needed here

    main, other, beats, ectopic, patient, rhythm = [], [], [], [], [], []
    headers = sorted(folder.glob("*.hea"))
    if not headers:
        raise InputError("there is no WFDB record in this folder", where=folder.name)
    for header in headers:
        base = str(header.with_suffix(""))
        record = wfdb.rdrecord(base, physical=False)
        marks = wfdb.rdann(base, "atr")
        first = record.sig_name.index(lead) if lead in record.sig_name else 0
        signal = np.stack([record.d_signal[:, first], record.d_signal[:, 1 - first]]).astype(np.float64)
        flutter = _in_flutter(marks, signal.shape[1])
        symbols = np.array(marks.symbol)
        changes = np.flatnonzero(symbols == "+")
        size = round(DURATION_SEC * record.fs)
        for start in range(0, signal.shape[1] - size + 1, size):
            if flutter[start : start + size].any():
                continue
            mine = np.flatnonzero((marks.sample >= start) & (marks.sample < start + size) & np.isin(symbols, [*BEATS]))
            pair = _at_rate(signal[:, start : start + size])
            main.append(pair[0])
            other.append(pair[1])
            beats.append((marks.sample[mine] - start) / record.fs * RATE)
            ectopic.append(~np.isin(symbols[mine], [*_NOT_ECTOPIC]))
            # 201 and 202 are the same person
            patient.append({"202": 201}.get(header.stem, int(header.stem)))
            begun = changes[marks.sample[changes] <= start + size // 2]
            rhythm.append(marks.aux_note[begun[-1]].strip("(\x00 ") if len(begun) else "N")
    arrays = np.array(main), np.array(other), beats, ectopic, np.array(patient), np.array(rhythm)
    return AnnotatedStrips(*arrays, RATE)


def nstdb_noise(folder: Path, *, first: float = 0.0, last: float = 1.0) -> NoiseRecords:
    """A part of the records ``ma`` and ``bw`` of the MIT-BIH Noise Stress Test Database, at the rate of the strips.

    Parameters
    ----------
    first, last : float
        Which part, as shares of the records: what is trained with must not be tested with.
    """
    import wfdb

    parts = {}
    for name in ("ma", "bw"):
        signal = wfdb.rdrecord(str(folder / name), physical=False).d_signal.T.astype(np.float64)
        begin, end = int(first * signal.shape[1]), int(last * signal.shape[1])
        parts[name] = _at_rate(signal[:, begin:end])
    return NoiseRecords(parts["ma"], parts["bw"])


def _in_flutter(marks: object, length: int) -> NDArray[np.bool_]:
    """Samples of ventricular flutter, by the annotated rhythm and the flutter waves."""
    inside = np.zeros(length, dtype=bool)
    begun = -1
    for sample, symbol, note in zip(marks.sample, marks.symbol, marks.aux_note, strict=True):  # type: ignore[attr-defined]
        if symbol == "+":
            if begun >= 0:
                inside[begun:sample] = True
            begun = int(sample) if note.strip("\x00").strip() == "(VFL" else -1
        elif symbol == "!":
            inside[sample] = True
    if begun >= 0:
        inside[begun:] = True
    return inside


def _at_rate(signal: NDArray[np.float64]) -> NDArray[np.float32]:
    """From 360 Hz to 260.4 Hz; around the median, so that edges do not ring."""
    middle = np.median(signal, axis=1, keepdims=True)
    return (resample_poly(signal - middle, 217, 300, axis=1) + middle).astype(np.float32)
