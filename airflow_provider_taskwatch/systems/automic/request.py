"""Automic's start request: its fields, and the alias that marks an execution.

* https://docs.automic.com/documentation/WEBHELP/English/all/components/DOCU/21.0.5/Automic%20Automation%20Guides/Content/REST_API/AE_REST_API_General_PollingCallback.htm
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from airflow_provider_taskwatch.core.error import ConfigurationError
from airflow_provider_taskwatch.core.plain import members, plain
from airflow_provider_taskwatch.core.text import line
from airflow_provider_taskwatch.systems.moment import day, duration, moment

_BOOLEANS = {"true": True, "false": False}
JSON_INPUT = "|json"
"""The suffix of an input's name by which the engine's own clients mark a JSON value."""
_COUNT = re.compile(r"0*[1-9][0-9]{0,8}")
_CLOCK = re.compile(r"([01][0-9]|2[0-3]):[0-5][0-9]")
_UNUSUAL = re.compile(r"[^A-Za-z0-9-]")


@dataclass(frozen=True, slots=True)
class _Kind:
    """How a value is written in the request.

    :param read: makes the engine's form of a value; None if the value is malformed.
    :param expected: the accepted values, for errors.
    """

    read: Callable[[object], object]
    expected: str


def _boolean(value: object) -> bool | None:
    return _BOOLEANS.get(str(value).lower())


def _boolean_text(value: object) -> str | None:
    read = _boolean(value)
    return None if read is None else str(read).lower()


def _moment(value: object) -> str | None:
    parsed = moment(value)
    return parsed.format("YYYY-MM-DDTHH:mm:ss[Z]") if parsed else None


def _count(value: object) -> int | None:
    return int(str(value)) if _COUNT.fullmatch(str(value)) else None


def _clock(value: object) -> str | None:
    return value if isinstance(value, str) and _CLOCK.fullmatch(value) else None


_BOOLEAN = _Kind(_boolean, "true or false")
_BOOLEAN_TEXT = _Kind(_boolean_text, "true or false")
_MOMENT = _Kind(_moment, "an ISO 8601 time with its zone (2026-01-31T06:00:00Z)")
_DAY = _Kind(day, "a date (2026-01-31)")
_TIME = _Kind(_clock, "a time of day (06:30)")
_DURATION = _Kind(duration, "an ISO 8601 duration (PT5M)")
_NUMBER = _Kind(_count, "a whole number greater than 0")

FIELDS: Mapping[str, Mapping[str, _Kind]] = {
    "execute": {},
    "once": {
        "wait_for_manual_release": _BOOLEAN,
        "execution_date_time": _MOMENT,
        "use_logical_time": _MOMENT,
    },
    "recurring": {
        "start_date": _DAY,
        "end_date": _DAY,
        "end_after_executions": _NUMBER,
        "execute_after": _DURATION,
        "execute_at": _TIME,
        "between_start": _TIME,
        "between_end": _TIME,
        "adjust_start_time": _BOOLEAN_TEXT,  # the vendor's schema has a text here, and a boolean above
    },
}
"""The execution options, and the fields of each."""

_OPTION_OF = {name: option for option, kinds in FIELDS.items() for name in kinds}


def alias_for(alias: str, object_name: str, start_id: str) -> str:
    """The alias that marks one start: the user's alias, or the object's name, and the start id.

    A name is reduced to the characters of an alias, without ``#``: the engine's list filters do not match ``#``, and
    the marker must be found again.
    """
    return f"{alias or _UNUSUAL.sub('-', object_name)}-{start_id}"


def execution_request(
    object_name: str,
    *,
    alias: str = "",
    queue: str = "",
    inputs: Mapping[str, Any] | None = None,
    execution_option: str = "execute",
    timezone: str = "",
    **details: object,
) -> dict[str, Any]:
    """The body of ``POST executions``, or one :class:`ConfigurationError` that names every problem.

    :param inputs: a string or a list of strings by PromptSet variable; numbers become strings. The value of a name that
        ends in ``|json`` is any JSON.
    :param details: the fields of the execution option, see :data:`FIELDS`; empty ones are not sent.
    """
    problems = [] if object_name.strip() else ["object_name is empty"]
    if execution_option not in tuple(FIELDS):  # a wrong value may be unhashable
        problems.append(f"execution_option {execution_option!r:.80} is none of {', '.join(FIELDS)}")
    section = _read_details(execution_option, details, problems)
    request = {
        "object_name": object_name,
        "alias": alias,
        "queue": queue,
        "timezone": timezone,
        "execution_option": execution_option,
        "inputs": _read_inputs(inputs or {}, problems),
        str(execution_option): section,
    }
    if problems:
        raise ConfigurationError(f"Automic object {object_name!r} cannot be started: " + "; ".join(problems))
    return {name: value for name, value in request.items() if value not in ("", {})}


def input_problem(known: Mapping[str, Any], name: str, value: object) -> str | None:
    """The problem of one input; None if there is none.

    :param known: the object's inputs, with their defaults.
    """
    if name.removesuffix(JSON_INPUT) not in known:
        return f"unknown input {name!r}; known are {line(', '.join(map(repr, known))) or 'none'}"
    default = known.get(name)
    if default is None or isinstance(default, list) == (members(value) is not None):
        return None
    return f"input {name!r} takes {'a list of texts' if isinstance(default, list) else 'one text'}"


def _read_details(option: str, details: Mapping[str, object], problems: list[str]) -> dict[str, object]:
    given = {name: value for name, value in details.items() if value not in (None, "")}
    if unknown := sorted(given.keys() - _OPTION_OF.keys()):
        problems.append(f"unknown field {', '.join(unknown)}; known are {', '.join(_OPTION_OF)}")
    return {name: _read_detail(option, name, value, problems) for name, value in given.items() if name in _OPTION_OF}


def _read_detail(option: str, name: str, value: object, problems: list[str]) -> object:
    belongs = _OPTION_OF[name]
    if option != belongs:
        problems.append(f"{name} needs execution_option {belongs!r}")
    kind = FIELDS[belongs][name]
    written = kind.read(value)
    if written is None:
        problems.append(f"{name} must be {kind.expected}, not {value!r}")
    return written


def _read_inputs(inputs: Mapping[str, Any], problems: list[str]) -> dict[str, Any]:
    if wrong := sorted(name for name, value in inputs.items() if not _is_input(name, value)):
        problems.append(
            f"input {', '.join(wrong)} must be a string or a list of strings; "
            f"an input that takes other JSON has a name that ends in {JSON_INPUT!r}"
        )
    return {name: plain("inputs", value) if _is_json(name) else _input(value) for name, value in inputs.items()}


def _is_json(name: str) -> bool:
    return name.endswith(JSON_INPUT)


def _is_input(name: str, value: object) -> bool:
    if _is_json(name):
        return True
    many = members(value)
    return _is_text(value) if many is None else all(map(_is_text, many))


def _is_text(value: object) -> bool:
    return isinstance(value, (str, int, float)) and not isinstance(value, bool)


def _input(value: object) -> str | list[str]:
    many = members(value)
    return str(value) if many is None else [str(one) for one in many]
