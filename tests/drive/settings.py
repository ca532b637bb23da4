"""Connections to the servers of these tests."""

from __future__ import annotations

import json
from typing import Any

from airflow_provider_taskwatch.core.connection import RawConnection, read_connection
from airflow_provider_taskwatch.core.settings import Settings
from airflow_provider_taskwatch.sandbox.server import Running
from airflow_provider_taskwatch.systems.acquia.form import FORM
from tests.drive.station import Station


def acquia_settings(box: Running) -> Settings:
    """The connection to the sandbox's Acquia."""
    content = box.connections()["acquia_default"]
    kept = {name: content[name] for name in ("conn_type", "host", "login", "password")}
    return read_connection(FORM, RawConnection(conn_id="acquia_default", extra=json.dumps(content["extra"]), **kept))


def settings_for(remote: Station | str, **changes: Any) -> Settings:
    """A connection to a station, with a ready bearer token and short timeouts."""
    values: dict[str, Any] = {
        "conn_id": "remote",
        "connection_type": "taskwatch",
        "base_url": remote if isinstance(remote, str) else remote.url,
        "auth": "bearer",
        "login": "",
        "password": "ready-token",
        "connect_timeout": 0.5,
        "read_timeout": 0.5,
    }
    return Settings(**{**values, **changes})


def oauth2_settings(remote: Station | str, **changes: Any) -> Settings:
    """A connection whose tokens come from ``/token`` of the same station."""
    url = remote if isinstance(remote, str) else remote.url
    values = {"auth": "oauth2", "login": "our-id", "password": "s3cret&more", "token_url": f"{url}/token"}
    return settings_for(url, **{**values, **changes})
