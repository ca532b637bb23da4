"""Automic's hook: Basic credentials in Latin-1, and the client in its paths."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from requests_mock import Mocker

from airflow_provider_taskwatch.core.error import ConfigurationError
from airflow_provider_taskwatch.hooks.automic import AutomicHook
from airflow_provider_taskwatch.sandbox.server import Running, running
from tests.hooks.conftest import AUTOMIC, TOKEN_URL, Connect
from tests.hooks.secret import SECRETS


def test_a_bare_host_gets_the_usual_path(connect: Connect) -> None:
    connect("x", AUTOMIC, host="ae.test", port=8088)
    assert AutomicHook("x").settings.base_url == "https://ae.test:8088/ae/api/v1"


def test_credentials_are_sent_in_latin_1(connect: Connect, requests_mock: Mocker) -> None:
    requests_mock.get("https://ae.test/ae/api/v1/x", json={})
    connect("x", AUTOMIC, login="100/MÜLLER/DEP", password="geheim§")
    AutomicHook("x").request("GET", "/x")
    assert requests_mock.last_request.headers["Authorization"] == "Basic MTAwL03cTExFUi9ERVA6Z2VoZWltpw=="


def test_a_password_that_latin_1_does_not_have_is_a_wrong_setting(connect: Connect) -> None:
    connect("x", AUTOMIC, password="hush €")
    with pytest.raises(ConfigurationError, match="contains a character that latin-1 does not have") as caught:
        AutomicHook("x").request("GET", "/x")
    assert "hush" not in str(caught.value)


def test_a_token_may_be_used_instead(connect: Connect, endpoint: Mocker) -> None:
    endpoint.get("https://ae.test/ae/api/v1/x", json={})
    connect("x", AUTOMIC, extra={"auth": "oauth2", "token_url": TOKEN_URL})
    AutomicHook("x").request("GET", "/x")
    assert endpoint.last_request.headers["Authorization"] == f"Bearer {SECRETS['token']}"


def test_a_wrong_password_is_reported(connect: Connect, requests_mock: Mocker) -> None:
    refusal = {"code": 401, "error": "Access denied"}
    requests_mock.get("https://ae.test/ae/api/v1/100/ping", json=refusal, status_code=401)
    requests_mock.get("https://ae.test/ae/api/v1/ping", json=refusal, status_code=401)
    requests_mock.get("https://ae.test/ae/api/v1/100/executions", json=refusal, status_code=401)
    connect("x", AUTOMIC)
    is_good, message = AutomicHook("x").test_connection()
    assert (is_good, "answered 401: " in message, "Access denied" in message) == (False, True, True)


def test_a_host_without_the_path_of_the_check_is_reported_with_a_remedy(
    connect: Connect, requests_mock: Mocker
) -> None:
    requests_mock.get("https://ae.test/ae/api/v1/ping", json={"error": "Not Found"}, status_code=404)
    connect("x", AUTOMIC)
    _, message = AutomicHook("x").test_connection()
    assert message.endswith("404: Not Found; check host, port and base path of the connection")


@pytest.fixture(scope="module")
def box() -> Iterator[Running]:
    with running() as one:
        yield one


def test_it_works_with_the_sandbox(box: Running, monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in box.environment().items():
        monkeypatch.setenv(name, value)
    is_good, message = AutomicHook().test_connection()
    assert (is_good, message.startswith(f"{box.url}/automic/ae/api/v1 by basic; ")) == (True, True)


def test_a_wrong_client_is_reported(box: Running, connect: Connect) -> None:
    content = box.connections()["automic_default"]
    connect("x", content, extra={**content["extra"], "client": "999"})
    is_good, message = AutomicHook("x").test_connection()
    assert (is_good, message.count("\n")) == (False, 0)


def test_executions_are_listed_page_by_page_as_the_engine_shows_them(connect: Connect, requests_mock: Mocker) -> None:
    pages = [
        {"json": {"data": [{"run_id": 9, "type": "CBCK"}, {"run_id": 8, "type": "CBCK"}], "hasmore": True}},
        {"json": {"data": [{"run_id": 7, "type": "CBCK"}], "hasmore": False}},
    ]
    requests_mock.get("https://ae.test/ae/api/v1/executions", pages)
    connect("x", AUTOMIC, extra={})

    assert [one["run_id"] for one in AutomicHook("x").list_executions(type="CBCK")] == [9, 8, 7]
    assert [one.qs.get("start_at_run_id") for one in requests_mock.request_history] == [None, ["8"]]
    assert all(one.qs["type"] == ["cbck"] for one in requests_mock.request_history)


def test_no_more_executions_are_listed_than_were_asked_for(connect: Connect, requests_mock: Mocker) -> None:
    page = {"data": [{"run_id": 9}, {"run_id": 8}], "hasmore": True}
    requests_mock.get("https://ae.test/ae/api/v1/executions", json=page)
    connect("x", AUTOMIC, extra={})

    assert [one["run_id"] for one in AutomicHook("x").list_executions(limit=1)] == [9]
    assert len(AutomicHook("x").list_executions(limit=5)) == 2  # the page that says again what is known is the last
