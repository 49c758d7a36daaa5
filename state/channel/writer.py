"""One thread that writes: messages that wait together are stored in one transaction, and answered after the commit.

A commit that is flushed to the disk takes some milliseconds. With several readers typing, their messages share it.
"""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Iterable, Sequence
from concurrent.futures import Future, InvalidStateError
from contextlib import suppress
from dataclasses import dataclass, field
from typing import NamedTuple

from sqlalchemy.exc import DataError, IntegrityError, SQLAlchemyError, StatementError

from state.channel.intake import Refused
from state.deciding import Decision
from state.decisions import Added, Decisions
from state.errors import DecisionError, NotFoundError, StoreError

GROUP = 4000
"""Decisions that one transaction takes at most, so that nobody waits long for the commit of others."""
WAITING = 20_000
"""Decisions that may wait at most; who brings more is asked to come again."""


class Answer(NamedTuple):
    """What became of one message."""

    acknowledged: list[str]
    """Ids that are safely in the store, new or known."""
    refused: list[Refused]
    version: int
    """Of the study, after the commit."""


@dataclass(frozen=True)
class _Message:
    study: str
    decisions: Sequence[Decision]
    answer: Future[Answer] = field(default_factory=Future)


class Writer:
    """Stores the decisions of many messages, in the order in which they came.

    Parameters
    ----------
    decisions : Decisions
        Of the store.
    """

    def __init__(self, decisions: Decisions) -> None:
        self._store = decisions
        self._waiting: deque[_Message] = deque()
        self._count = 0
        self._changed = threading.Condition()
        self._thread: threading.Thread | None = None
        self._closed = False

    def submit(self, study: str, decisions: Sequence[Decision]) -> Future[Answer]:
        """Have decisions of one study stored; the future is done after the commit.

        Its exception is a StoreError if the database does not answer: then nothing of the message may be taken as
        stored, and it can be sent again.

        Raises
        ------
        StoreError
            If too many wait already, or the writer is closed.
        """
        message = _Message(study, list(decisions))
        with self._changed:
            if self._closed:
                raise StoreError("The app is being stopped; decisions are taken again once it runs.")
            if self._count + len(message.decisions) > WAITING:
                raise StoreError("The store has more to write than it can at the moment; try again in a few seconds.")
            if self._thread is None:
                self._thread = threading.Thread(target=self._run, name="decisions", daemon=True)
                self._thread.start()
            self._waiting.append(message)
            self._count += len(message.decisions)
            self._changed.notify()
        return message.answer

    def close(self, timeout: float | None = 10) -> None:
        """Store what waits, then stop; nothing is taken any more."""
        with self._changed:
            self._closed = True
            self._changed.notify()
        if self._thread is not None:
            self._thread.join(timeout)

    def _run(self) -> None:
        while group := self._next():
            try:
                self._write(group)
            except BaseException as error:  # whatever it is, nobody may wait for ever
                for message in group:
                    _fail(message, error)
                if not isinstance(error, Exception):
                    raise

    def _next(self) -> list[_Message]:
        """The messages that wait, up to :data:`GROUP` decisions; none once the writer is closed."""
        with self._changed:
            while not self._waiting and not self._closed:
                self._changed.wait()
            group: list[_Message] = []
            size = 0
            while self._waiting and (not group or size + len(self._waiting[0].decisions) <= GROUP):
                group.append(self._waiting.popleft())
                size += len(group[-1].decisions)
            self._count -= size
            return group

    def _write(self, group: Sequence[_Message]) -> None:
        try:
            self._add(group)
        except (SQLAlchemyError, StoreError) as error:
            if not _spoilt(error):  # the database: it would fail one by one, too, and each of them would wait for it
                for message in group:
                    _fail(message, error)
            elif len(group) > 1:
                for message in group:
                    self._write([message])
            else:
                self._write_apart(group[0])

    def _add(self, group: Sequence[_Message]) -> None:
        """All messages of a group in one transaction.

        Two of them may bring the same id: the first one's content holds, as if it had been stored before.
        """
        first: dict[str, Decision] = {}
        for message in group:
            for decision in message.decisions:
                first.setdefault(decision.id, decision)
        added = self._store.add(list(first.values()))
        versions = {study: self._store.version(study) for study in {message.study for message in group}}
        for message in group:
            _done(message, _answer(message.decisions, first, added, versions[message.study]))

    def _write_apart(self, message: _Message) -> None:
        """One message that could not be stored as a whole: find what spoils it, and store the rest."""
        acknowledged: list[str] = []
        refused: list[Refused] = []
        for decision in message.decisions:
            try:
                added = self._store.add([decision])
            except (SQLAlchemyError, StoreError) as single:
                if not _spoilt(single):
                    _fail(message, single)
                    return
                refused.append(Refused(decision.id, _why(single)))
                continue
            one = _answer([decision], {decision.id: decision}, added, 0)
            acknowledged += one.acknowledged
            refused += one.refused
        _done(message, Answer(acknowledged, refused, self._store.version(message.study)))


def _answer(decisions: Iterable[Decision], first: dict[str, Decision], added: Added, version: int) -> Answer:
    conflicting = set(added.conflicting)
    acknowledged: dict[str, None] = {}
    refused: list[Refused] = []
    for decision in decisions:
        if decision.id in conflicting or not _same(decision, first[decision.id]):
            refused.append(Refused(decision.id, "Another decision has this id already; that one holds."))
        else:
            acknowledged[decision.id] = None
    return Answer(list(acknowledged), refused, version)


def _same(one: Decision, other: Decision) -> bool:
    return one is other or all(
        getattr(one, name) == getattr(other, name) for name in ("study_id", "target", "field", "new", "undoes")
    )


def _spoilt(error: Exception) -> bool:
    """Whether it lies in what was brought, and not in the database: trying again would not help."""
    if isinstance(error, (DecisionError, NotFoundError, DataError, IntegrityError)):
        return True
    # A value that could not even be handed over; errors of the database itself are kinds of this one, too.
    return type(error) is StatementError


def _why(error: Exception) -> str:
    return str(error) if isinstance(error, StoreError) else "The database cannot hold this decision as it is written."


def _done(message: _Message, answer: Answer) -> None:
    if not message.answer.done():
        with suppress(InvalidStateError):  # who asked has gone
            message.answer.set_result(answer)


def _fail(message: _Message, error: BaseException) -> None:
    if message.answer.done():
        return
    if not isinstance(error, StoreError):
        error = StoreError(f"The database could not store it: {error}. Nothing was acknowledged; it is tried again.")
    with suppress(InvalidStateError):
        message.answer.set_exception(error)
