"""Signatures as an emulated platform checks them, against those of an independent implementation."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pytest
from oauthlib.oauth1 import Client

from airflow_provider_taskwatch.core.wire import Call, get, send
from airflow_provider_taskwatch.sandbox.aps.signature import SignatureDesk
from tests.rows import each_row
from tests.sandbox.visitor import NOW

KEY, SECRET = "key/ä", "s3cret &%"
CLIENTS = {KEY: SECRET, "other": "secret"}
FORM = {"Content-Type": "application/x-www-form-urlencoded"}
CALLS: Mapping[str, Call] = {
    "a read": get("/a/b"),
    "a query": get("/a", {"context": "order *~'()!,;:@/?&=+%ä", "empty": "", "n": ["2", "1", "1"]}),
    "no pair": Call(method="GET", path="/a", query=(("implementing(http://x/1.0)", ""),)),
    "encoded": get("/a%20b/c%2Fd"),
    "a body": send("PUT", "/a", {"b": "ä"}),
    "a form": Call(method="POST", path="/a", headers=FORM, body=b"b=1&b=%C3%A4"),
}


def signed(call: Call, url: str, **changes: Any) -> Call:
    """The call with a signature by oauthlib."""
    given = {"client_secret": SECRET, "nonce": "n0nce", "timestamp": str(int(NOW)), **changes}
    client = Client(given.pop("client_key", KEY), **given)
    body = call.body.decode() if call.body and call.headers == FORM else None
    _, headers, _ = client.sign(
        url + call.target.removeprefix(call.path), call.method, body, dict(call.headers) if body else None
    )
    return Call(
        method=call.method,
        path=call.path,
        query=call.query,
        headers={**call.headers, "authorization": headers["Authorization"]},
        body=call.body,
    )


def check(call: Call, url: str, desk: SignatureDesk | None = None, now: float = NOW) -> str:
    return (desk or SignatureDesk()).client(call, url, CLIENTS, now, 300)


@each_row("host", ["http://127.0.0.1:8787/aps", "https://Example.com:443/aps", "http://example.com:80/aps"])
@each_row("call", CALLS.values(), ids=CALLS)
def test_a_signature_of_another_implementation_is_accepted(call: Call, host: str) -> None:
    url = host + call.path
    assert check(signed(call, url), url) == KEY


def test_the_signature_identifies_its_client() -> None:
    call = signed(get("/a"), "http://x/a", client_key="other", client_secret="secret")
    assert check(call, "http://x/a") == "other"


@each_row(
    "call, message",
    [
        (get("/a"), "oauth_consumer_key, .* is missing"),
        (Call(method="GET", path="/a", headers={"authorization": "OAuth x"}), "is missing"),
        (signed(get("/a"), "http://x/a", client_key="unknown"), "the consumer key is not known"),
        (signed(get("/a"), "http://x/a", client_secret="wrong"), "the signature is wrong"),
        (signed(get("/b"), "http://x/b"), "the signature is wrong"),
        (signed(get("/a", {"c": "d"}), "http://y/a"), "the signature is wrong"),
        (signed(get("/a"), "http://x/a", signature_method="PLAINTEXT"), "only HMAC-SHA1"),
        (signed(get("/a"), "http://x/a", timestamp=str(int(NOW) - 301)), "timestamp is too old"),
        (signed(get("/a"), "http://x/a", timestamp=str(int(NOW) + 301)), "timestamp is too old, or in the future"),
        (signed(get("/a"), "http://x/a", timestamp="soon"), "timestamp"),
    ],
)
def test_the_error_names_the_fault_of_a_signature(call: Call, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        check(call, "http://x/a")


def test_a_nonce_is_accepted_once_within_the_age_of_its_timestamp() -> None:
    desk, call = SignatureDesk(), signed(get("/a"), "http://x/a")
    check(call, "http://x/a", desk)
    with pytest.raises(ValueError, match="the nonce was used before"):
        check(call, "http://x/a", desk)
    other = signed(get("/a"), "http://x/a", nonce="other")
    check(other, "http://x/a", desk)
