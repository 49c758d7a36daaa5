"""Stores for the tests: each test runs on SQLite and on a real PostgreSQL, each time with a fresh database."""

from __future__ import annotations

import os
import pwd
import shutil
import subprocess
import tempfile
import uuid
from collections.abc import Iterator
from pathlib import Path

import pytest
from sqlalchemy import create_engine, make_url, text

from state.db import connect, migrate
from state.store import Store
from state.studies import Study
from tests.conftest import missing


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
    return missing("postgres", "there is no account but root to run a PostgreSQL server")


def _run(command: list[str], account: str | None) -> None:
    before = [] if account is None else ["runuser", "-u", account, "--"]
    done = subprocess.run([*before, *command], capture_output=True, text=True, cwd="/", check=False)
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.fixture(scope="session")
def postgres_server() -> Iterator[str]:
    """URL of a PostgreSQL server in a temporary folder that listens on a socket there and nowhere else."""
    initdb, pg_ctl = _binary("initdb"), _binary("pg_ctl")
    if initdb is None or pg_ctl is None:
        missing("postgres", "there is no PostgreSQL server on this machine (initdb, pg_ctl)")
        return
    account = _account()
    # Not pytest's folder: a socket's path may have some 100 characters only.
    folder = Path(tempfile.mkdtemp(prefix="pg-"))
    try:
        if account is not None:
            shutil.chown(folder, account)
        data = folder / "data"
        _run([initdb, "-D", str(data), "-U", "tests", "-A", "trust", "-E", "UTF8", "--no-sync"], account)
        options = f"-c listen_addresses='' -c unix_socket_directories={folder} -c fsync=off -c max_connections=200"
        _run([pg_ctl, "-D", str(data), "-l", str(folder / "log"), "-o", options, "-w", "start"], account)
        try:
            yield f"postgresql+psycopg://tests@/postgres?host={folder}"
        finally:
            _run([pg_ctl, "-D", str(data), "-m", "immediate", "-w", "stop"], account)
    finally:
        shutil.rmtree(folder, ignore_errors=True)


@pytest.fixture(scope="session")
def postgres_template(postgres_server: str) -> str:
    """Name of a database with the tables, to be copied for each test."""
    _sql(postgres_server, "CREATE DATABASE template_review")
    engine = connect(make_url(postgres_server).set(database="template_review").render_as_string(hide_password=False))
    migrate(engine)
    engine.dispose()
    return "template_review"


@pytest.fixture(scope="session")
def sqlite_template(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A SQLite file with the tables, to be copied for each test."""
    path = tmp_path_factory.mktemp("sqlite") / "template.db"
    engine = connect(f"sqlite:///{path}")
    migrate(engine)
    engine.dispose()
    return path


def _sql(server: str, statement: str) -> None:
    engine = create_engine(server, isolation_level="AUTOCOMMIT")
    with engine.connect() as connection:
        connection.execute(text(statement))
    engine.dispose()


@pytest.fixture(params=["sqlite", pytest.param("postgres", marks=pytest.mark.postgres)])
def store(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Store]:
    """An empty store."""
    folder = tmp_path / "data"
    folder.mkdir()
    if request.param == "sqlite":
        path = folder / "review.db"
        shutil.copyfile(request.getfixturevalue("sqlite_template"), path)
        store = Store(connect(f"sqlite:///{path}"), folder, tasks="tests.state.fake_tasks")
        yield store
        store.close()
        return
    server, template = request.getfixturevalue("postgres_server"), request.getfixturevalue("postgres_template")
    name = f"test_{uuid.uuid4().hex}"
    _sql(server, f"CREATE DATABASE {name} TEMPLATE {template}")
    url = make_url(server).set(database=name)
    store = Store(connect(url.render_as_string(hide_password=False)), folder, tasks="tests.state.fake_tasks")
    yield store
    store.close()
    _sql(server, f"DROP DATABASE {name} WITH (FORCE)")


@pytest.fixture
def study(store: Store) -> Study:
    """A study to decide in."""
    return store.studies.create("Ward 3")
