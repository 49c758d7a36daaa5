"""Judging models on beats that they have not seen: one model's figures, or a candidate beside the current one."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from numpy.typing import ArrayLike, NDArray

from ecg_engine.bundle import Bundle
from ecg_engine.config import ARRHYTHMIA
from ecg_engine.datasets import BY_HASH, FS_TOLERANCE, TrainingData, strip_names
from ecg_engine.errors import BundleError, InputError
from ecg_engine.evaluation import (
    aami_report,
    auroc,
    calibration_error,
    class_report,
    confusion,
    coverage_at_accuracy,
    softmax,
)
from ecg_engine.inference import infer, pick_device
from ecg_engine.labels import NOISE
from ecg_engine.progress import Progress, silent


def held_out_rows(bundle: Bundle, data: TrainingData) -> NDArray[np.int64]:
    """Windows of ``data`` that belong to the patients (or strips) which the bundle's training held out.

    Parameters
    ----------
    bundle : Bundle
        Its ``metrics["patients_val"]`` names them.
    data : TrainingData
        Any data set, with the labels of today.

    Raises
    ------
    InputError
        If none of its held-out patients is in the data, or it was split by beat.
    """
    held = bundle.metrics.get("patients_val") or []
    if not held:
        raise InputError(
            "the model names no held-out patients (it was split by beat, or is an old checkpoint)",
            remedy="Compare models that were trained with the split by patient.",
        )
    rows = np.flatnonzero(_in_groups(data, held, bundle))
    if not len(rows):
        raise InputError("none of the model's held-out patients is in these data", where=data.name)
    return rows


def evaluate(
    bundle: Bundle,
    data: TrainingData,
    rows: ArrayLike | None = None,
    *,
    device: str | torch.device | None = None,
    progress: Progress = silent,
) -> dict[str, Any]:
    """Figures of a model on some windows.

    Parameters
    ----------
    bundle : Bundle
    data : TrainingData
        With effective labels; -999 is passed over, -1 only judges the gate.
    rows : array_like of int, optional
        Windows to judge on, see :func:`held_out_rows`; all by default.

    Returns
    -------
    dict
        num_beats, class_acc, macro_f1 (over the labels that occur), gate_acc, class_report, aami_report, classes,
        confusion_matrix (in the order of ``classes``), ece, coverage_at_98, auroc_error (does low confidence tell
        wrong from right?), auroc_unknown (does it tell labels that the model does not know? NaN without such),
        labels_not_in_model, seen_in_training (how many of the beats are of patients that it was trained on; None
        where it does not say).

    Raises
    ------
    BundleError
        If the model was made for other beats.
    InputError
        If no beat is left to judge on.
    """
    _check_shape(bundle, data)
    chosen = np.arange(len(data)) if rows is None else np.asarray(rows)
    chosen = chosen[data.window_labels[chosen] >= NOISE]
    if not len(chosen):
        raise InputError("there is no labelled beat to judge the model on", where=data.name)
    out = infer(
        bundle.net(), bundle.bank, data.beats, data.windows.beat[chosen], device=pick_device(device), progress=progress
    )
    true = data.window_labels[chosen]
    known = true >= 0
    probability = softmax(out.logits)[known]
    labels = true[known]
    guess = np.asarray(bundle.classes)[probability.argmax(axis=1)]
    sure, right = probability.max(axis=1, initial=0.0), guess == labels
    classes = sorted({int(value) for value in labels} | set(bundle.classes))
    report = class_report(labels, guess, classes)
    strange = sorted({int(value) for value in labels} - set(bundle.classes))
    seen = bundle.metrics.get("patients_train")
    return {
        "num_beats": len(chosen),
        "class_acc": float(right.mean()) if len(right) else float("nan"),
        "macro_f1": float(report.loc[report["support"] > 0, "f1"].mean()),
        "gate_acc": float("nan") if out.gate is None else float(np.mean((out.gate > 0) == ~known)),
        "class_report": report.to_dict("records"),
        "aami_report": aami_report(labels, guess).to_dict("records"),
        "classes": classes,
        "confusion_matrix": confusion(labels, guess, classes).tolist(),
        "ece": calibration_error(sure, right),
        "coverage_at_98": coverage_at_accuracy(sure, right, 0.98),
        "auroc_error": auroc(-sure, ~right),
        "auroc_unknown": auroc(-sure, np.isin(labels, strange)),
        "labels_not_in_model": strange,
        "seen_in_training": int(_in_groups(data, seen, bundle)[chosen].sum()) if seen else None,
    }


def compare(
    candidate: Bundle,
    current: Bundle,
    data: TrainingData,
    *,
    device: str | torch.device | None = None,
) -> dict[str, Any]:
    """Both models on the patients that the candidate's training held out, with the labels of today.

    Models of the arrhythmia profile are compared by the findings of strips, and by those of their nets that were
    trained without the held-out patients.

    Returns
    -------
    dict
        candidate, current (as from :func:`evaluate`), patients (those held out), and notes: sentences that say where
        the comparison is not fair.

    Raises
    ------
    InputError
        If the models are of different profiles, or nothing is left to judge on.
    """
    if candidate.profile != current.profile:
        raise InputError(
            f"The new model is of the {candidate.profile} profile, the current one of the {current.profile} profile. "
            "One is judged by strips, the other by beats, so their figures cannot be set side by side."
        )
    if candidate.profile == ARRHYTHMIA:
        return _compare_strips(candidate, current, data)
    rows = held_out_rows(candidate, data)
    figures = {
        name: evaluate(b, data, rows, device=device) for name, b in (("candidate", candidate), ("current", current))
    }
    notes = []
    seen = figures["current"]["seen_in_training"]
    if seen:
        notes.append(
            f"The current model was trained on patients of {seen} of these {len(rows)} beats, so its figures are too "
            "good. Train the candidate with the current model's held-out patients."
        )
    elif seen is None:
        notes.append("The current model does not say which patients it was trained on; it may have seen these.")
    if figures["current"]["labels_not_in_model"]:
        notes.append(f"The current model does not know the labels {figures['current']['labels_not_in_model']}.")
    return {**figures, "patients": list(candidate.metrics["patients_val"]), "notes": notes}


def _compare_strips(candidate: Bundle, current: Bundle, data: TrainingData) -> dict[str, Any]:
    from ecg_engine.arrhythmia.studies import study_of_parts
    from ecg_engine.arrhythmia.training import judge

    assert candidate.arrhythmia is not None and current.arrhythmia is not None
    held = np.flatnonzero(np.isin(_groups_of_strips(candidate, data), candidate.metrics.get("patients_val") or []))
    if not len(held):
        raise InputError("none of the model's held-out patients is in these data", where=data.name)
    study = study_of_parts(data.parts).strips(held)
    figures = {
        "candidate": judge(candidate.arrhythmia.judged, study),
        "current": judge(current.arrhythmia.judged, study),
    }
    notes = ["Judged by the findings of strips, beside their labels."]
    trained = [str(name) for name in current.metrics.get("patients_train") or []]
    seen = int(np.isin(_groups_of_strips(current, data)[held], trained).sum())
    if current.metrics.get("split") == "strip" and not all(name.startswith(BY_HASH) for name in trained):
        notes.append("The current model does not say which strips it was trained on; it may have seen these.")
    elif seen:
        notes.append(
            f"The current model's judged part was trained on the patients of {seen} of these {len(held)} strips, so "
            "its figures are too good. Train the candidate with the current model's held-out patients."
        )
    return {**figures, "patients": list(candidate.metrics["patients_val"]), "notes": notes}


def _groups_of_strips(bundle: Bundle, data: TrainingData) -> NDArray[Any]:
    """What the bundle's training kept together, for each strip of the data: its patient, or the strip itself."""
    from ecg_engine.arrhythmia.training import patient_groups

    groups = strip_names(data.parts) if bundle.metrics.get("split") == "strip" else patient_groups(data)
    return np.asarray(groups.astype(str))


def _in_groups(data: TrainingData, names: list[str], bundle: Bundle) -> NDArray[np.bool_]:
    group = data.strip if bundle.metrics.get("split") == "strip" else data.patient_group
    return np.isin(group[data.windows.centre].astype(str), names)


def _check_shape(bundle: Bundle, data: TrainingData) -> None:
    for what, mine, here in (
        ("beat length", bundle.beat_len or data.beat_len, data.beat_len),
        ("window size", bundle.window_size, data.window_size),
    ):
        if mine != here:
            raise BundleError(f"This model does not fit these data: {what} {mine} in the model, {here} here.")
    if np.isfinite(bundle.fs) and abs(bundle.fs - data.fs) > FS_TOLERANCE * bundle.fs:
        raise BundleError(
            f"This model does not fit these data: sampling rate {bundle.fs:g} Hz in the model, {data.fs:g} Hz here."
        )
