"""How long a decision waits for its acknowledgement: eight readers on one server, on SQLite and on PostgreSQL.

The server is the app as ``make app`` starts it; the readers are threads of this process, each with a connection of its
own. Beside it stands the floor: one commit that is flushed to the disk, alone.
"""

from __future__ import annotations

import http.client
import json
import os
import secrets
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from pathlib import Path

import numpy as np

from bench.common import free_port, table
from state import demo
from state.channel.tokens import Tokens, secret
from state.deciding import decide
from state.store import Store, open_store
from state.targets import beat_target
from tests.postgres import a_server

REPOSITORY = Path(__file__).resolve().parents[1]
READERS, EACH = 8, 1000
TYPED, PER_SECOND = 150, 10
"""Decisions that each reader types at a pace, and the pace: ten a second is as fast as keys come."""
ALONE = 300
HASH = "ab" * 32


class Reader:
    """One reader's page: a connection that is kept, and a token."""

    def __init__(self, port: int, token: str) -> None:
        self._connection = http.client.HTTPConnection("127.0.0.1", port, timeout=60)
        self._headers = {"Origin": f"http://127.0.0.1:{port}", "Authorization": f"Bearer {token}"}
        self._sent = 0

    def decide(self) -> None:
        """Send one decision; return once it is acknowledged."""
        self._sent += 1
        made = {"id": secrets.token_hex(16), "at": time.time_ns() // 1000, "target": beat_target(HASH, self._sent)}
        made |= {"field": "label", "new": "PVC", "old": "Normal", "reason": "", "undoes": None, "payload": {}}
        self._connection.request("POST", "/channel/decisions", json.dumps({"decisions": [made]}), self._headers)
        response = self._connection.getresponse()
        answer = json.loads(response.read())
        if answer.get("acknowledged") != [made["id"]]:
            raise SystemExit(f"not acknowledged: {answer}")


def main() -> None:
    """Both databases, one after the other."""
    rows, floors = [], []
    with tempfile.TemporaryDirectory() as name:
        floors.append(("fsync of 4 kB alone", *_figures(_flushes(Path(name)))))
    for database, url in _databases():
        with tempfile.TemporaryDirectory() as name:
            folder = Path(name)
            store = open_store(url or f"sqlite:///{folder / 'review.db'}", folder)
            # The demo study is put away: its jobs would run beside what is measured.
            store.studies.archive(store.studies.ensure(demo.KEY, demo.NAME)[0].id)
            floors.append((f"one decision stored alone, {database}", *_figures(_alone(store))))
            with _app(store, folder) as port:
                at_pace, _ = _together(store, port, TYPED, 1 / PER_SECOND)
                rows.append((f"{database}, ten a second each", READERS * TYPED, *_figures(at_pace), ""))
                at_once, seconds = _together(store, port, EACH, 0.0)
                rate = f"{READERS * EACH / seconds:.0f}"
                rows.append((f"{database}, as fast as it goes", READERS * EACH, *_figures(at_once), rate))
            study = store.studies.all()[0]
            count = len(store.decisions.listing(study.id))
            if count != ALONE + READERS * (TYPED + EACH):
                raise SystemExit(f"{database}: {count} decisions are stored")
            store.close()
    head = ("", "decisions", "p50 ms", "p95 ms", "p99 ms", "a second")
    table(f"Acknowledgement of a decision, {READERS} readers at once, one decision a message", head, rows)
    table("The floor", ("", "p50 ms", "p95 ms", "p99 ms"), floors)


def _databases() -> Iterator[tuple[str, str | None]]:
    yield "SQLite", None
    try:
        with a_server(flushes=True) as url:
            yield "PostgreSQL", url
    except LookupError as error:
        print(f"Without PostgreSQL: {error}", file=sys.stderr)


def _figures(seconds: Sequence[float]) -> list[str]:
    return [f"{value * 1000:.1f}" for value in np.percentile(np.asarray(seconds), [50, 95, 99])]


def _timed(work: Callable[[], object]) -> float:
    start = time.perf_counter()
    work()
    return time.perf_counter() - start


def _flushes(folder: Path) -> list[float]:
    with (folder / "file").open("wb", buffering=0) as file:

        def flush() -> None:
            file.write(bytes(4096))
            os.fsync(file.fileno())

        return [_timed(flush) for _ in range(ALONE)]


def _alone(store: Store) -> list[float]:
    study = store.studies.create("Bench")
    target = beat_target(HASH, 1)
    return [
        _timed(lambda: store.decisions.add([decide(study.id, "Ada", target, "label", "PVC")])) for _ in range(ALONE)
    ]


@contextmanager
def _app(store: Store, folder: Path) -> Iterator[int]:
    """The app in a process of its own; gives its port."""
    port = free_port()
    url = store.engine.url.render_as_string(hide_password=False)
    command = ["-m", "streamlit", "run", "app.py", "--server.port", str(port), "--server.headless", "true"]
    with (folder / "server.log").open("wb") as log:
        process = subprocess.Popen(
            [sys.executable, *command],
            cwd=REPOSITORY,
            env={**os.environ, "DATABASE_URL": url, "ECG_REVIEW_DATA": str(folder)},
            stdout=log,
            stderr=subprocess.STDOUT,
        )
    try:
        until = time.monotonic() + 60
        while True:
            with suppress(OSError), socket.create_connection(("127.0.0.1", port), timeout=1):
                break
            if process.poll() is not None or time.monotonic() > until:
                raise SystemExit((folder / "server.log").read_text())
            time.sleep(0.1)
        yield port
    finally:
        process.terminate()
        process.wait(30)


def _together(store: Store, port: int, count: int, pause: float) -> tuple[list[float], float]:
    """Seconds of each acknowledgement, and of all together; with a pause, each reader keeps to a pace."""
    study = store.studies.all()[0]
    tokens = Tokens(secret(store.folder))
    readers = [Reader(port, tokens.make(study.id, f"Reader {number}", "bench")) for number in range(READERS)]
    for reader in readers:
        reader.decide()  # opens the store and the connection
    readers_start = time.perf_counter() + 0.2

    def read(number: int) -> list[float]:
        found = []
        for turn in range(count - 1):
            due = readers_start + (turn + number / READERS) * pause
            time.sleep(max(0.0, due - time.perf_counter()))
            # At a pace, a late answer does not put off the next key: waiting for it counts.
            begin = due if pause and due < time.perf_counter() else time.perf_counter()
            readers[number].decide()
            found.append(time.perf_counter() - begin)
        return found

    with ThreadPoolExecutor(READERS) as pool:
        found = list(pool.map(read, range(READERS)))
    return [seconds for many in found for seconds in many], time.perf_counter() - readers_start


if __name__ == "__main__":
    main()
