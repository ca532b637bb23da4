"""Behaviour on a real socket: slow, endless and disconnected senders."""

from __future__ import annotations

import socket
import threading
import time
from collections.abc import Iterable, Iterator
from contextlib import suppress
from itertools import chain, repeat
from urllib.parse import urlsplit

import pytest
import requests
from fastapi import FastAPI
from starlette.middleware.base import BaseHTTPMiddleware, RequestResponseEndpoint
from starlette.requests import Request
from starlette.responses import Response

from airflow_provider_taskwatch.receiver.server import address_of, listen, serve
from tests.drive.hostile import little_memory
from tests.receiver.served import serving
from tests.receiver.visitor import Desk, passport

SECONDS = 0.3
"""The receiver's timeouts for a head and a body in these tests."""
CHUNK = b"10000\r\n" + bytes(65536) + b"\r\n"


@pytest.fixture
def url(desk: Desk) -> Iterator[str]:
    with serving(desk.app(body_seconds=SECONDS), head_seconds=SECONDS) as address:
        yield address


async def _pass_on(request: Request, call_next: RequestResponseEndpoint) -> Response:
    return await call_next(request)


@pytest.fixture
def mounted(desk: Desk) -> Iterator[str]:
    """The app below a prefix and behind a middleware that wraps bodies, as Airflow serves it."""
    outer = FastAPI()
    outer.mount("/taskwatch", desk.app(body_seconds=SECONDS))
    outer.add_middleware(BaseHTTPMiddleware, dispatch=_pass_on)
    with serving(outer) as address:
        yield f"{address}/taskwatch"


@pytest.fixture(params=["url", "mounted"])
def anywhere(request: pytest.FixtureRequest) -> str:
    return str(request.getfixturevalue(request.param))


def head(desk: Desk, base_url: str, *headers: str) -> bytes:
    """The head of an authentic callback."""
    path, authorization = passport(desk.keys)
    lines = (
        f"POST {urlsplit(base_url).path}{path} HTTP/1.1",
        "Host: receiver",
        f"Authorization: {authorization['Authorization']}",
        *headers,
    )
    return "".join(f"{line}\r\n" for line in (*lines, "")).encode()


def talk(base_url: str, pieces: Iterable[bytes], pause: float = 0.0) -> bytes:
    """Send the pieces until they end or the server hangs up; return every byte of its answer."""
    parts = urlsplit(base_url)
    received = b""
    with socket.create_connection((parts.hostname, parts.port), timeout=10) as connection:
        sender = threading.Thread(target=_send, args=(connection, pieces, pause), daemon=True)
        sender.start()
        with suppress(ConnectionError):
            while piece := connection.recv(65536):
                received += piece
        with suppress(OSError):
            connection.shutdown(socket.SHUT_RDWR)
        sender.join(10)
    return received


def _send(connection: socket.socket, pieces: Iterable[bytes], pause: float) -> None:
    stop = threading.Event()
    with suppress(OSError):
        for piece in pieces:
            connection.sendall(piece)
            stop.wait(pause)


def test_a_callback_over_a_socket_is_stored(desk: Desk, anywhere: str) -> None:
    path, headers = passport(desk.keys)
    reply = requests.post(f"{anywhere}{path}", json={"runid": "0001005016"}, headers=headers, timeout=5)
    assert (reply.status_code, reply.content) == (204, b"")
    assert [one.content for one in desk.messages] == [{"runid": "0001005016"}]


def test_a_body_without_end_is_refused_in_little_memory(desk: Desk, anywhere: str) -> None:
    pieces = chain([head(desk, anywhere, "Transfer-Encoding: chunked")], repeat(CHUNK))
    with little_memory(20):
        assert talk(anywhere, pieces).startswith(b"HTTP/1.1 413 ")
    assert (desk.messages, desk.counts) == ([], {"too_large": 1})


def test_a_slow_body_is_refused_in_time(desk: Desk, anywhere: str) -> None:
    began = time.monotonic()
    pieces = chain([head(desk, anywhere, "Content-Length: 100000")], repeat(b" "))
    assert talk(anywhere, pieces, pause=0.02).startswith(b"HTTP/1.1 408 ")
    assert time.monotonic() - began < SECONDS + 5
    assert (desk.messages, desk.counts) == ([], {"too_slow": 1})


def test_a_missing_body_is_refused_in_time(desk: Desk, anywhere: str) -> None:
    assert talk(anywhere, [head(desk, anywhere, "Content-Length: 2")]).startswith(b"HTTP/1.1 408 ")
    assert (desk.messages, desk.counts) == ([], {"too_slow": 1})


def test_an_endless_body_without_authentication_is_not_read(desk: Desk, anywhere: str) -> None:
    start = head(desk, anywhere, "Transfer-Encoding: chunked").replace(b"Bearer ", b"Bearer x")
    answer = talk(anywhere, chain([start], repeat(CHUNK)))
    assert answer.startswith(b"HTTP/1.1 404 ")
    assert answer.endswith(b'{"detail":"Not Found"}')
    assert (desk.messages, desk.counts) == ([], {"refused": 1})


def test_a_request_without_authentication_gets_no_100_continue(desk: Desk, anywhere: str) -> None:
    start = head(desk, anywhere, "Content-Length: 2", "Expect: 100-continue").replace(b"Bearer ", b"Bearer x")
    assert talk(anywhere, [start]).startswith(b"HTTP/1.1 404 ")


@pytest.mark.parametrize("start", [b"", b"POST /callbacks/x HTTP/1.1\r\nHost: a\r\n"], ids=["nothing", "half a head"])
def test_an_incomplete_request_closes_its_connection(url: str, start: bytes) -> None:
    assert talk(url, [start]) == b""


def test_a_slow_head_closes_its_connection_also_after_a_good_request(url: str) -> None:
    good = b"GET /health HTTP/1.1\r\nHost: a\r\n\r\n"
    answer = talk(url, chain([good, b"GET /health HTTP/1.1\r\n"], repeat(b"x")), pause=0.02)
    assert answer.count(b"HTTP/1.1 200 OK") == answer.count(b"HTTP/1.1") == 1


def test_a_connection_with_several_requests_may_outlast_the_timeout_of_a_head(url: str) -> None:
    began = time.monotonic()
    with requests.Session() as session:
        while time.monotonic() - began < 2 * SECONDS:
            assert session.get(f"{url}/health", timeout=5).status_code == 200


def test_a_receiver_names_its_address_and_a_port_that_is_in_use(desk: Desk) -> None:
    with listen("127.0.0.1", 0) as taken, listen("::1", 0) as other:
        assert address_of(taken) == f"http://127.0.0.1:{taken.getsockname()[1]}"
        assert address_of(other) == f"http://[::1]:{other.getsockname()[1]}"
        with pytest.raises(OSError, match="in use"):
            serve(desk.app(), "127.0.0.1", taken.getsockname()[1], show=print)
