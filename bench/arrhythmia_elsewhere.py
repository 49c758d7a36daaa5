"""Findings on another recorder: a model of all of DS1 reads CinC 2017, hand-held, one strip a patient.

Its strips are labelled as normal, AF, other rhythm (not told which) or noise, and no beats are marked. On normal strips
every ventricular finding counts as false. The model is learned with and without copies of strips under noise.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from bench.common import DS1, REAL, table
from bench.folds import find_as_shipped
from ecg_engine.arrhythmia.classify import classify, study_of
from ecg_engine.arrhythmia.groups import find_groups
from ecg_engine.arrhythmia.learning import LearnConfig, Study, learn
from ecg_engine.labels import UNKNOWN
from ecg_engine.strips import Strips, read_strips

KINDS = {
    "ventricular": (2, 7, 8, 9, 10, 11),
    "of these runs and triplets": (7, 11),
    "PAC": (1,),
    "AF pattern": (5,),
    "flutter pattern": (6,),
    "noise": (-1,),
    "to review": (UNKNOWN,),
}


def described(strips: Strips) -> tuple[Study, NDArray[np.bool_]]:
    """Strips with beats and noise as the shipped weights see them, and which strips cannot be read."""
    found = find_as_shipped(strips)
    return replace(study_of(strips, found.peaks), noise=found.noisy_beats), found.noisy


def main() -> None:
    known, _ = described(read_strips([DS1]))
    strips = read_strips([REAL / "cinc2017_a.xlsx"])
    study, noisy = described(strips)
    group = find_groups(study.beats, study.context)
    rows = []
    for name, config in (("", LearnConfig()), (", no copies under noise", LearnConfig(noisy=0.0))):
        found = classify(learn(known, config), study, group=group, noisy=noisy)
        finding = found.strips["strip_finding"].to_numpy()
        for kind, label in (("Normal", 0), ("AFib", 5), ("other rhythm", -999)):
            mine = finding[strips.label == label]
            shares = [f"{100 * np.mean(np.isin(mine, labels)):.1f}" for labels in KINDS.values()]
            rows.append([kind + name, len(mine), *shares])
    table("Most serious finding on CinC 2017, % of strips; learned from DS1", ["", "strips", *KINDS], rows)


if __name__ == "__main__":
    main()
