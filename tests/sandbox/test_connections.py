from __future__ import annotations

import json
import shlex

from airflow_provider_taskwatch.sandbox.connections import banner, commands, connections, environment
from airflow_provider_taskwatch.sandbox.sandbox import Sandbox

URL = "http://127.0.0.1:8787"
REMOTES = tuple(Sandbox().remotes.values())


def test_connections_lead_into_the_sandbox() -> None:
    found = connections(URL, REMOTES)
    assert set(found) == {*(f"{remote.name}_default" for remote in REMOTES), "aps_other"}
    assert found["acquia_default"]["extra"]["token_url"] == f"{URL}/acquia/api/auth/oauth/token"
    assert found["automic_default"]["host"] == f"{URL}/automic/ae/api/v1"
    assert found["automic_default"]["login"] == "100/AIRFLOW/AIRFLOW"
    assert found["aps_default"]["host"] == found["aps_other"]["host"] == f"{URL}/aps"
    assert found["docplanner_default"]["extra"]["token_url"] == f"{URL}/docplanner/oauth/v2/token"


def test_the_environment_holds_the_connections_as_json() -> None:
    found = environment(URL, REMOTES)
    assert json.loads(found["AIRFLOW_CONN_ACQUIA_DEFAULT"]) == connections(URL, REMOTES)["acquia_default"]


def test_commands_are_quoted_for_the_shell() -> None:
    parts = shlex.split(commands(URL, REMOTES)[1])
    assert parts[:5] == ["airflow", "connections", "add", "automic_default", "--conn-json"]
    assert json.loads(parts[5]) == connections(URL, REMOTES)["automic_default"]


def test_the_banner_says_that_it_is_an_emulator() -> None:
    assert "an emulator, not the vendors' software" in banner(URL, REMOTES)
    assert "export AIRFLOW_CONN_ACQUIA_DEFAULT='{" in banner(URL, REMOTES)


def test_no_text_in_an_extra_is_too_short_to_be_masked() -> None:
    """Airflow warns before every command of each text with fewer than five characters."""
    extras = [found.get("extra", {}) for found in connections(URL, REMOTES).values()]
    texts = [item for extra in extras for item in extra.values() if isinstance(item, str)]
    assert [text for text in texts if len(text) < 5] == []
    assert connections(URL, REMOTES)["automic_default"]["extra"]["client"] == 100
