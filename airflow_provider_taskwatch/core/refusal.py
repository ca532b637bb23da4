"""The error for a reply that is not 2xx, with the message that the remote gives in it."""

from __future__ import annotations

from dataclasses import replace

from .error import NotFoundError, RemoteError
from .mask import NO_MASK
from .retry_after import retry_after
from .text import LINE_CHARACTERS, line, shortened
from .wire import Call, Reply


def refusal(call: Call, reply: Reply) -> RemoteError:
    """The error for a reply that is not 2xx."""
    kind = NotFoundError if reply.status == 404 else RemoteError
    error = kind(
        method=call.method,
        path=call.shown_path,
        status=reply.status,
        message=error_message(reply) + _doubt(call, reply),
        retry_after=retry_after(reply.headers, reply.received_at),
        place=reply.place,
    )
    return error.with_original(error_message(replace(reply, mask=NO_MASK)))


def _doubt(call: Call, reply: Reply) -> str:
    """What may be wrong with the connection where a remote refuses its credentials, or does not know a path."""
    if reply.status in (401, 403) and reply.access:
        return f"; check {reply.access}" + (", and its rights at the remote" if reply.status == 403 else "")
    base = reply.place.partition("/")[2]
    if reply.status not in (404, 405) or not reply.place:
        return ""
    first = call.path.strip("/").partition("/")[0]
    if base and base.rpartition("/")[2] == first:
        return f"; check the base path: {first!r} is in the connection's host and in the path"
    if reply.doubt:
        return f"; {reply.doubt}"
    return f"; a web page answers at {reply.place}: check host and base path of the connection" if reply.is_page else ""


def error_message(reply: Reply) -> str:
    """What the remote says about an error, from a body of any shape."""
    if 300 <= reply.status < 400:
        return "a redirect, which is not followed with credentials; check the host of the connection"
    try:
        message = reply.mask.text(_flat(reply.json())) if reply.is_small else reply.text(LINE_CHARACTERS)
    except (ValueError, RecursionError):
        message = reply.text()
    return line(message) or "(no message)"


_MESSAGE_KEYS = ("error", "code", "errorCode", "message", "details", "error_description", "errorSummary")


def summary(content: object, limit: int = LINE_CHARACTERS) -> str:
    """A JSON value of any shape and size on one short line."""
    return line(_flat(shortened(content)), limit)


def _flat(content: object) -> str:
    if isinstance(content, dict):
        named = [content[key] for key in _MESSAGE_KEYS if content.get(key) not in (None, "")]
        return ": ".join(map(_flat, named or [f"{key} {_flat(value)}" for key, value in content.items()]))
    if isinstance(content, list):
        return "; ".join(map(_flat, content))
    return str(content)
