"""Training a model of the arrhythmia profile: judged without the held-out patients, then learned from all (issue 4).

Patients are few, and each one left out is missed. So the same recipe is followed twice: without the held-out patients,
for figures that are honest, and with everyone, for the model that is used. The first set of nets stays in the bundle:
a later model is compared with it on patients whom neither has seen.
"""

from __future__ import annotations

import time
from collections.abc import Collection
from dataclasses import replace
from typing import Any

import numpy as np
import pandas as pd
import torch
from numpy.typing import NDArray

from ecg_engine.arrhythmia.beat_classes import BeatModel, FitConfig
from ecg_engine.arrhythmia.classify import classify
from ecg_engine.arrhythmia.hybrid_fit import HybridConfig
from ecg_engine.arrhythmia.learning import LearnConfig, Study, learn
from ecg_engine.arrhythmia.model import ArrhythmiaModel
from ecg_engine.arrhythmia.runs import STRIP_RULES, SYMBOLS
from ecg_engine.arrhythmia.studies import study_of_parts
from ecg_engine.arrhythmia.unknown import learn_known
from ecg_engine.config import TrainConfig
from ecg_engine.datasets import TrainingData, strip_names
from ecg_engine.errors import InputError
from ecg_engine.evaluation import aami_report, class_report, confusion
from ecg_engine.fitting import OnEpoch
from ecg_engine.labels import UNLABELLED, aami_class
from ecg_engine.progress import Progress, part, silent
from ecg_engine.split import Split, split_windows

STEPS, LEAST_BATCH = 15, 16
"""Steps of an epoch that are wished for, and the fewest strips that one step looks at."""

USUAL_EPOCHS = TrainConfig().epochs
"""Of the config; the nets of the profile are each trained for a share of their own usual number of epochs."""


class Learned:
    """A trained model with the figures on the patients that were held out from its judged part."""

    def __init__(self, model: ArrhythmiaModel, split: Split, figures: dict[str, Any], history: pd.DataFrame) -> None:
        self.model, self.split, self.figures, self.history = model, split, figures, history


def learn_arrhythmia(
    data: TrainingData,
    config: TrainConfig,
    *,
    device: torch.device | None = None,
    on_epoch: OnEpoch | None = None,
    progress: Progress = silent,
    hold_out: Collection[str] | None = None,
) -> Learned:
    """Learn beats, and which patterns are known, from runs of the arrhythmia profile.

    Parameters
    ----------
    data : TrainingData
    config : TrainConfig
    device : torch.device, optional
    on_epoch : callable, optional
        Called after each epoch of the judged part.
    progress : Progress
    hold_out : collection of str, optional
        Patients to hold out.

    Raises
    ------
    InputError
        If a run is of the reference profile, or too little is said about strips and beats.
    """
    progress("describing beats", 0.0)
    study, groups = study_of_parts(data.parts), patient_groups(data)
    _check(study)
    split = split_windows(
        study.labels,
        groups,
        strip_names(data.parts),
        val_split=config.val_split,
        seed=config.seed,
        hold_out=hold_out,
        unit="strips",
    )
    rows: list[dict[str, Any]] = []

    def told(row: dict[str, Any]) -> None:
        rows.append(row)
        if on_epoch is not None:
            on_epoch(row)

    started = time.perf_counter()
    settings = learn_config(config, len(study.labels))
    train, held = study.strips(split.train), study.strips(split.val)
    judged = learn(train, settings, part(progress, 0.1, 0.5), on_epoch=told, held=held.examples, device=device)
    figures = judge(judged, held)
    beats = learn(study, settings, part(progress, 0.5, 0.9), device=device)
    progress("learning which patterns are known", 0.9)
    known = learn_known(study, _numbered(study, groups))
    figures["seconds"] = time.perf_counter() - started
    return Learned(ArrhythmiaModel(beats, judged, known), split, figures, pd.DataFrame(rows))


def patient_groups(data: TrainingData) -> NDArray[Any]:
    """The patient of each strip, ``strip:...`` where none is known; object (s,)."""
    return np.concatenate([part.patient_group for part in data.parts])


def _numbered(study: Study, groups: NDArray[Any]) -> NDArray[np.int64]:
    """Number of the person behind each patient of the study, int64 (p,): one in two runs is two patients there."""
    _, number = np.unique(groups.astype(str), return_inverse=True)
    person = np.zeros(len(study.references.patient), dtype=np.int64)
    person[study.beats.patient] = number
    return person


def learn_config(config: TrainConfig, strips: int) -> LearnConfig:
    """How much is learned when so many epochs are asked for; a small study goes through them in smaller steps.

    Otherwise its nets would stop after a few dozen steps, hardly moved from where they began.
    """
    usual, share = FitConfig(), config.epochs / USUAL_EPOCHS
    fit = replace(
        usual,
        epochs=max(1, round(share * usual.epochs)),
        epochs_cnn=max(1, round(share * usual.epochs_cnn)),
        batch=int(np.clip(strips // STEPS, LEAST_BATCH, usual.batch)),
        seed=config.seed,
    )
    if config.model != "hybrid":
        return LearnConfig(fit=fit)
    epochs = max(1, round(share * HybridConfig().epochs))
    hybrid = HybridConfig(settings=config, epochs=epochs, batch=fit.batch, seed=config.seed)
    return LearnConfig(fit=fit, hybrid=hybrid)


def judge(model: BeatModel, held: Study) -> dict[str, Any]:
    """Figures of nets on strips of patients that they were not trained on.

    The classes are those of strips: the finding beside the label, over the strips that have one. Beats are counted
    where a reader has labelled them.

    Returns
    -------
    dict
        class_acc, macro_f1 (over the labels that occur), class_report, confusion_matrix_non_noise (in the order of
        raw_class_values), aami_report (empty without labelled beats), num_strips_held_out, num_beats (of these strips).
    """
    found = classify(model, held, least_confidence=0.0)
    labelled = np.flatnonzero(held.labels != UNLABELLED)
    true, guess = held.labels[labelled], found.strips["strip_finding"].to_numpy()[labelled]
    classes = sorted({int(one) for one in true} | {int(one) for one in guess})
    said = [aami_class(int(label)) for label in held.known]
    known = np.flatnonzero([one is not None for one in said])
    report: list[dict[Any, Any]] = []
    if len(known):
        beats = found.beats["aami"].to_numpy(dtype=object)
        stands_for = dict(zip(SYMBOLS, (0, 1, 2, 9), strict=True))
        guessed = np.array([stands_for.get(one, 8) for one in beats[known]])
        report = aami_report(held.known[known], guessed).to_dict("records")
    strips = class_report(true, guess, classes)
    return {
        "class_acc": float(np.mean(true == guess)) if len(true) else None,
        "macro_f1": float(strips.loc[strips["support"] > 0, "f1"].mean()) if len(true) else None,
        "class_report": strips.to_dict("records"),
        "confusion_matrix_non_noise": confusion(true, guess, classes).tolist(),
        "raw_class_values": classes,
        "aami_report": report,
        "num_strips_held_out": len(true),
        "num_beats": int(np.diff(held.beats.bounds)[labelled].sum()),
    }


def _check(study: Study) -> None:
    telling = np.isin(study.labels, list(STRIP_RULES)) & (np.diff(study.beats.bounds) > 0)
    kinds = set(np.unique(study.labels[telling]).tolist()) | set(np.unique(study.known).tolist()) - {UNLABELLED}
    if len(kinds) >= 2:
        return
    raise InputError(
        "fewer than two kinds of strips or beats are labelled, so there is nothing to tell apart",
        where="training data",
        remedy="Label strips of at least two kinds, such as Normal and PVC, or add a data set that has them.",
    )
