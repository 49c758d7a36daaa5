"""Strips as items of the review queue: those that a prediction cannot name, and why. Pure functions."""

from __future__ import annotations

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from ecg_engine.config import PredictConfig
from ecg_engine.labels import UNKNOWN
from ecg_engine.preprocess import Run
from ecg_engine.queue import stranger
from state.anchors import BeatIndex
from state.queue_layout import REASONS, Items, Predicted, make_items
from state.targets import strip_target

_UNKNOWN, _PATTERN = REASONS.index("unknown"), REASONS.index("pattern")


def strip_items(run: Run, index: BeatIndex, predicted: Predicted, config: PredictConfig) -> Items:
    """All strips of a run; those have a reason that the prediction cannot name.

    By a prediction of the reference profile that is a strip without a majority among its beats; by one of the
    arrhythmia profile, a strip without a finding that can be stood by, and why: it is unlike all that the model knows,
    or nothing on it is sure.
    """
    assert run.strips is not None
    m = len(run.strips)
    nothing, places = np.full(m, np.nan), np.arange(m)
    items = make_items(
        run,
        predicted,
        places,
        key=[strip_target(str(name)) for name in run.strips.strip_hash],
        strip=np.ones(m, dtype=bool),
        row=np.full(m, -1, dtype=np.int64),
        beat_global_id=np.full(m, -1, dtype=np.int64),
        suggestion=np.full(m, UNKNOWN, dtype=np.int64),
        confidence=nothing,
        noise=nothing,
        similarity=nothing,
        doubt=np.zeros(m),
        beats=np.bincount(index.strip_of_beat[index.strip_of_beat >= 0], minlength=m).astype(float),
        distance=nothing,
    )
    if predicted.strips is None:
        return items
    if "strip_finding" in predicted.strips:
        _without_finding(items, predicted.strips, config)
        return items
    unknown = predicted.strips[predicted.strips["strip_pred_label"] == UNKNOWN]
    where = unknown["place"].to_numpy()
    items.has[where, _UNKNOWN] = True
    items.why[where, _UNKNOWN] = [
        _unsure_of_all(*counts) for counts in unknown[["num_beats", "num_review", "num_noise"]].to_numpy().tolist()
    ]
    items.columns["doubt"][where] = unknown["doubt"].to_numpy()
    return items


def _without_finding(items: Items, strips: pd.DataFrame, config: PredictConfig) -> None:
    place = strips["place"].to_numpy()
    items.columns["findings"][place] = strips["findings"].fillna("").astype(str).to_numpy(dtype=object)
    asked = strips["strip_finding"].to_numpy() == UNKNOWN
    share = strips["known_share"].to_numpy(dtype=float)
    sure = strips["finding_confidence"].to_numpy(dtype=float)
    strange = asked & (share < config.min_known_share)
    where = place[strange]
    items.has[where, _PATTERN] = True
    items.why[where, _PATTERN] = [_strange(one, config) for one in share[strange].tolist()]
    items.columns["doubt"][where] = _beyond(share[strange], config.min_known_share)
    dim = asked & ~strange
    where = place[dim]
    items.has[where, _UNKNOWN] = True
    counts = strips.loc[dim, ["num_beats", "num_noise"]].to_numpy().tolist()
    items.why[where, _UNKNOWN] = [
        _not_sure(float(one), *of) for one, of in zip(sure[dim].tolist(), counts, strict=True)
    ]
    items.columns["doubt"][where] = np.clip(1.0 - np.nan_to_num(sure[dim], nan=0.5), 0.0, 1.0)


def _beyond(share: NDArray[np.float64], limit: float) -> NDArray[np.float64]:
    """How far a strip lies beyond the limit: 0 at it, 1 for one that is stranger than all."""
    return np.clip((limit - share) / (limit or 1.0), 0.0, 1.0)


def _strange(share: float, config: PredictConfig) -> str:
    words = stranger(share)
    return f"The strip is {words}; beyond {1.0 - config.min_known_share:.0%} none of its findings is stood by."


def _not_sure(sure: float, beats: int, noise: int) -> str:
    if beats == 0:
        return "No beat was found on it." if not noise else f"All of its {noise} beats are flagged as noise."
    if np.isnan(sure):
        return "The model stands by no finding on it."
    how = f"{sure:.0%}" if sure >= 0.005 else "under 1%"
    return f"The model stands by no finding on it: it is {how} sure of the likeliest."


def _unsure_of_all(beats: int, review: int, noise: int) -> str:
    if beats == 0:
        return f"All of its {noise} beats are flagged as noise, so the model says nothing of it."
    rest = f"; {noise} more are flagged as noise" if noise else ""
    return f"The model is sure of none of its beats: {review} of {beats} are under review{rest}."
