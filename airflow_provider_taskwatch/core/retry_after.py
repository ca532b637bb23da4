"""When a remote wants the next request, read from the headers of its reply."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime

from .wire import Reply

RETRY_AFTER_LIMIT_SECONDS = 3600.0


def retry_after(headers: Mapping[str, str], received_at: float | None = None) -> float | None:
    """Seconds from ``Retry-After``, else until ``X-RateLimit-Reset``, bounded; None where neither can be read.

    :param received_at: when the reply came, by our clock; the remote's own ``Date`` wins, as clocks differ.
    """
    value = headers.get("retry-after", "").strip()
    seconds = plain_seconds(value)
    if seconds is None:
        seconds = _between(_sent_at(headers, received_at), _http_date, value)
    return until_reset(headers, received_at) if seconds is None else _bounded(seconds)


def said_at(reply: Reply) -> float | None:
    """When the remote answered, by its own clock, else by ours, in seconds since the epoch."""
    return _sent_at(reply.headers, reply.received_at)


def until_reset(headers: Mapping[str, str], received_at: float | None = None) -> float | None:
    """Seconds until the moment in ``X-RateLimit-Reset`` (ISO 8601, or seconds since the epoch), bounded.

    None where it names none: a small number may count seconds or anything else.
    """
    reset, now = headers.get("x-ratelimit-reset", "").strip(), _sent_at(headers, received_at)
    number = plain_seconds(reset)
    if number is None:
        seconds = _between(now, datetime.fromisoformat, reset)
    else:
        seconds = number - now if now is not None and _EPOCH_SECONDS <= number < _EPOCH_LIMIT_SECONDS else None
    return None if seconds is None else _bounded(seconds)


_EPOCH_SECONDS, _EPOCH_LIMIT_SECONDS = 1e9, 1e11
"""The range of numbers that count as seconds since the epoch; more would be milliseconds."""
_NUMBER = re.compile(r"[0-9]+(\.[0-9]*)?")


def plain_seconds(value: str) -> float | None:
    """A number of seconds; some remotes send a fraction, which RFC 9110 does not allow."""
    return float(value) if _NUMBER.fullmatch(value) else None


def _bounded(seconds: float) -> float:
    return min(max(seconds, 0.0), RETRY_AFTER_LIMIT_SECONDS)


def _sent_at(headers: Mapping[str, str], received_at: float | None) -> float | None:
    """When a reply was sent, in seconds since the epoch."""
    try:
        return _http_date(headers.get("date", "")).timestamp()
    except (TypeError, ValueError, OverflowError):
        return received_at


def _http_date(value: str) -> datetime:
    """One of the three forms of RFC 9110 5.6.7, of which the oldest names no zone; ``-0000`` says that it has none."""
    moment = parsedate_to_datetime(value)
    return moment if moment.tzinfo or value.endswith("-0000") else moment.replace(tzinfo=UTC)


def _between(now: float | None, read: Callable[[str], datetime], moment: str) -> float | None:
    try:
        then = read(moment)
        return None if now is None or then.tzinfo is None else then.timestamp() - now
    except (TypeError, ValueError, OverflowError):
        return None
