"""What lists of APS notifications say about those that are waited for."""

from __future__ import annotations

import re
from bisect import bisect_left
from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import UTC, datetime
from itertools import islice, takewhile
from typing import Any

from airflow_provider_taskwatch.core.phase import Later, Observation, Phase, absent

from .aps_message import PERSONAL, Message, as_result, phase_of, read_message, shown, wire_name
from .moment import moment

Item = Mapping[str, Any]

_CONTEXT = "context="
_ANY = "*"
_LONG_AGO = datetime.min.replace(tzinfo=UTC)

ORDER = (Phase.FAILED, Phase.RUNNING, Phase.PENDING, Phase.BLOCKED, Phase.UNKNOWN, Phase.SUCCEEDED)
"""Of several contexts the first phase counts: one failure fails, and all must succeed."""


def context_in(ref: str) -> str | None:
    """The context that a ref asks for, None where it is the id of one notification."""
    return ref.removeprefix(_CONTEXT) if ref.startswith(_CONTEXT) else None


def by_context(context: str) -> str:
    """The ref of all notifications of a context."""
    return _CONTEXT + context


class Listing:
    """Notifications by id and by context, from one list or several; what comes later is newer.

    :param locale: language of the texts, where the platform has not chosen one.
    """

    def __init__(self, locale: str) -> None:
        self._locale = locale
        self._items: dict[str, Item] = {}
        self._by_context: dict[str, list[Item]] | None = None
        self._readings: dict[str, Observation] = {}

    def add(self, items: Iterable[Item]) -> None:
        """Learn from a list."""
        self._items |= {one["id"]: one for one in items if isinstance(one.get("id"), str)}
        self._by_context = None
        self._readings = {}

    def is_settled(self, ref: str) -> bool:
        """Whether what a panel shows is enough: all that goes on, and the newest of what has ended.

        A success of several contexts is not: the failure of one of them may be older.
        """
        seen, several = self.observation(ref), _ANY in (context_in(ref) or "")
        return seen.phase is not Phase.LOST and not (several and seen.phase.is_ok)

    def missing(self, refs: Iterable[str]) -> str:
        """One pattern for all contexts that are in no list; empty where there is none."""
        asked = [context for ref in refs if (context := context_in(ref)) is not None]
        absent_ones = [context for context in asked if not next(self._groups(context), None)]
        if len(absent_ones) < 2:
            return "".join(absent_ones)
        return _common([one.partition(_ANY)[0] for one in absent_ones]) + _ANY

    def last(self, ref: str) -> Message | None:
        """The notification of an id, or the one that has the last word in a context."""
        context = context_in(ref)
        if context is None:
            return read_message(self._items[ref]) if ref in self._items else None
        return next(map(_last_word, self._groups(context)), None)

    def observation(self, ref: str) -> Observation:
        """The reading of a ref; absent where no list has it."""
        if ref not in self._readings:
            self._readings[ref] = self._observation(ref)
        return self._readings[ref]

    def _observation(self, ref: str) -> Observation:
        context = context_in(ref)
        if context is None:
            return absent(ref) if ref not in self._items else self._reading(ref, [read_message(self._items[ref])])
        words = [_last_word(group) for group in self._groups(context)]
        return self._reading(ref, words) if words else absent(ref)

    def _reading(self, ref: str, words: Sequence[Message]) -> Observation:
        phase, told = min(((phase_of(one), one) for one in words), key=lambda pair: ORDER.index(pair[0]))
        locale = self._locale
        ended = moment(told.modified) if phase.is_final else None
        return Observation(
            ref=ref,
            phase=phase,
            status=told.status,
            message=_words(told, locale, len(words)),
            ended_at=ended.timestamp() if ended else None,
            result=Later(lambda: _result(ref, told, words, locale)),
            personal=Later(lambda: {wire_name(name): getattr(told, name) for name in PERSONAL}),
        )

    def _groups(self, pattern: str) -> Iterator[list[Item]]:
        """The notifications of each context that matches."""
        grouped = self._grouped()
        if _ANY not in pattern:
            yield from (grouped[one] for one in (pattern,) if one in grouped)
            return
        prefix, names = pattern.partition(_ANY)[0], list(grouped)
        matches = re.compile(".*".join(map(re.escape, pattern.split(_ANY))), re.DOTALL).fullmatch
        alike = takewhile(lambda one: one.startswith(prefix), islice(names, bisect_left(names, prefix), None))
        yield from (grouped[one] for one in alike if matches(one))

    def _grouped(self) -> dict[str, list[Item]]:
        """Notifications by context, in the order of the contexts."""
        if self._by_context is None:
            grouped: dict[str, list[Item]] = {}
            for item in self._items.values():
                if isinstance(item.get("context"), str):
                    grouped.setdefault(item["context"], []).append(item)
            self._by_context = dict(sorted(grouped.items()))
        return self._by_context


def _common(texts: Sequence[str]) -> str:
    """How all of these begin."""
    first, last = min(texts), max(texts)
    alike = takewhile(lambda pair: pair[0] == pair[1], zip(first, last, strict=False))
    return "".join(one for one, _ in alike)


def _last_word(group: Sequence[Item]) -> Message:
    """Of a context that is used again and again: what goes on, else what was changed last."""
    messages = [read_message(one) for one in group]
    if len(messages) == 1:
        return messages[0]
    return max([one for one in messages if phase_of(one) is Phase.RUNNING] or messages, key=_changed_at)


def _changed_at(message: Message) -> datetime:
    return moment(message.modified) or moment(message.created) or _LONG_AGO


def _words(message: Message, locale: str, count: int) -> str:
    said = ": ".join(text for name in ("message", "details") if (text := shown(message, name, locale)))
    return f"{said} (the first of {count} contexts)" if count > 1 else said


def _result(ref: str, told: Message, words: Sequence[Message], locale: str) -> dict[str, Any]:
    """The XCom: the notification that decides; of a context, all of them as well."""
    result = as_result(told, locale)
    if context_in(ref) is None:
        return result
    return result | {"notifications": [as_result(one, locale) for one in words]}
