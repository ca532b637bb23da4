"""Whatever is sent, no answer is an error of ours, and nothing is stored that is not authentic."""

from __future__ import annotations

import asyncio
import json
import math
from collections.abc import Iterator, Mapping
from contextlib import closing

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.receiver.visitor import TICKET, Answer, Desk, ask, passport

PATH, HEADERS = passport(Desk().keys)
METHODS = st.sampled_from(["POST", "GET", "HEAD", "PUT", "PATCH", "DELETE", "OPTIONS", "TRACE"])
PATHS = st.one_of(
    st.just(PATH),
    st.text(max_size=40).map(lambda text: f"/{text}"),
    st.text(max_size=40).map(lambda text: f"/callbacks/{text}"),
    st.builds(lambda end: PATH[:-end], st.integers(1, len(PATH) - 1)),
    st.sampled_from(["/health", "/ready", "/docs", "/openapi.json", "//callbacks/x", f"{PATH}/..", f"{PATH}%00"]),
)
VALUES = st.one_of(st.just(HEADERS["Authorization"]), st.text(st.characters(max_codepoint=255), max_size=60))
HARMLESS = st.sampled_from(["Content-Type", "Content-Encoding", "Cookie", "X-Forwarded-For", "Host"])
NAMES = HARMLESS | st.sampled_from(["Authorization", "Content-Length"])
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
    max_leaves=20,
)
BODIES = st.one_of(
    st.binary(max_size=200),
    JSON.map(lambda value: json.dumps(value).encode()),
    st.builds(lambda opening, depth: opening * depth, st.sampled_from([b"[", b'{"":', b"[{"]), st.integers(1, 20_000)),
)
QUICK = settings(max_examples=150, deadline=None, suppress_health_check=list(HealthCheck), database=None)


class Visits:
    """One receiver for all examples of a test, with an empty inbox for each."""

    def __init__(self) -> None:
        self.desk = Desk()
        self._app = self.desk.app()
        self._runner = asyncio.Runner()

    def ask(self, method: str, path: str, headers: Mapping[str, str], body: bytes) -> Answer:
        self.desk.inbox.prune(math.inf, 1000)
        return self._runner.run(ask(self._app, method, path, headers, [body[:100], body[100:]]))

    def close(self) -> None:
        self._runner.close()


@pytest.fixture
def visits() -> Iterator[Visits]:
    with closing(Visits()) as one:
        yield one


@QUICK
@given(method=METHODS, path=PATHS, headers=st.dictionaries(NAMES, VALUES), body=BODIES)
def test_no_request_breaks_the_receiver_and_only_an_authentic_one_is_stored(
    visits: Visits, method: str, path: str, headers: dict[str, str], body: bytes
) -> None:
    answer = visits.ask(method, path, headers, body)
    is_authentic = (method, path) == ("POST", PATH) and headers.get("Authorization") == HEADERS["Authorization"]
    assert answer.status < 500
    if not is_authentic:
        assert visits.desk.messages == []
        assert answer.status == 404 or path in ("/health", "/ready")


@QUICK
@given(headers=st.dictionaries(HARMLESS, VALUES), body=BODIES)
def test_every_authentic_callback_is_stored_whatever_it_says(
    visits: Visits, headers: dict[str, str], body: bytes
) -> None:
    answer = visits.ask("POST", PATH, {**headers, **HEADERS}, body)
    assert answer.status == 204
    assert [one.subject for one in visits.desk.messages] == [TICKET.start_id]
    json.dumps(visits.desk.messages[0].content, allow_nan=False)
