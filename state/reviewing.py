"""What readers have said of the beats under review. Pure functions.

Accepting a suggestion is a decision with the field ``refined``: what the model said and the reader agreed to. It comes
after what was said of the beat itself, its group or prototype, so where such a word stands, an acceptance is a label.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from state.anchors import BeatIndex
from state.deciding import Decision
from state.peaks import PEAK, Peaks, peaks_of
from state.said import rows_of_many
from state.targets import ALERT, BEAT, GROUP, PROTOTYPE, Target, parse_target

VERDICT_FIELDS = ("label", "noise", "refined")
"""What settles a beat under review; notes, marks and seeds do not. To delete its R-peak does, too."""


def verdicts(index: BeatIndex, decisions: Iterable[Decision]) -> dict[int, Decision]:
    """Row of each beat that a reader has settled, and the newest decision that did.

    A word on the beat's group settles it where nothing was said of the beat itself. A word on its prototype or strip
    does not: it was not said of this beat.

    Parameters
    ----------
    index : BeatIndex
    decisions : iterable of Decision
        Those that hold, oldest first.
    """
    decisions = list(decisions)
    peaks = peaks_of(index, decisions)
    said = [made for made in decisions if made.field in VERDICT_FIELDS or made.field == PEAK]
    targets = [parse_target(made.target) for made in said]
    own = [place for place, target in enumerate(targets) if target.kind == BEAT]
    rows = peaks.places.match(
        index.places(targets[place].name for place in own),
        np.array([targets[place].number for place in own], dtype=np.int64),
    )
    by_field: dict[int, dict[str, Decision]] = {}
    for place, row in zip(own, rows.tolist(), strict=True):
        made = said[place]
        if not 0 <= row < len(index) or (made.field == PEAK and not peaks.deleted[row]):
            continue
        known = by_field.setdefault(row, {})
        known.pop(made.field, None)
        if made.new is not None:  # "nothing said" leaves what was said in another field
            known[made.field] = made
    own_words = {row: max(known.values(), key=lambda made: made.order) for row, known in by_field.items() if known}
    return _by_groups(index, peaks, said, targets) | own_words


def _by_groups(
    index: BeatIndex, peaks: Peaks, said: Sequence[Decision], targets: Sequence[Target]
) -> dict[int, Decision]:
    """Row of each beat whose group a reader has spoken of, and the newest decision that did."""
    found: dict[int, dict[str, Decision]] = {}
    for made, target in zip(said, targets, strict=True):
        if target.kind != GROUP:
            continue
        rows, _ = rows_of_many(index, peaks, made, target)
        for row in rows[rows < len(index)].tolist():
            known = found.setdefault(row, {})
            known.pop(made.field, None)
            if made.new is not None:
                known[made.field] = made
    return {row: max(known.values(), key=lambda made: made.order) for row, known in found.items() if known}


def verdict_label(made: Decision) -> str:
    """What a decision makes of its beat, in a word or two."""
    if made.field == PEAK:
        return "No beat"
    if made.field == "noise":
        return "Noise" if made.new == "1" else "No noise"
    return str(made.new)


def accept_field(source: str) -> str:
    """Field under which an accepted suggestion holds, by what decided the label so far (``Effective.source``)."""
    return "label" if source in (BEAT, GROUP, PROTOTYPE) else "refined"


def rows_of_ids(index: BeatIndex, ids: Any) -> NDArray[np.int64]:
    """Row of each ``beat_global_id``; -1 for one that the run does not have."""
    wanted = np.asarray(ids, dtype=np.int64)
    order = np.argsort(index.beat_ids, kind="stable")
    if not len(order):
        return np.full(len(wanted), -1, dtype=np.int64)
    rows = order[np.clip(np.searchsorted(index.beat_ids, wanted, sorter=order), None, len(order) - 1)]
    return np.asarray(np.where(index.beat_ids[rows] == wanted, rows, -1), dtype=np.int64)


def acknowledged(decisions: Iterable[Decision], run_id: str) -> dict[int, Decision]:
    """Clusters of one alerts run that a reader has acknowledged, and the decision.

    Parameters
    ----------
    decisions : iterable of Decision
        Those that hold, oldest first.
    """
    found: dict[int, Decision] = {}
    for made in decisions:
        target = parse_target(made.target)
        if target.kind == ALERT and target.name == run_id and made.field == "acknowledged":
            found[target.number] = made
    return {cluster: made for cluster, made in found.items() if made.new == "1"}
