"""The small real file with its true beats, cut and described once for all tests here."""

from __future__ import annotations

from functools import cache
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from ecg_engine.arrhythmia.context import Context, describe
from ecg_engine.arrhythmia.references import CutBeats, References, cut_beats, find_references
from ecg_engine.strips import Strips, read_strips


class Small(NamedTuple):
    strips: Strips
    peaks: list[NDArray[np.int64]]
    aami: NDArray[Any]
    beats: CutBeats
    references: References
    context: Context


@cache
def small(folder: Path) -> Small:
    strips = read_strips(folder / "mitdb_ds1_small.xlsx")
    truth = pd.read_csv(folder / "mitdb_ds1_small_beats.csv").sort_values(["source_row", "sample"])
    groups = truth.groupby("source_row")["sample"]
    none = np.zeros(0, dtype=np.int64)
    peaks = [groups.get_group(row).to_numpy() if row in groups.groups else none for row in strips.source_row]
    beats = cut_beats(strips.samples, strips.offsets, strips.fs, peaks, strips.patient_id)
    references = find_references(beats)
    return Small(strips, peaks, truth["aami"].to_numpy(), beats, references, describe(beats, references))
