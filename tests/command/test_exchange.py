from __future__ import annotations

import base64
import gzip
from pathlib import Path
from typing import Any

import pytest

from airflow_provider_taskwatch.command.exchange import load_exchange, mask_of
from airflow_provider_taskwatch.core.error import ConfigurationError
from tests.command.recording import har_entry, written
from tests.rows import each_row


def interaction(body: Any, **response: Any) -> dict[str, Any]:
    """One interaction of a cassette."""
    request = {
        "method": "get",
        "uri": "https://u:p@api.example.com/a%2Fb?x=1&x=2",
        "headers": {"A": ["1"]},
        "body": None,
    }
    return {"request": request, "response": {"status": {"code": 200}, "headers": {}, "body": body, **response}}


PACKED = gzip.compress(b'{"a": 1}')


@each_row(
    "body",
    [
        {"string": '{"a": 1}'},
        {"base64_string": base64.b64encode(b'{"a": 1}').decode()},
        '{"a": 1}',
        {"base64_string": base64.b64encode(PACKED).decode()},
    ],
)
def test_each_form_of_a_body_is_read(tmp_path: Path, body: Any) -> None:
    [one] = load_exchange(written(tmp_path, {"interactions": [interaction(body)]}))
    assert one.reply.json() == {"a": 1}
    assert (one.origin, one.call.method, one.call.path) == ("https://api.example.com", "GET", "/a%2Fb")
    assert one.call.query == (("x", "1"), ("x", "2"))


def test_a_form_of_a_har_is_read(tmp_path: Path) -> None:
    entry = har_entry("POST", "https://api.example.com/", 201)
    entry["request"]["postData"] = {"params": [{"name": "branch", "value": "a b"}, {"name": "empty"}]}
    [one] = load_exchange(written(tmp_path, {"log": {"entries": [entry]}}))
    assert one.call.form() == {"branch": "a b", "empty": ""}


def test_requests_without_a_reply_are_left_out(tmp_path: Path) -> None:
    entries = [har_entry("GET", "https://api.example.com/", status) for status in (0, 304, 200)]
    assert len(load_exchange(written(tmp_path, {"log": {"entries": entries}}))) == 1


def test_a_body_that_cannot_be_unpacked_names_its_entry(tmp_path: Path) -> None:
    broken = {"base64_string": base64.b64encode(b"\x1f\x8bno").decode()}
    with pytest.raises(ConfigurationError, match="entry 1 cannot be read"):
        load_exchange(written(tmp_path, {"interactions": [interaction(broken)]}))


def test_the_mask_hides_credentials_of_every_kind(tmp_path: Path) -> None:
    entry = har_entry(
        "POST", "https://api.example.com/token?api_key=key-in-query", 200, {"access_token": "token-in-body"}
    )
    entry["request"]["postData"] = {"text": "grant_type=client_credentials&client_secret=secret-in-form"}
    entry["request"]["headers"] = [
        {"name": "Authorization", "value": "Basic " + base64.b64encode(b"user:password-in-basic").decode()},
        {"name": "X-Api-Key", "value": "key-in-header"},
    ]
    entry["response"]["headers"] = [{"name": "Set-Cookie", "value": "sid=cookie-in-reply; Path=/"}]
    mask = mask_of(load_exchange(written(tmp_path, {"log": {"entries": [entry]}})))
    texts = ("key-in-query", "token-in-body", "secret-in-form", "password-in-basic", "key-in-header", "cookie-in-reply")
    assert [mask.text(text) for text in texts] == ["***"] * len(texts)
