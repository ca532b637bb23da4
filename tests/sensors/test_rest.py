"""Waiting for a task of any REST API that others have started."""

from __future__ import annotations

from typing import Any

import pytest

from airflow_provider_taskwatch.core.error import ConfigurationError
from airflow_provider_taskwatch.sensors.rest import RestTaskSensor

JOB: dict[str, Any] = {
    "profile": 1,
    "start": {"path": "/{inputs.team}/jobs/{inputs.kind}"},
    "ref": {"from": "body.id"},
    "poll": {"path": "/{inputs.team}/jobs/{ref}", "status": "body.state", "phases": {"succeeded": "done"}},
}


def test_a_sensor_needs_the_inputs_of_polls_and_not_those_of_the_start() -> None:
    RestTaskSensor(task_id="t", ref="1", profile=JOB, inputs={"team": "a"})
    with pytest.raises(ConfigurationError, match=r"needs team$"):
        RestTaskSensor(task_id="t", ref="1", profile=JOB)
