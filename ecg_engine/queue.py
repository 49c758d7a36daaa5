"""The order in which beats under review are looked at, and why each of them is doubtful, in words.

An order is an entry in :data:`ORDERS`; the screen that shows the queue knows nothing of how it is sorted.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from types import MappingProxyType
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from ecg_engine.config import PredictConfig
from ecg_engine.errors import ConfigError

Keys = list[NDArray[Any]]

REASON_TITLES: Mapping[str, str] = MappingProxyType(
    {"confidence": "Unsure of the class", "noise": "Perhaps noise", "similarity": "Unlike known shapes"}
)
"""The reasons of ``review_reason``, as a reader would name them."""


class Order(NamedTuple):
    """One way through the queue.

    Attributes
    ----------
    title, help : str
        For who chooses it.
    keys : callable
        From the beats under review and the thresholds to what is sorted by, the weightiest first, all ascending.
        Ties are broken by ``beat_global_id``.
    """

    title: str
    help: str
    keys: Callable[[pd.DataFrame, PredictConfig], Keys]


def doubt(beats: pd.DataFrame, config: PredictConfig) -> NDArray[np.float64]:
    """How far a beat lies beyond the limits: 0 at or within all of them, 1 at the worst; higher is more doubtful.

    For each of the three tests, the way beyond its limit as a share of the longest way there is; the largest counts.
    A test that the model cannot make (NaN) adds nothing.
    """
    sure, noise, alike = (
        beats[name].to_numpy(dtype=float, na_value=np.nan) for name in ("pred_conf", "noise_prob", "max_proto_sim")
    )
    ways = [
        (config.min_class_conf - sure) / (config.min_class_conf or 1.0),
        (noise - config.max_noise_prob) / ((1.0 - config.max_noise_prob) or 1.0),
        (config.min_proto_sim - alike) / ((config.min_proto_sim + 1.0) or 1.0),
    ]
    return np.asarray(np.clip(np.nan_to_num(np.stack(ways), nan=0.0).max(axis=0), 0.0, 1.0), dtype=np.float64)


def _patients(beats: pd.DataFrame) -> Keys:
    # Numbers in order of size, then names in order of the alphabet; 2 comes before 10.
    names = beats["patient_id"].astype(str)
    numbers = pd.to_numeric(names, errors="coerce").fillna(np.inf).to_numpy(dtype=float)
    return [numbers, np.unique(names.to_numpy(dtype=str), return_inverse=True)[1], *_as_read(beats)]


def _as_read(beats: pd.DataFrame) -> Keys:
    return [beats["source_row"].to_numpy(), beats["r_index"].to_numpy()]


def _confidence(beats: pd.DataFrame) -> NDArray[np.float64]:
    return beats["pred_conf"].to_numpy(dtype=float)


ORDERS: Mapping[str, Order] = MappingProxyType(
    {
        "uncertain": Order(
            "Most uncertain first",
            "Those furthest beyond a limit come first: what the model learns most from.",
            lambda beats, config: [-doubt(beats, config)],
        ),
        "likely": Order(
            "Most likely right first",
            "Those the model is surest of come first: quick to accept.",
            lambda beats, config: [-_confidence(beats)],
        ),
        "suggestion": Order(
            "By suggestion",
            "Beats with one suggested label follow each other, the surest first.",
            lambda beats, config: [beats["pred_label_raw"].to_numpy(dtype=float), -_confidence(beats)],
        ),
        "patient": Order(
            "By patient",
            "One patient after another, strip by strip.",
            lambda beats, config: _patients(beats),
        ),
        "first": Order("First in, first out", "In the order of the file.", lambda beats, config: _as_read(beats)),
    }
)
"""Ways through the queue, by name."""


def review_queue(
    beats: pd.DataFrame,
    config: PredictConfig,
    *,
    order: str = "uncertain",
    reasons: Collection[str] = (),
    suggestions: Collection[int] = (),
    patients: Collection[str] = (),
) -> pd.DataFrame:
    """The beats under review, in an order.

    Parameters
    ----------
    beats : DataFrame
        ``beat_predictions_v2.csv``, or :attr:`ecg_engine.prediction.Prediction.beats`.
    config : PredictConfig
        The thresholds that were used.
    order : str
        A name in :data:`ORDERS`.
    reasons : collection of str
        Only beats that are doubtful for one of these; all if empty.
    suggestions : collection of int
        Only beats that the model would give one of these labels; all if empty.
    patients : collection of str
        Only beats of these patients; all if empty.

    Raises
    ------
    ConfigError
        If there is no such order; the message names those there are.
    """
    if order not in ORDERS:
        raise ConfigError(f"There is no order {order!r} of the queue; there are: {', '.join(ORDERS)}.")
    wanted = beats["review_flag"].to_numpy() == 1
    if reasons:
        why = beats["review_reason"].fillna("").astype(str)
        wanted &= np.logical_or.reduce([why.str.contains(name, regex=False).to_numpy() for name in reasons])
    if suggestions:
        wanted &= beats["pred_label_raw"].isin(list(suggestions)).to_numpy(dtype=bool)
    if patients:
        wanted &= beats["patient_id"].astype(str).isin(list(patients)).to_numpy()
    chosen = beats[wanted]
    keys = [*ORDERS[order].keys(chosen, config), chosen["beat_global_id"].to_numpy()]
    return chosen.iloc[np.lexsort(keys[::-1])]


def why_in_words(beat: Mapping[Any, Any], config: PredictConfig) -> list[str]:
    """Why one beat is under review: a sentence for each test that it failed, with the figure and the limit."""
    failed = str(beat.get("review_reason") or "").split(";")
    sentences = {
        "confidence": f"The model is only {_percent(beat, 'pred_conf')} sure of the class; "
        f"{config.min_class_conf:.0%} is asked for.",
        "noise": f"It may be noise, the model says with {_percent(beat, 'noise_prob')}; "
        f"{config.max_noise_prob:.0%} is the limit.",
        "similarity": f"It is like no shape that the model knows: similarity {_number(beat, 'max_proto_sim')}, "
        f"{config.min_proto_sim:.2f} is asked for.",
    }
    return [sentence for name, sentence in sentences.items() if name in failed]


def _percent(beat: Mapping[Any, Any], name: str) -> str:
    return f"{float(beat[name]):.0%}"


def _number(beat: Mapping[Any, Any], name: str) -> str:
    return f"{float(beat[name]):.2f}"
