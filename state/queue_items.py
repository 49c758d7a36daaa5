"""What stands in the review queue, in which order, and how much of it is settled. Pure functions.

Worth keeping: :func:`~state.queue_candidates.find_candidates` for a run and a prediction, the queue itself for a
version of the study's decisions, a reader, an order and filters.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from typing import Any, NamedTuple

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
from state.item_words import Said, said_of_items
from state.queue_candidates import REASONS, Candidates, Items, Prediction, beat_items, find_candidates
from state.strip_rows import strip_labels

COLUMNS = (
    *("key", "kind", "place", "row", "reasons", "why", "suggestion", "confidence", "noise", "similarity"),
    *("blind", "position", "label", "patient"),
)
_UNSURE, _ECTOPIC, _DISAGREE = (REASONS.index(name) for name in ("unsure", "ectopic", "disagree"))


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


class _Standing(NamedTuple):
    """Every item that has or had a reason, with what holds of it now."""

    items: Items
    waits: NDArray[np.bool_]  # in this reader's queue, settled or not
    open: NDArray[np.bool_]
    blind: NDArray[np.bool_]
    label: NDArray[np.int64]  # what the filter goes by
    given: NDArray[np.int64]  # the label that holds


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
    the beat itself; a label of the strip itself. A beat whose R-peak was deleted is no item. What a reader marked as
    unsure leaves her queue and stands, blind, in everybody else's until one of them has settled it.

    Parameters
    ----------
    run : Run
        With strips.
    index : BeatIndex
    effective : Effective
        Of these decisions.
    decisions : sequence of Decision
        Those that hold, oldest first.
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
        Only items whose suggestion, or without one whose effective label, is one of these; all if empty. Of blind
        items, the label in the file stands for the effective one.
    patients : collection of str
        Only items of these patients, as text ("unknown" where none is known); all if empty.
    candidates : Candidates, optional
        From :func:`~state.queue_candidates.find_candidates`, if kept.

    Returns
    -------
    DataFrame
        key (target: what is leased), kind ("beat" or "strip"), place (the strip's place in the run), row (the beat's
        row in the run, -1 for a strip), reasons (tuple of names), why (tuple of sentences, one a reason), suggestion
        (label id, -99 for none), confidence, noise, similarity (NaN where the model does not say), blind, position
        (0 to m - 1), label (what the filter goes by), patient (text).

    Raises
    ------
    ConfigError
        If there is no such order.
    InputError
        If the run keeps no strips, or the prediction is of other beats.
    """
    found = candidates or find_candidates(run, index, prediction, config)
    standing = _standing(run, index, effective, decisions, found, reader)
    chosen = np.flatnonzero(standing.open & _kept(standing, reasons, labels, patients))
    chosen = chosen[order_of(_sorted_by(standing, chosen), order)]
    return _table(standing, chosen)


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
    found = candidates or find_candidates(run, index, prediction, config)
    standing = _standing(run, index, effective, decisions, found, reader)
    kept = standing.waits & _kept(standing, reasons, labels, patients)
    is_open = np.flatnonzero(standing.open)
    per_reason = standing.items.has[is_open].sum(axis=0)
    values, counts = np.unique(standing.label[is_open], return_counts=True)
    who = pd.Series(standing.items.columns["patient"][is_open], dtype=object).value_counts(sort=False)
    place = dict(zip(standing.items.columns["patient"], standing.items.columns["patient_order"].tolist(), strict=True))
    left = int((kept & standing.open).sum())
    return QueueCounts(
        reasons=dict(zip(REASONS, per_reason.tolist(), strict=True)),
        labels=dict(zip(values.tolist(), counts.tolist(), strict=True)),
        patients={str(name): int(who[name]) for name in sorted(who.index, key=lambda name: place[name])},
        total=int(kept.sum()),
        settled=int(kept.sum()) - left,
        left=left,
    )


def _standing(
    run: Run,
    index: BeatIndex,
    effective: Effective,
    decisions: Sequence[Decision],
    candidates: Candidates,
    reader: str,
) -> _Standing:
    said = said_of_items(index, decisions)
    items, place_of = _with_unsure(run, index, candidates, said)
    strip, row, place = (items.columns[name] for name in ("strip", "row", "place"))
    of_strips = strip_labels(run, index, decisions)[0]
    given = np.where(strip, of_strips[place], effective.labels[row]).astype(np.int64)
    from_file = np.where(strip, np.asarray(run.strips.label)[place], index.file_labels[row])  # type: ignore[union-attr]
    has = items.has
    has[:, _ECTOPIC] &= strip | (effective.noise_flags[row] == 1)
    settled, blind, mine = (np.zeros(len(items), dtype=bool) for _ in range(3))
    for number, words in place_of.items():
        waits = words.waits
        has[number, _UNSURE] = bool(words.unsure)
        settled[number] = words.settled and not waits
        blind[number] = waits and reader not in words.unsure
        mine[number] = waits and reader in words.unsure
    for number in np.flatnonzero(has[:, _UNSURE]).tolist():
        items.why[number, _UNSURE] = _unsure_in_words(len(place_of[number].unsure))
    waits = has.any(axis=1) & ~mine
    deleted = getattr(effective, "deleted", None)
    if deleted is not None:
        waits &= strip | ~np.asarray(deleted, dtype=bool)[row]
    label = np.where(items.columns["suggestion"] == UNKNOWN, np.where(blind | settled, from_file, given),
                     items.columns["suggestion"])  # fmt: skip
    return _Standing(items, waits, waits & ~settled, blind, label, np.where(blind, from_file, given))


def _with_unsure(run: Run, index: BeatIndex, candidates: Candidates, said: Said) -> tuple[Items, dict[int, Any]]:
    """Candidates and the beats that somebody is unsure of, with reasons free to be changed; what was said, by item."""
    known = candidates.item_of_row
    rows = np.array(sorted(row for row, words in said.beats.items() if words.unsure and known[row] < 0), dtype=np.int64)
    base = candidates.items
    items = base.joined(beat_items(run, index, candidates.predicted, rows))
    if items is base:
        items = Items(base.columns, base.has.copy(), base.why.copy())
    place_of = dict(said.strips)
    extra = {int(row): len(base) + number for number, row in enumerate(rows.tolist())}
    for row, words in said.beats.items():
        number = extra.get(row, int(known[row]))
        if number >= 0:
            place_of[number] = words
    return items, place_of


def _unsure_in_words(readers: int) -> str:
    who = "Another reader was" if readers == 1 else f"{readers} other readers were"
    return f"{who} unsure and left it for a second one."


def _kept(
    standing: _Standing, reasons: Collection[str], labels: Collection[int], patients: Collection[str]
) -> NDArray[np.bool_]:
    keep = np.ones(len(standing.items), dtype=bool)
    if reasons:
        wanted = [number for number, name in enumerate(REASONS) if name in reasons]
        keep &= standing.items.has[:, wanted].any(axis=1)
    if labels:
        keep &= np.isin(standing.label, list(labels))
    if patients:
        keep &= pd.Series(standing.items.columns["patient"], dtype=object).isin(list(patients)).to_numpy()
    return keep


def _sorted_by(standing: _Standing, chosen: NDArray[np.int64]) -> pd.DataFrame:
    """The columns that orders sort by, see :func:`ecg_engine.queue.order_of`."""
    of = {name: values[chosen] for name, values in standing.items.columns.items() if name not in ("key", "patient")}
    has, suspicion = standing.items.has[chosen], of["suspicion"]
    suggestion = np.where(of["suggestion"] == UNKNOWN, np.nan, of["suggestion"])
    quality = label_quality(standing.given[chosen], suggestion, of["confidence"], of["noise"])
    sure = np.where(np.isnan(of["confidence"]), suspicion, of["confidence"])
    severity = expected_severity(of["suggestion"], sure)
    disagrees = has[:, _DISAGREE]
    at_stake = np.where(disagrees, np.nan_to_num(severity_of(standing.given[chosen])), 0.0)
    return pd.DataFrame(
        {
            "source_row": of["source_row"],
            "beat_global_id": of["beat_global_id"],
            "doubt": np.where(has[:, _UNSURE], 1.0, of["doubt"]),
            "distance": of["distance"],
            "quality": np.fmin(quality, 1.0 - suspicion),
            "severity": np.maximum(severity, at_stake),
            "confidence": of["confidence"],
            "suggestion": suggestion,
            "patient_order": of["patient_order"],
        }
    )


def _table(standing: _Standing, chosen: NDArray[np.int64]) -> pd.DataFrame:
    of = {name: values[chosen] for name, values in standing.items.columns.items()}
    has, why = standing.items.has[chosen], standing.items.why[chosen]
    codes = has @ (1 << np.arange(len(REASONS)))
    names = {code: tuple(name for bit, name in enumerate(REASONS) if code >> bit & 1) for code in set(codes.tolist())}
    reasons, sentences = np.empty(len(chosen), dtype=object), np.empty(len(chosen), dtype=object)
    for number, code in enumerate(codes.tolist()):
        reasons[number] = names[code]
        sentences[number] = tuple(said for said, on in zip(why[number], has[number], strict=True) if on)
    columns = {
        "key": of["key"],
        "kind": np.where(of["strip"], "strip", "beat").astype(object),
        "place": of["place"],
        "row": of["row"],
        "reasons": reasons,
        "why": sentences,
        **{name: of[name] for name in ("suggestion", "confidence", "noise", "similarity")},
        "blind": standing.blind[chosen],
        "position": np.arange(len(chosen)),
        "label": standing.label[chosen],
        "patient": of["patient"],
    }
    return pd.DataFrame(columns, columns=list(COLUMNS))
