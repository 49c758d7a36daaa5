"""Connections to SQLite or PostgreSQL, and bringing a database up to date."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from sqlalchemy import URL, Connection, Engine, create_engine, event, inspect, make_url, text
from sqlalchemy.exc import OperationalError

from state.errors import StoreError
from state.paths import data_folder
from state.plain import to_json

URL_VARIABLE = "DATABASE_URL"
DATABASE_FILE = "review.db"
BUSY_SECONDS = 30
CONNECT_SECONDS = 10
REVISION = "0002"
"""The newest migration: what :func:`migrate` brings a database to."""


def database_url(url: str | None = None, folder: Path | None = None) -> URL:
    """URL to connect to: the one given, else ``$DATABASE_URL``, else SQLite in the folder (default: the data folder).

    ``postgres://`` and ``postgresql://`` are read as psycopg 3.
    """
    named = url or os.environ.get(URL_VARIABLE, "").strip()
    if not named:
        return URL.create("sqlite", database=str((folder or data_folder()) / DATABASE_FILE))
    parsed = make_url(named)
    if parsed.drivername in {"postgres", "postgresql"}:
        return parsed.set(drivername="postgresql+psycopg")
    if parsed.get_backend_name() not in {"sqlite", "postgresql"}:
        raise StoreError(f"{URL_VARIABLE} names {parsed.drivername}; the store runs on sqlite or postgresql.")
    if parsed.get_backend_name() == "sqlite":
        if not parsed.database or parsed.database == ":memory:":
            raise StoreError("SQLite in memory is lost to the jobs' processes; name a file.")
        # Jobs run in another working directory.
        return parsed.set(database=str(Path(parsed.database).expanduser().resolve()))
    return parsed


def connect(url: str | None = None, folder: Path | None = None) -> Engine:
    """Engine for the store (see :func:`database_url`); nothing is opened until it is used.

    SQLite: write-ahead log, every commit flushed to the disk (``synchronous=FULL``: power may fail after an
    acknowledgement), foreign keys checked, and up to 30 s of patience with another writer.
    """
    parsed = database_url(url, folder)
    if parsed.get_backend_name() == "sqlite":
        Path(str(parsed.database)).parent.mkdir(parents=True, exist_ok=True)
        engine = create_engine(
            parsed, json_serializer=to_json, pool_size=8, max_overflow=24, connect_args={"timeout": BUSY_SECONDS}
        )
        event.listen(engine, "connect", _prepare_sqlite)
        event.listen(engine, "begin", _begin_sqlite)
        return engine
    # A server that swallows what it is sent must not keep a page waiting for minutes.
    patience = {} if "connect_timeout" in parsed.query else {"connect_timeout": CONNECT_SECONDS}
    return create_engine(
        parsed, json_serializer=to_json, pool_size=8, max_overflow=24, pool_pre_ping=True, connect_args=patience
    )


def _prepare_sqlite(connection: Any, record: Any) -> None:
    # The driver must not begin transactions by itself: it would begin reading ones and then fail to upgrade them.
    connection.isolation_level = None
    cursor = connection.cursor()
    for pragma in (
        f"busy_timeout = {BUSY_SECONDS * 1000}",
        "journal_mode = WAL",
        "synchronous = FULL",
        "foreign_keys = ON",
        # Else INSERT OR REPLACE would delete a decision without its trigger noticing.
        "recursive_triggers = ON",
    ):
        cursor.execute(f"PRAGMA {pragma}")
    cursor.close()


def _begin_sqlite(connection: Connection) -> None:
    writing_wanted = connection.get_execution_options().get("writing", False)
    connection.exec_driver_sql("BEGIN IMMEDIATE" if writing_wanted else "BEGIN")


@contextmanager
def answering(engine: Engine) -> Iterator[None]:
    """Turn what the database itself cannot do (gone, locked, disk full) into a sentence with a remedy.

    Raises
    ------
    StoreError
        Nothing of the transaction was stored then.
    """
    try:
        yield
    except OperationalError as error:
        reason = str(error.orig).strip().splitlines()[0] if error.orig else str(error)
        where = engine.url.render_as_string(hide_password=True)
        raise StoreError(
            f"The database {where} does not answer: {reason}. Nothing of this step was stored. Check that it runs and "
            "that its disk has room, then try again."
        ) from error


@contextmanager
def reading(engine: Engine) -> Iterator[Connection]:
    """A transaction that only reads: one consistent view."""
    with answering(engine), engine.connect() as connection, connection.begin():
        yield connection


@contextmanager
def writing(engine: Engine) -> Iterator[Connection]:
    """A transaction that writes, committed at the end; on SQLite it takes the write lock at once."""
    with answering(engine), engine.connect() as connection:
        connection = connection.execution_options(writing=True)
        with connection.begin():
            yield connection


def lock(connection: Connection, name: str) -> None:
    """Let one transaction at a time past this point for one name. SQLite's writers are alone already."""
    if connection.dialect.name == "postgresql":
        connection.execute(text("SELECT pg_advisory_xact_lock(hashtextextended(:name, 0))"), {"name": name})


def migrate(engine: Engine) -> None:
    """Bring the database to the newest tables. Several processes may call this at once.

    Raises
    ------
    StoreError
        If the database does not answer, or was written by a newer version of the app.
    """
    with answering(engine):
        _migrate(engine)


def _migrate(engine: Engine) -> None:
    if _revision(engine) == REVISION:
        return
    # Here, not above: alembic takes a quarter of a second that an up-to-date start need not spend.
    from alembic import command
    from alembic.config import Config
    from alembic.util import CommandError

    config = Config()
    config.set_main_option("script_location", str(Path(__file__).parent / "migrations"))
    try:
        with writing(engine) as connection:
            lock(connection, "migrate")
            config.attributes["connection"] = connection
            command.upgrade(config, "head")
    except CommandError as error:
        raise StoreError(
            f"The database was written by another version of this app ({error}). Update the app, or use another "
            "data folder."
        ) from error


def _revision(engine: Engine) -> str | None:
    with engine.connect() as connection:
        if not inspect(connection).has_table("alembic_version"):
            return None
        return connection.execute(text("SELECT version_num FROM alembic_version")).scalar()
