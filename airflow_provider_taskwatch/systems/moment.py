"""Times and durations as remotes write them."""

from __future__ import annotations

import re
from datetime import date, datetime, timedelta

import pendulum
from pendulum import DateTime, Duration

TIME_CHARACTERS = 200
EARLIEST = pendulum.datetime(1, 1, 1)
LATEST = pendulum.datetime(9999, 12, 31, 23, 59, 59, 999_999)


def moment(value: object) -> DateTime | None:
    """An ISO 8601 string or a datetime as a time in UTC; None if it is neither, or has no zone.

    Accepts any number of fraction digits, the zones ``Z``, ``+01:00`` and ``-0500``, leap seconds and 24:00. A time
    that is out of range in UTC becomes the nearest time in range.
    """
    text = value.isoformat() if isinstance(value, datetime) else value
    written, beyond = _regular(text.upper()) if isinstance(text, str) and len(text) <= TIME_CHARACTERS else ("", _NONE)
    parsed = _parsed(written)
    if not isinstance(parsed, DateTime) or parsed.tzinfo is None:
        return None
    try:
        return parsed.in_timezone("UTC") + beyond
    except OverflowError:
        return LATEST if parsed.year > EARLIEST.year else EARLIEST


def day(value: object) -> str | None:
    """A date as ``YYYY-MM-DD``; None if ``value`` is anything else."""
    text = value.isoformat() if isinstance(value, date) else value
    parsed = _parsed(text)
    return str(text) if isinstance(parsed, date) and parsed.isoformat() == text else None


def duration(value: object) -> str | None:
    """A positive ISO 8601 duration (``PT5M``), unchanged; None if ``value`` is anything else."""
    parsed = _parsed(value)
    return str(value) if isinstance(parsed, Duration) and parsed.total_seconds() > 0 else None


def seconds_between(start: object, end: object) -> float | None:
    """Seconds from one ISO 8601 time to a later one; None if either is unknown or the order is wrong."""
    first, last = moment(start), moment(end)
    if first is None or last is None or last < first:
        return None
    return (last - first).total_seconds()


def _parsed(value: object) -> object:
    """The value that pendulum parses from a string, without ``now`` and intervals, which pendulum accepts, too."""
    if not isinstance(value, str) or value[:1] not in "0123456789P" or "/" in value:
        return None
    try:
        parsed = pendulum.parse(value, exact=True, tz=None)
        if isinstance(parsed, DateTime):
            parsed.isoformat()
        return parsed
    except (TypeError, ValueError, OverflowError):  # odd texts, and offsets of days, raise any of them
        return None


_NONE = timedelta()
_LEAP_SECOND = re.compile(r"([0-9W-]+[T ][0-9]{2}:?[0-9]{2}:?)60(|[.,Z+-].*)")
_MIDNIGHT = re.compile(r"([0-9W-]+[T ])24((?::?00){0,2}(?:[.,]0+)?(?:|[Z+-].*))")


def _regular(text: str) -> tuple[str, timedelta]:
    """A time that Python can represent, and the difference to the given one: ISO 8601 has a second 60 and 24:00."""
    if found := _LEAP_SECOND.fullmatch(text):
        return f"{found[1]}59{found[2]}", timedelta(seconds=1)
    if found := _MIDNIGHT.fullmatch(text):
        return f"{found[1]}00{found[2]}", timedelta(days=1)
    return text, _NONE
