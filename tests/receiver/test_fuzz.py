"""No request causes a server error, and only authentic requests are stored."""

from __future__ import annotations

import asyncio
import json
import math
from collections.abc import Iterator, Mapping
from contextlib import closing

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from airflow_provider_taskwatch.receiver.framing import framing_problem
from tests.receiver.visitor import PUSH_TICKET, TICKET, Answer, Desk, ask, passport, push_pass

PATH, HEADERS = passport(Desk().keys)
PUSH_PATH, KEY = push_pass(Desk().keys)
METHODS = st.sampled_from(["POST", "GET", "HEAD", "PUT", "PATCH", "DELETE", "OPTIONS", "TRACE"])
PATHS = st.one_of(
    st.sampled_from([PATH, PUSH_PATH]),
    st.text(max_size=40).map(lambda text: f"/{text}"),
    st.builds(lambda place, text: f"/{place}/{text}", st.sampled_from(["callbacks", "push"]), st.text(max_size=40)),
    st.builds(lambda path, end: path[:-end], st.sampled_from([PATH, PUSH_PATH]), st.integers(1, len(PATH) - 1)),
    st.sampled_from(["/health", "/ready", "/docs", "/openapi.json", "//callbacks/x", f"{PATH}/..", f"{PUSH_PATH}%00"]),
    st.sampled_from([PATH.replace("callbacks", "push"), PUSH_PATH.replace("push", "callbacks")]),
)
VALUES = st.one_of(
    st.sampled_from([HEADERS["Authorization"], KEY["X-Api-Key"], f"Bearer {KEY['X-Api-Key']}"]),
    st.text(st.characters(max_codepoint=255), max_size=60),
)
HARMLESS = st.sampled_from(["Content-Type", "Content-Encoding", "Cookie", "X-Forwarded-For", "Host"])
NAMES = HARMLESS | st.sampled_from(["Authorization", "X-Api-Key", "Content-Length"])
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
NOTIFICATIONS = st.fixed_dictionaries(
    {"name": st.sampled_from(["slot-booked", "slot-booking", "odd"]) | st.text()},
    optional={
        "data": JSON | st.dictionaries(st.sampled_from(["visit_booking", "presence", "doctor"]), JSON),
        "created_at": JSON | st.sampled_from(["0001-01-01T00:00:00+14:00", "9999-12-31T23:59:59-14:00"]),
    },
).map(lambda value: json.dumps(value).encode())
QUICK = settings(
    max_examples=settings.default.max_examples * 3 // 2,
    deadline=None,
    suppress_health_check=list(HealthCheck),
    database=None,
)


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


def is_call(path: str, headers: Mapping[str, str]) -> bool:
    return path == PATH and headers.get("Authorization") == HEADERS["Authorization"]


def is_push(path: str, headers: Mapping[str, str]) -> bool:
    """Whether the key matches, or the bearer in a request without a key."""
    key = KEY["X-Api-Key"]
    given = headers.get("X-Api-Key", "").strip()
    return path == PUSH_PATH and (given == key or (not given and headers.get("Authorization") == f"Bearer {key}"))


@QUICK
@given(method=METHODS, path=PATHS, headers=st.dictionaries(NAMES, VALUES), body=BODIES)
def test_no_request_breaks_the_receiver_and_only_an_authentic_one_is_stored(
    visits: Visits, method: str, path: str, headers: dict[str, str], body: bytes
) -> None:
    answer = visits.ask(method, path, headers, body)
    is_authentic = method == "POST" and (is_call(path, headers) or is_push(path, headers))
    assert answer.status < 500
    if not is_authentic:
        assert visits.desk.messages == []
        raw = [(name.lower().encode(), value.encode("latin-1")) for name, value in headers.items()]
        expected = 400 if framing_problem(raw, "1.1") else 404
        assert answer.status == expected or path in ("/health", "/ready")


@QUICK
@given(headers=st.dictionaries(HARMLESS, VALUES), body=BODIES)
def test_every_authentic_callback_is_stored_with_any_body(visits: Visits, headers: dict[str, str], body: bytes) -> None:
    answer = visits.ask("POST", PATH, {**headers, **HEADERS}, body)
    assert answer.status == 204
    assert [one.subject for one in visits.desk.messages] == [TICKET.start_id]
    json.dumps(visits.desk.messages[0].content, allow_nan=False)


@QUICK
@given(headers=st.dictionaries(HARMLESS, VALUES), body=NOTIFICATIONS | BODIES)
def test_every_authentic_push_is_either_stored_or_refused_with_422(
    visits: Visits, headers: dict[str, str], body: bytes
) -> None:
    answer = visits.ask("POST", PUSH_PATH, {**headers, **KEY}, body)
    stored = visits.desk.messages
    assert (answer.status, len(stored)) in ((204, 1), (422, 0))
    for one in stored:
        assert one.channel == PUSH_TICKET.channel
        json.dumps(one.content, allow_nan=False).encode("utf-8")
        f"{one.subject} {one.delivery}".encode()
