"""app.py as script and as server: what its settings promise holds, and the channel is there beside the pages."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest
from streamlit.testing.v1 import AppTest

from state import demo, session
from state.channel.tokens import SECRET_FILE, Pass, Tokens, secret
from state.store import open_store
from tests.conftest import REPOSITORY
from tests.pages.conftest import Opened
from tests.state.channel_for_tests import Page, decision

SCRIPT = """
import streamlit as st
from state import session

session.begin()
st.session_state["said"] = session.channel()
"""


def said(app: AppTest) -> dict[str, Any]:
    app.run()
    assert not app.exception
    return dict(app.session_state["said"])


def page_of(opened: Opened, reader: str = "Dr Test") -> AppTest:
    app = AppTest.from_string(SCRIPT)
    app.query_params.update({"study": opened.study.id, "reader": reader})
    return app


def test_a_page_is_given_a_pass_that_stays_the_same(with_files: Opened, monkeypatch: pytest.MonkeyPatch) -> None:
    app = page_of(with_files)
    first = said(app)
    tokens = Tokens(secret(with_files.store.folder))
    who = tokens.read(first["token"])
    assert (who.study, who.reader) == (with_files.study.id, "Dr Test")
    version = with_files.store.decisions.version(with_files.study.id)
    assert first == {
        "base": "",
        "token": first["token"],
        "study": with_files.study.id,
        "reader": "Dr Test",
        "version": version,
    }
    assert said(app) == first, "data that changes would redraw the component"
    other = tokens.read(said(page_of(with_files, "Dr Other"))["token"])
    assert other.reader == "Dr Other" and other.session != who.session
    # Half of its time is over: a new one, for the same session.
    monkeypatch.setattr(session, "MAX_AGE", -4)
    app.run()
    assert tokens.read(said(app)["token"]) == Pass(*who)
    # The secret is another one, say since the data folder was put back from a copy.
    monkeypatch.undo()
    monkeypatch.setenv("ECG_REVIEW_DATA", str(with_files.store.folder))
    (with_files.store.folder / SECRET_FILE).unlink()
    assert Tokens(secret(with_files.store.folder)).read(said(app)["token"]) == Pass(*who)


def _answers(url: str) -> int:
    try:
        with urllib.request.urlopen(url, timeout=30) as response:
            return int(response.status)
    except urllib.error.HTTPError as error:
        return error.code


@pytest.mark.skipif(sys.platform != "linux", reason="asks Linux which addresses are taken")
def test_the_app_as_a_server(tmp_path: Path) -> None:
    """``streamlit run app.py`` as ``make app`` calls it, with a path before it."""
    store = open_store(f"sqlite:///{tmp_path / 'review.db'}", tmp_path)
    store.studies.archive(store.studies.ensure(demo.KEY, demo.NAME)[0].id)
    study = store.studies.create("Ward 3")
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    flags = ["--server.port", str(port), "--server.headless", "true", "--server.baseUrlPath", "ward/3"]
    environment = {name: value for name, value in os.environ.items() if name != "DATABASE_URL"}
    process = subprocess.Popen(
        [sys.executable, "-m", "streamlit", "run", "app.py", *flags],
        cwd=REPOSITORY,
        env=environment | {"ECG_REVIEW_DATA": str(tmp_path), "OMP_NUM_THREADS": "1"},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    try:
        until = time.monotonic() + 90
        while True:
            with suppress(OSError):
                if _answers(f"http://127.0.0.1:{port}/ward/3/_stcore/health") == 200:
                    break
            assert process.poll() is None and time.monotonic() < until, "the app does not start"
            time.sleep(0.1)
        assert not (tmp_path / SECRET_FILE).exists(), "nothing is opened before somebody asks"
        page = Page(port, None, start="/ward/3/channel")
        assert page.decide(decision("strip:" + "a" * 64, "note", "x")).json["code"] == "token"
        page.token = Tokens(secret(tmp_path)).make(study.id, "Ada", "s1")
        made = decision("strip:" + "a" * 64, "note", "x")
        assert page.decide(made).json["acknowledged"] == [made["id"]]
        assert store.decisions.get(made["id"]).reader == "Ada"
        page.origin = "http://evil.example"
        assert page.decide(made).json["code"] == "origin"
        page.close()
        assert _answers(f"http://127.0.0.1:{port}/ward/3/") == 200
        # It listens at 127.0.0.1 and nowhere else: the port is free at another address of this computer.
        with socket.socket() as other:
            other.bind(("127.0.0.2", port))
        process.send_signal(signal.SIGINT)
        out, _ = process.communicate(timeout=60)
    finally:
        if process.poll() is None:
            process.kill()
            process.communicate()
        store.close()
    assert f"http://127.0.0.1:{port}/ward/3" in out
    assert "Traceback" not in out and "Warning" not in out, out
