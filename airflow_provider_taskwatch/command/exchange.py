"""Recorded exchanges: a HAR of a browser's network tab (http://www.softwareishard.com/blog/har-12-spec/), or a cassette
of VCR (https://vcrpy.readthedocs.io/)."""

from __future__ import annotations

import base64
import binascii
import json
import zlib
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl, urlencode, urlsplit

import yaml

from airflow_provider_taskwatch.core.error import ConfigurationError
from airflow_provider_taskwatch.core.mask import Mask, is_secret_name
from airflow_provider_taskwatch.core.wire import MAX_REPLY_BYTES, Call, Reply

MAX_BYTES = 64 * 1024 * 1024
_NO_REPLIES = (0, 304)
"""A browser notes 0 for a request that it has cancelled. A 304 has no body, which the browser has kept."""
_GZIP = b"\x1f\x8b"
_SECRET_MEMBERS = ("access_token", "refresh_token", "id_token", "client_secret", "password")


@dataclass(frozen=True, slots=True, kw_only=True)
class Recorded:
    """One request with its reply.

    :param origin: scheme and host of the request.
    """

    origin: str
    call: Call
    reply: Reply


def load_exchange(path: Path) -> list[Recorded]:
    """The requests of a file that have replies, in their order.

    :raises ConfigurationError: it cannot be read, or is neither a HAR nor a cassette.
    """
    content = _content(path)
    if not isinstance(content, Mapping):
        content = {}
    entries = _member(content, "log", "entries")
    read = _of_har
    if entries is None:
        entries, read = content.get("interactions"), _of_vcr
    if not isinstance(entries, list):
        raise ConfigurationError(f"{path} is neither a HAR (log.entries) nor a VCR cassette (interactions)")
    found = []
    for number, entry in enumerate(entries, start=1):
        try:
            recorded = read(entry)
        except (AttributeError, KeyError, TypeError, ValueError) as cause:
            raise ConfigurationError(f"{path}: entry {number} cannot be read: {type(cause).__name__} {cause}") from None
        if recorded.reply.status not in _NO_REPLIES:
            found.append(recorded)
    return found


def _content(path: Path) -> Any:
    try:
        if path.stat().st_size > MAX_BYTES:
            raise ConfigurationError(f"{path} has more than {MAX_BYTES >> 20} MB; record less, or leave out images")
        text = path.read_text(encoding="utf-8-sig")
        return json.loads(text) if text.lstrip()[:1] == "{" else yaml.load(text, _LOADER)  # noqa: S506 - a safe one
    except (OSError, UnicodeDecodeError) as cause:
        raise ConfigurationError(f"{path} cannot be read: {cause}") from cause
    except (ValueError, RecursionError, yaml.YAMLError) as cause:
        problem = getattr(cause, "problem", "") or getattr(cause, "msg", "") or "it is nested too deeply"
        raise ConfigurationError(f"{path} is neither JSON nor YAML: {problem}") from None


_LOADER: Any = getattr(yaml, "CSafeLoader", yaml.SafeLoader)


def _of_har(entry: Mapping[str, Any]) -> Recorded:
    request, response = entry["request"], entry["response"]
    posted, content = request.get("postData") or {}, response.get("content") or {}
    body = posted.get("text")
    if body is None and posted.get("params"):
        body = urlencode([(one["name"], one.get("value", "")) for one in posted["params"]])
    text = content.get("text") or ""
    answer = base64.b64decode(text) if content.get("encoding") == "base64" else text.encode()
    return _recorded(
        request["method"], request["url"], _pairs(request), body, response["status"], _pairs(response), answer
    )


def _pairs(message: Mapping[str, Any]) -> list[tuple[str, str]]:
    return [(one["name"], one["value"]) for one in message.get("headers") or ()]


def _of_vcr(entry: Mapping[str, Any]) -> Recorded:
    request, response = entry["request"], entry["response"]
    status = response["status"] if "status" in response else response["status_code"]
    return _recorded(
        request["method"],
        request["uri"],
        _items(request),
        _bytes(request.get("body")),
        status["code"] if isinstance(status, Mapping) else status,
        _items(response),
        _bytes(response["body"] if "body" in response else response.get("content")),
    )


def _items(message: Mapping[str, Any]) -> list[tuple[str, str]]:
    headers = message.get("headers") or {}
    return [
        (name, str(one)) for name, value in headers.items() for one in (value if isinstance(value, list) else [value])
    ]


def _bytes(body: Any) -> bytes | None:
    """A body in one of the forms that cassettes have: text, bytes, or an object around one of them."""
    if isinstance(body, Mapping):
        if "base64_string" in body:
            return base64.b64decode(body["base64_string"])
        body = body.get("string")
    return body.encode() if isinstance(body, str) else body


def _recorded(
    method: str,
    url: str,
    sent: list[tuple[str, str]],
    body: str | bytes | None,
    status: int,
    received: list[tuple[str, str]],
    answer: bytes | None,
) -> Recorded:
    parts = urlsplit(url)
    call = Call(
        method=method.upper(),
        path=parts.path or "/",
        query=tuple(parse_qsl(parts.query, keep_blank_values=True)),
        headers=dict(sent),
        body=body.encode() if isinstance(body, str) else body,
    )
    headers = {name.lower(): value for name, value in received if not name.startswith(":")}
    reply = Reply(status=int(status), headers=headers, body=_unpacked(answer or b""))
    return Recorded(origin=f"{parts.scheme}://{parts.netloc.rpartition('@')[2]}", call=call, reply=reply)


def _unpacked(body: bytes) -> bytes:
    """A body as it is read: cassettes keep it packed, as it was sent."""
    if not body.startswith(_GZIP):
        return body
    try:
        return zlib.decompressobj(zlib.MAX_WBITS | 16).decompress(body, MAX_REPLY_BYTES)
    except zlib.error as cause:
        raise ValueError(f"its body cannot be unpacked: {cause}") from None


def _member(content: Any, *names: str) -> Any:
    for name in names:
        content = content.get(name) if isinstance(content, Mapping) else None
    return content


# --- secrets


def mask_of(recorded: Iterable[Recorded]) -> Mask:
    """Hides the credentials, cookies, keys and signatures of a recording."""
    return Mask(tuple({secret for one in recorded for secret in _secrets(one) if secret}))


def _secrets(one: Recorded) -> Iterator[str]:
    for name, value in (*one.call.headers.items(), *one.reply.headers.items()):
        yield from _in_header(name.lower(), value)
    yield from (value for name, value in one.call.query if is_secret_name(name) or name.lower().startswith("sig"))
    for body in (one.call.body, one.reply.body):
        yield from _in_body(body or b"")


def _in_header(name: str, value: str) -> Iterator[str]:
    if name.endswith("authorization"):
        yield from _of_authorization(value)
    elif name == "cookie":
        yield from (part.partition("=")[2].strip() for part in value.split(";"))
    elif name == "set-cookie":
        yield value.partition(";")[0].partition("=")[2].strip()
    elif is_secret_name(name):
        yield value


def _of_authorization(value: str) -> Iterator[str]:
    scheme, _, secret = value.partition(" ")
    yield secret or value
    if scheme.lower() == "basic":
        try:
            yield base64.b64decode(secret).decode().partition(":")[2]
        except (binascii.Error, UnicodeDecodeError):
            return


def _in_body(body: bytes) -> Iterator[str]:
    """The tokens and passwords of a token request, or of its reply."""
    try:
        content = json.loads(body) if body[:1] == b"{" else dict(parse_qsl(body.decode()))
    except (ValueError, RecursionError):
        return
    yield from (str(content[name]) for name in _SECRET_MEMBERS if name in content)
