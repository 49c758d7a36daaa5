"""The seed table (beat_global_id, label_name): reading one that a person brings, and saying what cannot be used."""

from __future__ import annotations

import io
from typing import NamedTuple

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from ecg_engine.errors import InputError
from ecg_engine.labels import FILE_LABELS, LABEL_NAMES, label_id, label_name
from ecg_engine.mining import SEED_COLUMNS

DROPPED_COLUMNS = ("row", *SEED_COLUMNS, "reason")


class SeedTable(NamedTuple):
    """A seed table, sorted into what can be used and what cannot.

    Attributes
    ----------
    seeds : DataFrame
        ``beat_global_id`` (int) and ``label_name``, spelled as in the list of labels; each beat once.
    dropped : DataFrame
        ``DROPPED_COLUMNS``: row as a spreadsheet counts it (the header is row 1), the values as given, the reason.
    """

    seeds: pd.DataFrame
    dropped: pd.DataFrame


def read_seed_csv(content: bytes) -> pd.DataFrame:
    """Read a seed CSV; commas, semicolons or tabs, columns found whatever their case and blanks around them.

    Raises
    ------
    InputError
        If it is no table or lacks a column; the message names the columns that are needed and those that are there.
    """
    try:
        text = content.decode("utf-8-sig")
    except UnicodeDecodeError:
        text = content.decode("latin-1")
    if "\x00" in text:
        raise InputError("this is not a CSV file", remedy="Save the table as CSV (comma-separated text).")
    header = text.lstrip().partition("\n")[0]
    separator = max(",;\t", key=header.count)
    try:
        table = pd.read_csv(io.StringIO(text), sep=separator, dtype=str, skipinitialspace=True)
    except (pd.errors.ParserError, pd.errors.EmptyDataError) as error:
        raise InputError(
            f"the seed table cannot be read: {error}", remedy="Its first row is beat_global_id,label_name."
        ) from None
    table.columns = [str(name).strip().casefold() for name in table.columns]
    missing = [name for name in SEED_COLUMNS if name not in table.columns]
    if missing:
        there = ", ".join(map(repr, table.columns[:12]))
        raise InputError(
            f"the seed table has no column {' and '.join(missing)}; its columns are: {there}",
            remedy="It needs beat_global_id and label_name.",
        )
    return table[list(SEED_COLUMNS)]


def check_seeds(table: pd.DataFrame, beat_ids: NDArray[np.integer]) -> SeedTable:
    """Sort the rows of a seed table into seeds and dropped rows.

    Parameters
    ----------
    table : DataFrame
        Columns beat_global_id and label_name, of any type.
    beat_ids : int (n,)
        Beats of the run.
    """
    known = set(np.asarray(beat_ids).tolist())
    seeds: dict[int, str] = {}
    first: dict[int, int] = {}
    dropped: list[tuple[int, object, object, str]] = []
    for number, (beat, name) in enumerate(zip(table["beat_global_id"], table["label_name"], strict=True), start=2):
        id, reason = _beat(beat, known)
        label, wrong = _label(name)
        reason = reason or wrong
        if not reason and id in seeds:
            same = seeds[id] == label
            reason = f"the same beat stands in row {first[id]}" + ("" if same else f" as {seeds[id]}")
        if reason or id is None:
            dropped.append((number, _shown(beat), _shown(name), reason))
        else:
            seeds[id], first[id] = label, number
    good = pd.DataFrame({"beat_global_id": list(seeds), "label_name": list(seeds.values())})
    return SeedTable(good, pd.DataFrame(dropped, columns=list(DROPPED_COLUMNS)))


def _blank(value: object) -> bool:
    return value is None or value is pd.NA or (isinstance(value, float) and np.isnan(value)) or not str(value).strip()


def _shown(value: object) -> str:
    return "" if _blank(value) else str(value).strip()


def _beat(value: object, known: set[int]) -> tuple[int | None, str]:
    if _blank(value):
        return None, "no beat number"
    try:
        number = float(str(value))
    except ValueError:
        return None, f"{_shown(value)!r} is no beat number"
    if not number.is_integer() or int(number) not in known:
        return None, f"this run has no beat {_shown(value)}"
    return int(number), ""


def _label(value: object) -> tuple[str, str]:
    if _blank(value):
        return "", "no label"
    try:
        label = label_id(str(value))
    except InputError:
        label = None
    if label not in FILE_LABELS:
        choices = ", ".join(LABEL_NAMES[known] for known in FILE_LABELS)
        return "", f"{_shown(value)!r} is no label; the labels are: {choices}"
    return label_name(label), ""
