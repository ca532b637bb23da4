"""A connection that Airflow does not have, and one that it could not look for."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

import pytest
from airflow.sdk.exceptions import ErrorType
from airflow.sdk.execution_time import task_runner
from airflow.sdk.execution_time.comms import DRCount, ErrorResponse

from airflow_provider_taskwatch.config.connection import read_settings
from airflow_provider_taskwatch.core.error import ConfigurationError, TransportError
from airflow_provider_taskwatch.hooks.automic import AutomicHook
from tests.config.supervisor import Supervisor

BOTH_WAYS = pytest.mark.parametrize(
    "read",
    [
        pytest.param(lambda: AutomicHook("nowhere").settings, id="worker"),
        pytest.param(lambda: asyncio.run(read_settings("nowhere")), id="triggerer"),
    ],
)


@BOTH_WAYS
def test_one_that_airflow_could_not_look_for_is_asked_for_again(
    read: Callable[[], Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    down = Supervisor(ErrorResponse(error=ErrorType.API_SERVER_ERROR))
    monkeypatch.setattr(task_runner, "SUPERVISOR_COMMS", down, raising=False)
    with pytest.raises(TransportError, match=r"could not look for the connection 'nowhere': .*API_SERVER_ERROR"):
        read()


@BOTH_WAYS
def test_one_that_is_not_there_is_a_mistake(read: Callable[[], Any], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(task_runner, "SUPERVISOR_COMMS", Supervisor(DRCount(count=0)), raising=False)
    with pytest.raises(ConfigurationError, match="'nowhere' cannot be read"):
        read()
