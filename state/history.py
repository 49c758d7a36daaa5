"""The history of a study in words, kept up to date at little cost: what was read and told once is not read again."""

from __future__ import annotations

import threading
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import NamedTuple

import numpy as np
import pandas as pd
from sqlalchemy import Engine, func, select

from ecg_engine.strips import Strips
from state import schema
from state.anchors import BeatIndex
from state.db import reading
from state.deciding import Decision, activity
from state.telling import DECISION, FIELD_NAMES, HOLDS, UNDONE, history_table, standing_undos

PEAK_NAME = FIELD_NAMES["peak"]
DOINGS = (
    *(name for name in FIELD_NAMES.values() if name != PEAK_NAME),
    *(f"{PEAK_NAME} {done}" for done in ("added", "moved", "deleted", "as computed")),
)
"""What can be done, in a reader's words: the fields, and R-peaks by what became of them."""


class Told(NamedTuple):
    """The history at one moment: the store's version (which grows with each decision), decisions and table."""

    version: int
    decisions: tuple[Decision, ...]
    table: pd.DataFrame


class History:
    """All decisions of a study as :func:`~state.telling.history_table` has them, and ``doing``, one of ``DOINGS``.

    Strips are named by a run; a history of its own is kept for each.
    """

    def __init__(self, engine: Engine, study_id: str, strips: Strips | None, index: BeatIndex | None) -> None:
        self._engine, self._study_id, self._strips, self._index = engine, study_id, strips, index
        self._lock = threading.Lock()
        self._decisions: dict[str, Decision] = {}
        self._words: pd.DataFrame | None = None
        self._told: Told | None = None

    def told(self) -> Told:
        """The history as the store has it now. Treat as read-only."""
        with self._lock:
            version, count, new = self._news()
            if self._told is not None and version == self._told.version and count == len(self._decisions):
                return self._told
            if len(self._decisions) + len(new) != count:
                # Another writer's row came after one with a higher number: read it all.
                self._decisions, self._words = {}, None
                version, count, new = self._news(after=0)
            self._decisions.update((made.id, made) for made in new)
            self._tell(new)
            self._told = Told(version, tuple(self._decisions.values()), self._table())
            return self._told

    def _news(self, after: int | None = None) -> tuple[int, int, list[Decision]]:
        table = schema.decisions
        known = (self._told.version if self._told else 0) if after is None else after
        with reading(self._engine) as connection:
            ours = table.c.study_id == self._study_id
            found = connection.execute(select(table).where(ours, table.c.seq > known).order_by(table.c.seq)).all()
            count = connection.execute(select(func.count()).where(ours)).scalar() or 0
        version, new = known, []
        for row in found:
            values = dict(row._mapping)
            version = max(version, values.pop("seq"))
            new.append(Decision(**values))
        return version, count, new

    def _tell(self, new: Sequence[Decision]) -> None:
        """Put what is new into words; whether it holds is asked later, for all."""
        ids = {made.id for made in new}
        # An undo that came before what it undoes is told again.
        fresh = [*new, *(made for made in self._decisions.values() if made.undoes in ids and made.id not in ids)]
        wanted = {made.id for made in fresh}
        around = {made.id: made for made in fresh}
        for made in fresh:
            while made.undoes in self._decisions and made.undoes not in around:
                made = self._decisions[made.undoes]
                around[made.id] = made
        words = history_table(list(around.values()), self._strips, self._index)
        words = words[words["id"].isin(wanted)]
        words = words.assign(doing=_doing(words))
        before = self._words
        if before is not None and len(before):
            words = pd.concat([words, before[~before["id"].isin(wanted)]], ignore_index=True)
        self._words = words.sort_values(["at", "id"], ascending=False, ignore_index=True)

    def _table(self) -> pd.DataFrame:
        assert self._words is not None
        holds = activity(self._decisions.values())
        undone = standing_undos(self._decisions.values(), holds)
        ids = self._words["id"].tolist()
        by = [undone.get(id) for id in ids]
        return self._words.assign(
            state=np.array([HOLDS if holds[id] else UNDONE for id in ids], dtype=object),
            undone_by=np.array(["" if one is None else one.reader for one in by], dtype=object),
            undone_at=pd.to_datetime(
                pd.Series([None if one is None else one.at for one in by], dtype=object), utc=True
            ),
        )


def _doing(table: pd.DataFrame) -> pd.Series:
    peaks = table["field"] == PEAK_NAME
    what = pd.Series("as computed", index=table.index)
    # By the value, because an undo of an added R-peak tells its change in other words.
    for word, said in (("added", table["new"]), ("deleted", table["new"])):
        what[said == word] = word
    what[table["new"].str.startswith("at ", na=False)] = "moved"
    return table["field"].where(~peaks, PEAK_NAME + " " + what)


@dataclass(frozen=True)
class HistoryFilter:
    """Which decisions a reader wants to see; the empty filter keeps everything but undos.

    Attributes
    ----------
    readers, kinds, doings, patients : sequence of str
        As they stand in the table.
    strips : sequence of int
        Numbers of strips.
    state : str
        "Holds", "Undone" or "" for both.
    since, until : datetime, optional
        With time zones; ``until`` itself is left out.
    undos : bool
        Show undos, too.
    """

    readers: Sequence[str] = ()
    kinds: Sequence[str] = ()
    doings: Sequence[str] = ()
    patients: Sequence[str] = ()
    strips: Sequence[int] = ()
    state: str = ""
    since: datetime | None = None
    until: datetime | None = None
    undos: bool = False


def filtered_history(table: pd.DataFrame, wanted: HistoryFilter) -> pd.DataFrame:
    """The rows that a filter keeps, in their order."""
    keep = pd.Series(True, index=table.index)
    for name, values in (
        ("reader", wanted.readers),
        ("kind", wanted.kinds),
        ("doing", wanted.doings),
        ("patient", wanted.patients),
        ("strip", wanted.strips),
    ):
        if values:
            keep &= table[name].isin(list(values)).fillna(False).astype(bool)
    if wanted.state:
        keep &= table["state"] == wanted.state
    if wanted.since is not None:
        keep &= table["at"] >= pd.Timestamp(wanted.since)
    if wanted.until is not None:
        keep &= table["at"] < pd.Timestamp(wanted.until)
    if not wanted.undos:
        keep &= table["action"] == DECISION
    return table[keep]


class Page(NamedTuple):
    """A part of a long list: its rows, where it begins, and how many are newer and older than it."""

    rows: pd.DataFrame
    start: int
    newer: int
    older: int


def page_of(shown: pd.DataFrame, top: str | None, size: int) -> Page:
    """The page that begins with the decision ``top``, so that what is stored meanwhile does not move it.

    Without ``top``, or where it is no longer among those shown, the newest.
    """
    found = np.flatnonzero(shown["id"].to_numpy() == top) if top else np.empty(0, dtype=np.int64)
    start = int(found[0]) if len(found) else 0
    rows = shown.iloc[start : start + size]
    return Page(rows, start, start, len(shown) - start - len(rows))


def step(shown: pd.DataFrame, page: Page, size: int, forth: bool) -> str | None:
    """First decision of the page after (older) or before this one; None for the newest page."""
    start = page.start + size if forth else page.start - size
    if start <= 0 or not len(shown):
        return None
    return str(shown["id"].iloc[min(start, len(shown) - 1)])
