"""Groups of look-alike beats as items of the review queue: shown at one of them, answered for all. Pure functions."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ecg_engine.group_queue import group_sentence, groups_to_ask, typical_members
from ecg_engine.preprocess import Run
from ecg_engine.spread import evenly
from state.anchors import BeatIndex, members_of
from state.effective import Effective
from state.item_words import Words
from state.queue_layout import REASONS, Items, Predicted, make_items
from state.targets import group_target

_GROUP = REASONS.index("group")
SHOWN = 24
"""Members whose waves are drawn beside the one in hand."""
OTHERS = 8
"""Members that a reader can look at on their strips, one after the other."""


def group_items(run: Run, index: BeatIndex, predicted: Predicted) -> Items:
    """The groups of a run that are worth a reader's key, in the order of their numbers; none where a run knows none."""
    labels = index.strip_labels[index.strip_of_beat]
    table = groups_to_ask(index.groups, labels, predicted.probabilities, predicted.label, predicted.swings)
    table = table.sort_values("group", ignore_index=True)
    groups = table["group"].to_numpy(dtype=np.int64)
    members = members_by_group(index)
    rows = np.array([_first(run, members[group]) for group in groups.tolist()], dtype=np.int64)
    nothing = np.full(len(table), np.nan)
    share = table["share"].to_numpy(dtype=float)
    items = make_items(
        run,
        predicted,
        index.strip_of_beat[rows],
        key=[group_target(str(index.run_id), group) for group in groups.tolist()],
        strip=np.zeros(len(table), dtype=bool),
        group=groups,
        row=rows,
        beat_global_id=index.beat_ids[rows],
        suggestion=table["suggestion"].to_numpy(dtype=np.int64),
        confidence=share,
        noise=nothing,
        similarity=nothing,
        doubt=table["doubt"].to_numpy(dtype=float),
        bits=2.0 * table["doubt"].to_numpy(dtype=float),
        beats=table["size"].to_numpy(dtype=float),
        distance=nothing,
    )
    items.has[:, _GROUP] = True
    items.why[:, _GROUP] = [
        group_sentence(len(members[group]), patient, suggestion, sure)
        for group, patient, suggestion, sure in zip(
            groups.tolist(),
            items.columns["patient"].tolist(),
            items.columns["suggestion"].tolist(),
            share.tolist(),
            strict=True,
        )
    ]
    return items


def members_by_group(index: BeatIndex) -> dict[int, NDArray[np.int64]]:
    """Rows of each group's beats, in their order."""
    order = np.argsort(index.groups, kind="stable")
    numbers, starts = np.unique(index.groups[order], return_index=True)
    parts = zip(numbers.tolist(), np.split(order, starts[1:]), strict=True)
    return {number: rows for number, rows in parts if number >= 0}


def _first(run: Run, rows: NDArray[np.int64]) -> int:
    """The most typical of some beats."""
    return int(rows[typical_members(np.asarray(run.beats[rows]), whole_beats(run)[rows], 1)[0]])


def whole_beats(run: Run) -> NDArray[np.bool_]:
    """Beats whose slice the strip's edge does not cut; all, in runs that leave such beats out."""
    if "whole" not in run.metadata:
        return np.ones(len(run.metadata), dtype=bool)
    return run.metadata["whole"].to_numpy() == 1


def settle_groups(
    run: Run, index: BeatIndex, effective: Effective, items: Items, beats: dict[int, Words]
) -> NDArray[np.bool_]:
    """Which groups among the items are done: a reader has said of each member what it is. Updates the others in place.

    A group is shown at a member that nobody has spoken of yet, and says how many have been spoken of one by one.

    Returns
    -------
    bool (m,)
        Of all items; False for those that are no groups.
    """
    group = items.columns["group"]
    done = np.zeros(len(group), dtype=bool)
    where = np.flatnonzero(group >= 0)
    if not len(where):
        return done
    own = np.zeros(len(index), dtype=bool)
    own[[row for row, words in beats.items() if row < len(index) and words.settled]] = True
    closed = own | effective.by_group | effective.deleted
    members = members_by_group(index)
    for item in where.tolist():
        rows = members[int(group[item])]
        done[item] = bool(closed[rows].all())
        there = rows[~effective.deleted[rows]]
        if not len(there):
            continue
        open_rows = rows[~(own | effective.deleted)[rows]]
        if len(open_rows) and len(open_rows) < len(rows):
            _shown_at(run, index, items, item, open_rows)
        kept = int(own[there].sum())
        if kept or len(there) < len(rows):
            of = {name: items.columns[name][item] for name in ("patient", "suggestion", "confidence")}
            items.why[item, _GROUP] = group_sentence(
                len(there), str(of["patient"]), int(of["suggestion"]), float(of["confidence"]), kept
            )
    return done


def _shown_at(run: Run, index: BeatIndex, items: Items, item: int, rows: NDArray[np.int64]) -> None:
    columns = items.columns
    if columns["row"][item] in rows:
        return
    row = _first(run, rows)
    columns["row"][item], columns["beat_global_id"][item] = row, index.beat_ids[row]
    columns["place"][item] = place = index.strip_of_beat[row]
    if run.strips is not None:
        columns["source_row"][item] = run.strips.source_row[place]


def group_facts(
    run: Run, index: BeatIndex, effective: Effective, group: int, shown: str
) -> tuple[dict[str, Any], NDArray[np.float32], int]:
    """What the browser needs to answer for a group, and waves of some of its members.

    Parameters
    ----------
    shown : str
        Target of the member that the reader sees.

    Returns
    -------
    facts : dict
        ``members`` (strip hash to anchors in ms), ``count`` (of beats), ``strips`` (that hold one), ``shown``,
        ``note``, ``others`` (place of the strip, its hash, anchor: of members to look at on their strips).
    waves : float32 (k, L)
        Of at most ``SHOWN`` members, the most typical first.
    step : int
        Of how many samples one is kept: a drawing needs no more.
    """
    rows = np.flatnonzero((index.groups == group) & ~effective.deleted)
    members = members_of(index, rows, effective.anchor_ms)
    target = group_target(str(index.run_id), group)
    beats = np.asarray(run.beats[rows], dtype=np.float32)
    chosen = typical_members(beats, whole_beats(run)[rows], SHOWN) if len(rows) else rows
    facts = {
        "members": members,
        "count": len(rows),
        "strips": len(members),
        "shown": shown,
        "note": _note(effective, target),
        "others": _others(index, effective, rows[chosen]),
    }
    step = max(1, beats.shape[1] // 100)
    return facts, beats[chosen][:, ::step], step


def _others(index: BeatIndex, effective: Effective, rows: NDArray[np.int64]) -> list[tuple[int, str, int]]:
    """Some members to look at on their strips, on as many strips as there are: those least alike among them."""
    _, first = np.unique(index.strip_of_beat[rows], return_index=True)
    rows = rows[np.sort(first)]
    rows = rows[evenly(len(rows), OTHERS)]
    places, anchors = index.strip_of_beat[rows].tolist(), effective.anchor_ms[rows].tolist()
    return [(place, index.names[place], anchor) for place, anchor in zip(places, anchors, strict=True)]


def _note(effective: Effective, target: str) -> str:
    said: Sequence[str | None] = [
        made.new for made in effective.said_of_prototypes if made.target == target and made.field == "note"
    ]
    return (said[-1] if said else None) or ""
