"""How long a connection holds back after a reply: what the remote asks for, else a growing pause."""

from __future__ import annotations

from dataclasses import replace
from math import ceil

from .flow import RETRY_AFTER_LIMIT_SECONDS, retry_after, until_reset
from .wire import Reply

FIRST_SECONDS = 1.0
LIMIT_SECONDS = 60.0


def hold_seconds(reply: Reply | None, failures: int) -> float:
    """Seconds during which nobody on this connection may ask.

    :param reply: None where the connection was lost.
    :param failures: how many exchanges in a row have failed, this one included; 0 after a good one.
    """
    if reply and (asked := _asked(reply)):
        return asked
    return min(LIMIT_SECONDS, FIRST_SECONDS * 2 ** min(failures - 1, 16)) if failures else 0.0


def repeated(reply: Reply, seconds: float) -> Reply:
    """The refusal once more, for somebody who asks while ``seconds`` of its time are left."""
    return replace(reply, headers={**reply.headers, "retry-after": str(ceil(seconds))})


def is_failure(reply: Reply) -> bool:
    """Whether a reply says that the remote, not the request, is in trouble."""
    return reply.status == 429 or reply.status >= 500


def _asked(reply: Reply) -> float | None:
    if is_failure(reply):
        return retry_after(reply.headers)
    if reply.headers.get("x-ratelimit-remaining", "").strip() == "0":
        return _until_reset(reply)
    return None


def _until_reset(reply: Reply) -> float | None:
    """``X-RateLimit-Reset`` in seconds, or until its moment; unix time is left to the 429."""
    value = reply.headers.get("x-ratelimit-reset", "").strip()
    if not value.isdecimal():
        return until_reset(reply.headers)
    return float(value) if float(value) <= RETRY_AFTER_LIMIT_SECONDS else None
