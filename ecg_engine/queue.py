"""The order in which items are looked at, and why each of them is doubtful, in words.

An order is an entry in :data:`ORDERS`: a title and the columns that it sorts by. The screen that shows the queue knows
nothing of how it is sorted, and the sorting nothing of where the items come from.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from types import MappingProxyType
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from ecg_engine.config import PredictConfig
from ecg_engine.errors import ConfigError
from ecg_engine.group_queue import bits_of
from ecg_engine.ranking import doubt, expected_severity, label_quality

REASON_TITLES: Mapping[str, str] = MappingProxyType(
    {
        "confidence": "Unsure of the class",
        "noise": "Perhaps noise",
        "similarity": "Unlike known shapes",
        "pattern": "Unlike anything the model knows",
        "unknown": "Strip without a label",
        "group": "Groups of look-alike beats",
        "ectopic": "Flagged as noise, looks ectopic",
        "disagree": "Strip and beats disagree",
        "unsure": "Left for a second reader",
    }
)
"""Every reason for which an item stands in the queue, as a reader would name it.

The first four are the prediction's (``review_reason``), the fifth its Unknown/Review strips, the sixth the groups of a
run of the arrhythmia profile (:mod:`ecg_engine.group_queue`); the others come from :mod:`ecg_engine.suspects`,
:mod:`ecg_engine.contradictions` and from readers.
"""


class Order(NamedTuple):
    """One way through the queue.

    Attributes
    ----------
    title, help : str
        For who chooses it.
    by : tuple of str
        Columns that are sorted by, the weightiest first; ``-name`` for the largest first. What has no value (NaN)
        comes last. Ties go by :data:`AS_READ`, so that every order is total.
    """

    title: str
    help: str
    by: tuple[str, ...]


ORDERS: Mapping[str, Order] = MappingProxyType(
    {
        "uncertain": Order(
            "Most uncertain first",
            "Those furthest beyond a limit come first: what the model learns most from.",
            ("-doubt",),
        ),
        "gain": Order(
            "Most gained by one key first",
            "Large groups of look-alike beats that are in doubt come first: one answer labels all of a group.",
            ("-gain",),
        ),
        "typical": Order(
            "Most typical first",
            "Those closest to the middle of their cluster come first: an answer holds for many others.",
            ("distance",),
        ),
        "mislabelled": Order(
            "Most likely mislabelled first",
            "Those whose label the model would least give come first.",
            ("quality",),
        ),
        "serious": Order(
            "Most serious if missed first",
            "Runs, triplets and couplets come before single beats, and those before rates.",
            ("-severity",),
        ),
        "likely": Order(
            "Most likely right first",
            "Those the model is surest of come first: quick to accept.",
            ("-confidence",),
        ),
        "suggestion": Order(
            "By suggestion",
            "Items with one suggested label follow each other, the surest first.",
            ("suggestion", "-confidence"),
        ),
        "patient": Order(
            "By patient",
            "One patient after another, strip by strip.",
            ("patient_order",),
        ),
        "first": Order("First in, first out", "In the order of the file.", ()),
    }
)
"""Ways through the queue, by name."""

AS_READ = ("source_row", "beat_global_id")
"""What ties go by: strip by strip as in the file, a strip (-1) before its beats."""


def order_of(items: pd.DataFrame, order: str) -> NDArray[np.int64]:
    """Places of items in an order. It is total: it depends on the items alone, not on how they were laid out.

    Parameters
    ----------
    items : DataFrame
        Those columns that the order sorts by, and :data:`AS_READ`: doubt (0 to 1, :func:`~ecg_engine.ranking.doubt`),
        gain (bits times the root of the beats that an answer speaks of, :mod:`ecg_engine.group_queue`), distance (from
        the prototype, 0 upwards), quality (0 to 1, :func:`~ecg_engine.ranking.label_quality`), severity (0 to 1),
        confidence, suggestion (label id, NaN for none), patient_order (:func:`patient_order`).
    order : str
        A name in :data:`ORDERS`.

    Raises
    ------
    ConfigError
        If there is no such order; the message names those there are.
    """
    if order not in ORDERS:
        raise ConfigError(f"There is no order {order!r} of the queue; there are: {', '.join(ORDERS)}.")
    keys = []
    for name in (*ORDERS[order].by, *AS_READ):
        values = items[name.removeprefix("-")].to_numpy(dtype=float, na_value=np.nan)
        keys.append(-values if name.startswith("-") else values)
    return np.lexsort(keys[::-1])


def patient_order(patients: pd.Series) -> NDArray[np.int64]:
    """Place of each item's patient among all: numbers in order of size (2 before 10), then names by the alphabet."""
    codes, names = pd.factorize(patients.astype(str))
    numbers = pd.to_numeric(pd.Series(names), errors="coerce").fillna(np.inf).to_numpy(dtype=float)
    ranked = np.lexsort([np.asarray(names, dtype=str), numbers])
    place = np.empty(len(names), dtype=np.int64)
    place[ranked] = np.arange(len(names))
    return place[codes]


def review_queue(
    beats: pd.DataFrame,
    config: PredictConfig,
    *,
    order: str = "uncertain",
    reasons: Collection[str] = (),
    suggestions: Collection[int] = (),
    patients: Collection[str] = (),
) -> pd.DataFrame:
    """The beats that a prediction sent to review, in an order.

    Parameters
    ----------
    beats : DataFrame
        ``beat_predictions_v2.csv``, or :attr:`ecg_engine.prediction.Prediction.beats`.
    config : PredictConfig
        The thresholds that were used.
    order : str
        A name in :data:`ORDERS`. The typical go by the largest prototype cosine, the mislabelled by the strip's label.
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
    wanted = beats["review_flag"].to_numpy() == 1
    if reasons:
        why = beats["review_reason"].fillna("").astype(str)
        wanted &= np.logical_or.reduce([why.str.contains(name, regex=False).to_numpy() for name in reasons])
    if suggestions:
        wanted &= beats["pred_label_raw"].isin(list(suggestions)).to_numpy(dtype=bool)
    if patients:
        wanted &= beats["patient_id"].astype(str).isin(list(patients)).to_numpy()
    chosen = beats[wanted]
    return chosen.iloc[order_of(_as_items(chosen, config), order)]


def _as_items(beats: pd.DataFrame, config: PredictConfig) -> pd.DataFrame:
    """Predicted beats with the columns that orders sort by."""
    raw = beats["pred_label_raw"].to_numpy(dtype=float, na_value=np.nan)
    sure = beats["pred_conf"].to_numpy(dtype=float, na_value=np.nan)
    noise = beats["noise_prob"].to_numpy(dtype=float, na_value=np.nan)
    given = beats["record_label"].to_numpy() if "record_label" in beats else raw
    doubts = doubt(beats, config)
    return pd.DataFrame(
        {
            "source_row": beats["source_row"].to_numpy(),
            "beat_global_id": beats["beat_global_id"].to_numpy(),
            "doubt": doubts,
            "gain": np.fmax(doubts, bits_of(beats)),
            "distance": 1.0 - beats["max_proto_sim"].to_numpy(dtype=float, na_value=np.nan),
            "quality": label_quality(given, raw, sure, noise),
            "severity": expected_severity(raw, sure),
            "confidence": sure,
            "suggestion": raw,
            "patient_order": patient_order(beats["patient_id"]),
        }
    )


FIGURES: Mapping[str, str] = MappingProxyType(
    {"confidence": "pred_conf", "noise": "noise_prob", "similarity": "max_proto_sim", "pattern": "known_share"}
)
"""The column of a prediction that each of its reasons speaks of; the last one only in the arrhythmia profile."""


def sentence(reason: str, figure: float, config: PredictConfig) -> str:
    """Why a prediction sent a beat to review, for one of :data:`FIGURES`: with the figure and the limit."""
    if reason == "confidence":
        return f"The model is only {figure:.0%} sure of the class; {config.min_class_conf:.0%} is asked for."
    if reason == "noise":
        return f"It may be noise, the model says with {figure:.0%}; {config.max_noise_prob:.0%} is the limit."
    if reason == "pattern":
        return f"Its strip is {stranger(figure)}; beyond {1.0 - config.min_known_share:.0%} it goes to review."
    return (
        f"It is like no shape that the model knows: similarity {figure:.2f}, {config.min_proto_sim:.2f} is asked for."
    )


def stranger(known_share: float) -> str:
    """How strange a strip is: "stranger than 99.5 % of the strips that the model learned from"."""
    if known_share <= 0:
        return "stranger than all strips that the model learned from"
    share = min(100.0 * (1.0 - known_share), 99.9)
    return f"stranger than {share:.1f} % of the strips that the model learned from"


def why_in_words(beat: Mapping[Any, Any], config: PredictConfig) -> list[str]:
    """Why one beat is under review: a sentence for each test that it failed, with the figure and the limit."""
    failed = str(beat.get("review_reason") or "").split(";")
    return [sentence(name, float(beat[column]), config) for name, column in FIGURES.items() if name in failed]
