"""A decision as such: how one is made, and which ones hold. Pure; the store is in ``decisions``.

Nothing depends on the order in which decisions arrive: their order is by the reader's time and then by id.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
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
    """Which decisions hold: each does unless an undo of it holds.

    So the undo of an undo is a redo. Several undos of one decision, say from two tabs, are one word said more than
    once: to undo one of them takes back those before it, too. Undos that undo each other in a circle, which no reader
    can make, hold nothing.
    """
    by_id = {decision.id: decision for decision in decisions}
    undos: dict[str, list[Decision]] = {}
    for decision in by_id.values():
        if decision.undoes in by_id:
            undos.setdefault(decision.undoes, []).append(decision)
    holds = dict.fromkeys(by_id, True)
    if not undos:
        return holds
    circles = _in_circles(by_id)
    layers = [[id for id, decision in by_id.items() if decision.undoes not in by_id or id in circles]]
    while layers[-1]:
        below = [undo.id for id in layers[-1] for undo in undos.get(id, ()) if undo.id not in circles]
        layers.append(below)
    for layer in reversed(layers):  # what undoes the undos of a layer is settled before it
        for id in layer:
            _settle([undo for undo in undos.get(id, ()) if undo.id not in circles], undos, holds)
    for id in layers[0]:
        holds[id] = id not in circles and not any(holds[undo.id] for undo in undos.get(id, ()))
    return holds


def _settle(said: Sequence[Decision], undos: Mapping[str, Sequence[Decision]], holds: dict[str, bool]) -> None:
    """Which undos of one decision hold: those not undone themselves, and made after the last one that was."""
    redos = {undo.id: [redo.order for redo in undos.get(undo.id, ()) if holds[redo.id]] for undo in said}
    last = max((order for orders in redos.values() for order in orders), default=None)
    for undo in said:
        holds[undo.id] = not redos[undo.id] and (last is None or undo.order > last)


def _in_circles(by_id: Mapping[str, Decision]) -> set[str]:
    """Decisions that undo each other in a circle."""
    found: set[str] = set()
    settled: set[str] = set()
    for start in by_id:
        path: dict[str, None] = {}
        at: str | None = start
        while at is not None and at in by_id and at not in settled and at not in path:
            path[at] = None
            at = by_id[at].undoes
        if at is not None and at in path:
            walked = list(path)
            found.update(walked[walked.index(at) :])
        settled.update(path)
    return found


def active(decisions: Iterable[Decision]) -> list[Decision]:
    """The decisions that hold, oldest first; undos themselves are left out."""
    decisions = list(decisions)
    holds = activity(decisions)
    return sorted((d for d in decisions if d.undoes is None and holds[d.id]), key=lambda d: d.order)
