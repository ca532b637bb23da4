"""Connections in environment variables, as users keep them in their own tests."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest
from requests_mock import Mocker

from tests.hooks.secret import SECRETS

Connect = Callable[..., None]

TOKEN_URL = "https://id.test/token"
ACQUIA = {
    "conn_type": "acquia",
    "host": "https://acquia.test/api",
    "login": "key",
    "password": SECRETS["password"],
    "extra": {"token_url": TOKEN_URL},
}
AUTOMIC = {
    "conn_type": "automic",
    "host": "https://ae.test",
    "login": "100/USER/DEP",
    "password": SECRETS["password"],
    "extra": {"client": "100"},
}
ACRONIS = {
    "conn_type": "acronis",
    "host": "https://dc.test",
    "login": "client",
    "password": SECRETS["password"],
}
GENERAL = {
    "conn_type": "taskwatch",
    "host": "https://api.test/v1",
    "login": "our-id",
    "password": SECRETS["password"],
    "extra": {"token_url": TOKEN_URL, "token_params": {"pin": SECRETS["param"]}},
}


@pytest.fixture
def connect(monkeypatch: pytest.MonkeyPatch) -> Connect:
    """Sets a connection: a mapping with changes, or the raw text of the variable."""

    def put(conn_id: str, content: Any, **changes: Any) -> None:
        text = content if isinstance(content, str) else json.dumps({**content, **changes})
        monkeypatch.setenv(f"AIRFLOW_CONN_{conn_id.upper()}", text)

    return put


@pytest.fixture
def endpoint(requests_mock: Mocker) -> Mocker:
    """The remote of all connections here: its token endpoint answers."""
    requests_mock.post(TOKEN_URL, json={"access_token": SECRETS["token"], "expires_in": 300})
    return requests_mock


@pytest.fixture(autouse=True)
def no_secret_is_shown(caplog: pytest.LogCaptureFixture, capfd: pytest.CaptureFixture[str]) -> Any:
    """Whatever a test does, neither the log nor the output may show a secret."""
    caplog.set_level("DEBUG")
    yield
    output = caplog.text + "".join(capfd.readouterr())
    assert not [name for name, secret in SECRETS.items() if secret in output]
