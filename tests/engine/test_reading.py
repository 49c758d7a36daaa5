"""Reading: what is found, what is skipped and why, and what a person is told about a file that cannot be read."""

from __future__ import annotations

import datetime
from pathlib import Path

import numpy as np
import pytest
import wfdb
from hypothesis import given
from hypothesis import strategies as st

from ecg_engine.config import PreprocessConfig
from ecg_engine.errors import InputError
from ecg_engine.strips import Columns, Strips, preview, read_strips
from ecg_engine.tables import read_label, read_patient
from ecg_engine.waves import EXCEL_CELL_LIMIT, RowSkipped, parse_wave
from tests.engine.making import HEADER, cell, ecg, good_rows, write_xlsx


def reasons(strips: Strips) -> dict[int, str]:
    return dict(zip(strips.skipped["source_row"], strips.skipped["kind"], strict=True))


# -- waves


@given(st.lists(st.integers(-40_000, 40_000), min_size=1), st.sampled_from([",", ", ", " ,", ",,", ", ,", ",\n"]))
def test_whole_numbers_are_read_whatever_stands_between(values: list[int], comma: str) -> None:
    assert parse_wave(comma.join(map(str, values)) + comma).tolist() == values


@given(st.lists(st.floats(width=32, allow_nan=False, allow_infinity=False), min_size=1))
def test_decimals_are_read_as_the_nearest_float32(values: list[float]) -> None:
    assert parse_wave(",".join(map(repr, values))).tolist() == values


@pytest.mark.parametrize("token", ["abc", "1 2", "- 5", "1;2", "0x10", "1_000", "true", "[1", '"1"', "1.2.3", "null"])
def test_a_bad_token_is_named(token: str) -> None:
    with pytest.raises(RowSkipped, match="is not a number") as caught:
        parse_wave(f"1,2,{token},4")
    assert repr(token) in str(caught.value)


@pytest.mark.parametrize("text", ["+5,.5,5.,1e2", "007,1", "99999999999999999999,-99999999999999999999", "1e-3,-0"])
def test_unusual_spellings_of_numbers(text: str) -> None:
    expected = np.array([float(token) for token in text.split(",")], dtype=np.float32)
    np.testing.assert_array_equal(parse_wave(text), expected)


# -- cells


@pytest.mark.parametrize(
    ("given_", "label", "text"),
    [
        (2, 2, None),
        (2.0, 2, None),
        (" 2 ", 2, None),
        ("-1", -1, None),
        ("", -999, None),
        (None, -999, None),
        (float("nan"), -999, None),
        (-999, -999, None),
        (99, -999, "99"),
        (-99, -999, "-99"),
        (2.5, -999, "2.5"),
        ("PVC?", -999, "PVC?"),
        (True, -999, "True"),
        (datetime.date(2024, 1, 2), -999, "2024-01-02"),
        (float("inf"), -999, "inf"),
    ],
)
def test_labels(given_: object, label: int, text: str | None) -> None:
    assert read_label(given_) == (label, text)


@pytest.mark.parametrize(
    ("given_", "patient"),
    [(101, 101), (101.0, 101), ("101", 101), ("101.0", 101), (" A-7 ", "A-7"), ("007", "007"), (101.5, "101.5"),
     (None, -1), ("  ", -1), (float("nan"), -1), (0, 0), ("0", 0), (datetime.date(2024, 1, 2), "2024-01-02"),
     (True, "True")],
)  # fmt: skip
def test_patients(given_: object, patient: int | str) -> None:
    found = read_patient(given_)
    assert found == patient and type(found) is type(patient)
    assert read_patient(str(found)) == found, "a patient read back from a CSV is the same one"


# -- files


def test_a_sheet_is_read_as_it_stands(tmp_path: Path) -> None:
    waves = [ecg(seed) for seed in range(3)]
    rows = [[101, cell(waves[0]), 0], ["A-7", cell(waves[1]), -1], [None, cell(waves[2]), "12"]]
    strips = read_strips(write_xlsx(tmp_path / "a.xlsx", rows))
    assert (len(strips), strips.fs) == (3, 260.4)
    for index, wave in enumerate(waves):
        np.testing.assert_array_equal(strips.wave(index), wave)
    assert strips.patient_id.tolist() == [101, "A-7", -1]
    assert strips.label.tolist() == [0, -1, 12]
    assert strips.source_row.tolist() == strips.file_row.tolist() == [0, 1, 2]
    assert (strips.report.rows_total, strips.report.unlabelled, strips.report.unknown_patients) == (3, 0, 1)
    assert strips.samples.dtype == np.float32 and strips.skipped.empty


def test_every_row_that_is_not_used_is_listed_with_its_reason(tmp_path: Path) -> None:
    good = ecg(1)
    cut = cell(ecg(2, samples=9000))[:EXCEL_CELL_LIMIT]
    waves: list[object] = [
        cell(good),
        "955,954,abc,953",
        cut,
        cell(good[:199]),
        None,
        cell([*good[:300], "nan", *good[300:]]),
        cell([*good[:300], "1e400", *good[300:]]),
        cell([950] * 2604),
        datetime.datetime(2024, 1, 2),
        950,
        True,
        cell(good[::-1]),
    ]
    strips = read_strips(write_xlsx(tmp_path / "a.xlsx", [[1, wave, 0] for wave in waves]))
    assert strips.source_row.tolist() == [0, 11]
    assert reasons(strips) == {
        1: "text in the wave",
        2: "wave cut off by Excel",
        3: "wave too short",
        4: "no wave",
        5: "NaN or infinite samples",
        6: "NaN or infinite samples",
        7: "flat line",
        8: "wave is not text",
        9: "wave too short",
        10: "wave is not text",
    }
    text = strips.skipped.set_index("source_row")["reason"]
    assert "'abc'" in text[1] and "32767" in text[2] and "199 samples" in text[3] and "950" in text[7]


def test_labels_that_are_none_are_counted_and_listed(tmp_path: Path) -> None:
    labels = [0, None, "PVC?", 99, 2.5, 99, "  ", -999]
    rows = [[1, cell(ecg(seed)), label] for seed, label in enumerate(labels)]
    strips = read_strips(write_xlsx(tmp_path / "a.xlsx", rows))
    assert strips.label.tolist() == [0] + [-999] * 7
    assert strips.report.unlabelled == 7
    assert strips.report.unreadable_labels == {"PVC?": 1, "99": 2, "2.5": 1}


def test_waves_of_three_lengths_come_to_the_most_common_rate(tmp_path: Path) -> None:
    lengths = [2604, 3600, 2604, 2500, 2604]
    rows = [[1, cell(ecg(4, samples=length)), 0] for length in lengths]
    strips = read_strips(write_xlsx(tmp_path / "a.xlsx", rows))
    assert strips.fs == 260.4
    assert strips.lengths.tolist() == [2604] * 5
    assert strips.report.resampled == 2
    assert strips.report.rates == {250.0: 1, 260.4: 3, 360.0: 1}
    # the same strip (with other noise on it), brought from 360 or 250 Hz to 260.4 Hz
    for index in (1, 3):
        assert np.corrcoef(strips.wave(index), strips.wave(0))[0, 1] > 0.98


def test_with_a_given_rate_nothing_is_resampled(tmp_path: Path) -> None:
    rows = [[1, cell(ecg(4, samples=length)), 0] for length in (2604, 3600)]
    strips = read_strips(write_xlsx(tmp_path / "a.xlsx", rows), PreprocessConfig(fs=250))
    assert (strips.fs, strips.lengths.tolist(), strips.report.resampled) == (250, [2604, 3600], 0)


def test_missing_label_and_patient_columns_are_said(tmp_path: Path) -> None:
    path = write_xlsx(tmp_path / "a.xlsx", [[cell(ecg())]], header=["wave"])
    strips = read_strips(path)
    assert strips.report.columns_missing == ("label", "patient")
    assert (strips.label.tolist(), strips.patient_id.tolist()) == ([-999], [-1])


def test_a_missing_wave_column_names_the_aliases_and_the_columns(tmp_path: Path) -> None:
    path = write_xlsx(tmp_path / "a.xlsx", [[1, cell(ecg()), 0]], header=["Patient", "Signal", "Label"])
    with pytest.raises(InputError, match=r"a\.xlsx: .*'ecg wave', 'ecg_wave', 'wave'.*'Patient', 'Signal', 'Label'"):
        read_strips(path)
    assert preview(path).columns == Columns(wave=None, label="Label", patient="Patient")
    assert len(read_strips(path, columns=Columns(wave="signal"))) == 1
    with pytest.raises(InputError, match=r"no column 'Curve'.*'Signal'"):
        read_strips(path, columns=Columns(wave="Curve"))


def test_columns_are_found_in_any_case_and_order(tmp_path: Path) -> None:
    path = write_xlsx(
        tmp_path / "a.xlsx", [[2, "x", cell(ecg()), "A"]], header=[" LABEL", "other", "ecg_WAVE ", "patient_id"]
    )
    strips = read_strips(path)
    assert (strips.label.tolist(), strips.patient_id.tolist()) == ([2], ["A"])


def test_no_spreadsheet(tmp_path: Path) -> None:
    path = tmp_path / "a.xlsx"
    path.write_text("this is not a zip file")
    with pytest.raises(InputError, match=r"a\.xlsx: this is not a spreadsheet"):
        read_strips(path)
    (tmp_path / "a.pdf").write_bytes(b"%PDF")
    with pytest.raises(InputError, match=r"\.pdf are not read here.*\.xlsx.*\.hea"):
        read_strips(tmp_path / "a.pdf")
    with pytest.raises(InputError, match="no such file"):
        read_strips(tmp_path / "b.xlsx")


@pytest.mark.parametrize(("header", "what"), [([], "the sheet is empty"), (HEADER, "no rows")])
def test_an_empty_sheet(tmp_path: Path, header: list[str], what: str) -> None:
    path = tmp_path / "a.xlsx"
    write_xlsx(path, [], header=header)
    with pytest.raises(InputError, match=what):
        read_strips(path)
    csv = tmp_path / "a.csv"
    csv.write_text(",".join(header))
    with pytest.raises(InputError, match=what):
        read_strips(csv)


def test_no_usable_row_counts_the_reasons(tmp_path: Path) -> None:
    rows = [[1, "1,2,x", 0], [1, "1,2,y", 0], [1, cell([5] * 300), 0]]
    with pytest.raises(InputError, match=r"none of the 3 rows.*text in the wave: 2.*flat line: 1"):
        read_strips(write_xlsx(tmp_path / "a.xlsx", rows))


def test_csv_reads_as_xlsx_does(tmp_path: Path) -> None:
    rows = [[101, cell(ecg(1)), 0], ["Ö-7", cell(ecg(2)), 2], ["", "1,2,x", ""]]
    sheet = read_strips(write_xlsx(tmp_path / "a.xlsx", rows))
    lines = ["Patient ID,ECG Wave,Label", *(f'{patient},"{wave}",{label}' for patient, wave, label in rows)]
    (tmp_path / "a.csv").write_text("\n".join(lines), encoding="utf-8-sig")
    european = [line.replace('",', '";').replace(',"', ';"') for line in lines[1:]]
    (tmp_path / "b.csv").write_text("\n".join(["Patient ID;ECG Wave;Label", *european]), encoding="latin-1")
    for name in ("a.csv", "b.csv"):
        strips = read_strips(tmp_path / name)
        assert strips.strip_hash.tolist() == sheet.strip_hash.tolist(), name
        assert strips.label.tolist() == sheet.label.tolist()
        assert reasons(strips) == reasons(sheet)


def test_a_csv_whose_waves_are_not_quoted(tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_text("Patient ID,ECG Wave,Label\n101,1,2,3,4,5,6,0\n")
    with pytest.raises(InputError, match=r"do not fit its header.*double quotes"):
        read_strips(tmp_path / "a.csv")


def test_many_files_are_numbered_on(tmp_path: Path) -> None:
    first = write_xlsx(tmp_path / "a.xlsx", [[1, "x", 0], *good_rows(2)])
    second = write_xlsx(tmp_path / "b.xlsx", [*good_rows(1), [1, "y", 0]])
    strips = read_strips([first, second])
    assert strips.source_row.tolist() == [1, 2, 3]
    assert strips.file_row.tolist() == [1, 2, 0]
    assert strips.source_file.tolist() == ["a.xlsx", "a.xlsx", "b.xlsx"]
    assert strips.skipped[["source_row", "source_file", "file_row"]].values.tolist() == [
        [0, "a.xlsx", 0],
        [4, "b.xlsx", 1],
    ]
    assert strips.report.rows_total == 5


def test_a_strip_keeps_its_hash_wherever_it_stands(tmp_path: Path) -> None:
    rows = [*good_rows(3), good_rows(3)[1], [102, good_rows(3)[1][1], 0]]
    one = read_strips(write_xlsx(tmp_path / "a.xlsx", rows))
    assert len(set(one.strip_hash)) == 5, "twins and other patients' strips have hashes of their own"
    other = read_strips(write_xlsx(tmp_path / "b.xlsx", [*reversed(rows)]))
    assert set(other.strip_hash) == set(one.strip_hash)
    # resampled among strips of another rate, it is still the same strip
    mixed = [rows[0], *([1, cell(ecg(seed, samples=3600)), 0] for seed in (7, 8))]
    third = read_strips(write_xlsx(tmp_path / "c.xlsx", mixed))
    assert third.fs == 360 and third.strip_hash[0] == one.strip_hash[0]


# -- records


def write_record(folder: Path, name: str, millivolts: np.ndarray, leads: list[str], fs: float = 360) -> Path:
    wfdb.wrsamp(name, fs=fs, units=["mV"] * len(leads), sig_name=leads, p_signal=millivolts, fmt=["16"] * len(leads),
                write_dir=str(folder))  # fmt: skip
    return folder / f"{name}.hea"


def test_a_record_is_cut_into_strips_of_its_mlii_lead(tmp_path: Path) -> None:
    lead = np.concatenate([ecg(seed, samples=3600) for seed in range(3)])[: 2 * 3600 + 1000] / 200.0
    path = write_record(tmp_path, "101", np.stack([-lead, lead], axis=1), ["V1", "MLII"])
    strips = read_strips(path)
    assert (len(strips), strips.fs, strips.lengths.tolist()) == (2, 360, [3600, 3600])
    assert strips.patient_id.tolist() == [101, 101] and strips.label.tolist() == [-999, -999]
    np.testing.assert_allclose(strips.wave(0), lead[:3600] * 200, atol=0.1)
    assert reasons(strips) == {2: "rest of the record"}
    assert "2.8 s" in strips.skipped["reason"][0]
    assert preview(path).columns.wave == "MLII"


def test_units_per_mv_scales_a_record_but_not_its_hash(tmp_path: Path) -> None:
    path = write_record(tmp_path, "r1", ecg(1, samples=3600)[:, None] / 200.0, ["V5"])
    one, other = read_strips(path), read_strips(path, PreprocessConfig(units_per_mv=1000))
    np.testing.assert_allclose(other.samples, one.samples * 5, rtol=1e-5)
    assert one.strip_hash.tolist() == other.strip_hash.tolist()
    assert one.patient_id.tolist() == ["r1"]


def test_a_record_without_its_signal_file_or_with_a_damaged_header(tmp_path: Path) -> None:
    path = write_record(tmp_path, "r1", ecg(1, samples=3600)[:, None] / 200.0, ["V5"])
    (tmp_path / "r1.dat").unlink()
    with pytest.raises(InputError, match=r"r1\.dat is missing.*together"):
        read_strips(path)
    path.write_text("no header at all")
    with pytest.raises(InputError, match=r"r1\.hea: this record cannot be read"):
        read_strips(path)


@pytest.mark.real
def test_real_records_and_sheets_together(real_data: Path) -> None:
    strips = read_strips([real_data / "mitdb_ds1_small.xlsx", real_data / "mitdb-ds1" / "101.hea"])
    assert strips.report.rates == {260.4: 330, 360.0: 180}
    assert (strips.fs, strips.report.resampled, len(strips)) == (260.4, 180, 510)
    # row 0 of the sheet is the start of the same record: resampled by whoever made the sheet, up to its offset
    sheet, record = strips.wave(0), strips.wave(330)
    assert np.corrcoef(sheet, record)[0, 1] > 0.999
    assert abs(np.std(sheet) / np.std(record) - 1) < 0.01


# -- preview


def test_preview_shows_columns_rows_and_problems(tmp_path: Path) -> None:
    rows = [*good_rows(2), ["B", "1,2,x", "PVC?"], *([f"P{i}", "not looked at", 2] for i in range(30))]
    look = preview(write_xlsx(tmp_path / "a.xlsx", rows), limit=3)
    assert look.columns == Columns("ECG Wave", "Label", "Patient ID")
    assert (look.n_rows, look.patients, look.labels) == (33, 32, {-999: 1, 0: 2, 2: 30})
    assert look.unreadable_labels == {"PVC?": 1}
    assert look.rows["samples"].tolist() == [2604, 2604, 0] and look.rows["fs"].tolist()[:2] == [260.4, 260.4]
    assert look.rows["problem"].tolist()[:2] == ["", ""] and "'x'" in look.rows["problem"][2]
