"""The channel under load, and killed in the middle: what it acknowledged is in the store, once; what is not, may be."""

from __future__ import annotations

import http.client
import os
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from typing import Any

import pytest
from sqlalchemy import func, select

from state import schema
from state.channel.tokens import Tokens, secret
from state.db import reading
from state.store import Store
from state.studies import Study
from state.targets import beat_target
from tests.conftest import REPOSITORY
from tests.state.channel_for_tests import Page, decision, serving

READERS, EACH = 8, 1000
HASH = "cd" * 32


def stored_ids(store: Store, study: Study) -> list[str]:
    """Ids in the order of storing, whatever may have been stored twice."""
    table = schema.decisions
    with reading(store.engine) as connection:
        return list(
            connection.execute(select(table.c.id).where(table.c.study_id == study.id).order_by(table.c.seq)).scalars()
        )


def test_eight_readers_with_a_thousand_decisions_each_at_once(store: Store, study: Study) -> None:
    """Some send two by two, some by the handful, some everything twice: all is stored, nothing doubled, in order."""
    made = {
        f"Reader {number}": [decision(beat_target(HASH, place), "note", f"{number}/{place}") for place in range(EACH)]
        for number in range(READERS)
    }
    start = threading.Barrier(READERS)

    def read(reader: str, size: int, times: int) -> list[str]:
        page = served.page(study, reader)
        acknowledged: list[str] = []
        start.wait(30)
        for first in range(0, EACH, size):
            batch = made[reader][first : first + size]
            for _ in range(times):
                answer = page.decide(*batch)
                assert answer.status == 200 and answer.json["refused"] == [], answer.body
            acknowledged += answer.json["acknowledged"]
        return acknowledged

    with serving(store) as served, ThreadPoolExecutor(READERS) as pool:
        ways = [(reader, (2, 5, 25, 100)[number % 4], 1 + (number == 3)) for number, reader in enumerate(made)]
        for reader, acknowledged in zip(made, pool.map(lambda way: read(*way), ways), strict=True):
            assert acknowledged == [one["id"] for one in made[reader]]
    ids = stored_ids(store, study)
    assert len(ids) == len(set(ids)) == READERS * EACH
    assert set(ids) == {one["id"] for many in made.values() for one in many}
    for reader, many in made.items():
        listed = store.decisions.listing(study.id, reader=reader)
        assert [(one.id, one.target, one.new) for one in listed] == [
            (one["id"], one["target"], one["new"]) for one in sorted(many, key=lambda one: (one["at"], one["id"]))
        ]
    with reading(store.engine) as connection:
        assert connection.execute(select(func.max(schema.decisions.c.seq))).scalar() == store.decisions.version(
            study.id
        )


@contextmanager
def a_process(store: Store) -> Iterator[tuple[subprocess.Popen[bytes], int]]:
    """The channel in a process of its own, on the same store."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    url = store.engine.url.render_as_string(hide_password=False)
    command = ["-m", "uvicorn", "tests.state.channel_for_tests:app", "--port", str(port), "--log-level", "error"]
    process = subprocess.Popen(
        [sys.executable, *command],
        cwd=REPOSITORY,
        env={**os.environ, "DATABASE_URL": url, "ECG_REVIEW_DATA": str(store.folder), "OMP_NUM_THREADS": "1"},
    )
    try:
        until = time.monotonic() + 60
        while True:
            with suppress(OSError), socket.create_connection(("127.0.0.1", port), timeout=1):
                break
            assert process.poll() is None and time.monotonic() < until, "the server does not start"
            time.sleep(0.05)
        yield process, port
    finally:
        if process.poll() is None:
            process.kill()
        process.wait(30)


@pytest.mark.skipif(os.name != "posix", reason="signal 9")
def test_a_server_killed_in_the_middle_has_what_it_acknowledged(store: Store, study: Study) -> None:
    """Signal 9 comes while they type; a new server is sent what was not acknowledged. Nothing is lost or doubled."""
    token = Tokens(secret(store.folder)).make(study.id, "Ada", "s1")
    outboxes: list[list[dict[str, Any]]] = [
        [decision(beat_target(HASH, place), "note", f"{tab}/{place}") for place in range(400)] for tab in range(4)
    ]
    everything = {one["id"] for outbox in outboxes for one in outbox}
    acknowledged: set[str] = set()
    enough = threading.Event()

    def tab(port: int, outbox: list[dict[str, Any]]) -> None:
        """Send the outbox in small messages until it is empty or the server is gone."""
        page = Page(port, token)
        with suppress(OSError, http.client.HTTPException):
            while outbox:
                answer = page.decide(*outbox[:7])
                assert answer.status == 200, answer.body
                done = set(answer.json["acknowledged"])
                acknowledged.update(done)
                outbox[:] = [one for one in outbox if one["id"] not in done]
                if len(acknowledged) > 200:
                    enough.set()
        page.close()

    def type_on(port: int, kill: subprocess.Popen[bytes] | None) -> None:
        threads = [threading.Thread(target=tab, args=(port, outbox)) for outbox in outboxes]
        for thread in threads:
            thread.start()
        if kill is not None:
            assert enough.wait(60)
            kill.send_signal(signal.SIGKILL)
        for thread in threads:
            thread.join()

    with a_process(store) as (process, port):
        type_on(port, process)
        assert process.wait(30) == -signal.SIGKILL
    stored = stored_ids(store, study)
    assert 200 < len(acknowledged) < len(everything), "killed in the middle"
    assert acknowledged <= set(stored), "what was acknowledged is there"
    assert len(stored) == len(set(stored)) and set(stored) <= everything
    with a_process(store) as (_, port):
        type_on(port, None)
    stored = stored_ids(store, study)
    assert acknowledged == everything == set(stored) and len(stored) == len(everything)
    assert not any(outboxes)
