"""Beats and strips of patients not trained on, learned from labels of strips alone, and with groups labelled.

Five patient-grouped folds on MIT-BIH DS1. Strictly scored: missed and spurious beats count, all strips are in, and 95 %
intervals come from a bootstrap over patients. Groups are labelled as a reader would: one random member of the group is
shown, and its true class is taken for all; the mean of five such draws is given.
"""

from __future__ import annotations

import sys
from collections.abc import Callable

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from bench.arrhythmia_af import peaks_of
from bench.common import DS1, REAL, lap, table
from ecg_engine.arrhythmia.beat_classes import FitConfig
from ecg_engine.arrhythmia.classify import Classified, decide, study_of
from ecg_engine.arrhythmia.findings import OSCILLATION_SHOWN
from ecg_engine.arrhythmia.groups import find_groups, rank_groups, smooth
from ecg_engine.arrhythmia.hybrid_fit import HybridConfig
from ecg_engine.arrhythmia.learning import LearnConfig, Study, learn
from ecg_engine.arrhythmia.runs import SYMBOLS
from ecg_engine.evaluation import match_beats
from ecg_engine.strips import Strips, read_strips

FOLDS, RESAMPLES, DRAWS = 5, 1000, 5
LABEL_OF = np.array([0, 1, 2, 9])
SETTINGS = {
    "": LearnConfig(),
    "without the convolutions": LearnConfig(FitConfig(use_cnn=False)),
    "labels of strips alone, nothing made": LearnConfig(moved=0.0, set_in=0.0),
    "with the hybrid net": LearnConfig(hybrid=HybridConfig()),
}


def folds_of(patient: NDArray[np.int64]) -> NDArray[np.int64]:
    shuffled = np.random.RandomState(0).permutation(int(patient.max()) + 1)
    number = np.empty(len(shuffled), dtype=np.int64)
    number[shuffled] = np.arange(len(shuffled)) % FOLDS
    return number[patient]


def held_out(study: Study, config: LearnConfig) -> tuple[NDArray[np.float32], list[float]]:
    fold = folds_of(study.beats.patient)
    p, seconds = np.zeros((len(study.beats), len(SYMBOLS)), dtype=np.float32), []
    for one in range(FOLDS):
        with lap() as learning:
            model = learn(study.strips(np.flatnonzero(fold != one)), config)
        seconds.append(learning.wall)
        rows = np.flatnonzero(fold == one)
        p[np.isin(study.beats.strip, rows)] = model.probabilities(study.strips(rows).examples)
    return p, seconds


class Score:
    """Strict counts by patient, so that patients can be drawn again and again."""

    def __init__(self, study: Study, strips: Strips) -> None:
        truth = pd.read_csv(REAL / "mitdb_ds1_beats.csv")
        match = match_beats(
            truth["sample"] / strips.fs,
            study.beats.r_sec,
            true_strip=truth["source_row"],
            found_strip=study.beats.strip,
        )
        self.true = truth["aami"].to_numpy()
        self.true_patient = study.beats.patient[truth["source_row"].to_numpy()]
        self.found_patient = study.beats.patient[study.beats.strip]
        self.found_true = np.full(len(study.beats), "-", dtype=object)
        self.found_true[match.found_index] = self.true[match.true_index]
        self.patients = int(study.beats.patient.max()) + 1
        self.strip_patient, self.label = study.beats.patient, study.labels
        self.draws = np.random.default_rng(0).integers(0, self.patients, (RESAMPLES, self.patients))

    def f1(self, drawn: list[Classified], name: str) -> str:
        """F1 of a class with its interval, the counts being the mean of several draws."""
        counts = []
        for one in drawn:
            given = one.beats["aami"].to_numpy(dtype=object) == name
            hit = given & (self.found_true == name)
            counts.append([self._by(self.found_patient[hit]), self._by(self.found_patient[given])])
        hits, named = np.mean(counts, axis=0)
        support = self._by(self.true_patient[self.true == name])
        return self._interval(lambda c: 2 * c[0] / max(c[1] + c[2], 1), np.stack([hits, named, support]))

    def strips(self, drawn: list[Classified]) -> str:
        """Share of strips with the label that was filed, with its interval."""
        right = [self._by(self.strip_patient[one.strips["strip_finding"] == self.label]) for one in drawn]
        counts = np.stack([np.mean(right, axis=0), self._by(self.strip_patient)])
        return self._interval(lambda c: c[0] / max(c[1], 1), counts)

    def _by(self, patient: NDArray[np.int64]) -> NDArray[np.float64]:
        return np.bincount(patient, minlength=self.patients).astype(np.float64)

    def _interval(self, figure: Callable[[NDArray[np.float64]], float], counts: NDArray[np.float64]) -> str:
        drawn = [figure(counts[:, draw].sum(axis=1)) for draw in self.draws]
        low, high = np.quantile(drawn, [0.025, 0.975])
        return f"{figure(counts.sum(axis=1)):.3f} ({low:.3f}–{high:.3f})"

    def row(self, name: str, *drawn: Classified) -> tuple[str, ...]:
        """One row of the table."""
        return (name, *(self.f1(list(drawn), one) for one in "VSF"), self.strips(list(drawn)))


class _Plain:
    """What :func:`decide` asks of a model when the probabilities come from several."""

    labels, acts_as = (0, 1, 2, 9), (0, 1, 2, 3)


def main() -> None:
    names = [name for name in SETTINGS if not sys.argv[1:] or name in sys.argv[1:]]
    strips = read_strips([DS1])
    study = study_of(strips, peaks_of(strips))
    score = Score(study, strips)
    with lap() as grouping:
        group = find_groups(study.beats, study.context)
    rows, seconds, best = [], [], None
    for name in names:
        p, took = held_out(study, SETTINGS[name])
        seconds += [took] if name == "" else []
        best = smooth(p, group) if best is None else best
        rows.append(score.row(name or "labels of strips alone", decided(study, smooth(p, group), group)))
        if name == "":
            rows.append(score.row("… without the groups' say", decided(study, p, group)))
    assert best is not None
    # where the strip swings without QRS complexes there is nothing to label
    beats = (study.oscillation < OSCILLATION_SHOWN)[study.beats.strip]
    asked = np.where(beats[:, None], best, np.array([1, 0, 0, 0], dtype=np.float32))
    ranked = rank_groups(group, asked, score.found_patient)["group"].to_numpy()
    for count in (50, 100, 200):
        draws = []
        for seed in range(DRAWS):
            rng, labelled, shown = np.random.default_rng(seed), {}, {}
            for one in ranked[:count].tolist():
                member = int(rng.choice(np.flatnonzero(group == one)))
                if score.found_true[member] in SYMBOLS:
                    labelled[one] = int(LABEL_OF[SYMBOLS.index(score.found_true[member])])
                    shown[one] = member
            draws.append(decided(study, best, group, labelled, shown))
        rows.append(score.row(f"+ {count} groups labelled", *draws))
    table(
        f"Patients not trained on ({FOLDS} folds of DS1, {len(strips):,} strips, strictly scored; 95 % over patients)",
        ("", "V F1", "S F1", "F F1", "strip accuracy"),
        rows,
    )
    table(
        "Time",
        ("", "s"),
        [
            (f"learning on four fifths of DS1, mean of {FOLDS}", f"{np.mean(seconds[0]) if seconds else np.nan:.0f}"),
            (f"groups of {len(study.beats):,} beats: {int(group.max()) + 1}", f"{grouping.wall:.0f}"),
        ],
    )


def decided(
    study: Study,
    p: NDArray[np.float32],
    group: NDArray[np.int64],
    labelled: dict[int, int] | None = None,
    shown: dict[int, int] | None = None,
) -> Classified:
    return decide(_Plain, study, p, group, labelled, shown, least_confidence=0.0)  # type: ignore[arg-type]


if __name__ == "__main__":
    main()
