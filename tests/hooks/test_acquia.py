"""Acquia's hook: its token, its scope, and what it says where the organization is missing."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from requests_mock import Mocker

from airflow_provider_taskwatch.core.error import ConfigurationError, RemoteError
from airflow_provider_taskwatch.hooks.acquia import AcquiaHook
from airflow_provider_taskwatch.sandbox.server import Running, running
from airflow_provider_taskwatch.systems.acquia.system import Acquia
from tests.hooks.conftest import ACQUIA, TOKEN_URL, Connect
from tests.hooks.secret import SECRETS

ORGANIZATION = "a47ac10b-58cc-4372-a567-0e02b2c3d470"


def test_the_connection_needs_a_key_and_a_secret_only(connect: Connect) -> None:
    connect("acquia_default", {"conn_type": "acquia", "login": "key", "password": SECRETS["password"]})
    settings = AcquiaHook().settings
    assert settings.base_url == "https://cloud.acquia.com/api"
    assert settings.token_url == "https://accounts.acquia.com/api/auth/oauth/token"


def test_the_organization_becomes_the_scope(connect: Connect, endpoint: Mocker) -> None:
    connect("x", ACQUIA, extra={"token_url": TOKEN_URL, "organization": ORGANIZATION})
    AcquiaHook("x").get_token()
    assert f"scope=organization%3A{ORGANIZATION}" in endpoint.last_request.text


def test_the_test_reads_the_account(connect: Connect, endpoint: Mocker) -> None:
    endpoint.get("https://acquia.test/api/account", json={"id": "x"})
    connect("x", ACQUIA)
    is_good, message = AcquiaHook("x").test_connection()
    assert is_good
    assert message.endswith(f"obtained from {TOKEN_URL}; the token is accepted and the account can be read")


@pytest.mark.parametrize("status", [401, 403, 404])
def test_a_missing_organization_is_reported_with_the_remedy(connect: Connect, endpoint: Mocker, status: int) -> None:
    slug = {"error": "additional_authentication_required", "message": "Sign in through your organization."}
    endpoint.get("https://acquia.test/api/account", json=slug, status_code=status)
    connect("x", ACQUIA)
    is_good, message = AcquiaHook("x").test_connection()
    assert not is_good
    assert f"answered {status}: additional_authentication_required: Sign in" in message
    assert message.endswith("set 'organization' in the connection to its UUID")


def test_another_refusal_is_reported_unchanged(connect: Connect, endpoint: Mocker) -> None:
    refusal = {"error": "forbidden", "message": "You may not."}
    endpoint.get("https://acquia.test/api/account", json=refusal, status_code=403)
    connect("x", ACQUIA)
    assert AcquiaHook("x").test_connection() == (
        False,
        "acquia.test/api: GET /account answered 403: forbidden: You may not.",
    )


def test_a_page_instead_of_the_account_is_reported(connect: Connect, endpoint: Mocker) -> None:
    endpoint.get("https://acquia.test/api/account", text="<html>Sign in</html>")
    connect("x", ACQUIA)
    message = "acquia.test/api: the reply to GET /account (200) is not JSON: <html>Sign in</html>"
    assert AcquiaHook("x").test_connection() == (False, message)


def test_basic_authentication_is_not_offered(connect: Connect) -> None:
    connect("x", ACQUIA, extra={"auth": "basic"})
    with pytest.raises(ConfigurationError, match="extra 'auth' must be one of oauth2, bearer"):
        AcquiaHook("x").get_token()


def test_the_page_of_a_task_comes_from_the_template(connect: Connect) -> None:
    connect("x", ACQUIA, extra={"ui_url": "https://ui.test/tasks/{ref}"})
    assert AcquiaHook("x").page("a-1") == "https://ui.test/tasks/a-1"
    connect("y", ACQUIA)
    assert AcquiaHook("y").page("a-1") == ""


@pytest.fixture(scope="module")
def box() -> Iterator[Running]:
    with running() as one:
        yield one


def test_it_works_with_the_sandbox(box: Running, monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in box.environment().items():
        monkeypatch.setenv(name, value)
    assert AcquiaHook().test_connection()[0]
    box.sandbox.change({"acquia": {"require_scope": True}}, 0)
    assert "set 'organization'" in AcquiaHook().test_connection()[1]


def test_an_expired_token_that_is_answered_403_is_renewed_and_the_start_sent_once_more(
    connect: Connect, endpoint: Mocker
) -> None:
    expired = {"error": "unauthorized", "message": "The access token has expired."}
    started = {"_links": {"notification": {"href": "https://acquia.test/api/notifications/1bd3"}}}
    url = "https://acquia.test/api/environments/12-ab/databases"
    endpoint.post(url, [{"status_code": 403, "json": expired}, {"status_code": 202, "json": started}])
    endpoint.post(TOKEN_URL, [{"json": {"access_token": one}} for one in ("old", "new")])
    connect("x", ACQUIA)
    assert AcquiaHook("x").run(Acquia().start("POST", "environments/12-ab/databases")).ref == "1bd3"
    assert [request.method for request in endpoint.request_history if request.url == url] == ["POST", "POST"]
    assert len([request for request in endpoint.request_history if "/token" in request.url]) == 2


def test_a_missing_permission_is_not_asked_for_twice(connect: Connect, endpoint: Mocker) -> None:
    refusal = {"error": "unauthorized", "message": "You do not have permission to do this."}
    endpoint.post("https://acquia.test/api/environments/12-ab/databases", status_code=403, json=refusal)
    connect("x", ACQUIA)
    with pytest.raises(RemoteError, match="403: unauthorized: You do not have permission"):
        AcquiaHook("x").run(Acquia().start("POST", "environments/12-ab/databases"))
    assert len(endpoint.request_history) == 2


def test_a_base_path_that_is_not_as_usual_is_named_where_a_path_is_unknown(connect: Connect, endpoint: Mocker) -> None:
    endpoint.post("https://acquia.test/v2/environments/12-ab/databases", status_code=404, text="<h1>Not Found</h1>")
    connect("x", ACQUIA, host="https://acquia.test/v2")
    message = r"^acquia.test/v2: POST /environments/12-ab/databases answered 404: .*is '/v2', and usually '/api'$"
    with pytest.raises(RemoteError, match=message):
        AcquiaHook("x").run(Acquia().start("POST", "environments/12-ab/databases"))
