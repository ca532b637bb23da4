"""Converts a user's argument to plain JSON, or names the part of it that JSON does not have."""

from __future__ import annotations

import json
from collections import UserString
from collections.abc import Iterable, Iterator, KeysView, Mapping, Sequence, Set, ValuesView
from enum import Enum
from numbers import Integral, Real
from typing import Any

from .error import ConfigurationError

ARGUMENT_DEPTH = 100


def plain(name: str, value: object) -> Any:
    """``value`` as dicts with string keys, lists, strings, finite numbers, booleans and None.

    Any sequence except a string becomes a list: a tuple, an array, mapped output that Airflow loads lazily. A set
    becomes a sorted list, so that each attempt of a task gets the same value.

    :param name: of the argument, for the error.
    :raises ConfigurationError: names the part that JSON does not have.
    """
    try:
        return _plain(value, "", ARGUMENT_DEPTH)
    except _NotJsonError as cause:
        raise ConfigurationError(f"{name} {cause.problem}: {name}{cause.place:.200} {cause}") from None


def members(value: object) -> Iterable[Any] | None:
    """The members of a sequence or a set; None if ``value`` is a single value, such as a string or a dict."""
    if isinstance(value, (str, UserString, bytes, bytearray, memoryview, Mapping)):
        return None
    if isinstance(value, (Sequence, KeysView, ValuesView)):
        return value
    if isinstance(value, Set):
        return sorted(value, key=_order)
    held = _own_list(value)
    return held if isinstance(held, list) else None


class _NotJsonError(Exception):
    """A part of the argument is not JSON.

    :param place: of the part, such as ``['a'][0]``.
    :param reason: what is wrong with the part.
    :param problem: what is wrong with the argument.
    """

    def __init__(self, place: str, reason: str, problem: str = "cannot be sent as JSON") -> None:
        super().__init__(reason)
        self.place = place
        self.problem = problem


def _plain(value: object, place: str, depth: int) -> Any:
    if depth == 0:
        raise _NotJsonError(place, f"is nested deeper than {ARGUMENT_DEPTH} levels")
    if isinstance(value, Mapping):
        return {_key(key, place): _plain(one, f"{place}[{key!r:.80}]", depth - 1) for key, one in value.items()}
    held = members(value)
    if held is not None:
        return [_plain(one, f"{place}[{index}]", depth - 1) for index, one in enumerate(held)]
    return _single(value, place, depth)


def _single(value: object, place: str, depth: int) -> Any:
    if value is None or isinstance(value, bool):
        return value
    if isinstance(value, Enum):
        return _plain(value.value, place, depth - 1)
    if isinstance(value, str):
        return _text(value, place)
    if isinstance(value, (Integral, Real)):
        return _number(value, place)
    own = _own_list(value)
    if own is None:
        raise _NotJsonError(place, _kind(value))
    return _plain(own, place, depth - 1)


def _own_list(value: object) -> Any:
    """The Python value of an array or number of numpy, or of a column of pandas; None for anything else."""
    convert = None if isinstance(value, (type, bytes, bytearray, memoryview)) else getattr(value, "tolist", None)
    return convert() if callable(convert) else None


def _key(key: object, place: str) -> str:
    if not isinstance(key, str):
        raise _NotJsonError(place, f"has one of the type {type(key).__name__}", "may only have strings as names")
    return _text(key.value if isinstance(key, Enum) else key, place)


def _text(text: str, place: str) -> str:
    try:
        text.encode()
    except UnicodeEncodeError:
        raise _NotJsonError(place, f"is not a valid string, {text!a:.80} contains half a surrogate pair") from None
    return str.__str__(text)


def _number(value: Integral | Real, place: str) -> float:
    """An integer may have any size that Python can write."""
    try:
        number = int(value) if isinstance(value, Integral) else float(value)
        json.dumps(number, allow_nan=False)
    except (ValueError, OverflowError) as cause:
        raise _NotJsonError(place, f"is a number that JSON does not have ({cause})") from None
    return number


def _kind(value: object) -> str:
    kind = f"is of the type {type(value).__name__}"
    if isinstance(value, Iterator):
        return f"{kind}, which can be read only once; give a list"
    is_time = hasattr(value, "isoformat")
    return f"{kind}; {'convert it with .isoformat()' if is_time else 'give a string, a number, a list or a dict'}"


def _order(value: object) -> tuple[str, str]:
    return type(value).__name__, repr(value)
