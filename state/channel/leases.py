"""Leases: which tab has which item of a queue in hand, so that no two are given the same one.

A lease runs out by itself when a tab dies; a tab that lives renews its own with each message about items.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from datetime import datetime, timedelta
from typing import NamedTuple, TypeVar

from sqlalchemy import Connection, Engine, and_, delete, or_, select
from sqlalchemy.dialects import postgresql, sqlite

from state import schema
from state.db import lock, reading, writing
from state.plain import now

LEASE = timedelta(minutes=2)
FORGOTTEN = timedelta(hours=1)
"""Leases that ran out so long ago are swept away."""
_BATCH = 500

T = TypeVar("T")


class Holder(NamedTuple):
    """Who has an item in hand: one tab of one reader."""

    reader: str
    tab: str


class Leases:
    """The leases of the queues of all studies.

    Parameters
    ----------
    engine : Engine
    clock : callable
        The time; tests give another.
    """

    def __init__(self, engine: Engine, *, clock: Callable[[], datetime] = now) -> None:
        self._engine = engine
        self._clock = clock
        self._insert = (postgresql if engine.dialect.name == "postgresql" else sqlite).insert

    def take(
        self, study_id: str, holder: Holder, wanted: Sequence[str], count: int, *, have: Collection[str] = ()
    ) -> tuple[list[str], list[str]]:
        """Keep what a tab has, and give it the first items that nobody else has.

        Parameters
        ----------
        wanted : sequence of str
            Keys of items in the order of the queue.
        count : int
            How many new ones the tab asks for.
        have : collection of str
            Keys that the tab has already; their leases are renewed, all others of the tab let go of.

        Returns
        -------
        new, held : list of str
            New items in the order of ``wanted``, and those of ``have`` that are still the tab's own.
        """
        moment = self._clock()
        with writing(self._engine) as connection:
            lock(connection, f"leases {study_id}")
            held = self._keep(connection, study_id, holder, list(have), moment)
            new: list[str] = []
            taken = self._taken(connection, study_id, holder, moment)
            mine = set(have)
            free = (key for key in wanted if key not in mine and key not in taken)
            # Whatever was seen a moment ago, the table decides: what is not given after all, the next ones stand for.
            while len(new) < count and (batch := [key for key, _ in zip(free, range(count - len(new)), strict=False)]):
                got = self._claim(connection, study_id, holder, batch, moment)
                new += [key for key in batch if key in got]
            return new, held

    def renew(self, study_id: str, holder: Holder, have: Collection[str]) -> list[str]:
        """Renew the leases of what a tab has, and let go of all its others; returns what is the tab's own now.

        An item whose lease ran out is taken anew, if nobody else has it.
        """
        with writing(self._engine) as connection:
            lock(connection, f"leases {study_id}")
            return self._keep(connection, study_id, holder, list(have), self._clock())

    def held_by_others(self, study_id: str, holder: Holder) -> set[str]:
        """Keys that other tabs have in hand."""
        with reading(self._engine) as connection:
            return self._taken(connection, study_id, holder, self._clock())

    def _taken(self, connection: Connection, study_id: str, holder: Holder, moment: datetime) -> set[str]:
        table = schema.leases
        others = or_(table.c.tab != holder.tab, table.c.reader != holder.reader)
        query = select(table.c.key).where(table.c.study_id == study_id, table.c.until > moment, others)
        return set(connection.execute(query).scalars())

    def _keep(
        self, connection: Connection, study_id: str, holder: Holder, have: list[str], moment: datetime
    ) -> list[str]:
        table = schema.leases
        held = self._claim(connection, study_id, holder, have, moment)
        mine = and_(table.c.study_id == study_id, table.c.tab == holder.tab, table.c.reader == holder.reader)
        old = and_(table.c.study_id == study_id, table.c.until < moment - FORGOTTEN)
        gone = set(connection.execute(select(table.c.key).where(mine)).scalars()) - held
        for some in _batches(sorted(gone)):
            connection.execute(delete(table).where(mine, table.c.key.in_(some)))
        connection.execute(delete(table).where(old))
        return [key for key in have if key in held]

    def _claim(
        self, connection: Connection, study_id: str, holder: Holder, keys: list[str], moment: datetime
    ) -> set[str]:
        """Take those of the keys that are free, ran out, or are the holder's own."""
        table = schema.leases
        insert = self._insert(table)
        mine = and_(table.c.tab == holder.tab, table.c.reader == holder.reader)
        statement = insert.on_conflict_do_update(
            index_elements=["study_id", "key"],
            set_={name: insert.excluded[name] for name in ("reader", "tab", "until")},
            where=or_(table.c.until <= moment, mine),
        ).returning(table.c.key)
        rows = [
            {"study_id": study_id, "key": key, "reader": holder.reader, "tab": holder.tab, "until": moment + LEASE}
            for key in sorted(set(keys))
        ]
        got: set[str] = set()
        for some in _batches(rows):
            got |= set(connection.execute(statement, list(some)).scalars())
        return got


def _batches(items: Sequence[T]) -> list[Sequence[T]]:
    return [items[start : start + _BATCH] for start in range(0, len(items), _BATCH)]
