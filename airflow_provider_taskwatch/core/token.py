"""Reading a token endpoint's answer, whatever shape it has, and knowing when a token is due."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from .error import TokenError
from .flow import words
from .wire import Reply

DEFAULT_LIFETIME_SECONDS = 300.0
LEAD_LIMIT_SECONDS = 120.0
LEAD_SHARE = 0.2


@dataclass(frozen=True, slots=True, kw_only=True)
class Token:
    """An access token.

    :param value: the token itself.
    :param renew_at: monotonic seconds from which a new one is asked for.
    """

    value: str = field(repr=False)
    renew_at: float

    @property
    def authorization(self) -> str:
        return f"Bearer {self.value}"

    def is_fresh(self, now: float) -> bool:
        return now < self.renew_at


def read_token(reply: Reply, url: str, *, asked_at: float, unix_now: float) -> Token:
    """The token in a reply of the endpoint ``url``, or :class:`TokenError` in the remote's words.

    The lifetime is ``expires_in`` (seconds) or ``expires_on`` (unix time), else 300 s. It is renewed early: a fifth
    of the lifetime before its end, at most 120 s.

    :param asked_at: monotonic seconds when the request was sent.
    :param unix_now: the wall clock at the same moment.
    """
    try:
        content = reply.json()
    except (ValueError, RecursionError):
        content = None
    value = content.get("access_token") if isinstance(content, dict) else None
    if not (reply.is_ok and isinstance(content, dict) and isinstance(value, str) and value):
        raise _refused(reply, url)
    lifetime = _lifetime(content, unix_now)
    lead = min(LEAD_LIMIT_SECONDS, lifetime * LEAD_SHARE)
    return Token(value=value, renew_at=asked_at + lifetime - lead)


def _lifetime(content: Mapping[str, Any], unix_now: float) -> float:
    for name, zero in (("expires_in", 0.0), ("expires_on", unix_now)):
        try:
            return max(0.0, float(content[name]) - zero)
        except (KeyError, TypeError, ValueError):
            continue
    return DEFAULT_LIFETIME_SECONDS


def _refused(reply: Reply, url: str) -> TokenError:
    if reply.status == 404 or 300 <= reply.status < 400:
        remedy = "; check the token URL of the connection"
    elif reply.status in (400, 401, 403):
        remedy = "; check client id, secret and scope of the connection"
    else:
        remedy = ""
    said = "a reply without an access token" if reply.is_ok else f"{reply.status}: {words(reply)}"
    transient = reply.status in (408, 429) or reply.status >= 500
    return TokenError(f"no token: {url} answered {said}{remedy}", transient=transient)
