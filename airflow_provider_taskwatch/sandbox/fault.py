"""Faults: what can go wrong between a client and a remote, by name."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from airflow_provider_taskwatch.core.error import ConfigurationError
from airflow_provider_taskwatch.core.wire import Call

from .remote import Remote
from .rule import HTTP_STATUS, SECONDS, check, is_count_or_none, is_http_status_or_none, is_seconds, is_text

ABOUT: Mapping[str, str] = {
    "latency": "holds the reply back (seconds, 1); comes on top of others",
    "revoke_tokens": "rejects every token from this call on",
    "headers": "adds headers to the reply (headers); comes on top of others",
    "callback_early": "calls back early, this long after the start (seconds, 0)",
    "lost_reply": "does what was asked, and closes the connection without an answer",
    "lost_request": "does nothing, and closes the connection without an answer",
    "hang": "never answers",
    "unauthorized": "refuses with 401",
    "forbidden": "refuses with 403",
    "not_found": "refuses with 404",
    "too_many": "refuses with 429 (retry_after)",
    "server_error": "refuses with 503 (status, retry_after)",
    "html": "answers with a web page",
    "empty_body": "answers with nothing",
    "huge_body": "answers with 50 MB (size)",
    "bomb": "answers with a small body that unpacks to 50 MB (size)",
    "many_headers": "answers with 10,000 headers",
    "deep_json": "answers with JSON that is nested a million levels deep",
    "wrong_charset": "answers with bytes that are not text, in an unknown charset",
    "echo": "refuses with 400, and repeats what was sent, credentials included",
    "redirect": "answers with 302 (location)",
    "callback_duplicate": "calls back twice (seconds between them, 0)",
    "callback_late": "calls back late (seconds, 1)",
    "callback_lost": "does not call back, and counts the callback as delivered",
    "callback_secret": "calls back with a wrong secret",
    "callback_garbage": "calls back with a body that is not JSON",
    "callback_run_id": "calls back about another execution (run_id)",
    "callback_status": "calls back with the opposite status (status)",
}
"""What each fault does, and which of its fields it uses."""

_NEEDED: Mapping[str, str] = {"callback_early": '"callback"'}
"""What the body of a call must hold, so that the fault makes sense."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Fault:
    """One fault, and the calls that it hits: those to a remote, or the callbacks of one.

    :param name: one of the faults.
    :param system: only calls to this remote; empty: to any.
    :param method: only this HTTP method.
    :param path: regular expression, searched in the path after the remote's mount point, or in that of a callback.
    :param body: regular expression, searched in the body of the request.
    :param endpoint: ``token`` or ``api``; empty: both.
    :param skip: the number of matching calls that are left alone first.
    :param times: the number of calls that are hit; None: no limit.
    :param until: unix seconds after which no call is hit; None: no limit. A request may give ``for_seconds`` instead.
    :param work_done: whether the remote does what it was asked before the fault strikes; None: as the fault
        does by default.
    :param seconds: how long ``latency`` holds the reply back (1), or until the connection is closed after
        ``lost_reply``, ``lost_request`` (0) and ``hang`` (for ever). How long ``callback_late`` holds a callback
        back (1), ``callback_duplicate`` its copy (0); how long after the start ``callback_early`` comes (0).
    :param status: HTTP status, where the fault has a choice; of an execution, as ``callback_status`` claims it
        (1800 instead of a good one, 1900 instead of another).
    :param run_id: of an execution, as ``callback_run_id`` claims it; None: the next one.
    :param retry_after: value of the ``Retry-After`` header of a refusal; None: no header.
    :param headers: names in lower case; added by ``headers`` to any reply, and to a refusal.
    :param location: where ``redirect`` points.
    :param size: bytes of ``huge_body``, and those that ``bomb`` unpacks to.
    :param message: text of the refusal.
    """

    name: str
    system: str = ""
    method: str = ""
    path: str = ""
    body: str = ""
    endpoint: str = ""
    skip: int = 0
    times: int | None = None
    until: float | None = None
    work_done: bool | None = None
    seconds: float | None = None
    status: int | None = None
    run_id: int | None = None
    retry_after: float | str | None = None
    headers: Mapping[str, str] = field(default_factory=dict)
    location: str = "https://elsewhere.invalid/"
    size: int = 50 * 1024 * 1024
    message: str = ""

    def __post_init__(self) -> None:
        if self.name not in ABOUT:
            raise ConfigurationError(f"unknown fault {self.name!r:.80}; known are {', '.join(ABOUT)}")
        if self.endpoint not in ("", "token", "api"):
            raise ConfigurationError(f"endpoint must be 'token' or 'api', not {self.endpoint!r}")
        check(self, "system", "method", "location", "message", is_good=is_text, expected="a string")
        check(self, "path", "body", is_good=_is_pattern, expected="a regular expression")
        check(self, "skip", "size", is_good=_is_count, expected="a whole number")
        check(self, "times", "status", "run_id", is_good=is_count_or_none, expected="a whole number, or null")
        if not self.is_of_callback:
            check(self, "status", is_good=is_http_status_or_none, expected=HTTP_STATUS)
        check(self, "until", "seconds", is_good=_is_seconds_or_none, expected=f"{SECONDS}, or null")
        check(self, "work_done", is_good=lambda value: value in (None, True, False), expected="true, false or null")
        check(self, "retry_after", is_good=_is_wait, expected=f"{SECONDS}, a string, or null")
        check(self, "headers", is_good=_are_headers, expected="an object with texts")

    @property
    def is_of_callback(self) -> bool:
        """Whether it hits what a remote sends, and not what is sent to it."""
        return self.name.startswith("callback_") and self.name != "callback_early"

    def matches(self, remote: Remote[Any], call: Call) -> bool:
        endpoint = "token" if remote.is_token(call) else "api"
        body = (call.body or b"").decode(errors="replace")
        return (
            self.system in ("", remote.name)
            and self.method.upper() in ("", call.method)
            and self.endpoint in ("", endpoint)
            and re.search(self.path, call.path) is not None
            and re.search(self.body, body) is not None
            and _NEEDED.get(self.name, "") in body
        )


def _is_pattern(value: object) -> bool:
    try:
        return isinstance(value, str) and re.compile(value) is not None
    except re.error:
        return False


def _is_count(value: object) -> bool:
    return value is not None and is_count_or_none(value)


def _is_seconds_or_none(value: object) -> bool:
    return value is None or is_seconds(value) or value == math.inf


def _is_wait(value: object) -> bool:
    return isinstance(value, str) or _is_seconds_or_none(value)


def _are_headers(value: object) -> bool:
    return isinstance(value, Mapping) and all(map(is_text, (*value, *value.values())))
