"""What the tests of pages share: small studies that are ready to open, and the app on them.

Preprocessing and training are done once per session, in this process; each test works on a copy of its own.
"""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import streamlit as st
from streamlit.runtime.pages_manager import PagesManager
from streamlit.testing.v1 import AppTest

from ecg_engine.artifacts import load_run
from ecg_engine.bundle import load
from ecg_engine.errors import EngineError
from ecg_engine.prediction import predict
from ecg_engine.simulate import simulate_strips
from state import demo
from state.db import writing
from state.jobs import FAILED, Job, Jobs
from state.results import keep
from state.runs import PREPROCESS
from state.store import Store, open_store
from state.studies import Study
from state.tasks import TASKS
from state.work import Work
from state.worker import RUN_KINDS, explain
from tests.conftest import REPOSITORY

N_PER_LABEL = {-1: 4, 0: 24, 1: 12, 2: 16, 5: 10}
"""Strips of each label in the small study; the file has three rows more that cannot be used."""
SKIPPED_ROWS = 3
TRAINING = {"epochs": 6, "lr": 3e-3, "batch_size": 32, "min_proto_size": 20, "min_proto_purity": 0.5}
ALERTS = {"min_alert_size": 20}
STRANGE = 0.3
"""Of the arrhythmia study's prediction: so high that some of its strips are unknown patterns."""
STUDY = "Ward 3"
FILE = "ward 3.csv"


@dataclass(frozen=True)
class Opened:
    """A store with its study in hand."""

    store: Store
    study: Study

    def page(self, name: str, **address: object) -> AppTest:
        """The app on a page (``"strips"`` for pages/strips.py), run once; ``address`` is what stands in the URL."""
        app = AppTest.from_file(str(REPOSITORY / "app.py"), default_timeout=60)
        app.query_params.update({"study": self.study.id, "reader": "Dr Test"})
        app.query_params.update({key: str(value) for key, value in address.items()})
        app.run()
        if name != "upload":
            app.switch_page(f"pages/{name}.py").run()
        assert not app.exception, [error.value for error in app.exception]
        return app


def do_job(store: Store, job_id: str) -> None:
    """What a worker process does, here and at once."""
    job = store.jobs.get(job_id)
    assert store.jobs.claim(job.id), "another job of the study is under way"
    part = store.folder / f"{store.runs.folder_name(job.run_id)}.part"
    part.mkdir(parents=True)
    until = store.runs.start(job.run_id, job.study_id, RUN_KINDS.get(job.kind, job.kind))
    work = Work(store, job, part, False, until)
    try:
        following = keep(store, job, part, TASKS[job.kind](work), work.detail)
    except (EngineError, OSError) as error:
        shutil.rmtree(part, ignore_errors=True)
        store.jobs.end(job.id, FAILED, error=explain(error, store.folder))
        return
    if following is not None:
        do_job(store, following)


def job_done(store: Store, study_id: str, kind: str, params: Mapping[str, Any] | None = None) -> Job:
    """Do a whole job in this process."""
    with writing(store.engine) as connection:
        job_id = store.jobs.enter(connection, study_id, kind, dict(params or {}))
    do_job(store, job_id)
    job = store.jobs.get(job_id)
    assert job.status == "done", job.error
    return job


def small_table() -> bytes:
    """The small study's file: simulated strips, and three rows that cannot be read."""
    table = simulate_strips(n_per_label=N_PER_LABEL, n_patients=10, seed=7).strips
    wave = table["ECG Wave"].iloc[0]
    bad = table.iloc[:SKIPPED_ROWS].copy()
    bad["ECG Wave"] = [wave.replace(",", ",oops,", 1), "1,2,3", ",".join(["5"] * 2604)]
    return bytes(bad._append(table, ignore_index=True).to_csv(index=False).encode())


@pytest.fixture(scope="session")
def _files_only(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("files_only")
    store = open_store(folder=folder)
    # The demo study is put away, so that opening the app does not start making it.
    store.studies.archive(store.studies.ensure(demo.KEY, demo.NAME)[0].id)
    study = store.studies.create(STUDY)
    store.files.add(study.id, FILE, small_table())
    store.close()
    return folder


@pytest.fixture(scope="session")
def _preprocessed(_files_only: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return _further(_files_only, tmp_path_factory.mktemp("preprocessed"), [("preprocess", {"pictures": False})])


@pytest.fixture(scope="session")
def _trained(_preprocessed: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = _further(_preprocessed, tmp_path_factory.mktemp("with_model"), [("train", {"config": TRAINING})])
    store = open_store(folder=folder)
    study = store.studies.all()[0]
    model, run = store.models.current(study.id), store.runs.newest(study.id, PREPROCESS)
    assert model is not None and run is not None
    sure = predict(load(store.models.path(model)), load_run(store.runs.path(run))).beats["pred_conf"].median()
    store.close()
    # The model's middle confidence: half of the beats are under review.
    steps = [("predict", {"config": {"min_class_conf": float(sure)}}), ("alerts", {"config": ALERTS})]
    return _further(folder, tmp_path_factory.mktemp("trained"), steps)


@pytest.fixture(scope="session")
def _arrhythmia(_files_only: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    steps = [
        ("preprocess", {"pictures": False, "config": {"profile": "arrhythmia"}}),
        ("train", {"config": {"profile": "arrhythmia", "epochs": 8}}),
        ("predict", {"config": {"min_known_share": STRANGE}}),
    ]
    return _further(_files_only, tmp_path_factory.mktemp("arrhythmia"), steps)


def _further(before: Path, folder: Path, steps: list[tuple[str, dict[str, Any]]]) -> Path:
    shutil.copytree(before, folder, dirs_exist_ok=True)
    store = open_store(folder=folder)
    study = store.studies.all()[0]
    for kind, params in steps:
        job_done(store, study.id, kind, params)
    store.close()
    return folder


@pytest.fixture(autouse=True)
def through_the_door(monkeypatch: pytest.MonkeyPatch) -> None:
    """Pages are reached through app.py, as in a browser.

    AppTest lets Streamlit forget between runs that the app calls ``st.navigation``; it then takes the folder named
    ``pages`` for its older kind of app, and runs a page alone.
    """
    begin = PagesManager.__init__

    def begin_new(manager: PagesManager, *args: Any, **kwargs: Any) -> None:
        PagesManager.uses_pages_directory = False
        begin(manager, *args, **kwargs)

    monkeypatch.setattr(PagesManager, "__init__", begin_new)


@pytest.fixture
def open_copy(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[Callable[[Path], Opened]]:
    """Copies a data folder and points the app to the copy."""
    stores = []

    def open_it(template: Path) -> Opened:
        folder = tmp_path / "data"
        shutil.copytree(template, folder)
        monkeypatch.setenv("ECG_REVIEW_DATA", str(folder))
        monkeypatch.delenv("DATABASE_URL", raising=False)
        st.cache_resource.clear()
        st.cache_data.clear()
        store = open_store(folder=folder)
        stores.append(store)
        return Opened(store, store.studies.all()[0])

    yield open_it
    st.cache_resource.clear()
    st.cache_data.clear()
    for store in stores:
        store.close()


@pytest.fixture
def with_files(open_copy: Callable[[Path], Opened], _files_only: Path) -> Opened:
    """A study with one file, not preprocessed yet."""
    return open_copy(_files_only)


@pytest.fixture
def preprocessed(open_copy: Callable[[Path], Opened], _preprocessed: Path) -> Opened:
    """A study with one preprocessing run."""
    return open_copy(_preprocessed)


@pytest.fixture
def trained(open_copy: Callable[[Path], Opened], _trained: Path) -> Opened:
    """A study with a preprocessing run, a model, its prediction and alerts."""
    return open_copy(_trained)


@pytest.fixture
def arrhythmia(open_copy: Callable[[Path], Opened], _arrhythmia: Path) -> Opened:
    """A study with a preprocessing run, a model and its prediction, all of the arrhythmia profile."""
    return open_copy(_arrhythmia)


@pytest.fixture
def empty(open_copy: Callable[[Path], Opened], _files_only: Path) -> Opened:
    """A new study beside no other, without anything in it."""
    opened = open_copy(_files_only)
    opened.store.studies.archive(opened.study.id)
    return Opened(opened.store, opened.store.studies.create("New"))


@pytest.fixture
def jobs_now(monkeypatch: pytest.MonkeyPatch, request: pytest.FixtureRequest) -> None:
    """Jobs that a page starts are done at once, in this process."""

    def spawn(jobs: Jobs, job_id: str) -> None:
        do_job(Store(jobs._engine, jobs._data), job_id)

    monkeypatch.setattr(Jobs, "spawn", spawn)


@pytest.fixture
def jobs_wait(monkeypatch: pytest.MonkeyPatch) -> None:
    """Jobs that a page starts are written down and wait."""
    monkeypatch.setattr(Jobs, "spawn", lambda jobs, job_id: None)
