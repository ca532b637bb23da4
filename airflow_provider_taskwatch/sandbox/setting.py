"""Whether the values of settings are what their fields say: a wrong one is refused when it is set, not when it is used.

A field says by its annotation what it takes: a type, a ``Literal``, and what is ``Annotated`` besides. Every number is
0 or more, and small enough for a sum of seconds to be a time.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass, fields
from types import NoneType, UnionType
from typing import Annotated, Any, Literal, Union, get_args, get_origin, get_type_hints

from airflow_provider_taskwatch.core.error import ConfigurationError

LIMIT = 1e10
"""What no number may exceed."""


@dataclass(frozen=True, slots=True, eq=False)
class OneOf:
    """A text that is one of these; the keys of a mapping, also those that are added to it later."""

    choices: Collection[str]

    def holds(self, value: object) -> bool:
        return value in self.choices

    def __str__(self) -> str:
        return f"one of {', '.join(self.choices)}"


@dataclass(frozen=True, slots=True)
class Between:
    """A number within bounds, both included."""

    low: float
    high: float = LIMIT

    def holds(self, value: Any) -> bool:
        return bool(self.low <= value <= self.high)

    def __str__(self) -> str:
        return f"from {self.low:g} to {self.high:g}"


@dataclass(frozen=True, slots=True)
class Like:
    """One of a dataclass, or an object with some of its fields."""

    kind: type

    def holds(self, value: object) -> bool:
        hints = get_type_hints(self.kind)
        is_object = isinstance(value, Mapping) and value.keys() <= hints.keys()
        return isinstance(value, self.kind) or (is_object and all(fits(value[name], hints[name]) for name in value))  # type: ignore[index, attr-defined]

    def __str__(self) -> str:
        return f"an object with {', '.join(one.name for one in fields(self.kind))}"


STATUS = Between(200, 599)
"""An HTTP status that can stand at the end of a call."""
SPEED = Between(1e-6)
COUNT = Between(0, 1_000_000)
"""How many events of a kind can be made at a time: they are kept in memory."""


def check_settings(system: str, kind: type, values: Mapping[str, Any]) -> None:
    """Raise :class:`ConfigurationError` for an unknown name, and the first value that is not what its setting takes.

    :param kind: the dataclass of the settings.
    """
    hints = get_type_hints(kind, include_extras=True)
    if unknown := sorted(set(values) - set(hints)):
        raise ConfigurationError(f"{system} has no setting {', '.join(unknown)}; it has {', '.join(hints)}")
    for name, value in values.items():
        if not fits(value, hints[name]):
            raise ConfigurationError(f"{system}: {name} must be {describe(hints[name])}{_shown(value)}")


def _shown(value: object) -> str:
    """A wrong value; not what is in a list or an object, which may be a secret."""
    return f", not {value!r:.80}" if isinstance(value, (str, int, float, NoneType)) else ""


def check_fields(what: str, hints: Mapping[str, Any], values: Mapping[str, Any]) -> None:
    """Raise :class:`ConfigurationError` for an unknown key of an object, and the first value of another type.

    :param hints: what each key may hold.
    """
    if unknown := sorted(values.keys() - hints.keys()):
        raise ConfigurationError(f"unknown key {', '.join(unknown)}; {what} has {', '.join(hints)}")
    for name, value in values.items():
        if not fits(value, hints[name]):
            raise ConfigurationError(f"{name} must be {describe(hints[name])}{_shown(value)}")


def fits(value: object, hint: Any) -> bool:
    """Whether a value is what an annotation says."""
    origin, args = get_origin(hint), get_args(hint)
    if origin is Annotated:
        return fits(value, args[0]) and all(one.holds(value) for one in args[1:])
    if origin is Literal:
        return any(type(value) is type(one) and value == one for one in args)
    if origin in (Union, UnionType):
        return any(fits(value, one) for one in args)
    if origin is list:
        return isinstance(value, (list, tuple)) and all(fits(one, args[0]) for one in value)
    if origin is dict:
        return isinstance(value, Mapping) and all(_is_item(item, args) for item in value.items())
    return hint is Any or _is_plain(value, hint)


def _is_item(item: tuple[object, object], hints: tuple[Any, ...]) -> bool:
    return fits(item[0], hints[0]) and fits(item[1], hints[1])


def _is_plain(value: object, hint: type) -> bool:
    if hint in (int, float):
        kinds = (int,) if hint is int else (int, float)
        return isinstance(value, kinds) and not isinstance(value, bool) and 0 <= value <= LIMIT
    return isinstance(value, hint)


_PLAIN: Mapping[Any, str] = {
    str: "a string",
    bool: "true or false",
    int: f"a whole number from 0 to {LIMIT:g}",
    float: f"a number from 0 to {LIMIT:g}",
    NoneType: "null",
}


def describe(hint: Any) -> str:
    """What an annotation takes, as text."""
    origin, args = get_origin(hint), get_args(hint)
    if origin is Annotated:
        return (
            str(args[1]) if not isinstance(args[1], Between) else f"{describe(args[0]).partition(' from')[0]} {args[1]}"
        )
    if origin is Literal:
        return f"one of {', '.join(map(str, args))}"
    if origin in (Union, UnionType):
        return " or ".join(map(describe, args))
    if origin is list:
        return "a list" if args[0] is Any else f"a list, each item {describe(args[0])}"
    if origin is dict:
        return "an object" if args[1] is Any else f"an object, each value {describe(args[1])}"
    return _PLAIN.get(hint, "anything")
