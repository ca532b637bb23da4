"""Serving the sandbox: blocking for the command line, in a background thread for tests."""

from __future__ import annotations

import asyncio
import contextlib
import signal
import socket
import threading
import weakref
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import uvicorn
from starlette.types import Receive, Scope, Send
from uvicorn.protocols.http.h11_impl import H11Protocol

from . import connections as forms
from .app import DROP, create_app
from .sandbox import Sandbox
from .state import kept

HOST = "127.0.0.1"
PORT = 8787
READY_SECONDS = 30
KEEP_ALIVE_SECONDS = 120


@dataclass(frozen=True, slots=True, kw_only=True)
class Certificate:
    """A server certificate and its key, as PEM files."""

    certificate: Path
    key: Path


@dataclass(frozen=True, slots=True, kw_only=True)
class Running:
    """A sandbox that is being served.

    :param sandbox: the very object that answers; rules and faults can be set on it directly.
    """

    url: str
    sandbox: Sandbox

    def connections(self) -> dict[str, dict[str, Any]]:
        """The Airflow connections to it, by connection id, in Airflow's JSON form."""
        return forms.connections(self.url, self.sandbox.remotes.values())

    def environment(self) -> dict[str, str]:
        """The same as ``AIRFLOW_CONN_...`` variables."""
        return forms.environment(self.url, self.sandbox.remotes.values())


def serve(
    host: str = HOST,
    port: int = PORT,
    *,
    sandbox: Sandbox | None = None,
    state: Path | None = None,
    certificate: Certificate | None = None,
    show: Callable[[str], None] | None = None,
) -> None:
    """Serve until interrupted or terminated, after showing how to connect. From the main thread only.

    :param port: 0: any free one.
    :param state: a file in which the sandbox's state is kept while it is served.
    :param show: takes the text; None: print it.
    """
    with _listen(host, port) as listener:
        used = sandbox or Sandbox()
        server = _server(used, certificate)
        with (
            contextlib.suppress(KeyboardInterrupt),
            _interrupted_by_sigterm(),
            kept(used, state) if state else contextlib.nullcontext(),
        ):
            (show or _print)(forms.banner(_url(listener, certificate), used.remotes.values(), state))
            server.run(sockets=[listener])


@contextlib.contextmanager
def _interrupted_by_sigterm() -> Iterator[None]:
    """SIGTERM interrupts like SIGINT. uvicorn raises it once more after its shutdown, which would end the process."""
    before = signal.signal(signal.SIGTERM, signal.default_int_handler)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)


@contextlib.contextmanager
def running(
    sandbox: Sandbox | None = None,
    *,
    host: str = HOST,
    port: int = 0,
    certificate: Certificate | None = None,
) -> Iterator[Running]:
    """Serve in a background thread while the block runs; a port of 0 is any free one."""
    used = sandbox or Sandbox()
    with _listen(host, port) as listener:
        server = _server(used, certificate)
        thread = threading.Thread(
            target=lambda: asyncio.run(server.serve(sockets=[listener])),
            name="taskwatch-sandbox",
            daemon=True,
        )
        thread.start()
        try:
            if not server.ready.wait(READY_SECONDS):
                raise TimeoutError(f"the sandbox was not ready after {READY_SECONDS} s")
            yield Running(url=_url(listener, certificate), sandbox=used)
        finally:
            server.should_exit = True
            thread.join(READY_SECONDS)


def _print(text: str) -> None:
    print(text, flush=True)


class _Config(uvicorn.Config):
    """Settings of one server, and the connections that it has open."""

    transports: weakref.WeakSet[asyncio.Transport]


class _Server(uvicorn.Server):
    """A server that says when it listens, and leaves no connection behind."""

    def __init__(self, config: _Config) -> None:
        super().__init__(config)
        self.ready = threading.Event()
        self._transports = config.transports

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets)
        self.ready.set()

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        await super().shutdown(sockets)
        for transport in tuple(self._transports):  # TLS would wait for a farewell that does not come
            transport.abort()


class _DroppableProtocol(H11Protocol):
    """HTTP/1.1 that lets the app close the connection without an answer."""

    config: _Config

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        super().connection_made(transport)
        self.config.transports.add(transport)
        app, extra = self.app, {DROP: transport.abort}

        async def with_drop(scope: Scope, receive: Receive, send: Send) -> None:
            await app({**scope, "extensions": {**scope.get("extensions", {}), **extra}}, receive, send)

        self.app = with_drop


def _server(sandbox: Sandbox, certificate: Certificate | None) -> _Server:
    config = _Config(
        create_app(sandbox),
        http=_DroppableProtocol,
        ws="none",
        lifespan="on",
        log_level="critical",
        access_log=False,
        server_header=False,
        proxy_headers=False,
        timeout_keep_alive=KEEP_ALIVE_SECONDS,
        timeout_graceful_shutdown=0,
        ssl_certfile=certificate.certificate if certificate else None,
        ssl_keyfile=certificate.key if certificate else None,
    )
    config.transports = weakref.WeakSet()
    return _Server(config)


@contextlib.contextmanager
def _listen(host: str, port: int) -> Iterator[socket.socket]:
    listener = socket.create_server((host, port), backlog=2048)
    # Connections inherit it. Else the second part of a reply waits 40 ms for the client to acknowledge the first one;
    # asyncio sets it only on sockets that were made with a protocol number.
    listener.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    with listener:
        yield listener


def _url(listener: socket.socket, certificate: Certificate | None) -> str:
    host, port = listener.getsockname()[:2]
    scheme = "https" if certificate else "http"
    return f"{scheme}://{HOST if host in ('0.0.0.0', '::') else host}:{port}"  # noqa: S104 - read, not bound
