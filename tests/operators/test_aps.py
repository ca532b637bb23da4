"""Telling users of an APS platform what a DAG does: once per task instance, however often it is tried."""

from __future__ import annotations

import json
import time
from functools import cached_property
from pathlib import Path
from typing import Any

import pytest
from airflow.sdk import DAG

from airflow_provider_taskwatch.core.error import ConfigurationError, NotFoundError, RemoteError
from airflow_provider_taskwatch.operators.aps import (
    ApsDeleteNotificationOperator,
    ApsEditNotificationOperator,
    ApsListNotificationsOperator,
    ApsOperator,
    ApsSendNotificationOperator,
)
from airflow_provider_taskwatch.sandbox.server import Running
from airflow_provider_taskwatch.systems.aps.notification import ApsNotification, run_context, task_context
from airflow_provider_taskwatch.systems.aps.text import LocalizedMessage
from tests.any_airflow import dag_serializer
from tests.task.life import Life
from tests.task.quick import QuickApsHook

TEXT = {"message": "Load of __day__", "keys": {"day": "Monday"}}
RUN = "manual__2026-01-31T06:00:00+00:00"


def quick(kind: type[ApsOperator]) -> type[ApsOperator]:
    """The operator without pauses between repeated requests."""
    hook = cached_property(lambda self: QuickApsHook(self.aps_conn_id))
    made = type(f"Quick{kind.__name__}", (kind,), {"hook": hook})
    hook.__set_name__(made, "hook")
    return made


Send, Edit, Delete, List = map(
    quick,
    (
        ApsSendNotificationOperator,
        ApsEditNotificationOperator,
        ApsDeleteNotificationOperator,
        ApsListNotificationsOperator,
    ),
)


def sending(**arguments: Any) -> Life:
    return Life(Send, **{"message": TEXT, "account_id": "account-1", **arguments})


def known(box: Running) -> list[dict[str, Any]]:
    return box.sandbox.tasks(time.time())


# --- sending


def test_a_notification_is_sent_with_all_that_was_given(box: Running) -> None:
    arguments: dict[str, Any] = {
        "details": LocalizedMessage(message="details"),
        "full_details": "all of it",
        "link": "/v/a",
        "link_more": "/v/b",
        "link_more_text": "more",
        "package_id": "p-2",
        "service": "s-2",
        "user_id": "user-1",
        "initiator_id": "user-2",
        "parent_id": "n-0",
        "ip_address": "192.0.2.1",
        "type": "warning",
        "status": "upcoming",
    }
    result = sending(**arguments).execute()
    [note] = known(box)
    assert note["request"] == {
        "message": TEXT,
        "details": {"message": "details"},
        "fullDetails": {"message": "all of it"},
        "link": "/v/a",
        "linkMore": "/v/b",
        "linkMoreText": {"message": "more"},
        "packageId": "p-2",
        "service": "s-2",
        "accountId": "account-1",
        "userId": "user-1",
        "initiatorId": "user-2",
        "parentId": "n-0",
        "ipAddress": "192.0.2.1",
        "type": "warning",
        "status": "upcoming",
        "context": result["context"],
    }
    assert (result["id"], result["message"], "userId" in result) == (note["ref"], "Load of Monday", False)


def test_people_are_in_the_result_only_when_asked_for(box: Running) -> None:
    assert sending(user_id="user-1", include_personal=True).execute()["userId"] == "user-1"


def test_the_context_names_the_task_instance(box: Running) -> None:
    assert sending().execute()["context"] == task_context("d", RUN, "t", -1)


def test_the_context_may_belong_to_a_group_or_be_that_of_the_run(box: Running) -> None:
    assert sending(context_group="orders").execute()["context"] == task_context("d", RUN, "t", -1, group="orders")
    assert sending(about="dag_run").execute()["context"] == run_context("d", RUN)


def test_mapped_tasks_have_a_notification_each(box: Running) -> None:
    lives = [sending(), sending()]
    lives[1].map_index = 1
    assert len({life.execute()["id"] for life in lives}) == 2


def test_a_retry_and_a_clear_edit_what_was_sent(box: Running) -> None:
    life = sending()
    first = life.execute()
    second, third = life.retry(), life.clear()
    assert first["id"] == second["id"] == third["id"]
    assert (second["updated"], len(known(box))) == (True, 1)


@pytest.mark.parametrize("fault", ["lost_reply", "lost_request", "server_error", "too_many"])
def test_a_send_that_failed_on_its_way_is_made_once(box: Running, fault: str) -> None:
    box.sandbox.add_fault(fault, system="aps", method="POST", times=1)
    sending().execute()
    assert len(known(box)) == 1


@pytest.mark.parametrize(
    "arguments, message",
    [
        ({"message": ""}, "message is missing"),
        ({"status": "existing"}, "status 'existing'"),
        ({"type": "announcement"}, "type 'announcement'"),
        ({"message": "__day__"}, "message: __day__ is not among its keys"),
        ({"details": {"text": "x"}}, "details has no text"),
        ({"details": 7}, "details must be a string"),
        ({"about": "dag"}, "about='dag' is not one of 'task', 'dag_run'"),
        ({"context_group": "a*"}, "context must not hold"),
        ({"status": []}, r"status must be a non-empty string"),
    ],
)
def test_bad_input_is_named_before_anything_is_sent(box: Running, arguments: dict[str, Any], message: str) -> None:
    with pytest.raises(ConfigurationError, match=message):
        sending(**arguments).execute()
    assert box.sandbox.log() == []


def test_a_connection_without_package_and_service_wants_them_in_the_task(
    box: Running, monkeypatch: pytest.MonkeyPatch
) -> None:
    content = box.connections()["aps_default"]
    for name, value in {"conn_type": "aps", "host": content["host"], "login": "x", "password": "y"}.items():
        content[name] = value
    monkeypatch.setenv(
        "AIRFLOW_CONN_BARE", f'{{"conn_type": "aps", "host": "{content["host"]}", "login": "x", "password": "y"}}'
    )
    with pytest.raises(ConfigurationError, match="package_id is missing; service is missing"):
        sending(aps_conn_id="bare").execute()


# --- editing


def test_an_edit_changes_what_is_given_and_keeps_the_rest(box: Running) -> None:
    sent = sending(link="/v/a").execute()
    edited = Life(Edit, notification_id=sent, status="ready", details="done").execute()
    assert (edited["id"], edited["status"], edited["details"], edited["link"]) == (sent["id"], "ready", "done", "/v/a")
    [note] = known(box)
    assert note["request"]["message"] == TEXT


def test_an_edit_finds_a_notification_by_its_context(box: Running) -> None:
    sent = sending().execute()
    assert Life(Edit, context=sent["context"], status="error").execute()["id"] == sent["id"]
    assert Life(Edit, notification_id=sent["id"], status="ready").execute()["status"] == "ready"


@pytest.mark.parametrize(
    "arguments, message",
    [
        ({}, "give one of notification_id and context"),
        ({"notification_id": "a", "context": "b"}, "give one of notification_id and context, and not both"),
        ({"notification_id": {}}, "notification_id must be a non-empty string"),
        ({"notification_id": "../a"}, "is not a notification id"),
        ({"context": "b"}, "there is no notification of the context b"),
    ],
)
def test_an_edit_of_nothing_is_named(box: Running, arguments: dict[str, Any], message: str) -> None:
    with pytest.raises(ConfigurationError, match=message):
        Life(Edit, status="ready", **arguments).execute()


# --- deleting


def test_a_notification_is_deleted_and_again_if_need_be(box: Running) -> None:
    life = Life(Delete, notification_id=sending().execute())
    deleted = life.execute()
    assert (deleted["status"], deleted["message"]) == ("inProgress", "Load of Monday")
    assert life.retry() is None
    assert known(box) == []


@pytest.mark.parametrize("answer", ["string", "empty"])
def test_what_the_platform_answers_to_a_deletion_is_the_result(box: Running, answer: str) -> None:
    box.sandbox.change({"aps": {"delete_reply": answer}}, time.time())
    sent = sending().execute()
    expected = sent["id"] if answer == "string" else None
    assert Life(Delete, notification_id=sent).execute() == expected


def test_an_addressee_is_optional(box: Running) -> None:
    assert sending(account_id=None).execute()["accountId"] == ""
    assert len(known(box)) == 1


@pytest.mark.parametrize("given", ["__init__.py of __all__", {"message": "__init__", "keys": {"other": "x"}}])
def test_a_text_of_others_is_shown_as_it_is(box: Running, given: Any) -> None:
    result = sending(message=given, literal=True).execute()
    assert result["message"] == (given if isinstance(given, str) else given["message"])


def test_to_miss_it_may_be_a_failure(box: Running) -> None:
    life = Life(Delete, notification_id="n-1", on_missing="fail")
    with pytest.raises(NotFoundError):
        life.execute()
    with pytest.raises(ConfigurationError, match="on_missing='ignore'"):
        Life(Delete, notification_id="n-1", on_missing="ignore").execute()


def test_a_refused_deletion_fails(box: Running) -> None:
    box.sandbox.add_fault("forbidden", system="aps", method="DELETE")
    with pytest.raises(RemoteError, match="403"):
        Life(Delete, notification_id="n-1").execute()


# --- listing


@pytest.mark.parametrize(
    "arguments",
    [
        {"view": "channel"},
        {"view": "channel", "channel": "channel-user-1"},
        {"view": "context", "context": "airflow.*"},
        {"view": "activity_log"},
    ],
    ids=str,
)
def test_each_view_lists_what_was_sent(box: Running, arguments: dict[str, Any]) -> None:
    sent = sending().execute()
    assert Life(List, **arguments).execute() == [sent]


def test_the_view_of_a_panel_has_three_groups(box: Running) -> None:
    sent = sending().execute()
    assert Life(List, view="display").execute() == {
        "warnings": [],
        "inProgressActivities": [sent],
        "otherActivities": [],
    }


@pytest.mark.parametrize(
    "arguments, message",
    [({"view": "all"}, "view='all' is not one of"), ({"view": "context"}, "context must be a non-empty string")],
)
def test_a_wrong_view_is_named_before_any_request(box: Running, arguments: dict[str, Any], message: str) -> None:
    with pytest.raises(ConfigurationError, match=message):
        Life(List, **arguments).execute()
    assert box.sandbox.log() == []


# --- Airflow's own machinery


def test_every_argument_that_a_template_may_be_in_is_one(box: Running) -> None:
    texts = {"message": {"message": "__a__", "keys": {"a": "{{ what }}"}}, "details": "{{ what }}"}
    task = Send(task_id="t", user_id="{{ what }}", **texts)
    task.render_template_fields({"what": "rendered"})
    assert task.message == {"message": "__a__", "keys": {"a": "rendered"}}
    assert (task.details, task.user_id) == ("rendered", "rendered")


def test_a_dag_with_localized_texts_can_be_stored() -> None:
    with DAG("d", schedule=None) as dag:
        text = LocalizedMessage(message="__a__", multilang_keys={"a": {"en": "x"}})
        sent = ApsSendNotificationOperator(task_id="send", message=text, user_id="u")
        ApsEditNotificationOperator(task_id="edit", notification_id=sent.output, status="ready")
    serializer = dag_serializer()
    serializer.validate_schema(serializer.to_dict(dag))


def test_a_message_is_what_the_operators_make_of_it() -> None:
    fields = set(ApsSendNotificationOperator.template_fields) - {"aps_conn_id", "context_group"}
    assert fields <= {*ApsNotification.__slots__}


def test_a_list_of_notifications_is_written_where_it_is_wanted(box: Running, tmp_path: Path) -> None:
    sent = sending().execute()
    path = tmp_path / "all.json"
    listed = Life(List, view="display", output_path=str(path)).execute()
    assert listed == {"path": str(path), "count": 1}
    assert json.loads(path.read_text())["inProgressActivities"] == [sent]
