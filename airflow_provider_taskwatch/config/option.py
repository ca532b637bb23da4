"""The options of ``[taskwatch]`` in Airflow's configuration, read and checked."""

from __future__ import annotations

import math

from airflow.sdk.configuration import conf

from airflow_provider_taskwatch.core.error import ConfigurationError

SECTION = "taskwatch"


def text(name: str) -> str:
    """An option without the blanks around it; empty where it is not set."""
    return str(conf.get(SECTION, name, fallback=None) or "").strip()


def words(name: str) -> tuple[str, ...]:
    """An option that is a list, separated by blanks or commas."""
    return tuple(text(name).replace(",", " ").split())


def boolean(name: str, *, default: bool) -> bool:
    """An option that is True or False.

    :raises ConfigurationError: where it is neither.
    """
    given = text(name).lower()
    if given not in _BOOLEANS:
        raise ConfigurationError(f"[{SECTION}] {name} must be True or False, not {given!r:.80}")
    return default if _BOOLEANS[given] is None else bool(_BOOLEANS[given])


_BOOLEANS = {"": None, **dict.fromkeys(("true", "t", "1"), True), **dict.fromkeys(("false", "f", "0"), False)}


def days(name: str, *, default: float) -> float:
    """An option that is a number of days.

    :raises ConfigurationError: where it is none, or none greater than 0.
    """
    given = text(name)
    try:
        number = float(given or default)
    except ValueError:
        number = math.nan
    if not 0 < number < math.inf:
        raise ConfigurationError(f"[{SECTION}] {name} must be a number of days greater than 0, not {given!r:.80}")
    return number
