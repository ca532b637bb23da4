"""Settings: an invalid change is refused with the name of the setting, and nothing changes."""

from __future__ import annotations

import json
from dataclasses import asdict
from typing import Any

import pytest

from airflow_provider_taskwatch.core.error import ConfigurationError
from airflow_provider_taskwatch.core.wire import Call, send
from airflow_provider_taskwatch.sandbox.control import control
from airflow_provider_taskwatch.sandbox.remotes import REMOTES
from airflow_provider_taskwatch.sandbox.sandbox import Sandbox
from airflow_provider_taskwatch.sandbox.setting import check_settings
from tests.rows import each_row
from tests.sandbox.visitor import NOW

EVERY = [(remote, name) for remote in REMOTES for name in vars(remote.settings_type())]
SAMPLES: list[Any] = [None, True, "abc", "", -1, 0, 5, 0.5, float("nan"), float("inf"), 10**400, [], [1], {}, {"a": 1}]


def settings_of(sandbox: Sandbox) -> dict[str, Any]:
    return {name: asdict(remote.settings) for name, remote in sandbox.remotes.items()}


@each_row("remote", REMOTES)
def test_every_default_is_allowed(remote: Any) -> None:
    check_settings(remote.name, remote.settings_type, vars(remote.settings_type()))
    check_settings(remote.name, remote.settings_type, json.loads(json.dumps(asdict(remote.settings_type()))))


@each_row("remote, name", EVERY)
def test_no_setting_accepts_a_value_of_another_type(remote: Any, name: str, sandbox: Sandbox) -> None:
    """Some settings also accept null."""
    default = getattr(remote.settings_type(), name)
    alike: Any = (bool,) if isinstance(default, bool) else (int, float) if isinstance(default, (int, float)) else None
    for value in SAMPLES:
        if value is None or default is None or isinstance(value, alike or type(default)):
            continue
        with pytest.raises(ConfigurationError, match=f"{remote.name}: {name} must be "):
            sandbox.change({remote.name: {name: value}}, NOW)


@each_row(
    "system, settings, message",
    [
        ("acquia", {"token_lifetime": "x"}, "token_lifetime must be a number from 0 to 1e+10, not 'x'"),
        ("acquia", {"token_lifetime": True}, "token_lifetime must be a number"),
        ("acquia", {"token_expiry": "soon"}, "token_expiry must be one of expires_in, expires_on, absent, not 'soon'"),
        ("acquia", {"expired_status": 500}, "expired_status must be one of 401, 403, not 500"),
        ("acquia", {"shape": "round"}, "shape must be one of link, "),
        ("automic", {"list_lag": "abc"}, "list_lag must be a number from 0 to 1e+10, not 'abc'"),
        ("automic", {"language": "fr"}, "language must be one of en, de, not 'fr'"),
        ("automic", {"page_lines": 0}, "page_lines must be a whole number from 1 to 1e+10, not 0"),
        ("automic", {"reorganise_after": "x"}, "reorganise_after must be a number from 0 to 1e+10 or null, not 'x'"),
        ("automic", {"stopped_queues": "Q"}, "stopped_queues must be a list, each item a string, not 'Q'"),
        ("automic", {"accounts": [{"name": "x"}]}, "each item an object with client, user, department, password"),
        ("automic", {"accounts": [{"client": 100}]}, "each item an object with client, user, department, password"),
        ("automic", {"callback_interval_exp": False}, "callback_interval_exp must be one of 0, 1, 2, not False"),
        ("automic", {"callback_speed": 0}, "callback_speed must be a number from 1e-06 to 1e+10, not 0"),
        ("automic", [], "its settings must be an object"),
        ("acronis", {"nothing": 500}, "nothing must be one of 202, 200, 204, not 500"),
        ("acronis", {"expired_status": 9999}, "expired_status must be a whole number from 200 to 599, not 9999"),
        ("acronis", {"offset_paths": ["guide", "map"]}, "a list, each item one of guide, api"),
        ("acronis", {"tenants": {"a": 1}}, "tenants must be an object, each value a string"),
        ("aps", {"put": "add"}, "put must be one of replace, merge, not 'add'"),
        ("docplanner", {"release_enabled": "yes"}, "release_enabled must be true or false or null, not 'yes'"),
        ("docplanner", {"empty_answer": "205"}, "empty_answer must be one of 404, 204, 200-empty, 200-list"),
        ("docplanner", {"push_retries": "now"}, "push_retries must be one of none, "),
    ],
)
def test_the_error_for_a_wrong_value_names_its_setting(
    sandbox: Sandbox, system: str, settings: Any, message: str
) -> None:
    reply = control(sandbox, send("POST", "/settings", {system: settings}), NOW)
    content: Any = reply.json()
    assert (reply.status, message in content["error"]) == (400, True), content


def test_no_part_of_a_refused_change_is_applied(sandbox: Sandbox) -> None:
    before = settings_of(sandbox)
    changes = {"acquia": {"token_lifetime": 3, "list_lag": 2}, "automic": {"page_lines": 9, "language": "fr"}}
    with pytest.raises(ConfigurationError, match="automic: language"):
        sandbox.change(changes, NOW)
    assert settings_of(sandbox) == before


def test_a_refusal_contains_no_secret(sandbox: Sandbox) -> None:
    with pytest.raises(ConfigurationError) as raised:
        sandbox.change({"acquia": {"clients": {"id": ["hush-hush"]}}}, NOW)
    assert "hush" not in str(raised.value)


def test_a_number_that_python_cannot_read_is_refused(sandbox: Sandbox) -> None:
    body = b'{"acquia": {"list_lag": ' + b"9" * 400 + b"}}"
    assert control(sandbox, Call(method="POST", path="/settings", body=body), NOW).status == 400
