from __future__ import annotations

import json
import re
from dataclasses import replace

import pytest

from airflow_provider_taskwatch.core.error import NotFoundError, RemoteError
from airflow_provider_taskwatch.core.flow import ask
from airflow_provider_taskwatch.core.refusal import error_message, summary
from airflow_provider_taskwatch.core.wire import get
from tests.play import play, reply
from tests.rows import each_row

READ = get("/x", {"q": 1})


@pytest.mark.parametrize("status, end", [(401, ""), (403, ", and its rights at the remote")])
def test_refused_credentials_name_what_to_check_in_the_connection(status, end):
    answer = replace(reply(status, "Invalid credentials."), access="login and password of the connection 'x'")
    message = re.escape(f": Invalid credentials.; check login and password of the connection 'x'{end}")
    with pytest.raises(RemoteError, match=f"{message}$"):
        play(ask(READ), answer)


def test_a_404_has_an_error_class_of_its_own():
    with pytest.raises(NotFoundError):
        play(ask(READ), reply(404))


@each_row(
    "content, expected",
    [
        ({"error": "conflict", "message": "already running"}, "conflict: already running"),
        ({"error": "bad", "message": ["one", {"message": "two"}]}, "bad: one; two"),
        ({"code": 11191, "error": "", "details": "ended"}, "11191: ended"),
        ({"error": {"code": 5, "message": "nested"}}, "5: nested"),
        ({"title": "Bad", "why": None}, "title Bad: why None"),
        (["one", "two"], "one; two"),
        ("plain text", "plain text"),
        ('"quoted"', "quoted"),
        ({"message": "x" * 10_000}, "x" * 500),
        ({}, "(no message)"),
        (None, "(no message)"),
    ],
)
def test_the_error_message_is_found_in_a_body_of_any_shape(content, expected):
    assert error_message(reply(400, content)) == expected


def test_an_error_message_is_one_short_printable_line():
    said = error_message(reply(500, {"error": "\x1b[31mbad\n2026-01-31 INFO forged", "message": "\ud800\0" * 10**3}))
    assert said.startswith("\ufffd[31mbad 2026-01-31 INFO forged: ")
    assert (said.isprintable(), len(said)) == (True, 500)


def test_the_error_message_of_a_large_body_costs_no_more_than_that_of_a_small_one():
    said = error_message(reply(500, '{"message": "first", "rest": [' + "{}," * 2_000_000 + "{}]}"))
    assert said.startswith('{"message": "first", "rest": [{},')


@pytest.mark.parametrize("content", [json.loads("[" * 600 + "]" * 600), list(range(10**6)), {"message": "x\n" * 10**6}])
def test_a_value_of_any_shape_has_a_short_summary(content):
    assert len(summary(content, 200)) <= 200


@each_row("depth", [5_000, 100_000])
@each_row("opening", ['{"error":', "["])
def test_an_endlessly_nested_body_is_shown_by_its_beginning(depth, opening):
    assert error_message(reply(500, opening * depth + "1" + {"[": "]"}.get(opening, "}") * depth)).startswith(
        opening * 20
    )


@pytest.mark.parametrize("status", [300, 302, 399])
def test_a_redirect_is_an_error_with_its_remedy_and_without_its_target(status):
    message = error_message(reply(status, {"message": "moved"}, location="https://elsewhere.example"))
    assert message.startswith("a redirect, which is not followed")
    assert "elsewhere" not in message


@each_row(
    "status, place, doubt, body, end",
    [
        (500, "h/api", "the base path is odd", "gone", "gone"),
        (404, "", "the base path is odd", "gone", "gone"),
        (404, "h/v1/x", "", "gone", "gone; check the base path: 'x' is in the connection's host and in the path"),
        (405, "h/v1", "the base path is odd", "gone", "gone; the base path is odd"),
        (404, "h/v1", "", "<html>", "<html>; a web page answers at h/v1: check host and base path of the connection"),
        (404, "h/v1", "", "gone", "gone"),
    ],
)
def test_an_unknown_path_names_what_may_be_wrong_with_the_base_path(status, place, doubt, body, end):
    with pytest.raises(RemoteError) as caught:
        play(ask(READ), replace(reply(status, body), place=place, doubt=doubt))
    assert caught.value.message == end
