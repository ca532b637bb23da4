"""Docplanner integration API v3: a queue that deletes each notification as it sends it, and its release.

* https://integrations.docplanner.com/
* The four operations: APINotificationCallbacksApi.md of the vendor's PHP client
* The token endpoint is OAuth v2, although the API is v3
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from airflow_provider_taskwatch.core.error import (
    ConfigurationError,
    LossError,
    RemoteError,
    ReplyError,
    TaskWatchError,
    TransportError,
)
from airflow_provider_taskwatch.core.flow import Flow
from airflow_provider_taskwatch.core.refusal import refusal
from airflow_provider_taskwatch.core.text import line
from airflow_provider_taskwatch.core.wire import MAX_REPLY_BYTES, Call, LengthError, Reply, pairs

MAX_LIMIT = 100
EXPIRY_SECONDS = 72 * 3600.0
"""Docplanner deletes a notification that was not pulled within this time."""
RELEASE_SECONDS = 3600.0
"""The shortest time between two releases."""

_RELEASE = "/notifications/release"
_ERRORS = "application/vnd.error+docplanner+json"
_HEADERS = {
    "Accept": f"application/vnd.docplanner+json; charset=UTF-8, {_ERRORS}",
    "User-Agent": "airflow-provider-taskwatch",  # the firewall blocks clients without one as bots
}
_EMPTY = "no notifications found"
_GATEWAYS = (502, 504)

_WWW = "Docplanner's hosts begin with 'www.' (www.doctoralia.es); others redirect, and a redirect changes the request"
_HINTS: Mapping[int, str] = {
    301: _WWW,
    302: _WWW,
    308: _WWW,
    403: "the client may not do this; Docplanner enables it, by client and by facility",
}
_DECODER = json.JSONDecoder()
_LIST = re.compile(rb'"notifications"\s*:\s*\[')
_BETWEEN = re.compile(r"[\s,]*")
_COMPARE = "compare with its bookings (GET .../bookings?start=&end=)"
_PULL_HINTS = {**_HINTS, 404: "an empty queue says 'No notifications found'; check host and path of the connection"}
_RELEASE_HINTS = {
    **_HINTS,
    403: "a release is only for clients to which Docplanner pushes, and for which it has enabled the release; "
    "one that pulls has nothing to release",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Pulled:
    """The content of a pull.

    :param notifications: ``{"name", "data", "created_at"}``, the earliest first. No repr shows them, as they hold data
        of patients.
    :param remaining: how many the queue still has; None if the reply does not say.
    :param others: entries that are no notifications.
    :param rest: the unreadable end of a reply that was cut because it is too long.
    """

    notifications: tuple[Mapping[str, Any], ...] = field(default=(), repr=False)
    remaining: int | None = None
    others: tuple[object, ...] = field(default=(), repr=False)
    rest: bytes = field(default=b"", repr=False)

    @property
    def loss(self) -> str:
        """A sentence about lost notifications, with their number; empty if none is lost."""
        if not self.rest:
            return ""
        read = len(self.notifications) + len(self.others)
        return (
            f"a reply was longer than {MAX_REPLY_BYTES >> 20} MB: what came after its first {read} notifications is "
            f"deleted at Docplanner; up to {MAX_LIMIT - read} are lost; {_COMPARE}"
        )


def pull(limit: int | None = None) -> Flow[Reply]:
    """Take the earliest notifications out of the queue. :func:`read_pulled` reads the reply, an empty one included.

    The request is sent once, because Docplanner deletes what it sends.

    :param limit: the maximum, 1 to 100; None: one notification, by the operation for a single one.
    :raises LossError: the reply was lost.
    """
    call = _pull_call(limit)
    try:
        reply: Reply = yield call
    except LengthError as error:
        reply = error.beginning
    except TransportError as lost:
        if not lost.sent:
            raise
        raise _lost(call, str(lost), limit) from lost
    if reply.status in _GATEWAYS:
        raise _lost(call, f"a gateway answered {reply.status}", limit)
    if not (reply.is_ok or is_empty(reply)):
        raise _refused(call, reply, _PULL_HINTS)
    return reply


def quota(method: str, path: str) -> str:
    """The limit of Docplanner that a request counts against.

    GET is limited to 8,000 requests an hour, other methods to 40 a minute (OpenAPI). The release has its own limit, and
    so have the slots of each address: 429 means that Docplanner still processes the last ones.
    """
    if path == _RELEASE:
        return "release"
    if method == "PUT" and path.rstrip("/").endswith("/slots"):
        return f"slots {path}"
    return "reads" if method == "GET" else "writes"


def release() -> Flow[None]:
    """Ask Docplanner to push undelivered notifications again, at most once an hour.

    :raises RemoteError: 403 if Docplanner does not push to this client; 429 if it is too early, with ``retry_after``.
    """
    call = Call(method="POST", path=_RELEASE, headers={**_HEADERS, "Accept": _ERRORS}, quota=quota("POST", _RELEASE))
    yield from _asked(call, _RELEASE_HINTS)


def patience(error: RemoteError) -> float:
    """Seconds until the next release is allowed."""
    return RELEASE_SECONDS if error.retry_after is None else error.retry_after


def probe() -> Flow[str]:
    """A cheap authenticated read that leaves the queue alone. The result is a sentence about what it proved."""
    yield from _asked(_read("/facilities"), _HINTS)
    return "the token is accepted and the facilities can be listed"


def is_empty(reply: Reply) -> bool:
    """Whether a reply says that the queue is empty: 204, an empty 200, or the documented 404.

    Other 404s do not: they come from a wrong host or path.
    """
    if reply.is_ok:
        return not reply.body.strip()
    content = _content(reply) if reply.status == 404 else None
    return isinstance(content, Mapping) and _EMPTY in str(content.get("message")).lower()


def read_pulled(reply: Reply) -> Pulled:
    """The content of a reply to a pull of one or of many.

    :raises ReplyError: it has neither shape. The error names members only, as values may concern patients.
    """
    if is_empty(reply):
        return Pulled(remaining=0)
    content = _content(reply)
    if content is None and len(reply.body) >= MAX_REPLY_BYTES and (list_ := _LIST.search(reply.body)):
        return _cut(reply.body, list_.end())
    if content == []:
        return Pulled(remaining=0)
    members = content if isinstance(content, Mapping) else {}
    found = members.get("notifications")
    if found is None and isinstance(members.get("name"), str):
        return Pulled(notifications=(members,))
    if not isinstance(found, list):
        raise ReplyError(f"the reply to a pull ({reply.status}) holds no notifications: it is {_shape(reply, content)}")
    return _pulled(found, remaining=_count(members.get("remaining")))


def _pulled(found: list[Any], *, remaining: int | None = None, rest: bytes = b"") -> Pulled:
    return Pulled(
        notifications=tuple(one for one in found if isinstance(one, Mapping)),
        remaining=remaining,
        others=tuple(one for one in found if not isinstance(one, Mapping)),
        rest=rest,
    )


def _cut(body: bytes, begin: int) -> Pulled:
    """The notifications of a reply that was cut within its list."""
    text, end, found = body[begin:].decode(errors="replace"), 0, list[Any]()
    while True:
        try:
            one, end = _DECODER.raw_decode(text, _after_blanks(text, end))
        except (ValueError, RecursionError):
            return _pulled(found, rest=text[end:].encode())
        found.append(one)


def _after_blanks(text: str, start: int) -> int:
    found = _BETWEEN.match(text, start)
    return start if found is None else found.end()


def _pull_call(limit: int | None) -> Call:
    if limit is None:
        return replace(_read("/notifications"), is_consuming=True)
    if type(limit) is not int or not 1 <= limit <= MAX_LIMIT:
        raise ConfigurationError(f"limit must be a whole number from 1 to {MAX_LIMIT}, not {limit!r:.80}")
    return replace(_read("/notifications/multiple"), query=pairs({"limit": limit}), is_consuming=True)


def _read(path: str) -> Call:
    return Call(method="GET", path=path, headers=_HEADERS, quota=quota("GET", path))


def _asked(call: Call, hints: Mapping[int, str]) -> Flow[Reply]:
    """Send a call once; a refusal gets the hint for its status."""
    reply: Reply = yield call
    if not reply.is_ok:
        raise _refused(call, reply, hints)
    return reply


def _lost(call: Call, reason: str, limit: int | None) -> LossError:
    return LossError(
        f"the reply to {call.method} {call.path} was lost: {reason}. Docplanner deletes what it has sent, so up to "
        f"{limit or 1} notifications may be gone; {_COMPARE}"
    )


def _refused(call: Call, reply: Reply, hints: Mapping[int, str]) -> TaskWatchError:
    if reply.status == 405 and reply.is_page:
        return TransportError(
            f"{call.method} {call.path} did not reach Docplanner: the web firewall in front of it answered 405 with a "
            "page. It blocks addresses that ask too often (500 requests in 5 minutes) or from abroad, for minutes; set "
            "'rate_limit' in the connection, or have the address allowed",
            sent=False,
        )
    error = refusal(call, reply)
    if reply.status not in hints:
        return error
    return error.with_message(f"{error.message}; {hints[reply.status]}")


def _content(reply: Reply) -> Any:
    """The JSON of a reply; None if it is not JSON."""
    try:
        return reply.json()
    except (ValueError, RecursionError):
        return None


def _shape(reply: Reply, content: object) -> str:
    if content is None:
        return "a web page, from a firewall or another host" if reply.is_page else "no JSON"
    if not isinstance(content, Mapping):
        return f"a JSON {type(content).__name__}"
    return f"an object with the members {line(', '.join(sorted(map(str, content))), 200) or '(none)'}"


def _count(value: object) -> int | None:
    text = str(value).strip()
    return int(text) if text.isascii() and text.isdecimal() and len(text) < 10 else None
