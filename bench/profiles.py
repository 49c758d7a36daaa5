"""Both profiles on patients not trained on: beats and strips from labels of strips alone, and with groups labelled.

Five patient-grouped folds on MIT-BIH DS1. Strictly scored: missed and spurious beats count (so do those that the
reference discards as noise), all strips are in, no prediction is held back as doubtful, and 95 % intervals come from a
bootstrap over patients. R-peaks and noise of the arrhythmia profile are those of weights that have not seen the patient
(:mod:`bench.folds`). Groups are labelled as a reader would: one random member of the group is shown, and its true
class is taken for all; the mean of twenty such draws is given. A row has the same members of 100 groups labelled each
for itself, and a table what a single label does. ``python -m bench.profiles hybrid`` adds a row for the option that
averages the reference's hybrid net in (ten minutes more).
"""

from __future__ import annotations

import sys
from dataclasses import replace

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from bench.common import DS1, lap, table
from bench.folds import FOLDS, find, folds_of, kept
from bench.strict import Read, Score
from ecg_engine.arrhythmia.classify import Words, after_words, decide, study_of
from ecg_engine.arrhythmia.findings import LEAST_CONFIDENCE, OSCILLATION_SHOWN
from ecg_engine.arrhythmia.groups import find_groups, plain_groups, rank_groups, smooth
from ecg_engine.arrhythmia.hybrid_fit import HybridConfig
from ecg_engine.arrhythmia.learning import LearnConfig, Study, learn
from ecg_engine.arrhythmia.references import patient_numbers
from ecg_engine.arrhythmia.runs import SYMBOLS
from ecg_engine.arrhythmia.unknown import learn_known
from ecg_engine.config import PredictConfig, PreprocessConfig, TrainConfig
from ecg_engine.datasets import training_data
from ecg_engine.labels import NOISE, UNKNOWN, UNLABELLED, VFIB, aami_class
from ecg_engine.prediction import predict
from ecg_engine.preprocess import preprocess
from ecg_engine.strips import Strips, read_strips
from ecg_engine.training import train

DRAWS = 20
GROUPS = (50, 100, 200)
BY_THEMSELVES = 100
LABELS_EACH = 5
"""Labels tried for each patient and kind of :func:`one_label`."""
REFERENCE_EPOCHS = 12
"""Of which the best on the held-out patients is taken, in the reference's favour; it hardly gains after the sixth."""

LABEL_OF = np.array([0, 1, 2, 9])
SHOW_ALL = PredictConfig(min_class_conf=0.0, max_noise_prob=1.0, min_proto_sim=-1.0)


class _Plain:
    """What :func:`decide` asks of a model when the probabilities come from several."""

    labels, acts_as = (0, 1, 2, 9), (0, 1, 2, 3)


def main() -> None:
    strips = read_strips([DS1])
    patient = patient_numbers(strips.patient_id)
    fold = folds_of(patient)
    score = Score(strips, patient)
    rows = [score.row(f"reference ({REFERENCE_EPOCHS} epochs)", reference(strips, fold))]
    found = find(strips, fold)
    study = replace(study_of(strips, found.peaks), noise=found.noisy_beats)
    with lap() as grouping:
        group = find_groups(study.beats, study.context)
    p, seconds = held_out(study, fold)
    smoothed = smooth(p, group)
    rows.append(score.row("arrhythmia, labels of strips alone", read(study, smoothed, group, found.noisy)))
    rows.append(score.row("… without the groups' say", read(study, p, group, found.noisy)))
    if "hybrid" in sys.argv[1:]:
        both, _ = held_out(study, fold, LearnConfig(hybrid=HybridConfig()))
        rows.append(
            score.row("… with the hybrid net among the nets", read(study, smooth(both, group), group, found.noisy))
        )
    for count in GROUPS:
        drawn = labelled(study, smoothed, group, score, count)
        rows.append(
            score.row(
                f"… + {count} groups labelled", *(read(study, smoothed, group, found.noisy, one) for one in drawn)
            )
        )
        if count == BY_THEMSELVES:
            by_themselves = (
                read(study, smoothed, group, found.noisy, one_by_one(len(group), words)) for words in drawn
            )
            rows.append(score.row(f"… + {count} of their beats labelled, each for itself", *by_themselves))
    table(
        f"Patients not trained on ({FOLDS} folds of DS1, {len(strips):,} strips, strictly scored; 95 % over patients)",
        ("", "V F1", "S F1", "F F1", "strip accuracy", "strip macro-F1"),
        rows,
    )
    table(
        f"The same strips with the limits that the profile comes with (sure to {LEAST_CONFIDENCE:g} at least, stranger "
        f"than all but {PredictConfig().min_known_share:g} of those known)",
        ("", "strips", "right as they would be, %"),
        held_back(study, smoothed, group, found.noisy, known_shares(study, fold)),
    )
    table(
        "What one label of one beat does to the patient's other beats, on the model's own classes",
        ("", "labels", "turned: median", "90th percentile", "most", "right of those turned, %"),
        one_label(study, smoothed, group, score),
    )
    table(
        "R-peaks of these folds, strips of ventricular flutter left out, %",
        ("F1 at 150 ms", "V missed", "S missed"),
        [score.rpeaks(study.beats.strip, study.beats.r_sec)],
    )
    table(
        "Time, arrhythmia profile",
        ("", "processor s"),
        [
            (f"learning on four fifths of DS1, mean of {FOLDS}", f"{np.mean(seconds):.0f}"),
            (f"groups of {len(study.beats):,} beats: {int(group.max()) + 1}", f"{grouping.processor:.0f}"),
        ],
    )


def held_out(
    study: Study, fold: NDArray[np.int64], config: LearnConfig | None = None
) -> tuple[NDArray[np.float32], list[float]]:
    """Probabilities of all beats by nets that were not trained on their patients, and processor seconds a fold."""
    p, seconds = np.zeros((len(study.beats), len(SYMBOLS)), dtype=np.float32), []
    for one in range(FOLDS):
        with lap() as learning:
            model = learn(study.strips(np.flatnonzero(fold != one)), config)
        seconds.append(learning.processor)
        rows = np.flatnonzero(fold == one)
        p[np.isin(study.beats.strip, rows)] = model.probabilities(study.strips(rows).examples)
    return p, seconds


def read(
    study: Study,
    p: NDArray[np.float32],
    group: NDArray[np.int64],
    noisy: NDArray[np.bool_],
    words: Words | None = None,
) -> Read:
    """The end of a prediction; a strip's finding is given however doubtful it is."""
    found = decide(_Plain, study, p, group, words, noisy, least_confidence=0.0)  # type: ignore[arg-type]
    beats, finding = found.beats, found.strips["strip_finding"].to_numpy()
    return Read(study.beats.strip, study.beats.r_sec, beats["aami"].to_numpy(dtype=object), finding)


def known_shares(study: Study, fold: NDArray[np.int64]) -> NDArray[np.float32]:
    """Share of known strips that are at least as strange, for each strip, its patient not being among the known."""
    share = np.zeros(len(fold), dtype=np.float32)
    for one in range(FOLDS):
        known = learn_known(study.strips(np.flatnonzero(fold != one)))
        assert known is not None
        rows = np.flatnonzero(fold == one)
        share[rows] = known.share(known.score(study.strips(rows)))
    return share


def held_back(
    study: Study,
    p: NDArray[np.float32],
    group: NDArray[np.int64],
    noisy: NDArray[np.bool_],
    share: NDArray[np.float32],
) -> list[tuple[object, ...]]:
    """Strips that are given a finding and strips that are sent to review instead, and how many of either are right."""
    plain = read(study, p, group, noisy).finding
    sure = decide(_Plain, study, p, group, noisy=noisy).strips["strip_finding"].to_numpy()  # type: ignore[arg-type]
    strange = (share < PredictConfig().min_known_share) & ~np.isin(sure, [NOISE, VFIB])
    doubtful = sure == UNKNOWN
    parts = {
        "given a finding": ~strange & ~doubtful,
        "held back: under the least confidence": doubtful,
        "held back: unlike what is known": strange & ~doubtful,
    }
    right = plain == study.labels
    return [(name, f"{which.sum():,}", f"{100 * right[which].mean():.1f}") for name, which in parts.items()]


def labelled(study: Study, p: NDArray[np.float32], group: NDArray[np.int64], score: Score, count: int) -> list[Words]:
    """Several draws of what a reader says of the ``count`` groups that pay most: labels, and the members shown."""
    truth = score.truth_of(study.beats.strip, study.beats.r_sec)
    # where the strip swings without QRS complexes there is nothing to label
    beats = (study.oscillation < OSCILLATION_SHOWN)[study.beats.strip]
    asked = np.where(beats[:, None], p, np.array([1, 0, 0, 0], dtype=np.float32))
    ranked = rank_groups(group, asked, study.beats.patient[study.beats.strip])["group"].to_numpy()
    draws = []
    for seed in range(DRAWS):
        rng, said, shown = np.random.default_rng(seed), {}, {}
        for one in ranked[:count].tolist():
            member = int(rng.choice(np.flatnonzero(group == one)))
            if truth[member] in SYMBOLS:
                said[one] = int(LABEL_OF[SYMBOLS.index(truth[member])])
                shown[one] = member
        draws.append(Words(said, shown))
    return draws


def one_by_one(count: int, words: Words) -> Words:
    """The members that were shown, labelled each for itself."""
    known = np.full(count, UNLABELLED)
    for one, member in words.shown.items():
        known[member] = words.labelled[one]
    return Words(known=known)


def one_label(study: Study, p: NDArray[np.float32], group: NDArray[np.int64], score: Score) -> list[tuple[object, ...]]:
    """How many of a patient's other beats one label turns: one that is wrong, and one that puts the model right."""
    truth = score.truth_of(study.beats.strip, study.beats.r_sec)
    said = np.array(SYMBOLS, dtype=object)[p.argmax(axis=1)]
    patient, rng = study.beats.patient[study.beats.strip], np.random.default_rng(0)
    usual = (
        np.isin(group, [one for one, number in plain_groups(p, group, patient).items() if number == 0])
        & (truth == "N")
        & (said == "N")
    )
    ventricular = (truth == "V") & (said == "V")
    misread = np.isin(truth, ["N", "S", "V"]) & (said != truth)
    cases: list[tuple[str, NDArray[np.bool_], str | None]] = [
        ("an ordinary beat labelled as S", usual, "S"),
        ("an ordinary beat labelled as V", usual, "V"),
        ("a beat taken for V, and it is, labelled as N", ventricular, "N"),
        ("a misread S or V labelled as what it is", misread & (truth != "N"), None),
        ("a misread N labelled as what it is", misread & (truth == "N"), None),
    ]
    rows: list[tuple[object, ...]] = []
    for name, asked, label in cases:
        turned, right = [], 0
        for one in np.unique(patient[asked]).tolist():
            mine = np.flatnonzero(asked & (patient == one))
            for beat in rng.choice(mine, min(LABELS_EACH, len(mine)), replace=False).tolist():
                known = np.full(len(group), UNLABELLED)
                known[beat] = LABEL_OF[SYMBOLS.index(label or truth[beat])]
                out, _ = after_words(_Plain, study, p, group, Words(known=known))  # type: ignore[arg-type]
                now = np.array(SYMBOLS, dtype=object)[out.argmax(axis=1)]
                now[beat] = said[beat]
                turned.append(int((now != said).sum()))
                right += int(((now != said) & (now == truth)).sum())
        much, most = np.quantile(turned, [0.9, 1.0], method="lower")
        rows.append(
            (name, len(turned), f"{np.median(turned):.0f}", much, most, f"{100 * right / max(sum(turned), 1):.0f}")
        )
    return rows


def reference(strips: Strips, fold: NDArray[np.int64]) -> Read:
    """The reference profile, each fold by a net that was trained without it; kept as those of the folds are."""
    folder = kept(strips, fold)
    files = [(folder / f"reference_beats_{one}.csv", folder / f"reference_strips_{one}.csv") for one in range(FOLDS)]
    if not all(file.exists() for pair in files for file in pair):
        run = preprocess(strips, PreprocessConfig())
        data = training_data(run)
        for one, (beat_file, strip_file) in enumerate(files):
            patients = sorted({str(name) for name in strips.patient_id[fold == one]})
            bundle = train([data], TrainConfig(epochs=REFERENCE_EPOCHS), hold_out=patients).bundle
            said = predict(bundle, run, SHOW_ALL)
            mine = strips.source_row[fold == one]
            said.strips[said.strips["source_row"].isin(mine)].to_csv(strip_file, index=False)
            columns = ["source_row", "r_time_sec", "pred_label_raw", "noise_flag"]
            said.beats.loc[said.beats["source_row"].isin(mine), columns].to_csv(beat_file, index=False)
    place = pd.Series(np.arange(len(strips)), index=strips.source_row)
    beats = pd.concat([pd.read_csv(one) for one, _ in files], ignore_index=True).sort_values(
        ["source_row", "r_time_sec"]
    )
    beats = beats[beats["pred_label_raw"].notna()]
    named = {label: aami_class(int(label)) or "Q" for label in beats["pred_label_raw"].unique()}
    finding = np.full(len(strips), UNKNOWN, dtype=np.int64)
    voted = pd.concat([pd.read_csv(one) for _, one in files], ignore_index=True)
    finding[place.loc[voted["source_row"]].to_numpy()] = voted["strip_pred_label"].to_numpy()
    return Read(
        place.loc[beats["source_row"]].to_numpy(),
        beats["r_time_sec"].to_numpy(dtype=float),
        beats["pred_label_raw"].map(named).to_numpy(dtype=object),
        finding,
    )


if __name__ == "__main__":
    main()
