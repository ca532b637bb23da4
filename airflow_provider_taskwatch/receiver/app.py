"""The receiver: the HTTP endpoint that remotes call, as an app for whoever serves it.

Nobody who serves it authenticates anybody (Airflow mounts the apps of plugins as they are), so every route says for
itself who may ask: ``/health`` and ``/ready`` anybody, everything else only who has both secrets of a callback.
"""

from __future__ import annotations

import logging
import socket
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any

import anyio.to_thread
from fastapi import FastAPI, HTTPException, Request
from fastapi.responses import JSONResponse, Response
from starlette.exceptions import HTTPException as AnyHTTPException
from starlette.types import ASGIApp, Receive, Scope, Send

from airflow_provider_taskwatch import __version__
from airflow_provider_taskwatch.core.error import InboxError
from airflow_provider_taskwatch.inbox.message import Inbox, Message

from .body import Shortfall, read_body
from .callback import PATH, SERVICE, bearer_in, message_of
from .health import BEAT_SECONDS, Readiness, beating
from .token import Keys, Ticket
from .writer import Writer

log = logging.getLogger(__name__)

COUNTER = "taskwatch.callback."
"""Followed by received, duplicate, unreadable, refused, too_large, too_slow or unavailable."""
BODY_BYTES = 256 * 1024
BODY_SECONDS = 10.0
RETRY_SECONDS = 30
"""When to try again where the inbox is down; Automic's shortest interval."""

_CLOSE = {"Connection": "close"}
"""With an answer to who may still be sending a body: what he sends is not read."""


def _ignore(_: str) -> None:
    """Count nothing."""


def create_app(
    inbox: Inbox,
    keys: Keys,
    *,
    url: str = "",
    host: str | None = None,
    count: Callable[[str], None] = _ignore,
    clock: Callable[[], float] = time.time,
    body_seconds: float = BODY_SECONDS,
    beat_seconds: float = BEAT_SECONDS,
) -> FastAPI:
    """The receiver as an ASGI app, to be served or mounted; whoever does so must enter its lifespan.

    :param url: where remotes reach it, for whoever reads its heartbeat.
    :param host: where it runs; None: this host's name.
    :param count: told the name of a counter, :data:`COUNTER` and so on, each time that it goes up.
    :param clock: seconds since the epoch.
    :param body_seconds: how long a body may take to arrive.
    """
    app = FastAPI(
        title="Receiver of callbacks",
        version=__version__,
        openapi_url=None,  # nobody is told what could be asked; app.openapi() tells us
        redirect_slashes=False,
        lifespan=_lifespan(inbox, host or socket.gethostname(), url, beat_seconds),
    )
    receiver = _Receiver(inbox, keys, count=count, clock=clock, body_seconds=body_seconds)
    app.add_api_route(f"{PATH}{{token}}", receiver.take, methods=["POST"], **_TAKE)
    for path, answer, words in (("/health", _health, _HEALTH), ("/ready", _ready(Readiness(inbox)), _READY)):
        app.add_api_route(path, answer, methods=["GET"], **words)
        app.add_api_route(path, answer, methods=["HEAD"], include_in_schema=False)
    app.add_exception_handler(AnyHTTPException, receiver.refuse)
    app.add_middleware(_Discretion)
    return app


_TAKE: dict[str, Any] = {
    "summary": "Take a callback",
    "status_code": 204,
    "response_class": Response,
    "responses": {
        404: {"description": "Not to be found, or not by you"},
        408: {"description": "The body did not arrive in time"},
        413: {"description": f"The body is larger than {BODY_BYTES} bytes"},
        503: {"description": "The inbox cannot be asked; try again"},
    },
    "openapi_extra": {
        "parameters": [{"in": "header", "name": "Authorization", "required": True, "schema": {"type": "string"}}],
        "requestBody": {"content": {"application/json": {"schema": {}}}},
    },
}
_HEALTH: dict[str, Any] = {"summary": "Whether the process is up"}
_READY: dict[str, Any] = {
    "summary": "Whether the inbox can be asked",
    "responses": {503: {"description": "It cannot"}},
}


class _Receiver:
    """The route of callbacks."""

    def __init__(
        self,
        inbox: Inbox,
        keys: Keys,
        *,
        count: Callable[[str], None],
        clock: Callable[[], float],
        body_seconds: float,
    ) -> None:
        self._keys = keys
        self._count = count
        self._clock = clock
        self._body_seconds = body_seconds
        self._writer = Writer(inbox, self._note)

    async def take(self, token: str, request: Request) -> Response:
        """Store a callback, and only then say so: what is not acknowledged is sent again."""
        ticket = self._ticket(token, request)
        body = await read_body(request, limit_bytes=BODY_BYTES, seconds=self._body_seconds)
        if isinstance(body, Shortfall):
            return self._fall_short(ticket, body)
        message = message_of(ticket, body, self._clock())
        try:
            await self._writer.add(message)
        except InboxError as error:
            return self._put_off(ticket, error)
        return self._thank(message)

    async def refuse(self, request: Request, error: Exception) -> Response:
        """The one answer to whoever cannot be authenticated, whatever was asked for."""
        self._count(f"{COUNTER}refused")
        client = request.client.host if request.client else "nowhere"
        log.info("refused a request from %s: %s", client, getattr(error, "detail", ""))
        return JSONResponse({"detail": "Not Found"}, status_code=404, headers=_CLOSE)

    def _ticket(self, token: str, request: Request) -> Ticket:
        """Who calls. Both secrets are looked at in any case, so that the time does not tell which one is wrong."""
        ticket = self._keys.read(token, self._clock())
        is_bearer = self._keys.is_bearer(token, bearer_in(request.headers.get("authorization", "")))
        if ticket is None:
            raise HTTPException(404, "its token is not ours, or has expired")
        if not is_bearer:
            raise HTTPException(404, f"its bearer is not that of the start {ticket.start_id}")
        return ticket

    def _fall_short(self, ticket: Ticket, body: Shortfall) -> Response:
        self._count(f"{COUNTER}{body.name}")
        log.warning("a callback for the start %s was not taken: %s", ticket.start_id, body.words)
        return Response(status_code=body.status, headers=_CLOSE)

    def _put_off(self, ticket: Ticket, error: InboxError) -> Response:
        self._count(f"{COUNTER}unavailable")
        log.error("a callback for the start %s was put off: %s", ticket.start_id, error)
        return Response(status_code=503, headers={"Retry-After": str(RETRY_SECONDS)})

    def _thank(self, message: Message) -> Response:
        is_unreadable = message.content is None
        if is_unreadable:
            self._count(f"{COUNTER}unreadable")
        words = ", but what it says cannot be read" if is_unreadable else ""
        log.info("a callback for the start %s of %s is in the inbox%s", message.subject, message.channel, words)
        return Response(status_code=204)

    def _note(self, new: int, known: int) -> None:
        for name in (*["received"] * new, *["duplicate"] * known):
            self._count(f"{COUNTER}{name}")


async def _health() -> dict[str, str]:
    return {"service": SERVICE}


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
            head, found, _ = scope.get("path", "").partition(PATH)
            if found:
                scope["path"] = f"{head}{found}***"
                scope["raw_path"] = scope["path"].encode()
