"""What a second look without a model finds: ventricular beats, flagged ectopics, strips at odds with their beats.

The constants are fitted on the true beats of MIT-BIH DS1, with the beats of CinC 2017's Normal and AFib strips as beats
that are not ventricular, so that spoilt beats of another recorder are not taken for ectopic ones. Each patient of DS1
is judged by constants fitted without her, each strip of CinC (one a patient) by constants fitted without its fifth;
those fitted to all are what the engine holds. The limits of the rules on strips were chosen with all of it in view.
"""

from __future__ import annotations

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from sklearn.linear_model import LogisticRegression

from bench.common import DS1, REAL, table
from ecg_engine.config import PreprocessConfig
from ecg_engine.contradictions import (
    AFIB,
    BRADYCARDIA,
    COUPLETS,
    NORMAL,
    PAC,
    PVC,
    TACHYCARDIA,
    clear_beats,
    contradictions,
    rhythm,
)
from ecg_engine.ectopy import FEATURES, Ectopy, ectopy
from ecg_engine.evaluation import match_beats
from ecg_engine.labels import UNLABELLED, aami_class, label_name
from ecg_engine.preprocess import Run, preprocess
from ecg_engine.strips import read_strips
from ecg_engine.suspects import SUSPECT_LIMIT

CINC = REAL / "cinc2017_a.xlsx"
CINC_WEIGHT = 0.3
"""What a beat of CinC counts beside one of DS1: their labels are of strips, and there are as many of them."""
FOLDS = 5
SWAPS = (
    *((PVC, NORMAL), (COUPLETS, NORMAL), (PAC, NORMAL), (AFIB, NORMAL), (BRADYCARDIA, NORMAL), (TACHYCARDIA, NORMAL)),
    *((NORMAL, PVC), (NORMAL, PAC), (NORMAL, AFIB), (NORMAL, TACHYCARDIA), (AFIB, PVC), (PVC, AFIB), (PAC, PVC)),
)
"""A strip's true label, and what it is wrongly labelled instead."""
WRONG_SHARE = 0.05

Mask = NDArray[np.bool_]
Floats = NDArray[np.float64]


def true_classes(run: Run) -> NDArray[np.str_]:
    """AAMI class of the true beat at each beat of a run, "-" where there is none."""
    truth = pd.read_csv(REAL / "mitdb_ds1_beats.csv")
    match = match_beats(
        truth["sample"] / run.fs,
        run.metadata["r_index"] / run.fs,
        true_strip=truth["source_row"],
        found_strip=run.metadata["source_row"],
    )
    classes = np.full(len(run.metadata), "-")
    classes[match.found_index] = truth["aami"].to_numpy(dtype=str)[match.true_index]
    return classes


def fitted(features: Floats, target: Mask, weight: Floats | None = None) -> LogisticRegression:
    return LogisticRegression(max_iter=3000).fit(features, target, sample_weight=weight)


def without(groups: NDArray[np.object_], features: Floats, target: Mask) -> Floats:
    """Log odds of each row from a regression on the rows of all other groups."""
    odds = np.zeros(len(target))
    for group in np.unique(groups):
        others = groups != group
        odds[~others] = fitted(features[others], target[others]).decision_function(features[~others])
    return odds


def share(of: Mask, among: Mask) -> str:
    return f"{of[among].mean():.1%}" if among.any() else "-"


def chance(odds: Floats) -> Floats:
    return np.asarray(1.0 / (1.0 + np.exp(-odds)))


class Both:
    """DS1 and CinC, their beats' looks, and fits on parts of them."""

    def __init__(self) -> None:
        config = PreprocessConfig()
        self.ds1, self.cinc = (preprocess(read_strips([path], config), config) for path in (DS1, CINC))
        self.looks, self.cinc_looks = ectopy(self.ds1), ectopy(self.cinc)
        self.truth = true_classes(self.ds1)
        self.patient = self.ds1.metadata["patient_id"].astype(str).to_numpy(dtype=object)
        self.no_ectopic = np.isin(self.cinc.labels, (NORMAL, AFIB))

    def fit(self, mine: Mask, theirs: Mask) -> LogisticRegression:
        """Fit to some beats of DS1 and some of CinC."""
        features = np.concatenate([self.looks.features[mine], self.cinc_looks.features[theirs]])
        target = np.concatenate([self.truth[mine] == "V", np.zeros(theirs.sum(), dtype=bool)])
        weight = np.concatenate([np.ones(mine.sum()), np.full(theirs.sum(), CINC_WEIGHT)])
        return fitted(features, target, weight)

    def all(self) -> LogisticRegression:
        """Fit to all that are known."""
        return self.fit(np.ones(len(self.truth), dtype=bool), self.no_ectopic)

    def held_out(self) -> tuple[Floats, Floats]:
        """Log odds of the beats of DS1 and of CinC."""
        mine, theirs = np.zeros(len(self.truth)), np.zeros(len(self.cinc.labels))
        for who in np.unique(self.patient):
            others = self.patient != who
            model = self.fit(others, self.no_ectopic)
            mine[~others] = model.decision_function(self.looks.features[~others])
        fold = self.cinc.strip_of_beat % FOLDS
        for number in range(FOLDS):
            model = self.fit(np.ones(len(self.truth), dtype=bool), self.no_ectopic & (fold != number))
            theirs[fold == number] = model.decision_function(self.cinc_looks.features[fold == number])
        return mine, theirs


def main() -> None:
    both = Both()
    odds, cinc_odds = both.held_out()
    _beats(both, odds)
    _flagged(both, odds)
    _strips(both, chance(odds), chance(cinc_odds))


def _beats(both: Both, odds: Floats) -> None:
    ventricular, found = both.truth == "V", chance(odds)
    rows = [(f"{limit:.2f}", share(found >= limit, ventricular), share(ventricular, found >= limit))
            for limit in (0.15, 0.3, 0.5, 0.6, 0.7, 0.9)]  # fmt: skip
    title = f"Ventricular beats of DS1, held-out patients ({ventricular.sum():,} of {len(odds):,})"
    table(title, ("from", "Se", "+P"), rows)
    model = both.all()
    weights = [(name, f"{weight:.3f}") for name, weight in zip(FEATURES, model.coef_[0], strict=True)]
    weights.append(("intercept", f"{model.intercept_[0]:.3f}"))
    table("Constants of how ventricular a beat looks, fitted to all", ("feature", "weight"), weights)


def _flagged(both: Both, odds: Floats) -> None:
    run, truth = both.ds1, both.truth
    rows = np.flatnonzero(run.noise_flags == 1)
    ectopic, patient = np.isin(truth, ("V", "S"))[rows], both.patient[rows]
    family = np.array([aami_class(label) or "" for label in run.labels[rows].tolist()])
    own = odds[rows]
    columns = [own, *((family == name).astype(float) for name in ("V", "S", "N")), own * (family == "S")]
    labelled, alone = np.stack(columns, axis=1), own[:, None]
    results = []
    for name, features in (("with strip labels", labelled), ("without", alone)):
        found = chance(without(patient, features, ectopic))
        for limit in sorted({0.3, SUSPECT_LIMIT, 0.5, 0.6}):
            listed = found >= limit
            each = [ectopic[listed & (patient == who)].mean() for who in np.unique(patient)
                    if (listed & (patient == who)).sum() >= 5]  # fmt: skip
            results.append(
                (f"{name}, {limit:.1f}", int(listed.sum()), share(listed, truth[rows] == "V"),
                 share(listed, truth[rows] == "S"), share(ectopic, listed), f"{np.mean(each):.1%}")
            )  # fmt: skip
    counts = ", ".join(
        f"{name} {int((truth[rows] == name).sum()):,} of {int((truth == name).sum()):,}" for name in "VSN"
    )
    table(
        f"Flagged beats of DS1 that look ectopic, held-out patients ({len(rows):,} flagged: {counts})",
        ("list, from", "beats", "V on it", "S on it", "ectopic", "mean over patients"),
        results,
    )
    with_label, one = fitted(labelled, ectopic), fitted(alone, ectopic)
    base, weights = with_label.intercept_[0], with_label.coef_[0]
    by_family = [
        ("V", base + weights[1], weights[0]),
        ("S", base + weights[2], weights[0] + weights[4]),
        ("N", base + weights[3], weights[0]),
        ("other", base, weights[0]),
        ("unlabelled", one.intercept_[0], one.coef_[0][0]),
    ]
    cells = [(name, f"{start:.2f}", f"{rise:.2f}") for name, start, rise in by_family]
    table("Constants of flagged beats, fitted to all", ("strip", "intercept", "slope"), cells)


class _Judge:
    """Which strips of a run are listed under given labels."""

    def __init__(self, run: Run, looks: Ectopy, found: Floats) -> None:
        assert run.strips is not None
        self.given, self.strip, self.found = np.asarray(run.strips.label), run.strip_of_beat, found
        self.timing = rhythm(run, looks)
        self.clear = clear_beats(looks, self.strip, self.timing)

    def __call__(self, labels: NDArray[np.int32]) -> Mask:
        listed = np.zeros(len(labels), dtype=bool)
        found = contradictions(labels, self.strip, self.found, self.timing, clear=self.clear)
        listed[found.places] = True
        return listed

    def swapped(self, right: int, wrong: int) -> tuple[int, str]:
        which = self.given == right
        return int(which.sum()), share(self(np.where(which, wrong, self.given).astype(np.int32)), which)


def _strips(both: Both, found: Floats, cinc_found: Floats) -> None:
    ds1, cinc = _Judge(both.ds1, both.looks, found), _Judge(both.cinc, both.cinc_looks, cinc_found)
    rows = []
    for name, judge in (("DS1", ds1), ("CinC", cinc)):
        doubted = judge(judge.given)
        for label in np.unique(judge.given[judge.given != UNLABELLED]).tolist():
            which = judge.given == label
            rows.append(
                (f"{name}, {label_name(label)}", int(which.sum()), int(doubted[which].sum()), share(doubted, which))
            )
        rows.append((f"{name}, all", len(doubted), int(doubted.sum()), f"{doubted.mean():.1%}"))
    table("Strips with their right label that the list holds", ("strips", "number", "listed", "share"), rows)
    swapped = [
        (f"DS1, {label_name(right)} labelled {label_name(wrong)}", *ds1.swapped(right, wrong)) for right, wrong in SWAPS
    ]
    swapped += [(f"CinC, {label_name(right)} labelled {label_name(wrong)}", *cinc.swapped(right, wrong))
                for right, wrong in ((NORMAL, AFIB), (AFIB, NORMAL), (NORMAL, PVC))]  # fmt: skip
    table("Strips with a wrong label that the list holds", ("strips", "number", "found"), swapped)
    rng = np.random.default_rng(42)
    mixed, changed = ds1.given.copy(), np.zeros(len(ds1.given), dtype=bool)
    for place in rng.permutation(len(mixed))[: int(WRONG_SHARE * len(mixed))].tolist():
        choices = [wrong for right, wrong in SWAPS if right == mixed[place]]
        if choices:
            mixed[place], changed[place] = rng.choice(choices), True
    hits = ds1(mixed)
    table(
        f"{changed.sum()} of {len(mixed):,} strips of DS1 given a wrong label at random",
        ("listed", "wrong ones found", "of the list wrong"),
        [(int(hits.sum()), share(hits, changed), share(changed, hits))],
    )


if __name__ == "__main__":
    main()
