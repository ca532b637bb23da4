from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import yaml

from airflow_provider_taskwatch.command.sandbox import play as play_found
from airflow_provider_taskwatch.core.error import ConfigurationError
from airflow_provider_taskwatch.sandbox.__main__ import play as play_file
from airflow_provider_taskwatch.sandbox.sandbox import Sandbox
from airflow_provider_taskwatch.sandbox.server import running
from tests.sandbox.profile.profiles import QUEUE, WORKFLOW


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "ci.yaml"
    path.write_text(yaml.safe_dump({name: one for name, one in WORKFLOW.items() if name != "name"}))
    return path


def test_a_file_without_a_name_is_served_under_that_of_the_file(file: Path) -> None:
    one, other = Sandbox(), Sandbox()
    play_found(one, str(file))
    play_file(other, file)
    found: list[Any] = [sandbox.remotes["ci"].connection("http://s") for sandbox in (one, other)]
    assert found[0] == found[1]
    assert found[0]["host"] == "http://s/ci"
    assert found[0]["extra"]["profile"] == str(file)


def test_several_profiles_are_served_at_once_with_their_connections(file: Path) -> None:
    sandbox = Sandbox()
    play_found(sandbox, str(file))
    sandbox.play(QUEUE)
    with running(sandbox) as box:
        found = box.connections()
        assert found["ci_default"]["host"] == f"{box.url}/ci"
        assert found["queue_default"]["host"] == f"{box.url}/queue"
        assert json.loads(box.environment()["AIRFLOW_CONN_QUEUE_DEFAULT"])["login"] == "sandbox-id"


def test_a_file_that_is_no_profile_is_an_error_that_names_it(tmp_path: Path) -> None:
    for name, text in (("a.yaml", "{"), ("b.yaml", "[]"), ("c.yaml", "preset: http-202"), ("d.yaml", "profile: 1")):
        path = tmp_path / name
        path.write_text(text)
        with pytest.raises(ConfigurationError, match=str(path)):
            play_file(Sandbox(), path)
    with pytest.raises(ConfigurationError, match="cannot be read"):
        play_file(Sandbox(), tmp_path / "absent.yaml")
    (tmp_path / "e.yaml").write_text(yaml.safe_dump({**WORKFLOW, "retries": 3}))
    with pytest.raises(ConfigurationError, match="unknown field"):
        play_found(Sandbox(), str(tmp_path / "e.yaml"))
