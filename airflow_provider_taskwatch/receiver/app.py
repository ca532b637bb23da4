"""The receiver: the HTTP endpoint that remotes call, as an ASGI app.

Airflow mounts the apps of plugins without authentication, so every route authenticates its requests itself.
``/health`` and ``/ready`` are open. A callback needs its token and its bearer; a push needs its token, and its API key
where the token says so.
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
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from airflow_provider_taskwatch import __version__
from airflow_provider_taskwatch.inbox.protocol import Inbox
from airflow_provider_taskwatch.inbox.seal import Seal

from . import callback, push
from .body_reader import BODY_BYTES, BODY_SECONDS, BodyReader
from .framing import CLOSE, Framing
from .health import BEAT_SECONDS, Readiness, beating
from .route import CallbackRoute, PushRoute
from .token import Keys
from .writer import PushedFeeds, Signals

log = logging.getLogger(__name__)

COUNTER = "taskwatch.callback."
"""Followed by received, duplicate, dropped, unreadable, refused, too_large, too_slow or unavailable."""
PUSH_COUNTER = "taskwatch.push."
"""Followed by the same, except refused: a request without a valid token belongs to neither kind."""


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
    """The receiver as an ASGI app, to be served or mounted. The server must run its lifespan.

    :param url: the address at which remotes reach it; written into its heartbeat.
    :param host: written into its heartbeat; None: this host's name.
    :param seal: encrypts a push that is no event, so that it can be kept.
    :param count: called with the name of a counter for each event, see :data:`COUNTER`.
    :param clock: seconds since the epoch.
    :param body_seconds: how long a body may take to arrive.
    """
    app = FastAPI(
        title="Receiver of callbacks and pushes",
        version=__version__,
        openapi_url=None,  # the routes are not published; tests read app.openapi()
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
    callbacks, pushes = CallbackRoute(keys, signals, clock), PushRoute(keys, events, clock, seal)
    app.add_api_route(f"{callback.PATH}{{token}}", callbacks.take, methods=["POST"], **_TAKE)
    app.add_api_route(f"{push.PATH}{{token}}", pushes.take, methods=["POST"], **_TAKE_PUSH)
    for path, answer, texts in (("/health", _health, _HEALTH), ("/ready", _ready(Readiness(inbox)), _READY)):
        app.add_api_route(path, answer, methods=["GET"], **texts)
        app.add_api_route(path, answer, methods=["HEAD"], include_in_schema=False)
    app.add_exception_handler(AnyHTTPException, _refusing(count))
    app.add_middleware(Framing, refuse=partial(_note_refusal, count))
    app.add_middleware(_MaskPaths)
    return app


def _taking(summary: str, header: dict[str, Any], responses: dict[int, str]) -> dict[str, Any]:
    """The OpenAPI texts of a route that takes something."""
    answers = {
        404: "Unknown path, or invalid credentials",
        408: "The body did not arrive in time",
        413: f"The body is larger than {BODY_BYTES} bytes",
        503: "The inbox is not available; try again",
        **responses,
    }
    return {
        "summary": summary,
        "status_code": 204,
        "response_class": Response,
        "responses": {status: {"description": text} for status, text in answers.items()},
        "openapi_extra": {
            "parameters": [{"in": "header", "schema": {"type": "string"}, **header}],
            "requestBody": {"content": {"application/json": {"schema": {}}}},
        },
    }


_TAKE = _taking("Take a callback", {"name": "Authorization", "required": True}, {})
_TAKE_PUSH = _taking(
    "Take an event of a feed",
    {"name": push.API_KEY, "required": False},
    {409: "The event is stored, and what it asks for is denied", 422: "The body is no event of that feed"},
)
_HEALTH: dict[str, Any] = {"summary": "Whether the process is up"}
_READY: dict[str, Any] = {
    "summary": "Whether the inbox is available",
    "responses": {503: {"description": "The inbox is not available"}},
}


def _refusing(count: Callable[[str], None]) -> Callable[[Request, Exception], Awaitable[Response]]:
    async def refuse(request: Request, error: Exception) -> Response:
        """The same answer to every request that cannot be authenticated."""
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


class _MaskPaths:
    """Masks the token in a request's path as soon as the answer begins.

    Servers write the path into their log then (uvicorn), or after the answer.
    """

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        async def send_masked(message: Message) -> None:
            _mask(scope)
            await send(message)

        try:
            await self._app(scope, receive, send_masked)
        finally:
            _mask(scope)


def _mask(scope: Scope) -> None:
    for place in (callback.PATH, push.PATH):
        head, found, _ = scope.get("path", "").partition(place)
        if found:
            scope["path"] = f"{head}{found}***"
            scope["raw_path"] = scope["path"].encode()
