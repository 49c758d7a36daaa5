"""Decisions that were made in one go and are undone in one go, such as "accept all above 0.9"."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import replace

from state.deciding import Decision
from state.decisions import Decisions
from state.plain import new_id, now

BATCH = "batch"


def one_batch(decisions: Iterable[Decision]) -> list[Decision]:
    """The same decisions, marked as one batch; a single decision stays as it is."""
    made = list(decisions)
    if len(made) < 2:
        return made
    batch = new_id()
    return [replace(decision, payload={**decision.payload, BATCH: batch}) for decision in made]


def made_together(decision: Decision, decisions: Iterable[Decision]) -> list[Decision]:
    """Those among ``decisions`` that were made in one go with this one, itself included."""
    batch = decision.payload.get(BATCH)
    if batch is None:
        return [decision]
    return [other for other in decisions if other.payload.get(BATCH) == batch]


def undo_together(store: Decisions, decisions: Sequence[Decision], reader: str) -> int:
    """Undo decisions that hold, all or none; returns how many.

    A single one goes through :meth:`Decisions.undo`; a batch is stored as one, so that it is undone in one moment.
    """
    if len(decisions) == 1:
        store.undo(decisions[0].id, reader)
        return 1
    undos = [
        Decision(
            id=new_id(),
            study_id=decision.study_id,
            reader=reader,
            at=now(),
            target=decision.target,
            field=decision.field,
            old=decision.new,
            new=decision.old,
            undoes=decision.id,
        )
        for decision in decisions
    ]
    return len(store.add(undos).stored)
