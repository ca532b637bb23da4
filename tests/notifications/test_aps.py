"""One notification per DAG run or task, from any callback, wherever that runs."""

from __future__ import annotations

import asyncio
import time
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

import pytest
import structlog
from airflow.sdk import DAG

from airflow_provider_taskwatch.core.error import ConfigurationError
from airflow_provider_taskwatch.notifications.aps import ApsNotifier, Subject, subject_of
from airflow_provider_taskwatch.operators.aps import ApsSendNotificationOperator
from airflow_provider_taskwatch.sandbox.server import Running
from airflow_provider_taskwatch.systems.aps.notification import run_context, task_context
from airflow_provider_taskwatch.systems.aps.text import LocalizedMessage
from tests.any_airflow import dag_serializer
from tests.task.life import Life

RUN = "manual__2026-01-31T06:00:00+00:00"
PAGE = "http://127.0.0.1:0/dags/d/runs/manual__2026-01-31T06%3A00%3A00%2B00%3A00"


@dataclass
class Ti:
    """What a callback's context has of a task instance."""

    dag_id: str = "d"
    run_id: str = RUN
    task_id: str = "t"
    map_index: int | None = None


def task() -> dict[str, Any]:
    return {"ti": Ti()}


SHORT = {"dag": DAG("d", schedule=None), "run_id": RUN, "reason": "task_failure"}
"""The context of a DAG's callback where Airflow knows no last task."""
DEADLINE = {
    "dag_run": {"dag_id": "d", "dag_run_id": RUN},
    "deadline": {"id": "1", "deadline_time": "2026-01-31T07:00:00Z"},
}
"""That of a deadline alert."""


def notifier(status: str = "inProgress", **arguments: Any) -> ApsNotifier:
    return ApsNotifier(**{"status": status, "account_id": "account-1", **arguments})


def known(box: Running) -> list[dict[str, Any]]:
    return box.sandbox.tasks(time.time())


def sent(box: Running) -> dict[str, Any]:
    """The one notification that there is."""
    [note] = known(box)
    return note


# --- one notification


def test_a_run_has_one_notification_from_its_start_to_its_end(connected: Running) -> None:
    for status in ("inProgress", "inProgress", "ready"):
        notifier(status)(task())
    note = sent(connected)
    assert (note["status"], note["marker"]) == ("ready", run_context("d", RUN))
    assert connected.sandbox.counts()["started"]["aps"] == 1


@pytest.mark.parametrize("context", [SHORT, DEADLINE, {"ti": Ti(task_id="other")}], ids=["short", "deadline", "task"])
def test_the_end_finds_the_notification_from_whatever_context(connected: Running, context: dict[str, Any]) -> None:
    notifier()(task())
    notifier("error")({**context})
    assert sent(connected)["status"] == "error"


def test_the_end_is_sent_where_no_start_was(connected: Running) -> None:
    notifier("error")({**SHORT})
    assert sent(connected)["status"] == "error"


def test_an_operator_may_send_the_start(connected: Running) -> None:
    Life(ApsSendNotificationOperator, message="Load", account_id="account-1", about="dag_run").execute()
    notifier("ready")(task())
    assert sent(connected)["status"] == "ready"


def test_a_task_has_its_own_below_that_of_its_run(connected: Running) -> None:
    notifier(about="task")(task())
    assert "parentId" not in sent(connected)["request"]
    notifier()(task())
    notifier("ready", about="task")(task())
    child, parent = sorted(known(connected), key=lambda one: one["marker"] == run_context("d", RUN))
    assert (child["marker"], child["status"]) == (task_context("d", RUN, "t", -1), "ready")
    assert connected.sandbox.remotes["aps"].book[child["ref"]].content["parentId"] == parent["ref"]


def test_each_mapped_task_has_its_own(connected: Running) -> None:
    for index in (0, 1):
        notifier(about="task")({"ti": Ti(map_index=index)})
    assert len(known(connected)) == 2


# --- texts


def test_the_texts_name_the_run_and_its_page(connected: Running) -> None:
    notifier(user_id="user-1", link="/v/a")(task())
    assert sent(connected)["request"] == {
        "type": "activity",
        "status": "inProgress",
        "message": {"message": "__dag__", "keys": {"dag": "d"}},
        "details": {"message": "__run__", "keys": {"run": RUN}},
        "fullDetails": {"message": "__run__: __url__", "keys": {"run": RUN, "url": PAGE}},
        "packageId": connected.connections()["aps_default"]["extra"]["package_id"],
        "service": "airflow",
        "accountId": "account-1",
        "userId": "user-1",
        "link": "/v/a",
        "context": run_context("d", RUN),
    }


def test_the_texts_of_a_task_name_it(connected: Running) -> None:
    notifier(about="task")({"ti": Ti(map_index=3)})
    request = sent(connected)["request"]
    assert request["message"]["keys"] == {"dag": "d", "task": "t"}
    assert request["fullDetails"]["keys"]["url"] == f"{PAGE}/tasks/t/mapped/3"


def test_texts_are_templates_and_have_languages_and_our_keys(connected: Running) -> None:
    title = {"message": "__what__ __dag__", "multilangKeys": {"what": {"en": "Load", "de": "Lauf"}}}
    value = LocalizedMessage(message="__dag__", keys={"dag": "mine"})
    notifier(message=title, details="{{ ti.task_id }}", full_details=value)(task())
    request = sent(connected)["request"]
    assert request["message"] == {**title, "keys": {"dag": "d"}}
    assert (request["details"], request["fullDetails"]) == (
        {"message": "t"},
        {"message": "__dag__", "keys": {"dag": "mine"}},
    )


@pytest.mark.parametrize(
    "context, reason",
    [
        ({"ti": Ti(), "exception": ValueError("disk\nfull")}, "disk full"),
        ({"ti": Ti(), "exception": TimeoutError()}, "TimeoutError"),
        ({"ti": Ti(), "exception": "the disk is full"}, "the disk is full"),
        (SHORT, "task_failure"),
        (DEADLINE, "the deadline was 2026-01-31T07:00:00Z"),
    ],
)
def test_a_reason_is_shown_where_a_text_has_a_place_for_it(connected: Running, context: Any, reason: str) -> None:
    notifier("error", details="because: __reason__")({**context})
    assert sent(connected)["request"]["details"]["keys"] == {"reason": reason}
    assert reason not in str(sent(connected)["request"]["fullDetails"])


# --- bad input


@pytest.mark.parametrize(
    "arguments, message",
    [
        ({"status": "done"}, "status 'done'"),
        ({"about": "dag"}, "about='dag' is not one of"),
        ({"message": "__who__"}, "message: __who__ is not among its keys"),
        ({"message": 7}, "message must be a string"),
    ],
)
def test_bad_input_is_named_before_anything_is_sent(
    connected: Running, arguments: dict[str, Any], message: str
) -> None:
    with pytest.raises(ConfigurationError, match=message):
        notifier(**arguments)(task())
    assert connected.sandbox.log() == []


@pytest.mark.parametrize("about, message", [("dag_run", "names no DAG run"), ("task", "names no task")])
def test_a_context_without_ids_wants_one_for_the_message(connected: Running, about: str, message: str) -> None:
    with pytest.raises(ConfigurationError, match=f"{message}.* give message_context="):
        notifier(about=about)({})
    notifier(about=about, message="late", message_context="orders.late")({})
    note = sent(connected)
    assert (note["marker"], "details" in note["request"]) == ("orders.late", False)
    assert Subject().url(about) == "http://127.0.0.1:0"


def test_a_context_of_nothing_needs_a_title(connected: Running) -> None:
    with pytest.raises(ConfigurationError, match="message is missing"):
        notifier(message_context="orders.late")({})


def test_a_subject_is_read_from_whatever_there_is() -> None:
    assert subject_of(task()) == Subject(dag_id="d", run_id=RUN, task_id="t")
    assert subject_of({**SHORT}) == Subject(dag_id="d", run_id=RUN, reason="task_failure")
    assert subject_of({"dag_run": object()}) == Subject()


# --- deadline alerts


async def test_a_notifier_can_be_awaited(connected: Running) -> None:
    await notifier("error", context={**DEADLINE})
    assert sent(connected)["status"] == "error"


async def test_two_deadlines_at_once_do_not_block_each_other(connected: Running) -> None:
    contexts = [{**DEADLINE, "dag_run": {"dag_id": f"d{number}", "dag_run_id": RUN}} for number in range(2)]

    async def alert(context: dict[str, Any]) -> None:
        await notifier("error", context=context)

    await asyncio.gather(*map(alert, contexts))
    assert len(known(connected)) == 2


has_alerts = pytest.mark.since("3.2", reason="deadline alerts that a triggerer runs with their context")
ARGUMENTS = {"status": "error", "account_id": "account-1", "details": "__reason__"}


@has_alerts
async def test_the_triggerer_sends_a_missed_deadline(connected: Running) -> None:
    from airflow.sdk import AsyncCallback
    from airflow.triggers.callback import CallbackTrigger

    callback = AsyncCallback(ApsNotifier, kwargs=ARGUMENTS)
    trigger = CallbackTrigger(callback.path, {**callback.kwargs, "context": {**DEADLINE}})
    states = [event.payload["state"] async for event in trigger.run()]
    assert [str(state) for state in states] == ["running", "success"]
    assert sent(connected)["request"]["details"]["keys"]["reason"].startswith("the deadline was 2026")


@pytest.mark.since("3.3", reason="deadline alerts that an executor runs")
def test_an_executor_sends_a_missed_deadline(connected: Running) -> None:
    from airflow.sdk import SyncCallback
    from airflow.sdk.execution_time.callback_supervisor import execute_callback

    callback = SyncCallback(ApsNotifier, kwargs=ARGUMENTS)
    kwargs = {**callback.kwargs, "context": {**DEADLINE}}
    is_good, problem = execute_callback(callback.path, kwargs, None, None, structlog.get_logger())
    assert (is_good, problem) == (True, None)
    assert sent(connected)["status"] == "error"


def test_a_dag_with_notifiers_can_be_stored() -> None:
    with DAG("d", schedule=None, on_failure_callback=notifier("error")) as dag:
        ApsSendNotificationOperator(task_id="t", message="x", user_id="u", on_execute_callback=notifier())
    serializer = dag_serializer()
    serializer.validate_schema(serializer.to_dict(dag))


@has_alerts
def test_a_dag_with_a_deadline_alert_can_be_stored() -> None:
    from airflow.sdk import AsyncCallback, DeadlineAlert, DeadlineReference

    alert = DeadlineAlert(
        reference=DeadlineReference.DAGRUN_QUEUED_AT,
        interval=timedelta(hours=1),
        callback=AsyncCallback(ApsNotifier, kwargs=ARGUMENTS),
    )
    with DAG("d", schedule=None, deadline=alert) as dag:
        ApsSendNotificationOperator(task_id="t", message="x", user_id="u")
    serializer = dag_serializer()
    serializer.validate_schema(serializer.to_dict(dag))
