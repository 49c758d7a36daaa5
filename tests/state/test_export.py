"""Tables as files: what was written is read back, and text stays text."""

from __future__ import annotations

import io

import pandas as pd
import pytest
from openpyxl import load_workbook

from state.export import as_csv, as_xlsx

TABLE = pd.DataFrame(
    {
        "reader": ["Ada", "Bjørn Ågård", "李"],
        "note": ["=HYPERLINK(1)", "two\nlines, a comma", ""],
        "strip": pd.array([3, None, 5], dtype="Int64"),
        "seconds": [1.25, float("nan"), 0.0],
        "at": pd.to_datetime(["2026-03-01 08:00:01", None, "2026-03-02 09:30:00"]),
    }
)


def test_csv_comes_back_as_it_was() -> None:
    data = as_csv(TABLE)
    assert data.startswith(b"\xef\xbb\xbf"), "spreadsheet programs know UTF-8 by this mark"
    back = pd.read_csv(io.BytesIO(data), parse_dates=["at"], dtype={"strip": "Int64"}, keep_default_na=False,
                       na_values={"strip": "", "seconds": "", "at": ""})  # fmt: skip
    marked = TABLE["note"].where(TABLE["note"] != "=HYPERLINK(1)", "'=HYPERLINK(1)")
    pd.testing.assert_frame_equal(back, TABLE.assign(note=marked), check_dtype=False)


@pytest.mark.parametrize("text", ["=1+1", "+49 30 1", "-2", "@sum", "\t=1", "\r=1"])
def test_text_that_a_spreadsheet_would_work_out_is_marked_as_text(text: str) -> None:
    table = pd.DataFrame({"=note": [text, f"a {text}"], "number": [-2, 3.5], "count": pd.array([-1, None], "Int64")})
    back = pd.read_csv(io.BytesIO(as_csv(table)), lineterminator="\n")
    assert back["'=note"].tolist() == [f"'{text}", f"a {text}"], "only where it begins so"
    assert back["number"].tolist() == [-2, 3.5] and back["count"][0] == -1, "numbers are numbers"
    assert table["=note"][0] == text, "what was handed in stays as it was"


def test_xlsx_comes_back_as_it_was_sheet_by_sheet() -> None:
    data = as_xlsx({"Decisions": TABLE, "Per day": TABLE[["reader", "seconds"]]})
    back = pd.read_excel(io.BytesIO(data), sheet_name=None, keep_default_na=False,
                         na_values={"strip": [""], "seconds": [""], "at": [""]})  # fmt: skip
    assert list(back) == ["Decisions", "Per day"]
    pd.testing.assert_frame_equal(back["Decisions"].astype({"strip": "Int64"}), TABLE, check_dtype=False)
    pd.testing.assert_frame_equal(back["Per day"], TABLE[["reader", "seconds"]])


@pytest.mark.parametrize("text", ["=1+1", "+1", "-1", "@SUM(A1)", "=cmd|' /C calc'!A0"])
def test_nothing_that_a_reader_wrote_becomes_a_formula(text: str) -> None:
    sheet = load_workbook(io.BytesIO(as_xlsx({"Notes": pd.DataFrame({"note": [text]})})))["Notes"]
    assert sheet["A2"].value == text and sheet["A2"].data_type == "s"


def test_signs_that_a_workbook_cannot_hold_are_left_out() -> None:
    sheet = load_workbook(io.BytesIO(as_xlsx({"Notes": pd.DataFrame({"note": ["a\x07b\nc"]})})))["Notes"]
    assert sheet["A2"].value == "ab\nc"


def test_an_empty_table_is_a_header_and_nothing_else() -> None:
    data = as_xlsx({"Decisions": TABLE[:0]})
    sheet = load_workbook(io.BytesIO(data))["Decisions"]
    assert [cell.value for cell in sheet[1]] == list(TABLE.columns) and sheet.max_row == 1
    assert sheet.freeze_panes == "A2"
