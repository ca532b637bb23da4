"""Reads the reply of a token endpoint, of any shape, and decides when a token must be renewed."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from .error import TokenError
from .refusal import error_message, summary
from .retry_after import retry_after, said_at
from .text import place
from .wire import Reply, is_sendable

DEFAULT_LIFETIME_SECONDS = 300.0
MAX_LIFETIME_SECONDS = 86400.0
MAX_TOKEN_CHARACTERS = 65536
"""No server accepts a longer header."""
LEAD_LIMIT_SECONDS = 120.0
LEAD_SHARE = 0.2


@dataclass(frozen=True, slots=True, kw_only=True)
class Token:
    """An access token.

    :param renew_at: monotonic seconds from which a new token is requested.
    :param renew_at_unix: the same by the wall clock. The first of the two counts: the monotonic clock stops while a
        machine is suspended, and the wall clock may be set back.
    """

    value: str = field(repr=False)
    renew_at: float
    renew_at_unix: float = math.inf

    @property
    def authorization(self) -> str:
        return f"Bearer {self.value}"

    def is_fresh(self, now: float, unix_now: float) -> bool:
        return now < self.renew_at and unix_now < self.renew_at_unix


def read_token(reply: Reply, url: str, *, asked_at: float, unix_now: float) -> Token:
    """The token in a reply of the token endpoint ``url``.

    The lifetime is ``expires_in`` (seconds), else ``expires_on`` (unix time, relative to the reply's ``Date``, as
    clocks differ), else 300 s. It is also 300 s for values without meaning (0, true, a time in the past), as a rejected
    token is replaced anyway. The token is renewed early: a fifth of its lifetime before the end, at most 120 s, and
    after one day at the latest.

    :param asked_at: monotonic seconds when the request was sent.
    :param unix_now: the wall clock at the same moment.
    :raises TokenError: the reply has no usable token. Its message is the remote's.
    """
    try:
        content = reply.json()
    except (ValueError, RecursionError):
        content = None
    content = content if isinstance(content, dict) else {}
    value = content.get("access_token")
    if not (reply.is_ok and isinstance(value, str) and len(value) <= MAX_TOKEN_CHARACTERS and is_sendable(value)):
        raise _refused(reply, content, url)
    lifetime = _lifetime(content, said_at(reply) or unix_now)
    lead = min(LEAD_LIMIT_SECONDS, lifetime * LEAD_SHARE)
    fresh_for = lifetime - lead
    return Token(value=value, renew_at=asked_at + fresh_for, renew_at_unix=unix_now + fresh_for)


def _lifetime(content: Mapping[str, Any], unix_now: float) -> float:
    for name, zero in (("expires_in", 0.0), ("expires_on", unix_now)):
        lifetime = _seconds(content.get(name)) - zero
        if lifetime > 0:
            return min(lifetime, MAX_LIFETIME_SECONDS)
    return DEFAULT_LIFETIME_SECONDS


def _seconds(value: object) -> float:
    """A number, or a string that is one; 0 for any other value: true, infinity, a list."""
    is_number = isinstance(value, (int, float)) and not isinstance(value, bool)
    if not is_number and not (isinstance(value, str) and _NUMBER.fullmatch(value)):
        return 0.0
    try:
        seconds = float(value)  # type: ignore[arg-type]
    except OverflowError:
        return 0.0
    return seconds if math.isfinite(seconds) else 0.0


_NUMBER = re.compile(r"\s*\d{1,20}(\.\d*)?\s*", re.ASCII)


def _refused(reply: Reply, content: Mapping[str, Any], url: str) -> TokenError:
    if reply.status == 404 or 300 <= reply.status < 400:
        remedy = "; check the token URL of the connection"
    elif reply.status == 405:
        remedy = "; check the token URL of the connection, or wait: firewalls also answer 405 after many requests"
    elif reply.status in (400, 401, 403):
        remedy = "; check client id, secret and scope of the connection"
    else:
        remedy = ""
    reply = replace(reply, mask=reply.mask.also(*_tokens_in(content)))
    answer = _without_token(reply, content) if reply.is_ok else f"{reply.status}: {error_message(reply)}"
    transient = reply.status in (408, 429) or reply.status >= 500
    seconds = retry_after(reply.headers, reply.received_at) if transient else None
    endpoint = reply.mask.text(place(url))
    return TokenError(f"no token: {endpoint} answered {answer}{remedy}", transient=transient, retry_after=seconds)


def _tokens_in(content: Mapping[str, Any]) -> tuple[str, ...]:
    """Values that may be tokens under another name, in a reply without a usable one."""
    return tuple(one for name, one in content.items() if isinstance(one, str) and name.lower().endswith("token"))


def _without_token(reply: Reply, content: Mapping[str, Any]) -> str:
    """Some endpoints refuse with status 200. Other members are not shown, as one may be a token under another name."""
    named = [content[name] for name in ("error", "error_description", "message") if content.get(name)]
    messages = [reply.mask.text(summary(one, 200)) for one in named]
    return ": ".join(("a reply without a usable access token", *messages))
