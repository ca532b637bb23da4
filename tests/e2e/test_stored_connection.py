"""Connections that are stored in Airflow instead of environment variables."""

from __future__ import annotations

import json
import subprocess

from airflow_provider_taskwatch.sandbox.sandbox import Sandbox
from airflow_provider_taskwatch.sandbox.server import Running
from demo.airflow import TASKWATCH, PrivateAirflow
from tests.e2e.test_main_job import new_object


def test_a_stored_connection_serves_the_commands_the_workers_and_the_triggerer(
    airflow: PrivateAirflow, sandbox: Sandbox, served: Running
) -> None:
    content = json.dumps(served.connections()["automic_default"])
    added = airflow.command("connections", "add", "stored_automic", "--conn-json", content)
    assert added.returncode == 0, added.stderr

    checked = airflow.command("check", "stored_automic", program=TASKWATCH)
    assert (checked.returncode, "ok  read" in checked.stdout) == (0, True)

    run = airflow.trigger("automic_stored", conf={"object": new_object(sandbox)})
    assert run.wait() == "success"


def test_a_stored_connection_names_the_inbox(airflow: PrivateAirflow) -> None:
    path = f"{airflow.home}/./taskwatch-inbox.db"
    content = json.dumps({"conn_type": "sqlite", "host": path})
    added = airflow.command("connections", "add", "taskwatch_inbox", "--conn-json", content)
    assert added.returncode == 0, added.stderr

    shown = subprocess.run(
        [*TASKWATCH, "inbox"],
        env={name: value for name, value in airflow.env.items() if name != "AIRFLOW_CONN_TASKWATCH_INBOX"},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=60,
        check=True,
    )
    assert f"the inbox sqlite:///{path}" in shown.stdout.splitlines()
    assert airflow.command("connections", "delete", "taskwatch_inbox").returncode == 0
