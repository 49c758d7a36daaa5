"""Tables as files that a spreadsheet program opens. Text stays text: nothing that a reader wrote becomes a formula."""

from __future__ import annotations

import io
from collections.abc import Mapping
from typing import Any

import pandas as pd
from openpyxl import Workbook
from openpyxl.cell import WriteOnlyCell
from openpyxl.styles import Font
from openpyxl.utils import get_column_letter
from openpyxl.utils.exceptions import IllegalCharacterError

_WIDTHS = (9, 60)
_MEASURED = 200
"""Rows that a column's width goes by."""


_FORMULA = ("=", "+", "-", "@", "\t", "\r")


def as_csv(table: pd.DataFrame) -> bytes:
    """A table as CSV in UTF-8 with a mark by which spreadsheet programs know it.

    CSV cannot say that a cell is text, so text that a spreadsheet program would take for a formula gets an apostrophe
    before it; numbers stay as they are.
    """
    safe = table.copy(deep=False)
    for name in table.columns:
        if table[name].dtype == object or isinstance(table[name].dtype, pd.StringDtype):
            safe[name] = table[name].map(_plain_text)
    return safe.rename(columns=_plain_text).to_csv(index=False).encode("utf-8-sig")


def _plain_text(value: Any) -> Any:
    return f"'{value}" if isinstance(value, str) and value.startswith(_FORMULA) else value


def as_xlsx(sheets: Mapping[str, pd.DataFrame]) -> bytes:
    """Tables as one workbook, a sheet each: header fixed and bold, filters on.

    Times must have no time zone: a spreadsheet knows none.
    """
    book = Workbook(write_only=True)
    for name, table in sheets.items():
        sheet = book.create_sheet(name)
        sheet.freeze_panes = "A2"
        for place, column in enumerate(table.columns, start=1):
            texts = [str(column), *(str(value) for value in table[column].head(_MEASURED))]
            width = min(max(max(map(len, texts)) + 2, _WIDTHS[0]), _WIDTHS[1])
            sheet.column_dimensions[get_column_letter(place)].width = width
        header = [WriteOnlyCell(sheet, value=str(column)) for column in table.columns]
        for cell in header:
            cell.font = Font(bold=True)
        sheet.append(header)
        for row in table.itertuples(index=False, name=None):
            sheet.append([_cell(sheet, value) for value in row])
        if len(table.columns):
            sheet.auto_filter.ref = f"A1:{get_column_letter(len(table.columns))}{len(table) + 1}"
    buffer = io.BytesIO()
    book.save(buffer)
    return buffer.getvalue()


def _cell(sheet: object, value: object) -> WriteOnlyCell:
    if value is None or value is pd.NA or value is pd.NaT or (isinstance(value, float) and value != value):
        return WriteOnlyCell(sheet, value=None)
    if not isinstance(value, str):
        return WriteOnlyCell(sheet, value=value)
    try:
        cell = WriteOnlyCell(sheet, value=value)
    except IllegalCharacterError:
        kept = "".join(sign for sign in value if sign.isprintable() or sign in "\n\t")
        cell = WriteOnlyCell(sheet, value=kept)
    cell.data_type = "s"
    return cell
