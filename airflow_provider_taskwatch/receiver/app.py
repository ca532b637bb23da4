"""The receiver: the HTTP endpoint that remotes call, as an app for whoever serves it.

Nobody who serves it authenticates anybody (Airflow mounts the apps of plugins as they are), so every route says for
itself who may ask: ``/health`` and ``/ready`` anybody, everything else only who has both secrets of a callback, or that
of a push, or both where its token says so.
"""

from __future__ import annotations

import logging
import socket
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from functools import partial
from typing import Any

import anyio.to_thread
from fastapi import FastAPI, Request
from fastapi.responses import JSONResponse, Response
from starlette.exceptions import HTTPException as AnyHTTPException
from starlette.types import ASGIApp, Receive, Scope, Send

from airflow_provider_taskwatch import __version__
from airflow_provider_taskwatch.inbox.protocol import Inbox
from airflow_provider_taskwatch.inbox.seal import Seal

from . import callback, push
from .body_reader import BODY_BYTES, BODY_SECONDS, BodyReader
from .framing import CLOSE, Framing
from .health import BEAT_SECONDS, Readiness, beating
from .route import Callbacks, Pushes
from .token import Keys
from .writer import PushedFeeds, Signals

log = logging.getLogger(__name__)

COUNTER = "taskwatch.callback."
"""Followed by received, duplicate, dropped, unreadable, refused, too_large, too_slow or unavailable."""
PUSH_COUNTER = "taskwatch.push."
"""Followed by the same; but whoever is refused is counted as above, as nobody knows what he wanted."""


def _ignore(_: str) -> None:
    """Count nothing."""


def _repeat(count: Callable[[str], None], name: str, number: int) -> None:
    for _ in range(number):
        count(name)


def create_app(
    inbox: Inbox,
    keys: Keys,
    *,
    url: str = "",
    host: str | None = None,
    seal: Seal | None = None,
    count: Callable[[str], None] = _ignore,
    clock: Callable[[], float] = time.time,
    body_seconds: float = BODY_SECONDS,
    beat_seconds: float = BEAT_SECONDS,
) -> FastAPI:
    """The receiver as an ASGI app, to be served or mounted; whoever does so must enter its lifespan.

    :param url: where remotes reach it, for whoever reads its heartbeat.
    :param host: where it runs; None: this host's name.
    :param seal: encrypts a push that is no event, so that it can be kept.
    :param count: told the name of a counter, :data:`COUNTER` and so on, each time that it goes up.
    :param clock: seconds since the epoch.
    :param body_seconds: how long a body may take to arrive.
    """
    app = FastAPI(
        title="Receiver of callbacks and pushes",
        version=__version__,
        openapi_url=None,  # nobody is told what could be asked; app.openapi() tells us
        redirect_slashes=False,
        lifespan=_lifespan(inbox, host or socket.gethostname(), url, beat_seconds),
    )
    signals = BodyReader(
        Signals(inbox, partial(_repeat, count, f"{COUNTER}dropped")).add,
        lambda name: count(f"{COUNTER}{name}"),
        body_seconds,
    )
    feeds = PushedFeeds(inbox, partial(_repeat, count, f"{PUSH_COUNTER}dropped"))
    events = BodyReader(feeds.append, lambda name: count(f"{PUSH_COUNTER}{name}"), body_seconds)
    callbacks, pushes = Callbacks(keys, signals, clock), Pushes(keys, events, clock, seal)
    app.add_api_route(f"{callback.PATH}{{token}}", callbacks.take, methods=["POST"], **_TAKE)
    app.add_api_route(f"{push.PATH}{{token}}", pushes.take, methods=["POST"], **_TAKE_PUSH)
    for path, answer, words in (("/health", _health, _HEALTH), ("/ready", _ready(Readiness(inbox)), _READY)):
        app.add_api_route(path, answer, methods=["GET"], **words)
        app.add_api_route(path, answer, methods=["HEAD"], include_in_schema=False)
    app.add_exception_handler(AnyHTTPException, _refusing(count))
    app.add_middleware(Framing, refuse=partial(_note_refusal, count))
    app.add_middleware(_Discretion)
    return app


def _taking(summary: str, header: dict[str, Any], responses: dict[int, str]) -> dict[str, Any]:
    """What a route that takes something says of itself."""
    answers = {
        404: "Not to be found, or not by you",
        408: "The body did not arrive in time",
        413: f"The body is larger than {BODY_BYTES} bytes",
        503: "The inbox cannot be asked; try again",
        **responses,
    }
    return {
        "summary": summary,
        "status_code": 204,
        "response_class": Response,
        "responses": {status: {"description": words} for status, words in answers.items()},
        "openapi_extra": {
            "parameters": [{"in": "header", "schema": {"type": "string"}, **header}],
            "requestBody": {"content": {"application/json": {"schema": {}}}},
        },
    }


_TAKE = _taking("Take a callback", {"name": "Authorization", "required": True}, {})
_TAKE_PUSH = _taking(
    "Take an event of a feed",
    {"name": push.API_KEY, "required": False},
    {409: "It is taken, and what it asks for is denied", 422: "It is no event of that feed"},
)
_HEALTH: dict[str, Any] = {"summary": "Whether the process is up"}
_READY: dict[str, Any] = {
    "summary": "Whether the inbox can be asked",
    "responses": {503: {"description": "It cannot"}},
}


def _refusing(count: Callable[[str], None]) -> Callable[[Request, Exception], Awaitable[Response]]:
    async def refuse(request: Request, error: Exception) -> Response:
        """The one answer to whoever cannot be authenticated, whatever was asked for."""
        _note_refusal(count, request.scope, getattr(error, "detail", ""))
        return JSONResponse({"detail": "Not Found"}, status_code=404, headers=CLOSE)

    return refuse


def _note_refusal(count: Callable[[str], None], scope: Scope, why: str) -> None:
    count(f"{COUNTER}refused")
    client = scope["client"][0] if scope.get("client") else "nowhere"
    log.info("refused a request from %s: %s", client, why)


async def _health() -> dict[str, str]:
    return {"service": callback.SERVICE}


def _ready(readiness: Readiness) -> Callable[[], Any]:
    async def ready() -> Response:
        is_ready = await readiness.ask()
        return Response(status_code=200 if is_ready else 503)

    return ready


def _lifespan(inbox: Inbox, host: str, url: str, beat_seconds: float) -> Callable[[FastAPI], Any]:
    @asynccontextmanager
    async def lifespan(_: FastAPI) -> AsyncIterator[None]:
        async with beating(inbox, host, url, beat_seconds):
            yield
        await anyio.to_thread.run_sync(inbox.close)

    return lifespan


class _Discretion:
    """Takes the token out of a request's path after it was answered: servers write paths into their logs then."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        try:
            await self._app(scope, receive, send)
        finally:
            for place in (callback.PATH, push.PATH):
                head, found, _ = scope.get("path", "").partition(place)
                if found:
                    scope["path"] = f"{head}{found}***"
                    scope["raw_path"] = scope["path"].encode()
