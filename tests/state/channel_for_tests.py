"""The channel as a browser meets it: a real server on a free port, and messages over HTTP.

``python -m uvicorn tests.state.channel_for_tests:app`` serves the store of the environment, without any page.
"""

from __future__ import annotations

import http.client
import json
import threading
import time
from collections.abc import Callable, Collection, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import uvicorn
from starlette.applications import Starlette
from starlette.types import Receive, Scope, Send

from ecg_engine.prediction import BEATS_FILE, STRIPS_FILE
from ecg_engine.preprocess import Run
from state.channel.frames import Frame, read_frame
from state.channel.routes import Channel, routes
from state.channel.tokens import Tokens, secret
from state.db import writing
from state.plain import new_id
from state.runs import RunRow, finish_run
from state.store import Store, open_store
from state.studies import Study

PATIENCE = 30


@dataclass
class Answered:
    """What the server said."""

    status: int
    body: bytes
    headers: Mapping[str, str]

    @property
    def json(self) -> dict[str, Any]:
        return dict(json.loads(self.body))

    @property
    def frame(self) -> Frame:
        assert self.status == 200, self.body
        return read_frame(self.body)


@dataclass
class Page:
    """A page of the app, or something that would like to be one: what it sends can be bent in every way."""

    port: int
    token: str | None
    origin: str | None = None
    host: str | None = None
    start: str = "/channel"
    connection: http.client.HTTPConnection | None = field(default=None, repr=False)

    def __post_init__(self) -> None:
        self.origin = self.origin if self.origin is not None else f"http://127.0.0.1:{self.port}"

    def post(self, route: str, message: Any, **headers: str | None) -> Answered:
        """Send a message (bytes as they are) over a connection that is kept; a header of None is left out."""
        body = message if isinstance(message, bytes) else json.dumps(message).encode()
        sent: dict[str, str | None] = {
            "Host": self.host or f"127.0.0.1:{self.port}",
            "Origin": self.origin,
            "Authorization": None if self.token is None else f"Bearer {self.token}",
            "Content-Type": "application/json",
        } | headers
        if self.connection is None:
            self.connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=PATIENCE)
        self.connection.request(
            "POST", f"{self.start}/{route}", body, {name: value for name, value in sent.items() if value is not None}
        )
        response = self.connection.getresponse()
        return Answered(response.status, response.read(), dict(response.getheaders()))

    def decide(self, *decisions: Mapping[str, Any]) -> Answered:
        return self.post("decisions", {"decisions": list(decisions)})

    def close(self) -> None:
        if self.connection is not None:
            self.connection.close()
            self.connection = None


def decision(target: str, field: str = "label", new: Any = "PVC", **more: Any) -> dict[str, Any]:
    """A decision as the browser writes it."""
    made = {"id": new_id(), "at": time.time_ns() // 1000, "target": target, "field": field, "new": new, "old": None}
    return made | {"reason": "", "undoes": None, "payload": {}} | more


@dataclass
class Served:
    """A channel that is being served."""

    store: Store
    channel: Channel
    port: int
    pages: list[Page] = field(default_factory=list)

    def token(self, study: Study, reader: str = "Ada", session: str = "s1") -> str:
        return Tokens(secret(self.store.folder)).make(study.id, reader, session)

    def page(self, study: Study, reader: str = "Ada", **bent: Any) -> Page:
        """A page of a reader; it is closed with the server."""
        self.pages.append(Page(self.port, self.token(study, reader), **bent))
        return self.pages[-1]


@contextmanager
def serving(
    store: Store, *, hosts: Collection[str] = (), base: str = "", open_store: Callable[[], Store] | None = None
) -> Iterator[Served]:
    """Serve a store's channel from a thread of this process."""
    channel = Channel(open_store or (lambda: store), lambda: hosts)
    config = uvicorn.Config(
        Starlette(routes=routes(channel, base)), host="127.0.0.1", port=0, log_level="error", lifespan="off"
    )
    server = uvicorn.Server(config)
    thread = threading.Thread(target=server.run, daemon=True)
    thread.start()
    until = time.monotonic() + PATIENCE
    while not server.started:
        assert thread.is_alive() and time.monotonic() < until, "the server does not start"
        time.sleep(0.005)
    served = Served(store, channel, server.servers[0].sockets[0].getsockname()[1])
    try:
        yield served
    finally:
        for page in served.pages:
            page.close()
        server.should_exit = True
        thread.join(PATIENCE)
        channel.close()


def enter(store: Store, study: Study, kind: str, folder_of: Callable[[Path], object], **values: Any) -> RunRow:
    """Enter a finished run whose files ``folder_of`` puts in place."""
    run_id = new_id()
    store.runs.start(run_id, study.id, kind)
    name = store.runs.folder_name(run_id)
    folder_of(store.folder / name)
    with writing(store.engine) as connection:
        finish_run(connection, run_id, status="done", folder=name, **values)
    return store.runs.get(run_id)


def made_up_prediction(run: Run, folder: Path, *, sure: int = 10) -> None:
    """Tables of a prediction that is unsure of all beats but the first few that are no noise."""
    beats = run.metadata.copy()
    usable = beats["noise_flag"].to_numpy() == 0
    confidence = np.where(np.cumsum(usable) <= sure, 0.95, 0.2 + 0.3 * np.arange(len(beats)) / len(beats))
    doubtful = usable & (confidence < 0.6)
    beats["pred_label_raw"], beats["pred_label_name"] = 2, "PVC"
    beats["pred_conf"], beats["noise_prob"], beats["max_proto_sim"] = confidence, 0.1, 0.9
    beats["review_flag"] = doubtful.astype(int)
    beats["final_label"] = np.where(doubtful, -99, np.where(usable, 2, -1))
    beats["review_reason"] = np.where(doubtful, "confidence", "")
    rows = np.unique(beats["source_row"])
    strips = pd.DataFrame(
        {"source_row": rows, "strip_pred_label": 2, "strip_pred_name": "PVC", "strip_pred_ratio": 1.0}
    )
    groups = beats.groupby("source_row")
    strips["num_beats"] = groups.size().to_numpy()
    strips["num_review"] = groups["review_flag"].sum().to_numpy()
    strips["num_noise"] = groups["noise_flag"].sum().to_numpy()
    folder.mkdir(parents=True)
    beats.to_csv(folder / BEATS_FILE, index=False)
    strips.to_csv(folder / STRIPS_FILE, index=False)


_opened: list[Store] = []


def _store() -> Store:
    if not _opened:
        _opened.append(open_store())
    return _opened[0]


async def app(scope: Scope, receive: Receive, send: Send) -> None:
    """The channel alone, for a process of its own."""
    await _served(scope, receive, send)


_served = Starlette(routes=routes(Channel(_store)))
