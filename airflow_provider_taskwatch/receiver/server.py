"""Serves a receiver on its own, as in a DMZ: plain HTTP, behind a proxy that adds TLS."""

from __future__ import annotations

import contextlib
import socket
from asyncio import Transport
from collections.abc import Callable

import uvicorn
from starlette.types import ASGIApp
from uvicorn.protocols.http.h11_impl import H11Protocol

from .body_reader import BODY_SECONDS

HEAD_SECONDS = 10.0
"""How long the request line and the headers may take to arrive."""
BACKLOG = 2048


def serve(app: ASGIApp, host: str, port: int, *, show: Callable[[str], None]) -> None:
    """Serve until interrupted.

    :param port: 0: any free one.
    :param show: called with the address once the socket is bound.
    :raises OSError: where it cannot be.
    """
    with listen(host, port) as listener:
        show(address_of(listener))
        with contextlib.suppress(KeyboardInterrupt):
            uvicorn.Server(config_for(app)).run(sockets=[listener])


def listen(host: str, port: int) -> socket.socket:
    """A listening socket."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    listener = socket.create_server((host, port), family=family, backlog=BACKLOG)
    # Without it, each reply over a kept connection waits 40 ms for an acknowledgement of its head.
    listener.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    return listener


def address_of(listener: socket.socket) -> str:
    """The URL of a listening socket."""
    host, port = listener.getsockname()[:2]
    return f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"


def config_for(app: ASGIApp, *, head_seconds: float = HEAD_SECONDS) -> uvicorn.Config:
    """The server's settings. It configures no logging and keeps no access log, as paths hold tokens."""
    return uvicorn.Config(
        app,
        http=_punctual(head_seconds),
        ws="none",
        lifespan="on",
        log_config=None,
        access_log=False,
        server_header=False,
        timeout_graceful_shutdown=int(BODY_SECONDS),
    )


def _punctual(head_seconds: float) -> type[H11Protocol]:
    return type("PunctualProtocol", (_PunctualProtocol,), {"head_seconds": head_seconds})


class _PunctualProtocol(H11Protocol):
    """HTTP/1.1 with a time limit for the head of a request; uvicorn has none."""

    head_seconds: float

    def connection_made(self, transport: Transport) -> None:  # type: ignore[override]
        super().connection_made(transport)
        self._await_head()

    def on_response_complete(self) -> None:
        self._overdue.cancel()
        self._await_head()  # first, as the next request may have arrived already
        super().on_response_complete()

    def connection_lost(self, exc: Exception | None) -> None:
        self._overdue.cancel()
        super().connection_lost(exc)

    def _await_head(self) -> None:
        self._overdue = self.loop.call_later(self.head_seconds, self._close_without, self.cycle)

    def _close_without(self, last: object) -> None:
        """Close the connection, unless a new request has begun."""
        if self.cycle is last:
            self.transport.close()
