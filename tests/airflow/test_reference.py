"""The reference says what the code says: its page is up to date, and no argument is without a description."""

from __future__ import annotations

import pytest

from airflow_provider_taskwatch.sensors.acquia import AcquiaNotificationSensor
from airflow_provider_taskwatch.sensors.acronis import AcronisEventSensor, AcronisTaskSensor
from airflow_provider_taskwatch.sensors.aps import ApsNotificationSensor
from airflow_provider_taskwatch.sensors.automic import AutomicExecutionSensor
from airflow_provider_taskwatch.sensors.docplanner import DocplannerNotificationSensor
from airflow_provider_taskwatch.sensors.rest import RestTaskSensor
from docs import make_reference as reference
from tests.stored.test_result import ACQUIA, ACQUIA_PERSONAL, ACRONIS, APS, EVENT, EXECUTION

CLASSES = [
    *(cls for folder in ("operators", "sensors") for _, found in reference.operators(folder) for cls in found),
    *reference.others(),
]


def test_the_page_is_up_to_date() -> None:
    assert reference.PAGE.read_text() == reference.page(), "docs/reference.md is older than the code: run `make docs`"


@pytest.mark.parametrize("cls", [*CLASSES, *reference.hooks()], ids=lambda cls: cls.__name__)
def test_each_argument_of_a_class_is_documented(cls: type) -> None:
    assert [one.name for one in reference.arguments(cls) if not one.meaning] == []


@pytest.mark.parametrize("cls", CLASSES, ids=lambda cls: cls.__name__)
def test_no_argument_is_documented_that_a_class_does_not_take(cls: type) -> None:
    taken = {"kwargs", *(one.name for one in reference.arguments(cls))}
    assert reference.field_lines(cls, "param").keys() - taken == set()


def test_the_keys_of_a_result_are_those_that_it_has() -> None:
    """Those in the second list are there on request only."""
    for sensor, keys, others in (
        (AcquiaNotificationSensor, ACQUIA, ACQUIA_PERSONAL),
        (AutomicExecutionSensor, EXECUTION, ["callback", "user", "activator"]),
        (AcronisTaskSensor, ACRONIS, ["startedByUser", "tenant_name"]),
        (AcronisEventSensor, EVENT, []),
        (ApsNotificationSensor, APS, ["notifications", "userId", "initiatorId", "initiator", "ipAddress"]),
        (DocplannerNotificationSensor, EVENT, []),
        (RestTaskSensor, ["ref", "status", "message"], []),
    ):
        assert sorted(reference.field_lines(sensor, "result")) == sorted([*keys, *others]), sensor


def test_each_task_decorator_is_listed() -> None:
    page = reference.PAGE.read_text()
    assert [one["name"] for one in reference.INFO["task-decorators"] if f"#### @task.{one['name']}\n" not in page] == []


def test_each_counter_of_the_code_is_listed() -> None:
    found = reference.metrics_in_source()
    listed = {*reference.COUNTERS, *(name.partition(".")[2] for name in reference.COUNTERS)}
    assert found - listed == set()
