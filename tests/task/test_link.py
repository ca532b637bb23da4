"""The link from a task to the remote's own page, as Airflow makes it at the end of an attempt."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest
from airflow.sdk.execution_time import task_runner
from airflow.sdk.execution_time.comms import GetXCom, XComResult

from airflow_provider_taskwatch.link import RemoteTaskLink
from airflow_provider_taskwatch.operators.acquia import AcquiaTaskOperator
from airflow_provider_taskwatch.operators.automic import AutomicExecutionOperator
from airflow_provider_taskwatch.sensors.acquia import AcquiaNotificationSensor
from airflow_provider_taskwatch.sensors.automic import AutomicExecutionSensor
from tests.rows import each_row

KEY = SimpleNamespace(dag_id="d", run_id="r", task_id="t", map_index=2)


class Supervisor:
    """Airflow's side: one XCom, or none."""

    def __init__(self, value: Any) -> None:
        self.value = value
        self.asked: list[GetXCom] = []

    def send(self, message: GetXCom) -> XComResult:
        self.asked.append(message)
        return XComResult(key=message.key, value=self.value)


@pytest.mark.parametrize(
    "value, link", [("https://x/7", "https://x/7"), (None, ""), ("javascript:alert(1)", ""), ({"a": 1}, "")]
)
def test_the_link_is_what_the_operator_has_pushed(monkeypatch: pytest.MonkeyPatch, value: Any, link: str) -> None:
    supervisor = Supervisor(value)
    monkeypatch.setattr(task_runner, "SUPERVISOR_COMMS", supervisor, raising=False)
    task = AutomicExecutionOperator(task_id="t", object_name="JOBS.T")
    assert RemoteTaskLink().get_link(task, ti_key=KEY) == link  # type: ignore[arg-type]
    assert [(one.key, one.map_index) for one in supervisor.asked] == [("taskwatch_page", 2)]


@each_row("kind", [AcquiaTaskOperator, AutomicExecutionOperator, AcquiaNotificationSensor, AutomicExecutionSensor])
def test_everything_has_the_link(kind: Any) -> None:
    assert [type(link) for link in kind.operator_extra_links] == [RemoteTaskLink]
