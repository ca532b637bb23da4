"""The names in users' configuration: options, connections, commands."""

from __future__ import annotations

from typing import Any

from airflow_provider_taskwatch.cli import get_commands
from airflow_provider_taskwatch.get_provider_info import get_provider_info

INFO = get_provider_info()

OPTIONS = {
    "profiles_folder": None,
    "default_deferrable": "True",
    "callback_base_url": None,
    "callback_secrets": None,
    "require_https": "True",
    "inbox_url": None,
    "inbox_keys": None,
    "inbox_retention_days": "14",
}
SECRET_OPTIONS = {"callback_secrets", "inbox_url", "inbox_keys"}

TRANSPORT: dict[str, Any] = {
    "reject_403": False,
    "verify": True,
    "ca_bundle": None,
    "proxy": None,
    "patience": 10.0,
    "connect_timeout": 10.0,
    "read_timeout": 30.0,
    "concurrency": 16,
    "rate_limit": None,
    "ui_url": None,
}
OAUTH2: dict[str, Any] = {
    "token_url": None,
    "scope": None,
    "audience": None,
    "token_params": None,
    "client_auth": "form",
    **TRANSPORT,
}
CONNECTIONS: dict[str, dict[str, Any]] = {
    "taskwatch": {
        "profile": None,
        "secrets": None,
        "api_key_in": "header",
        "api_key_name": "X-Api-Key",
        "api_key_prefix": None,
        "auth": "oauth2",
        **OAUTH2,
    },
    "acquia": {"organization": None, "auth": "oauth2", **OAUTH2},
    "automic": {"client": None, "auth": "basic", **OAUTH2},
    "acronis": {
        "environment": None,
        "many_values": "repeated",
        "auth": "oauth2",
        **OAUTH2,
        "client_auth": "basic",
    },
    "aps": {
        "package_id": None,
        "service": None,
        "path": "service",
        "manager_id": None,
        "locale": None,
        "resource_id": None,
        "auth": "oauth1",
        **TRANSPORT,
    },
    "docplanner": {
        "delivery": "pull",
        "store_payload": "ids",
        "denial_code": None,
        "auth": "oauth2",
        **OAUTH2,
    },
}
"""The extra fields of each connection type, and their defaults."""

HOOKS = {
    "taskwatch": "airflow_provider_taskwatch.hooks.rest.RestHook",
    "acquia": "airflow_provider_taskwatch.hooks.acquia.AcquiaHook",
    "automic": "airflow_provider_taskwatch.hooks.automic.AutomicHook",
    "acronis": "airflow_provider_taskwatch.hooks.acronis.AcronisHook",
    "aps": "airflow_provider_taskwatch.hooks.aps.ApsHook",
    "docplanner": "airflow_provider_taskwatch.hooks.docplanner.DocplannerHook",
}

CLIENT_AUTHS = ["form", "basic", "basic_encoded"]
CHOICES = {
    ("taskwatch", "api_key_in"): ["header", "query", "cookie"],
    ("taskwatch", "auth"): ["oauth2", "oauth1", "basic", "bearer", "api_key"],
    ("taskwatch", "client_auth"): CLIENT_AUTHS,
    ("acquia", "auth"): ["oauth2", "bearer"],
    ("acquia", "client_auth"): CLIENT_AUTHS,
    ("automic", "auth"): ["basic", "oauth2", "bearer"],
    ("automic", "client_auth"): CLIENT_AUTHS,
    ("acronis", "auth"): ["oauth2", "bearer"],
    ("acronis", "client_auth"): CLIENT_AUTHS,
    ("acronis", "many_values"): ["repeated", "or"],
    ("aps", "auth"): ["oauth1", "aps_token"],
    ("aps", "path"): ["service", "resource"],
    ("docplanner", "auth"): ["oauth2"],
    ("docplanner", "client_auth"): CLIENT_AUTHS,
    ("docplanner", "delivery"): ["pull", "push"],
    ("docplanner", "store_payload"): ["ids", "full"],
}

COMMANDS: dict[str, dict[str, Any]] = {
    "sandbox": {"--host": "127.0.0.1", "--port": 8900, "--state": None, "--token-lifetime": 300.0, "--profile": None},
    "check": {"conn_id": None, "--callbacks": None},
    "profile": {"action": "list", "profile": None, "exchange": None, "--schema": None},
    "watch": {"conn_id": None, "ref": None, "--timeout": None, "--profile": None, "--input": None},
    "receiver": {"--host": "127.0.0.1", "--port": 8901},
    "push-url": {"conn_id": None, "--api-key": None},
    "inbox": {"action": "status", "--older-than-days": None, "--sealed": None, "--raw": None},
    "adopt": {
        "dag_id": None,
        "run_id": None,
        "task_id": None,
        "ref": None,
        "--map-index": -1,
        "--force": None,
    },
}
"""The arguments of each command, and their defaults."""


def test_the_options_and_their_defaults_are_these() -> None:
    assert list(INFO["config"]) == ["taskwatch"]
    options = INFO["config"]["taskwatch"]["options"]
    assert {name: one["default"] for name, one in options.items()} == OPTIONS
    assert {name for name, one in options.items() if one.get("sensitive")} == SECRET_OPTIONS


def test_the_connection_types_their_hooks_fields_and_defaults_are_these() -> None:
    types = {one["connection-type"]: one for one in INFO["connection-types"]}
    assert {name: one["hook-class-name"] for name, one in types.items()} == HOOKS
    fields = {
        name: {field: content["schema"].get("default") for field, content in one["conn-fields"].items()}
        for name, one in types.items()
    }
    assert fields == CONNECTIONS


def test_the_choices_of_connection_fields_are_these() -> None:
    choices = {
        (one["connection-type"], name): field["schema"]["enum"]
        for one in INFO["connection-types"]
        for name, field in one["conn-fields"].items()
        if "enum" in field["schema"]
    }
    assert choices == CHOICES


def test_the_commands_and_their_arguments_are_these() -> None:
    [group] = get_commands()
    assert group.name == "taskwatch"
    commands = {one.name: {arg.flags[0]: arg.kwargs.get("default") for arg in one.args} for one in group.subcommands}
    assert commands == COMMANDS
    choices = {
        one.name: arg.kwargs["choices"] for one in group.subcommands for arg in one.args if arg.flags == ("action",)
    }
    assert choices == {"inbox": ("status", "prune", "show", "key"), "profile": ("list", "show", "check", "try")}
