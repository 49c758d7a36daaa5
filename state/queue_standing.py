"""What of a queue's candidates stands by now: with reasons that decisions bring up, settled or open, blind or not.

Cheap: it is worked out anew for each version of a study's decisions. Pure functions.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ecg_engine.contradictions import Contradictions, clear_beats, contradictions
from ecg_engine.labels import CLASS_LABELS, UNKNOWN, aami_class, label_id
from ecg_engine.preprocess import Run
from ecg_engine.suspects import Suspects, suspects
from state.anchors import BeatIndex
from state.effective import Effective
from state.item_words import Said, Words, said_of_items
from state.queue_candidates import REASONS, Candidates, Items, added_items, beat_items, noise_reasons
from state.queue_groups import settle_groups
from state.targets import STRIP, beat_target

_UNSURE, _ECTOPIC, _DISAGREE = (REASONS.index(name) for name in ("unsure", "ectopic", "disagree"))
_VENTRICULAR = [label for label in CLASS_LABELS if aami_class(label) == "V"]


@dataclass(frozen=True)
class Standing:
    """Candidates as they are by now, for one reader.

    Attributes
    ----------
    items : Items
        All that have or had a reason, and all strips.
    mine : bool (m,)
        Belongs to this reader's queue, settled or not: it has a reason, and it does not wait for a second reader
        because of her own mark.
    open : bool (m,)
        Those that are not settled.
    blind : bool (m,)
        Waits for a second reader, and this reader is one.
    given : int64 (m,)
        The label that holds; for a blind item and all others on its strip, the file's.
    shown : int64 (m,)
        What a filter by label goes by: the suggestion, without one the label that holds; of settled ones the file's,
        so that they stay where they were.
    """

    items: Items
    mine: NDArray[np.bool_]
    open: NDArray[np.bool_]
    blind: NDArray[np.bool_]
    given: NDArray[np.int64]
    shown: NDArray[np.int64]


def standing(run: Run, index: BeatIndex, effective: Effective, candidates: Candidates, reader: str) -> Standing:
    """Lay what readers have said over the candidates.

    Parameters
    ----------
    effective : Effective
        By the decisions that hold.
    candidates : Candidates
        Of the same run.
    reader : str
        Whose queue it is.
    """
    said = said_of_items(index, effective)
    blind_places = _blind_places(index, effective, said, candidates.items, reader)
    strip_labels = _strip_labels(index, said.strips)
    labels = np.where(blind_places, index.strip_labels, strip_labels).astype(np.int32)
    found = _suspects(run, index, candidates, labels)
    items, words = _with_more(run, index, effective, candidates, found, said)
    done = settle_groups(run, index, effective, items, said.beats)
    _disagreements(items, _contradicted(index, effective, candidates, blind_places))

    strip, row, place, group = (items.columns[name] for name in ("strip", "row", "place", "group"))
    m = len(items)
    settled, blind, hers = (np.zeros(m, dtype=bool) for _ in range(3))
    for number, word in words.items():
        waits = word.waits
        items.has[number, _UNSURE] = bool(word.unsure)
        settled[number] = word.settled and not waits
        blind[number], hers[number] = waits and reader not in word.unsure, waits and reader in word.unsure
        if word.unsure:
            items.why[number, _UNSURE] = _unsure_in_words(word, reader)
    of_run = (row >= 0) & (group < 0)
    settled[of_run] |= effective.deleted[row[of_run]]
    # A word on the group was said of each of its beats, but does not take the place of the second reader's.
    settled[of_run] |= effective.by_group[row[of_run]] & ~(blind | hers)[of_run]
    settled |= done & ~(blind | hers)
    # What a reader freed by a word on the prototype is flagged no more; what she freed itself is settled, or does not
    # show to a second reader.
    free = of_run & (effective.noise_flags[row] == 0) & ~settled & ~blind
    items.has[free, _ECTOPIC] = False
    items.columns["key"] = _keys(run, index, effective, items)
    of_run = row >= 0

    from_file = np.where(strip, index.strip_labels[place], index.file_labels[row]).astype(np.int64)
    by_now = np.where(strip, strip_labels[place], effective.labels[row])
    by_now[~strip & ~of_run] = from_file[~strip & ~of_run] = index.strip_labels[place[~strip & ~of_run]]
    given = np.where(blind_places[place], from_file, by_now).astype(np.int64)
    mine = items.has.any(axis=1) & ~hers
    suggestion = items.columns["suggestion"]
    return Standing(
        items=items,
        mine=mine,
        open=mine & ~settled,
        blind=blind,
        given=given,
        shown=np.where(suggestion == UNKNOWN, np.where(settled, from_file, given), suggestion),
    )


def _suspects(run: Run, index: BeatIndex, candidates: Candidates, labels: NDArray[np.int32]) -> Suspects:
    """Flagged beats that look ectopic by what their strips are labelled now; judged anew where that has changed."""
    known = candidates.suspects
    changed = (labels != index.strip_labels)[index.strip_of_beat]
    if not changed.any():
        return known
    flags = np.where(changed, index.flags, 0)
    fresh = suspects(candidates.looks, flags, labels[index.strip_of_beat], noise_reasons(run))
    kept = np.flatnonzero(~changed[known.rows])
    rows = np.append(known.rows[kept], fresh.rows)
    order = np.argsort(rows)
    why = [*(known.why[number] for number in kept.tolist()), *fresh.why]
    return Suspects(
        rows=rows[order],
        score=np.append(known.score[kept], fresh.score)[order],
        label=np.append(known.label[kept], fresh.label)[order],
        why=[why[number] for number in order.tolist()],
    )


def _strip_labels(index: BeatIndex, said: dict[int, Words]) -> NDArray[np.int32]:
    """The strips' labels as decided, else as in the file."""
    labels = index.strip_labels.copy()
    for place, word in said.items():
        newest = word.newest
        if newest is not None and newest.new is not None:
            labels[place] = label_id(newest.new)
    return labels


def _blind_places(index: BeatIndex, effective: Effective, said: Said, items: Items, reader: str) -> NDArray[np.bool_]:
    """Strips that hold a blind item: what the first reader said on them must not show."""
    found = np.zeros(len(index.hashes), dtype=bool)
    for place, word in said.strips.items():
        found[place] |= word.waits and reader not in word.unsure
    for group, word in said.groups.items():
        if word.waits and reader not in word.unsure:
            found[items.columns["place"][items.columns["group"] == group]] = True
    for row, word in said.beats.items():
        if word.waits and reader not in word.unsure:
            inside = row < len(index)
            found[index.strip_of_beat[row] if inside else effective.peaks.extra[row - len(index)].place] = True
    return found


def _with_more(
    run: Run,
    index: BeatIndex,
    effective: Effective,
    candidates: Candidates,
    found: Suspects,
    said: Said,
) -> tuple[Items, dict[int, Words]]:
    """Candidates, suspects, and beats that somebody is unsure of, free to be changed; what was said, by item."""
    n, base, known = len(index), candidates.items, candidates.item_of_row
    beats = said.beats
    unsure = {row for row, word in beats.items() if word.unsure and row < n and known[row] < 0}
    rows = np.array(sorted(unsure.union(found.rows[known[found.rows] < 0].tolist())), dtype=np.int64)
    item_of = known.copy()
    item_of[rows] = len(base) + np.arange(len(rows))
    extra = {row: effective.peaks.extra[row - n] for row, word in beats.items() if row >= n and word.unsure}
    added = [
        (row, next(one for one in effective.added if one.place == beat.place and one.anchor_ms == beat.anchor_ms))
        for row, beat in sorted(extra.items())
        if beat.present
    ]
    items = base.joined(beat_items(run, index, candidates.predicted, rows))
    items = items.joined(added_items(run, index, candidates.predicted, [beat for _, beat in added]))
    items = Items(
        {name: values.copy() if name in _CHANGED else values for name, values in items.columns.items()},
        items.has.copy(),
        items.why.copy(),
    )
    _suspected(items, item_of[found.rows], found)
    words = dict(said.strips)
    words |= {int(item_of[row]): word for row, word in beats.items() if row < n and item_of[row] >= 0}
    of_groups = items.columns["group"].tolist()
    words |= {item: said.groups[group] for item, group in enumerate(of_groups) if group in said.groups}
    words |= {len(base) + len(rows) + number: beats[row] for number, (row, _) in enumerate(added)}
    return items, words


_CHANGED = ("suggestion", "suspicion", "doubt", "row", "place", "source_row", "beat_global_id")


def _suspected(items: Items, where: NDArray[np.int64], found: Suspects) -> None:
    items.has[where, _ECTOPIC] = True
    items.why[where, _ECTOPIC] = found.why
    items.columns["suggestion"][where] = found.label
    items.columns["suspicion"][where] = found.score
    items.columns["doubt"][where] = np.maximum(items.columns["doubt"][where], _beyond_even(found.score))


def _disagreements(items: Items, found: Contradictions) -> None:
    """Strips come first among items, in order of their places."""
    where = found.places
    items.has[where, _DISAGREE] = True
    items.why[where, _DISAGREE] = found.why
    items.columns["suggestion"][where] = found.label
    items.columns["suspicion"][where] = found.score
    items.columns["doubt"][where] = np.maximum(items.columns["doubt"][where], _beyond_even(found.score))


def _beyond_even(score: NDArray[np.float64]) -> NDArray[np.float64]:
    """A probability as a doubt in what was said before: 0 up to one half, 1 at certainty."""
    return np.clip(2.0 * score - 1.0, 0.0, 1.0)


def _contradicted(
    index: BeatIndex, effective: Effective, candidates: Candidates, blind: NDArray[np.bool_]
) -> Contradictions:
    """Strips at odds with their beats, as readers have these by now, and by the file's label.

    A strip whose label a reader gave is settled, whatever its beats are.
    """
    predicted, strip = candidates.predicted, index.strip_of_beat
    said = (effective.source != STRIP) & ~blind[strip]
    chance = np.where(said, np.isin(effective.labels, _VENTRICULAR), candidates.looks.probability)
    clear = clear_beats(candidates.looks, strip, candidates.timing) | said
    called = np.isin(predicted.label, _VENTRICULAR) & ~predicted.failed.any(axis=1) & ~said
    there = ~effective.deleted
    added = [beat for beat in effective.added if not blind[beat.place]]
    strips = np.append(strip[there], [beat.place for beat in added]).astype(np.int64)
    times = np.append(effective.time_ms[there], [beat.time_ms for beat in added])
    chances = np.append(chance[there], [float(beat.label in _VENTRICULAR) for beat in added])
    calls = np.append(called[there], np.zeros(len(added), dtype=bool)).astype(bool)
    clears = np.append(clear[there], np.ones(len(added), dtype=bool)).astype(bool)
    if added or effective.moved.any():
        order = np.lexsort((times, strips))
        strips, chances, calls, clears = strips[order], chances[order], calls[order], clears[order]
    return contradictions(index.strip_labels, strips, chances, candidates.timing, clear=clears, called=calls)


def _keys(run: Run, index: BeatIndex, effective: Effective, items: Items) -> NDArray[np.object_]:
    """Targets; of a beat whose anchor moved with a reader's edit, the new one."""
    keys, row = items.columns["key"], items.columns["row"]
    if effective.anchor_ms is index.first_ms or run.strips is None:
        return keys
    changed = np.flatnonzero(
        (row >= 0) & (items.columns["group"] < 0) & (effective.anchor_ms[row] != index.first_ms[row])
    )
    keys = keys.copy() if len(changed) else keys
    for number in changed.tolist():
        name = str(run.strips.strip_hash[items.columns["place"][number]])
        keys[number] = beat_target(name, int(effective.anchor_ms[row[number]]))
    return keys


def _unsure_in_words(word: Words, reader: str) -> str:
    others = len([name for name in word.unsure if name != reader])
    if reader in word.unsure:
        return "You left it for a second reader."
    who = "Another reader was" if others == 1 else f"{others} other readers were"
    return f"{who} unsure and left it for a second one."
