"""Strips: what a file holds, read and checked, before anything is done to the signal (spec section 2)."""

from __future__ import annotations

import hashlib
import os
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from ecg_engine.config import PreprocessConfig
from ecg_engine.errors import InputError
from ecg_engine.labels import UNLABELLED
from ecg_engine.preview import Preview, preview
from ecg_engine.progress import Progress, silent
from ecg_engine.sources import open_source
from ecg_engine.tables import NO_PATIENT, Columns, read_label, read_patient
from ecg_engine.waves import EXCEL_CELL_LIMIT, RowSkipped, check_wave, resample

__all__ = ["SKIPPED_COLUMNS", "Columns", "Preview", "ReadReport", "Strips", "preview", "read_strips", "strip_hashes"]

SKIPPED_COLUMNS = ("source_row", "reason", "source_file", "file_row", "kind")
"""Columns of the table of skipped rows; ``kind`` is the reason without the row's own values, for counting."""


@dataclass(frozen=True)
class ReadReport:
    """What reading found, in plain numbers.

    Attributes
    ----------
    files : tuple of str
        Names of the files, in the order read.
    rows_total : int
        Data rows of all files, skipped ones included.
    columns : mapping
        File name to the columns found: ``{"wave": "ECG Wave", "label": None, "patient": "Patient ID"}``.
    columns_missing : tuple of str
        "label" or "patient" where at least one file has no such column.
    rates : mapping
        Sampling rate in Hz to the number of usable strips that came with it.
    resampled : int
        Strips resampled to the most common rate.
    unlabelled : int
        Usable strips without a label, for whatever reason.
    unreadable_labels : mapping
        Label text that is no label of the list, to its number of rows.
    unknown_patients : int
        Usable strips without a patient.
    """

    files: tuple[str, ...]
    rows_total: int
    columns: Mapping[str, Mapping[str, str | None]]
    columns_missing: tuple[str, ...] = ()
    rates: Mapping[float, int] = field(default_factory=dict)
    resampled: int = 0
    unlabelled: int = 0
    unreadable_labels: Mapping[str, int] = field(default_factory=dict)
    unknown_patients: int = 0


@dataclass(frozen=True)
class Strips:
    """All usable strips of one or more files, end to end.

    Attributes
    ----------
    samples : float32 (total,)
        All strips end to end, in the units of the file; strip ``i`` is ``samples[offsets[i]:offsets[i + 1]]``.
    offsets : int64 (n + 1,)
    fs : float
        Sampling rate in Hz, one for all strips.
    source_row : int64 (n,)
        0-based data row, ascending; with several files the numbering runs on.
    patient_id : object (n,)
        int or str; -1 where missing.
    label : int32 (n,)
        Label of the strip, -999 where unlabelled.
    strip_hash : object (n,)
        Hex SHA-256 over the samples as read (float32), the patient and a running number among identical ones.
    source_file : object (n,)
        Name of the file, and
    file_row : int64 (n,)
        0-based data row in it: where the person finds the strip.
    skipped : DataFrame
        One row for each skipped row of the files: source_row, reason, source_file, file_row, kind.
    report : ReadReport
    """

    samples: NDArray[np.float32]
    offsets: NDArray[np.int64]
    fs: float
    source_row: NDArray[np.int64]
    patient_id: NDArray[Any]
    label: NDArray[np.int32]
    strip_hash: NDArray[Any]
    source_file: NDArray[Any]
    file_row: NDArray[np.int64]
    skipped: pd.DataFrame
    report: ReadReport

    def __len__(self) -> int:
        return len(self.offsets) - 1

    def wave(self, index: int) -> NDArray[np.float32]:
        """Samples of one strip, a view."""
        return self.samples[self.offsets[index] : self.offsets[index + 1]]

    @property
    def lengths(self) -> NDArray[np.int64]:
        """Samples of each strip, int64 (n,)."""
        return np.diff(self.offsets)


def read_strips(
    paths: str | os.PathLike[str] | Sequence[str | os.PathLike[str]],
    config: PreprocessConfig | None = None,
    *,
    columns: Columns | Mapping[str, Columns] | None = None,
    progress: Progress = silent,
) -> Strips:
    """Read strips from spreadsheets (.xlsx and its kin), text tables (.csv) and WFDB records (.hea).

    Parameters
    ----------
    paths : path or sequence of paths
        One or many files; the numbering of rows runs on from file to file.
    config : PreprocessConfig, optional
        ``duration_sec``, ``fs``, ``min_samples`` and ``units_per_mv`` are used. A table's rate is wave length /
        ``duration_sec`` unless ``fs`` is given; a record's rate is its own.
    columns : Columns or mapping of path to Columns, optional
        Column names to use in place of the aliases, in all files or (by ``str(path)``) in some.
    progress : Progress, optional

    Returns
    -------
    Strips
        At one rate: strips of other rates than the most common one are resampled, and counted.

    Raises
    ------
    InputError
        If a file cannot be read, is empty, has no wave column, or if no row of any file is usable (the message counts
        the reasons).
    """
    config = config or PreprocessConfig()
    files = [Path(paths)] if isinstance(paths, (str, os.PathLike)) else [Path(path) for path in paths]
    if not files:
        raise InputError("no file was given", remedy="Give at least one spreadsheet, CSV file or WFDB record.")
    waves: list[NDArray[np.float32]] = []
    scales, rates = [], []
    kept: list[tuple[int, int | str, int, str, int]] = []  # source_row, patient, label, source_file, file_row
    skipped: list[tuple[int, str, str, int, str]] = []
    unreadable: Counter[str] = Counter()
    found: dict[str, Mapping[str, str | None]] = {}
    missing: set[str] = set()
    total = 0
    for number, path in enumerate(files):
        named = columns.get(str(path)) if isinstance(columns, Mapping) else columns
        source = open_source(path, config, named)
        found[source.name] = source.columns._asdict()
        missing |= set() if source.is_record else {r for r in ("label", "patient") if found[source.name][r] is None}
        for raw in source.rows:
            if raw.file_row % 256 == 0:
                share = (number + raw.file_row / max(source.n_rows, 1)) / len(files)
                progress(f"reading {source.name}: row {raw.file_row:,} of {source.n_rows:,}", share)
            row = total + raw.file_row
            try:
                wave = raw.samples()
                check_wave(wave, config.min_samples)
            except RowSkipped as reason:
                skipped.append((row, reason.reason, source.name, raw.file_row, reason.kind))
                continue
            label, text = read_label(raw.label)
            if text is not None:
                unreadable[text] += 1
            waves.append(wave)
            scales.append(raw.scale)
            rates.append(raw.fs or len(wave) / config.duration_sec)
            kept.append((row, read_patient(raw.patient), label, source.name, raw.file_row))
        total += source.n_rows
    table = pd.DataFrame(skipped, columns=list(SKIPPED_COLUMNS))
    if not waves:
        counts = ", ".join(f"{kind}: {n}" for kind, n in table["kind"].value_counts().items())
        raise InputError(
            f"none of the {total} rows can be used ({counts})",
            where=", ".join(found),
            remedy=f"A usable row has one cell with at least {config.min_samples} numbers parted by commas, not all "
            f"alike and not cut off by Excel, which keeps {EXCEL_CELL_LIMIT:,} characters (a CSV file keeps all).",
        )
    source_row, patient, label_ids, source_file, file_row = zip(*kept, strict=True)
    hashes = strip_hashes(waves, patient)
    fs, resampled = _to_one_rate(waves, rates)
    for i, scale in enumerate(scales):
        if scale != 1.0:
            waves[i] = waves[i] * np.float32(scale)
    labels = np.array(label_ids, dtype=np.int32)
    report = ReadReport(
        files=tuple(path.name for path in files),
        rows_total=total,
        columns=found,
        columns_missing=tuple(sorted(missing)),
        rates=dict(sorted(Counter(rates).items())),
        resampled=resampled,
        unlabelled=int(np.count_nonzero(labels == UNLABELLED)),
        unreadable_labels=dict(unreadable),
        unknown_patients=sum(1 for one in patient if one == NO_PATIENT),
    )
    return Strips(
        samples=np.concatenate(waves),
        offsets=np.concatenate([[0], np.cumsum([len(wave) for wave in waves])]).astype(np.int64),
        fs=fs,
        source_row=np.array(source_row, dtype=np.int64),
        patient_id=_objects(patient),
        label=labels,
        strip_hash=_objects(hashes),
        source_file=_objects(source_file),
        file_row=np.array(file_row, dtype=np.int64),
        skipped=table,
        report=report,
    )


def strip_hashes(waves: Sequence[NDArray[np.float32]], patients: Sequence[int | str]) -> list[str]:
    """Name each strip by what it holds, so that decisions find it again in another run (DESIGN, "What is remembered").

    Parameters
    ----------
    waves : sequence of float32 (n_i,)
        Samples as read, before any resampling.
    patients : sequence of int or str

    Returns
    -------
    list of str
        Hex SHA-256 over samples, patient and a running number among identical strips of one patient.
    """
    seen: Counter[bytes] = Counter()
    names = []
    for wave, patient in zip(waves, patients, strict=True):
        digest = hashlib.sha256(np.ascontiguousarray(wave, dtype="<f4").data)
        digest.update(b"|" + str(patient).encode() + b"|")
        same = digest.digest()
        digest.update(str(seen[same]).encode())
        seen[same] += 1
        names.append(digest.hexdigest())
    return names


def _to_one_rate(waves: list[NDArray[np.float32]], rates: Sequence[float]) -> tuple[float, int]:
    """Resample in place to the most common rate (of equally common ones the highest, which loses nothing)."""
    counts = Counter(rates)
    fs = max(counts, key=lambda rate: (counts[rate], rate))
    groups: dict[tuple[float, int], list[int]] = {}
    for i, rate in enumerate(rates):
        if rate != fs:
            groups.setdefault((rate, len(waves[i])), []).append(i)
    for (rate, _), members in groups.items():
        for i, wave in zip(members, resample(np.stack([waves[i] for i in members]), rate, fs), strict=True):
            waves[i] = wave
    return fs, sum(map(len, groups.values()))


def _objects(values: Sequence[Any]) -> NDArray[Any]:
    array = np.empty(len(values), dtype=object)
    array[:] = values
    return array
