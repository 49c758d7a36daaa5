"""Predicting beats and strips with a bundle, and sending doubtful beats to review (spec section 9)."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import torch
from numpy.typing import NDArray

from ecg_engine.bundle import Bundle
from ecg_engine.config import ARRHYTHMIA, PredictConfig
from ecg_engine.datasets import RunPart
from ecg_engine.errors import InputError
from ecg_engine.evaluation import softmax
from ecg_engine.files import atomic_write, plain
from ecg_engine.inference import infer, pick_device
from ecg_engine.labels import NOISE, P_COLUMNS, UNKNOWN, VFIB, label_name
from ecg_engine.preprocess import Run
from ecg_engine.progress import Progress, part, silent

BEATS_FILE, STRIPS_FILE, SUMMARY_FILE = (
    "beat_predictions_v2.csv",
    "strip_predictions_v2.csv",
    "prediction_summary_v2.json",
)
REASONS = ("confidence", "noise", "similarity", "pattern")
"""Why a beat goes to review. The third is the reference profile's alone, the fourth the arrhythmia profile's."""


@dataclass(frozen=True)
class Prediction:
    """What a model says about a run.

    Attributes
    ----------
    beats : DataFrame
        The run's metadata, every beat of it, plus pred_label_raw, pred_label_name, pred_conf, noise_prob,
        max_proto_sim, review_flag, final_label, final_label_name and review_reason ("confidence;noise;similarity",
        those that apply). Noise-flagged beats have final_label -1 and no prediction in the reference profile; in the
        arrhythmia profile they are predicted all the same, and there are aami (N, S, V, F, Q), p_n, p_s, p_v, p_f
        (probabilities) and known_share (of the strip) besides.
    strips : DataFrame
        One row a strip with beats: source_row, strip_pred_label, strip_pred_name, strip_pred_ratio, num_beats,
        num_review, num_noise. In the arrhythmia profile strips without beats have a row, too, and there are
        strip_finding (label id of the most serious finding, -99 where none can be stood by), strip_finding_name,
        findings (words, the most serious first, parted by "; "), finding_confidence, unknown_score (the distance from
        all known patterns), known_share (share of known strips that are at least as strange) and rules_version.
    summary : dict
        prediction_summary_v2.json.
    """

    beats: pd.DataFrame
    strips: pd.DataFrame
    summary: dict[str, Any]


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
        return _predict_arrhythmia(bundle, run, config, said, progress)
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
    found["review_reason"] = _joined(doubts)
    beats = run.metadata.merge(found, on="beat_global_id", how="left", validate="one_to_one", sort=False)
    predicted = beats["pred_conf"].notna().to_numpy()
    beats["final_label"] = beats["final_label"].fillna(NOISE).astype(np.int64)
    beats["review_flag"] = beats["review_flag"].fillna(0).astype(np.int64)
    beats[["pred_label_name", "review_reason"]] = beats[["pred_label_name", "review_reason"]].fillna("")
    beats["final_label_name"] = [label_name(value) for value in beats["final_label"]]
    beats = beats[[*(name for name in beats.columns if name != "review_reason"), "review_reason"]]
    strips = _strip_table(beats, predicted)
    progress("prediction done", 1.0)
    return Prediction(beats, strips, _summary(bundle, run, config, beats, strips, predicted, doubts))


def _predict_arrhythmia(
    bundle: Bundle, run: Run, config: PredictConfig, said: RunPart | None, progress: Progress
) -> Prediction:
    """The tables of the arrhythmia profile: the reference's columns first, then its own."""
    from ecg_engine.arrhythmia.prediction import read_run

    assert bundle.arrhythmia is not None and run.strips is not None
    read = read_run(bundle.arrhythmia, run, said, part(progress, 0, 0.95))
    noisy = run.metadata["noise_flag"].to_numpy() != 0
    predicted = read.beats["pred_conf"].notna().to_numpy()
    known_share = read.strips["known_share"].to_numpy()
    strange = known_share < config.min_known_share
    raw = read.beats["pred_label"].to_numpy(dtype=float, na_value=UNKNOWN).astype(np.int64)
    # noise by what preprocessing measured, or by the gate of the model's hybrid net, if it has one
    score = np.fmax(run.metadata["quality_score"].to_numpy(dtype=float), read.beats["noise_prob"].to_numpy(dtype=float))
    asked = predicted & ~noisy
    doubts = {
        "confidence": asked & (read.beats["pred_conf"].to_numpy() < config.min_class_conf),
        "noise": asked & (score > config.max_noise_prob),
        "pattern": asked & strange[run.strip_of_beat],
    }
    review = np.logical_or.reduce(list(doubts.values()))
    final = np.where(noisy | ~predicted, NOISE, np.where(review, UNKNOWN, raw))
    beats = run.metadata.assign(
        pred_label_raw=pd.array(np.where(predicted, raw, 0), dtype="Int64"),
        pred_label_name=[label_name(one) if there else "" for one, there in zip(raw.tolist(), predicted, strict=True)],
        pred_conf=read.beats["pred_conf"].to_numpy(),
        noise_prob=score,
        max_proto_sim=np.nan,
        review_flag=review.astype(np.int64),
        final_label=final,
        final_label_name=[label_name(label) for label in final.tolist()],
        aami=read.beats["aami"].to_numpy(dtype=object),
        **{name: read.beats[name].to_numpy() for name in P_COLUMNS},
        known_share=known_share[run.strip_of_beat],
        review_reason=_joined(doubts),
    )
    beats.loc[~predicted, "pred_label_raw"] = pd.NA
    voted = _strip_table(beats, asked)
    strips = pd.DataFrame({"source_row": run.strips.source_row}).merge(voted, on="source_row", how="left")
    without = strips["num_beats"].isna()
    for name, value in (("strip_pred_label", UNKNOWN), ("num_beats", 0), ("num_review", 0), ("num_noise", 0)):
        strips[name] = strips[name].fillna(value).astype(np.int64)
    strips["strip_pred_name"] = strips["strip_pred_name"].where(~without, label_name(UNKNOWN))
    strips["strip_pred_ratio"] = strips["strip_pred_ratio"].fillna(0.0)
    strips = pd.concat([strips, read.strips.set_axis(strips.index)], axis=1)
    # noise, and a swing without QRS complexes, are seen in the trace itself, whatever beats the model knows
    strips.loc[strange & ~strips["strip_finding"].isin([NOISE, VFIB]).to_numpy(), "strip_finding"] = UNKNOWN
    strips["strip_finding_name"] = [label_name(label) for label in strips["strip_finding"]]
    summary = _summary(bundle, run, config, beats, strips, asked, doubts)
    counts = strips["strip_finding"].value_counts().sort_index()
    summary |= {
        "profile": ARRHYTHMIA,
        "num_noise_flagged": int(noisy.sum()),
        "unknown_strips": int((strips["strip_finding"] == UNKNOWN).sum()),
        "strange_strips": int(strange.sum()),
        "aami_counts": {str(name): int(n) for name, n in beats["aami"].value_counts().sort_index().items() if name},
        "strip_finding_counts": {str(label): int(n) for label, n in counts.items()},
        "rules_version": str(strips["rules_version"].iloc[0]) if len(strips) else "",
    }
    progress("prediction done", 1.0)
    return Prediction(beats, strips, summary)


def _joined(doubts: Mapping[str, NDArray[np.bool_]]) -> list[str]:
    flags = np.stack(list(doubts.values()), axis=1)
    words = {
        code: ";".join(n for n, on in zip(doubts, code, strict=True) if on)
        for code in map(tuple, np.unique(flags, axis=0).tolist())
    }
    return [words[code] for code in map(tuple, flags.tolist())]


def _strip_table(beats: pd.DataFrame, predicted: NDArray[np.bool_]) -> pd.DataFrame:
    rows = beats["source_row"].to_numpy()
    known, place = np.unique(rows, return_inverse=True)
    final = beats["final_label"].to_numpy()
    num_beats = np.bincount(place, predicted, len(known)).astype(np.int64)
    named = predicted & (final >= 0)
    labels = np.unique(final[named])
    winner, best = np.full(len(known), UNKNOWN), np.zeros(len(known))
    for label in labels:  # ascending, and only a larger count wins: equal counts go to the lowest label
        count = np.bincount(place, named & (final == label), len(known))
        winner = np.where(count > best, label, winner)
        best = np.maximum(best, count)
    return pd.DataFrame(
        {
            "source_row": known,
            "strip_pred_label": winner.astype(np.int64),
            "strip_pred_name": [label_name(label) for label in winner],
            "strip_pred_ratio": best / np.maximum(num_beats, 1),
            "num_beats": num_beats,
            "num_review": np.bincount(place, beats["review_flag"], len(known)).astype(np.int64),
            "num_noise": np.bincount(place, ~predicted, len(known)).astype(np.int64),
        }
    )


def _summary(
    bundle: Bundle,
    run: Run,
    config: PredictConfig,
    beats: pd.DataFrame,
    strips: pd.DataFrame,
    predicted: NDArray[np.bool_],
    doubts: Mapping[str, NDArray[np.bool_]],
) -> dict[str, Any]:
    left_out: dict[str, str] = {}
    if bundle.arrhythmia is not None:
        if bundle.arrhythmia.known is None:
            left_out["pattern"] = "The model was trained on too few patients to say which patterns it knows."
    elif bundle.model == "context":
        left_out["noise"] = "The model has no noise gate."
        left_out["similarity"] = "The model has no prototypes."
    elif bundle.bank is None or not len(bundle.bank):
        left_out["similarity"] = "The model's prototype bank is empty."
    notes = [f"{reason} So the {test} test was left out." for test, reason in left_out.items()]
    if bundle.data_hash and bundle.arrhythmia is None:
        for name in ("low_hz", "high_hz", "filter_order", "detector"):
            mine, here = getattr(bundle.preprocess, name), getattr(run.config, name)
            if mine != here:
                notes.append(f"The model was trained with {name} {mine}, these beats were made with {here}.")
    n, n_review = int(predicted.sum()), int(beats["review_flag"].sum())
    final = beats["final_label"].to_numpy()[predicted]
    values, counts = np.unique(final, return_counts=True)
    return {
        "num_beats_predicted": n,
        "num_review_flagged": n_review,
        "review_rate": n_review / max(n, 1),
        "num_strips": len(strips),
        "unknown_strips": int((strips["strip_pred_label"] == UNKNOWN).sum()),
        "thresholds": config.to_dict(),
        "num_noise_flagged": int((~predicted).sum()),
        "strips_of_noise_only": int((strips["num_beats"] == 0).sum()),
        "review_reasons": {name: int(failed.sum()) for name, failed in doubts.items()},
        "tests_left_out": left_out,
        "final_label_counts": {str(value): int(count) for value, count in zip(values, counts, strict=True)},
        "model": bundle.model,
        "classes": list(bundle.classes),
        "num_prototypes": 0 if bundle.bank is None else len(bundle.bank),
        "engine_version": bundle.engine_version,
        "notes": notes,
    }


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
