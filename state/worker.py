"""The process of one job: ``python -m state.worker JOB_ID``.

It waits for the job's turn, does the work, and writes how it ended. A thread beside the work writes progress and a sign
of life, and looks whether the job was cancelled; work that does not react is ended.
"""

from __future__ import annotations

import argparse
import contextlib
import errno
import importlib
import os
import shutil
import signal
import sys
import threading
import time
import traceback
from collections.abc import Mapping
from pathlib import Path
from types import FrameType

from ecg_engine.errors import Cancelled, EngineError
from state.db import connect
from state.jobs import CANCELLED, DONE, FAILED, INTERRUPTED, QUEUED, Job
from state.paths import data_folder
from state.plain import now
from state.processes import host_name, process_token
from state.results import keep
from state.store import Store
from state.work import Task, Work

WRITE_SECONDS = 0.25
HEARTBEAT_SECONDS = 5.0
GRACE_SECONDS = 5.0
"""How long the work may take to stop once asked."""
TURN_SECONDS = 0.3
NICENESS = 5
"""The app stays quick while a job runs: a person waits for the one, nobody for the other."""
RUN_KINDS: Mapping[str, str] = {"retrain": "train"}
"""Kind of run of a job, where it has another name."""


class Worker:
    """One attempt at one job."""

    def __init__(self, store: Store, job: Job, tasks: str) -> None:
        self.store, self.job, self._tasks = store, job, tasks
        self.stop = threading.Event()
        self._asked_at = 0.0
        self._over = threading.Event()
        # Whoever holds it writes how the job ended: the work, or the thread that gives it up.
        self._ending = threading.Lock()
        self._work: Work | None = None
        self._written = 0
        self._part = store.folder / f"{store.runs.folder_name(job.run_id)}.part"

    def run(self) -> str:
        """Do the job; returns its last status."""
        jobs, job = self.store.jobs, self.job
        mine = {"host": host_name(), "pid": os.getpid(), "process_started": process_token(os.getpid())}
        jobs.write(job.id, **mine, heartbeat_at=now())
        signal.signal(signal.SIGTERM, self._terminated)
        threading.Thread(target=self._beside, name="beside", daemon=True).start()
        try:
            self._wait_for_turn()
            return self._do()
        except Cancelled:
            return self._ended(CANCELLED if jobs.get(job.id).cancel_requested else INTERRUPTED)
        except BaseException as error:
            traceback.print_exc()
            return self._ended(FAILED, explain(error, self.store.folder))

    def _wait_for_turn(self) -> None:
        while not self.store.jobs.claim(self.job.id):
            job = self.store.jobs.get(self.job.id)
            if self.stop.is_set() or job.status != QUEUED or job.attempt != self.job.attempt:
                raise Cancelled
            time.sleep(TURN_SECONDS)

    def _do(self) -> str:
        store, job = self.store, self.job
        resume = self._part.is_dir()
        self._part.mkdir(parents=True, exist_ok=True)
        kind = RUN_KINDS.get(job.kind, job.kind)
        until = store.runs.start(job.run_id, job.study_id, kind, resume=resume)
        self._work = Work(store, job, self._part, resume, until, self.stop, detail=dict(job.detail))
        tasks: Mapping[str, Task] = importlib.import_module(self._tasks).TASKS
        if job.kind not in tasks:
            raise EngineError(f"There is no work called {job.kind!r}; there is: {', '.join(tasks)}.")
        print(f"{now():%Y-%m-%d %H:%M:%S} {job.kind} begins, attempt {job.attempt}", flush=True)
        outcome = tasks[job.kind](self._work)
        if self.stop.is_set():
            raise Cancelled
        with self._ending:
            self._over.set()
            following = keep(store, job, self._part, outcome, self._work.detail)
        print(f"{now():%Y-%m-%d %H:%M:%S} done", flush=True)
        if following is not None:
            store.jobs.spawn(following)
        return DONE

    def _ended(self, status: str, error: str | None = None) -> str:
        with self._ending:
            self._over.set()
            self._write_end(status, error)
        return status

    def _write_end(self, status: str, error: str | None) -> None:
        if status == INTERRUPTED:
            error = "The job's process was asked to stop before the work was done."
        else:
            # First of all room: on a full disk the store could not be written either.
            shutil.rmtree(self._part, ignore_errors=True)
        if self._work is not None:
            with contextlib.suppress(Exception):
                self._write_progress(self._work)
        print(f"{now():%Y-%m-%d %H:%M:%S} {status}. {error or ''}", flush=True)
        self.store.jobs.end(self.job.id, status, error=error, attempt=self.job.attempt)

    def _terminated(self, signum: int, frame: FrameType | None) -> None:
        self.stop.set()

    def _beside(self) -> None:
        last_beat = time.monotonic()
        while not self._over.wait(WRITE_SECONDS):
            try:
                if self._work is not None and self._work.told != self._written:
                    self._write_progress(self._work)
                    last_beat = time.monotonic()
                elif time.monotonic() - last_beat > HEARTBEAT_SECONDS:
                    self.store.jobs.write(self.job.id, heartbeat_at=now())
                    last_beat = time.monotonic()
                if self.store.jobs.cancel_requested(self.job.id):
                    self.stop.set()
            except Exception:
                # The store may be away for a moment; the work goes on and the next turn tries again.
                traceback.print_exc()
            if self._work is not None and not self._part.is_dir() and self._ending.acquire(blocking=False):
                print("the data folder was taken away; the process ends", flush=True)
                os._exit(1)
            if self.stop.is_set():
                self._asked_at = self._asked_at or time.monotonic()
                if time.monotonic() - self._asked_at > GRACE_SECONDS:
                    self._give_up()

    def _write_progress(self, work: Work) -> None:
        told = work.told
        values = {"message": work.message, "share": work.share, "detail": work.detail, "heartbeat_at": now()}
        self.store.jobs.write(self.job.id, **values)
        self._written = told

    def _give_up(self) -> None:
        """End this process from within: the work does not look whether it should stop."""
        if not self._ending.acquire(blocking=False):
            return
        print("the work did not stop when asked; its process is ended", flush=True)
        try:
            asked = self.store.jobs.cancel_requested(self.job.id)
            self._write_end(CANCELLED if asked else INTERRUPTED, None)
        finally:
            os._exit(1)


def explain(error: BaseException, folder: Path) -> str:
    """One clear sentence on what went wrong; the traceback is in the log."""
    chain: BaseException | None = error
    while chain is not None:
        full = isinstance(chain, OSError) and chain.errno in {errno.ENOSPC, errno.EDQUOT}
        if full or "No space left" in str(chain) or "disk is full" in str(chain):
            return f"The disk is full: there is no room left in {folder}. Free some space and try again."
        chain = chain.__cause__ or chain.__context__
    if isinstance(error, EngineError):
        return str(error)
    if isinstance(error, MemoryError):
        return "The machine ran out of memory. Close other programs, or work with fewer strips at once."
    what = " ".join(str(error).split())[:300]
    return f"Something unexpected went wrong ({type(error).__name__}{': ' if what else ''}{what}). The log says where."


def main(arguments: list[str] | None = None) -> int:
    """Entry of the process. Exit code 0 when the job is done."""
    parser = argparse.ArgumentParser(prog="state.worker", description="Do one job of the store.")
    parser.add_argument("job_id")
    parser.add_argument("--tasks", default="state.tasks", help="module with the work to do, by kind of job")
    options = parser.parse_args(arguments)
    if hasattr(os, "nice"):
        os.nice(NICENESS)
    folder = data_folder()
    store = Store(connect(None, folder), folder, tasks=options.tasks)
    try:
        return 0 if Worker(store, store.jobs.get(options.job_id), options.tasks).run() == DONE else 1
    finally:
        store.close()


if __name__ == "__main__":
    sys.exit(main())
