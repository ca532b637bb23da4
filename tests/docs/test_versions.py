"""The connections of the page on versions, read as a hook reads them."""

from __future__ import annotations

import json
import re
import shlex
from pathlib import Path

import pytest
from airflow.sdk import Connection
from airflow.secrets.environment_variables import EnvironmentVariablesBackend

from airflow_provider_taskwatch.config.connection import settings_of
from airflow_provider_taskwatch.core.settings import Settings
from airflow_provider_taskwatch.remotes import REMOTES

PAGE = Path(__file__).parents[2] / "docs" / "versions.md"


def blocks(language: str) -> list[str]:
    return re.findall(rf"^```{language}\n(.*?)^```$", PAGE.read_text(), re.DOTALL | re.MULTILINE)


def by_command(script: str) -> tuple[str, dict[str, str]]:
    """The id and the fields of the connection that ``airflow connections add`` adds."""
    _, _, _, conn_id, *options = shlex.split(script.partition("export ")[0].replace("\\\n", " "))
    names = [name.removeprefix("--conn-").replace("type", "conn_type") for name in options[::2]]
    return conn_id, dict(zip(names, options[1::2], strict=True))


def by_variable(script: str, conn_id: str, monkeypatch: pytest.MonkeyPatch) -> Settings:
    """The connection of an environment variable, as Airflow reads it."""
    name, _, value = shlex.split(script.partition("export ")[2])[0].partition("=")
    monkeypatch.setenv(name, value)
    connection = EnvironmentVariablesBackend().get_connection(conn_id)
    assert connection is not None, name
    return settings_of(connection, REMOTES.form_of(conn_id, connection.conn_type))


def by_extra(extra: str, conn_id: str, fields: dict[str, str]) -> Settings:
    """The connection of a command, with what the form takes as *Extra Fields JSON*."""
    connection = Connection(conn_id=conn_id, **fields | {"extra": extra})
    return settings_of(connection, REMOTES.form_of(conn_id, fields["conn_type"]))


def test_form_command_and_variable_make_the_same_connection(monkeypatch: pytest.MonkeyPatch) -> None:
    made = {}
    for extra, script in zip(blocks("json"), blocks("bash"), strict=True):
        conn_id, fields = by_command(script)
        made[conn_id] = by_extra(extra, conn_id, fields)
        assert by_extra(fields["extra"], conn_id, fields) == made[conn_id]
        assert by_variable(script, conn_id, monkeypatch) == made[conn_id]
        assert json.loads(fields["extra"]) == json.loads(extra)
    assert list(made) == ["automic_default", "jobs_api"]
    assert made["automic_default"].own["client"] == "100"
    api = made["jobs_api"]
    assert (api.token_url, api.scope) == ("https://id.example.com/oauth/token", "jobs.read jobs.write")
