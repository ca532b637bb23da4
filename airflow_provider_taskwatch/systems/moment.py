"""Times and durations as remotes write them."""

from __future__ import annotations

from datetime import date, datetime

import pendulum
from pendulum import DateTime, Duration


def moment(value: object) -> DateTime | None:
    """The time in an ISO 8601 text or a datetime, in UTC; None where there is none, or it names no zone.

    Any number of fraction digits and all of ``Z``, ``+01:00`` and ``-0500`` are understood.
    """
    parsed = _parsed(value.isoformat() if isinstance(value, datetime) else value)
    return parsed if isinstance(parsed, DateTime) and parsed.tzinfo else None


def day(value: object) -> str | None:
    """A date as ``YYYY-MM-DD``; None where ``value`` is none, or is written otherwise."""
    text = value.isoformat() if isinstance(value, date) else value
    parsed = _parsed(text)
    return str(text) if isinstance(parsed, date) and parsed.isoformat() == text else None


def duration(value: object) -> str | None:
    """An ISO 8601 duration longer than nothing (``PT5M``), as written; None where ``value`` is none."""
    parsed = _parsed(value)
    return str(value) if isinstance(parsed, Duration) and parsed.total_seconds() > 0 else None


def seconds_between(start: object, end: object) -> float | None:
    """Seconds from one ISO 8601 time to a later one; None where either is unknown or the order is wrong."""
    first, last = moment(start), moment(end)
    if first is None or last is None or last < first:
        return None
    return (last - first).total_seconds()


def _parsed(value: object) -> object:
    """What pendulum makes of a text. It would also read ``now`` and intervals, which no remote means."""
    if not isinstance(value, str) or value[:1] not in "0123456789P" or "/" in value:
        return None
    try:
        parsed = pendulum.parse(value, exact=True, tz=None)
        return parsed.in_timezone("UTC") if isinstance(parsed, DateTime) and parsed.tzinfo else parsed
    except (TypeError, ValueError, OverflowError):  # odd texts, and offsets of days, raise any of them
        return None
