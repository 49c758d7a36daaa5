"""The store's decisions: rows that are only ever added, each once however often it is sent.

A decision is undone by another one that names it; which ones hold follows by rule (see ``deciding``).
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any, NamedTuple

from sqlalchemy import Connection, Engine, Row, func, select
from sqlalchemy.dialects import postgresql, sqlite

from state import schema
from state.db import lock, reading, writing
from state.deciding import Decision, active, activity, decide, old_value
from state.errors import DecisionError, NotFoundError
from state.plain import new_id, now
from state.targets import clean_text, known_field, normal_value, parse_target

__all__ = ["Added", "Decision", "Decisions", "active", "activity", "decide"]

_ID = re.compile(r"[0-9A-Za-z_-]{1,64}")
BATCH = 1000


class Added(NamedTuple):
    """What became of decisions that were handed in; all three are safely in the store."""

    stored: list[str]
    """Ids that are new."""
    known: list[str]
    """Ids that were there already, with the same content."""
    conflicting: list[str]
    """Ids that were there already with other content: the first one holds."""


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
            If one of them is not well formed, or undoes a decision of another study (nothing is stored then). What an
            undo undoes may still be on its way; an undo of what never comes changes nothing.
        """
        rows: dict[str, dict[str, Any]] = {}
        for decision in decisions:
            rows.setdefault(decision.id, self._row(decision))
        with writing(self._engine) as connection:
            return self._add(connection, rows)

    def _add(self, connection: Connection, rows: Mapping[str, dict[str, Any]]) -> Added:
        if not rows:
            return Added([], [], [])
        table = schema.decisions
        for study_id in sorted({row["study_id"] for row in rows.values()}):
            # One writer of a study at a time: a version counts what is committed, and must not pass over what is not.
            lock(connection, f"decide {study_id}")
            if connection.execute(select(schema.studies.c.id).where(schema.studies.c.id == study_id)).first() is None:
                raise NotFoundError(f"There is no study {study_id!r}.")
        # Not before: a run that began while this waited must not take it for one that it has seen.
        stored_at = now()
        self._check_undos(connection, rows)
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

    def _check_undos(self, connection: Connection, rows: Mapping[str, dict[str, Any]]) -> None:
        wanted = {row["undoes"] for row in rows.values() if row["undoes"]}
        study_of = {row.id: row.study_id for row in self._by_ids(connection, sorted(wanted - rows.keys()))}
        study_of |= {id: rows[id]["study_id"] for id in wanted & rows.keys()}
        for row in rows.values():
            if study_of.get(row["undoes"], row["study_id"]) != row["study_id"]:
                raise DecisionError(
                    f"The decision {row['id']!r} cannot undo {row['undoes']!r}, which belongs to another study. Open "
                    "that study to undo it there."
                )

    def _row(self, decision: Decision) -> dict[str, Any]:
        if not _ID.fullmatch(decision.id):
            raise DecisionError(f"The id {decision.id[:80]!r} of a decision is not 1 to 64 letters, digits, _ or -.")
        reader = clean_text(decision.reader, "reader's name")
        if not reader:
            raise DecisionError("A decision needs the name of who decided.")
        if decision.at.tzinfo is None:
            raise DecisionError(f"The time {decision.at} of a decision has no time zone.")
        if decision.undoes == decision.id:
            raise DecisionError("A decision cannot undo itself.")
        target, undoes = parse_target(decision.target), decision.undoes
        if undoes is not None and not _ID.fullmatch(undoes):
            raise DecisionError(f"{undoes[:80]!r} is not the id of a decision that could be undone.")
        known_field(target, decision.field)
        return {
            "id": decision.id,
            "study_id": decision.study_id,
            "reader": reader,
            "at": decision.at,
            "target": decision.target,
            "field": decision.field,
            "old": old_value(target, decision.field, decision.old),
            # An undo brings back what was there before, even what nobody could decide (Unknown/Review).
            "new": (old_value if undoes else normal_value)(target, decision.field, decision.new),
            "reason": clean_text(decision.reason, "reason"),
            "undoes": undoes,
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

    def newer(self, study_id: str, version: int) -> tuple[list[Decision], int]:
        """Decisions stored after a version, in the order of storing, and the version that they lead to.

        What is kept of a study is brought up to date by these alone: decisions are only ever added.
        """
        table = schema.decisions
        query = select(table).where(table.c.study_id == study_id, table.c.seq > version).order_by(table.c.seq)
        with reading(self._engine) as connection:
            rows = connection.execute(query).all()
        return [_decision(row) for row in rows], rows[-1].seq if rows else version

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
