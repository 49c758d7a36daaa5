"""A first look at a file, cheap enough to show while a person is still choosing settings."""

from __future__ import annotations

import os
from collections import Counter
from dataclasses import dataclass
from pathlib import Path

import pandas as pd

from ecg_engine.config import PreprocessConfig
from ecg_engine.labels import label_name
from ecg_engine.sources import open_source
from ecg_engine.tables import NO_PATIENT, Columns, read_label, read_patient
from ecg_engine.waves import RowSkipped, check_wave


@dataclass(frozen=True)
class Preview:
    """A first look at one file, before it is read.

    Attributes
    ----------
    file : str
    header : tuple of str
        Columns of the table, or leads of the record.
    columns : Columns
        What was found; ``wave`` is None if no column holds the wave.
    n_rows : int
        Data rows, or strips of the record.
    rows : DataFrame
        The first rows: row, patient, label, label_name, samples, fs, problem ("" if none).
    patients : int
        Different patients in the whole file, the unknown one not counted.
    labels : dict of int to int
        Label to rows, whole file.
    unreadable_labels : dict of str to int
    """

    file: str
    header: tuple[str, ...]
    columns: Columns
    n_rows: int
    rows: pd.DataFrame
    patients: int
    labels: dict[int, int]
    unreadable_labels: dict[str, int]


def preview(
    path: str | os.PathLike[str],
    config: PreprocessConfig | None = None,
    *,
    columns: Columns | None = None,
    limit: int = 20,
) -> Preview:
    """Look at a file: columns found, first rows, labels and patients. Only the first `limit` waves are parsed.

    Raises
    ------
    InputError
        If the file cannot be read or is empty. A missing wave column is no error here.
    """
    config = config or PreprocessConfig()
    source = open_source(Path(path), config, columns, need_the_wave=False)
    shown = []
    patients: set[int | str] = set()
    labels: Counter[int] = Counter()
    unreadable: Counter[str] = Counter()
    for raw in source.rows:
        label, text = read_label(raw.label)
        patient = read_patient(raw.patient)
        labels[label] += 1
        patients.add(patient)
        if text is not None:
            unreadable[text] += 1
        if raw.file_row >= limit:
            continue
        samples, problem = 0, ""
        if source.columns.wave is not None:
            try:
                wave = raw.samples()
                samples = len(wave)
                check_wave(wave, config.min_samples)
            except RowSkipped as reason:
                problem = reason.reason
        fs = raw.fs or samples / config.duration_sec
        shown.append((raw.file_row, patient, label, label_name(label), samples, fs, problem))
    return Preview(
        file=source.name,
        header=source.header,
        columns=source.columns,
        n_rows=source.n_rows,
        rows=pd.DataFrame(shown, columns=["row", "patient", "label", "label_name", "samples", "fs", "problem"]),
        patients=len(patients - {NO_PATIENT}),
        labels=dict(sorted(labels.items())),
        unreadable_labels=dict(unreadable),
    )
