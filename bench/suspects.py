"""What a second look without a model finds: ventricular beats, flagged ectopics, strips at odds with their beats.

Each patient of DS1 is judged by constants fitted to the other 21; those fitted to all are what the engine holds. The
limits of the rules on strips were chosen by eye on all of DS1.
"""

from __future__ import annotations

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from sklearn.linear_model import LogisticRegression

from bench.common import DS1, REAL, table
from ecg_engine.config import PreprocessConfig
from ecg_engine.contradictions import AFIB, BRADYCARDIA, COUPLETS, NORMAL, PAC, PVC, TACHYCARDIA, contradictions, rhythm
from ecg_engine.ectopy import FEATURES, design, ectopy
from ecg_engine.evaluation import match_beats
from ecg_engine.labels import UNLABELLED, aami_class, label_name
from ecg_engine.preprocess import Run, preprocess
from ecg_engine.strips import read_strips
from ecg_engine.suspects import SUSPECT_LIMIT

SWAPS = (
    *((PVC, NORMAL), (COUPLETS, NORMAL), (PAC, NORMAL), (AFIB, NORMAL), (BRADYCARDIA, NORMAL), (TACHYCARDIA, NORMAL)),
    *((NORMAL, PVC), (NORMAL, PAC), (NORMAL, AFIB), (NORMAL, TACHYCARDIA), (AFIB, PVC), (PVC, AFIB), (PAC, PVC)),
)
"""A strip's true label, and what it is wrongly labelled instead."""
WRONG_SHARE = 0.05


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


def held_out(
    features: NDArray[np.float64], target: NDArray[np.bool_], patient: NDArray[np.object_]
) -> NDArray[np.float64]:
    """Log odds of each row from a regression on the other patients' rows."""
    odds = np.zeros(len(target))
    for who in np.unique(patient):
        others = patient != who
        odds[~others] = fitted(features[others], target[others]).decision_function(features[~others])
    return odds


def fitted(features: NDArray[np.float64], target: NDArray[np.bool_]) -> LogisticRegression:
    return LogisticRegression(max_iter=2000).fit(features, target)


def share(of: NDArray[np.bool_], among: NDArray[np.bool_]) -> str:
    return f"{of[among].mean():.1%}" if among.any() else "-"


def main() -> None:
    config = PreprocessConfig()
    run = preprocess(read_strips([DS1], config), config)
    patient = run.metadata["patient_id"].astype(str).to_numpy(dtype=object)
    truth = true_classes(run)
    ventricular, ectopic = truth == "V", np.isin(truth, ("V", "S"))
    found = ectopy(run)
    shape = design(found.early, found.pause, found.alike, found.wide)
    odds = held_out(shape, ventricular, patient)
    _beats(odds, shape, ventricular)
    _flagged(run, odds, truth, ectopic, patient)
    _strips(run, 1.0 / (1.0 + np.exp(-odds)))


def _beats(odds: NDArray[np.float64], shape: NDArray[np.float64], ventricular: NDArray[np.bool_]) -> None:
    chance = 1.0 / (1.0 + np.exp(-odds))
    rows = [(f"{limit:.1f}", share(chance >= limit, ventricular), share(ventricular, chance >= limit))
            for limit in (0.2, 0.3, 0.5, 0.7, 0.9)]  # fmt: skip
    table(f"Ventricular beats, held-out patients ({ventricular.sum():,} of {len(odds):,})", ("from", "Se", "+P"), rows)
    model = fitted(shape, ventricular)
    weights = [(name, f"{weight:.3f}") for name, weight in zip(FEATURES, model.coef_[0], strict=True)]
    table("Constants, all patients", ("feature", "weight"), [*weights, ("intercept", f"{model.intercept_[0]:.3f}")])


def _flagged(
    run: Run,
    odds: NDArray[np.float64],
    truth: NDArray[np.str_],
    ectopic: NDArray[np.bool_],
    patient: NDArray[np.object_],
) -> None:
    rows = np.flatnonzero(run.noise_flags == 1)
    family = np.array([aami_class(label) or "" for label in run.labels[rows].tolist()])
    own = odds[rows]
    columns = [own, *((family == name).astype(float) for name in ("V", "S", "N")), own * (family == "S")]
    labelled, alone = np.stack(columns, axis=1), own[:, None]
    results = []
    for name, features in (("with strip labels", labelled), ("without", alone)):
        chance = 1.0 / (1.0 + np.exp(-held_out(features, ectopic[rows], patient[rows])))
        for limit in sorted({0.3, SUSPECT_LIMIT, 0.5, 0.6}):
            listed = chance >= limit
            each = [ectopic[rows][listed & (patient[rows] == who)].mean() for who in np.unique(patient)
                    if (listed & (patient[rows] == who)).sum() >= 5]  # fmt: skip
            results.append(
                (f"{name}, {limit:.1f}", int(listed.sum()), share(listed, truth[rows] == "V"),
                 share(listed, truth[rows] == "S"), share(ectopic[rows], listed), f"{np.mean(each):.1%}")
            )  # fmt: skip
    counts = ", ".join(
        f"{name} {int((truth[rows] == name).sum()):,} of {int((truth == name).sum()):,}" for name in "VSN"
    )
    table(
        f"Flagged beats that look ectopic, held-out patients ({len(rows):,} flagged: {counts})",
        ("list", "beats", "V on it", "S on it", "ectopic", "mean over patients"),
        results,
    )
    both, one = fitted(labelled, ectopic[rows]), fitted(alone, ectopic[rows])
    base, slope = both.intercept_[0], both.coef_[0][0]
    by_family = [
        ("V", base + both.coef_[0][1], slope),
        ("S", base + both.coef_[0][2], slope + both.coef_[0][4]),
        ("N", base + both.coef_[0][3], slope),
        ("other", base, slope),
        ("unlabelled", one.intercept_[0], one.coef_[0][0]),
    ]
    cells = [(name, f"{start:.2f}", f"{rise:.2f}") for name, start, rise in by_family]
    table("Constants, all patients", ("strip", "intercept", "slope"), cells)


def _strips(run: Run, chance: NDArray[np.float64]) -> None:
    assert run.strips is not None
    timing = rhythm(run, ectopy(run))
    given = np.asarray(run.strips.label)

    def listed(labels: NDArray[np.int32]) -> NDArray[np.bool_]:
        found = np.zeros(len(labels), dtype=bool)
        found[contradictions(labels, run.strip_of_beat, chance, timing).places] = True
        return found

    doubted = listed(given)
    rows = [(label_name(label), int((given == label).sum()), int(doubted[given == label].sum()),
             share(doubted, given == label)) for label in np.unique(given).tolist() if label != UNLABELLED]  # fmt: skip
    rows.append(("all", len(given), int(doubted.sum()), share(doubted, given > -2)))
    table("Strips with their right label that the list holds", ("label", "strips", "listed", "share"), rows)
    found = []
    for right, wrong in SWAPS:
        which = given == right
        swapped = np.where(which, wrong, given).astype(np.int32)
        found.append(
            (f"{label_name(right)} labelled {label_name(wrong)}", int(which.sum()), share(listed(swapped), which))
        )
    table("Strips with a wrong label that the list holds", ("strips", "number", "found"), found)
    rng = np.random.default_rng(42)
    mixed, changed = given.copy(), np.zeros(len(given), dtype=bool)
    for place in rng.permutation(len(given))[: int(WRONG_SHARE * len(given))].tolist():
        choices = [wrong for right, wrong in SWAPS if right == given[place]]
        if choices:
            mixed[place], changed[place] = rng.choice(choices), True
    hits = listed(mixed)
    table(
        f"{changed.sum()} of {len(given):,} strips given a wrong label at random",
        ("listed", "wrong ones found", "of the list wrong"),
        [(int(hits.sum()), share(hits, changed), share(changed, hits))],
    )


if __name__ == "__main__":
    main()
