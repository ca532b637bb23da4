"""A small server on a socket: it answers with whatever bytes a test wants, and remembers what it was asked."""

from __future__ import annotations

import json
import socket
import socketserver
import ssl
import struct
import threading
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl


@dataclass(frozen=True, kw_only=True)
class Request:
    """What a client sent."""

    method: str
    target: str
    headers: dict[str, str]
    body: bytes
    connection: socket.socket = field(repr=False, compare=False)

    def reset(self) -> None:
        """Break the connection: no farewell, not even one of TCP."""
        self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        socket.socket(fileno=self.connection.detach()).close()

    @property
    def form(self) -> dict[str, str]:
        return dict(parse_qsl(self.body.decode(), keep_blank_values=True))


Answer = Callable[[Request], Iterable[bytes]]


@dataclass(kw_only=True)
class Station:
    """A server that is running.

    :param connections: how many it has accepted, whether or not something came over them.
    :param closed: how many it has ended.
    :param is_patient: whether it takes more requests over a connection; else every answer ends it.
    :param stopping: set when the test is over; answers without an end stop then.
    """

    url: str
    answer: Answer
    requests: list[Request] = field(default_factory=list)
    connections: int = 0
    closed: int = 0
    is_patient: bool = False
    stopping: threading.Event = field(default_factory=threading.Event)

    @property
    def authorizations(self) -> list[str | None]:
        return [request.headers.get("authorization") for request in self.requests]

    def say(self, status: int, content: object = "", **headers: str) -> None:
        """Answer so from now on."""
        self.answer = partial(_constant, http(status, content, **headers))

    def trickle(self, first: bytes) -> None:
        """Answer with ``first``, and then with a byte now and then, for ever."""

        def answer(request: Request) -> Iterator[bytes]:
            yield first
            while not self.stopping.wait(0.02):
                yield b" "

        self.answer = answer

    def hang_up(self) -> None:
        """Take requests and answer none."""
        self.answer = lambda request: ()


@contextmanager
def station(certificate: Path | None = None) -> Iterator[Station]:
    """Serve in background threads, one per connection, while the block runs.

    :param certificate: a PEM file with the certificate and its key.
    """
    server = _Server(("127.0.0.1", 0), _Handler)
    scheme = "https" if certificate else "http"
    if certificate:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(certificate)
        server.tls = context
    server.station = Station(url=f"{scheme}://127.0.0.1:{server.server_address[1]}", answer=lambda request: ())
    server.station.say(200, {})
    thread = threading.Thread(target=server.serve)
    thread.start()
    try:
        yield server.station
    finally:
        server.station.stopping.set()
        server.socket.shutdown(socket.SHUT_RDWR)
        thread.join()
        server.server_close()


def http(status: int, content: object = "", **headers: str) -> bytes:
    """A whole HTTP reply; what is neither text nor bytes is sent as JSON."""
    text = content if isinstance(content, (str, bytes)) else json.dumps(content)
    body = text.encode() if isinstance(text, str) else text
    named = {"Content-Length": str(len(body)), "Connection": "close", **headers}
    lines = [f"HTTP/1.1 {status} X", *(f"{name.replace('_', '-')}: {value}" for name, value in named.items())]
    return "\r\n".join([*lines, "", ""]).encode() + body


def _constant(reply: bytes, request: Request) -> tuple[bytes]:
    return (reply,)


class _Server(socketserver.ThreadingTCPServer):
    request_queue_size = 128
    daemon_threads = False
    station: Station
    tls: ssl.SSLContext | None = None

    def serve(self) -> None:
        """Take connections until the socket is shut down, which ends its wait at once."""
        while not self.station.stopping.is_set():
            self.handle_request()

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Clients that leave, or do not trust us, are what the tests are about."""


class _Handler(socketserver.StreamRequestHandler):
    server: _Server
    timeout = 10

    def setup(self) -> None:
        self.server.station.connections += 1
        if self.server.tls:
            self.request = self.server.tls.wrap_socket(self.request, server_side=True)
        super().setup()

    def handle(self) -> None:
        if self.rfile.peek(1)[:1] == b"\x16":  # a client that speaks TLS
            self.wfile.write(http(400))
            return
        self._answer_one()
        while self.server.station.is_patient and self.rfile.peek(1):
            self._answer_one()
        with suppress(OSError):
            self.connection.shutdown(socket.SHUT_WR)
        self.server.station.closed += 1

    def _answer_one(self) -> None:
        method, target, _ = self.rfile.readline().decode("latin-1").split(" ")
        headers = dict(iter(self._header, None))
        body = self.rfile.read(int(headers.get("content-length", 0)))
        request = Request(method=method, target=target, headers=headers, body=body, connection=self.connection)
        self.server.station.requests.append(request)
        for piece in self.server.station.answer(request):
            self.wfile.write(piece)

    def _header(self) -> tuple[str, str] | None:
        name, _, value = self.rfile.readline().decode("latin-1").strip().partition(":")
        return (name.lower(), value.strip()) if name else None

    def finish(self) -> None:
        with suppress(OSError), self.request:
            super().finish()
