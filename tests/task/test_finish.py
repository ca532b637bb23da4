"""When the triggerer may end a sensor without a worker: each reason why it may not."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from airflow.providers.common.compat.sdk import get_listener_manager
from airflow.sdk import DAG, Asset, task
from airflow.sdk.bases.xcom import BaseXCom
from airflow.sdk.execution_time import xcom

from airflow_provider_taskwatch.sandbox.server import Running
from airflow_provider_taskwatch.sensors.automic import AutomicExecutionSensor
from tests.rows import each_row
from tests.task.life import Life

pushes = pytest.mark.since("3.3", reason="a triggerer can push an XCom")


@pytest.fixture(autouse=True)
def _no_listeners() -> Iterator[None]:
    """Those of the plugins that are installed here come back at the end."""
    manager = get_listener_manager()
    listeners = manager.pm.get_plugins()
    manager.clear()
    yield
    for listener in listeners:
        manager.add_listener(listener)


class Completes(AutomicExecutionSensor):
    """A user's own way on a worker."""

    def execute_complete(self, context: Any, event: Any = None) -> Any:
        return super().execute_complete(context, event)


class PostExecutes(AutomicExecutionSensor):
    def post_execute(self, context: Any, result: Any = None) -> None: ...


class Quiet(AutomicExecutionSensor):
    """A subclass that changes nothing of it."""

    ui_color = "#ffffff"


def finish(kind: Any = AutomicExecutionSensor, **arguments: Any) -> str:
    trigger = Life(kind, run_id="7", **arguments).defer().trigger
    return str(trigger.plan["finish"])


@pushes
@pytest.mark.parametrize("kind", [AutomicExecutionSensor, Quiet])
def test_a_plain_sensor_is_ended_with_its_result_pushed(box: Running, kind: Any) -> None:
    assert finish(kind) == "push"


@pytest.mark.parametrize("kind", [AutomicExecutionSensor, Quiet])
def test_without_an_xcom_nothing_is_pushed(box: Running, kind: Any) -> None:
    assert finish(kind, do_xcom_push=False) == "succeed"


@each_row(
    "kind, arguments",
    [
        (AutomicExecutionSensor, {"outlets": [Asset("table")]}),
        (AutomicExecutionSensor, {"post_execute": lambda context, result=None: None}),
        (AutomicExecutionSensor, {"multiple_outputs": True}),
        (AutomicExecutionSensor, {"map_index_template": "{{ ds }}"}),
        (Completes, {}),
        (PostExecutes, {}),
    ],
)
def test_what_only_a_worker_does_needs_a_worker(box: Running, kind: Any, arguments: dict[str, Any]) -> None:
    assert finish(kind, **arguments) == "resume"


def test_it_needs_one_also_where_nothing_is_pushed(box: Running) -> None:
    assert finish(Completes, do_xcom_push=False) == "resume"


def test_airflow_calls_listeners_on_workers_only(box: Running) -> None:
    manager = get_listener_manager()
    manager.add_listener(object())
    try:
        assert finish() == "resume"
    finally:
        manager.clear()


def test_a_custom_xcom_backend_needs_a_worker(box: Running, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(xcom, "XCom", type("Own", (BaseXCom,), {}))
    assert finish() == "resume"


@pytest.mark.parametrize("is_mapped_over", [True, pytest.param(False, marks=pushes)])
def test_a_task_that_maps_over_the_result_needs_a_worker(box: Running, is_mapped_over: bool) -> None:
    @task
    def show(one: Any) -> None: ...

    with DAG("d", schedule=None):
        sensor = AutomicExecutionSensor(task_id="t", run_id="7")
        show.expand(one=sensor.output) if is_mapped_over else show(sensor.output)
    life = Life(AutomicExecutionSensor)
    life.task = sensor
    life.make = lambda: sensor  # type: ignore[method-assign]
    assert life.defer().trigger.plan["finish"] == ("resume" if is_mapped_over else "push")


def test_a_user_s_execute_complete_is_called_with_the_event(box: Running) -> None:
    life = Life(Completes, run_id="7")
    event = {"version": 1, "ending": "succeeded", "ref": "7", "result": {"status": 1900}}
    assert life.resume(event) == {"status": 1900}
