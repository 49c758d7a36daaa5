"""How far a prediction agrees with the labels that hold, and whether the model has seen those patients."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike, NDArray

from ecg_engine.bundle import Bundle
from ecg_engine.config import ARRHYTHMIA
from ecg_engine.datasets import training_data
from ecg_engine.errors import InputError
from ecg_engine.evaluation import aami_report, class_report, confusion
from ecg_engine.preprocess import Run

TRAINED, HELD_OUT, NEW = "trained", "held out", "new"
"""Parts that a beat can be of: its patient was trained on, was held out from training, or was in neither."""


class Agreement(NamedTuple):
    """What a prediction makes of labelled beats.

    Attributes
    ----------
    labelled : int
        Beats with a class label that the model predicted.
    kept : int
        Those of them that are not under review.
    counted : int
        Beats that the figures below are of.
    accuracy, accuracy_kept : float
        Share of all labelled beats, and of the kept ones, whose class is the label; NaN without any.
    report : DataFrame
        Se, +P and F1 of every label, from :func:`ecg_engine.evaluation.class_report`.
    aami : DataFrame
        The same over the AAMI classes.
    classes : list of int
        Labels in the order of ``matrix``.
    matrix : int64 array, shape (k, k)
        Row: the label that holds; column: the class predicted.
    """

    labelled: int
    kept: int
    counted: int
    accuracy: float
    accuracy_kept: float
    report: pd.DataFrame
    aami: pd.DataFrame
    classes: list[int]
    matrix: NDArray[np.int64]


def agreement(beats: pd.DataFrame, labels: ArrayLike, *, count_review: bool = False) -> Agreement:
    """Compare predictions with labels.

    Parameters
    ----------
    beats : DataFrame
        ``beat_predictions_v2.csv`` or some of its rows, or strips in the same columns: ``pred_label_raw`` (-99 for a
        finding that cannot be stood by, which is wrong) and ``review_flag``.
    labels : array_like of int, shape (len(beats),)
        The label that holds for each row; rows with a label below 0 are passed over.
    count_review : bool
        Whether beats under review count, with the class that the model would give them.

    Raises
    ------
    InputError
        If there are not as many labels as beats.
    """
    truth = np.asarray(labels)
    if truth.shape != (len(beats),):
        raise InputError(f"{truth.size} labels were given for {len(beats)} beats")
    guess = beats["pred_label_raw"].to_numpy(dtype=float, na_value=np.nan)
    there = (truth >= 0) & np.isfinite(guess)
    kept = there & (beats["review_flag"].to_numpy() == 0)
    counted = there if count_review else kept
    true, predicted = truth[counted].astype(np.int64), guess[counted].astype(np.int64)
    classes = sorted({*true.tolist(), *predicted.tolist()})
    return Agreement(
        labelled=int(there.sum()),
        kept=int(kept.sum()),
        counted=int(counted.sum()),
        accuracy=_share(guess[there] == truth[there]),
        accuracy_kept=_share(guess[kept] == truth[kept]),
        report=class_report(true, predicted, classes),
        aami=aami_report(true, predicted),
        classes=classes,
        matrix=confusion(true, predicted, classes),
    )


def training_parts(bundle: Bundle, run: Run) -> NDArray[np.str_] | None:
    """For each beat of a run, whether the model's training used its patient.

    Returns
    -------
    str array, shape (n,), or None
        ``TRAINED``, ``HELD_OUT`` or ``NEW``; None where the model does not say (split by beat, old checkpoints). A
        model of the arrhythmia profile has none held out: the nets that predict learned from everyone in the end.
    """
    trained, held = bundle.metrics.get("patients_train"), bundle.metrics.get("patients_val")
    if not trained or not held:
        return None
    data = training_data(run)
    group = (data.strip if bundle.metrics.get("split") == "strip" else data.patient_group).astype(str)
    part = np.full(len(group), NEW, dtype="<U8")
    part[np.isin(group, [str(name) for name in trained])] = TRAINED
    part[np.isin(group, [str(name) for name in held])] = TRAINED if bundle.profile == ARRHYTHMIA else HELD_OUT
    return part


def _share(right: NDArray[np.bool_]) -> float:
    return float(right.mean()) if len(right) else float("nan")
