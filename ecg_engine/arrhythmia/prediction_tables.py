"""The tables of a prediction by the arrhythmia profile: what can be stood by, and what goes to review (issue 4).

What the model reads is worked out in :mod:`ecg_engine.arrhythmia.prediction`.
"""

from __future__ import annotations

import numpy as np
import pandas as pd

from ecg_engine.arrhythmia.prediction import read_run
from ecg_engine.bundle import Bundle
from ecg_engine.config import ARRHYTHMIA, PredictConfig
from ecg_engine.datasets import RunPart
from ecg_engine.labels import NOISE, P_COLUMNS, UNKNOWN, VFIB, label_name
from ecg_engine.prediction_tables import Prediction, review_reasons, strip_votes, summary_of
from ecg_engine.preprocess import Run
from ecg_engine.progress import Progress, part, silent


def predict_arrhythmia(
    bundle: Bundle, run: Run, config: PredictConfig, said: RunPart | None = None, progress: Progress = silent
) -> Prediction:
    """Predict a run of the arrhythmia profile with a model of it: the reference's columns first, then its own.

    Parameters
    ----------
    bundle : Bundle
        Of the arrhythmia profile.
    run : Run
        With its strips.
    config : PredictConfig
    said : RunPart, optional
        What readers have said of the run's beats.
    progress : Progress

    Raises
    ------
    InputError
        If the run is of the reference profile.
    """
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
        review_reason=review_reasons(doubts),
    )
    beats.loc[~predicted, "pred_label_raw"] = pd.NA
    voted = strip_votes(beats, asked)
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
    left_out = {}
    if bundle.arrhythmia.known is None:
        left_out["pattern"] = "The model was trained on too few patients to say which patterns it knows."
    summary = summary_of(bundle, config, beats, strips, asked, doubts, left_out)
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
