from __future__ import annotations

import asyncio
import errno
import socket

import pytest

from airflow_provider_taskwatch.core.error import (
    ConfigurationError,
    DeadlineError,
    EventError,
    NotFoundError,
    RemoteError,
    ReplyError,
    TaskWatchError,
    TokenError,
    TransportError,
    at_step,
    cannot_listen,
    described,
)
from tests.rows import each_row


def refused(status):
    return RemoteError(method="GET", path="/x", status=status, message="why", retry_after=3.0)


@each_row(
    "kind", [ConfigurationError, DeadlineError, EventError, NotFoundError, ReplyError, TokenError, TransportError]
)
def test_one_except_clause_catches_them_all(kind):
    assert issubclass(kind, TaskWatchError)


@each_row("status", [400, 401, 403, 404, 409])
def test_a_refusal_is_not_transient(status):
    assert not refused(status).transient


@each_row("status", [408, 429, 500, 502, 503, 504])
def test_a_failure_of_the_remote_is_transient(status):
    assert refused(status).transient


def test_a_refusal_has_method_path_status_and_message():
    error = refused(503)
    assert str(error) == "GET /x answered 503: why"
    assert (error.method, error.path, error.status, error.message, error.retry_after) == ("GET", "/x", 503, "why", 3.0)


def test_a_request_counts_as_sent_unless_it_certainly_was_not():
    assert TransportError("lost").sent
    assert not TransportError("no such host", sent=False).sent


@each_row(
    "error, passes",
    [
        (TransportError("lost"), True),
        (ReplyError("not JSON"), True),
        (TokenError("down", transient=True), True),
        (TokenError("no", transient=False), False),
        (ConfigurationError("typo"), False),
        (DeadlineError("over"), False),
        (EventError("odd"), False),
    ],
)
def test_each_error_says_whether_a_retry_can_succeed(error, passes):
    assert error.transient is passes


@each_row(
    "error, message",
    [
        (TimeoutError(), "TimeoutError"),
        (TimeoutError("timed out"), "timed out"),
        (asyncio.CancelledError(), "CancelledError"),
        (ConnectionResetError(), "ConnectionResetError"),
        (KeyError("events"), "KeyError: 'events'"),
        (AssertionError(" \n"), "AssertionError"),
        (ConfigurationError("name the thing"), "name the thing"),
        (TaskWatchError(), "TaskWatchError"),
    ],
)
def test_an_exception_without_a_text_is_described(error, message):
    assert described(error) == message


def test_an_error_knows_the_innermost_step_of_a_check():
    with pytest.raises(ConfigurationError) as caught, at_step("connection"), at_step("token"):
        raise ConfigurationError("no token")
    assert caught.value.step == "token"


CANNOT = "the receiver cannot listen on"


@each_row(
    "error, message",
    [
        (
            socket.gaierror(socket.EAI_NONAME, "Name or service not known"),
            f"{CANNOT} box: the name cannot be resolved (Name or service not known); choose another --host",
        ),
        (
            OSError(-2, "Name or service not known (while attempting to bind on address ('box', 80))"),
            f"{CANNOT} box: the name cannot be resolved (Name or service not known); choose another --host",
        ),
        (
            OSError(errno.EADDRNOTAVAIL, "Cannot assign requested address"),
            f"{CANNOT} box:80: Cannot assign requested address; choose another --host",
        ),
        (
            OSError(errno.EADDRINUSE, "Address already in use"),
            f"{CANNOT} box:80: Address already in use; choose another --port",
        ),
    ],
)
def test_an_address_that_cannot_be_taken_is_named_with_the_option_to_change(error, message):
    assert cannot_listen("the receiver", "box", 80, error) == message
