"""OAuth 1.0a: what we sign, oauthlib verifies, and what it signs is what we would have signed; over both libraries."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import pytest
from oauthlib import oauth1 as independent

from airflow_provider_taskwatch.core.connection import RawConnection, read_connection
from airflow_provider_taskwatch.core.error import ConfigurationError, RemoteError
from airflow_provider_taskwatch.core.flow import ask
from airflow_provider_taskwatch.core.form import Form
from airflow_provider_taskwatch.core.wire import Call, get, send
from airflow_provider_taskwatch.drive.credential import credential_for
from airflow_provider_taskwatch.drive.oauth1 import OAuth1Credential, oauth1
from airflow_provider_taskwatch.systems.rest import form as general
from tests.drive.conftest import Connect
from tests.drive.settings import settings_for
from tests.drive.station import Request, Station
from tests.rows import each_row

KEY, SECRET = "our key/ä%41+&=", "s3cret &%/ü+more"
FORM = {"Content-Type": "application/x-www-form-urlencoded"}
CALLS: Mapping[str, Call] = {
    "a read": get("/a/b"),
    "a query": get("/a", {"context": "order *~'()!,;:@/?&=+%ä", "empty": "", "n": ["2", "1", "1"]}),
    "a query without '='": get("/a?implementing(http%3A%2F%2Fexample.com%2Ftype%2F1.0)"),
    "a realm in the query": get("/a", {"realm": "x"}),
    "encoded parts of a path": get("/a%20b/c%2Fd;e"),
    "a JSON body": send("POST", "/a", {"b": "ä&="}),
    "no body": send("DELETE", "/a/1"),
    "a form": Call(method="PUT", path="/a", headers=FORM, body=b"b=1&b=%C3%A4&c=+"),
}


class Validator(independent.RequestValidator):
    """A server that knows one client, and what it has signed before."""

    enforce_ssl = False
    dummy_client = "nobody"
    client_key_length = 1, 100

    def __init__(self) -> None:
        super().__init__()
        self.nonces: list[str] = []

    def check_client_key(self, client_key: str) -> bool:
        return True

    def validate_client_key(self, client_key: str, request: Any) -> bool:
        return client_key == KEY

    def get_client_secret(self, client_key: str, request: Any) -> str:
        return SECRET

    def validate_timestamp_and_nonce(self, client_key: str, timestamp: str, nonce: str, *args: Any, **kw: Any) -> bool:
        is_new = nonce not in self.nonces
        self.nonces.append(nonce)
        return is_new


def is_valid(url: str, call: Call, headers: Mapping[str, str], validator: Validator | None = None) -> bool:
    """What oauthlib says of a request."""
    endpoint = independent.SignatureOnlyEndpoint(validator or Validator())
    body = (call.body or b"").decode() if "form" in headers.get("content-type", "") else ""
    named = {"Authorization": headers["authorization"]} | (
        {"Content-Type": headers["content-type"]} if "content-type" in headers else {}
    )
    return bool(endpoint.validate_request(url, call.method, body, named)[0])


@pytest.mark.parametrize("call", CALLS.values(), ids=CALLS)
def test_what_is_sent_verifies_with_another_implementation(connect: Connect, remote: Station, call: Call) -> None:
    connect(settings_for(remote, auth="oauth1", login=KEY, password=SECRET)).run(ask(call))
    [request] = remote.requests
    assert is_valid(remote.url + request.target, replace(call, body=request.body), request.headers)


@each_row("call", CALLS.values(), ids=CALLS)
def test_another_implementation_signs_the_same_in_the_same_way(call: Call) -> None:
    url = f"https://Example.com:443{call.target}"
    other = independent.Client(KEY, SECRET, nonce="n0nce", timestamp="1800000000", encoding="utf-8")
    body = call.body.decode() if call.body and call.headers == FORM else None
    _, headers, _ = other.sign(url, call.method, body, dict(call.headers) if body else None)
    ours = oauth1(call, url, key=KEY, secret=SECRET, nonce="n0nce", timestamp="1800000000")
    assert signature(ours) == signature(headers["Authorization"])


def signature(header: str) -> str:
    return header.partition("oauth_signature=")[2].split('"')[1]


def test_a_changed_request_does_not_verify(connect: Connect, remote: Station) -> None:
    connect(settings_for(remote, auth="oauth1", login=KEY, password=SECRET)).run(ask(get("/a", {"b": "1"})))
    [request] = remote.requests
    assert not is_valid(f"{remote.url}/a?b=2", get("/a"), request.headers)
    assert not is_valid(remote.url + request.target, send("DELETE", "/a"), request.headers)


def test_no_nonce_is_used_twice(connect: Connect, remote: Station) -> None:
    client, validator = connect(settings_for(remote, auth="oauth1", login=KEY, password=SECRET)), Validator()
    for _ in range(3):
        client.run(ask(get("/a")))
    assert all(is_valid(f"{remote.url}/a", get("/a"), one.headers, validator) for one in remote.requests)
    assert len(set(validator.nonces)) == 3


def test_a_rejected_signature_is_made_anew_once(connect: Connect, remote: Station) -> None:
    remote.say(401, {"error": "stale"})
    with pytest.raises(RemoteError, match="stale"):
        connect(settings_for(remote, auth="oauth1", login=KEY, password=SECRET)).run(ask(send("POST", "/a", {})))
    assert len(set(remote.authorizations)) == 2


def test_neither_the_secret_nor_a_signature_comes_back(connect: Connect, remote: Station) -> None:
    def echo(request: Request) -> tuple[bytes]:
        text = f"you sent {request.headers['authorization']} {SECRET}".encode()
        return (b"HTTP/1.1 400 X\r\nConnection: close\r\nContent-Length: %d\r\n\r\n%s" % (len(text), text),)

    remote.answer = echo
    with pytest.raises(RemoteError) as caught:
        connect(settings_for(remote, auth="oauth1", login=KEY, password=SECRET)).run(ask(get("/a")))
    assert caught.value.message == "you sent OAuth *** ***"


def test_signing_sends_no_request() -> None:
    credential = credential_for(settings_for("http://x.example", auth="oauth1", login=KEY, password=SECRET))
    assert isinstance(credential, OAuth1Credential)
    assert credential.is_ready
    assert SECRET not in repr(credential)


# --- a token in a header of its own

TOKENED = Form(connection_type="t", title="T", auths=("oauth1", "own_token"), token_headers={"own_token": "Own-Token"})


def read(form: Form, auth: str, **columns: Any) -> Any:
    raw = RawConnection(
        conn_id="c", conn_type=form.connection_type, host="h", extra=json.dumps({"auth": auth}), **columns
    )
    return read_connection(form, raw)


def test_a_token_may_have_a_header_of_its_own(connect: Connect, remote: Station) -> None:
    settings = replace(read(TOKENED, "own_token", password=" t0ken "), base_url=remote.url)
    connect(settings).run(ask(get("/a")))
    [request] = remote.requests
    assert (request.headers["own-token"], "authorization" in request.headers) == ("t0ken", False)


def test_missing_or_unsendable_credentials_are_named() -> None:
    with pytest.raises(ConfigurationError, match=r"login \(consumer key\) .* password \(consumer secret\) is missing"):
        read(TOKENED, "oauth1")
    with pytest.raises(ConfigurationError, match=r"password \(token\) is missing"):
        read(TOKENED, "own_token")
    with pytest.raises(ConfigurationError, match=r"password \(token\) contains spaces"):
        read(TOKENED, "own_token", password="a b")


def test_the_general_connection_type_signs_too() -> None:
    settings = read(general.FORM, "oauth1", login=KEY, password=SECRET)
    assert (settings.auth, settings.token_url) == ("oauth1", "")
    assert isinstance(credential_for(settings), OAuth1Credential)


@pytest.mark.parametrize("port", ["", ":8080"])
def test_a_dot_at_the_end_of_a_host_is_neither_sent_nor_signed(port: str) -> None:
    """A whole name, as clusters use it: it is resolved with the dot, and named without it in the Host header."""
    signed = {
        oauth1(get("/x"), f"http://{host}{port}/x", key=KEY, secret=SECRET, nonce="n", timestamp="1")
        for host in ("api.intern.", "api.intern")
    }
    assert len(signed) == 1
