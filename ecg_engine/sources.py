"""One face for all kinds of files: rows of a wave, a label and a patient."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from ecg_engine.config import PreprocessConfig
from ecg_engine.errors import InputError
from ecg_engine.tables import SPREADSHEET_SUFFIXES, TEXT_SUFFIXES, Columns, need_wave, open_table
from ecg_engine.waves import RowSkipped, parse_wave
from ecg_engine.wfdb_records import cut_record, read_record

RECORD_SUFFIX = ".hea"


class RawRow(NamedTuple):
    """One row as it stands in a file.

    Attributes
    ----------
    file_row : int
        0-based data row of the file.
    wave : object
        A cell to parse, or samples (float32) in millivolts, or the reason why there are none.
    label, patient : object
        Cells.
    fs : float or None
        Hz; None where it follows from the length of the wave.
    scale : float
        What the samples are to be multiplied with.
    """

    file_row: int
    wave: Any
    label: Any
    patient: Any
    fs: float | None
    scale: float

    def samples(self) -> NDArray[np.float32]:
        """Samples of the row; raises RowSkipped if there are none to be had."""
        if isinstance(self.wave, RowSkipped):
            raise self.wave
        return self.wave if isinstance(self.wave, np.ndarray) else parse_wave(self.wave)


@dataclass(frozen=True)
class Source:
    """A file opened for reading, once from top to bottom.

    Attributes
    ----------
    name : str
        Name of the file.
    header : tuple of str
        Columns of a table, leads of a record.
    columns : Columns
        The columns found; of a record only the lead read, as the wave.
    n_rows : int
        Data rows of a table; strips of a record.
    rows : iterator of RawRow
    is_record : bool
    """

    name: str
    header: tuple[str, ...]
    columns: Columns
    n_rows: int
    rows: Iterator[RawRow]
    is_record: bool


def open_source(
    path: Path, config: PreprocessConfig, columns: Columns | None = None, *, need_the_wave: bool = True
) -> Source:
    """Open a spreadsheet, a text table or a WFDB record, by its ending.

    Raises
    ------
    InputError
        If the file is missing, of no known kind, unreadable or empty, or (unless `need_the_wave` is False) has no
        wave column.
    """
    if not path.is_file():
        raise InputError("there is no such file", where=str(path))
    suffix = path.suffix.lower()
    if suffix == RECORD_SUFFIX:
        return _record(path, config)
    if suffix not in (*SPREADSHEET_SUFFIXES, *TEXT_SUFFIXES):
        kinds = ", ".join((*SPREADSHEET_SUFFIXES, *TEXT_SUFFIXES, RECORD_SUFFIX))
        what = f"files ending in {suffix} are not read here" if suffix else "the file's name has no ending"
        raise InputError(what, where=path.name, remedy=f"Files that are read end in {kinds}.")
    table = open_table(path, columns)
    if need_the_wave:
        need_wave(table, where=path.name)
    rows = (RawRow(i, wave, label, patient, config.fs, 1.0) for i, (wave, label, patient) in enumerate(table.rows))
    return Source(path.name, table.header, table.columns, table.n_rows, rows, is_record=False)


def _record(path: Path, config: PreprocessConfig) -> Source:
    record = read_record(path)
    pieces: list[Any] = list(cut_record(record, config.duration_sec))
    rest = len(pieces[-1])
    if len(pieces) > 1 and rest < len(pieces[0]):
        pieces[-1] = RowSkipped(
            "rest of the record", f"rest of the record: its last {rest / record.fs:.1f} s are shorter than a strip"
        )
    rows = (RawRow(i, piece, None, record.name, record.fs, config.units_per_mv) for i, piece in enumerate(pieces))
    return Source(path.name, record.leads, Columns(wave=record.lead), len(pieces), rows, is_record=True)
