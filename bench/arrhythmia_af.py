"""The AF pattern against normal rhythm on a database on which nothing was trained (CinC 2017, hand-held recorders)."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from bench.common import REAL, table
from ecg_engine.arrhythmia.classify import study_of
from ecg_engine.arrhythmia.findings import AF_SHOWN
from ecg_engine.arrhythmia.rpeaks import find_rpeaks_of_block
from ecg_engine.conditioning import blocks, stacked
from ecg_engine.evaluation import auroc
from ecg_engine.strips import Strips, read_strips


def peaks_of(strips: Strips) -> list[NDArray[np.int64]]:
    found: list[NDArray[np.int64]] = [np.zeros(0, dtype=np.int64)] * len(strips)
    for rows in blocks(strips.offsets):
        block = stacked(strips.samples, strips.offsets, rows)
        for row, peaks in zip(rows, find_rpeaks_of_block(block, strips.fs).peaks, strict=True):
            found[row] = peaks
    return found


def main() -> None:
    strips = read_strips([REAL / "cinc2017_a.xlsx"])
    study = study_of(strips, peaks_of(strips))
    asked = np.isin(strips.label, (0, 5))
    truth, af = strips.label[asked] == 5, study.context.af[asked]
    shown = af >= AF_SHOWN
    hit = float(np.sum(shown & truth))
    table(
        f"AF against normal on CinC 2017 ({int(truth.sum())} and {int((~truth).sum())} strips), nothing trained on it",
        ("AUROC", "Se", "Sp", "+P", "F1"),
        [
            (
                f"{auroc(af, truth):.3f}",
                f"{hit / truth.sum():.3f}",
                f"{np.mean(~shown[~truth]):.3f}",
                f"{hit / shown.sum():.3f}",
                f"{2 * hit / (shown.sum() + truth.sum()):.3f}",
            )
        ],
    )


if __name__ == "__main__":
    main()
