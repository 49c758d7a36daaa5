"""What stands in the review queue, in which order, and how much of it is settled. Pure functions.

Worth keeping: :func:`~state.queue_candidates.find_candidates` for a run and a prediction, the queue itself for a
version of the study's decisions, a reader, an order and filters.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from typing import NamedTuple

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from ecg_engine.config import PredictConfig
from ecg_engine.labels import UNKNOWN
from ecg_engine.preprocess import Run
from ecg_engine.queue import order_of
from ecg_engine.ranking import expected_severity, label_quality, severity_of
from state.anchors import BeatIndex
from state.deciding import Decision
from state.effective import Effective
from state.queue_candidates import REASONS, Candidates, Prediction, find_candidates
from state.queue_standing import Standing, standing

COLUMNS = (
    *("key", "kind", "place", "row", "reasons", "why", "suggestion", "confidence", "noise", "similarity"),
    *("blind", "position", "label", "patient", "group", "findings"),
)
_UNSURE, _DISAGREE = REASONS.index("unsure"), REASONS.index("disagree")


class QueueCounts(NamedTuple):
    """How much stands in a reader's queue.

    Attributes
    ----------
    reasons : dict of str to int
        Open items for each reason, whatever is filtered; an item with two reasons counts for both.
    labels : dict of int to int
        Open items for each label as the filter has it, in ascending order.
    patients : dict of str to int
        Open items of each patient, in the order of "by patient".
    total, settled, left : int
        Of the items that the filter keeps: all, those that readers have settled, those still open.
    """

    reasons: dict[str, int]
    labels: dict[int, int]
    patients: dict[str, int]
    total: int
    settled: int
    left: int


def queue_items(
    run: Run,
    index: BeatIndex,
    effective: Effective,
    decisions: Sequence[Decision],
    prediction: Prediction | None,
    config: PredictConfig,
    reader: str,
    *,
    order: str = "uncertain",
    reasons: Collection[str] = (),
    labels: Collection[int] = (),
    patients: Collection[str] = (),
    candidates: Candidates | None = None,
) -> pd.DataFrame:
    """The open items of a reader's queue, in an order; one item a target, however many reasons it has.

    An item is settled, and so left out, once any reader said what it is: a label, noise or an accepted suggestion of
    the beat itself, or a word on its group; a label of the strip itself; a word on the group or on each of its beats. A
    beat whose R-peak was deleted is no item. What a reader marked as unsure leaves her queue and stands, blind, in
    everybody else's until one of them has settled it.

    Parameters
    ----------
    run : Run
        With strips.
    index : BeatIndex
    effective : Effective
        Of these decisions.
    decisions : sequence of Decision
        Those that hold, oldest first: the ones that ``effective`` counts in.
    prediction : (beats, strips) or None
        Tables of a prediction of this run; without one, what needs no model is left.
    config : PredictConfig
        The limits of the prediction.
    reader : str
        Whose queue it is.
    order : str
        A name in :data:`ecg_engine.queue.ORDERS`.
    reasons : collection of str
        Only items with one of these (:data:`ecg_engine.queue.REASON_TITLES`); all if empty.
    labels : collection of int
        Only items whose suggestion, or without one whose effective label, is one of these; all if empty. On
        strips with a blind item, the label in the file stands for the effective one.
    patients : collection of str
        Only items of these patients, as text ("unknown" where none is known); all if empty.
    candidates : Candidates, optional
        From :func:`~state.queue_candidates.find_candidates`, if kept.

    Returns
    -------
    DataFrame
        key (target: what is leased), kind ("beat", "strip" or "group"), place (the strip's place in the run), row (the
        beat's row in the run, -1 for a strip; a group's the member that it is shown at), reasons (tuple of names), why
        (tuple of sentences, one a reason), suggestion (label id, -99 for none), confidence, noise, similarity (NaN
        where the model does not say), blind, position (0 to m - 1), label (what the filter goes by), patient (text),
        group (its number, -1 for a beat or a strip), findings (what the rules read on a strip, "" for nothing).

    Raises
    ------
    ConfigError
        If there is no such order.
    InputError
        If the run keeps no strips, or the prediction is of other beats.
    """
    found = find_candidates(run, index, prediction, config) if candidates is None else candidates
    now = _standing(run, index, effective, found, reader)
    chosen = np.flatnonzero(now.open & _kept(now, reasons, labels, patients))
    return _table(now, chosen[order_of(_sorted_by(now, chosen), order)])


def queue_counts(
    run: Run,
    index: BeatIndex,
    effective: Effective,
    decisions: Sequence[Decision],
    prediction: Prediction | None,
    config: PredictConfig,
    reader: str,
    *,
    reasons: Collection[str] = (),
    labels: Collection[int] = (),
    patients: Collection[str] = (),
    candidates: Candidates | None = None,
) -> QueueCounts:
    """How much stands in a reader's queue: what filters offer, and how far she is.

    Parameters are those of :func:`queue_items`.
    """
    found = find_candidates(run, index, prediction, config) if candidates is None else candidates
    now = _standing(run, index, effective, found, reader)
    kept = now.mine & _kept(now, reasons, labels, patients)
    is_open = np.flatnonzero(now.open)
    columns = now.items.columns
    per_reason = now.items.has[is_open].sum(axis=0)
    values, counts = np.unique(now.shown[is_open], return_counts=True)
    patient, first, number = np.unique(columns["patient_order"][is_open], return_index=True, return_counts=True)
    names = columns["patient"][is_open[first]].tolist() if len(patient) else []
    left = int((kept & now.open).sum())
    return QueueCounts(
        reasons=dict(zip(REASONS, per_reason.tolist(), strict=True)),
        labels=dict(zip(values.tolist(), counts.tolist(), strict=True)),
        patients=dict(zip(names, number.tolist(), strict=True)),
        total=int(kept.sum()),
        settled=int(kept.sum()) - left,
        left=left,
    )


_last: tuple[Effective, Candidates, str, Standing] | None = None


def _standing(run: Run, index: BeatIndex, effective: Effective, candidates: Candidates, reader: str) -> Standing:
    """What stands by now; the last one is kept, because items and counts are asked for one after the other."""
    global _last
    known = _last
    if known is not None and known[0] is effective and known[1] is candidates and known[2] == reader:
        return known[3]
    now = standing(run, index, effective, candidates, reader)
    _last = (effective, candidates, reader, now)
    return now


def _kept(
    now: Standing, reasons: Collection[str], labels: Collection[int], patients: Collection[str]
) -> NDArray[np.bool_]:
    keep = np.ones(len(now.items), dtype=bool)
    if reasons:
        wanted = [number for number, name in enumerate(REASONS) if name in reasons]
        keep &= now.items.has[:, wanted].any(axis=1)
    if labels:
        keep &= np.isin(now.shown, list(labels))
    if patients:
        keep &= pd.Series(now.items.columns["patient"], dtype=object).isin(list(patients)).to_numpy()
    return keep


def _sorted_by(now: Standing, chosen: NDArray[np.int64]) -> pd.DataFrame:
    """The columns that orders sort by, see :func:`ecg_engine.queue.order_of`."""
    of = {
        name: values[chosen] for name, values in now.items.columns.items() if name not in ("key", "patient", "findings")
    }
    has, suspicion = now.items.has[chosen], of["suspicion"]
    suggestion = np.where(of["suggestion"] == UNKNOWN, np.nan, of["suggestion"])
    quality = label_quality(now.given[chosen], suggestion, of["confidence"], of["noise"])
    sure = np.where(np.isnan(of["confidence"]), suspicion, of["confidence"])
    severity = expected_severity(of["suggestion"], sure)
    disagrees = has[:, _DISAGREE]
    doubts = np.where(has[:, _UNSURE], 1.0, of["doubt"])
    at_stake = np.where(disagrees, np.nan_to_num(severity_of(now.given[chosen])), 0.0)
    return pd.DataFrame(
        {
            "source_row": of["source_row"],
            "beat_global_id": of["beat_global_id"],
            "doubt": doubts,
            "gain": np.fmax(doubts, of["bits"]) * np.sqrt(of["beats"]),
            "distance": of["distance"],
            "quality": np.fmin(quality, 1.0 - suspicion),
            "severity": np.maximum(severity, at_stake),
            "confidence": of["confidence"],
            "suggestion": suggestion,
            "patient_order": of["patient_order"],
        }
    )


def _table(now: Standing, chosen: NDArray[np.int64]) -> pd.DataFrame:
    of = {name: values[chosen] for name, values in now.items.columns.items()}
    has, why = now.items.has[chosen], now.items.why[chosen]
    reasons, sentences = np.empty(len(chosen), dtype=object), np.empty(len(chosen), dtype=object)
    codes = has @ (1 << np.arange(len(REASONS)))
    for code in np.unique(codes).tolist():  # items with the same reasons in one go: there may be tens of thousands
        where, bits = np.flatnonzero(codes == code), [bit for bit in range(len(REASONS)) if code >> bit & 1]
        reasons[where] = np.frompyfunc(lambda _, names=tuple(REASONS[bit] for bit in bits): names, 1, 1)(where)
        sentences[where] = np.frompyfunc(lambda *said: said, len(bits), 1)(*(why[where, bit] for bit in bits))
    columns = {
        "key": of["key"],
        "kind": np.where(of["strip"], "strip", np.where(of["group"] >= 0, "group", "beat")).astype(object),
        "place": of["place"],
        "row": of["row"],
        "reasons": reasons,
        "why": sentences,
        **{name: of[name] for name in ("suggestion", "confidence", "noise", "similarity")},
        "blind": now.blind[chosen],
        "position": np.arange(len(chosen)),
        "label": now.shown[chosen],
        "patient": of["patient"],
        "group": of["group"],
        "findings": of["findings"],
    }
    return pd.DataFrame(columns, columns=list(COLUMNS))
