"""What may stand in the review queue, whatever readers said since: worked out once for a run and a prediction.

Every strip of the run is a candidate, so that a reason can come up later; a beat is one if the model or its shape gives
a reason, a group of look-alike beats if a word on it would gain something. Of a strip that is unlike all that the model
knows the strip is asked about, not each of its beats. Which of them stand in the queue now is decided in
:mod:`state.queue_items`.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ecg_engine.config import PredictConfig
from ecg_engine.contradictions import Rhythm, rhythm
from ecg_engine.ectopy import Ectopy, ectopy
from ecg_engine.errors import InputError
from ecg_engine.labels import UNKNOWN
from ecg_engine.preprocess import Run
from ecg_engine.queue import sentence
from ecg_engine.suspects import Suspects, suspects
from state.anchors import BeatIndex
from state.effective import AddedBeat
from state.queue_groups import group_items
from state.queue_layout import MODEL_REASONS, REASONS, Items, Predicted, Prediction, lay_out, make_items
from state.queue_strips import strip_items
from state.targets import beat_target

__all__ = ["MODEL_REASONS", "REASONS", "Candidates", "Items", "Predicted", "Prediction", "find_candidates"]

_OWN_REASONS = [number for number, name in enumerate(MODEL_REASONS) if name != "pattern"]
"""Those for which a beat is asked about by itself."""


@dataclass(frozen=True)
class Candidates:
    """What the queue of a run and a prediction is taken from.

    Attributes
    ----------
    items : Items
        All strips in the run's order, then the beats that have a reason, in the run's order, then groups.
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
    rows = np.flatnonzero(predicted.failed[:, _OWN_REASONS].any(axis=1))
    beats = beat_items(run, index, predicted, rows)
    _say_model(beats, predicted, config)
    strips = strip_items(run, index, predicted, config)
    item_of_row = np.full(len(index), -1, dtype=np.int64)
    item_of_row[rows] = len(strips) + np.arange(len(rows))
    looks = ectopy(run)
    found = suspects(looks, index.flags, index.strip_labels[index.strip_of_beat], noise_reasons(run))
    items = strips.joined(beats).joined(group_items(run, index, predicted))
    return Candidates(items, item_of_row, predicted, looks, rhythm(run, looks), found)


def noise_reasons(run: Run) -> NDArray[np.object_]:
    """Why each beat was flagged: "edge;rr"."""
    return run.metadata["noise_reason"].to_numpy(dtype=object)


def beat_items(run: Run, index: BeatIndex, predicted: Predicted, rows: NDArray[np.int64]) -> Items:
    """Items of some beats, without reasons yet."""
    assert run.strips is not None
    place = index.strip_of_beat[rows]
    hashes, times = run.strips.strip_hash[place], index.first_ms[rows]
    raw = predicted.label[rows]
    return make_items(
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
        bits=predicted.bits[rows],
        distance=predicted.distance[rows],
    )


def added_items(run: Run, index: BeatIndex, predicted: Predicted, added: Sequence[AddedBeat]) -> Items:
    """Items of beats that readers added and the run has no row for, without reasons yet."""
    m = len(added)
    nothing = np.full(m, np.nan)
    return make_items(
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


def _say_model(items: Items, predicted: Predicted, config: PredictConfig) -> None:
    """The prediction's reasons, with a sentence for each."""
    rows = items.columns["row"]
    failed = predicted.failed[rows]
    for number, name in enumerate(MODEL_REASONS):
        where, column = np.flatnonzero(failed[:, number]), REASONS.index(name)
        items.has[where, column] = True
        items.why[where, column] = [
            sentence(name, value, config) for value in getattr(predicted, name)[rows[where]].tolist()
        ]
