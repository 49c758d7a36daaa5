"""A real PostgreSQL server for tests and benchmarks, in a temporary folder."""

from __future__ import annotations

import os
import pwd
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from sqlalchemy import create_engine, text


def run_sql(server: str, statement: str) -> None:
    """One statement on the server, outside a transaction."""
    engine = create_engine(server, isolation_level="AUTOCOMMIT")
    with engine.connect() as connection:
        connection.execute(text(statement))
    engine.dispose()


def _binary(name: str) -> str | None:
    found = shutil.which(name)
    if found and os.access(found, os.X_OK):
        return found
    versions = sorted(Path("/usr/lib/postgresql").glob(f"*/bin/{name}"), key=lambda path: path.parts[-3])
    return str(versions[-1]) if versions else None


def _account() -> str | None:
    """Who runs the server: PostgreSQL refuses to run as root."""
    if os.geteuid() != 0:
        return None
    for name in ("postgres", "nobody"):
        try:
            pwd.getpwnam(name)
        except KeyError:
            continue
        return name
    raise LookupError("there is no account but root to run a PostgreSQL server")


def _run(command: list[str], account: str | None) -> None:
    before = [] if account is None else ["runuser", "-u", account, "--"]
    done = subprocess.run([*before, *command], capture_output=True, text=True, cwd="/", check=False)
    assert done.returncode == 0, done.stdout + done.stderr


@contextmanager
def a_server(*, flushes: bool = False) -> Iterator[str]:
    """URL of a PostgreSQL server in a temporary folder that listens on a socket there and nowhere else.

    It flushes commits to the disk only if asked to: tests do not pull the plug.

    Raises
    ------
    LookupError
        If this machine has none to start, or no account to start it with.
    """
    initdb, pg_ctl = _binary("initdb"), _binary("pg_ctl")
    if initdb is None or pg_ctl is None:
        raise LookupError("there is no PostgreSQL server on this machine (initdb, pg_ctl)")
    account = _account()
    # Not pytest's folder: a socket's path may have some 100 characters only.
    folder = Path(tempfile.mkdtemp(prefix="pg-"))
    try:
        if account is not None:
            shutil.chown(folder, account)
        data = folder / "data"
        _run([initdb, "-D", str(data), "-U", "tests", "-A", "trust", "-E", "UTF8", "--no-sync"], account)
        options = f"-c listen_addresses='' -c unix_socket_directories={folder} -c max_connections=200"
        options += "" if flushes else " -c fsync=off"
        _run([pg_ctl, "-D", str(data), "-l", str(folder / "log"), "-o", options, "-w", "start"], account)
        try:
            yield f"postgresql+psycopg://tests@/postgres?host={folder}"
        finally:
            _run([pg_ctl, "-D", str(data), "-m", "immediate", "-w", "stop"], account)
    finally:
        shutil.rmtree(folder, ignore_errors=True)


@pytest.fixture(scope="session")
def postgres_server() -> Iterator[str]:
    """URL of a PostgreSQL server for the tests."""
    try:
        with a_server() as url:
            yield url
    except LookupError as error:
        from tests.conftest import missing

        missing("postgres", str(error))
