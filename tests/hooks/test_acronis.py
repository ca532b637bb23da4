"""Acronis' hook: a token from its data centre, and one method for each operation."""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from typing import Any

import pytest
from requests_mock import Mocker

from airflow_provider_taskwatch.core.error import ConfigurationError, RemoteError
from airflow_provider_taskwatch.hooks.acronis import AcronisHook
from airflow_provider_taskwatch.sandbox.acronis.topic import TASK_TOPIC, TYPE_PREFIX
from airflow_provider_taskwatch.sandbox.server import Running
from airflow_provider_taskwatch.systems.acronis.feed import feed_of
from tests.hooks.conftest import ACRONIS, Connect
from tests.hooks.secret import SECRETS

TOKEN_URL = "https://dc.test/api/2/idp/token"
READER, OTHER = "5d0805ff-fa52-4175-abb1-c10061da437d", "6d0805ff-fa52-4175-abb1-c10061da437d"
WISHES: dict[str, Any] = {"topic": TASK_TOPIC, "types": f"{TYPE_PREFIX}a.p.task.*"}

Emit = Callable[..., None]


@pytest.fixture
def emit(connected: Running) -> Emit:
    """Let events about tasks happen."""

    def put(count: int = 1, at: float | None = None) -> None:
        event = {"type": "a.p.task.completed", "subject": "{n}", "count": count}
        connected.sandbox.emit({"acronis": [event]}, time.time() if at is None else at)

    return put


def polls(box: Running) -> list[dict[str, Any]]:
    return [one for one in box.sandbox.log() if one["path"].endswith("/events")]


# --- the connection


def test_a_token_is_asked_for_at_the_data_centre_with_a_basic_header(connect: Connect, requests_mock: Mocker) -> None:
    requests_mock.post(TOKEN_URL, json={"access_token": SECRETS["token"], "expires_on": 4_000_000_000})
    requests_mock.get("https://dc.test/x", json={})
    connect("x", ACRONIS)
    AcronisHook("x").request("GET", "/x")
    asked = requests_mock.request_history[0]
    assert (asked.headers["Authorization"][:6], asked.text) == ("Basic ", "grant_type=client_credentials")


def test_a_connection_without_a_data_centre_says_so(connect: Connect) -> None:
    connect("x", ACRONIS, host="")
    with pytest.raises(ConfigurationError, match="the host is missing"):
        _ = AcronisHook("x").settings


def test_the_connection_test_reads_from_both_services(connected: Running) -> None:
    is_good, message = AcronisHook().test_connection()
    assert is_good
    assert message == (
        f"{connected.url}/acronis by oauth2; obtained from {connected.url}/acronis/api/2/idp/token; "
        "tasks can be read; topics of events can be read"
    )


def test_a_token_that_has_ended_is_replaced(connected: Running) -> None:
    hook = AcronisHook()
    hook.topics()
    connected.sandbox.revoke_tokens()
    assert len(hook.topics()) == 2


# --- events


def test_topics_their_types_and_offsets(connected: Running, emit: Emit) -> None:
    hook = AcronisHook()
    emit(3)
    assert [one["id"] for one in hook.topics(TASK_TOPIC)] == [TASK_TOPIC]
    [one] = hook.event_types(TASK_TOPIC, f"{TYPE_PREFIX}a.p.task.completed.v1.0", include_schema=True)
    assert json.loads(one["data_schema"]) == {"type": "object"}
    offsets = [hook.topic_offset(TASK_TOPIC, position) for position in ("EARLIEST", "CURRENT")]
    assert offsets[1] == 3
    assert hook.topic_offset(TASK_TOPIC, "TIMESTAMP", "2099-01-01T00:00:00Z") == 3


@pytest.mark.parametrize("spelling", ["guide", "api"])
def test_an_offset_is_found_in_either_spelling(connected: Running, emit: Emit, spelling: str) -> None:
    connected.sandbox.change({"acronis": {"offset_paths": [spelling]}}, 0.0)
    emit(3)
    assert AcronisHook().topic_offset(TASK_TOPIC, "CURRENT") == 3


def test_the_same_wishes_lead_to_the_same_subscription(connected: Running) -> None:
    hook = AcronisHook()
    first, second = hook.create_subscription(**WISHES), hook.create_subscription(**WISHES)
    assert first["subscription_id"] == second["subscription_id"]
    assert first["session_timeout"] == "PT30S"


def test_an_offset_is_committed_and_read(connected: Running) -> None:
    hook = AcronisHook()
    id_ = hook.create_subscription(**WISHES)["subscription_id"]
    assert hook.subscription_offset(id_) == 0
    assert hook.commit_offset(id_, "7") == {"subscription_id": id_, "offset": 7}
    assert hook.subscription_offset(id_) == 7


def test_events_are_read_a_hundred_at_a_time(connected: Running, emit: Emit) -> None:
    hook = AcronisHook()
    id_ = hook.create_subscription(**WISHES)["subscription_id"]
    emit(150)
    first = hook.events(id_, READER, 0)
    last = hook.events(id_, READER, first["offset"], limit=99)
    assert (len(first["events"]), len(last["events"]), last["offset"]) == (100, 50, 150)


def test_a_poll_without_events_ends_with_its_timeout(connected: Running) -> None:
    hook = AcronisHook()
    id_ = hook.create_subscription(**WISHES)["subscription_id"]
    assert hook.events(id_, READER, 0, timeout_seconds=1) == {"offset": 0, "events": []}
    assert [one["status"] for one in polls(connected)] == [202]


def test_a_poll_that_is_cut_is_repeated(connected: Running, emit: Emit) -> None:
    connected.sandbox.add_fault("lost_reply", path="/events", times=1, seconds=0.2)
    hook = AcronisHook()
    id_ = hook.create_subscription(**WISHES)["subscription_id"]
    emit(1)
    assert len(hook.events(id_, READER, 0)["events"]) == 1
    assert [one["status"] for one in polls(connected)] == [None, 200]


def test_a_reader_that_is_not_served_asks_again_until_it_is(connected: Running) -> None:
    hook = AcronisHook()
    id_ = hook.create_subscription(**WISHES, session_timeout="PT1S")["subscription_id"]
    hook.events(id_, OTHER, 0, timeout_seconds=1)
    assert hook.events(id_, READER, 0, timeout_seconds=1) == {"offset": 0, "events": []}
    assert 429 in [one["status"] for one in polls(connected)]


# --- tasks


def test_a_plan_s_task_is_found_and_read(connected: Running) -> None:
    connected.sandbox.add_rule("nightly", duration=0, outcome="warning")
    hook = AcronisHook()
    assert hook.run_policy("nightly", ["db", "web"]).endswith("GMT")
    [found] = hook.tasks(policyId="nightly", resourceId="db", order="desc(enqueuedAt)")
    assert found["id"] > 2**53
    assert hook.task(str(found["id"]))["resource"]["id"] == hook.task(found["id"])["resource"]["id"] == "db"
    [part] = hook.activities(taskId=found["id"])
    assert hook.activity(part["id"])["taskId"] == found["id"]
    assert len(hook.tasks(state=["completed", "started"], limit=1)) == 1


def test_a_missing_task_is_an_error_with_the_remotes_message(connected: Running) -> None:
    with pytest.raises(RemoteError, match="answered 404: NotFound: There is no such object"):
        AcronisHook().task("5")


# --- the feed, as a pump uses it


def test_a_feed_brings_every_event_once_and_goes_on_where_it_was(connected: Running, emit: Emit) -> None:
    hook = AcronisHook()
    feed = feed_of(hook.settings, {**WISHES, "consumer": "stateless"})
    emit(5)
    position = hook.run(feed.begin(1_700_000_000.0))
    emit(120)
    seen = []
    while len(seen) < 125:
        batch = feed.batch(hook.run(feed.read(position, READER)), position)
        hook.run(feed.acknowledge(batch, READER))
        seen += [event.id for event in batch.events]
        position = batch.position
    assert (len(set(seen)), len(seen)) == (125, 125)
    assert hook.run(feed.begin(None)) == position == "125"


@pytest.mark.parametrize("lost, position", [("earliest", "3"), ("current", "5")])
def test_a_feed_with_a_lost_offset_continues_by_its_option(
    connected: Running, emit: Emit, lost: str, position: str
) -> None:
    hook = AcronisHook()
    feed = feed_of(hook.settings, {**WISHES, "on_offset_lost": lost})
    hook.run(feed.begin(None))
    emit(3, at=time.time() - 8 * 86400)
    emit(2)
    batch = feed.batch(hook.run(feed.read("0", READER)), "0")
    assert (batch.events, batch.position) == ((), position)


def test_a_feed_survives_a_server_that_has_forgotten_it(connected: Running, emit: Emit) -> None:
    hook = AcronisHook()
    feed = feed_of(hook.settings, WISHES)
    position = hook.run(feed.begin(None))
    connected.sandbox.reset()
    emit(1)
    for _ in range(2):
        batch = feed.batch(hook.run(feed.read(position, READER)), position)
    assert [event.subject for event in batch.events] == ["0"]
