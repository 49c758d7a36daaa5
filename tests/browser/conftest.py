"""The app as a person meets it: a server of its own on an empty data folder, and Chromium in front of it."""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import pytest
from playwright.sync_api import Browser

from state import demo
from state.store import open_store
from tests.browser.reading import Reader
from tests.conftest import REPOSITORY, missing

SWITCHES = ["--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking",
            "--disable-component-update", "--disable-sync"]  # fmt: skip


def free_port() -> int:
    """A port that nobody listens on."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@dataclass
class Server:
    """One running app; ``kill`` ends it with signal 9, ``start`` brings it back on the same port and data."""

    folder: Path
    environment: dict[str, str] = field(default_factory=dict)
    port: int = field(default_factory=free_port)
    process: subprocess.Popen[bytes] | None = None

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    @property
    def log(self) -> Path:
        return self.folder / "server.log"

    def start(self) -> None:
        environment = {**os.environ, "ECG_REVIEW_DATA": str(self.folder), "OMP_NUM_THREADS": "1", **self.environment}
        command = [sys.executable, "-m", "streamlit", "run", "app.py", "--server.port", str(self.port)]
        with self.log.open("ab") as log:
            self.process = subprocess.Popen(command, cwd=REPOSITORY, env=environment, stdout=log, stderr=log)
        for _ in range(600):
            try:
                with urllib.request.urlopen(f"{self.url}/_stcore/health", timeout=2):
                    return
            except OSError:
                time.sleep(0.1)
        raise RuntimeError(f"the app did not start:\n{self.log.read_text()[-3000:]}")

    def kill(self) -> None:
        if self.process is not None:
            self.process.kill()
            self.process.wait()


def chromium() -> str:
    """Path of the browser; the test is skipped or failed where there is none."""
    for name in ("chromium", "chromium-browser", "google-chrome"):
        if path := shutil.which(name):
            return path
    missing("browser", "no Chromium was found")
    raise AssertionError


@pytest.fixture(scope="session")
def browser() -> Iterator[Browser]:
    """Headless Chromium, started once."""
    path = chromium()
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        instance = playwright.chromium.launch(executable_path=path, args=SWITCHES)
        yield instance
        instance.close()


@pytest.fixture
def server(tmp_path: Path) -> Iterator[Server]:
    """An app on an empty data folder; its demo study is put away, so that its jobs do not compete with the test's."""
    chromium()
    store = open_store(f"sqlite:///{tmp_path / 'review.db'}", tmp_path)
    study, _ = store.studies.ensure(demo.KEY, demo.NAME)
    store.studies.archive(study.id)
    store.close()
    instance = Server(tmp_path)
    instance.start()
    yield instance
    instance.kill()


@pytest.fixture
def reader(server: Server, browser: Browser) -> Iterator[Reader]:
    """A person with a new browser window in front of the app."""
    context = browser.new_context(viewport={"width": 1440, "height": 900}, accept_downloads=True)
    page = context.new_page()
    yield Reader(page, server.url, server.folder)
    page.screenshot(path=server.folder / "last.png")
    context.close()
