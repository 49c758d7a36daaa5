"""Stores for the tests: each test runs on SQLite and on a real PostgreSQL, each time with a fresh database."""

from __future__ import annotations

import shutil
import uuid
from collections.abc import Iterator
from pathlib import Path

import pytest
from sqlalchemy import make_url

from state.db import connect, migrate
from state.store import Store
from state.studies import Study
from tests.postgres import run_sql


@pytest.fixture(scope="session")
def postgres_template(postgres_server: str) -> str:
    """Name of a database with the tables, to be copied for each test."""
    run_sql(postgres_server, "CREATE DATABASE template_review")
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
    run_sql(server, f"CREATE DATABASE {name} TEMPLATE {template}")
    url = make_url(server).set(database=name)
    store = Store(connect(url.render_as_string(hide_password=False)), folder, tasks="tests.state.fake_tasks")
    yield store
    store.close()
    run_sql(server, f"DROP DATABASE {name} WITH (FORCE)")


@pytest.fixture
def study(store: Store) -> Study:
    """A study to decide in."""
    return store.studies.create("Ward 3")
