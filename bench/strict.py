"""Strict scoring of beats and strips: missed and spurious beats count, with intervals by bootstrap over patients."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import NamedTuple

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from bench.common import REAL
from ecg_engine.evaluation import match_beats
from ecg_engine.strips import Strips

RESAMPLES = 1000


class Read(NamedTuple):
    """What a model made of all strips."""

    strip: NDArray[np.int64]  # (n,) of each beat
    r_sec: NDArray[np.float64]  # (n,)
    aami: NDArray[np.object_]  # (n,) N, S, V, F, or anything else where a beat was not given a class
    finding: NDArray[np.int64]  # (s,) label id


class Score:
    """Counts by patient, so that patients can be drawn again and again."""

    def __init__(self, strips: Strips, patient: NDArray[np.int64]) -> None:
        truth = pd.read_csv(REAL / "mitdb_ds1_beats.csv")
        place = pd.Series(np.arange(len(strips)), index=strips.source_row)
        self.true_strip = place.loc[truth["source_row"]].to_numpy()
        self.true_sec = truth["sample"].to_numpy() / strips.fs
        self.true = truth["aami"].to_numpy()
        self.patient, self.label = patient, strips.label.astype(np.int64)
        self.patients = int(patient.max()) + 1
        self.draws = np.random.default_rng(0).integers(0, self.patients, (RESAMPLES, self.patients))

    def truth_of(self, strip: NDArray[np.int64], r_sec: NDArray[np.float64]) -> NDArray[np.object_]:
        """True class of found beats, "-" for those that are none."""
        match = match_beats(self.true_sec, r_sec, true_strip=self.true_strip, found_strip=strip)
        out = np.full(len(strip), "-", dtype=object)
        out[match.found_index] = self.true[match.true_index]
        return out

    def rpeaks(self, strip: NDArray[np.int64], r_sec: NDArray[np.float64]) -> tuple[str, ...]:
        """F1 of R-peaks at 150 ms, and the shares of V and S that were missed, %; strips of ventricular flutter, which
        have no true beats, are left out."""
        asked, kept = self.label[self.true_strip] != 8, self.label[strip] != 8
        match = match_beats(
            self.true_sec[asked], r_sec[kept], true_strip=self.true_strip[asked], found_strip=strip[kept]
        )
        whose, hit = self.patient[self.true_strip[asked]], np.zeros(int(asked.sum()), dtype=bool)
        hit[match.true_index] = True
        counts = np.stack([2 * self._by(whose[hit]), self._by(whose) + self._by(self.patient[strip[kept]])])
        cells = [self._interval(lambda c: 100 * c[0] / max(c[1], 1), counts)]
        for name in "VS":
            of_class = self.true[asked] == name
            missed = np.stack([self._by(whose[of_class & ~hit]), self._by(whose[of_class])])
            cells.append(self._interval(lambda c: 100 * c[0] / max(c[1], 1), missed))
        return tuple(cells)

    def row(self, name: str, *drawn: Read) -> tuple[str, ...]:
        """One row of the table: F1 of V, S and F, strip accuracy, and macro-F1 over the labels of strips. The counts
        are the mean of several draws."""
        beats = (self._f1(np.mean([self._beat_counts(one, kind) for one in drawn], axis=0)) for kind in "VSF")
        right = np.mean([self._by(self.patient[one.finding == self.label]) for one in drawn], axis=0)
        accuracy = self._interval(lambda c: c[0] / max(c[1], 1), np.stack([right, self._by(self.patient)]))
        return (name, *beats, accuracy, self._macro(drawn))

    def _beat_counts(self, read: Read, name: str) -> NDArray[np.float64]:
        given = read.aami == name
        hit = given & (self.truth_of(read.strip, read.r_sec) == name)
        whose = self.patient[read.strip]
        support = self._by(self.patient[self.true_strip[self.true == name]])
        return np.stack([self._by(whose[hit]), self._by(whose[given]) + support])

    def _f1(self, counts: NDArray[np.float64]) -> str:
        return self._interval(lambda c: 2 * c[0] / max(c[1], 1), counts)

    def _macro(self, drawn: Sequence[Read]) -> str:
        labels = np.unique(self.label)
        counts = []
        for label in labels:
            filed = self.label == label
            hits = np.mean([self._by(self.patient[filed & (one.finding == label)]) for one in drawn], axis=0)
            named = np.mean([self._by(self.patient[one.finding == label]) for one in drawn], axis=0)
            counts += [hits, named + self._by(self.patient[filed]), self._by(self.patient[filed])]

        def figure(c: NDArray[np.float64]) -> float:
            hits, both, filed = c[0::3], c[1::3], c[2::3]
            there = filed > 0
            return float(np.mean(2 * hits[there] / both[there]))

        return self._interval(figure, np.stack(counts))

    def _by(self, patient: NDArray[np.int64]) -> NDArray[np.float64]:
        return np.bincount(patient, minlength=self.patients).astype(np.float64)

    def _interval(self, figure: Callable[[NDArray[np.float64]], float], counts: NDArray[np.float64]) -> str:
        drawn = [figure(counts[:, draw].sum(axis=1)) for draw in self.draws]
        low, high = np.quantile(drawn, [0.025, 0.975])
        return f"{figure(counts.sum(axis=1)):.3f} ({low:.3f}–{high:.3f})"
