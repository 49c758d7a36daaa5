"""Keeping what a job made: its files in place, and everything that the store says of them in one transaction."""

from __future__ import annotations

import os
import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from sqlalchemy import update

from state import schema
from state.db import writing
from state.jobs import ACTIVE, DONE, Job
from state.models import add_alerts, add_model
from state.plain import now
from state.runs import finish_run
from state.store import Store
from state.work import Outcome


def keep(store: Store, job: Job, part: Path, outcome: Outcome, detail: Mapping[str, Any]) -> str | None:
    """Move a finished job's files to their place and write run, model, alerts and job as done, all or none.

    Parameters
    ----------
    part : Path
        Where the files were written; it is moved, never copied.

    Returns
    -------
    str or None
        Id of the job that was to follow, written down but not yet started.
    """
    name = store.runs.folder_name(job.run_id)
    final = store.folder / name
    shutil.rmtree(final, ignore_errors=True)  # left by an attempt that was stopped right here
    _flush(part)
    part.rename(final)
    try:
        return _write(store, job, name, outcome, detail)
    except BaseException:
        final.rename(part)
        raise


def _write(store: Store, job: Job, name: str, outcome: Outcome, detail: Mapping[str, Any]) -> str | None:
    following = None
    with writing(store.engine) as connection:
        finish_run(
            connection,
            job.run_id,
            status="done",
            folder=name,
            config=dict(outcome.config),
            summary=dict(outcome.summary),
            parents=list(outcome.parents),
            files=list(outcome.files),
        )
        model = outcome.model
        if model is not None:
            add_model(
                connection,
                study_id=job.study_id,
                run_id=job.run_id,
                kind=model.kind,
                bundle=f"{name}/{model.bundle}",
                metrics=model.metrics,
                comparison=model.comparison,
            )
        add_alerts(connection, job.study_id, job.run_id, outcome.alerts)
        then = list(job.params.get("then", ()))
        if then:
            params = {**then[0]["params"], **({"then": then[1:]} if then[1:] else {})}
            following = store.jobs.enter(connection, job.study_id, then[0]["kind"], params)
        values = {"status": DONE, "share": 1.0, "message": "", "error": None, "detail": dict(detail)}
        here = (schema.jobs.c.id == job.id) & schema.jobs.c.status.in_(ACTIVE)
        connection.execute(update(schema.jobs).where(here).values(**values, finished_at=now()))
    return following


def _flush(folder: Path) -> None:
    """Have the system put the files on the disk before the store says that they are there."""
    for path in folder.rglob("*"):
        if path.is_file():
            with path.open("rb") as file:
                os.fsync(file.fileno())
