"""The keys of the XComs that tasks push: DAGs read them by name."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any

import pytest

from airflow_provider_taskwatch.link import RemoteTaskLink
from airflow_provider_taskwatch.operators.acronis import AcronisReadEventsOperator
from airflow_provider_taskwatch.operators.aps import (
    ApsDeleteNotificationOperator,
    ApsEditNotificationOperator,
    ApsListNotificationsOperator,
    ApsSendNotificationOperator,
)
from airflow_provider_taskwatch.operators.docplanner import DocplannerPullNotificationsOperator
from airflow_provider_taskwatch.sandbox.server import Running
from airflow_provider_taskwatch.systems.acronis import feed
from tests.task import quick
from tests.task.life import Life
from tests.task.quick import Acquia, Automic, QuickAcronisHook

HERE = {"deferrable": False, "poll_interval": 0.02}
"""Arguments for a wait on the worker."""
SOON = {**HERE, "timeout": 20.0}

PAGE = "taskwatch_page"
EXECUTION = [
    "run_id",
    "status",
    "duration",
    "name",
    "alias",
    "title",
    "type",
    "status_text",
    "runtime",
    "estimated_runtime",
    "activation_time",
    "start_time",
    "end_time",
    "reference_run_id",
    "parent",
    "queue",
    "agent",
    "platform",
    "priority",
    "archive_key1",
    "archive_key2",
]
ACQUIA = [
    "uuid",
    "event",
    "label",
    "description",
    "status",
    "created_at",
    "started_at",
    "completed_at",
    "progress",
    "duration",
    "context",
]
ACQUIA_PERSONAL = ["author", "user", "embedded_author"]
ACRONIS = [
    "id",
    "uuid",
    "state",
    "code",
    "type",
    "queue",
    "priority",
    "workflowId",
    "cancelRequested",
    "assignCount",
    "enqueuedAt",
    "assignedAt",
    "startedAt",
    "updatedAt",
    "completedAt",
    "duration",
    "policy",
    "resource",
    "tenant",
    "error",
    "warnings",
    "payload",
]
APS = [
    "id",
    "type",
    "status",
    "message",
    "details",
    "fullDetails",
    "link",
    "linkMore",
    "linkMoreText",
    "packageId",
    "service",
    "updated",
    "resolved",
    "created",
    "modified",
    "accountId",
    "context",
    "parentId",
]
EVENT = ["id", "name", "subject", "at", "content"]


@pytest.fixture
def box(connected: Running, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Running:
    """The emulators after a reset; each start ends at once."""
    monkeypatch.setenv("AIRFLOW__TASKWATCH__INBOX_URL", f"sqlite:///{tmp_path}/inbox.db")
    connected.sandbox.add_rule(duration=0.0)
    monkeypatch.setattr(feed, "SHORT_SECONDS", 0)  # else each read that finds no event takes a second
    return connected


def test_automic_returns_an_execution(box: Running) -> None:
    life = Life(Automic, object_name="JOBS.T", **HERE)
    result = life.execute()
    assert list(result) == EXECUTION
    assert set(life.xcoms) == {"ref", PAGE}
    assert life.xcoms["ref"] == str(result["run_id"])

    sensor = Life(quick.AutomicSensor, run_id=result["run_id"], **SOON)
    assert list(sensor.execute()) == EXECUTION
    assert set(sensor.xcoms) == {PAGE}


def test_acquia_returns_a_notification(box: Running) -> None:
    life = Life(Acquia, path="/environments/1/files", **HERE)
    result = life.execute()
    assert list(result) == ACQUIA
    assert set(life.xcoms) == {"ref", PAGE}

    sensor = Life(quick.AcquiaSensor, notification_uuid=result["uuid"], include_personal=True, **SOON)
    assert list(sensor.execute()) == ACQUIA + ACQUIA_PERSONAL


def test_a_start_without_a_wait_returns_the_ref(box: Running) -> None:
    for life in (
        Life(Automic, object_name="JOBS.T", wait_for_completion=False),
        Life(Acquia, path="/environments/1/files", wait_for_completion=False),
    ):
        assert life.execute() == life.xcoms["ref"]


def test_acronis_returns_a_task(box: Running) -> None:
    hook = QuickAcronisHook()
    hook.run_policy("nightly", ["db"])
    [task] = hook.tasks(resourceId="db")
    assert list(Life(quick.AcronisSensor, acronis_task_id=str(task["id"]), **SOON).execute()) == ACRONIS


def test_acronis_returns_events(box: Running, tmp_path: Path) -> None:
    box.sandbox.emit({"acronis": [{"type": "a.p.tenant.created", "subject": "a"}]}, time.time())
    reading: dict[str, Any] = {
        "topic": "cti.a.p.em.topic.v1.0~a.p.tenant.v1.0",
        "types": ["cti.a.p.em.event.v1.0~a.p.tenant.*"],
        "since": "2026-01-01T00:00:00Z",
    }
    [event] = Life(AcronisReadEventsOperator, reader="one", **reading).execute()
    assert list(event) == EVENT
    written = Life(AcronisReadEventsOperator, reader="two", output_path=f"{tmp_path}/events.jsonl", **reading).execute()
    assert written == {"path": f"{tmp_path}/events.jsonl", "count": 1, "reader": "two"}


def test_docplanner_returns_events(box: Running) -> None:
    data = {"visit_booking": {"id": "7"}}
    box.sandbox.emit({"docplanner": [{"name": "slot-booked", "data": data}]}, time.time())
    [event] = Life(DocplannerPullNotificationsOperator, reader="one", since="2026-01-01T00:00:00Z").execute()
    assert list(event) == EVENT


def test_aps_returns_a_notification(box: Running) -> None:
    sent = Life(ApsSendNotificationOperator, message="m").execute()
    ready = Life(ApsEditNotificationOperator, notification_id=sent["id"], status="ready").execute()
    waited = Life(quick.ApsSensor, notification_id=sent["id"], **SOON).execute()
    together = Life(quick.ApsSensor, context="airflow*", **SOON).execute()
    deleted = Life(ApsDeleteNotificationOperator, notification_id=sent["id"]).execute()

    assert [list(one) for one in (sent, ready, waited, deleted)] == [APS] * 4
    assert list(together) == [*APS, "notifications"]
    assert sent["context"] == "airflow.d.manual__2026-01-31T06-00-00-00-00.t.-1.54ea8d5936a5"


def test_the_contexts_of_aps_notifications_are_these(box: Running) -> None:
    """A retry, and a notifier at the end of a run, find the notification by its context."""
    run = Life(ApsSendNotificationOperator, message="m", about="dag_run").execute()
    group = Life(ApsSendNotificationOperator, message="m", context_group="nightly").execute()
    assert run["context"] == "airflow.d.manual__2026-01-31T06-00-00-00-00.c4369bd97519"
    assert group["context"] == "nightly.54ea8d5936a5"


def test_aps_returns_lists_of_notifications(box: Running, tmp_path: Path) -> None:
    Life(ApsSendNotificationOperator, message="m").execute()
    [listed] = Life(ApsListNotificationsOperator, view="channel").execute()
    shown = Life(ApsListNotificationsOperator, view="display").execute()
    address = f"{tmp_path}/listed.json"

    assert list(listed) == APS
    assert list(shown) == ["warnings", "inProgressActivities", "otherActivities"]
    assert Life(ApsListNotificationsOperator, view="channel", output_path=address).execute() == {
        "path": address,
        "count": 1,
    }


def test_a_result_that_is_also_written_to_a_file_names_it(box: Running, tmp_path: Path) -> None:
    address = f"{tmp_path}/result.json"
    result = Life(Automic, object_name="JOBS.T", output_path=address, **HERE).execute()
    assert list(result) == [*EXECUTION, "output_path"]
    assert result["output_path"] == address


def test_the_link_to_the_remote_has_this_name_and_key() -> None:
    assert (RemoteTaskLink().name, RemoteTaskLink().xcom_key) == ("Remote task", PAGE)
