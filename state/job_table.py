"""What the store knows of jobs: their states, who waits for whom, and which have lost their process."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import Connection, Engine, Row, select, update

from state import schema
from state.db import lock, reading, writing
from state.errors import NotFoundError
from state.plain import new_id, now
from state.processes import host_name, is_alive

QUEUED, RUNNING, DONE = "queued", "running", "done"
FAILED, CANCELLED, INTERRUPTED = "failed", "cancelled", "interrupted"
ACTIVE = (QUEUED, RUNNING)

AT_A_TIME = 1
"""Jobs of one study that run at once; others wait."""
START_SECONDS = 60.0
"""How long a job may be without a process before it counts as interrupted."""
STALE_SECONDS = 60.0
"""How long a worker on another host may be silent before its job counts as interrupted."""


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


class JobTable:
    """Jobs as rows; :class:`state.jobs.Jobs` adds the processes."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine

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

    def again(self, job_id: str, **values: Any) -> bool:
        """Give a job that is over without a result another status; "queued" begins a new attempt."""
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


def _job(row: Row[Any]) -> Job:
    return Job(**row._mapping)
