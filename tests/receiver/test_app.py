"""The receiver's rules: authentication, storage and answers."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path

import pytest
from fastapi.routing import APIRoute

from airflow_provider_taskwatch.core.error import InboxError
from airflow_provider_taskwatch.inbox.message import Message
from airflow_provider_taskwatch.inbox.store import SqlInbox
from airflow_provider_taskwatch.receiver.app import BODY_BYTES
from airflow_provider_taskwatch.receiver.token import Keys
from airflow_provider_taskwatch.receiver.writer import CALLBACKS
from tests.inbox.memory import MemoryInbox
from tests.receiver.visitor import (
    NOW,
    OTHER_SECRET,
    PUSH_TICKET,
    SECRET,
    TICKET,
    Desk,
    ask,
    passport,
    push_pass,
    scope_of,
)

BODY = json.dumps({"run_id": 1000001, "execution_status": 1900}).encode()


class BrokenInbox(MemoryInbox):
    """Fails at every write."""

    def add(self, messages: Sequence[Message]) -> int:
        raise InboxError("the database is down")


# --- authentication


async def test_a_callback_is_stored_and_then_acknowledged(desk: Desk) -> None:
    path, headers = passport(desk.keys)
    answer = await ask(desk.app(), "POST", path, headers, [BODY])
    assert (answer.status, answer.body) == (204, b"")
    assert [(one.channel, one.subject, one.content["run_id"]) for one in desk.messages] == [
        ("automic", "0123456789ab", 1000001)
    ]
    assert desk.messages[0].received_at == NOW
    assert desk.counts == {"received": 1}


@pytest.mark.parametrize("secrets", [(SECRET, OTHER_SECRET), (OTHER_SECRET, SECRET)])
async def test_secrets_can_be_rotated_without_losing_a_callback(desk: Desk, secrets: tuple[str, ...]) -> None:
    desk.keys = Keys(secrets)
    path, headers = passport(Keys([SECRET]))
    assert (await ask(desk.app(), "POST", path, headers, [BODY])).status == 204


async def test_every_failed_authentication_gets_the_same_answer_and_no_body_is_read(desk: Desk) -> None:
    path, right = passport(desk.keys)
    _, another = passport(desk.keys, replace(TICKET, start_id="ba9876543210"))
    expired, of_expired = passport(desk.keys, replace(TICKET, expires_at=int(NOW)))
    foreign, of_foreign = passport(Keys([OTHER_SECRET]))
    push, key = push_pass(desk.keys)
    keyless, _ = push_pass(desk.keys, replace(PUSH_TICKET, needs_key=False))
    _, another_key = push_pass(desk.keys, replace(PUSH_TICKET, channel="docplanner b"))
    foreign_push, of_foreign_push = push_pass(Keys([OTHER_SECRET]))
    requests = [
        ("POST", path, {}),
        ("POST", path, another),
        ("POST", path, {"Authorization": f"Basic {right['Authorization'][7:]}"}),
        ("POST", path + "x", right),
        ("POST", path + "/", right),
        ("POST", path.replace("/callbacks", "/callback"), right),
        ("POST", expired, of_expired),
        ("POST", foreign, of_foreign),
        ("POST", "/callbacks/", right),
        ("POST", "/callbacks", right),
        ("POST", "/", right),
        ("POST", "/health", right),
        ("DELETE", "/ready", right),
        ("POST", push, {}),
        ("POST", push, another_key),
        ("POST", push, {"Authorization": f"Basic {key['X-Api-Key']}"}),
        ("POST", push, {"Authorization": f"Bearer {desk.keys.bearer(push.removeprefix('/push/'))}"}),
        ("POST", push + "x", key),
        ("POST", keyless + "x", {}),
        ("POST", foreign_push, of_foreign_push),
        ("POST", push.replace("/push/", "/callbacks/"), {"Authorization": f"Bearer {key['X-Api-Key']}"}),
        ("POST", path.replace("/callbacks/", "/push/"), right),
        ("POST", "/push/", key),
        ("POST", "/push", key),
        *(
            (method, one, {**right, **key})
            for one in (path, keyless)
            for method in ("GET", "HEAD", "PUT", "PATCH", "DELETE", "OPTIONS", "TRACE", "ODD")
        ),
        *(("GET", name, {}) for name in ("/docs", "/redoc", "/openapi.json", "/docs/oauth2-redirect")),
    ]
    answers = [await ask(desk.app(), *one, [BODY]) for one in requests]
    assert {(one.status, one.body, *sorted(one.headers.items()), one.read) for one in answers} == {
        (
            404,
            b'{"detail":"Not Found"}',
            ("connection", "close"),
            ("content-length", "22"),
            ("content-type", "application/json"),
            0,
        )
    }
    assert desk.messages == []
    assert desk.counts == {"refused": len(requests)}


def test_only_the_known_routes_exist_and_only_two_need_no_token(desk: Desk) -> None:
    routes = [route for route in desk.app().routes if isinstance(route, APIRoute)]
    assert len(routes) == len(desk.app().routes)
    assert sorted((route.path, *route.methods) for route in routes) == [
        ("/callbacks/{token}", "POST"),
        ("/health", "GET"),
        ("/health", "HEAD"),
        ("/push/{token}", "POST"),
        ("/ready", "GET"),
        ("/ready", "HEAD"),
    ]


def test_the_openapi_document_names_the_routes_and_their_answers(desk: Desk) -> None:
    document = desk.app().openapi()
    assert set(document["paths"]) == {"/callbacks/{token}", "/push/{token}", "/health", "/ready"}
    answers, of_pushes = (document["paths"][f"/{one}/{{token}}"]["post"]["responses"] for one in ("callbacks", "push"))
    assert {"204", "404", "408", "413", "503"} <= set(answers)
    assert set(of_pushes) - set(answers) == {"409"}


# --- storage


@pytest.mark.parametrize("body", [b"", b"{'no': json}", b'{"said": "a "quote" too many"}', b"{" * 200_000, b"[1]"])
async def test_an_unreadable_body_is_stored_as_a_signal_without_content(desk: Desk, body: bytes) -> None:
    path, headers = passport(desk.keys)
    answer = await ask(desk.app(), "POST", path, {**headers, "Content-Type": "odd/type"}, [body])
    assert answer.status == 204
    assert [(one.subject, one.content) for one in desk.messages] == [(TICKET.start_id, None)]
    assert desk.counts == {"received": 1, "unreadable": 1}


async def test_a_second_delivery_is_acknowledged_and_changes_nothing(desk: Desk) -> None:
    app = desk.app()
    path, headers = passport(desk.keys)
    answers = [await ask(app, "POST", path, headers, [BODY[:5], BODY[5:]]) for _ in range(2)]
    assert [one.status for one in answers] == [204, 204]
    assert len(desk.messages) == 1
    assert desk.counts == {"received": 1, "duplicate": 1}


async def test_repeated_callbacks_of_one_token_are_bounded_and_each_one_is_readable(desk: Desk) -> None:
    app, cursor = desk.app(), desk.inbox.end()
    path, headers = passport(desk.keys)
    for number in range(3 * CALLBACKS):
        assert (await ask(app, "POST", path, headers, [b'{"n": %d}' % number])).status == 204
        [newest] = desk.inbox.read(cursor)
        cursor = cursor.moved([newest.number])
        assert newest.message.content == {"n": number}

    assert [one.content["n"] for one in desk.messages] == list(range(2 * CALLBACKS, 3 * CALLBACKS))
    assert desk.counts == {"received": 3 * CALLBACKS, "dropped": 2 * CALLBACKS}


async def test_a_body_of_the_largest_allowed_size_is_accepted(desk: Desk) -> None:
    path, headers = passport(desk.keys)
    body = b'{"a": "%b"}' % (b"x" * (BODY_BYTES - 9))
    assert (await ask(desk.app(), "POST", path, headers, [body])).status == 204
    assert len(desk.messages[0].content["a"]) < 5000


async def test_a_body_with_too_large_a_content_length_is_not_read(desk: Desk) -> None:
    path, headers = passport(desk.keys)
    for length in (str(BODY_BYTES + 1), "9" * 5000):
        answer = await ask(desk.app(), "POST", path, {**headers, "Content-Length": length}, [BODY])
        assert (answer.status, answer.read, answer.headers["connection"]) == (413, 0, "close")
    assert (desk.messages, desk.counts) == ([], {"too_large": 2})


async def test_reading_stops_when_a_body_becomes_too_large(desk: Desk) -> None:
    path, headers = passport(desk.keys)
    answer = await ask(desk.app(), "POST", path, headers, [bytes(65536)] * 100)
    assert (answer.status, answer.read) == (413, 5)
    assert (desk.messages, desk.counts) == ([], {"too_large": 1})


async def test_a_callback_whose_sender_disconnects_early_is_not_stored(desk: Desk) -> None:
    path, headers = passport(desk.keys)
    answer = await ask(desk.app(), "POST", path, headers, ())
    assert (answer.status, desk.messages, desk.counts) == (408, [], {"too_slow": 1})


async def test_an_inbox_that_is_down_is_answered_with_503_and_retry_after(desk: Desk) -> None:
    desk.inbox = BrokenInbox()
    path, headers = passport(desk.keys)
    answer = await ask(desk.app(), "POST", path, headers, [BODY])
    assert (answer.status, answer.headers["retry-after"]) == (503, "30")
    assert desk.counts == {"unavailable": 1}


async def test_no_callback_is_acknowledged_while_the_file_of_the_inbox_is_missing(
    desk: Desk, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    file, away = tmp_path / "inbox.db", tmp_path / "away.db"
    desk.inbox = SqlInbox(f"sqlite:///{file}", clock=lambda: NOW)
    app, (path, headers) = desk.app(), passport(desk.keys)
    statuses = [(await ask(app, "POST", path, headers, [b"1"])).status]
    file.rename(away)
    statuses += [(await ask(app, "POST", path, headers, [body])).status for body in (b"2", b"3")]
    statuses.append((await ask(app, "GET", "/ready")).status)
    away.rename(file)
    statuses.append((await ask(app, "POST", path, headers, [b"2"])).status)

    assert statuses == [204, 503, 503, 503, 204]
    assert len(desk.messages) == 2
    assert "was not stored and must be sent again: the inbox" in caplog.text
    assert "its file was deleted, moved or emptied; restore it" in caplog.text
    desk.inbox.close()


# --- logs


async def test_no_log_shows_a_token_a_bearer_or_a_body(desk: Desk, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level("DEBUG")
    path, headers = passport(desk.keys)
    app, down = desk.app(), Desk(inbox=BrokenInbox()).app()
    await ask(app, "POST", path, headers, [b"hush-hush"])
    await ask(app, "POST", path, {"Authorization": "Bearer hush-hush"}, [b"hush-hush"])
    await ask(app, "POST", path + "x", headers, [b"hush-hush"])
    await ask(app, "POST", path, headers, ())
    await ask(down, "POST", path, headers, [b"hush-hush"])
    assert [record.getMessage() for record in caplog.records if "receiver" in record.name] == [
        "a callback for the start 0123456789ab of automic is in the inbox, but its body cannot be read",
        "refused a request from 192.0.2.1: its bearer is not that of the start 0123456789ab",
        "refused a request from 192.0.2.1: its token is not ours, or has expired",
        "a callback for the start 0123456789ab was not taken: its body did not arrive in time, or not as a whole",
        "a callback for the start 0123456789ab was not stored and must be sent again: the database is down",
    ]


@pytest.mark.parametrize("method", ["POST", "GET"])
@pytest.mark.parametrize("authentic, shown", [(passport, "/callbacks/***"), (push_pass, "/push/***")])
async def test_the_scope_of_an_answered_request_shows_no_token(
    desk: Desk, method: str, authentic: Callable[[Keys], tuple[str, dict[str, str]]], shown: str
) -> None:
    path, headers = authentic(desk.keys)
    scope = scope_of(method, path, headers)

    async def receive() -> dict[str, object]:
        return {"type": "http.request", "body": b"{}", "more_body": False}

    at_answer = []

    async def send(message: object) -> None:
        assert message
        at_answer.append(scope["path"])

    await desk.app()(scope, receive, send)
    assert (scope["path"], scope["raw_path"]) == (shown, shown.encode())
    assert set(at_answer) == {shown}
