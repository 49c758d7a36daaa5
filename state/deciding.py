"""A decision as such: how one is made, and which ones hold. Pure; the store is in ``decisions``.

Nothing depends on the order in which decisions arrive: their order is by the reader's time and then by id.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from dataclasses import field as dataclass_field
from datetime import UTC, datetime
from typing import Any

from state.errors import DecisionError
from state.plain import new_id, now
from state.targets import Target, clean_text, normal_value, parse_target


@dataclass(frozen=True)
class Decision:
    """What a reader decided.

    ``payload`` carries what the decision must remember to survive preprocessing again: a prototype's members as
    ``{"members": {strip hash: [R-peak time in ms, ...]}}``. ``stored_at`` is the store's own time, None until stored.
    """

    id: str
    study_id: str
    reader: str
    at: datetime
    target: str
    field: str
    new: str | None
    old: str | None = None
    reason: str = ""
    undoes: str | None = None
    payload: Mapping[str, Any] = dataclass_field(default_factory=dict, hash=False)
    stored_at: datetime | None = dataclass_field(default=None, compare=False)

    @property
    def order(self) -> tuple[datetime, str]:
        """What "newest" goes by."""
        return (self.at, self.id)


def decide(
    study_id: str,
    reader: str,
    target: str,
    field: str,
    new: str | int | bool | None,
    *,
    old: str | int | bool | None = None,
    reason: str = "",
    payload: Mapping[str, Any] | None = None,
    id: str | None = None,
    at: datetime | None = None,
) -> Decision:
    """Make a decision, checked and spelled in one way; it is stored by :meth:`Decisions.add`.

    Parameters
    ----------
    target : str
        From :mod:`state.targets`.
    field : str
        One of ``targets.FIELDS`` of the target's kind.
    new, old : str, int, bool or None
        Labels by name or id, switches as 1 or 0; None for "nothing said".
    id, at : optional
        Made here when the browser did not.

    Raises
    ------
    DecisionError
        If target, field or value make no sense.
    """
    parsed = parse_target(target)
    return Decision(
        id=id or new_id(),
        study_id=study_id,
        reader=clean_text(reader, "reader's name"),
        at=(at or now()).astimezone(UTC),
        target=target,
        field=field,
        new=normal_value(parsed, field, new),
        old=old_value(parsed, field, old),
        reason=clean_text(reason, "reason"),
        payload=dict(payload or {}),
    )


def old_value(target: Target, field: str, old: str | int | bool | None) -> str | None:
    """Spelling of what was there before."""
    # What was there before may be what nobody could decide (Unlabelled, Unknown/Review): then it is kept as said.
    try:
        return normal_value(target, field, old)
    except DecisionError:
        return clean_text(str(old), "old value")


def activity(decisions: Iterable[Decision]) -> dict[str, bool]:
    """For each decision whether it holds: it does unless a decision that holds undoes it.

    So the undo of an undo is a redo. Undos that undo each other in a circle, which no reader can make, hold nothing.
    """
    by_id = {decision.id: decision for decision in decisions}
    waiting = dict.fromkeys(by_id, 0)
    for decision in by_id.values():
        if decision.undoes in waiting:
            waiting[decision.undoes] += 1
    holds = dict.fromkeys(by_id, True)
    settled = [id for id, count in waiting.items() if count == 0]
    for id in settled:  # grows while we walk: what an undo points at is settled once all its undos are
        target = by_id[id].undoes
        if target not in waiting:
            continue
        if holds[id]:
            holds[target] = False
        waiting[target] -= 1
        if waiting[target] == 0:
            settled.append(target)
    for id in by_id.keys() - set(settled):
        holds[id] = False
    return holds


def active(decisions: Iterable[Decision]) -> list[Decision]:
    """The decisions that hold, oldest first; undos themselves are left out."""
    decisions = list(decisions)
    holds = activity(decisions)
    return sorted((d for d in decisions if d.undoes is None and holds[d.id]), key=lambda d: d.order)
