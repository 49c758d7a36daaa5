"""Jobs: long work in processes of its own, which outlive reruns, closed tabs and the app itself.

The store holds everything that is known of a job; the process is found again by its id and start time. One job of a
study runs at a time: a worker waits its own turn, so the queue moves on without the app.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

from sqlalchemy import Connection, Engine, Row, select, update

from state import schema
from state.db import URL_VARIABLE, lock, reading, writing
from state.errors import NotFoundError, StoreError
from state.paths import DATA_VARIABLE
from state.plain import new_id, now
from state.processes import host_name, is_alive, process_token

QUEUED, RUNNING, DONE = "queued", "running", "done"
FAILED, CANCELLED, INTERRUPTED = "failed", "cancelled", "interrupted"
ACTIVE = (QUEUED, RUNNING)

AT_A_TIME = 1
"""Jobs of one study that run at once; others wait."""
START_SECONDS = 60.0
"""How long a job may be without a process before it counts as interrupted."""
STALE_SECONDS = 60.0
"""How long a worker on another host may be silent before its job counts as interrupted."""
ROOT = Path(__file__).resolve().parents[1]

_children: dict[int, subprocess.Popen[bytes]] = {}


@dataclass(frozen=True)
class Job:
    """A piece of long work. ``share`` is 0 to 1; ``detail`` what the task tells beside it (epochs so far)."""

    id: str
    study_id: str
    kind: str
    params: Mapping[str, Any]
    status: str
    message: str
    share: float
    detail: Mapping[str, Any]
    error: str | None
    run_id: str
    attempt: int
    cancel_requested: bool
    host: str | None
    pid: int | None
    process_started: str | None
    heartbeat_at: datetime | None
    created_at: datetime
    queued_at: datetime
    started_at: datetime | None
    finished_at: datetime | None

    @property
    def active(self) -> bool:
        """Waiting or running."""
        return self.status in ACTIVE

    @property
    def resumable(self) -> bool:
        """Over without a result: it can be started again (training goes on where it was interrupted)."""
        return self.status in (FAILED, CANCELLED, INTERRUPTED)

    @property
    def seconds(self) -> float:
        """Seconds it has run, or ran."""
        if self.started_at is None:
            return 0.0
        return ((self.finished_at or now()) - self.started_at).total_seconds()


class Jobs:
    """The jobs of all studies."""

    def __init__(self, engine: Engine, folder: Path, *, tasks: str = "state.tasks") -> None:
        self._engine = engine
        self._data = folder
        self._tasks = tasks

    def submit(
        self,
        study_id: str,
        kind: str,
        params: Mapping[str, Any] | None = None,
        *,
        then: Sequence[tuple[str, Mapping[str, Any]]] = (),
    ) -> Job:
        """Start a job in a process of its own and return at once.

        Parameters
        ----------
        kind : str
            A name in the task module: preprocess, train, retrain, predict, alerts.
        params : mapping, optional
            What the task needs to know; plain values.
        then : sequence of (kind, params)
            Jobs to follow, each when the one before it is done.
        """
        values = {**(params or {})}
        if then:
            values["then"] = [{"kind": next_kind, "params": dict(next_params)} for next_kind, next_params in then]
        with writing(self._engine) as connection:
            job_id = self.enter(connection, study_id, kind, values)
        self.spawn(job_id)
        return self.get(job_id)

    def enter(self, connection: Connection, study_id: str, kind: str, params: Mapping[str, Any]) -> str:
        """Write a job down without starting it (see :meth:`spawn`)."""
        job_id, moment = new_id(), now()
        row = {
            "id": job_id,
            "study_id": study_id,
            "kind": kind,
            "params": dict(params),
            "status": QUEUED,
            "detail": {},
            "run_id": new_id(),
            "created_at": moment,
            "queued_at": moment,
        }
        connection.execute(schema.jobs.insert(), row)
        return job_id

    def spawn(self, job_id: str) -> None:
        """Start the worker process of a job that is written down."""
        _reap()
        path = os.environ.get("PYTHONPATH", "")
        environment = {
            **os.environ,
            URL_VARIABLE: self._engine.url.render_as_string(hide_password=False),
            DATA_VARIABLE: str(self._data),
            "PYTHONPATH": os.pathsep.join([str(ROOT), *([path] if path else [])]),
            "PYTHONUNBUFFERED": "1",
        }
        log = self.log_path(job_id)
        log.parent.mkdir(parents=True, exist_ok=True)
        try:
            with log.open("ab") as stream:
                process = subprocess.Popen(
                    [sys.executable, "-m", "state.worker", job_id, "--tasks", self._tasks],
                    cwd=ROOT,
                    env=environment,
                    stdin=subprocess.DEVNULL,
                    stdout=stream,
                    stderr=subprocess.STDOUT,
                    start_new_session=True,
                )
        except OSError as error:
            self.end(job_id, FAILED, error=f"The job's process could not be started: {error}.")
            return
        _children[process.pid] = process
        table = schema.jobs
        mine = {"host": host_name(), "pid": process.pid, "process_started": process_token(process.pid)}
        with writing(self._engine) as connection:
            connection.execute(update(table).where(table.c.id == job_id, table.c.pid.is_(None)).values(**mine))

    def find(self, job_id: str | None) -> Job | None:
        """A job by id, or None; one whose process is gone is marked interrupted first."""
        with reading(self._engine) as connection:
            row = connection.execute(select(schema.jobs).where(schema.jobs.c.id == job_id)).first()
        if row is None:
            return None
        job = _job(row)
        if job.active and self._lost(job):
            self._interrupt(job)
            return self.find(job_id)
        return job

    def get(self, job_id: str) -> Job:
        """A job by id, as :meth:`find`.

        Raises
        ------
        NotFoundError
            If there is none.
        """
        job = self.find(job_id)
        if job is None:
            raise NotFoundError(f"There is no job {job_id!r}.")
        return job

    def all(self, study_id: str, kind: str | None = None, *, active: bool = False) -> list[Job]:
        """Jobs of a study, newest first, if wanted of one kind or only those that wait or run."""
        self.mark_interrupted(study_id)
        table = schema.jobs
        query = select(table).where(table.c.study_id == study_id)
        if kind is not None:
            query = query.where(table.c.kind == kind)
        if active:
            query = query.where(table.c.status.in_(ACTIVE))
        with reading(self._engine) as connection:
            rows = connection.execute(query.order_by(table.c.created_at.desc(), table.c.id.desc()))
            return [_job(row) for row in rows]

    def newest(self, study_id: str, kind: str | None = None) -> Job | None:
        """The newest job of a study."""
        return next(iter(self.all(study_id, kind)), None)

    def cancel(self, job_id: str) -> Job:
        """Ask a job to stop. Its worker stops at its next step, or is ended some seconds later if it does not."""
        table = schema.jobs
        with writing(self._engine) as connection:
            here = table.c.id == job_id
            connection.execute(update(table).where(here, table.c.status.in_(ACTIVE)).values(cancel_requested=True))
        job = self.get(job_id)
        if job.status == INTERRUPTED and job.cancel_requested and self._again(job_id, status=CANCELLED):
            shutil.rmtree(self._data / f"runs/{job.run_id}.part", ignore_errors=True)
        return self.get(job_id)

    def resume(self, job_id: str) -> Job:
        """Start a job again that is over without a result; an interrupted training goes on from its last epoch.

        Raises
        ------
        StoreError
            If the job is waiting, running or done.
        """
        job = self.get(job_id)
        if not job.resumable or not self._again(job_id, status=QUEUED):
            raise StoreError(f"This job is {self.get(job_id).status}; only one that is over without result can resume.")
        self.spawn(job_id)
        return self.get(job_id)

    def _again(self, job_id: str, **values: Any) -> bool:
        table = schema.jobs
        if values["status"] == QUEUED:
            values |= {
                "attempt": table.c.attempt + 1,
                "cancel_requested": False,
                "error": None,
                "message": "",
                "share": 0.0,
                "pid": None,
                "process_started": None,
                "heartbeat_at": None,
                "queued_at": now(),
                "started_at": None,
                "finished_at": None,
            }
        with writing(self._engine) as connection:
            over = table.c.status.in_((FAILED, CANCELLED, INTERRUPTED))
            return connection.execute(update(table).where(table.c.id == job_id, over).values(**values)).rowcount == 1

    def mark_interrupted(self, study_id: str | None = None) -> list[str]:
        """Mark the jobs whose process is gone; returns their ids. Pages need not call it: reading a job does."""
        table = schema.jobs
        query = select(table).where(table.c.status.in_(ACTIVE))
        if study_id is not None:
            query = query.where(table.c.study_id == study_id)
        with reading(self._engine) as connection:
            jobs = [_job(row) for row in connection.execute(query)]
        return [job.id for job in jobs if self._lost(job) and self._interrupt(job)]

    def _lost(self, job: Job) -> bool:
        if job.pid is None:
            return now() - job.queued_at > timedelta(seconds=START_SECONDS)
        if job.host == host_name() and job.process_started:
            return not is_alive(job.pid, job.process_started)
        return now() - (job.heartbeat_at or job.queued_at) > timedelta(seconds=STALE_SECONDS)

    def _interrupt(self, job: Job) -> bool:
        error = "The job's process ended before the work was done (the machine or the process was stopped)."
        return self.end(job.id, INTERRUPTED, error=error, attempt=job.attempt)

    def end(self, job_id: str, status: str, *, error: str | None = None, attempt: int | None = None) -> bool:
        """Write a job's end, unless it has one already; its run is marked failed or cancelled with it."""
        jobs, runs = schema.jobs, schema.runs
        here = [jobs.c.id == job_id, jobs.c.status.in_(ACTIVE)]
        if attempt is not None:
            here.append(jobs.c.attempt == attempt)
        with writing(self._engine) as connection:
            values = {"status": status, "error": error, "finished_at": now()}
            if connection.execute(update(jobs).where(*here).values(**values)).rowcount == 0:
                return False
            run_id = select(jobs.c.run_id).where(jobs.c.id == job_id).scalar_subquery()
            run_status = CANCELLED if status == CANCELLED else FAILED
            mine = (runs.c.id == run_id) & (runs.c.status == "running")
            connection.execute(update(runs).where(mine).values(status=run_status, finished_at=now()))
        return True

    def claim(self, job_id: str) -> bool:
        """Take the job's turn, if it has come: fewer than ``AT_A_TIME`` run, and none waits longer. For the worker."""
        job = self.get(job_id)
        if self._before(job):
            return False
        table = schema.jobs
        with writing(self._engine) as connection:
            lock(connection, f"jobs {job.study_id}")
            rows = connection.execute(select(table).where(self._others(job)))
            if not self._clear(job, [_job(row) for row in rows]):
                return False
            here = (table.c.id == job_id) & (table.c.status == QUEUED)
            connection.execute(update(table).where(here).values(status=RUNNING, started_at=now(), message=""))
        return True

    def _others(self, job: Job) -> Any:
        table = schema.jobs
        return (table.c.study_id == job.study_id) & table.c.status.in_(ACTIVE) & (table.c.id != job.id)

    def _before(self, job: Job) -> bool:
        self.mark_interrupted(job.study_id)
        with reading(self._engine) as connection:
            rows = connection.execute(select(schema.jobs).where(self._others(job)))
            return not self._clear(job, [_job(row) for row in rows])

    @staticmethod
    def _clear(job: Job, others: Sequence[Job]) -> bool:
        running = sum(other.status == RUNNING for other in others)
        earlier = sum(
            other.status == QUEUED and (other.queued_at, other.id) < (job.queued_at, job.id) for other in others
        )
        return running + earlier < AT_A_TIME

    def write(self, job_id: str, **values: Any) -> None:
        """Write progress, heartbeat or process of a job that is under way. For the worker."""
        table = schema.jobs
        with writing(self._engine) as connection:
            connection.execute(update(table).where(table.c.id == job_id, table.c.status.in_(ACTIVE)).values(**values))

    def cancel_requested(self, job_id: str) -> bool:
        """Whether the job was asked to stop. For the worker."""
        with reading(self._engine) as connection:
            query = select(schema.jobs.c.cancel_requested).where(schema.jobs.c.id == job_id)
            return bool(connection.execute(query).scalar())

    def log_path(self, job_id: str) -> Path:
        """The job's log."""
        return self._data / "logs" / f"{job_id}.log"

    def tail(self, job_id: str, lines: int = 40) -> str:
        """The last lines of the job's log; "" before there is one."""
        try:
            with self.log_path(job_id).open("rb") as stream:
                stream.seek(0, os.SEEK_END)
                stream.seek(max(0, stream.tell() - 400 * lines))
                text = stream.read().decode("utf-8", "replace")
        except FileNotFoundError:
            return ""
        return "\n".join(text.splitlines()[-lines:])

    def wait(self, job_id: str, seconds: float = 600.0) -> Job:
        """Wait until a job is over; for scripts and tests.

        Raises
        ------
        StoreError
            If it is still under way after ``seconds``.
        """
        end = time.monotonic() + seconds
        while (job := self.get(job_id)).active:
            if time.monotonic() > end:
                raise StoreError(f"The job is still {job.status} after {seconds:g} s: {job.message}")
            time.sleep(0.05)
        return job


def _reap() -> None:
    """Let go of finished worker processes that this process started, so that none stays a zombie."""
    for pid, process in list(_children.items()):
        if process.poll() is not None:
            del _children[pid]


def _job(row: Row[Any]) -> Job:
    return Job(**row._mapping)
