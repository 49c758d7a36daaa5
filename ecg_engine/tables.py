"""From a spreadsheet file to rows of cells, with the wave, label and patient columns found (spec section 2)."""

from __future__ import annotations

import datetime
import math
import warnings
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

from ecg_engine.errors import InputError
from ecg_engine.labels import FILE_LABELS, UNLABELLED

SPREADSHEET_SUFFIXES = (".xlsx", ".xlsm", ".xls", ".xlsb", ".ods")
TEXT_SUFFIXES = (".csv", ".tsv", ".txt")
ALIASES = {
    "wave": ("ecg wave", "ecg_wave", "wave"),
    "label": ("label",),
    "patient": ("patient id", "patient_id", "patient"),
}
"""Column names by what they hold, compared without case and outer blanks."""

NO_PATIENT = -1


class Columns(NamedTuple):
    """Names of the columns of a table; None where there is none (when found) or none is asked for (when given)."""

    wave: str | None = None
    label: str | None = None
    patient: str | None = None


@dataclass(frozen=True)
class Table:
    """One sheet, read once from top to bottom.

    Attributes
    ----------
    header : tuple of str
    columns : Columns
        The columns found.
    n_rows : int
        Data rows.
    rows : iterator of tuple
        (wave cell, label cell, patient cell) of each data row; None for a column that is missing.
    """

    header: tuple[str, ...]
    columns: Columns
    n_rows: int
    rows: Iterator[tuple[Any, Any, Any]]


def open_table(path: Path, columns: Columns | None = None) -> Table:
    """Open the first sheet of a spreadsheet, or a text table.

    Parameters
    ----------
    path : Path
    columns : Columns, optional
        Names to use in place of the aliases.

    Raises
    ------
    InputError
        If the file is no spreadsheet, is empty, or lacks a column that was named. A missing wave column is left for
        :func:`need_wave`, so that a preview can still show what there is.
    """
    cells, n_rows = _sheet(path) if path.suffix.lower() in SPREADSHEET_SUFFIXES else _text(path)
    first = next(cells, None)
    if first is None or n_rows < 1:
        what = "the sheet is empty" if first is None else "the sheet has a header but no rows"
        raise InputError(what, where=path.name, remedy="Put one strip in each row, under a header row.")
    header = tuple(str(cell).strip() for cell in first)
    found = find_columns(header, columns, where=path.name)
    places = [header.index(name) if name is not None else None for name in found]
    return Table(header, found, n_rows, (_pick(row, places) for row in cells))


def find_columns(header: tuple[str, ...], columns: Columns | None = None, *, where: str = "") -> Columns:
    """Find the three columns in a header.

    Raises
    ------
    InputError
        If a column named in `columns` is not there; the message lists the columns there are.
    """
    plain = [name.casefold() for name in header]
    found: dict[str, str | None] = {}
    for role, aliases in ALIASES.items():
        asked = getattr(columns, role) if columns is not None else None
        names = (asked.strip().casefold(),) if asked is not None else aliases
        found[role] = next((header[plain.index(name)] for name in names if name in plain), None)
        if asked is not None and found[role] is None:
            raise InputError(f"there is no column {asked!r}", where=where, remedy=_columns_there(header))
    return Columns(**found)


def need_wave(table: Table, *, where: str) -> None:
    """Refuse a table without a wave column.

    Raises
    ------
    InputError
        Names the aliases that were tried and the columns there are.
    """
    if table.columns.wave is None:
        tried = ", ".join(repr(alias) for alias in ALIASES["wave"])
        raise InputError(
            f"no column holds the ECG wave (tried {tried})",
            where=where,
            remedy=f"{_columns_there(table.header)} Rename one or say which it is.",
        )


def read_label(cell: object) -> tuple[int, str | None]:
    """Label id of a cell, and its text if it is neither blank nor a label of the list.

    Examples
    --------
    >>> read_label("2.0"), read_label(""), read_label("PVC?"), read_label(99.0)
    ((2, None), (-999, None), (-999, 'PVC?'), (-999, '99'))
    """
    if is_blank(cell):
        return UNLABELLED, None
    number = _number(cell)
    if number is not None and number in (*FILE_LABELS, UNLABELLED):
        return int(number), None
    return UNLABELLED, _cell_text(cell)


def read_patient(cell: object) -> int | str:
    """Patient of a cell: an int where it is a whole number, else the text as it stands, -1 where blank.

    Examples
    --------
    >>> read_patient(101.0), read_patient("101"), read_patient("A-7"), read_patient("007"), read_patient(None)
    (101, 101, 'A-7', '007', -1)
    """
    if is_blank(cell):
        return NO_PATIENT
    number = _number(cell)
    text = _cell_text(cell)
    # A text with leading zeros is a name made of digits: as a number it could meet another patient's.
    padded = isinstance(cell, str) and text.lstrip("+-").startswith("0") and text not in ("0", "0.0")
    if number is not None and number.is_integer() and abs(number) < 2**53 and not padded:
        return int(number)
    return text


def is_blank(cell: object) -> bool:
    """Whether a cell holds nothing: None, NaN or blanks."""
    return (
        cell is None or (isinstance(cell, float) and math.isnan(cell)) or (isinstance(cell, str) and not cell.strip())
    )


def _number(cell: object) -> float | None:
    if isinstance(cell, bool) or not isinstance(cell, (int, float, str)):
        return None
    if isinstance(cell, str) and "_" in cell:
        return None
    try:
        number = float(cell)
    except (ValueError, OverflowError):
        return None
    return number if math.isfinite(number) else None


def _cell_text(cell: object) -> str:
    if isinstance(cell, float) and cell.is_integer():
        return str(int(cell))
    if isinstance(cell, (datetime.date, datetime.time)):
        return cell.isoformat()
    return str(cell).strip()


def _columns_there(header: tuple[str, ...]) -> str:
    return "The columns are: " + ", ".join(repr(name) for name in header) + "."


def _pick(row: list[Any], places: list[int | None]) -> tuple[Any, Any, Any]:
    wave, label, patient = (row[place] if place is not None and place < len(row) else None for place in places)
    return wave, label, patient


def _sheet(path: Path) -> tuple[Iterator[list[Any]], int]:
    import python_calamine

    try:
        sheet = python_calamine.CalamineWorkbook.from_path(str(path)).get_sheet_by_index(0)
        return iter(sheet.iter_rows()), sheet.height - 1
    except Exception as error:  # calamine has an exception for each kind of damage, and zip and XML theirs
        raise InputError(
            "this is not a spreadsheet that can be read", where=path.name, remedy=f"Save it as .xlsx or .csv ({error})."
        ) from error


def _text(path: Path) -> tuple[Iterator[list[Any]], int]:
    import pandas as pd

    try:
        raw = path.read_bytes()
        if b"\0" in raw[:4096]:
            raise InputError("this is not a text table", where=path.name, remedy="Save it as .xlsx or as CSV in UTF-8.")
        try:
            raw.decode("utf-8")
            encoding = "utf-8-sig"
        except UnicodeDecodeError:
            encoding = "latin-1"
        first = raw.split(b"\n", 1)[0]
        separator = max((",", ";", "\t"), key=lambda mark: first.count(mark.encode()))
        del raw
        with warnings.catch_warnings():
            warnings.simplefilter("error", pd.errors.ParserWarning)
            frame = pd.read_csv(
                path,
                sep=separator,
                header=None,
                dtype=str,
                keep_default_na=False,
                encoding=encoding,
                index_col=False,
                skip_blank_lines=False,
            )
    except pd.errors.EmptyDataError:
        return iter(()), 0
    except (pd.errors.ParserError, pd.errors.ParserWarning) as error:
        raise InputError(
            f"the rows of this table do not fit its header ({error})".replace("\n", " "),
            where=path.name,
            remedy='Put each wave between double quotes: 101,"955,954,960",0.',
        ) from error
    except OSError as error:
        raise InputError(f"this file cannot be read ({error.strerror})", where=path.name) from error
    return (list(row) for row in frame.itertuples(index=False, name=None)), len(frame) - 1
