"""The general hook, as a user would test code around it: with requests-mock and a connection in a variable."""

from __future__ import annotations

import json
import logging
import re
from datetime import UTC, datetime
from typing import Any
from urllib.parse import parse_qs

import pytest
import requests
import requests_mock
from requests_mock import Mocker

from airflow_provider_taskwatch.core.error import (
    ConfigurationError,
    NotFoundError,
    RemoteError,
    ReplyError,
    TokenError,
    TransportError,
)
from airflow_provider_taskwatch.core.flow import ask, ask_json
from airflow_provider_taskwatch.core.wire import get
from airflow_provider_taskwatch.hooks.acquia import AcquiaHook
from airflow_provider_taskwatch.hooks.automic import AutomicHook
from airflow_provider_taskwatch.hooks.taskwatch import TaskWatchHook
from tests.drive.station import http, station
from tests.hooks.conftest import ACQUIA, AUTOMIC, GENERAL, TOKEN_URL, Connect
from tests.hooks.secret import SECRETS, is_clean

API = "https://api.test/v1"
PLACE, TOKEN_PLACE = "api.test/v1", "id.test/token"


@pytest.fixture
def hook(connect: Connect, endpoint: Mocker) -> TaskWatchHook:
    connect("api", GENERAL)
    return TaskWatchHook("api")


# --- tokens and requests


def test_get_token_gives_the_bare_token_and_asks_once(hook: TaskWatchHook, endpoint: Mocker) -> None:
    assert [hook.get_token(), hook.get_token()] == [SECRETS["token"]] * 2
    assert endpoint.call_count == 1
    assert parse_qs(endpoint.last_request.text) == {
        "grant_type": ["client_credentials"],
        "pin": [SECRETS["param"]],
        "client_id": ["our-id"],
        "client_secret": [SECRETS["password"]],
    }


def test_a_ready_token_is_given_as_it_is(connect: Connect) -> None:
    connect("api", GENERAL, login=None, extra={"auth": "bearer"})
    assert TaskWatchHook("api").get_token() == SECRETS["password"]


@pytest.mark.parametrize("auth, message", [("basic", "uses Basic authentication"), ("oauth1", "signs each request")])
def test_some_ways_to_authenticate_have_no_token(connect: Connect, auth: str, message: str) -> None:
    connect("api", GENERAL, extra={"auth": auth})
    with pytest.raises(ConfigurationError, match=f"connection 'api' {message}: it has no token"):
        TaskWatchHook("api").get_token()


def test_a_request_may_be_signed_by_oauth_1(connect: Connect, requests_mock: Mocker) -> None:
    requests_mock.get(f"{API}/jobs/1", json={})
    connect("api", GENERAL, extra={"auth": "oauth1"})
    TaskWatchHook("api").request("GET", "/jobs/1")
    sent = requests_mock.last_request.headers["Authorization"]
    assert sent.startswith("OAuth ")
    assert 'oauth_consumer_key="our-id"' in sent


def test_a_request_carries_the_token_and_returns_the_reply(hook: TaskWatchHook, endpoint: Mocker) -> None:
    endpoint.post(f"{API}/jobs?dry=true", json={"id": 7}, status_code=201)
    reply = hook.request("POST", "/jobs", json={"name": "x"}, query={"dry": True}, headers={"X-Our": "y"})
    sent = endpoint.last_request
    assert (reply.status, reply.json()) == (201, {"id": 7})
    assert (sent.json(), sent.headers["X-Our"]) == ({"name": "x"}, "y")
    assert sent.headers["Authorization"] == f"Bearer {SECRETS['token']}"


@pytest.mark.parametrize("method, path", [("GET", "/jobs/1"), ("get", "jobs/1")])
def test_a_read_has_no_body(hook: TaskWatchHook, endpoint: Mocker, method: str, path: str) -> None:
    endpoint.get(f"{API}/jobs/1", json={"state": "done"})
    assert hook.request(method, path).json() == {"state": "done"}
    assert (endpoint.last_request.body, "Content-Type" in endpoint.last_request.headers) == (None, False)


@pytest.mark.parametrize("path", ["https://evil.test/x", "@evil.test/x", ".evil.test", "//evil.test/x"])
def test_a_path_never_leads_to_another_host(hook: TaskWatchHook, endpoint: Mocker, path: str) -> None:
    endpoint.get(re.compile("https://api.test/"), json={})
    hook.request("GET", path)
    assert endpoint.last_request.hostname == "api.test"


@pytest.mark.parametrize(
    "path, query, target",
    [
        ("/jobs?state=open", {"page": 2}, "/v1/jobs?state=open&page=2"),
        ("/jobs?state=a b", {"q": "ü&"}, "/v1/jobs?state=a%20b&q=%C3%BC%26"),
        ("/jobs?", {"page": 2}, "/v1/jobs?page=2"),
        ("/jobs", {"page": None, "ids": ["a", None, 2]}, "/v1/jobs?ids=a&ids=2"),
        ("/jobs", {"all": None, "none": []}, "/v1/jobs"),
        ("/jobs", {"share": 1.5, "is": True, "no": False, "n": 0}, "/v1/jobs?share=1.5&is=true&no=false&n=0"),
        ("/jobs", {"ids": (1, 2)}, "/v1/jobs?ids=1&ids=2"),
        ("/jobs", {"ids": {"b", "a"}}, "/v1/jobs?ids=a&ids=b"),
        ("/jobs", {"ids": (n for n in "ab")}, "/v1/jobs?ids=a&ids=b"),
        ("/jobs", {"empty": ""}, "/v1/jobs?empty="),
    ],
)
def test_a_query_is_one_wherever_it_stands(
    hook: TaskWatchHook, endpoint: Mocker, path: str, query: Any, target: str
) -> None:
    endpoint.get(requests_mock.ANY, json={})
    hook.request("GET", path, query=query)
    assert endpoint.last_request.url == f"https://api.test{target}"


@pytest.mark.parametrize(
    "value, message",
    [
        (float("nan"), "is a number that JSON does not have"),
        (float("inf"), "is a number that JSON does not have"),
        (b"bytes", "is of the type bytes"),
        (datetime(2026, 1, 1, tzinfo=UTC), "is of the type datetime; convert it with .isoformat"),
        (["a", ["b"]], "is nested"),
        ({"a": 1}, "is nested"),
        ([{"a": 1}], "is nested"),
        ("\ud83d", "half a surrogate pair"),
        (["\ud83d"], "half a surrogate pair"),
        (object(), "is of the type object"),
        (1 + 2j, "is of the type complex"),
    ],
)
def test_a_query_that_cannot_be_sent_is_named(hook: TaskWatchHook, endpoint: Mocker, value: Any, message: str) -> None:
    with pytest.raises(ConfigurationError, match=re.escape(message)):
        hook.request("GET", "/jobs", query={"when": value})


@pytest.mark.parametrize(
    "value, message",
    [
        (float("nan"), "body['a'][1] is a number that JSON does not have"),
        (float("-inf"), "body['a'][1] is a number that JSON does not have"),
        (datetime(2026, 1, 1, tzinfo=UTC), "body['a'][1] is of the type datetime"),
        (b"bytes", "body['a'][1] is of the type bytes"),
        ("\ud83d", "body['a'][1] is not a valid string"),
        (object(), "body['a'][1] is of the type object"),
    ],
)
def test_a_body_that_is_no_json_is_named_and_not_sent(
    hook: TaskWatchHook, endpoint: Mocker, value: Any, message: str
) -> None:
    with pytest.raises(ConfigurationError, match=re.escape(message)):
        hook.request("POST", "/jobs", json={"a": [1, value]})
    assert endpoint.call_count == 0


def test_a_refusal_has_a_status_and_a_message(hook: TaskWatchHook, endpoint: Mocker) -> None:
    endpoint.post(f"{API}/jobs", json={"message": "name is missing"}, status_code=422)
    with pytest.raises(RemoteError, match=r"^api.test/v1: POST /jobs answered 422: name is missing$") as caught:
        hook.request("POST", "/jobs", json={})
    assert (caught.value.status, caught.value.message) == (422, "name is missing")


def test_a_404_is_a_not_found_error(hook: TaskWatchHook, endpoint: Mocker) -> None:
    endpoint.get(f"{API}/jobs/1", status_code=404)
    with pytest.raises(NotFoundError):
        hook.request("GET", "/jobs/1")


def test_a_rejected_token_is_replaced_once(hook: TaskWatchHook, endpoint: Mocker) -> None:
    hook.get_token()
    endpoint.post(TOKEN_URL, json={"access_token": "new"})
    endpoint.get(f"{API}/x", [{"status_code": 401}, {"json": {}}])
    assert hook.request("GET", "/x").is_ok
    assert endpoint.last_request.headers["Authorization"] == "Bearer new"


def test_a_lost_start_is_not_repeated(hook: TaskWatchHook, endpoint: Mocker) -> None:
    endpoint.post(f"{API}/jobs", exc=requests.ConnectionError)
    with pytest.raises(TransportError, match=f"^the connection to {API} was lost: ConnectionError$") as caught:
        hook.request("POST", "/jobs")
    assert (caught.value.sent, len(endpoint.request_history)) == (True, 2)


def test_a_flow_runs_on_the_spot(hook: TaskWatchHook, endpoint: Mocker) -> None:
    endpoint.get(f"{API}/x", text="<html>")
    with pytest.raises(ReplyError, match=r"^api.test/v1: the reply to GET /x \(200\) is not JSON: <html>$"):
        hook.run(ask_json(get("/x")))


def test_the_connection_is_what_the_hook_returns_as_its_own(hook: TaskWatchHook) -> None:
    assert hook.get_conn() is hook.driver


async def test_a_flow_runs_in_the_event_loop_with_one_token_for_all_calls(connect: Connect) -> None:
    with station() as remote:
        remote.say(200, {"access_token": SECRETS["token"]})
        connect("api", GENERAL, host=remote.url, extra={"token_url": f"{remote.url}/token"})
        hook = TaskWatchHook("api")
        for _ in range(2):
            assert (await hook.arun(ask(get("/x")))).is_ok
    assert [request.target for request in remote.requests] == ["/token", "/x", "/x"]


# --- the connection test


def test_a_good_connection_lists_its_steps(hook: TaskWatchHook, endpoint: Mocker) -> None:
    endpoint.get(f"{API}/", json={})
    assert list(hook.check()) == [
        ("settings", f"{API} by oauth2"),
        ("token", f"obtained from {TOKEN_URL}"),
        ("read", "the host answers, and did not reject the credentials"),
    ]
    assert hook.test_connection() == (
        True,
        f"{API} by oauth2; obtained from {TOKEN_URL}; the host answers, and did not reject the credentials",
    )


@pytest.mark.parametrize("status", [200, 400, 404, 405])
def test_any_answer_but_a_rejection_shows_that_the_credentials_are_good(
    hook: TaskWatchHook, endpoint: Mocker, status: int
) -> None:
    endpoint.get(f"{API}/", status_code=status)
    assert hook.test_connection()[0]


CHECK = "; check client id, secret and scope of the connection"
REDIRECT = "a redirect, which is not followed with credentials; check the host of the connection"
TEST_ERRORS: dict[str, tuple[dict[str, Any], dict[str, Any], str]] = {
    "token: DNS": (
        {"exc": requests.ConnectionError},
        {},
        f"no token: the connection to {TOKEN_PLACE} was lost: ConnectionError",
    ),
    "wrong token URL": (
        {"status_code": 404, "text": "<h1>Not Found</h1>"},
        {},
        f"no token: {TOKEN_PLACE} answered 404: <h1>Not Found</h1>; check the token URL of the connection",
    ),
    "token URL is a page": (
        {"text": "<h1>Welcome</h1>"},
        {},
        f"no token: {TOKEN_PLACE} answered a reply without a usable access token",
    ),
    "wrong secret": (
        {"status_code": 401, "json": {"error": "invalid_client", "error_description": "Bad credentials"}},
        {},
        f"no token: {TOKEN_PLACE} answered 401: invalid_client: Bad credentials{CHECK}",
    ),
    "missing scope": (
        {"status_code": 400, "json": {"error": "invalid_scope"}},
        {},
        f"no token: {TOKEN_PLACE} answered 400: invalid_scope{CHECK}",
    ),
    "token endpoint is down": (
        {"status_code": 503, "text": "maintenance"},
        {},
        f"no token: {TOKEN_PLACE} answered 503: maintenance",
    ),
    "401": (
        {"json": {"access_token": "t"}},
        {"status_code": 401, "json": {"message": "who are you?"}},
        f"{PLACE}: GET / answered 401: who are you?",
    ),
    "403": (
        {"json": {"access_token": "t"}},
        {"status_code": 403, "json": {"error": "insufficient_scope"}},
        f"{PLACE}: GET / answered 403: insufficient_scope",
    ),
    "503": (
        {"json": {"access_token": "t"}},
        {"status_code": 503, "text": "maintenance"},
        f"{PLACE}: GET / answered 503: maintenance",
    ),
    "redirect": (
        {"status_code": 302, "headers": {"Location": "https://evil.test"}},
        {},
        f"no token: {TOKEN_PLACE} answered 302: {REDIRECT}; check the token URL of the connection",
    ),
}


@pytest.mark.parametrize("token, api, message", TEST_ERRORS.values(), ids=TEST_ERRORS)
def test_a_bad_connection_is_reported_in_one_sentence(
    hook: TaskWatchHook, endpoint: Mocker, token: dict[str, Any], api: dict[str, Any], message: str
) -> None:
    endpoint.post(TOKEN_URL, **token)
    endpoint.get(f"{API}/", **api)
    assert hook.test_connection() == (False, message)


def test_a_host_that_does_not_exist_is_reported(connect: Connect) -> None:
    connect("api", GENERAL, host="https://no.such.invalid", extra={"auth": "bearer"})
    assert TaskWatchHook("api").test_connection() == (
        False,
        "the host name of https://no.such.invalid cannot be resolved",
    )


def test_a_token_host_that_does_not_exist_is_reported(connect: Connect) -> None:
    connect("api", GENERAL, extra={"token_url": "https://no.such.invalid/token"})
    message = "no token: the host name of no.such.invalid/token cannot be resolved"
    assert TaskWatchHook("api").test_connection() == (False, message)


def test_a_host_without_tls_is_reported(connect: Connect) -> None:
    with station() as remote:
        url = remote.url.replace("http:", "https:")
        connect("api", GENERAL, host=url, extra={"auth": "bearer"})
        is_good, message = TaskWatchHook("api").test_connection()
    assert not is_good
    assert message.startswith(
        f"no secure connection to {url}: WRONG_VERSION_NUMBER; the server there does not speak TLS"
    )


# --- wrong connections


HOOKS = [(TaskWatchHook, GENERAL), (AcquiaHook, ACQUIA), (AutomicHook, AUTOMIC)]


@pytest.mark.parametrize("kind, _content", HOOKS)
def test_a_missing_connection_is_named_with_its_type(kind: type[TaskWatchHook], _content: Any) -> None:
    with pytest.raises(ConfigurationError) as caught:
        kind("nowhere").request("GET", "/")
    assert str(caught.value) == (
        "connection 'nowhere' cannot be read: The conn_id `nowhere` isn't defined; add one of the type "
        f"'{kind.conn_type}' (a variable AIRFLOW_CONN_NOWHERE that Airflow cannot read counts as none)"
    )


@pytest.mark.parametrize("kind, content", HOOKS)
def test_a_connection_of_another_type_is_refused(kind: type[TaskWatchHook], content: Any, connect: Connect) -> None:
    connect("x", content, conn_type="http")
    with pytest.raises(ConfigurationError, match=f"connection 'x' has the type 'http'; it must be '{kind.conn_type}'"):
        kind("x").request("GET", "/")


@pytest.mark.parametrize("text", ['{"conn_type": "taskwatch", "password": "hush-hush-password"', "hush-hush-password"])
def test_a_variable_that_is_no_connection_is_an_error_without_its_text(connect: Connect, text: str) -> None:
    connect("x", text)
    with pytest.raises(ConfigurationError, match="connection 'x'") as caught:
        TaskWatchHook("x").get_token()
    assert is_clean(caught.value)


def test_all_that_is_missing_is_in_one_error(connect: Connect) -> None:
    connect("x", {"conn_type": "taskwatch"})
    with pytest.raises(ConfigurationError) as caught:
        TaskWatchHook("x").get_token()
    assert str(caught.value) == (
        "connection 'x' (taskwatch): the host is missing (for example api.example.com); "
        "the login (client id) is missing; the password (client secret) is missing; extra 'token_url' is missing"
    )


def test_all_that_is_malformed_is_in_one_error(connect: Connect) -> None:
    extra = {
        "token_url": "id.test",
        "client_auth": "magic",
        "verify": "perhaps",
        "read_timeout": "long",
        "concurrency": 0,
        "token_params": [SECRETS["param"]],
        "tokenurl": SECRETS["param"],
    }
    connect("x", GENERAL, host="https://me:hush-hush-password@api.test", extra=extra)
    with pytest.raises(ConfigurationError) as caught:
        TaskWatchHook("x").get_token()
    message = str(caught.value)
    for name in ("host", "token_url", "client_auth", "verify", "read_timeout", "concurrency", "token_params"):
        assert name in message
    assert "unknown extra 'tokenurl'; known are api_key_in, " in message
    assert is_clean(caught.value)


@pytest.mark.since("3.2", reason="Airflow itself reads a connection whose extra is not JSON")
def test_an_extra_that_is_not_json_is_an_error_without_its_text(connect: Connect) -> None:
    connect("x", GENERAL, extra="hush-hush-param")
    with pytest.raises(ConfigurationError, match=r"connection 'x'.*: the extra must be a JSON object") as caught:
        TaskWatchHook("x").get_token()
    assert is_clean(caught.value)


async def test_the_event_loop_meets_the_same_errors(connect: Connect) -> None:
    with pytest.raises(ConfigurationError, match="connection 'nowhere' cannot be read"):
        await TaskWatchHook("nowhere").arun(ask(get("/")))
    connect("x", {"conn_type": "taskwatch"})
    with pytest.raises(ConfigurationError, match="the host is missing"):
        await TaskWatchHook("x").arun(ask(get("/")))


def test_wrong_connections_fail_their_test_too(connect: Connect) -> None:
    connect("x", {"conn_type": "taskwatch"})
    assert TaskWatchHook("x").test_connection()[0] is False
    assert TaskWatchHook("nowhere").test_connection()[0] is False


# --- secrets


@pytest.mark.parametrize("auth", ["oauth2", "basic", "bearer"])
def test_nothing_that_a_hook_holds_shows_a_secret(connect: Connect, endpoint: Mocker, auth: str) -> None:
    extra = {"auth": auth, "token_url": TOKEN_URL, "token_params": {"pin": SECRETS["param"]}, "proxy": "http://p:1"}
    connect("x", GENERAL, extra=extra)
    endpoint.get(f"{API}/", json={})
    hook = TaskWatchHook("x")
    hook.request("GET", "/")
    assert is_clean(hook, vars(hook), hook.settings, hook.driver, vars(hook.driver))


@pytest.mark.parametrize(
    "answer",
    [
        {"status_code": 401, "json": {"error": "no"}},
        {"status_code": 500, "text": "you sent hush-hush-password"},
        {"text": json.dumps({"token": SECRETS["token"]})},
        {"exc": requests.ConnectTimeout},
        {"exc": requests.exceptions.SSLError("handshake")},
    ],
)
def test_no_error_shows_a_secret(hook: TaskWatchHook, endpoint: Mocker, answer: dict[str, Any]) -> None:
    endpoint.post(TOKEN_URL, **answer)
    with pytest.raises(TokenError) as caught:
        hook.get_token()
    assert is_clean(caught.value)


def test_a_page_that_repeats_what_we_sent_does_not_bring_it_into_the_error(connect: Connect) -> None:
    with station() as remote:
        remote.answer = lambda request: (http(400, json.dumps(request.headers)),)
        connect("x", GENERAL, host=remote.url, password=SECRETS["token"], extra={"auth": "bearer"})
        with pytest.raises(RemoteError, match=r"authorization Bearer \*\*\*") as caught:
            TaskWatchHook("x").request("GET", "/")
    assert is_clean(caught.value)


# --- what Airflow and we warn of


def test_unverified_tls_is_logged_once_and_by_each_check(
    connect: Connect, endpoint: Mocker, caplog: pytest.LogCaptureFixture
) -> None:
    connect("lax", GENERAL, extra={"token_url": TOKEN_URL, "verify": False})
    endpoint.get(f"{API}/", json={})
    for _ in range(2):
        is_good, message = TaskWatchHook("lax").test_connection()
        assert is_good
        assert "the certificate of api.test and id.test is not checked" in message
    warnings = [one for one in caplog.records if "'verify' is false" in one.getMessage()]
    assert [one.levelname for one in warnings] == ["WARNING"]


def test_a_short_value_of_an_extra_is_no_secret_that_is_too_short(
    connect: Connect, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    masker = pytest.importorskip("airflow.sdk._shared.secrets_masker.secrets_masker")
    monkeypatch.setattr(masker.SecretsMasker, "_has_warned_short_secret", False)
    connect("shorty", {**AUTOMIC, "extra": {"client": "100"}})
    assert AutomicHook("shorty").settings.own["client"] == "100"
    assert "too short" not in caplog.text
    logging.getLogger(masker.__name__).warning("Skipping masking for a secret elsewhere")
    assert "elsewhere" in caplog.text, "nothing is held back afterwards"


def test_a_password_that_is_too_short_to_be_masked_is_reported(
    connect: Connect, caplog: pytest.LogCaptureFixture
) -> None:
    connect("weak", {**AUTOMIC, "password": "pw"})
    assert AutomicHook("weak").settings.password == "pw"
    assert "connection 'weak': the password has less than 5 characters" in caplog.text


def test_a_client_may_be_a_number(connect: Connect) -> None:
    connect("numbered", {**AUTOMIC, "extra": {"client": 100}})
    assert AutomicHook("numbered").settings.own["client"] == "100"
