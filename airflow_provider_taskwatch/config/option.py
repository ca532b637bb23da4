"""The options of ``[taskwatch]`` in Airflow's configuration, read and checked."""

from __future__ import annotations

import math

from airflow.providers.common.compat.sdk import conf

from airflow_provider_taskwatch.compat.provider_options import load_provider_options
from airflow_provider_taskwatch.core.error import ConfigurationError

SECTION = "taskwatch"


def text(name: str) -> str:
    """An option without surrounding whitespace; empty where it is not set."""
    load_provider_options()
    return str(conf.get(SECTION, name, fallback=None) or "").strip()


def items(name: str) -> tuple[str, ...]:
    """The items of a list, which whitespace or commas separate."""
    return tuple(text(name).replace(",", " ").split())


def boolean(name: str, *, default: bool) -> bool:
    """True or False.

    :raises ConfigurationError: where it is neither.
    """
    given = text(name).lower()
    if given not in _BOOLEANS:
        raise ConfigurationError(f"[{SECTION}] {name} must be True or False, not {given!r:.80}")
    return default if _BOOLEANS[given] is None else bool(_BOOLEANS[given])


_BOOLEANS = {"": None, **dict.fromkeys(("true", "t", "1"), True), **dict.fromkeys(("false", "f", "0"), False)}


def days(name: str, *, default: float) -> float:
    """A number of days greater than 0.

    :raises ConfigurationError: where it is anything else.
    """
    given = text(name)
    try:
        number = float(given or default)
    except ValueError:
        number = math.nan
    if not 0 < number < math.inf:
        raise ConfigurationError(f"[{SECTION}] {name} must be a number of days greater than 0, not {given!r:.80}")
    return number
