"""How the emulators read a call and write a reply."""

from __future__ import annotations

import json
from collections.abc import Mapping
from datetime import UTC, datetime

from airflow_provider_taskwatch.core.wire import Call, Reply

HTML_PAGE = b"<!DOCTYPE html><html><head><title>Oops</title></head><body><h1>Something broke</h1></body></html>\n"


def json_reply(
    status: int,
    content: object,
    headers: Mapping[str, str] | None = None,
    content_type: str = "application/json",
) -> Reply:
    """A reply with ``content`` as JSON."""
    body = json.dumps(content).encode()
    return Reply(status=status, headers={"content-type": content_type, **(headers or {})}, body=body)


def html_reply(status: int) -> Reply:
    """The page of a proxy or a web server in front of the API."""
    return Reply(status=status, headers={"content-type": "text/html; charset=utf-8"}, body=HTML_PAGE)


def header(call: Call, name: str) -> str:
    """A header of the call, whatever its case; empty where there is none."""
    return next((value for key, value in call.headers.items() if key.lower() == name), "")


def credentials(call: Call) -> tuple[str, str]:
    """Scheme (in lower case) and value of the ``Authorization`` header."""
    scheme, _, value = header(call, "authorization").partition(" ")
    return scheme.lower(), value.strip()


def values(call: Call, name: str) -> list[str]:
    """All values of one query parameter: repeated ones, and each item of a comma list."""
    return [item for key, value in call.query if key == name for item in value.split(",") if item]


def value(call: Call, name: str, default: str = "") -> str:
    """The last value of one query parameter, as it was sent."""
    return next((value for key, value in reversed(call.query) if key == name), default)


def number(call: Call, name: str, default: int) -> int:
    """A query parameter as a whole number; the default where it is none."""
    text = value(call, name)
    return int(text) if text.isdecimal() else default


def utc(seconds: float) -> datetime:
    """Unix seconds as a time."""
    return datetime.fromtimestamp(seconds, UTC)
