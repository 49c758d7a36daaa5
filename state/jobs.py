"""Jobs: long work in processes of its own, which outlive reruns, closed tabs and the app itself.

The store holds everything that is known of a job; the process is found again by its id and start time. One job of a
study runs at a time: a worker waits its own turn, so the queue moves on without the app.
"""

from __future__ import annotations

import atexit
import os
import shutil
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from sqlalchemy import Engine, update

from state import schema
from state.db import URL_VARIABLE, writing
from state.errors import StoreError
from state.job_table import ACTIVE, CANCELLED, DONE, FAILED, INTERRUPTED, QUEUED, RUNNING, Job, JobTable
from state.paths import DATA_VARIABLE
from state.processes import host_name, process_token

__all__ = ["ACTIVE", "CANCELLED", "DONE", "FAILED", "INTERRUPTED", "QUEUED", "RUNNING", "Job", "Jobs"]

ROOT = Path(__file__).resolve().parents[1]

_children: dict[int, subprocess.Popen[bytes]] = {}


class Jobs(JobTable):
    """The jobs of all studies: started, watched, stopped and resumed."""

    def __init__(self, engine: Engine, folder: Path, *, tasks: str = "state.tasks") -> None:
        super().__init__(engine)
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

    def spawn(self, job_id: str) -> None:
        """Start the worker process of a job that is written down."""
        _reap()
        path = os.environ.get("PYTHONPATH", "")
        environment = {
            # A core stays free for the app and the browser; and threads that wait must not spin, because on a busy
            # machine that made training seven times slower.
            "OMP_NUM_THREADS": str(max(1, (os.cpu_count() or 2) - 1)),
            "OMP_WAIT_POLICY": "PASSIVE",
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

    def cancel(self, job_id: str) -> Job:
        """Ask a job to stop. Its worker stops at its next step, or is ended some seconds later if it does not."""
        table = schema.jobs
        with writing(self._engine) as connection:
            here = table.c.id == job_id
            connection.execute(update(table).where(here, table.c.status.in_(ACTIVE)).values(cancel_requested=True))
        job = self.get(job_id)
        if job.status == INTERRUPTED and job.cancel_requested and self.again(job_id, status=CANCELLED):
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
        if not job.resumable or not self.again(job_id, status=QUEUED):
            raise StoreError(f"This job is {self.get(job_id).status}; only one that is over without result can resume.")
        self.spawn(job_id)
        return self.get(job_id)

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


@atexit.register
def _let_go() -> None:
    """Workers are meant to outlive this process: Python need not warn that they still run."""
    for process in _children.values():
        process.returncode = process.poll() or 0
