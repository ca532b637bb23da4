"""Acronis in the contracts of systems and of feeds."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from airflow_provider_taskwatch.core.connection import RawConnection, read_connection
from airflow_provider_taskwatch.core.phase import Phase
from airflow_provider_taskwatch.core.settings import Settings
from airflow_provider_taskwatch.core.wire import Reply
from airflow_provider_taskwatch.systems.acronis.feed import AcronisFeed, feed_of
from airflow_provider_taskwatch.systems.acronis.form import FORM
from airflow_provider_taskwatch.systems.acronis.system import from_settings
from tests.play import reply
from tests.systems.contract import FeedCase, SystemCase

BIG = 9_223_372_036_854_775_807
TASK = {
    "id": BIG,
    "uuid": "4b7e0c6e-1f0e-4f6c-9d46-1f4a5f1b7d10",
    "state": "completed",
    "result": {"code": "ok", "payload": {"saved": 5}},
    "type": "backup",
    "queue": "agents",
    "priority": "normal",
    "workflowId": "7",
    "cancelRequested": False,
    "assignCount": 1,
    "enqueuedAt": "2026-01-31T06:00:00.1234567Z",
    "startedAt": "2026-01-31T06:00:01.123456789Z",
    "updatedAt": "2026-01-31T06:01:31.12345678Z",
    "completedAt": "2026-01-31T06:01:31.12345678Z",
    "progress": {"total": 200, "current": 50},
    "policy": {"id": "p-1", "name": "Nightly", "type": "policy.protection", "more": 1},
    "resource": {"id": "r-1", "name": "db", "type": "resource.machine"},
    "tenant": {"id": "5", "uuid": "692ff7d2-8505-44ed-82b0-e82ee8d42ef2", "name": "Ann Smith"},
    "startedByUser": "ann@example.com",
}
TOPIC = "cti.a.p.em.topic.v1.0~a.p.task.v1.0"
TYPE = "cti.a.p.em.event.v1.0~a.p.task.completed.v1.0"
OPTIONS = {"topic": TOPIC, "types": [TYPE]}
SAMPLE = {
    "id": "9251fdc0-eb78-49b6-acaa-ed258074e4f5",
    "ingest_time": "2024-10-01T11:01:16.070777369Z",
    "previous": 93376477,
    "sequence": 93376478,
    "source": "account-server",
    "subject": "692ff7d2-8505-44ed-82b0-e82ee8d42ef2",
    "tenant_id": "692ff7d2-8505-44ed-82b0-e82ee8d42ef2",
    "time": "2024-10-01T11:01:16.03094914Z",
    "type": "cti.a.p.em.event.v1.0~a.p.tenant.disabled.v1.0",
}
"""As in the vendor's guide."""


def settings(
    *, conn_id: str = "acronis_default", environment: str | None = None, read_timeout: float = 30.0
) -> Settings:
    return Settings(
        conn_id=conn_id,
        connection_type="acronis",
        base_url="https://dc.test",
        auth="oauth2",
        login="id",
        password="s3cret",
        read_timeout=read_timeout,
        own={"environment": environment, "many_values": "repeated"},
    )


def feed(**options: Any) -> AcronisFeed:
    return feed_of(settings(), {**OPTIONS, **options})


def listed(contents: Mapping[str, Mapping[str, Any]]) -> Reply:
    return reply(200, {"items": [*contents.values()]})


def answer(events: Sequence[object]) -> Reply:
    return reply(200, {"offset": 93376479, "events": [*events]})


def completed(code: str) -> dict[str, Any]:
    return {"state": "completed", "result": {"code": code}}


SYSTEM = SystemCase(
    make=from_settings,
    settings=read_connection(
        FORM, RawConnection(conn_id="c", conn_type="acronis", host="eu2-cloud.acronis.test", login="id", password="s")
    ),
    ref=str(BIG),
    spellings=[f"000{BIG}"],
    not_refs=["0", "-1", "1.5", "9.223372036854776e+18", "abc", "1/2", "9" * 30],
    content=TASK,
    states=[
        ({"state": "enqueued"}, Phase.PENDING),
        ({"state": "assigned"}, Phase.PENDING),
        ({"state": "started"}, Phase.RUNNING),
        ({"state": "started", "blockers": [{"id": 1}]}, Phase.BLOCKED),
        ({"state": "paused"}, Phase.BLOCKED),
        (completed("ok"), Phase.SUCCEEDED),
        (completed("ok") | {"blockers": [{"id": 1}]}, Phase.SUCCEEDED),
        (completed("warning"), Phase.SUCCEEDED),
        (completed("error"), Phase.FAILED),
        (completed("timedout"), Phase.FAILED),
        (completed("cancelled"), Phase.CANCELLED),
        (completed("abandoned"), Phase.LOST),
    ],
    unknown=[
        (completed("great"), "completed, great"),
        (completed(""), "completed"),
        ({"state": "hibernating"}, "hibernating"),
        ({"state": None}, ""),
    ],
    absent=[[reply(404, {"code": "NotFound"})]],
    people=["startedByUser", "tenant_name"],
    listed=listed,
    probe=[listed({}), reply(200, [])],
)

FEED = FeedCase(
    feed=feed,
    others=[feed(cel="event.source == 'x'"), feed_of(settings(conn_id="other"), OPTIONS), feed(consumer="stateless")],
    event=SAMPLE,
    other={**SAMPLE, "sequence": 93376479, "subject": "b"},
    name="cti.a.p.em.event.v1.0~a.p.tenant.disabled.v1.0",
    subjects=("692ff7d2-8505-44ed-82b0-e82ee8d42ef2", "b"),
    answer=answer,
    position="93376477",
    empty=[reply(202), reply(204), reply(200, {"offset": 93376477, "events": []}), reply(200, {"offset": 93376477})],
)
