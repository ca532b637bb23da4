"""A connection that does not exist, and one that Airflow could not look for."""

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
def test_a_connection_that_airflow_could_not_look_for_is_a_transport_error(
    read: Callable[[], Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    down = Supervisor(ErrorResponse(error=ErrorType.API_SERVER_ERROR))
    monkeypatch.setattr(task_runner, "SUPERVISOR_COMMS", down, raising=False)
    with pytest.raises(TransportError, match=r"could not look for the connection 'nowhere': .*API_SERVER_ERROR"):
        read()


@BOTH_WAYS
def test_a_connection_that_does_not_exist_is_a_configuration_error(
    read: Callable[[], Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(task_runner, "SUPERVISOR_COMMS", Supervisor(DRCount(count=0)), raising=False)
    with pytest.raises(ConfigurationError, match="'nowhere' cannot be read"):
        read()
