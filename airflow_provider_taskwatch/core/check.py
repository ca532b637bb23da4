"""Checks of users' arguments, and the values that they become.

A check takes the name of an argument and its value. It raises :class:`ConfigurationError`, which names both, where the
value is wrong.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from datetime import UTC, datetime, timedelta
from enum import Enum
from typing import Any

from .error import ConfigurationError
from .plain import members, plain
from .text import storable

Check = Callable[[str, Any], object]

CENTURY_SECONDS = 100 * 365 * 86400.0
"""The longest duration: a later deadline might be no date that Python knows."""


def seconds(value: float | timedelta) -> float:
    """A duration in seconds."""
    return value.total_seconds() if isinstance(value, timedelta) else value


def seconds_or_none(value: float | timedelta | None) -> float | None:
    """A duration in seconds; None stays None."""
    return None if value is None else seconds(value)


def choice(*allowed: str) -> Check:
    """A check of an argument that has few values."""

    def one_of(name: str, value: object) -> None:
        if not isinstance(value, str) or value not in allowed:
            raise ConfigurationError(f"{name}={shown(value)} is not one of {', '.join(map(repr, allowed))}")

    return one_of


def flag(name: str, value: object) -> None:
    """Check for True or False. Any other value would count as one of them."""
    if not isinstance(value, bool):
        raise ConfigurationError(f"{name} must be True or False, not {shown(value)}")


def flag_or_none(name: str, value: object) -> None:
    """Check for True, False or None."""
    if value is not None:
        flag(name, value)


def duration(name: str, value: object) -> None:
    """Check a duration before the start: a trigger would find a wrong one only after it."""
    if not is_duration(name, value):
        least = "greater than 0" if name in _ABOVE_ZERO else "not negative"
        raise ConfigurationError(
            f"{name}={shown(value)} must be a number of seconds or a timedelta, {least}, finite, and 100 years at most"
        )


def shown(value: object) -> str:
    """A value for an error message. Python refuses to print an integer of thousands of digits."""
    try:
        return f"{value!r:.80}"
    except ValueError:
        return f"a huge {type(value).__name__}"


_ABOVE_ZERO = ("poll_interval", "poke_interval", "timeout", "callback_poll_interval")
_MAY_BE_INFINITE = ("timeout",)
_MAY_BE_NONE = ("poll_interval", "timeout", "blocked_timeout")


def is_duration(name: str, value: object) -> bool:
    """Whether an argument of this name may have this value."""
    if value is None:
        return name in _MAY_BE_NONE
    if isinstance(value, bool) or not isinstance(value, (int, float, timedelta)):
        return False
    length = seconds(value)
    is_above = length > 0 if name in _ABOVE_ZERO else length >= 0
    return is_above and (length < math.inf if name in _MAY_BE_INFINITE else length <= CENTURY_SECONDS)


def text(name: str, value: object) -> str:
    """``value`` as a string that is not empty. It may be an integer, or an enum's member."""
    if isinstance(value, bool) or not isinstance(value, (str, int)) or not (made := _written(value)).strip():
        raise ConfigurationError(f"{name} must be a non-empty string, not {shown(value)}")
    return made


def _written(value: str | int) -> str:
    """The string; empty for an integer that Python refuses to print."""
    try:
        return str(value.value if isinstance(value, Enum) else value)
    except ValueError:
        return ""


def text_or_empty(name: str, value: object) -> str:
    """``value`` as a string that Airflow's database can store; empty where it is not given."""
    if value is None or value == "":
        return ""
    made = text(name, value)
    if storable(made) != made:
        raise ConfigurationError(f"{name}={made!a:.80} holds NUL or half of a surrogate pair; remove it")
    return made


def connection_id(name: str, value: object) -> None:
    """Check the id of a connection."""
    if not isinstance(value, str) or not value.strip():
        raise ConfigurationError(f"{name} must be the id of an Airflow connection, not {shown(value)}")


def json_object(name: str, value: object) -> dict[str, Any]:
    """``value`` as a dict that can be sent as JSON; empty for None."""
    if value is None:
        return {}
    if not isinstance(value, Mapping):
        raise ConfigurationError(
            f"{name} must be a dict, not {shown(value)}; a template that renders a dict needs a DAG with "
            "render_template_as_native_obj=True; or give an XComArg instead"
        )
    made: dict[str, Any] = plain(name, value)
    return made


def listed(name: str, value: object) -> list[Any] | None:
    """One value or many as a list of plain JSON; None stays None."""
    if value is None:
        return None
    held = members(value)
    made: list[Any] = plain(name, [value] if held is None else held)
    return made


def moment_of(name: str, value: object) -> float | None:
    """A time in seconds since the epoch; None where it is not given.

    :param value: a datetime, or a string in ISO 8601; without a zone it is UTC.
    """
    if value is None or value == "":
        return None
    try:
        moment = value if isinstance(value, datetime) else datetime.fromisoformat(str(value))
        return (moment if moment.tzinfo else moment.replace(tzinfo=UTC)).timestamp()
    except (ValueError, OverflowError) as cause:
        raise ConfigurationError(
            f"{name}={shown(value)} is not a time; write it as 2026-01-31T12:00:00+00:00"
        ) from cause
