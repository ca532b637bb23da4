"""Pushes: authentication, storage and answers, with duplicates, requests of patients and failures."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import pytest

from airflow_provider_taskwatch.core.error import ConfigurationError, InboxError
from airflow_provider_taskwatch.core.feed import Event
from airflow_provider_taskwatch.inbox.aside import asides
from airflow_provider_taskwatch.inbox.event import event_of
from airflow_provider_taskwatch.inbox.message import Message
from airflow_provider_taskwatch.inbox.seal import Seal, fresh_key
from airflow_provider_taskwatch.receiver.body_reader import BODY_BYTES
from airflow_provider_taskwatch.receiver.push import key_in, taken, ticket_for
from airflow_provider_taskwatch.receiver.token import Keys, PushTicket
from airflow_provider_taskwatch.systems.docplanner.feed import DocplannerFeed
from tests.inbox.memory import MemoryInbox
from tests.receiver.visitor import NOW, OTHER_SECRET, PUSH_TICKET, SECRET, Answer, Desk, ask, push_pass
from tests.rows import each_row
from tests.systems.docplanner.case import settings_of

KEYLESS = replace(PUSH_TICKET, needs_key=False)
DENYING = replace(KEYLESS, options={"store_payload": "ids", "denial_code": 7})
FULL = replace(KEYLESS, options={"store_payload": "full", "denial_code": None})


def body_of(name: str = "slot-booked", booking: str = "7", **data: Any) -> bytes:
    """A notification about a booking of a patient."""
    visit = {"id": booking, "patient": {"name": "hush-hush"}}
    return json.dumps({"name": name, "data": {"visit_booking": visit, **data}, "created_at": "soon"}).encode()


BODY = body_of()


class BrokenInbox(MemoryInbox):
    """Fails at every write."""

    def append(self, channel: str, messages: Sequence[Message], **_: Any) -> int:
        raise InboxError("the database is down")


async def push(desk: Desk, ticket: PushTicket = KEYLESS, body: bytes = BODY, **headers: str) -> Answer:
    path, _ = push_pass(desk.keys, ticket)
    return await ask(desk.app(), "POST", path, headers, [body[:9], body[9:]])


def events(desk: Desk) -> list[Event]:
    return [event_of(one.message) for one in desk.inbox.after(PUSH_TICKET.channel, 0)]


# --- tokens and keys


def test_a_ticket_holds_the_push_options_of_its_connection() -> None:
    settings = settings_of(delivery="push", store_payload="full", denial_code=7)
    assert ticket_for(settings, needs_key=True) == PushTicket(
        system="docplanner",
        channel=DocplannerFeed(settings).key,
        needs_key=True,
        options={"store_payload": "full", "denial_code": 7},
    )


def test_a_connection_without_pushes_gets_no_ticket() -> None:
    with pytest.raises(ConfigurationError, match="set its 'delivery' to 'push'"):
        ticket_for(settings_of(), needs_key=False)
    with pytest.raises(ConfigurationError, match="'acquia' push no events"):
        ticket_for(replace(settings_of(), connection_type="acquia"), needs_key=False)


@each_row(
    "headers, key",
    [
        ({"x-api-key": " abc "}, "abc"),
        ({"authorization": "Bearer abc"}, "abc"),
        ({"x-api-key": "abc", "authorization": "Bearer other"}, "abc"),
        ({"x-api-key": "", "authorization": "bearer abc"}, "abc"),
        ({"authorization": "Basic abc"}, ""),
        ({}, ""),
    ],
)
def test_a_key_is_found_in_either_header(headers: dict[str, str], key: str) -> None:
    assert key_in(headers) == key


def test_the_same_event_is_the_same_delivery() -> None:
    first, _ = taken(KEYLESS, BODY, NOW)
    again, _ = taken(KEYLESS, json.dumps(json.loads(BODY), indent=1).encode(), NOW + 600)
    other, _ = taken(KEYLESS, body_of(booking="8"), NOW)
    assert (again.channel, again.delivery) == (first.channel, first.delivery) != (other.channel, other.delivery)


# --- authentication


async def test_a_push_is_stored_and_then_acknowledged(desk: Desk) -> None:
    path, key = push_pass(desk.keys)
    answer = await ask(desk.app(), "POST", path, key, [BODY])
    assert (answer.status, answer.body) == (204, b"")
    [event] = events(desk)
    assert (event.name, event.subject, event.at, event.content) == (
        "slot-booked",
        "7",
        NOW,
        {"visit_booking": {"id": "7"}},
    )
    assert desk.counts == {"push.received": 1}


async def test_the_key_may_be_a_bearer_and_is_optional_if_the_token_does_not_require_it(desk: Desk) -> None:
    _, key = push_pass(desk.keys)
    assert (await push(desk, PUSH_TICKET, Authorization=f"Bearer {key['X-Api-Key']}")).status == 204
    assert (await push(desk, KEYLESS)).status == 204
    assert (await push(desk, KEYLESS, **{"X-Api-Key": "whatever"})).status == 204


@pytest.mark.parametrize("secrets", [(SECRET, OTHER_SECRET), (OTHER_SECRET, SECRET)])
async def test_an_address_is_valid_until_its_secret_is_removed(desk: Desk, secrets: tuple[str, ...]) -> None:
    path, key = push_pass(Keys([SECRET]))
    desk.keys = Keys(secrets)
    assert (await ask(desk.app(), "POST", path, key, [BODY])).status == 204
    desk.keys = Keys([OTHER_SECRET])
    assert (await ask(desk.app(), "POST", path, key, [BODY])).status == 404


# --- storage


async def test_personal_data_is_stored_only_if_the_token_says_so(desk: Desk) -> None:
    await push(desk)
    await push(desk, FULL, body_of(booking="8"))
    assert ["hush-hush" in json.dumps(one.content) for one in events(desk)] == [False, True]


async def test_a_second_delivery_is_acknowledged_and_changes_nothing_also_after_a_restart(desk: Desk) -> None:
    answers = [await push(desk) for _ in range(3)]  # each push reaches a new app, as after a restart
    assert [one.status for one in answers] == [204, 204, 204]
    assert len(events(desk)) == 1
    assert desk.counts == {"push.received": 1, "push.duplicate": 2}


async def test_events_are_stored_in_the_order_of_their_pushes(desk: Desk) -> None:
    for number in range(5):
        await push(desk, body=body_of(booking=str(number)))
    assert [one.subject for one in events(desk)] == ["0", "1", "2", "3", "4"]


@pytest.mark.parametrize("name", ["slot-booking", "booking-moving"])
@pytest.mark.parametrize("ticket, status", [(KEYLESS, 204), (DENYING, 409)])
async def test_a_patient_s_request_is_stored_and_answered_as_configured_each_time(
    desk: Desk, name: str, ticket: PushTicket, status: int
) -> None:
    answers = [await push(desk, ticket, body_of(name)) for _ in range(2)]
    assert [one.status for one in answers] == [status, status]
    assert [one.name for one in events(desk)] == [name]
    if status == 409:
        assert (answers[0].headers["content-type"], answers[0].json()) == ("application/json", {"error_code": 7})


async def test_a_notification_that_is_not_a_request_is_not_denied(desk: Desk) -> None:
    assert (await push(desk, DENYING)).status == 204


# --- failures


@pytest.mark.parametrize("body", [b"", b"[]", b"hush-hush", b'{"hush-hush": 1}', b'{"name": "a", "data": "hush-hush"}'])
async def test_a_body_that_is_not_a_notification_is_refused_and_not_logged(
    desk: Desk, caplog: pytest.LogCaptureFixture, body: bytes
) -> None:
    caplog.set_level("DEBUG")
    message = f"a push into the feed {PUSH_TICKET.channel} was not taken: it is none of its events"
    assert (await push(desk, body=body)).status == 422
    assert (events(desk), desk.counts) == ([], {"push.unreadable": 1})
    assert [(one.levelname, one.getMessage()) for one in caplog.records if "receiver" in one.name] == [
        ("ERROR", f"{message} (ReplyError, {len(body)} bytes); set [taskwatch] inbox_keys to keep such ones")
    ]


async def test_a_body_that_is_not_a_notification_is_set_aside_if_a_key_can_seal_it(
    desk: Desk, caplog: pytest.LogCaptureFixture
) -> None:
    seal = Seal([fresh_key()])
    app = desk.app(seal=seal)
    path, headers = push_pass(desk.keys, PUSH_TICKET)
    for _ in range(2):
        assert (await ask(app, "POST", path, headers, [b"hush-hush"])).status == 204
    [one] = asides(desk.inbox)
    assert (one.feed, one.is_sealed, one.open(lambda: seal)) == (PUSH_TICKET.channel, True, b"hush-hush")
    assert "hush-hush" not in f"{caplog.text} {[message.content for message in desk.messages]}"
    assert desk.counts["push.unreadable"] == 2


async def test_a_push_for_an_unknown_remote_is_refused_so_that_it_is_repeated(desk: Desk) -> None:
    assert (await push(desk, replace(KEYLESS, system="later"))).status == 422
    assert desk.counts == {"push.unreadable": 1}


async def test_reading_stops_when_a_push_is_too_large(desk: Desk) -> None:
    path, _ = push_pass(desk.keys, KEYLESS)
    announced = await ask(desk.app(), "POST", path, {"Content-Length": str(BODY_BYTES + 1)}, [BODY])
    found = await ask(desk.app(), "POST", path, {}, [bytes(65536)] * 100)
    assert [(one.status, one.read) for one in (announced, found)] == [(413, 0), (413, 5)]
    assert (events(desk), desk.counts) == ([], {"push.too_large": 2})


async def test_a_push_whose_sender_disconnects_early_is_not_stored(desk: Desk) -> None:
    path, _ = push_pass(desk.keys, KEYLESS)
    assert (await ask(desk.app(), "POST", path, {}, ())).status == 408
    assert (events(desk), desk.counts) == ([], {"push.too_slow": 1})


@pytest.mark.parametrize("name", ["slot-booked", "slot-booking"])
async def test_an_inbox_that_is_down_is_answered_with_503_and_retry_after(desk: Desk, name: str) -> None:
    desk.inbox = BrokenInbox()
    answer = await push(desk, body=body_of(name))
    assert (answer.status, answer.headers["retry-after"]) == (503, "30")
    assert desk.counts == {"push.unavailable": 1}


async def test_no_log_shows_a_token_a_key_or_a_body(desk: Desk, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level("DEBUG")
    path, key = push_pass(desk.keys)
    await ask(desk.app(), "POST", path, key, [BODY])
    await push(desk, DENYING, body_of("slot-booking"))
    await ask(desk.app(), "POST", path, {"X-Api-Key": "hush-hush"}, [BODY])
    await ask(desk.app(), "POST", path + "x", key, [BODY])
    await ask(Desk(inbox=BrokenInbox()).app(), "POST", path, key, [BODY])
    feed = PUSH_TICKET.channel
    assert [one.getMessage() for one in caplog.records if "receiver" in one.name] == [
        f"a push into the feed {feed} is in the inbox",
        f"a push into the feed {feed} is in the inbox, and was denied with 409",
        f"refused a request from 192.0.2.1: its API key is not that of the feed {feed}",
        "refused a request from 192.0.2.1: its token is not ours",
        f"a push into the feed {feed} was not stored and must be sent again: the database is down",
    ]
