"""Decisions: rows that are only ever added, and what follows from them by rule.

A decision is undone by another one that names it. Nothing depends on the order in which decisions arrive: their order
is by the reader's time and then by id, and one that arrives twice is stored once.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from dataclasses import field as dataclass_field
from datetime import UTC, datetime
from typing import Any, NamedTuple

from sqlalchemy import Connection, Engine, Row, func, select
from sqlalchemy.dialects import postgresql, sqlite

from state import schema
from state.db import lock, reading, writing
from state.errors import DecisionError, NotFoundError
from state.plain import new_id, now
from state.targets import clean_text, normal_value, parse_target

MAX_ID = 64
BATCH = 1000


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


class Added(NamedTuple):
    """What became of decisions that were handed in; all three are safely in the store."""

    stored: list[str]
    """Ids that are new."""
    known: list[str]
    """Ids that were there already, with the same content."""
    conflicting: list[str]
    """Ids that were there already with other content: the first one holds."""


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
        old=_old_value(parsed, field, old),
        reason=clean_text(reason, "reason"),
        payload=dict(payload or {}),
    )


def _old_value(target: Any, field: str, old: str | int | bool | None) -> str | None:
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


class Decisions:
    """The decisions of all studies in the store."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        dialect = postgresql if engine.dialect.name == "postgresql" else sqlite
        self._insert = dialect.insert

    def add(self, decisions: Sequence[Decision]) -> Added:
        """Store decisions, all or none; each id once, however often it is sent. Returns after the commit.

        Raises
        ------
        DecisionError
            If one of them is not well formed (nothing is stored then).
        """
        rows: dict[str, dict[str, Any]] = {}
        for decision in decisions:
            rows.setdefault(decision.id, self._row(decision))
        with writing(self._engine) as connection:
            return self._add(connection, rows)

    def _add(self, connection: Connection, rows: Mapping[str, dict[str, Any]]) -> Added:
        if not rows:
            return Added([], [], [])
        table, stored_at = schema.decisions, now()
        for study_id in {row["study_id"] for row in rows.values()}:
            if connection.execute(select(schema.studies.c.id).where(schema.studies.c.id == study_id)).first() is None:
                raise NotFoundError(f"There is no study {study_id!r}.")
        readers = sorted({row["reader"] for row in rows.values()})
        connection.execute(
            self._insert(schema.readers).on_conflict_do_nothing(),
            [{"name": name, "created_at": stored_at} for name in readers],
        )
        # In order of id, so that two writers of the same ids wait for each other instead of locking each other out.
        ordered = [{**rows[id], "stored_at": stored_at} for id in sorted(rows)]
        statement = self._insert(table).on_conflict_do_nothing(index_elements=["id"]).returning(table.c.id)
        stored = set(connection.execute(statement, ordered).scalars())
        again = [id for id in rows if id not in stored]
        there = {row.id: row for row in self._by_ids(connection, again)}
        same = {id for id in again if id in there and _same(rows[id], there[id])}
        return Added(
            [id for id in rows if id in stored],
            [id for id in again if id in same],
            [id for id in again if id not in same],
        )

    def _row(self, decision: Decision) -> dict[str, Any]:
        if not decision.id or len(decision.id) > MAX_ID:
            raise DecisionError(f"A decision's id has 1 to {MAX_ID} characters, not {len(decision.id)}.")
        if not decision.reader:
            raise DecisionError("A decision needs the name of who decided.")
        if decision.at.tzinfo is None:
            raise DecisionError(f"The time {decision.at} of a decision has no time zone.")
        if decision.undoes == decision.id:
            raise DecisionError("A decision cannot undo itself.")
        target = parse_target(decision.target)
        return {
            "id": clean_text(decision.id, "id"),
            "study_id": decision.study_id,
            "reader": clean_text(decision.reader, "reader's name"),
            "at": decision.at,
            "target": decision.target,
            "field": decision.field,
            "old": decision.old if decision.undoes else _old_value(target, decision.field, decision.old),
            "new": decision.new if decision.undoes else normal_value(target, decision.field, decision.new),
            "reason": clean_text(decision.reason, "reason"),
            "undoes": decision.undoes,
            "payload": dict(decision.payload),
        }

    def undo(self, decision_id: str, reader: str, *, reason: str = "", id: str | None = None) -> Decision:
        """Undo any single decision, whenever it was made; undoing an undo brings back what it undid.

        A decision that is undone already stays so, and the undo that holds is returned.

        Raises
        ------
        NotFoundError
            If there is no such decision.
        """
        with writing(self._engine) as connection:
            undone = self._get(connection, decision_id)
            # Two tabs that undo the same decision at once must not make two undos: one redo would not bring it back.
            lock(connection, f"undo {undone.study_id}")
            around = self._around(connection, undone)
            holds = activity(around)
            for other in around:
                if other.undoes == decision_id and holds[other.id]:
                    return other
            undo = Decision(
                id=id or new_id(),
                study_id=undone.study_id,
                reader=clean_text(reader, "reader's name"),
                at=now(),
                target=undone.target,
                field=undone.field,
                old=undone.new,
                new=undone.old,
                reason=clean_text(reason, "reason"),
                undoes=undone.id,
            )
            self._add(connection, {undo.id: self._row(undo)})
            return self._get(connection, undo.id)

    def redo(self, decision_id: str, reader: str, *, reason: str = "") -> list[Decision]:
        """Bring back a decision that was undone: every undo of it that holds is undone itself."""
        with reading(self._engine) as connection:
            around = self._around(connection, self._get(connection, decision_id))
        holds = activity(around)
        standing = [other.id for other in around if other.undoes == decision_id and holds[other.id]]
        return [self.undo(id, reader, reason=reason) for id in standing]

    def get(self, decision_id: str) -> Decision:
        """One decision by its id.

        Raises
        ------
        NotFoundError
            If there is none.
        """
        with reading(self._engine) as connection:
            return self._get(connection, decision_id)

    def listing(
        self,
        study_id: str,
        *,
        reader: str | None = None,
        target: str | None = None,
        field: str | None = None,
        stored_until: datetime | None = None,
        limit: int | None = None,
        newest_first: bool = False,
    ) -> list[Decision]:
        """Decisions of a study by the reader's time, undos and undone ones included (see :func:`activity`).

        ``target`` may end in ``%``: all targets that start so.
        """
        table = schema.decisions
        query = select(table).where(table.c.study_id == study_id)
        if reader is not None:
            query = query.where(table.c.reader == reader)
        if field is not None:
            query = query.where(table.c.field == field)
        if stored_until is not None:
            query = query.where(table.c.stored_at <= stored_until)
        if target is not None:
            start = target.removesuffix("%")
            query = query.where(
                table.c.target.startswith(start, autoescape=True) if target != start else table.c.target == target
            )
        order = (table.c.at.desc(), table.c.id.desc()) if newest_first else (table.c.at, table.c.id)
        with reading(self._engine) as connection:
            return [_decision(row) for row in connection.execute(query.order_by(*order).limit(limit))]

    def active(self, study_id: str, *, stored_until: datetime | None = None) -> list[Decision]:
        """The decisions of a study that hold, oldest first, without undos."""
        return active(self.listing(study_id, stored_until=stored_until))

    def version(self, study_id: str) -> int:
        """A number that grows with each decision of the study: what caches go by."""
        table = schema.decisions
        with reading(self._engine) as connection:
            return connection.execute(select(func.max(table.c.seq)).where(table.c.study_id == study_id)).scalar() or 0

    def _get(self, connection: Connection, decision_id: str) -> Decision:
        rows = self._by_ids(connection, [decision_id])
        if not rows:
            raise NotFoundError(f"There is no decision {decision_id!r}.")
        return _decision(rows[0])

    def _by_ids(self, connection: Connection, ids: Sequence[str]) -> list[Row[Any]]:
        found: list[Row[Any]] = []
        for start in range(0, len(ids), BATCH):
            query = select(schema.decisions).where(schema.decisions.c.id.in_(ids[start : start + BATCH]))
            found.extend(connection.execute(query))
        return found

    def _around(self, connection: Connection, decision: Decision) -> list[Decision]:
        """The decision with its undos, their undos and so on: they share its target, but not always its field."""
        found, layer = {decision.id: decision}, [decision.id]
        table = schema.decisions
        while layer:
            query = select(table).where(table.c.undoes.in_(layer), table.c.study_id == decision.study_id)
            rows = connection.execute(query).all()
            layer = []
            for row in rows:
                if row.id not in found:
                    found[row.id] = _decision(row)
                    layer.append(row.id)
        return list(found.values())


def _decision(row: Row[Any]) -> Decision:
    values = dict(row._mapping)
    del values["seq"]
    return Decision(**values)


def _same(sent: Mapping[str, Any], stored: Row[Any]) -> bool:
    return all(sent[name] == getattr(stored, name) for name in ("study_id", "target", "field", "new", "undoes"))
