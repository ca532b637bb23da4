"""Events of the emulated Acronis: topics, subscriptions, one reader at a time, and retention."""

from __future__ import annotations

import uuid
from typing import Any

import pytest

from airflow_provider_taskwatch.core.error import ConfigurationError
from airflow_provider_taskwatch.core.wire import Call, Query, Reply, pairs, send
from airflow_provider_taskwatch.sandbox.acronis.event import TENANT
from airflow_provider_taskwatch.sandbox.acronis.topic import TASK_TOPIC, TENANT_TOPIC, TYPE_PREFIX
from airflow_provider_taskwatch.sandbox.control import control
from airflow_provider_taskwatch.sandbox.sandbox import Sandbox
from tests.sandbox.visitor import NOW, Visitor

EM = "/api/event_manager/v1"
ID = "454e9a51-2207-4a2c-9db4-6ca168ac9597"
READER, OTHER = (str(uuid.UUID(int=number)) for number in (1, 2))
BODY = {
    "subscription_id": ID,
    "topic_id": TASK_TOPIC,
    "types": [f"{TYPE_PREFIX}a.p.task.*"],
    "tenant_depth": "ALL",
    "session_timeout": "PT30S",
}


def emit(acronis: Visitor, *events: dict[str, Any]) -> int:
    return acronis.sandbox.emit({"acronis": events}, acronis.now)["acronis"]


def task_events(acronis: Visitor, count: int = 1, **more: Any) -> None:
    emit(acronis, {"type": "a.p.task.completed", "subject": "{n}", "count": count, **more})


def subscribe(acronis: Visitor, **changes: Any) -> Reply:
    return acronis.post(f"{EM}/subscriptions", {**BODY, **changes})


def poll(acronis: Visitor, offset: int = 0, reader: str = READER, **changes: Any) -> Reply:
    query: Query = {"subscription_id": ID, "consumer_id": reader, "offset": offset, **changes}
    return acronis.get(f"{EM}/events", query)


def subjects(reply: Reply) -> list[str]:
    content: Any = reply.json()
    return [event["subject"] for event in content["events"]]


def offset_of(acronis: Visitor, position: str, topic: str = TASK_TOPIC, **more: Any) -> Any:
    query = {"topic_id": topic, "position": position, **more}
    return acronis.read(f"{EM}/topics/{topic}/offsets", query)["offset"]


# --- topics and types


def test_topics_name_their_retention(acronis: Visitor) -> None:
    tasks, tenants = acronis.read(f"{EM}/topics")
    assert (tasks["id"], tasks["retention"], tasks["archive_consolidation"]) == (TASK_TOPIC, "PT604800S", "NONE")
    assert (tenants["id"], tenants["retention"], tenants["archive_consolidation"]) == (TENANT_TOPIC, "INFINITE", "TTS")
    assert acronis.read(f"{EM}/topics", {"topic_id": TENANT_TOPIC}) == [tenants]


def test_types_belong_to_topics_and_have_schemas_as_strings(acronis: Visitor) -> None:
    created = f"{TYPE_PREFIX}a.p.tenant.created.v1.0"
    [one] = acronis.read(f"{EM}/types", {"type_id": created, "include_schema": True})
    assert (one["topic_id"], one["data_schema"]) == (TENANT_TOPIC, '{"type": "object"}')
    assert len(acronis.read(f"{EM}/types", {"topic_id": TASK_TOPIC})) == 2


def test_offsets_of_a_topic_in_both_spellings(acronis: Visitor) -> None:
    assert offset_of(acronis, "EARLIEST") == offset_of(acronis, "CURRENT") == 0
    task_events(acronis, 3)
    acronis.now += 10
    task_events(acronis, 2)
    assert (offset_of(acronis, "EARLIEST"), offset_of(acronis, "CURRENT")) == (0, 5)
    assert offset_of(acronis, "TIMESTAMP", timestamp="2027-01-15T08:00:01Z") == 4
    assert offset_of(acronis, "TIMESTAMP", timestamp="2027-01-15T09:00:01Z") == 5
    by_query = {"topic_id": TASK_TOPIC, "position": "CURRENT"}
    assert acronis.read(f"{EM}/topics/offsets", by_query)["offset"] == 5


@pytest.mark.parametrize("spelling, statuses", [("guide", [200, 404]), ("api", [404, 200])])
def test_offsets_of_a_topic_in_one_spelling(acronis: Visitor, spelling: str, statuses: list[int]) -> None:
    acronis.sandbox.change({"acronis": {"offset_paths": [spelling]}}, NOW)
    query = {"topic_id": TASK_TOPIC, "position": "CURRENT"}
    paths = (f"{EM}/topics/{TASK_TOPIC}/offsets", f"{EM}/topics/offsets")
    assert [acronis.get(path, query).status for path in paths] == statuses


@pytest.mark.parametrize(
    "query, status",
    [
        ({"topic_id": "x", "position": "CURRENT"}, 404),
        ({"topic_id": TASK_TOPIC, "position": "LATEST"}, 400),
        ({"topic_id": TASK_TOPIC, "position": "TIMESTAMP"}, 400),
    ],
)
def test_an_offset_of_nothing_is_refused(acronis: Visitor, query: Query, status: int) -> None:
    assert acronis.get(f"{EM}/topics/offsets", query).status == status


# --- subscriptions


def test_a_subscription_is_echoed_with_its_defaults(acronis: Visitor) -> None:
    body = {name: value for name, value in BODY.items() if name != "session_timeout"}
    reply = acronis.post(f"{EM}/subscriptions", body)
    more = {"tenant_id": TENANT, "session_timeout": "PT30S", "auto_commit": False, "auto_commit_interval": "PT5M"}
    assert (reply.status, reply.json()) == (201, {**body, **more})


def test_a_second_equal_subscription_conflicts(acronis: Visitor) -> None:
    assert [subscribe(acronis).status, subscribe(acronis).status] == [201, 409]


@pytest.mark.parametrize(
    "changes",
    [
        {"colour": "red"},
        {"types": []},
        {"types": ["x"]},
        {"types": [f"{TYPE_PREFIX}*.x"]},
        {"types": [5]},
        {"types": [BODY["types"][0]] * 33},
        {"subscription_id": "x"},
        {"topic_id": "x"},
        {"tenant_depth": "DEEP"},
        {"subject_types": ["x"]},
        {"session_timeout": "PT0.5S"},
        {"auto_commit_interval": "1 week"},
        {"session_timeout": "P"},
        {"cel": "size(event.data) > 5"},
        {"cel": "x" * 4097},
    ],
)
def test_a_malformed_subscription_is_refused(acronis: Visitor, changes: dict[str, Any]) -> None:
    assert subscribe(acronis, **changes).status == 400


@pytest.mark.parametrize("path, content", [("subscriptions", []), ("subscriptions/offset", {"offset": "x"})])
def test_a_body_of_another_shape_is_refused(acronis: Visitor, path: str, content: object) -> None:
    assert acronis.post(f"{EM}/{path}", content).status == 400


def test_a_committed_offset_is_kept(acronis: Visitor) -> None:
    subscribe(acronis)
    query = {"subscription_id": ID}
    assert acronis.read(f"{EM}/subscriptions/offset", query) == {"subscription_id": ID, "offset": 0}
    assert acronis.post(f"{EM}/subscriptions/offset", {"subscription_id": ID, "offset": 7}).status == 200
    assert acronis.read(f"{EM}/subscriptions/offset", query)["offset"] == 7


def test_there_is_no_offset_without_a_subscription(acronis: Visitor) -> None:
    assert acronis.get(f"{EM}/subscriptions/offset", {"subscription_id": ID}).status == 404
    assert acronis.post(f"{EM}/subscriptions/offset", {"subscription_id": ID, "offset": 7}).status == 404
    assert poll(acronis).status == 404


def test_with_auto_commit_a_poll_acknowledges_the_events_before_it(acronis: Visitor) -> None:
    subscribe(acronis, auto_commit=True)
    task_events(acronis, 3)
    stored = []
    for offset in (0, 3):
        poll(acronis, offset)
        stored.append(acronis.read(f"{EM}/subscriptions/offset", {"subscription_id": ID})["offset"])
    assert stored == [0, 3]


# --- what a poll brings


def test_events_after_an_offset_come_in_order(acronis: Visitor) -> None:
    subscribe(acronis)
    task_events(acronis, 3)
    content: Any = poll(acronis, 1).json()
    assert [event["sequence"] for event in content["events"]] == [2, 3]
    assert ([event["previous"] for event in content["events"]], content["offset"]) == ([1, 2], 3)
    assert [len(event["ingest_time"].partition(".")[2]) - 1 for event in content["events"]] == [9, 7]


def test_a_burst_is_read_a_hundred_at_a_time(acronis: Visitor) -> None:
    subscribe(acronis)
    task_events(acronis, 10_000)
    seen, offset = 0, 0
    while (reply := poll(acronis, offset)).status == 200:
        content: Any = reply.json()
        seen, offset = seen + len(content["events"]), content["offset"]
    assert (seen, offset) == (10_000, 10_000)


@pytest.mark.parametrize(
    "changes, found",
    [
        ({}, "A"),
        ({"types": [f"{TYPE_PREFIX}a.p.task.created.v1.0"]}, ""),
        ({"types": [f"{TYPE_PREFIX}a.p.task.completed.v1.*"]}, "A"),
        ({"tenant_depth": "CURRENT"}, "A"),
        ({"tenant_id": "other"}, ""),
        ({"cel": "event.source == 'sandbox' && event.data.size == \"5\""}, "A"),
        ({"cel": "source != 'sandbox'"}, ""),
        ({"cel": "event.data.size.unit == 'x'"}, ""),
        ({"subject_types": ["cti.a.p.task.*"]}, "A"),
        ({"subject_types": ["cti.a.p.tenant.*"]}, ""),
    ],
)
def test_a_subscription_filters_events(acronis: Visitor, changes: dict[str, Any], found: str) -> None:
    subscribe(acronis, **changes)
    task_events(acronis, subject="A", data={"size": 5}, subject_type="cti.a.p.task.v1.0")
    assert "".join(subjects(poll(acronis))) == found if found else subjects(poll(acronis)) == []


@pytest.mark.parametrize("depth, found", [("CURRENT", "me"), ("DIRECT", "me child"), ("ALL", "me child grandchild")])
def test_a_subscription_limits_the_depth_of_tenants(acronis: Visitor, depth: str, found: str) -> None:
    acronis.sandbox.change({"acronis": {"tenants": {"child": TENANT, "grandchild": "child"}}}, NOW)
    subscribe(acronis, tenant_depth=depth)
    for tenant, subject in ((TENANT, "me"), ("child", "child"), ("grandchild", "grandchild"), ("stranger", "x")):
        task_events(acronis, tenant_id=tenant, subject=subject)
    assert subjects(poll(acronis)) == found.split()


def test_events_of_a_tenant_are_delivered_after_it_is_moved_into_the_scope(acronis: Visitor) -> None:
    subscribe(acronis)
    task_events(acronis, tenant_id="child", subject="before")
    assert subjects(poll(acronis)) == []
    acronis.sandbox.change({"acronis": {"tenants": {"child": TENANT}}}, NOW)
    task_events(acronis, tenant_id="child", subject="after")
    assert "after" in subjects(poll(acronis))


def test_filtered_events_move_the_offset(acronis: Visitor) -> None:
    subscribe(acronis, cel="event.source == 'x'")
    task_events(acronis, 3)
    reply = poll(acronis)
    assert (reply.status, reply.json()) == (200, {"events": [], "offset": 3})


@pytest.mark.parametrize(
    "settings, status, wait",
    [({}, 202, "1"), ({"nothing": 204}, 204, "1"), ({"nothing": 200, "retry_after": None}, 200, None)],
)
def test_the_reply_without_events_can_be_configured(
    acronis: Visitor, settings: dict[str, Any], status: int, wait: str | None
) -> None:
    acronis.sandbox.change({"acronis": settings}, NOW)
    subscribe(acronis)
    reply = poll(acronis)
    assert (reply.status, reply.headers.get("retry-after")) == (status, wait)


def test_events_may_repeat_and_numbers_may_be_skipped(acronis: Visitor) -> None:
    acronis.sandbox.change({"acronis": {"redeliver": 2, "sequence_step": 3}}, NOW)
    subscribe(acronis)
    task_events(acronis, 3)
    content: Any = poll(acronis, 6).json()
    assert ([event["sequence"] for event in content["events"]], content["offset"]) == ([3, 6, 9], 9)
    assert poll(acronis, 9).status == 202


@pytest.mark.parametrize(
    "changes", [{"limit": 0}, {"limit": 101}, {"timeout": "30"}, {"consumer_id": "x"}, {"offset": "x"}]
)
def test_a_malformed_poll_is_refused(acronis: Visitor, changes: dict[str, Any]) -> None:
    subscribe(acronis)
    query = {"subscription_id": ID, "consumer_id": READER, "offset": 0, **changes}
    assert acronis.get(f"{EM}/events", query).status == 400


# --- one reader at a time


def test_one_reader_is_served_until_it_has_been_silent(acronis: Visitor) -> None:
    subscribe(acronis)
    assert poll(acronis).status == 202
    acronis.now += 20
    refused = poll(acronis, reader=OTHER)
    assert (refused.status, refused.body, refused.headers["retry-after"]) == (429, b"", "10")
    assert poll(acronis).status == 202
    acronis.now += 30
    assert [poll(acronis, reader=OTHER).status, poll(acronis).status] == [202, 429]


# --- what is kept


def test_an_offset_that_is_too_old_is_refused(acronis: Visitor) -> None:
    acronis.sandbox.change({"acronis": {"task_retention": 60, "expired_status": 400}}, NOW)
    subscribe(acronis)
    task_events(acronis, 3)
    acronis.now += 60
    task_events(acronis, 2)
    assert offset_of(acronis, "EARLIEST") == 3
    assert poll(acronis, 2).status == 400
    assert len(subjects(poll(acronis, 3))) == 2
    acronis.now += 60
    assert offset_of(acronis, "EARLIEST") == 5


def test_only_the_last_event_of_each_type_is_kept_for_a_tenant(acronis: Visitor) -> None:
    subscribe(acronis, topic_id=TENANT_TOPIC, types=[f"{TYPE_PREFIX}a.p.tenant.*"])
    for kind in ("created", "updated", "updated"):
        emit(acronis, {"type": f"a.p.tenant.{kind}", "subject": "t"})
    content: Any = poll(acronis).json()
    assert [event["sequence"] for event in content["events"]] == [1, 3]


# --- what makes events happen


def test_a_plan_brings_events_about_its_task(acronis: Visitor) -> None:
    subscribe(acronis)
    acronis.sandbox.add_rule("slow", duration=20)
    for resource in ("slow", "quick"):
        body = {"state": "running", "policy_id": "p", "context_ids": [resource]}
        acronis.ask(send("PUT", "/api/policy_management/v4/applications/run", body))
    acronis.now += 20
    slow, quick = (task["ref"] for task in acronis.sandbox.tasks(acronis.now))
    content: Any = poll(acronis).json()
    emitted = [(event["type"].split(".")[-3], event["subject"]) for event in content["events"]]
    assert emitted == [("created", slow), ("created", quick), ("completed", quick), ("completed", slow)]


@pytest.mark.parametrize(
    "event, problem",
    [
        ({}, "an event has a type"),
        ({"type": "a.p.task.completed", "colour": "red"}, "unknown key colour"),
        ({"type": "a.p.task.completed", "topic": "x"}, "there is no topic 'x'"),
    ],
)
def test_an_invalid_event_is_refused(acronis: Visitor, event: dict[str, Any], problem: str) -> None:
    with pytest.raises((ConfigurationError, ValueError), match=problem):
        emit(acronis, {"type": "a.p.task.created"}, event)
    assert offset_of(acronis, "CURRENT") == 0


def test_events_are_emitted_over_the_control_api(sandbox: Sandbox) -> None:
    body = {"acronis": [{"type": "a.p.task.completed", "count": 3}, {"type": f"{TYPE_PREFIX}a.p.x.v1.0"}]}
    assert control(sandbox, send("POST", "/emit", body), NOW).json() == {"acronis": 4}
    assert control(sandbox, send("POST", "/emit", {"acronis": {"type": "a.p.x"}}), NOW).json() == {"acronis": 1}


@pytest.mark.parametrize("body", [{"acronis": ["x"]}, {"acronis": [{}]}, {"moon": [{}]}, {"acquia": [{}]}, []])
def test_an_event_that_cannot_be_emitted_is_refused(sandbox: Sandbox, body: object) -> None:
    assert control(sandbox, send("POST", "/emit", body), NOW).status == 400


def test_emitting_to_a_remote_without_events_is_an_error(sandbox: Sandbox) -> None:
    with pytest.raises(ConfigurationError, match="automic has no events"):
        sandbox.emit({"automic": [{"type": "x"}]}, NOW)


# --- a poll that is held open


def held(acronis: Visitor, **query: Any) -> tuple[Call, Any]:
    call = Call(
        method="GET",
        path=f"{EM}/events",
        query=pairs({"subscription_id": ID, "consumer_id": READER, "offset": 0, **query}),
        headers=acronis.headers,
    )
    return call, acronis.sandbox.handle(call, "acronis", acronis.now)


@pytest.mark.parametrize("timeout, seconds", [("PT20S", 20), ("PT1M", 30)])
def test_a_poll_is_held_for_the_requested_time_within_its_session(acronis: Visitor, timeout: str, seconds: int) -> None:
    subscribe(acronis)
    assert held(acronis, timeout=timeout)[1].open_until == NOW + seconds


def test_a_held_poll_is_answered_when_an_event_arrives(acronis: Visitor) -> None:
    subscribe(acronis)
    call, delivery = held(acronis)
    logged = len(acronis.sandbox.log())
    task_events(acronis)
    better = acronis.sandbox.again(call, "acronis", NOW + 3, delivery)
    assert (better.open_until, better.reply.status) == (None, 200)
    assert len(acronis.sandbox.log()) == logged
    acronis.sandbox.over(call, "acronis", NOW + 3, "me", better)
    assert [(one["status"], one["client"]) for one in acronis.sandbox.log()[logged:]] == [(200, "me")]


def test_a_reader_with_a_held_poll_keeps_its_session(acronis: Visitor) -> None:
    subscribe(acronis)
    call, delivery = held(acronis)
    acronis.sandbox.again(call, "acronis", NOW + 20, delivery)
    acronis.now = NOW + 40
    assert poll(acronis, reader=OTHER).status == 429
