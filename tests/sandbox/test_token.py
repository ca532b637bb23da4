from __future__ import annotations

from typing import Any

import pytest

from airflow_provider_taskwatch.core.wire import Call
from airflow_provider_taskwatch.sandbox.sandbox import Sandbox
from tests.sandbox.visitor import CLIENT, NOW, Visitor, basic, token_call


def test_a_client_gets_a_token_for_300_seconds_by_form(stranger: Visitor) -> None:
    reply = stranger.ask(token_call(CLIENT))
    content: Any = reply.json()
    assert (reply.status, content["expires_in"], content["token_type"]) == (200, 300, "bearer")


def test_a_client_gets_a_token_by_basic_in_both_spellings(sandbox: Sandbox, stranger: Visitor) -> None:
    sandbox.change({"acquia": {"clients": {"a b": "p+%"}}}, NOW)
    for secret, client_id in (("p+%", "a b"), ("p%2B%25", "a+b")):
        reply = stranger.ask(token_call({}, {"Authorization": basic(client_id, secret)}))
        assert reply.status == 200


def test_both_spellings_of_the_token_path_answer(stranger: Visitor) -> None:
    call = token_call(CLIENT)
    other = Call(method="POST", path="/token", headers=call.headers, body=call.body)
    assert stranger.ask(other).status == 200


@pytest.mark.parametrize(
    "fields, status, error",
    [
        ({**CLIENT, "client_secret": "wrong"}, 401, "invalid_client"),
        ({}, 401, "invalid_client"),
        ({**CLIENT, "grant_type": "password"}, 400, "unsupported_grant_type"),
    ],
)
def test_a_bad_request_is_refused_in_the_error_format_of_oauth(
    stranger: Visitor, fields: dict[str, str], status: int, error: str
) -> None:
    reply = stranger.ask(token_call(fields))
    content: Any = reply.json()
    assert (reply.status, content["error"]) == (status, error)


def test_a_bad_request_can_be_refused_in_the_error_format_of_okta(sandbox: Sandbox, stranger: Visitor) -> None:
    sandbox.change({"acquia": {"token_error_shape": "okta"}}, NOW)
    content: Any = stranger.ask(token_call({})).json()
    assert content["errorCode"] == "invalid_client"
    assert "error" not in content


def test_a_token_request_may_be_json(stranger: Visitor) -> None:
    fields = {"grant_type": "client_credentials", **CLIENT}
    assert stranger.post("/auth/oauth/token", fields).status == 200
    assert stranger.post("/auth/oauth/token", {**fields, "client_secret": "wrong"}).status == 401


@pytest.mark.parametrize("body, kind", [(b"[]", "application/json"), (b"{", "application/json"), (b"", "text/plain")])
def test_a_token_request_of_another_shape_is_refused(stranger: Visitor, body: bytes, kind: str) -> None:
    call = Call(method="POST", path="/auth/oauth/token", headers={"Content-Type": kind}, body=body)
    assert stranger.ask(call).status == 400


@pytest.mark.parametrize("expiry, keys", [("expires_on", {"expires_on"}), ("absent", set())])
def test_the_lifetime_can_be_reported_in_other_fields(
    sandbox: Sandbox, stranger: Visitor, expiry: str, keys: set[str]
) -> None:
    sandbox.change({"acquia": {"token_expiry": expiry, "token_lifetime": 3}}, NOW)
    content: Any = stranger.ask(token_call(CLIENT)).json()
    assert set(content) == {"access_token", "token_type"} | keys
    assert content.get("expires_on", NOW + 3) == NOW + 3


def test_a_token_expires_at_the_end_of_its_lifetime(acquia: Visitor) -> None:
    acquia.now = NOW + 299
    assert acquia.get("/account").status == 200
    acquia.now = NOW + 300
    assert acquia.get("/account").status == 401


def test_an_expired_token_can_be_answered_with_403(sandbox: Sandbox, acquia: Visitor) -> None:
    sandbox.change({"acquia": {"expired_status": 403}}, NOW)
    acquia.now = NOW + 300
    refused = acquia.get("/account")
    content = {"error": "unauthorized", "message": "The access token has expired."}
    assert (refused.status, refused.json()) == (403, content)
    sandbox.revoke_tokens()
    assert acquia.get("/account").status == 401


def test_a_foreign_token_is_refused(stranger: Visitor) -> None:
    stranger.headers["Authorization"] = "Bearer made-up"
    assert stranger.get("/account").status == 401


def test_a_revoked_token_is_refused(sandbox: Sandbox, acquia: Visitor) -> None:
    sandbox.revoke_tokens()
    assert acquia.get("/account").status == 401


def test_a_scope_can_be_required(sandbox: Sandbox, stranger: Visitor, acquia: Visitor) -> None:
    sandbox.change({"acquia": {"require_scope": True}}, NOW)
    refused = acquia.get("/account")
    content: Any = refused.json()
    assert (refused.status, content["error"]) == (403, "additional_authentication_required")

    token: Any = stranger.ask(token_call({**CLIENT, "scope": "organization:0b1c"})).json()
    acquia.headers["Authorization"] = f"Bearer {token['access_token']}"
    assert acquia.get("/account").status == 200
