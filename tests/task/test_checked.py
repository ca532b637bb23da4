"""What is wrong is said when the DAG is imported, wherever a value holds no template."""

from __future__ import annotations

from datetime import timedelta
from enum import Enum, StrEnum
from typing import Any

import pytest
from airflow.sdk import DAG, XComArg, literal, task, task_group

from airflow_provider_taskwatch.core.error import ConfigurationError
from airflow_provider_taskwatch.notifications.aps import ApsNotifier
from airflow_provider_taskwatch.operators.acquia import AcquiaCreateDatabaseOperator, AcquiaTaskOperator
from airflow_provider_taskwatch.operators.acronis import (
    AcronisCommitOffsetOperator,
    AcronisCreateSubscriptionOperator,
    AcronisReadEventsOperator,
)
from airflow_provider_taskwatch.operators.aps import (
    ApsDeleteNotificationOperator,
    ApsEditNotificationOperator,
    ApsListNotificationsOperator,
    ApsSendNotificationOperator,
)
from airflow_provider_taskwatch.operators.automic import AutomicCallback, AutomicExecutionOperator
from airflow_provider_taskwatch.operators.docplanner import DocplannerReleaseNotificationsOperator
from airflow_provider_taskwatch.sensors.acquia import AcquiaNotificationSensor
from airflow_provider_taskwatch.sensors.acronis import AcronisEventSensor, AcronisTaskSensor
from airflow_provider_taskwatch.sensors.aps import ApsNotificationSensor
from airflow_provider_taskwatch.sensors.automic import AutomicExecutionSensor
from airflow_provider_taskwatch.sensors.docplanner import DocplannerNotificationSensor
from airflow_provider_taskwatch.task.base import holds_template
from tests.rows import each_row

AUTOMIC: dict[str, Any] = {"object_name": "JOBS.T"}
TYPES: dict[str, Any] = {
    "topic": "cti.a.p.em.topic.v1.0~a.p.task.v1.0",
    "types": "cti.a.p.em.event.v1.0~a.p.task.*",
}


class Ambiguous:
    """Compares like an array."""

    def __eq__(self, other: object) -> bool:
        raise ValueError("the truth value of an array is ambiguous")

    __hash__ = None  # type: ignore[assignment]


WRONG: list[tuple[Any, dict[str, Any], str]] = [
    (AutomicExecutionOperator, {**AUTOMIC, "timeout": "1h"}, "timeout='1h'"),
    (AutomicExecutionOperator, {**AUTOMIC, "timeout": "{{ params.hours }}"}, "timeout='{{ params.hours }}'"),
    (AutomicExecutionOperator, {**AUTOMIC, "poll_interval": 1e308}, "poll_interval=1e+308"),
    (AutomicExecutionOperator, {**AUTOMIC, "poll_interval": 10**5000}, "poll_interval=a huge int"),
    (AutomicExecutionOperator, {**AUTOMIC, "callback": "yes"}, "callback must be True, False or"),
    (AutomicExecutionOperator, {**AUTOMIC, "callback_poll_interval": "5m"}, "callback_poll_interval='5m'"),
    (AutomicExecutionOperator, {**AUTOMIC, "callback": True, "execution_option": "recurring"}, "recurring"),
    (AutomicExecutionOperator, {**AUTOMIC, "cancel_on_kill": "false"}, "cancel_on_kill must be True or False"),
    (AutomicExecutionOperator, {**AUTOMIC, "deferrable": "no"}, "deferrable must be True or False"),
    (AutomicExecutionOperator, {**AUTOMIC, "on_changed_inputs": "ask"}, "on_changed_inputs='ask' is not one of"),
    (AutomicExecutionOperator, {**AUTOMIC, "success_statuses": ["FINE"]}, "'FINE' is not an Automic status"),
    (AutomicExecutionOperator, {**AUTOMIC, "execution_option": "twice"}, "execution_option 'twice'"),
    (AutomicExecutionOperator, {**AUTOMIC, "inputs": ["DAY"]}, "inputs must be a dict"),
    (AutomicExecutionOperator, {"object_name": ""}, "object_name must be a non-empty string"),
    (AutomicExecutionOperator, {"object_name": "{{ ds }}", "inputs": {"A": object()}}, "inputs cannot be sent as JSON"),
    (AcquiaTaskOperator, {"path": "a/../b"}, "no '..'"),
    (AcquiaTaskOperator, {"path": "{{ ds }}", "json": [1]}, "json must be a dict"),
    (AcquiaTaskOperator, {"path": "a/b", "on_missing_notification": "ignore"}, "on_missing_notification='ignore'"),
    (
        AcquiaCreateDatabaseOperator,
        {"application_uuid": " ", "database_name": "n"},
        "application_uuid must be a non-empty string",
    ),
    (AutomicExecutionSensor, {"run_id": "hello"}, "is not an execution id"),
    (AutomicExecutionSensor, {"run_id": "{{ ds }}", "blocked_timeout": "1h"}, "blocked_timeout='1h'"),
    (AutomicExecutionSensor, {"run_id": 7, "poke_interval": 1e308}, "poll_interval=1e+308"),
    (AcquiaNotificationSensor, {"notification_uuid": "a/b"}, "notification"),
    (AcronisTaskSensor, {"acronis_task_id": "7", "fail_on_warnings": "yes"}, "fail_on_warnings must be"),
    (ApsNotificationSensor, {}, "give one of notification_id and context"),
    (AcronisEventSensor, {**TYPES, "deferrable": "yes"}, "deferrable must be"),
    (AcronisEventSensor, {**TYPES, "poke_interval": 1e308}, "poke_interval=1e+308"),
    (DocplannerNotificationSensor, {"since": "yesterday"}, "since='yesterday' is not a time"),
    (AcronisReadEventsOperator, {**TYPES, "limit": 0}, "limit must be a whole number"),
    (AcronisCreateSubscriptionOperator, {**TYPES, "consumer": "me"}, "consumer"),
    (DocplannerReleaseNotificationsOperator, {"on_rate_limit": "fail"}, "on_rate_limit='fail'"),
    (ApsSendNotificationOperator, {"about": "dag"}, "about='dag'"),
    (ApsDeleteNotificationOperator, {"notification_id": "n", "on_missing": "skip"}, "on_missing='skip'"),
    (ApsListNotificationsOperator, {"view": "all"}, "view='all'"),
    (ApsEditNotificationOperator, {"notification_id": "n", "literal": "false"}, "literal must be True or False"),
    (AcronisEventSensor, {**TYPES, "subject": ["7"]}, "subject must be a non-empty string"),
    (AutomicExecutionOperator, {**AUTOMIC, "success_statuses": ["FINE"]}, "success_statuses: 'FINE'"),
    (AutomicExecutionOperator, {**AUTOMIC, "execution_option": ["once"]}, "execution_option ['once'] is none of"),
    (AutomicExecutionOperator, {**AUTOMIC, "alias": ["A"]}, "alias must be a non-empty string"),
    (AutomicExecutionOperator, {**AUTOMIC, "alias": "A\0"}, "alias='A\\x00' holds NUL"),
    (AutomicExecutionOperator, {**AUTOMIC, "timezone": "\ud83d"}, "timezone='\\ud83d' holds NUL or half"),
    (AutomicExecutionOperator, {**AUTOMIC, "automic_queue": {}}, "automic_queue must be a non-empty string"),
    (AutomicExecutionOperator, {**AUTOMIC, "automic_conn_id": None}, "automic_conn_id must be the id of"),
    (AutomicExecutionOperator, {**AUTOMIC, "output_path": "/tmp/a\0b"}, "output_path='/tmp/a\\x00b' holds NUL"),
    (AutomicExecutionOperator, {**AUTOMIC, "inputs": 10**5000}, "inputs must be a dict, not a huge int"),
    (
        AutomicExecutionOperator,
        {**AUTOMIC, "callback": AutomicCallback(headers={1: "x"})},
        "callback, execution",
    ),
    (AutomicExecutionOperator, {"object_name": 10**5000}, "object_name must be a non-empty string"),
    (AutomicExecutionSensor, {"run_id": 10**5000}, "run_id, automic_conn_id, output_path: a value cannot"),
    (AcquiaTaskOperator, {"path": "a/\ud83d"}, "'/a/\\ud83d' contains half"),
    (AcquiaTaskOperator, {"path": "a/b", "on_skipped": "x" * 10_000}, "is not one of"),
    (AcronisCreateSubscriptionOperator, {**TYPES, "consumer": Ambiguous()}, "consumer: a value cannot be read"),
    (ApsSendNotificationOperator, {"type": ["activity"]}, "type: a value cannot be read"),
    (ApsNotificationSensor, {"notification_id": Ambiguous()}, "notification_id, context"),
    (DocplannerNotificationSensor, {"docplanner_conn_id": 7}, "docplanner_conn_id must be the id of"),
]


def made(kind: Any, arguments: dict[str, Any]) -> Any:
    with DAG("d", schedule=None):
        return kind(task_id="t", **arguments)


@each_row("kind, arguments, message", WRONG)
def test_a_wrong_value_is_named_when_the_dag_is_imported(kind: Any, arguments: dict[str, Any], message: str) -> None:
    with pytest.raises(ConfigurationError) as caught:
        made(kind, arguments)
    assert message in str(caught.value)
    assert len(str(caught.value)) < 2_500


class Job(StrEnum):
    NIGHTLY = "JOBS.NIGHTLY"


class Old(str, Enum):  # noqa: UP042 - its own text is "Old.NIGHTLY"
    NIGHTLY = "JOBS.NIGHTLY"


@pytest.mark.parametrize("name, written", [(17, "17"), (Job.NIGHTLY, "JOBS.NIGHTLY"), (Old.NIGHTLY, "JOBS.NIGHTLY")])
def test_an_object_name_is_a_text_wherever_it_is_used(name: Any, written: str) -> None:
    task = made(AutomicExecutionOperator, {"object_name": name})
    assert (task.subject(), task.start_inputs()["request"]["object_name"]) == (written, written)
    assert task.marker("0123456789ab") == f"{written.replace('.', '-')}-0123456789ab"


@pytest.mark.parametrize(
    "arguments, message",
    [
        ({"status": "ready", "about": "team"}, "about='team'"),
        ({"status": "done"}, "status 'done' of type 'activity'"),
        ({"status": "ready", "literal": "no"}, "literal must be True or False"),
    ],
)
def test_a_notifier_is_checked_when_it_is_made(arguments: dict[str, Any], message: str) -> None:
    with pytest.raises(ConfigurationError, match=message):
        ApsNotifier(**arguments)


SOME_ID = "6992a41d-a953-4ded-ae99-41d2f4d32ecb"


@each_row(
    "kind, arguments",
    [
        (AcronisCommitOffsetOperator, {"subscription_id": SOME_ID, "offset": 7}),
        (AcronisCreateSubscriptionOperator, TYPES),
        (ApsDeleteNotificationOperator, {"notification_id": SOME_ID}),
        (ApsEditNotificationOperator, {"notification_id": SOME_ID}),
        (ApsSendNotificationOperator, {}),
        (AcronisEventSensor, TYPES),
        (DocplannerReleaseNotificationsOperator, {}),
    ],
)
def test_a_connection_that_a_template_did_not_bring_is_named_when_the_task_runs(
    kind: Any, arguments: dict[str, Any]
) -> None:
    name = next(one for one in kind.template_fields if one.endswith("conn_id"))
    task = made(kind, {**arguments, name: "{{ params.connection }}"})
    setattr(task, name, None)
    with pytest.raises(ConfigurationError, match=f"{name} must be the id of an Airflow connection, not None"):
        task.execute({})


def test_a_cel_that_is_no_text_is_named() -> None:
    with pytest.raises(ConfigurationError, match="cel must be a non-empty string"):
        made(AcronisEventSensor, {**TYPES, "cel": ["event.type"]}).feed_options()


def test_all_that_is_wrong_is_in_one_error() -> None:
    with pytest.raises(ConfigurationError) as caught:
        made(AutomicExecutionOperator, {"object_name": "", "timeout": -1, "adaptive": 1})
    assert all(message in str(caught.value) for message in ("object_name must be", "timeout=-1", "adaptive must be"))


@task
def upstream() -> Any: ...


def of_a_mapped_group() -> Any:
    """The argument of a task in a task group that is mapped over a list."""
    arguments = []

    @task_group
    def group(x: Any) -> None:
        arguments.append(x)
        upstream()

    group.expand(x=[1])
    return arguments[0]


@each_row("value", ["{{ ds }}", ["{{ ds }}"], {"{% if x %}": 1}, "xcom", "literal", "mapped"])
def test_a_value_that_is_rendered_later_is_checked_later(value: Any) -> None:
    with DAG("d", schedule=None):
        unknown = {
            "xcom": upstream,
            "literal": lambda: literal("{{"),
            "mapped": of_a_mapped_group,
        }
        given = unknown[value]() if isinstance(value, str) and value in unknown else value
        for name in ("object_name", "inputs", "details", "callback", "timezone"):
            AutomicExecutionOperator(task_id=name, **{**AUTOMIC, name: given})
        AutomicExecutionSensor(task_id="sensor", run_id=given)
        AcquiaTaskOperator(task_id="acquia", path="a/b", json=given)
        AcquiaNotificationSensor(task_id="notification", notification_uuid=given)


def test_what_another_task_returns_is_still_its_upstream() -> None:
    with DAG("d", schedule=None):
        before = upstream()
        after = AutomicExecutionOperator(task_id="t", object_name="X", inputs=before)
    assert isinstance(before, XComArg)
    assert after.upstream_task_ids == {"upstream"}


def test_a_template_in_a_callback_is_rendered_before_it_is_checked() -> None:
    made(AutomicExecutionOperator, {**AUTOMIC, "callback": AutomicCallback(url="{{ var.value.url }}")})
    with pytest.raises(ConfigurationError, match="the header Authorization"):
        made(AutomicExecutionOperator, {**AUTOMIC, "callback": AutomicCallback(headers={"Authorization": "x"})})


@each_row("name, value", [("timeout", "1h"), ("callback", "yes"), ("on_timeout", "x"), ("durable", 1)])
def test_what_all_mapped_tasks_share_is_checked_when_the_dag_is_imported(name: str, value: Any) -> None:
    with DAG("d", schedule=None), pytest.raises(ConfigurationError, match=name):
        AutomicExecutionOperator.partial(task_id="t", **{name: value}).expand(object_name=["A", "B"])


def test_a_mapped_task_is_made_with_the_values_of_its_index() -> None:
    with DAG("d", schedule=None) as dag:
        AutomicExecutionOperator.partial(task_id="t", object_name="{{ ds }}", timeout=60).expand(
            inputs=[{"A": "1"}, {"A": "2"}]
        )
    mapped = dag.get_task("t")
    assert mapped.unmap({"inputs": {"A": "1"}}).timeout == 60  # type: ignore[union-attr]
    with pytest.raises(ConfigurationError, match="inputs must be a dict"):
        mapped.unmap({"inputs": "A"})  # type: ignore[union-attr]


def test_a_subclass_may_set_its_attributes_after_those_of_its_base() -> None:
    class Nightly(AutomicExecutionOperator):
        def __init__(self, **kwargs: Any) -> None:
            super().__init__(object_name="", **kwargs)
            self.object_name = "JOBS.NIGHTLY"

    assert made(Nightly, {"timeout": timedelta(hours=1)}).object_name == "JOBS.NIGHTLY"


def test_a_subclass_may_template_more_fields() -> None:
    class Timed(AutomicExecutionOperator):
        template_fields = (*AutomicExecutionOperator.template_fields, "timeout")

    made(Timed, {**AUTOMIC, "timeout": "{{ params.hours }}"})


@each_row("value", [None, 1, 1.5, True, "text", "{ }", ["a", {"b": ("c",)}], b"{{", AutomicCallback()])
def test_plain_values_hold_no_template(value: object) -> None:
    assert not holds_template(value)


def test_an_endless_value_is_checked_only_once_rendered() -> None:
    endless: list[Any] = []
    endless.append(endless)
    assert holds_template(endless)
