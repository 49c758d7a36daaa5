"""A first look at the files of a study, each under its own name and with its companions beside it."""

from __future__ import annotations

import tempfile
from collections.abc import Sequence
from pathlib import Path, PurePosixPath

from ecg_engine.config import PreprocessConfig
from ecg_engine.sources import RECORD_SUFFIX
from ecg_engine.strips import Columns, Preview, preview
from ecg_engine.tables import SPREADSHEET_SUFFIXES, TEXT_SUFFIXES
from state.files import COMPANIONS, Files, SourceFile

TAKEN = (*SPREADSHEET_SUFFIXES, *TEXT_SUFFIXES, RECORD_SUFFIX, *sorted(COMPANIONS))
"""Endings of the files that a study takes in."""


def ending(name: str) -> str:
    """Ending of a file's name, in small letters: ``".xlsx"``."""
    return PurePosixPath(name).suffix.lower()


def is_companion(file: SourceFile) -> bool:
    """Whether a file is only read beside a WFDB header."""
    return ending(file.name) in COMPANIONS


def is_record(name: str) -> bool:
    """Whether a file is the header of a WFDB record."""
    return ending(name) == RECORD_SUFFIX


def companions_of(file: SourceFile, files: Sequence[SourceFile]) -> list[SourceFile]:
    """Signal and annotation files that share a record's name; none for a table."""
    stem = PurePosixPath(file.name).stem
    beside = [other for other in files if is_companion(other) and PurePosixPath(other.name).stem == stem]
    return beside if is_record(file.name) else []


def preview_of(
    store: Files,
    file: SourceFile,
    files: Sequence[SourceFile],
    config: PreprocessConfig,
    columns: Columns | None = None,
    *,
    limit: int = 20,
) -> Preview:
    """Look at one file of a study.

    Parameters
    ----------
    file : SourceFile
        A table, or the header of a record.
    files : sequence of SourceFile
        The study's files, among which a record's companions are found.

    Raises
    ------
    InputError
        If the file cannot be read or is empty.
    """
    beside = [other for other in files if is_companion(other)] if is_record(file.name) else []
    with tempfile.TemporaryDirectory(prefix="ecg-preview-") as folder:
        (path,) = store.lay_out([file, *beside], Path(folder))
        return preview(path, config, columns=columns, limit=limit)


def rate_of(found: Preview) -> float | None:
    """The most common sampling rate among the rows of a preview that can be read, in Hz; None without such rows."""
    rates = found.rows.loc[(found.rows["problem"] == "") & (found.rows["fs"] > 0), "fs"]
    return None if rates.empty else float(rates.mode().iloc[0])


def place_in_file(name: str, file_row: int) -> int:
    """Where a person finds a row: its number in the sheet, below the header; the number of the strip in a record."""
    return int(file_row) + (1 if is_record(name) else 2)
