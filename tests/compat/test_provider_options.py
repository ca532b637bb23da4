"""Options of this provider, in Airflow's forms for secrets, in processes that no command of Airflow has started."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

pytestmark = [pytest.mark.process, pytest.mark.every_airflow]

SECRET = "a-secret-of-callbacks-0123456789abcdef"
POD = """
import airflow.sdk.execution_time.execute_workload
import airflow.sdk.execution_time.task_runner
from airflow_provider_taskwatch.config import option
print("callback_secrets:", option.text("callback_secrets"))
"""
"""What a pod of the KubernetesExecutor imports before a task reads an option."""
BACKEND = """
from airflow.secrets import BaseSecretsBackend

class Backend(BaseSecretsBackend):
    def get_config(self, key):
        return f"secret of {key}"
"""


def shown(home: Path, *command: str, **options: str) -> str:
    """What a process prints whose configuration is in its environment."""
    env = {name: value for name, value in os.environ.items() if not name.startswith("AIRFLOW__TASKWATCH__")}
    env |= {"AIRFLOW_HOME": str(home), "PYTHONPATH": str(home), **options}
    (home / "airflow.cfg").touch()  # where it is absent, Airflow looks at the providers by itself
    done = subprocess.run(command, env=env, capture_output=True, text=True, timeout=120, check=False)
    return done.stdout + done.stderr


def test_the_script_reads_an_option_that_a_command_prints(tmp_path: Path) -> None:
    text = shown(
        tmp_path,
        str(Path(sys.executable).with_name("taskwatch")),
        *("check", "--callbacks"),
        AIRFLOW__TASKWATCH__CALLBACK_SECRETS_CMD=f"echo {SECRET}",
        AIRFLOW__TASKWATCH__CALLBACK_BASE_URL="http://127.0.0.1:1/taskwatch",
        AIRFLOW__TASKWATCH__INBOX_URL=f"sqlite:///{tmp_path}/inbox.db",
    )
    assert "http://127.0.0.1:1" in text, text
    assert "a fresh secret" not in text, text  # it is offered where there is none


def test_a_pod_reads_an_option_that_a_command_prints(tmp_path: Path) -> None:
    text = shown(tmp_path, sys.executable, "-c", POD, AIRFLOW__TASKWATCH__CALLBACK_SECRETS_CMD=f"echo {SECRET}")
    assert f"callback_secrets: {SECRET}" in text, text


def test_a_pod_reads_an_option_that_a_secrets_backend_holds(tmp_path: Path) -> None:
    (tmp_path / "backend.py").write_text(BACKEND)
    text = shown(
        tmp_path,
        *(sys.executable, "-c", POD),
        AIRFLOW__SECRETS__BACKEND="backend.Backend",
        AIRFLOW__TASKWATCH__CALLBACK_SECRETS_SECRET="callbacks",
    )
    assert "callback_secrets: secret of callbacks" in text, text
