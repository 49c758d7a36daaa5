"""Runs: what was computed, from what, with which settings, and where its files lie."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

from sqlalchemy import Connection, Engine, Row, select, update

from ecg_engine import __version__
from state import schema
from state.db import reading, writing
from state.errors import NotFoundError
from state.plain import now

PREPROCESS, TRAIN, PREDICT, ALERTS = "preprocess", "train", "predict", "alerts"
KINDS = (PREPROCESS, TRAIN, PREDICT, ALERTS)


@dataclass(frozen=True)
class RunRow:
    """One computation.

    ``parents`` are the ids of the runs it was made from, ``files`` those of the source files. ``decisions_until``:
    decisions stored up to then were taken into account. ``folder`` is relative to the data folder, None until done.
    """

    id: str
    study_id: str
    kind: str
    status: str
    config: Mapping[str, Any]
    engine_version: str
    folder: str | None
    parents: Sequence[str]
    files: Sequence[str]
    summary: Mapping[str, Any]
    decisions_until: datetime | None
    created_at: datetime
    finished_at: datetime | None

    @property
    def done(self) -> bool:
        """Finished, its files in place."""
        return self.status == "done"


class Runs:
    """The runs of all studies. Jobs make them; pages read them."""

    def __init__(self, engine: Engine, folder: Path) -> None:
        self._engine = engine
        self._data = folder

    def all(self, study_id: str, kind: str | None = None, *, status: str | None = "done") -> list[RunRow]:
        """Runs of a study, newest first; finished ones unless another status (None: any) is asked for."""
        table = schema.runs
        query = select(table).where(table.c.study_id == study_id)
        if kind is not None:
            query = query.where(table.c.kind == kind)
        if status is not None:
            query = query.where(table.c.status == status)
        with reading(self._engine) as connection:
            rows = connection.execute(query.order_by(table.c.created_at.desc(), table.c.id.desc()))
            return [_run(row) for row in rows]

    def newest(self, study_id: str, kind: str, *, parent: str | None = None) -> RunRow | None:
        """The newest finished run of a kind, if wanted among those made from one parent run."""
        return next((run for run in self.all(study_id, kind) if parent is None or parent in run.parents), None)

    def find(self, run_id: str | None) -> RunRow | None:
        """A run by id, or None."""
        with reading(self._engine) as connection:
            row = connection.execute(select(schema.runs).where(schema.runs.c.id == run_id)).first()
        return _run(row) if row else None

    def get(self, run_id: str) -> RunRow:
        """A run by id.

        Raises
        ------
        NotFoundError
            If there is none.
        """
        run = self.find(run_id)
        if run is None:
            raise NotFoundError(f"There is no run {run_id!r}.")
        return run

    def path(self, run: RunRow) -> Path:
        """The run's artefact folder."""
        if run.folder is None:
            raise NotFoundError(f"The run {run.id} is {run.status}; it has no files.")
        return self._data / run.folder

    def folder_name(self, run_id: str) -> str:
        """Where the files of a run will lie, relative to the data folder."""
        return f"runs/{run_id}"

    def start(self, run_id: str, study_id: str, kind: str, *, resume: bool = False) -> datetime:
        """Enter a run as its work starts, or once more as the work is tried again. For the worker.

        Returns
        -------
        datetime
            Decisions stored up to then count. When work is resumed, it is the time of the first attempt.
        """
        table, until = schema.runs, now()
        with writing(self._engine) as connection:
            row = connection.execute(select(table.c.decisions_until).where(table.c.id == run_id)).first()
            if row is not None:
                until = row.decisions_until if resume and row.decisions_until is not None else until
                values = {"status": "running", "decisions_until": until, "finished_at": None}
                connection.execute(update(table).where(table.c.id == run_id).values(**values))
                return until
            enter_run(connection, run_id, study_id, kind, until)
        return until


def enter_run(connection: Connection, run_id: str, study_id: str, kind: str, until: datetime) -> None:
    """Enter a new run; ``until`` is when it begins, and the decisions stored up to then count."""
    row = {
        "id": run_id,
        "study_id": study_id,
        "kind": kind,
        "status": "running",
        "config": {},
        "engine_version": __version__,
        "parents": [],
        "files": [],
        "summary": {},
        "decisions_until": until,
        "created_at": until,
    }
    connection.execute(schema.runs.insert(), row)


def finish_run(connection: Connection, run_id: str, **values: Any) -> None:
    """Write a run's last state, inside the transaction that also ends its job."""
    values = {"finished_at": now(), **values}
    connection.execute(update(schema.runs).where(schema.runs.c.id == run_id).values(**values))


def _run(row: Row[Any]) -> RunRow:
    return RunRow(**row._mapping)
