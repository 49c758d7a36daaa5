"""The way in to everything that is remembered."""

from __future__ import annotations

from pathlib import Path

from sqlalchemy import Engine

from state.db import connect, migrate
from state.decisions import Decisions
from state.files import Files
from state.jobs import Jobs
from state.models import Alerts, Models
from state.paths import data_folder
from state.runs import Runs
from state.studies import Readers, Studies


class Store:
    """One database and the data folder beside it. Safe to share between threads.

    Parameters
    ----------
    engine : Engine
        From :func:`state.db.connect`, brought up to date by :func:`state.db.migrate`.
    folder : Path
        Where files, runs and logs lie.
    tasks : str
        Module that says what each kind of job does.
    """

    def __init__(self, engine: Engine, folder: Path, *, tasks: str = "state.tasks") -> None:
        self.engine = engine
        self.folder = Path(folder)
        self.studies = Studies(engine)
        self.readers = Readers(engine)
        self.files = Files(engine, self.folder)
        self.runs = Runs(engine, self.folder)
        self.models = Models(engine, self.folder)
        self.alerts = Alerts(engine)
        self.decisions = Decisions(engine)
        self.jobs = Jobs(engine, self.folder, tasks=tasks)

    def close(self) -> None:
        """Let go of all connections."""
        self.engine.dispose()


def open_store(url: str | None = None, folder: Path | None = None) -> Store:
    """Open the store: the database of ``url``, else ``$DATABASE_URL``, else SQLite in the folder."""
    folder = Path(folder) if folder is not None else data_folder()
    folder.mkdir(parents=True, exist_ok=True)
    engine = connect(url, folder)
    migrate(engine)
    return Store(engine, folder.resolve())
