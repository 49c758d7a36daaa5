"""Predicting beats and strips with a bundle, and sending doubtful beats to review (spec section 9)."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pandas as pd
import torch

from ecg_engine.bundle import Bundle
from ecg_engine.config import ARRHYTHMIA, PredictConfig
from ecg_engine.datasets import RunPart
from ecg_engine.errors import InputError
from ecg_engine.evaluation import softmax
from ecg_engine.files import atomic_write, plain
from ecg_engine.inference import infer, pick_device
from ecg_engine.labels import NOISE, UNKNOWN, label_name
from ecg_engine.prediction_tables import Prediction as Prediction
from ecg_engine.prediction_tables import review_reasons, strip_votes, summary_of
from ecg_engine.preprocess import Run
from ecg_engine.progress import Progress, part, silent

BEATS_FILE, STRIPS_FILE, SUMMARY_FILE = (
    "beat_predictions_v2.csv",
    "strip_predictions_v2.csv",
    "prediction_summary_v2.json",
)
REASONS = ("confidence", "noise", "similarity", "pattern")
"""Why a beat goes to review. The third is the reference profile's alone, the fourth the arrhythmia profile's."""


def predict(
    bundle: Bundle,
    run: Run,
    config: PredictConfig | None = None,
    *,
    said: RunPart | None = None,
    device: str | torch.device | None = None,
    progress: Progress = silent,
) -> Prediction:
    """Predict all beats of a run that are not noise, whatever their labels; in the arrhythmia profile all beats.

    Classes, prototypes and thresholds come from the bundle alone; noise flags come from the run. All joins are by
    ``beat_global_id`` (spec section 10, items 1 and 2).

    Parameters
    ----------
    bundle : Bundle
    run : Run
    config : PredictConfig, optional
        Thresholds other than the bundle's.
    said : RunPart, optional
        What readers have said of this run's beats (``training_data(run, ...).parts[0]``): the arrhythmia profile lets
        it speak for beats that look alike. The reference profile looks at no labels.
    device : str, optional
        By default a GPU if there is one.
    progress : Progress

    Raises
    ------
    BundleError
        If the model was made for other beats.
    InputError
        If every beat is flagged as noise.
    """
    config = config or bundle.predict
    bundle.check_fits(run)
    if bundle.profile == ARRHYTHMIA:
        from ecg_engine.arrhythmia.prediction_tables import predict_arrhythmia

        return predict_arrhythmia(bundle, run, config, said, progress)
    windows = run.windows
    if not len(windows.centre):
        raise InputError(
            "every beat of this run is flagged as noise, so there is nothing to predict",
            remedy="Look at the noise flags on the strips, or preprocess with other settings.",
        )
    out = infer(
        bundle.net(), bundle.bank, run.beats, windows.beat, device=pick_device(device), progress=part(progress, 0, 0.9)
    )
    probability = softmax(out.logits)
    raw = np.asarray(bundle.classes)[probability.argmax(axis=1)]
    found = pd.DataFrame(
        {
            "beat_global_id": run.metadata["beat_global_id"].to_numpy()[windows.centre],
            "pred_label_raw": pd.array(raw, dtype="Int64"),
            "pred_label_name": [label_name(value) for value in raw],
            "pred_conf": probability.max(axis=1),
            "noise_prob": np.nan if out.gate is None else 1.0 / (1.0 + np.exp(-out.gate.astype(float))),
            "max_proto_sim": np.nan if out.similarity is None else out.similarity.astype(float),
        }
    )
    doubts = {  # a comparison with NaN is False: a test that the model cannot make sends nothing to review
        "confidence": found["pred_conf"].to_numpy() < config.min_class_conf,
        "noise": found["noise_prob"].to_numpy() > config.max_noise_prob,
        "similarity": found["max_proto_sim"].to_numpy() < config.min_proto_sim,
    }
    review = np.logical_or.reduce(list(doubts.values()))
    found["review_flag"] = review.astype(np.int64)
    found["final_label"] = np.where(review, UNKNOWN, raw)
    found["review_reason"] = review_reasons(doubts)
    beats = run.metadata.merge(found, on="beat_global_id", how="left", validate="one_to_one", sort=False)
    predicted = beats["pred_conf"].notna().to_numpy()
    beats["final_label"] = beats["final_label"].fillna(NOISE).astype(np.int64)
    beats["review_flag"] = beats["review_flag"].fillna(0).astype(np.int64)
    beats[["pred_label_name", "review_reason"]] = beats[["pred_label_name", "review_reason"]].fillna("")
    beats["final_label_name"] = [label_name(value) for value in beats["final_label"]]
    beats = beats[[*(name for name in beats.columns if name != "review_reason"), "review_reason"]]
    strips = strip_votes(beats, predicted)
    progress("prediction done", 1.0)
    notes = _other_settings(bundle, run)
    summary = summary_of(bundle, config, beats, strips, predicted, doubts, _left_out(bundle), notes)
    return Prediction(beats, strips, summary)


def _left_out(bundle: Bundle) -> dict[str, str]:
    """Tests that a model of the reference profile cannot make, each with the reason."""
    if bundle.model == "context":
        return {"noise": "The model has no noise gate.", "similarity": "The model has no prototypes."}
    if bundle.bank is None or not len(bundle.bank):
        return {"similarity": "The model's prototype bank is empty."}
    return {}


def _other_settings(bundle: Bundle, run: Run) -> list[str]:
    """Sentences on settings in which the run differs from what the model was trained on; none where that is unknown."""
    if not bundle.data_hash:
        return []
    names = ("low_hz", "high_hz", "filter_order", "detector")
    pairs = [(name, getattr(bundle.preprocess, name), getattr(run.config, name)) for name in names]
    return [
        f"The model was trained with {name} {mine}, these beats were made with {here}."
        for name, mine, here in pairs
        if mine != here
    ]


def save_prediction(prediction: Prediction, folder: str | Path) -> Path:
    """Write beat_predictions_v2.csv, strip_predictions_v2.csv and, last, prediction_summary_v2.json.

    Raises
    ------
    EngineError
        If they cannot be written.
    """
    target = Path(folder)
    for name, table in ((BEATS_FILE, prediction.beats), (STRIPS_FILE, prediction.strips)):
        atomic_write(target / name, lambda path, table=table: table.to_csv(path, index=False))  # type: ignore[misc]
    text = json.dumps(plain(prediction.summary), indent=2, allow_nan=False)
    atomic_write(target / SUMMARY_FILE, lambda path: path.write_text(text, encoding="utf-8"))
    return target
