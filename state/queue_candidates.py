"""What may stand in the review queue, whatever readers said since: worked out once for a run and a prediction.

Every strip of the run is a candidate, so that a reason can come up later; a beat is one if the model or its shape gives
a reason. Which of them stand in the queue now is decided in :mod:`state.queue_items`.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from ecg_engine.config import PredictConfig
from ecg_engine.contradictions import Rhythm, rhythm
from ecg_engine.ectopy import Ectopy, ectopy
from ecg_engine.errors import InputError
from ecg_engine.labels import UNKNOWN
from ecg_engine.preprocess import Run
from ecg_engine.queue import FIGURES, REASON_TITLES, patient_order, sentence
from ecg_engine.ranking import doubt, prototype_distance
from ecg_engine.suspects import Suspects, suspects
from ecg_engine.tables import NO_PATIENT
from state.anchors import BeatIndex
from state.effective import AddedBeat
from state.reviewing import rows_of_ids
from state.strip_rows import UNKNOWN_PATIENT
from state.targets import beat_target, strip_target

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
        key, strip (bool: a strip, not a beat), place, row, source_row, beat_global_id (-1 for strips), patient,
        patient_order, suggestion (-99 for none), confidence, noise, similarity, doubt, distance, suspicion (0 to 1, NaN
        where nothing but the model has a doubt). ``row`` is -1 for strips and for beats that the run has no row for;
        ``beat_global_id`` breaks ties.
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
class Candidates:
    """What the queue of a run and a prediction is taken from.

    Attributes
    ----------
    items : Items
        All strips in the run's order, then the beats that have a reason, in the run's order.
    item_of_row : int64 (n,)
        Item of each beat of the run, -1 for a beat that is none.
    predicted : Predicted
    looks : Ectopy
        How ventricular each beat looks.
    timing : Rhythm
        Rate and regularity of each strip.
    suspects : Suspects
        Flagged beats that look ectopic, by the file's labels.
    """

    items: Items
    item_of_row: NDArray[np.int64]
    predicted: Predicted
    looks: Ectopy
    timing: Rhythm
    suspects: Suspects


@dataclass(frozen=True)
class Predicted:
    """A prediction laid out by the rows of its run; NaN and False where nothing was predicted, or without prediction.

    Attributes
    ----------
    label, confidence, noise, similarity, doubt : float64 (n,)
    distance : float64 (n,)
        From the beat's prototype, see :func:`ecg_engine.ranking.prototype_distance`.
    failed : bool (n, 3)
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
    doubt: NDArray[np.float64]
    distance: NDArray[np.float64]
    failed: NDArray[np.bool_]
    strips: pd.DataFrame | None
    patient: NDArray[np.object_]
    patient_order: NDArray[np.int64]


def find_candidates(run: Run, index: BeatIndex, prediction: Prediction | None, config: PredictConfig) -> Candidates:
    """What may stand in the queue. Worth keeping for as long as run and prediction are the same.

    Parameters
    ----------
    prediction : (beats, strips) or None
        Of this very run.
    config : PredictConfig
        The limits of the prediction.

    Raises
    ------
    InputError
        If the run keeps no strips, or the prediction is of other beats.
    """
    if run.strips is None:
        raise InputError("this run keeps no strips, only beats", remedy="Preprocess the file again to review it.")
    predicted = lay_out(run, index, prediction, config)
    rows = np.flatnonzero(predicted.failed.any(axis=1))
    beats = beat_items(run, index, predicted, rows)
    _say_model(beats, predicted, config)
    strips = _strip_items(run, index, predicted)
    item_of_row = np.full(len(index), -1, dtype=np.int64)
    item_of_row[rows] = len(strips) + np.arange(len(rows))
    looks = ectopy(run)
    found = suspects(looks, index.flags, index.strip_labels[index.strip_of_beat], noise_reasons(run))
    return Candidates(strips.joined(beats), item_of_row, predicted, looks, rhythm(run, looks), found)


def noise_reasons(run: Run) -> NDArray[np.object_]:
    """Why each beat was flagged: "edge;rr"."""
    return run.metadata["noise_reason"].to_numpy(dtype=object)


def lay_out(run: Run, index: BeatIndex, prediction: Prediction | None, config: PredictConfig) -> Predicted:
    """A prediction by the rows of its run."""
    n = len(index)
    columns = {name: np.full(n, np.nan) for name in ("label", "confidence", "noise", "similarity")}
    columns["distance"] = prototype_distance(np.asarray(run.beats), run.cluster_ids, run.prototype_waves)
    doubts, failed = np.zeros(n), np.zeros((n, len(MODEL_REASONS)), dtype=bool)
    ids = [] if run.strips is None else run.strips.patient_id.tolist()
    patient = np.array([UNKNOWN_PATIENT if one == NO_PATIENT else str(one) for one in ids], dtype=object)
    ordered = patient_order(pd.Series(patient, dtype=object))
    if prediction is None:
        return Predicted(**columns, doubt=doubts, failed=failed, strips=None, patient=patient, patient_order=ordered)
    beats, strips = prediction
    rows = rows_of_ids(index, beats["beat_global_id"])
    if (rows < 0).any():
        raise InputError(
            f"the prediction has a beat {int(beats['beat_global_id'].to_numpy()[rows < 0][0])} that the run has not",
            remedy="Predict again with the run in hand.",
        )
    names = {"label": "pred_label_raw", "confidence": "pred_conf", "noise": "noise_prob", "similarity": "max_proto_sim"}
    for name, column in names.items():
        columns[name][rows] = beats[column].to_numpy(dtype=float, na_value=np.nan)
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
    return Predicted(**columns, doubt=doubts, failed=failed, strips=table, patient=patient, patient_order=ordered)


def beat_items(run: Run, index: BeatIndex, predicted: Predicted, rows: NDArray[np.int64]) -> Items:
    """Items of some beats, without reasons yet."""
    assert run.strips is not None
    place = index.strip_of_beat[rows]
    hashes, times = run.strips.strip_hash[place], index.first_ms[rows]
    raw = predicted.label[rows]
    return _items(
        run,
        predicted,
        place,
        key=[beat_target(name, time) for name, time in zip(hashes.tolist(), times.tolist(), strict=True)],
        strip=np.zeros(len(rows), dtype=bool),
        row=rows,
        beat_global_id=index.beat_ids[rows],
        suggestion=np.where(np.isnan(raw), UNKNOWN, np.nan_to_num(raw)).astype(np.int64),
        confidence=predicted.confidence[rows],
        noise=predicted.noise[rows],
        similarity=predicted.similarity[rows],
        doubt=predicted.doubt[rows],
        distance=predicted.distance[rows],
    )


def _strip_items(run: Run, index: BeatIndex, predicted: Predicted) -> Items:
    assert run.strips is not None
    m = len(run.strips)
    nothing, places = np.full(m, np.nan), np.arange(m)
    items = _items(
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
        distance=nothing,
    )
    if predicted.strips is not None:
        unknown = predicted.strips[predicted.strips["strip_pred_label"] == UNKNOWN]
        column = REASONS.index("unknown")
        where = unknown["place"].to_numpy()
        items.has[where, column] = True
        items.why[where, column] = [
            _unknown_strip(*counts) for counts in unknown[["num_beats", "num_review", "num_noise"]].to_numpy().tolist()
        ]
        items.columns["doubt"][where] = unknown["doubt"].to_numpy()
    return items


def added_items(run: Run, index: BeatIndex, predicted: Predicted, added: Sequence[AddedBeat]) -> Items:
    """Items of beats that readers added and the run has no row for, without reasons yet."""
    m = len(added)
    nothing = np.full(m, np.nan)
    return _items(
        run,
        predicted,
        np.array([beat.place for beat in added], dtype=np.int64),
        key=[beat_target(beat.strip_hash, beat.anchor_ms) for beat in added],
        strip=np.zeros(m, dtype=bool),
        row=np.full(m, -1, dtype=np.int64),
        beat_global_id=int(index.beat_ids.max(initial=-1)) + 1 + np.arange(m),
        suggestion=np.full(m, UNKNOWN, dtype=np.int64),
        confidence=nothing,
        noise=nothing,
        similarity=nothing,
        doubt=np.zeros(m),
        distance=nothing,
    )


def _items(run: Run, predicted: Predicted, place: NDArray[np.int64], **columns: Any) -> Items:
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
        **columns,
    }
    why = np.full((m, len(REASONS)), None, dtype=object)
    return Items(found, np.zeros((m, len(REASONS)), dtype=bool), why)


def _say_model(items: Items, predicted: Predicted, config: PredictConfig) -> None:
    """The prediction's reasons, with a sentence for each."""
    failed = predicted.failed[items.columns["row"]]
    for number, name in enumerate(MODEL_REASONS):
        where, column = np.flatnonzero(failed[:, number]), REASONS.index(name)
        items.has[where, column] = True
        items.why[where, column] = [sentence(name, value, config) for value in items.columns[name][where].tolist()]


def _unknown_strip(beats: int, review: int, noise: int) -> str:
    if beats == 0:
        return f"All of its {noise} beats are flagged as noise, so the model says nothing of it."
    rest = f"; {noise} more are flagged as noise" if noise else ""
    return f"The model is sure of none of its beats: {review} of {beats} are under review{rest}."
