"""Events of a remote: a task waits for one, a task reads many, and they schedule a DAG."""

from __future__ import annotations

import time
import uuid
from collections.abc import Iterator
from datetime import UTC, datetime

import pytest

from airflow_provider_taskwatch.sandbox.sandbox import Sandbox
from demo.airflow import TASKWATCH, PrivateAirflow
from demo.wait import until


def emit(sandbox: Sandbox, *subjects: str, kind: str = "a.p.tenant.disabled") -> None:
    sandbox.emit({"acronis": [{"type": kind, "subject": one} for one in subjects]}, time.time())


@pytest.mark.parametrize("dag_id", ["acronis_event", "acronis_event_on_worker"])
def test_an_event_ends_the_wait_of_a_task(airflow: PrivateAirflow, sandbox: Sandbox, dag_id: str) -> None:
    subject = str(uuid.uuid4())
    run = airflow.trigger(dag_id, conf={"subject": subject})
    run.task("run").wait_for("deferred" if dag_id == "acronis_event" else "running")
    emit(sandbox, "another", subject)

    assert run.wait() == "success"
    found = run.task("run").xcom()
    assert (found["subject"], found["name"]) == (subject, "cti.a.p.em.event.v1.0~a.p.tenant.disabled.v1.0")


def test_a_sensor_fails_at_its_deadline_without_an_event(airflow: PrivateAirflow) -> None:
    run = airflow.trigger("acronis_event_in_vain", conf={"subject": "never"})

    assert run.wait() == "failed"
    assert "no such event came until" in run.task("run").log()


def test_two_runs_of_a_batch_reader_share_no_event(airflow: PrivateAirflow, sandbox: Sandbox) -> None:
    since, wanted = datetime.now(UTC).isoformat(), [str(uuid.uuid4()) for _ in range(3)]
    emit(sandbox, *wanted[:2])
    first = airflow.trigger("acronis_read", conf={"since": since})
    assert first.wait() == "success"
    emit(sandbox, wanted[2])
    second = airflow.trigger("acronis_read", conf={"since": since})
    assert second.wait() == "success"

    subjects = [[event["subject"] for event in run.task("run").xcom()] for run in (first, second)]
    assert [[one for one in each if one in wanted] for each in subjects] == [wanted[:2], wanted[2:]]


@pytest.mark.every_airflow
def test_each_event_schedules_a_dag(airflow: PrivateAirflow, sandbox: Sandbox) -> None:
    wanted = {str(uuid.uuid4()) for _ in range(5)}
    emit(sandbox, *wanted, kind="a.p.tenant.created")

    def seen() -> set[str]:
        runs = [run for run in airflow.api.runs("acronis_created") if run.state == "success"]
        return {subject for run in runs for subject in run.task("subjects").xcom() or []}

    until(lambda: seen() >= wanted, what="the DAG has seen every event")


def book(sandbox: Sandbox, booking: str) -> None:
    sandbox.emit({"docplanner": [{"name": "slot-booked", "data": {"visit_booking": {"id": booking}}}]}, time.time())


def test_a_pulled_notification_ends_the_wait_of_a_task(airflow: PrivateAirflow, sandbox: Sandbox) -> None:
    run = airflow.trigger("docplanner_notification", conf={"booking": "4711"})
    run.task("run").wait_for("deferred")
    book(sandbox, "815")
    book(sandbox, "4711")

    assert run.wait() == "success", run.task("run").log()
    found = run.task("run").xcom()
    assert (found["name"], found["subject"]) == ("slot-booked", "4711")


def test_each_notification_is_pulled_once_through_the_inbox(airflow: PrivateAirflow, sandbox: Sandbox) -> None:
    first = airflow.trigger("docplanner_pull")  # a new reader starts at the end of the feed
    assert first.wait() == "success"
    book(sandbox, "1001")
    second = airflow.trigger("docplanner_pull")
    assert second.wait() == "success"
    third = airflow.trigger("docplanner_pull")
    assert third.wait() == "success"

    assert "1001" in [event["subject"] for event in second.task("run").xcom()]
    assert third.task("run").xcom() == []


@pytest.fixture
def pushing(airflow: PrivateAirflow, sandbox: Sandbox) -> Iterator[Sandbox]:
    """The sandbox, whose Docplanner pushes to the address that the command prints."""
    printed = airflow.command("push-url", "docplanner_push", "--api-key", program=TASKWATCH)
    assert printed.returncode == 0, printed.stdout + printed.stderr
    url, header = printed.stdout.splitlines()[-2:]
    name, _, key = header.partition(": ")
    sandbox.change({"docplanner": {"push_url": url, "push_headers": {name: key}}}, time.time())
    yield sandbox
    sandbox.change({"docplanner": {"push_url": "", "push_headers": {}}}, time.time())


def test_a_pushed_notification_ends_the_wait_of_a_task(airflow: PrivateAirflow, pushing: Sandbox) -> None:
    run = airflow.trigger("docplanner_push", conf={"subject": "2002"})
    run.task("run").wait_for("deferred")
    book(pushing, "2001")
    book(pushing, "2002")

    assert run.wait() == "success", run.task("run").log()
    found = run.task("run").xcom()
    assert (found["name"], found["subject"]) == ("slot-booked", "2002")
    assert [one["status"] for one in pushing.log() if one["path"].startswith("/taskwatch/push/")] == [204, 204]
    assert "no receiver has been heard of" not in run.task("run").log()
