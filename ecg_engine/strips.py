"""Strips: what a file holds, read and checked, before anything is done to the signal (spec section 2)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

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
