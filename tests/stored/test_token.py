"""Values that remotes hold for weeks: addresses and secrets of callbacks and pushes, and the marker of a start."""

from __future__ import annotations

import json
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

import pytest

from airflow_provider_taskwatch.config.callback import callback_options
from airflow_provider_taskwatch.plugin import PREFIX
from airflow_provider_taskwatch.receiver import callback, push
from airflow_provider_taskwatch.receiver.token import Keys, PushTicket, Ticket, expiry
from airflow_provider_taskwatch.sandbox.server import Running
from tests.task.life import Life
from tests.task.quick import Acquia, Automic

SECRET = "a-secret-of-at-least-thirty-two-characters"
NEWER = "another-secret-of-at-least-thirty-two-characters"
EXPIRES_AT = 1_800_000_000

TICKET = Ticket(channel="automic", start_id="0123456789ab", expires_at=EXPIRES_AT)
TOKEN = "WyJhdXRvbWljIiwiMDEyMzQ1Njc4OWFiIiwxODAwMDAwMDAwXQ.o6ANVOAaoIo_QjWaAvXSF04etWXjSf6ndW80nQUf7ss"
BEARER = "_FKrDbv9d3qKhoEr5feXQz0wCS4I_IBbg6SqxfaKXOY"

PUSH_TICKET = PushTicket(
    system="docplanner",
    channel="docplanner example.com 00ff",
    needs_key=True,
    options={"store_payload": "ids", "denial_code": None},
)
PUSH_TOKEN = (
    ".eJxNyzsKwCAMANCrSGYpzl6lFAkaQYiJ-IGW0ruXbh3f8HZIGhujCHWwPxg6sTamLWo1zuUMdvZF9oYxtVNoeLFiAg8ljW-SFOQQNRF4WczP8QL1JCDS"
    ".mOyXjtfBYcNIupM3heaoOVY498V7WqkBVN8e8OnXIkk"
)
PUSH_KEY = "sA8IAi_rFvWayMStzHA8hz6iWJUs-eQILUxYUTyWTuo"


@pytest.mark.parametrize("secrets", [[SECRET], [NEWER, SECRET]], ids=["the same secret", "a newer one before it"])
def test_a_token_that_a_remote_holds_is_read(secrets: list[str]) -> None:
    keys = Keys(secrets)
    assert keys.read(TOKEN, EXPIRES_AT - 1) == TICKET
    assert keys.read(TOKEN, EXPIRES_AT) is None
    assert keys.is_bearer(TOKEN, BEARER)
    assert keys.read_push(PUSH_TOKEN) == PUSH_TICKET
    assert keys.is_push_key(PUSH_TOKEN, PUSH_KEY)


def test_a_token_is_minted_unchanged() -> None:
    keys = Keys([SECRET])
    assert (keys.mint(TICKET), keys.bearer(TOKEN)) == (TOKEN, BEARER)
    assert keys.read_push(keys.mint_push(PUSH_TICKET)) == PUSH_TICKET  # zlib's output may differ from host to host
    assert keys.push_key(PUSH_TOKEN) == PUSH_KEY


def test_the_lifetime_of_a_token_is_unchanged() -> None:
    now = datetime(2026, 1, 31, 6, tzinfo=UTC)
    assert expiry(now, now) == int(now.timestamp()) + 86_400
    assert expiry(None, now) == int(now.timestamp()) + 30 * 86_400


def test_the_addresses_are_these(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AIRFLOW__TASKWATCH__CALLBACK_SECRETS", SECRET)
    monkeypatch.setenv("AIRFLOW__TASKWATCH__CALLBACK_BASE_URL", "https://airflow.example.com/taskwatch")
    made = callback_options().callback_address(TICKET)
    assert made.url == f"https://airflow.example.com/taskwatch/callbacks/{TOKEN}"
    assert made.authorization == f"Bearer {BEARER}"
    assert (PREFIX, callback.PATH, push.PATH, push.API_KEY) == ("/taskwatch", "/callbacks/", "/push/", "X-Api-Key")


# --- deliveries: a body that is sent again after an upgrade is a duplicate


@dataclass(frozen=True, kw_only=True)
class Delivery:
    body: bytes
    name: str
    content: Any


CALLBACKS = [
    Delivery(
        body=b'{"runid": "0001000001", "status": 1900}',
        name="4b47e9fbacba02a9e77a7925e689a90d2bbb7c436d90dacd1bcd9666e9f83112",
        content={"runid": "0001000001", "status": 1900},
    ),
    Delivery(
        body=b"",
        name="2e160f03dd803a6c8e95b16c61352e593b85fbec81446f972a86fce112c6ebaf",
        content=None,
    ),
]


def test_a_callback_has_this_delivery() -> None:
    for one in CALLBACKS:
        message = callback.message_of(TICKET, one.body, 5.5)
        assert (message.channel, message.subject, message.delivery) == ("automic", "0123456789ab", one.name)
        assert (message.content, message.received_at) == (one.content, 5.5)


def test_a_push_has_this_delivery() -> None:
    notification = {
        "name": "slot-booked",
        "data": {"visit_booking": {"id": 7, "start_at": "2026-02-01T10:00:00+01:00", "patient": {"name": "Ada"}}},
        "created_at": "2026-01-31T07:00:00+01:00",
    }
    message, reply = push.taken(PUSH_TICKET, json.dumps(notification).encode(), 5.5)
    assert (message.channel, message.subject, message.delivery) == (
        "docplanner example.com 00ff",
        "7",
        "887dfdb60ee7270d26fbb2987edcbb0f",
    )
    assert message.content == {
        "name": "slot-booked",
        "at": 1769839200.0,
        "content": {"visit_booking": {"id": 7, "start_at": "2026-02-01T10:00:00+01:00"}},
    }
    assert reply.status == 204


# --- markers


@pytest.mark.parametrize(
    "arguments, alias",
    [
        ({"object_name": "JOBS.T"}, "JOBS-T-{}"),
        ({"object_name": "JOBS.T#1 @X"}, "JOBS-T-1--X-{}"),
        ({"object_name": "JOBS.T", "alias": "nightly load"}, "nightly load-{}"),
    ],
)
def test_the_alias_of_an_automic_execution_ends_in_the_start_id(
    box: Running, connected: Running, arguments: dict[str, str], alias: str
) -> None:
    life = Life(Automic, **arguments)
    life.defer()
    record = life.open_record
    [task] = box.sandbox.tasks(0.0)
    assert task["request"]["alias"] == record.marker == alias.format(record.start_id)
    assert len(record.start_id) == 12


def test_a_start_without_a_field_for_it_has_no_marker(box: Running, connected: Running) -> None:
    life = Life(Acquia, method="POST", path="/environments/1/files", json={})
    life.defer()
    assert life.open_record.marker == ""
