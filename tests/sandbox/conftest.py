from __future__ import annotations

from typing import Any

import pytest

from airflow_provider_taskwatch.sandbox.sandbox import Sandbox
from tests.sandbox.visitor import CLIENT, NOW, Visitor, basic, token_call


@pytest.fixture
def sandbox() -> Sandbox:
    return Sandbox()


@pytest.fixture
def stranger(sandbox: Sandbox) -> Visitor:
    """Asks Acquia without a token."""
    return Visitor(sandbox, "acquia", "/api", {})


@pytest.fixture
def acquia(sandbox: Sandbox, stranger: Visitor) -> Visitor:
    token: Any = stranger.ask(token_call(CLIENT)).json()
    return Visitor(sandbox, "acquia", "/api", {"Authorization": f"Bearer {token['access_token']}"})


@pytest.fixture
def automic(sandbox: Sandbox) -> Visitor:
    headers = {"Authorization": basic("100/AIRFLOW/AIRFLOW", "sandbox-secret")}
    return Visitor(sandbox, "automic", "/ae/api/v1", headers)


@pytest.fixture
def acronis(sandbox: Sandbox) -> Visitor:
    stranger = Visitor(sandbox, "acronis", "", {"Authorization": basic("sandbox-id", "sandbox-secret")})
    token: Any = stranger.ask(token_call({}, path="/api/2/idp/token")).json()
    return Visitor(sandbox, "acronis", "", {"Authorization": f"Bearer {token['access_token']}"})


@pytest.fixture
def docplanner(sandbox: Sandbox) -> Visitor:
    """Its token outlives every test, as some of them last for days."""
    sandbox.change({"docplanner": {"token_lifetime": 1e9}}, NOW)
    visitor = Visitor(sandbox, "docplanner", "", {})
    token: Any = visitor.ask(token_call(CLIENT, path="/oauth/v2/token")).json()
    headers = {"Authorization": f"Bearer {token['access_token']}", "User-Agent": "test"}
    return Visitor(sandbox, "docplanner", "/api/v3/integration", headers)
