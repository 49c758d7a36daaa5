"""The channel's routes. They see to who asks, how much, and in which words it is answered; work goes to threads."""

from __future__ import annotations

import asyncio
import logging
import threading
from collections.abc import Awaitable, Callable, Collection
from functools import partial
from typing import Any, TypeVar

from sqlalchemy.exc import SQLAlchemyError
from starlette.concurrency import run_in_threadpool
from starlette.requests import ClientDisconnect, Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from ecg_engine.errors import EngineError
from state.channel.intake import MAX_BYTES, check_study, read_message, take_decisions
from state.channel.origins import check_origin
from state.channel.refusals import Refusal
from state.channel.serving import Serving
from state.channel.tokens import Pass, Tokens, secret
from state.channel.writer import Answer, Writer
from state.errors import NotFoundError, StoreError
from state.plain import to_json
from state.store import Store

FEW = 50
"""Decisions that are checked in a moment."""
FRAME_TYPE = "application/vnd.ecg-frame"
T = TypeVar("T")
Handler = Callable[["Channel", Pass, dict[str, Any]], Awaitable[Response]]
_log = logging.getLogger(__name__)


class Channel:
    """What the routes share: the store, who may speak, the writing thread, and what is served.

    Nothing is opened before the first request.

    Parameters
    ----------
    open_store : callable
        Gives the store; called in a thread, at every request.
    hosts : callable
        Addresses that the app is configured to serve.
    """

    def __init__(self, open_store: Callable[[], Store], hosts: Callable[[], Collection[str]] = tuple) -> None:
        self._open_store = open_store
        self.hosts = hosts
        self._lock = threading.Lock()
        self._store: Store | None = None
        self._tokens: Tokens | None = None
        self._writer: Writer | None = None
        self._serving: Serving | None = None

    def _opened(self) -> Store:
        store = self._open_store()
        with self._lock:
            if self._store is not store:
                if self._writer is not None:
                    self._writer.close(timeout=0)
                self._tokens = Tokens(secret(store.folder))
                self._writer, self._serving = Writer(store.decisions), Serving(store)
                self._store = store
        return store

    def admit(self, authorization: str | None) -> Pass:
        """Whose token a request carries. The first one opens the store: see :attr:`ready`."""
        store = self._opened()
        assert self._tokens is not None
        kind, _, token = (authorization or "").partition(" ")
        token = token.strip() if kind.lower() == "bearer" else ""
        try:
            return self._tokens.read(token)
        except Refusal as refusal:
            if refusal.code != "token" or not token:
                raise
        # The secret may have been made anew since: its file was lost, or the data folder put back from a copy.
        self._tokens = Tokens(secret(store.folder))
        return self._tokens.read(token)

    @property
    def ready(self) -> bool:
        """Whether the store has been opened, so that :meth:`admit` does not wait for anything."""
        return self._store is not None

    @property
    def writer(self) -> Writer:
        """The one thread that stores decisions."""
        assert self._writer is not None
        return self._writer

    @property
    def serving(self) -> Serving:
        """What answers questions about strips, items and shapes."""
        assert self._serving is not None
        return self._serving

    def close(self) -> None:
        """Store what waits, and stop taking decisions."""
        if self._writer is not None:
            self._writer.close()


def routes(channel: Channel, base: str = "") -> list[Route]:
    """The routes of the channel, for ``st.App``.

    Parameters
    ----------
    base : str
        ``server.baseUrlPath``: what stands before ``/channel/``.
    """
    start = "/" + "/".join(part for part in (*base.split("/"), "channel") if part)
    handlers: dict[str, Handler] = {
        "decisions": _decisions,
        "items": partial(_framed, name="items"),
        "strips": partial(_framed, name="strips"),
        "shapes": partial(_framed, name="shapes"),
        "leases": _leases,
    }
    return [
        Route(f"{start}/{name}", partial(_answer, channel=channel, handler=handler), methods=["POST"], name=name)
        for name, handler in handlers.items()
    ]


async def _answer(request: Request, channel: Channel, handler: Handler) -> Response:
    try:
        headers = request.headers
        check_origin(headers.get("origin"), request.url.scheme, headers.get("host"), channel.hosts())
        who = await _apart(not channel.ready, channel.admit, headers.get("authorization"))
        message = read_message(await _body(request))
        check_study(message, who)
        return await handler(channel, who, message)
    except Refusal as refusal:
        return _refused(refusal)
    except ClientDisconnect:
        return Response(status_code=400)  # nobody reads it
    except NotFoundError as error:
        return _refused(Refusal(400, "message", str(error)))
    except (StoreError, SQLAlchemyError, OSError) as error:
        _log.warning("channel: %s", error)
        return _refused(Refusal(503, "store", f"The store does not answer: {error}"))
    except EngineError as error:
        return _refused(Refusal(400, "message", str(error)))


def _refused(refusal: Refusal) -> Response:
    return _json({"error": refusal.sentence, "code": refusal.code}, refusal.status)


def _json(content: dict[str, Any], status: int = 200) -> Response:
    return Response(to_json(content), status, {"Cache-Control": "no-store"}, media_type="application/json")


async def _body(request: Request) -> bytes:
    """The body, counted as it comes: what a header says of its size need not be so."""
    parts: list[bytes] = []
    size = 0
    async for part in request.stream():
        size += len(part)
        if size > MAX_BYTES:
            raise Refusal(413, "size", f"The message is larger than {MAX_BYTES // 1024} kB; send it in parts.")
        parts.append(part)
    return b"".join(parts)


async def _apart(wanted: bool, work: Callable[..., T], *given: Any) -> T:
    """Do work in a thread if it may take long; for what takes less than a thread's turn, the way there is too long."""
    return await run_in_threadpool(work, *given) if wanted else work(*given)


async def _decisions(channel: Channel, who: Pass, message: dict[str, Any]) -> Response:
    sent = message.get("decisions")
    many = isinstance(sent, list) and len(sent) > FEW
    taken = await _apart(many, take_decisions, message, who)
    answer: Answer = await asyncio.wrap_future(channel.writer.submit(who.study, taken.decisions))
    refused = [{"id": id, "why": why} for id, why in (*taken.refused, *answer.refused)]
    return _json({"acknowledged": answer.acknowledged, "refused": refused, "version": answer.version})


async def _framed(channel: Channel, who: Pass, message: dict[str, Any], *, name: str) -> Response:
    frame: bytes = await run_in_threadpool(getattr(channel.serving, name), who, message)
    # Said to be encoded already, because packing a megabyte for the way within one computer costs more than the way.
    headers = {"Cache-Control": "no-store", "Content-Encoding": "identity"}
    return Response(frame, 200, headers, media_type=FRAME_TYPE)


async def _leases(channel: Channel, who: Pass, message: dict[str, Any]) -> Response:
    return JSONResponse({"held": await run_in_threadpool(channel.serving.leases, who, message)})
