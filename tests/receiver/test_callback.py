"""Parsing of callbacks."""

from __future__ import annotations

import json

import pytest

from airflow_provider_taskwatch.receiver.callback import bearer_in, content_of, message_of
from tests.receiver.visitor import NOW, TICKET
from tests.rows import each_row

DEEP = b'{"a":' * 300_000 + b"1" + b"}" * 300_000


def test_a_message_holds_the_start_and_the_content_of_its_callback() -> None:
    message = message_of(TICKET, b'{"run_id": 1}', NOW)
    assert (message.channel, message.subject) == (TICKET.channel, TICKET.start_id)
    assert (message.content, message.received_at) == ({"run_id": 1}, NOW)


def test_the_same_body_for_the_same_start_is_the_same_delivery() -> None:
    first = message_of(TICKET, b"{}", NOW)
    assert message_of(TICKET, b"{}", NOW + 60).delivery == first.delivery
    assert message_of(TICKET, b"{ }", NOW).delivery != first.delivery


@pytest.mark.parametrize(
    "body",
    [b"", b"nonsense", b'{"text": "a "quote" too many"}', b"[1]", b'"a"', b"null", b"\xff{}", b"{" * 200_000, DEEP],
    ids=lambda body: repr(body[:12]),
)
def test_a_body_that_is_not_a_json_object_has_no_content(body: bytes) -> None:
    assert content_of(body) is None


@each_row(
    "body, content",
    [
        (b'\xef\xbb\xbf{"a": 1}', {"a": 1}),
        ('{"a": "ü"}'.encode("utf-16"), {"a": "ü"}),
        (b'{"a": NaN}', {"a": None}),
        (b'{"a": "\\u0000\\ud800"}', {"a": "\ufffd?"}),
    ],
)
def test_odd_json_is_converted_to_values_that_a_database_accepts(body: bytes, content: object) -> None:
    assert content_of(body) == content


def test_deeply_nested_content_is_cut_and_can_be_serialized() -> None:
    content = content_of(b'{"a":' * 500 + b"1" + b"}" * 500)
    assert "(left out)" in json.dumps(content)


@each_row(
    "header, bearer",
    [("Bearer abc", "abc"), ("bearer  abc ", "abc"), ("abc", ""), ("Basic abc", ""), ("Bearer", ""), ("", "")],
)
def test_a_bearer_is_found_in_its_header(header: str, bearer: str) -> None:
    assert bearer_in(header) == bearer
