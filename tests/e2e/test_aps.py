"""APS notifications on a real Airflow: sent and edited by tasks, callbacks and deadline alerts, and waited for."""

from __future__ import annotations

import itertools
import json
import time
from collections.abc import Iterator
from typing import Any

import pytest

from airflow_provider_taskwatch.core.connection import RawConnection, read_connection
from airflow_provider_taskwatch.drive.blocking import BlockingDriver
from airflow_provider_taskwatch.sandbox.sandbox import Sandbox
from airflow_provider_taskwatch.sandbox.server import Running
from airflow_provider_taskwatch.systems.aps import system as aps
from airflow_provider_taskwatch.systems.aps.form import FORM
from airflow_provider_taskwatch.systems.aps.notification import ApsNotification, run_context, task_context
from airflow_provider_taskwatch.systems.aps.text import LocalizedMessage
from demo.airflow import PrivateAirflow
from demo.wait import until

_numbers = itertools.count(1)


class Other:
    """Another application of the platform."""

    def __init__(self, served: Running) -> None:
        content = served.connections()["aps_other"]
        kept = {name: content[name] for name in ("conn_type", "host", "login", "password")}
        raw = RawConnection(conn_id="aps_other", extra=json.dumps(content["extra"]), **kept)
        settings = read_connection(FORM, raw)
        self._system, self._driver = aps.from_settings(settings), BlockingDriver(settings)

    def begins(self, sandbox: Sandbox, context: str = "", **rule: Any) -> str:
        """Start an activity that follows the rule, and return its id."""
        context = context or f"others.{next(_numbers)}"
        sandbox.add_rule(context, system="aps", **{"duration": 4.0, **rule})
        message = ApsNotification(message=LocalizedMessage(message="Load"), account_id="account-1", context=context)
        return self._driver.run(self._system.send(message)).id

    def close(self) -> None:
        self._driver.close()


@pytest.fixture
def other(served: Running) -> Iterator[Other]:
    application = Other(served)
    yield application
    application.close()


def notification_of(sandbox: Sandbox, context: str) -> dict[str, Any] | None:
    """The one notification of a context."""
    found = [one for one in sandbox.tasks(time.time()) if one["marker"] == context]
    assert len(found) < 2
    return found[0] if found else None


def becomes(sandbox: Sandbox, context: str, status: str) -> dict[str, Any]:
    """The notification of a context, once it has this status; callbacks come after the end of a run."""

    def seen() -> dict[str, Any] | None:
        note = notification_of(sandbox, context)
        return note if note and note["status"] == status else None

    return until(seen, what=f"{context} is {status}")


def details(note: dict[str, Any]) -> str:
    return str(note["request"]["details"].get("keys", {}).get("reason"))


@pytest.mark.parametrize("dag_id", ["aps_sensor", "aps_sensor_on_worker"])
def test_a_task_waits_for_an_activity_of_another_application(
    airflow: PrivateAirflow, sandbox: Sandbox, other: Other, dag_id: str
) -> None:
    ref = other.begins(sandbox)
    run = airflow.trigger(dag_id, conf={"ref": ref})

    assert run.wait() == "success"
    result = run.task("run").xcom()
    assert (result["id"], result["status"]) == (ref, "ready")


@pytest.mark.parametrize("dag_id", ["aps_sensor", "aps_sensor_on_worker"])
def test_an_activity_that_ends_in_error_fails_the_task_with_its_message(
    airflow: PrivateAirflow, sandbox: Sandbox, other: Other, dag_id: str
) -> None:
    ref = other.begins(sandbox, outcome="failure", message="no space left")
    run = airflow.trigger(dag_id, conf={"ref": ref})

    assert run.wait() == "failed"
    assert "no space left" in run.task("run").log()


def test_a_task_waits_for_every_activity_of_a_pattern(airflow: PrivateAirflow, sandbox: Sandbox, other: Other) -> None:
    group = f"group{next(_numbers)}"
    refs = [other.begins(sandbox, f"{group}.{number}", duration=2.0 + number) for number in range(3)]
    run = airflow.trigger("aps_sensor_of_contexts", conf={"context": f"{group}.*"})

    assert run.wait() == "success"
    assert sorted(one["id"] for one in run.task("run").xcom()["notifications"]) == sorted(refs)


def test_a_notification_is_sent_edited_listed_and_deleted(airflow: PrivateAirflow, sandbox: Sandbox) -> None:
    sandbox.add_fault("lost_reply", system="aps", method="POST", times=1)
    before = sandbox.counts()["started"]["aps"]
    run = airflow.trigger("aps_operators")

    assert run.wait() == "success"
    assert sandbox.counts()["started"]["aps"] == before + 1
    [listed] = run.task("list").xcom()
    assert (listed["id"], listed["status"]) == (run.task("run").xcom()["id"], "ready")
    assert run.task("delete").xcom()["id"] == listed["id"]
    assert notification_of(sandbox, listed["context"]) is None


def test_a_cleared_send_edits_its_notification(airflow: PrivateAirflow, sandbox: Sandbox) -> None:
    run = airflow.trigger("aps_send")
    assert run.wait() == "success"
    run.task("run").clear()
    run.task("run").wait_for("success", try_number=2)

    note = notification_of(sandbox, task_context("aps_send", run.run_id, "run", -1))
    assert (note and note["ref"], run.task("run").xcom()["updated"]) == (run.task("run").xcom()["id"], True)


@pytest.mark.parametrize("is_good, status", [(True, "ready"), (False, "error")])
def test_notifications_follow_a_run_and_its_task_from_start_to_end(
    airflow: PrivateAirflow, sandbox: Sandbox, is_good: bool, status: str
) -> None:
    run = airflow.trigger("aps_followed", conf={"is_good": str(is_good)})

    assert run.wait() == ("success" if is_good else "failed")
    whole = becomes(sandbox, run_context(run.dag_id, run.run_id), status)
    task = becomes(sandbox, task_context(run.dag_id, run.run_id, "run", -1), status)
    assert whole["request"]["status"] == "inProgress"  # the status of the first send
    assert sandbox.remotes["aps"].book[task["ref"]].content["parentId"] == whole["ref"]
    if not is_good:
        assert details(task) == "the disk is full"


@pytest.mark.since("3.2", reason="deadline alerts call a notifier")
@pytest.mark.parametrize("dag_id", ["aps_late", "aps_late_by_executor"])
def test_a_missed_deadline_sends_a_notification(
    airflow: PrivateAirflow, sandbox: Sandbox, other: Other, dag_id: str
) -> None:
    ref = other.begins(sandbox, duration=600.0)
    run = airflow.trigger(dag_id, conf={"ref": ref})
    run.task("run").wait_for("deferred")

    note = becomes(sandbox, run_context(dag_id, run.run_id), "error")
    assert details(note).startswith("the deadline was 20")
    sandbox.end(ref, "success", time.time())
    assert run.wait() == "success"
