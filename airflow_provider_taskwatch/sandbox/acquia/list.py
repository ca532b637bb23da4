"""The filter, sort and paging language of Acquia's notification lists.

``filter=status=failed,status=completed;created_at>=2026-01-01T00:00:00+00:00``: ``,`` is OR and ``;`` is AND,
where OR binds tighter; ``=@`` contains, ``!@`` does not contain. ``sort=-created_at,label``.
"""

from __future__ import annotations

import operator
import re
from collections.abc import Callable, Iterable, Mapping
from datetime import datetime
from typing import Any

Item = Mapping[str, Any]

FIELDS = ("event", "label", "description", "status", "author", "created_at", "completed_at")
_TIMES = ("created_at", "completed_at")

_OPERATORS: Mapping[str, Callable[[Any, Any], bool]] = {
    "=": operator.eq,
    "!=": operator.ne,
    ">": operator.gt,
    "<": operator.lt,
    ">=": operator.ge,
    "<=": operator.le,
    "=@": lambda field, text: str(text).lower() in str(field).lower(),
    "!@": lambda field, text: str(text).lower() not in str(field).lower(),
}
_CONDITION = re.compile(rf"({'|'.join(FIELDS)})(=@|!@|!=|>=|<=|=|>|<)(.*)")


def select(items: Iterable[Item], text: str) -> list[Item]:
    """The items that a filter lets through; ``ValueError`` where it cannot be read."""
    groups = [[_condition(one) for one in group.split(",")] for group in text.split(";") if group]
    return [item for item in items if all(any(holds(item) for holds in group) for group in groups)]


def arrange(items: Iterable[Item], text: str) -> list[Item]:
    """The items in the order asked for; ``ValueError`` where a field is not known."""
    arranged = list(items)
    for name in reversed([one for one in text.split(",") if one]):
        key = _sort_key(name.removeprefix("-"))
        arranged.sort(key=key, reverse=name.startswith("-"))
    return arranged


def _condition(text: str) -> Callable[[Item], bool]:
    found = _CONDITION.fullmatch(text.strip())
    if found is None:
        raise ValueError(f"unknown filter {text!r}")
    name, sign, wanted = found.groups()
    expected = _value(name, wanted)
    return lambda item: _holds(_OPERATORS[sign], _value(name, _field(item, name)), expected)


def _holds(compare: Callable[[Any, Any], bool], left: Any, right: Any) -> bool:
    """An absent time is neither before nor after another."""
    try:
        return compare(left, right)
    except TypeError:
        return False


def _sort_key(name: str) -> Callable[[Item], str]:
    if name not in FIELDS:
        raise ValueError(f"unknown sort field {name!r}")
    return lambda item: str(_field(item, name) or "")


def _field(item: Item, name: str) -> Any:
    return item["context"]["author"]["uuid"] if name == "author" else item.get(name)


def _value(name: str, value: Any) -> Any:
    if name in _TIMES and value:
        # a plus sign that was not percent-encoded arrives as a blank
        return datetime.fromisoformat(str(value).replace(" ", "+")).astimezone()
    return value
