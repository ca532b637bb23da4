"""Serving a receiver on its own, as in a DMZ: plain HTTP, for a proxy that adds TLS."""

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
"""How long the first line and the headers of a request may take to arrive."""
BACKLOG = 2048


def serve(app: ASGIApp, host: str, port: int, *, show: Callable[[str], None]) -> None:
    """Serve until interrupted.

    :param port: 0: any free one.
    :param show: told the address as soon as it is taken.
    :raises OSError: where it cannot be.
    """
    with listen(host, port) as listener:
        show(address_of(listener))
        with contextlib.suppress(KeyboardInterrupt):
            uvicorn.Server(config_for(app)).run(sockets=[listener])


def listen(host: str, port: int) -> socket.socket:
    """A socket on which requests can arrive."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    return socket.create_server((host, port), family=family, backlog=BACKLOG)


def address_of(listener: socket.socket) -> str:
    """Where a socket listens, as a URL."""
    host, port = listener.getsockname()[:2]
    return f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"


def config_for(app: ASGIApp, *, head_seconds: float = HEAD_SECONDS) -> uvicorn.Config:
    """How a receiver is served. Logs are left to who serves it, and no log of requests is kept: paths hold tokens."""
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
    """HTTP/1.1 where the head of a request must arrive in time; uvicorn would wait for it for ever."""

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
        """Close the connection, unless a request has come after the last one."""
        if self.cycle is last:
            self.transport.close()
