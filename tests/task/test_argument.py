"""Arguments: wrong ones give one clear error before any request, and Airflow's own machinery works with them."""

from __future__ import annotations

import inspect
import json
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from airflow.sdk import DAG, BaseOperator

from airflow_provider_taskwatch.core.check import duration, flag, flag_or_none
from airflow_provider_taskwatch.core.error import ConfigurationError
from airflow_provider_taskwatch.operators.acquia import (
    AcquiaCreateDatabaseBackupOperator,
    AcquiaCreateDatabaseOperator,
    AcquiaDeployArtifactOperator,
    AcquiaSwitchCodeOperator,
    AcquiaTaskOperator,
)
from airflow_provider_taskwatch.operators.automic import AutomicExecutionOperator
from airflow_provider_taskwatch.sandbox.server import Running
from airflow_provider_taskwatch.sensors.acquia import AcquiaNotificationSensor
from airflow_provider_taskwatch.sensors.aps import ApsNotificationSensor
from airflow_provider_taskwatch.sensors.automic import AutomicExecutionSensor
from airflow_provider_taskwatch.task.base import checks_of
from tests.rows import each_row
from tests.task.life import Life

NEEDED: dict[type[BaseOperator], dict[str, Any]] = {
    AcquiaTaskOperator: {"path": "a/b"},
    AcquiaCreateDatabaseOperator: {"application_uuid": "u", "database_name": "n"},
    AcquiaCreateDatabaseBackupOperator: {"environment_id": "1-u", "database_name": "n"},
    AcquiaDeployArtifactOperator: {"environment_id": "1-u", "artifact_id": "a"},
    AcquiaSwitchCodeOperator: {"environment_id": "1-u", "branch": "main"},
    AutomicExecutionOperator: {"object_name": "JOBS.T"},
    AcquiaNotificationSensor: {"notification_uuid": "0e7a55b4-9d2c-4b53-8c1f-5b1c1d7c0b11"},
    AutomicExecutionSensor: {"run_id": "7"},
    ApsNotificationSensor: {"notification_id": "n-1"},
}
STARTS = [kind for kind in NEEDED if not kind.__name__.endswith("Sensor")]


def refused(kind: type[BaseOperator], box: Running, **arguments: Any) -> str:
    """The error at execute; nothing was sent or written."""
    life = Life(kind, **{**NEEDED[kind], **arguments})
    with pytest.raises(ConfigurationError) as caught:
        life.execute()
    assert box.sandbox.log() == []
    assert life.store.written == []
    return str(caught.value)


# --- wrong values


@each_row("kind", NEEDED)
def test_every_wait_checks_the_arguments_of_a_wait(kind: Any) -> None:
    checks, is_start = checks_of(kind), kind in STARTS
    durations = {"poll_interval", "not_found_grace", "unknown_status_grace", "blocked_timeout"}
    durations |= {"timeout"} if is_start else {"poke_interval"}
    flags = {"adaptive", "fail_on_blocked", "include_personal"}
    flags |= {"wait_for_completion", "cancel_on_kill"} if is_start else set()
    choices = {"on_skipped"} | ({"on_timeout", "on_unknown_start", "on_changed_inputs"} if is_start else set())
    assert {checks[name] for name in durations} == {duration}
    assert {checks[name] for name in flags} == {flag}
    assert {checks[name] for name in {"deferrable"} | ({"durable"} if is_start else set())} == {flag_or_none}
    for name in choices:
        with pytest.raises(ConfigurationError, match=f"{name}='x' is not one of"):
            checks[name](name, "x")


@each_row(
    "kind, argument, value",
    [
        (AutomicExecutionOperator, "poll_interval", 1e308),
        (AutomicExecutionOperator, "timeout", "1h"),
        (AutomicExecutionOperator, "on_timeout", "kill"),
        (AutomicExecutionOperator, "on_unknown_start", "retry"),
        (AutomicExecutionSensor, "poll_interval", timedelta.max),
        (AutomicExecutionSensor, "blocked_timeout", timedelta(seconds=-1)),
        (AutomicExecutionSensor, "on_skipped", "ignore"),
    ],
)
def test_a_wrong_value_is_named_before_any_request(kind: Any, argument: str, value: Any, box: Running) -> None:
    assert f"{argument}={value!r:.80}" in refused(kind, box, **{argument: value})


def test_all_wrong_durations_are_in_one_error(box: Running) -> None:
    error = refused(AutomicExecutionOperator, box, poll_interval=0, timeout=-1, blocked_timeout="x")
    assert all(name in error for name in ("poll_interval=0", "timeout=-1", "blocked_timeout='x'"))


@each_row(
    "argument, value, message",
    [
        ("object_name", "", "object_name must be a non-empty string"),
        ("object_name", None, "object_name must be a non-empty string"),
        ("inputs", "{'DAY': 1}", "inputs must be a dict"),
        ("inputs", ["DAY"], "inputs must be a dict"),
        ("inputs", {"DAY": {"a": 1}}, "input DAY must be a string or a list of strings"),
        ("inputs", {"DAY": object()}, "inputs cannot be sent as JSON"),
        ("inputs", {"DAY": datetime.now(UTC)}, "inputs cannot be sent as JSON"),
        ("inputs", {("a", "b"): "1"}, "inputs may only have strings as names"),
        ("inputs", {1: "1"}, "inputs may only have strings as names"),
        ("details", "now", "details must be a dict"),
        ("details", {"alias": "x"}, "details holds alias"),
        ("details", {"execute_at": "noon"}, "execute_at"),
        ("execution_option", "twice", "execution_option 'twice'"),
        ("success_statuses", ["FINE"], "'FINE' is not an Automic status"),
        ("skip_statuses", 7, "7 is not an Automic status"),
        ("report_tail", "many", "report_tail must be a number"),
    ],
)
def test_a_wrong_argument_of_automic_is_named(argument: str, value: Any, message: str, box: Running) -> None:
    assert message in refused(AutomicExecutionOperator, box, **{argument: value})


@each_row(
    "argument, value, message",
    [
        ("path", "", "path must be a non-empty string"),
        ("path", None, "path must be a non-empty string"),
        ("path", "https://elsewhere/x", "no URL"),
        ("path", "a/../b", "no '..'"),
        ("path", "a?b=c", "'?'"),
        ("method", "GET", "starts nothing"),
        ("method", None, "method must be a non-empty string"),
        ("json", '{"a": 1}', "json must be a dict"),
        ("json", [1], "json must be a dict"),
        ("json", {"a": datetime.now(UTC)}, "json cannot be sent as JSON"),
        ("json", {"a": float("nan")}, "json cannot be sent as JSON"),
        ("on_missing_notification", "ignore", "on_missing_notification='ignore' is not one of"),
    ],
)
def test_a_wrong_argument_of_acquia_is_named(argument: str, value: Any, message: str, box: Running) -> None:
    assert message in refused(AcquiaTaskOperator, box, **{argument: value})


@each_row("value", [None, "", "  ", True, {"a": 1}])
@each_row("kind", STARTS[1:5])
def test_an_id_that_an_xcom_did_not_bring_is_named(kind: Any, value: Any, box: Running) -> None:
    for argument in NEEDED[kind]:
        assert refused(kind, box, **{argument: value}).startswith(f"{argument} must be a non-empty string")


@pytest.mark.parametrize("kind", [AcquiaCreateDatabaseOperator, AcquiaSwitchCodeOperator])
def test_an_id_with_a_slash_stays_one_part_of_the_path(kind: Any, box: Running) -> None:
    life = Life(kind, **{**NEEDED[kind], next(iter(NEEDED[kind])): "a/b#c"})
    life.defer()
    assert "/a%2Fb%23c/" in box.sandbox.log()[-1]["path"]


@each_row("reference", ["", None, "a/b", "a?b", "a#b", "..", "no json", {"message": "x"}, 5])
def test_what_names_no_notification_is_refused_before_any_request(reference: Any, box: Running) -> None:
    assert "notification" in refused(AcquiaNotificationSensor, box, notification_uuid=reference)


@each_row("run_id", ["", None, "a", "1/2", "-1", "0", 0, 1.5, True, "1" * 30])
def test_what_is_no_run_id_is_refused_before_any_request(run_id: Any, box: Running) -> None:
    assert "is not an execution id" in refused(AutomicExecutionSensor, box, run_id=run_id)


@pytest.mark.parametrize("kind", NEEDED)
@pytest.mark.parametrize("conn_id, message", [("nowhere", "nowhere"), ("taskwatch_x", "has the type 'http'")])
def test_a_wrong_connection_is_named(
    kind: Any, conn_id: str, message: str, box: Running, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AIRFLOW_CONN_TASKWATCH_X", json.dumps({"conn_type": "http"}))
    name = next(one for one in kind.template_fields if one.endswith("_conn_id"))
    assert message in refused(kind, box, **{name: conn_id})


def test_a_wrong_template_of_the_page_is_found_before_the_start(box: Running, monkeypatch: pytest.MonkeyPatch) -> None:
    content = box.connections()["automic_default"]
    content["extra"]["ui_url"] = "https://x/{nonsense}"
    monkeypatch.setenv("AIRFLOW_CONN_AUTOMIC_DEFAULT", json.dumps(content))
    assert "ui_url" in refused(AutomicExecutionOperator, box)


def test_a_wrong_setting_in_airflow_cfg_is_found_before_the_start(
    box: Running, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AIRFLOW__TASKWATCH__DEFAULT_DEFERRABLE", "maybe")
    with pytest.raises(Exception, match="default_deferrable"):
        Life(AutomicExecutionOperator, object_name="JOBS.T").execute()
    assert box.sandbox.log() == []


# --- Airflow's machinery


@each_row("kind", NEEDED)
def test_an_unknown_argument_gives_airflows_usual_error(kind: Any) -> None:
    with pytest.raises(TypeError, match="Invalid arguments were passed to"):
        kind(task_id="t", **NEEDED[kind], nonsense=1)


@each_row("kind", NEEDED)
def test_a_missing_argument_gives_airflows_usual_error(kind: Any) -> None:
    if kind in (AcquiaTaskOperator, ApsNotificationSensor):
        return
    with pytest.raises(TypeError, match="missing keyword argument"):
        kind(task_id="t")


@each_row("kind", NEEDED)
def test_template_fields_are_arguments_and_attributes_of_the_same_name(kind: Any) -> None:
    task = kind(task_id="t", **NEEDED[kind])
    arguments = {name for one in kind.__mro__ for name in inspect.signature(one.__init__).parameters}
    assert set(kind.template_fields) <= arguments
    for name, value in NEEDED[kind].items():
        assert getattr(task, name) is value
        assert name in kind.template_fields


@each_row("kind", NEEDED)
def test_template_fields_render(kind: Any) -> None:
    fields = dict.fromkeys(kind.template_fields, "{{ ds }}")
    with DAG("d", schedule=None):
        task = kind(task_id="t", **{**NEEDED[kind], **fields})
    task.render_template_fields({"ds": "2026-01-31"})
    assert {name: getattr(task, name) for name in kind.template_fields} == dict.fromkeys(fields, "2026-01-31")


@each_row("kind", NEEDED)
def test_everything_can_be_mapped_over(kind: Any) -> None:
    [name, value], *rest = NEEDED[kind].items()
    with DAG("d", schedule=None) as dag:
        kind.partial(
            task_id="t", deferrable=True, poll_interval=5, on_skipped="skip", include_personal=True, **dict(rest)
        ).expand(**{name: [value, value]})
    assert dag.get_task("t").is_mapped


@each_row("kind", STARTS)
def test_the_arguments_of_a_start_can_be_mapped_over(kind: Any) -> None:
    with DAG("d", schedule=None):
        kind.partial(task_id="t", durable=True, timeout=60, on_timeout="leave", **NEEDED[kind]).expand(
            cancel_on_kill=[True, False]
        )


@each_row("kind", NEEDED)
def test_an_unknown_argument_of_a_mapped_task_gives_airflows_usual_error(kind: Any) -> None:
    with DAG("d", schedule=None), pytest.raises(TypeError, match="unexpected keyword argument"):
        kind.partial(task_id="t", nonsense=1)


@each_row("kind", NEEDED)
def test_default_args_of_the_dag_arrive(kind: Any) -> None:
    with DAG("d", schedule=None, default_args={"poll_interval": 7, "include_personal": True}):
        task = kind(task_id="t", **NEEDED[kind])
    assert (task.poll_interval, task.include_personal) == (7, True)
