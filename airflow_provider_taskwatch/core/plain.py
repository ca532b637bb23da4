"""A user's argument as plain JSON, or an error that names the place in it that JSON does not have."""

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
    """``value`` as dicts with texts as keys, lists, texts, finite numbers, booleans and None.

    Any sequence that is no text is a list: a tuple, an array, a list of mapped output that Airflow loads lazily. A set
    is a sorted list, so that each attempt of a task makes the same of it.

    :param name: of the argument, for the error.
    :raises ConfigurationError: names the place of what JSON does not have.
    """
    try:
        return _plain(value, "", ARGUMENT_DEPTH)
    except _NotJsonError as cause:
        raise ConfigurationError(f"{name} {cause.problem}: {name}{cause.place:.200} {cause}") from None


def members(value: object) -> Iterable[Any] | None:
    """What a sequence or a set holds; None where ``value`` is a single one, such as a text or a dict."""
    if isinstance(value, (str, UserString, bytes, bytearray, memoryview, Mapping)):
        return None
    if isinstance(value, (Sequence, KeysView, ValuesView)):
        return value
    if isinstance(value, Set):
        return sorted(value, key=_order)
    held = _own_list(value)
    return held if isinstance(held, list) else None


class _NotJsonError(Exception):
    """What JSON does not have, and where it is below the argument."""

    def __init__(self, place: str, words: str, problem: str = "cannot be sent as JSON") -> None:
        super().__init__(words)
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
    """What an array or a number of numpy, or a column of pandas, says that it is in Python; None for anything else."""
    tell = None if isinstance(value, (type, bytes, bytearray, memoryview)) else getattr(value, "tolist", None)
    return tell() if callable(tell) else None


def _key(key: object, place: str) -> str:
    if not isinstance(key, str):
        raise _NotJsonError(place, f"has one that is of the type {type(key).__name__}", "may only have texts as names")
    return _text(key.value if isinstance(key, Enum) else key, place)


def _text(text: str, place: str) -> str:
    try:
        text.encode()
    except UnicodeEncodeError:
        raise _NotJsonError(place, f"is no valid text, {text!a:.80} contains half a surrogate pair") from None
    return str.__str__(text)


def _number(value: Integral | Real, place: str) -> float:
    """A whole number may be of any size that Python writes down."""
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
    return f"{kind}; {'.isoformat() makes a text of it' if is_time else 'give a text, a number, a list or a dict'}"


def _order(value: object) -> tuple[str, str]:
    return type(value).__name__, repr(value)
