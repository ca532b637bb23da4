"""An execution that calls back, through the API server and through a separate receiver."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest
import requests

from airflow_provider_taskwatch.sandbox.sandbox import Sandbox
from demo.airflow import TASKWATCH, PrivateAirflow
from demo.api import DagRun
from demo.component import Component
from demo.wait import until
from tests.e2e.test_main_job import new_object


def polls(sandbox: Sandbox, run: DagRun) -> int:
    """The number of reads of the execution."""
    ref = run.task("run").xcom("ref")
    return sum(one["ref"] == ref and one["method"] == "GET" for one in sandbox.log())


@pytest.mark.every_airflow
def test_a_callback_to_the_api_server_ends_the_wait_with_one_poll(airflow: PrivateAirflow, sandbox: Sandbox) -> None:
    run = airflow.trigger("automic_callback", conf={"object": new_object(sandbox, duration=5.0)})

    assert run.wait() == "success"
    assert run.task("run").xcom()["callback"] == {"is_confirmed": False, "execution_status": "1900"}
    assert polls(sandbox, run) == 1
    assert "has not called back" not in run.task("run").log()


@pytest.fixture
def receiver(airflow: PrivateAirflow, dmz_url: str, tmp_path: Path) -> Iterator[Component]:
    """A receiver that shares only the inbox and the secret with Airflow."""
    inbox = {"conn_type": "sqlite", "host": f"{airflow.home}/taskwatch-inbox.db"}
    env = {
        **airflow.env,
        "AIRFLOW_HOME": str(tmp_path),
        "AIRFLOW__DATABASE__SQL_ALCHEMY_CONN": "sqlite:////nowhere/airflow.db",
        "AIRFLOW_CONN_TASKWATCH_INBOX": json.dumps(inbox),
        "AIRFLOW__TASKWATCH__CALLBACK_BASE_URL": dmz_url,
    }
    port = dmz_url.rpartition(":")[2]
    command = [*TASKWATCH, "receiver", "--port", port]
    component = Component("receiver", command, env=env, log_folder=tmp_path)
    component.start()
    try:
        until(lambda: _is_ready(dmz_url), what="the receiver is ready", say=component.log_tail)
        yield component
    finally:
        component.kill()


def _is_ready(url: str) -> bool:
    try:
        return requests.get(f"{url}/ready", timeout=5).ok
    except requests.ConnectionError:
        return False


def test_a_callback_to_a_separate_receiver_ends_the_wait_with_one_poll(
    airflow: PrivateAirflow, sandbox: Sandbox, receiver: Component
) -> None:
    run = airflow.trigger("automic_callback_dmz", conf={"object": new_object(sandbox, duration=5.0)})

    assert run.wait() == "success"
    assert polls(sandbox, run) == 1


def test_the_check_command_sends_a_callback_through_to_the_inbox(airflow: PrivateAirflow) -> None:
    checked = airflow.command("check", "--callbacks", program=TASKWATCH)

    assert (checked.returncode, "in the inbox" in checked.stdout) == (0, True), checked.stdout + checked.stderr
