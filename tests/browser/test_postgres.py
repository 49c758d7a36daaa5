"""The same app on PostgreSQL: a file comes in, a beat is labelled, and the server's database has it."""

from __future__ import annotations

from pathlib import Path

import pytest
from playwright.sync_api import Browser
from sqlalchemy import make_url

from ecg_engine.simulate import simulate_strips
from state import demo
from state.runs import PREPROCESS
from state.store import open_store
from tests.browser.conftest import Server
from tests.browser.reading import Reader, until
from tests.postgres import run_sql

pytestmark = [pytest.mark.browser, pytest.mark.postgres, pytest.mark.timeout(300)]


def test_a_decision_arrives_in_postgresql(postgres_server: str, browser: Browser, tmp_path: Path) -> None:
    run_sql(postgres_server, "CREATE DATABASE browser_review")
    url = make_url(postgres_server).set(database="browser_review").render_as_string(hide_password=False)
    folder = tmp_path / "data"
    folder.mkdir()
    store = open_store(url, folder)
    store.studies.archive(store.studies.ensure(demo.KEY, demo.NAME)[0].id)
    strips = tmp_path / "strips.csv"
    simulate_strips(n_per_label={0: 8, 2: 6}, n_patients=3).strips.to_csv(strips, index=False)
    server = Server(folder, {"DATABASE_URL": url})
    server.start()
    try:
        page = browser.new_context(viewport={"width": 1440, "height": 900}).new_page()
        reader = Reader(page, server.url, folder)
        reader.open()
        page.locator('input[type="file"]').first.set_input_files(strips)
        study = until(lambda: store.studies.all(), "no study was made for the file")[0]
        reader.see("strips.csv")
        reader.rest()
        reader.click("preprocess")
        run = until(lambda: store.runs.newest(study.id, PREPROCESS), "the file was not preprocessed")
        # as a person would: a click in the moment in which the page is drawn anew can go astray
        reader.see(f"{run.summary['beats_extracted']:,}")
        reader.rest()
        reader.go("Strips")
        reader.type_key("v")
        made = until(lambda: store.decisions.active(study.id), "the label was not kept")
        assert [decision.new for decision in made] == ["PVC"]
        reader.no_traceback()
    finally:
        server.kill()
        store.close()
    assert not (folder / "review.db").exists(), "nothing went to SQLite beside it"
