"""Reading a token endpoint's answer, whatever shape it has, and knowing when a token is due."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from .error import TokenError
from .flow import retry_after, said_at, told, words
from .text import place
from .wire import Reply, is_sendable

DEFAULT_LIFETIME_SECONDS = 300.0
MAX_LIFETIME_SECONDS = 86400.0
MAX_TOKEN_CHARACTERS = 65536
"""No server reads a longer header."""
LEAD_LIMIT_SECONDS = 120.0
LEAD_SHARE = 0.2


@dataclass(frozen=True, slots=True, kw_only=True)
class Token:
    """An access token.

    :param value: the token itself.
    :param renew_at: monotonic seconds from which a new one is asked for.
    :param renew_at_unix: the same by the wall clock. The monotonic one stands still while a machine is suspended; the
        wall clock may be set back. Whichever comes first counts.
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
    """The token in a reply of the endpoint ``url``, or :class:`TokenError` in the remote's words.

    The lifetime is ``expires_in`` (seconds) or ``expires_on`` (unix time, read against the reply's own ``Date``, as
    clocks differ), else 300 s; so it is where they make no sense (0, true, a moment that has passed), as a rejected
    token is replaced anyway. It is renewed early: a fifth of the lifetime before its end, at most 120 s, and after a
    day whatever its lifetime is.

    :param asked_at: monotonic seconds when the request was sent.
    :param unix_now: the wall clock at the same moment.
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
    """A number, or a text that is one; 0 for what says nothing: true, no number, an infinite one, a list."""
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
        remedy = (
            "; check the token URL of the connection, or wait: so answer firewalls, too, when they were asked often"
        )
    elif reply.status in (400, 401, 403):
        remedy = "; check client id, secret and scope of the connection"
    else:
        remedy = ""
    reply = replace(reply, mask=reply.mask.also(*_tokens_in(content)))
    said = _without_token(reply, content) if reply.is_ok else f"{reply.status}: {words(reply)}"
    transient = reply.status in (408, 429) or reply.status >= 500
    asked = retry_after(reply.headers, reply.received_at) if transient else None
    asked_place = reply.mask.text(place(url))
    return TokenError(f"no token: {asked_place} answered {said}{remedy}", transient=transient, retry_after=asked)


def _tokens_in(content: Mapping[str, Any]) -> tuple[str, ...]:
    """What may be a token, by whatever name, in a reply without a usable one."""
    return tuple(one for name, one in content.items() if isinstance(one, str) and name.lower().endswith("token"))


def _without_token(reply: Reply, content: Mapping[str, Any]) -> str:
    """Some say no under 200. Other members are not shown: one of them may be a token by another name."""
    named = [content[name] for name in ("error", "error_description", "message") if content.get(name)]
    said = [reply.mask.text(told(one, 200)) for one in named]
    return ": ".join(("a reply without a usable access token", *said))
