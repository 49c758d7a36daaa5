"""A prediction by the rows of its run, and items of the review queue as columns. Pure functions."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from ecg_engine.config import PredictConfig
from ecg_engine.errors import InputError
from ecg_engine.group_queue import SWINGS, bits_of
from ecg_engine.labels import P_COLUMNS
from ecg_engine.preprocess import Run
from ecg_engine.queue import FIGURES, REASON_TITLES, patient_order
from ecg_engine.ranking import doubt, prototype_distance
from ecg_engine.tables import NO_PATIENT
from state.anchors import BeatIndex
from state.reviewing import rows_of_ids
from state.strip_rows import UNKNOWN_PATIENT

REASONS = tuple(REASON_TITLES)
MODEL_REASONS = tuple(FIGURES)
Prediction = tuple[pd.DataFrame, pd.DataFrame]
"""Tables of a prediction: beats and strips (``beat_predictions_v2.csv``, ``strip_predictions_v2.csv``)."""


@dataclass(frozen=True)
class Items:
    """Items as columns. Treat as read-only.

    Attributes
    ----------
    columns : dict of str to array (m,)
        key, strip (bool: a strip, not a beat), group (its number, -1 for strips and beats), place, row, source_row,
        beat_global_id (-1 for strips), patient, patient_order, suggestion (-99 for none), confidence, noise,
        similarity, doubt, bits (doubt in bits, NaN where a prediction does not give all classes), beats (that an
        answer speaks of), distance, suspicion (0 to 1, NaN where nothing but the model has a doubt), findings (what the
        rules read on a strip, "" for nothing). ``row`` is -1 for strips and for beats that the run has no row for, a
        group's the member that it is shown at; ``beat_global_id`` breaks ties.
    has : bool (m, R)
        Which of ``REASONS`` an item has.
    why : object (m, R)
        The sentence for each of them, None for the others.
    """

    columns: dict[str, NDArray[Any]]
    has: NDArray[np.bool_]
    why: NDArray[np.object_]

    def __len__(self) -> int:
        return len(self.has)

    def joined(self, other: Items) -> Items:
        """Both, one after the other."""
        if not len(other):
            return self
        columns = {name: np.concatenate([self.columns[name], other.columns[name]]) for name in self.columns}
        return Items(columns, np.concatenate([self.has, other.has]), np.concatenate([self.why, other.why]))


@dataclass(frozen=True)
class Predicted:
    """A prediction laid out by the rows of its run; NaN and False where nothing was predicted, or without prediction.

    Attributes
    ----------
    label, confidence, noise, similarity, pattern, doubt, bits : float64 (n,)
        ``pattern`` is the known share of the beat's strip, ``bits`` the doubt in bits.
    probabilities : float64 (n, 4) or None
        Of N, S, V, F; None where the prediction does not give them.
    swings : bool (n,)
        Beats of class Q.
    distance : float64 (n,)
        From the beat's prototype, see :func:`ecg_engine.ranking.prototype_distance`.
    failed : bool (n, 4)
        Which tests a beat failed, in the order of ``MODEL_REASONS``.
    strips : DataFrame or None
        The strips' table with the columns place and doubt (mean over the strip's predicted beats).
    patient : object (str) (S,)
        Each strip's patient as text.
    patient_order : int64 (S,)
        Its place among all patients.
    """

    label: NDArray[np.float64]
    confidence: NDArray[np.float64]
    noise: NDArray[np.float64]
    similarity: NDArray[np.float64]
    pattern: NDArray[np.float64]
    doubt: NDArray[np.float64]
    bits: NDArray[np.float64]
    probabilities: NDArray[np.float64] | None
    swings: NDArray[np.bool_]
    distance: NDArray[np.float64]
    failed: NDArray[np.bool_]
    strips: pd.DataFrame | None
    patient: NDArray[np.object_]
    patient_order: NDArray[np.int64]


def lay_out(run: Run, index: BeatIndex, prediction: Prediction | None, config: PredictConfig) -> Predicted:
    """A prediction by the rows of its run."""
    n = len(index)
    columns = {name: np.full(n, np.nan) for name in ("label", "confidence", "noise", "similarity", "pattern", "bits")}
    columns["distance"] = prototype_distance(np.asarray(run.beats), run.cluster_ids, run.prototype_waves)
    doubts, failed = np.zeros(n), np.zeros((n, len(MODEL_REASONS)), dtype=bool)
    probabilities, swings = None, np.zeros(n, dtype=bool)
    ids = [] if run.strips is None else run.strips.patient_id.tolist()
    patient = np.array([UNKNOWN_PATIENT if one == NO_PATIENT else str(one) for one in ids], dtype=object)
    ordered = patient_order(pd.Series(patient, dtype=object))
    more: dict[str, Any] = {"doubt": doubts, "failed": failed, "patient": patient, "patient_order": ordered}
    if prediction is None:
        return Predicted(**columns, **more, strips=None, probabilities=None, swings=swings)
    beats, strips = prediction
    rows = rows_of_ids(index, beats["beat_global_id"])
    if (rows < 0).any():
        raise InputError(
            f"the prediction has a beat {int(beats['beat_global_id'].to_numpy()[rows < 0][0])} that the run has not",
            remedy="Predict again with the run in hand.",
        )
    for name, column in {"label": "pred_label_raw", **FIGURES}.items():
        if column in beats:  # each profile has some of its own
            columns[name][rows] = beats[column].to_numpy(dtype=float, na_value=np.nan)
    columns["bits"][rows] = bits_of(beats)
    if set(P_COLUMNS) <= set(beats.columns):
        probabilities = np.full((n, len(P_COLUMNS)), np.nan)
        probabilities[rows] = beats[list(P_COLUMNS)].to_numpy(dtype=float, na_value=np.nan)
        swings[rows] = beats["aami"].to_numpy(dtype=object) == SWINGS
    doubts[rows] = np.where(beats["pred_conf"].notna(), doubt(beats, config), 0.0)
    flagged = np.flatnonzero(beats["review_flag"].to_numpy() == 1)
    said = beats["review_reason"].to_numpy(dtype=object)[flagged]
    for number, reason in enumerate(MODEL_REASONS):
        failed[rows[flagged], number] = [reason in str(text) for text in said]
    table = strips.copy()
    known = np.asarray(run.strips.source_row if run.strips is not None else [], dtype=np.int64)
    order = np.argsort(known, kind="stable")
    table["place"] = order[np.searchsorted(known, table["source_row"].to_numpy(), sorter=order)]
    sums = np.bincount(index.strip_of_beat, doubts, len(known))[table["place"]]
    table["doubt"] = sums / np.maximum(table["num_beats"].to_numpy(), 1)
    return Predicted(**columns, **more, strips=table, probabilities=probabilities, swings=swings)


def make_items(run: Run, predicted: Predicted, place: NDArray[np.int64], **columns: Any) -> Items:
    """Items with all columns in order; what follows from the strip is filled in."""
    assert run.strips is not None
    m = len(place)
    key = np.array(columns.pop("key"), dtype=object)
    found = {
        "key": key,
        "place": np.asarray(place, dtype=np.int64),
        "source_row": np.asarray(run.strips.source_row, dtype=np.int64)[place],
        "patient": predicted.patient[place],
        "patient_order": predicted.patient_order[place],
        "suspicion": np.full(m, np.nan),
        "group": np.full(m, -1, dtype=np.int64),
        "bits": np.full(m, np.nan),
        "beats": np.ones(m),
        "findings": np.full(m, "", dtype=object),
        **columns,
    }
    why = np.full((m, len(REASONS)), None, dtype=object)
    return Items(found, np.zeros((m, len(REASONS)), dtype=bool), why)
