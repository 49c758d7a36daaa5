"""Strips of kinds that were left out of training against known ones, all of patients held out.

Five folds of patients on MIT-BIH DS1. For each kind its strips are taken out of training, whoever's they are; known
strips are those of held-out patients that show nothing that only one patient shows (ventricular flutter, atrial
flutter, pre-excitation: of those no other patient can have taught anything). Intervals of 95 % come from a bootstrap
over patients, drawn apart for the known strips and for those of the kind: where one patient shows a kind, they tell
how it would be with other known patients, not with other patients of the kind.
"""

from __future__ import annotations

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from bench.arrhythmia_af import peaks_of
from bench.common import DS1, REAL, lap, table
from bench.folds import FOLDS, folds_of
from ecg_engine.arrhythmia.classify import study_of
from ecg_engine.arrhythmia.learning import Study
from ecg_engine.arrhythmia.unknown import PARTS, KnownPatterns, learn_known, together
from ecg_engine.evaluation import auroc
from ecg_engine.strips import read_strips

RESAMPLES = 1000
REVIEWED = (0.05, 0.02)

Flags = NDArray[np.bool_]
Scores = NDArray[np.floating]


def kinds_of() -> dict[str, Flags]:
    """Strips of DS1 by what the database's own marks say of rhythm and beats."""
    rhythm = pd.read_csv(REAL / "mitdb_ds1_strips.csv")["rhythm"]
    beats = pd.read_csv(REAL / "mitdb_ds1_beats.csv")
    bundle = beats.loc[beats["symbol"].isin(["L", "R"]), "source_row"]
    names = {
        "ventricular flutter / fibrillation": "(VFL",
        "atrial flutter": "(AFL",
        "ventricular tachycardia": "(VT",
        "bigeminy": "(B",
        "bundle branch block": None,
        "atrial fibrillation": "(AFIB",
        "pre-excitation": "(PREX",
    }
    blocked = np.bincount(bundle, minlength=len(rhythm)) >= 3
    return {name: blocked if mark is None else (rhythm == mark).to_numpy() for name, mark in names.items()}


def learned(study: Study, rows: NDArray[np.integer]) -> KnownPatterns:
    known = learn_known(study.strips(rows))
    assert known is not None
    return known


def held_out(study: Study, left_out: Flags) -> tuple[Scores, Scores, Scores]:
    """Score, share and parts of every strip, by what was learned of other folds' strips that are not left out."""
    fold = folds_of(study.beats.patient)
    score, share = np.zeros(len(fold)), np.zeros(len(fold))
    parts = np.zeros((len(fold), len(PARTS)))
    for one in range(FOLDS):
        known = learned(study, np.flatnonzero((fold != one) & ~left_out))
        rows = np.flatnonzero(fold == one)
        part = study.strips(rows)
        parts[rows] = known.parts(part)
        score[rows] = together(parts[rows].astype(np.float32))
        share[rows] = known.share(score[rows].astype(np.float32))
    return score, share, parts


class Contest:
    """Scores of strips of a kind against those of known ones, with patients drawn again and again."""

    def __init__(self, score: Scores, kind: Flags, known: Flags, patient: NDArray[np.int64]) -> None:
        order = np.argsort(score, kind="stable")
        self.score, self.kind, self.known = score[order], kind[order], known[order]
        self.patient, self.patients = patient[order], int(patient.max()) + 1

    def figures(self, of_kind: NDArray[np.int64], of_known: NDArray[np.int64]) -> tuple[float, ...]:
        """AUROC, and the share of the kind above the thresholds that send ``REVIEWED`` of the known to review."""
        kind, known = self.kind * of_kind[self.patient], self.known * of_known[self.patient]
        below = np.cumsum(known)
        # strips with the same score count half
        first, last = (np.searchsorted(self.score, self.score, side) for side in ("left", "right"))
        before = np.concatenate([[0], below])
        wins = (before[first] + before[last]) / 2
        thresholds = [self.score[np.searchsorted(below, (1 - share) * below[-1])] for share in REVIEWED]
        caught = [float((kind * (self.score > at)).sum() / kind.sum()) for at in thresholds]
        return float((kind * wins).sum() / (kind.sum() * below[-1])), *caught

    def told(self) -> tuple[str, ...]:
        """All figures with their intervals."""
        whole = np.ones(self.patients, dtype=np.int64)
        rng, of_kind, of_known = np.random.default_rng(0), np.unique(self.patient[self.kind]), self._of_known()
        drawn = np.array(
            [
                self.figures(
                    np.bincount(rng.choice(of_kind, len(of_kind)), minlength=self.patients),
                    np.bincount(rng.choice(of_known, len(of_known)), minlength=self.patients),
                )
                for _ in range(RESAMPLES)
            ]
        )
        low, high = np.quantile(drawn, [0.025, 0.975], axis=0)
        auc, *caught = self.figures(whole, whole)
        shares = zip(caught, low[1:], high[1:], strict=True)
        return f"{auc:.3f} ({low[0]:.3f}–{high[0]:.3f})", *(
            f"{100 * one:.0f} % ({100 * a:.0f}–{100 * b:.0f})" for one, a, b in shares
        )

    def _of_known(self) -> NDArray[np.int64]:
        return np.unique(self.patient[self.known])


def left_out_kinds(study: Study, kinds: dict[str, Flags], nothing: tuple[Scores, Scores, Scores]) -> None:
    patient = study.beats.patient
    lonely = np.any([kind for kind in kinds.values() if len(np.unique(patient[kind])) == 1], axis=0)
    rows, by_part = [], []
    for name, kind in kinds.items():
        score, _, parts = held_out(study, kind)
        known = ~kind & ~lonely
        taught, caught_taught, _ = Contest(nothing[0], kind, known, patient).told()
        once = len(np.unique(patient[kind])) == 1
        rows.append(
            (
                name,
                f"{kind.sum()} of {len(np.unique(patient[kind]))}",
                *Contest(score, kind, known, patient).told(),
                f"{_auroc(score, kind, ~kind):.3f}",
                "–" if once else taught.split()[0],
                "–" if once else caught_taught.split(" (")[0],
            )
        )
        by_part.append((name, *(f"{_auroc(one, kind, known):.3f}" for one in parts.T)))
    table(
        f"Kinds left out of training against known strips of patients held out ({FOLDS} folds of DS1)",
        (
            "",
            "strips of patients",
            "AUROC",
            "caught with 5 % of known ones",
            "with 2 %",
            "AUROC against all others",
            "AUROC if taught by others",
            "caught then (5 %)",
        ),
        rows,
    )
    table("The same, by part alone: AUROC", ("", *PARTS), by_part)


def calibration(study: Study, nothing: tuple[Scores, Scores, Scores]) -> None:
    share, label = nothing[1], study.labels
    names = {"all": label > -2, "normal": label == 0, "PAC": label == 1, "PVC": label == 2, "couplet": label == 10}
    names |= {"AFib": label == 5, "run of V": label == 7, "filed as noise": label == -1}
    rows = [
        (name, int(of.sum()), *(f"{np.mean(share[of] < at):.1%}".replace("%", " %") for at in (0.01, 0.02, 0.05, 0.1)))
        for name, of in names.items()
    ]
    header = ("", "strips", "below .01", "below .02", "below .05", "below .1")
    table("Share of known strips as strange: DS1, patients held out, nothing left out", header, rows)


def other_recorder(study: Study, kinds: dict[str, Flags]) -> None:
    strips = read_strips([REAL / "cinc2017_a.xlsx"])
    other = study_of(strips, peaks_of(strips))
    whole = learned(study, np.arange(len(study.labels)))
    without = learned(study, np.flatnonzero(~kinds["atrial fibrillation"] & ~kinds["atrial flutter"]))
    share, score = whole.share(whole.score(other)), without.score(other)
    label, rows = other.labels, []
    names = {"normal": label == 0, "other rhythm": label == -999, "AFib": label == 5, "noise": label == -1}
    for name, of in names.items():
        versus = "–" if name == "normal" else f"{_auroc(score, of, label == 0):.3f}"
        below = (f"{np.mean(share[of] < at):.1%}".replace("%", " %") for at in (0.02, 0.05))
        rows.append((name, int(of.sum()), *below, versus))
    header = ("", "strips", "below .02", "below .05", "AUROC against normal, AF and flutter left out")
    table("CinC 2017 (hand-held recorders), all of DS1 known", header, rows)


def _auroc(score: Scores, kind: Flags, known: Flags) -> float:
    chosen = kind | known
    return auroc(score[chosen], kind[chosen])


def main() -> None:
    strips = read_strips([DS1])
    study, kinds = study_of(strips, peaks_of(strips)), kinds_of()
    nothing = held_out(study, np.zeros(len(strips), dtype=bool))
    left_out_kinds(study, kinds, nothing)
    calibration(study, nothing)
    other_recorder(study, kinds)
    with lap() as learning:
        known = learned(study, np.arange(len(strips)))
    with lap() as scoring:
        known.score(study)
    table(
        "Processor time and size",
        ("", ""),
        [
            ("learning all of DS1, s", f"{learning.processor:.1f}"),
            ("score, ms a strip", f"{1000 * scoring.processor / len(strips):.2f}"),
            ("size, kB", f"{sum(one.nbytes for one in vars(known).values()) / 1000:.0f}"),
        ],
    )


if __name__ == "__main__":
    main()
