"""Options of this provider in the console script, in the forms that Airflow has for secrets."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from airflow_provider_taskwatch.core.connection import RawConnection, read_connection
from airflow_provider_taskwatch.remotes import REMOTES, load

SECRET = "a-secret-of-callbacks-0123456789abcdef"
PAGE = Path(__file__).parents[2] / "docs" / "versions.md"


@pytest.mark.process
@pytest.mark.every_airflow
def test_the_script_reads_an_option_that_a_command_prints(tmp_path: Path) -> None:
    """Airflow 3.1 knows that the option has this form only when it was asked to look at providers."""
    env = {
        **{name: value for name, value in os.environ.items() if not name.startswith("AIRFLOW")},
        "AIRFLOW_HOME": str(tmp_path),
        "AIRFLOW__TASKWATCH__CALLBACK_SECRETS_CMD": f"echo {SECRET}",
        "AIRFLOW__TASKWATCH__CALLBACK_BASE_URL": "http://127.0.0.1:1/taskwatch",
        "AIRFLOW__TASKWATCH__INBOX_URL": f"sqlite:///{tmp_path}/inbox.db",
    }
    script = Path(sys.executable).with_name("taskwatch")
    command = [str(script), "check", "--callbacks"]
    for _ in range(2):  # the first one writes airflow.cfg, for which Airflow looks at the providers by itself
        checked = subprocess.run(command, env=env, capture_output=True, text=True, timeout=120, check=False)
    shown = checked.stdout + checked.stderr
    assert "a fresh secret" not in shown, shown  # it is offered where there is none


def test_the_connections_of_the_page_can_be_read() -> None:
    text = PAGE.read_text()
    automic, oauth2 = map(json.loads, re.findall(r"```json\n(.*?)```", text, re.DOTALL))
    [variable] = re.findall(r"AIRFLOW_CONN_AUTOMIC_DEFAULT='(.*?)'", text, re.DOTALL)
    [extra] = re.findall(r"--conn-extra '(.*?)'", text)
    assert json.loads(variable)["extra"] == json.loads(extra) == automic
    for connection_type, fields in (("automic", automic), ("taskwatch", oauth2)):
        raw = RawConnection(
            conn_id="c",
            conn_type=connection_type,
            host="https://api.example.com",
            login="100/USER/DEPT",
            password="a-password",
            extra=json.dumps(fields),
        )
        settings = read_connection(load(REMOTES.rows[connection_type].form), raw)
        assert settings.own.get("client", settings.token_url) == fields.get("client", fields.get("token_url"))
