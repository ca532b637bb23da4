"""Requests that a proxy and a server may read differently, on the receiver's server and on those of Airflow."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from fastapi import FastAPI
from hypothesis import given
from hypothesis import strategies as st

from airflow_provider_taskwatch.receiver.framing import framing_problem
from tests.receiver.served import serving
from tests.receiver.test_server import head, talk
from tests.receiver.visitor import Desk
from tests.rows import each_row

BODY = b'{"a":1}'
CHUNKED = b"7\r\n" + BODY + b"\r\n0\r\n\r\n"

CLEAR = {
    "a length": (["Content-Length: 7"], BODY),
    "two equal lengths": (["Content-Length: 7", "Content-Length: 7"], BODY),
    "chunked": (["Transfer-Encoding: chunked"], CHUNKED),
    "chunked in capitals": (["transfer-encoding: CHUNKED"], CHUNKED),
    "a folded header": (["X-Comment: a\r\n b", "Content-Length: 7"], BODY),
}

AMBIGUOUS = {
    "length and chunked": (["Content-Length: 7", "Transfer-Encoding: chunked"], CHUNKED),
    "chunked and length": (["Transfer-Encoding: chunked", "Content-Length: 7"], CHUNKED),
    "no length and chunked": (["Content-Length: 0", "Transfer-Encoding: chunked"], CHUNKED),
    "length and folded chunked": (["Content-Length: 7", "Transfer-Encoding:\r\n chunked"], CHUNKED),
    "length and an unknown coding": (["Content-Length: 7", "Transfer-Encoding: xchunked"], BODY),
    "length and identity": (["Content-Length: 7", "Transfer-Encoding: identity"], BODY),
    "length and no coding": (["Content-Length: 7", "Transfer-Encoding: "], BODY),
    "length and chunked before a colon": (["Content-Length: 7", "Transfer-Encoding : chunked"], CHUNKED),
    "two lengths": (["Content-Length: 7", "Content-Length: 8"], BODY),
    "two lengths in one": (["Content-Length: 7, 8"], BODY),
    "a length with a sign": (["Content-Length: +7"], BODY),
    "a length that is none": (["Content-Length: 0x7"], BODY),
    "a negative length": (["Content-Length: -7"], BODY),
    "two codings": (["Transfer-Encoding: chunked", "Transfer-Encoding: identity"], CHUNKED),
    "chunked twice": (["Transfer-Encoding: chunked, chunked"], CHUNKED),
    "chunked not at the end": (["Transfer-Encoding: chunked, gzip"], CHUNKED),
    "an unknown coding": (["Transfer-Encoding: xchunked"], CHUNKED),
    "a chunk's length with a prefix": (["Transfer-Encoding: chunked"], b"0x7\r\n" + BODY + b"\r\n0\r\n\r\n"),
    "a chunk that is longer than it says": (["Transfer-Encoding: chunked"], b"6\r\n" + BODY + b"\r\n0\r\n\r\n"),
    "a line break in a chunk's head": (["Transfer-Encoding: chunked"], b"7;a=\nb\r\n" + BODY + b"\r\n0\r\n\r\n"),
}


@pytest.fixture(params=["", "h11", "httptools"])
def url(request: pytest.FixtureRequest, desk: Desk) -> Iterator[str]:
    """The receiver's own server, or one of uvicorn's two with the app below a prefix, as Airflow serves it."""
    if not request.param:
        with serving(desk.app(body_seconds=1.0), head_seconds=1.0) as address:
            yield address
        return
    outer = FastAPI()
    outer.mount("/taskwatch", desk.app(body_seconds=1.0))
    with serving(outer, http=request.param) as address:
        yield f"{address}/taskwatch"


@pytest.mark.parametrize("case", CLEAR)
def test_an_unambiguous_request_is_accepted(desk: Desk, url: str, case: str) -> None:
    headers, body = CLEAR[case]
    answer = talk(url, [head(desk, url, *headers, "Connection: close"), body])

    if b" 400 " not in answer.split(b"\r\n")[0]:  # httptools accepts neither two lengths nor a folded header
        assert answer.startswith(b"HTTP/1.1 204 ")
        assert [one.content for one in desk.messages] == [{"a": 1}]
    else:
        assert case in ("two equal lengths", "a folded header")


@each_row("case", AMBIGUOUS)
def test_an_ambiguous_request_is_refused_and_the_bytes_after_it_are_not_read(desk: Desk, url: str, case: str) -> None:
    headers, body = AMBIGUOUS[case]
    smuggled = head(desk, url, "Content-Length: 15") + b'{"smuggled": 1}'
    answer = talk(url, [head(desk, url, *headers) + body + smuggled])

    assert answer.count(b"HTTP/1.1") == 1
    assert answer.split(b" ")[1] in (b"400", b"408", b"501")
    assert desk.messages == []


def test_a_chunked_body_is_refused_with_http_1_0(desk: Desk, url: str) -> None:
    start = head(desk, url, "Transfer-Encoding: chunked").replace(b"HTTP/1.1", b"HTTP/1.0")
    assert talk(url, [start + CHUNKED]).split(b" ")[1] == b"400"
    assert desk.messages == []


_NAMES = st.sampled_from([b"content-length", b"transfer-encoding", b"host"])
_VALUES = st.sampled_from(
    [b"7", b"8", b"7, 7", b"7,8", b"", b"+7", b"chunked", b" Chunked ", b"gzip, chunked", b"\xb2"]
)


@given(st.lists(st.tuples(_NAMES, _VALUES), max_size=4), st.sampled_from(["1.0", "1.1"]))
def test_a_request_without_one_definite_length_is_refused(headers: list[tuple[bytes, bytes]], version: str) -> None:
    lengths = {part.strip() for name, value in headers if name == b"content-length" for part in value.split(b",")}
    codings = [value.strip().lower() for name, value in headers if name == b"transfer-encoding"]
    is_clear = (not codings and lengths in (set(), {b"7"}, {b"8"})) or (
        not lengths and codings == [b"chunked"] and version == "1.1"
    )
    assert (framing_problem(headers, version) == "") == is_clear
