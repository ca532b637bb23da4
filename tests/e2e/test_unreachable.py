"""A wrong address is logged at once in the task's log; an error that waiting does not cure ends the task in seconds."""

from __future__ import annotations

import json
from typing import Any

import pytest

from airflow_provider_taskwatch.sandbox.server import Running
from demo.airflow import PrivateAirflow
from demo.port import free_port
from demo.wait import until


@pytest.fixture(scope="module")
def broken_connections(airflow: PrivateAirflow, served: Running) -> None:
    """Stored connections: one to a port without TLS, one to a closed port, both with a short value."""
    given = served.connections()["automic_default"]
    hosts = {"no_tls": given["host"].replace("http:", "https:"), "closed_port": f"http://127.0.0.1:{free_port()}"}
    for name, host in hosts.items():
        content: dict[str, Any] = {**given, "host": host, "connection_id": name}
        extra = json.dumps({"client": "100"})
        airflow.api.request("POST", "/api/v2/connections", json={**content, "extra": extra})


@pytest.mark.usefixtures("broken_connections")
def test_a_start_with_a_permanent_connection_error_ends_in_seconds(airflow: PrivateAirflow) -> None:
    run = airflow.trigger("secret_automic", conf={"conn_id": "no_tls", "name": "JOBS.T"})
    assert run.wait() == "failed"
    log = run.task("run").log()
    assert "does not speak TLS: check scheme and port; trying again in 2 s, and for 6 s more at most" in log
    assert "too short" not in log, "a client of three digits is no secret"


@pytest.mark.usefixtures("broken_connections")
def test_a_wait_with_a_permanent_connection_error_ends_in_seconds(airflow: PrivateAirflow) -> None:
    run = airflow.trigger("secret_automic_sensor", conf={"conn_id": "no_tls", "name": "1000001"})
    assert run.wait() == "failed"
    assert "given up, as nothing was reached and waiting does not cure it" in run.task("run").log()


@pytest.mark.usefixtures("broken_connections")
def test_a_refused_connection_is_logged_at_once_and_retried(airflow: PrivateAirflow) -> None:
    run = airflow.trigger("secret_automic", conf={"conn_id": "closed_port", "name": "JOBS.T"})
    run.task("run").wait_for("running")
    message = "refuses connections; trying again in 2 s, and for 1"
    until(lambda: message in run.task("run").log(), what="the first failure is in the task's log")
    assert run.task("run").state == "running"
    run.task("run").mark("failed")
