"""Observations from lists of APS notifications.

* https://docs.cloudblue.com/cbc/sdk/21.0/api/types/platform-types/onscreennotification/onscreennotification-OnScreenNotificationManager-page/
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, datetime
from itertools import takewhile
from typing import Any

from airflow_provider_taskwatch.core.check import text
from airflow_provider_taskwatch.core.error import ConfigurationError
from airflow_provider_taskwatch.core.glob import ANY, matches
from airflow_provider_taskwatch.core.phase import LazyMapping, Observation, Phase, absent
from airflow_provider_taskwatch.core.system import unquoted
from airflow_provider_taskwatch.systems.moment import moment

from .notification import PERSONAL, ApsNotification, as_result, phase_of, read_notification, shown, wire_name

Item = Mapping[str, Any]

_CONTEXT = "context="
_LONG_AGO = datetime.min.replace(tzinfo=UTC)

ORDER = (Phase.FAILED, Phase.RUNNING, Phase.PENDING, Phase.BLOCKED, Phase.UNKNOWN, Phase.SUCCEEDED)
"""The phase of several notifications is the first of these: one failure fails, and all must succeed."""


def context_in(ref: str) -> str | None:
    """The context in a ref; None if it is the id of one notification."""
    return ref.removeprefix(_CONTEXT) if ref.startswith(_CONTEXT) else None


def by_context(context: str) -> str:
    """The ref of all notifications of a context."""
    return _CONTEXT + unquoted(context)


def notification_ref(notification: object, context: object) -> str:
    """The ref that one of the two arguments names: an id, or all notifications of a context.

    :param notification: an id, or what an operator has returned for the notification.
    """
    if (notification in (None, "")) is (context in (None, "")):
        raise ConfigurationError("give one of notification_id and context, and not both")
    if notification in (None, ""):
        return by_context(text("context", context))
    return text("notification_id", notification.get("id") if isinstance(notification, Mapping) else notification)


class Listing:
    """Notifications by id and by context, from one list or several. Later lists are newer.

    :param locale: language of the texts if the platform has chosen none.
    """

    def __init__(self, locale: str) -> None:
        self._locale = locale
        self._items: dict[str, Item] = {}
        self._groups: dict[str, list[Item]] | None = None
        self._names: list[str] = []
        self._readings: dict[str, Observation] = {}

    def add(self, items: Iterable[Item]) -> None:
        """Add the notifications of a list."""
        self._items |= {one["id"]: one for one in items if isinstance(one.get("id"), str)}
        self._groups = None
        self._readings = {}

    def is_settled(self, ref: str) -> bool:
        """Whether the lists so far answer a ref. A panel shows all that is running, and the newest that has ended.

        The success of a context is not settled: earlier notifications of that context may have failed.
        """
        seen = self.observation(ref)
        return seen.phase is not Phase.LOST and not (context_in(ref) is not None and seen.phase.is_ok)

    def missing(self, refs: Iterable[str]) -> str:
        """One pattern for all contexts that are in no list; empty if there is none."""
        asked = [context for ref in refs if (context := context_in(ref)) is not None]
        unseen = [context for context in asked if not self._matching(context)]
        if len(unseen) < 2:
            return "".join(unseen)
        return _common([one.partition(ANY)[0] for one in unseen]) + ANY

    def last(self, ref: str) -> ApsNotification | None:
        """The notification that was changed last; None if no list has one."""
        return max(map(read_notification, self._found(ref)), key=_changed_at, default=None)

    def observation(self, ref: str) -> Observation:
        """The observation of a ref; absent if no list has it."""
        if ref not in self._readings:
            self._readings[ref] = self._observation(ref)
        return self._readings[ref]

    def _observation(self, ref: str) -> Observation:
        found = list(map(read_notification, self._found(ref)))
        if not found:
            return absent(ref)
        phase, decisive = min(((phase_of(one), one) for one in found), key=lambda pair: ORDER.index(pair[0]))
        locale = self._locale
        ended = moment(decisive.modified) if phase.is_final else None
        return Observation(
            ref=ref,
            phase=phase,
            status=decisive.status,
            message=_message(decisive, locale, len(found)),
            ended_at=ended.timestamp() if ended else None,
            result=LazyMapping(lambda: _result(ref, decisive, found, locale)),
            personal=LazyMapping(lambda: {wire_name(name): getattr(decisive, name) for name in PERSONAL}),
        )

    def _found(self, ref: str) -> list[Item]:
        context = context_in(ref)
        if context is None:
            return [self._items[ref]] if ref in self._items else []
        return self._matching(context)

    def _matching(self, pattern: str) -> list[Item]:
        """The notifications whose contexts match a pattern."""
        groups = self._grouped()
        prefix, asterisk, _ = pattern.partition(ANY)
        if not asterisk:
            return groups.get(pattern, [])
        alike = takewhile(lambda one: one.startswith(prefix), self._names[bisect_left(self._names, prefix) :])
        return [item for one in alike if matches(pattern, one) for item in groups[one]]

    def _grouped(self) -> dict[str, list[Item]]:
        """Notifications by context; sorts the names of the contexts, too."""
        if self._groups is None:
            self._groups = {}
            for item in self._items.values():
                if isinstance(item.get("context"), str):
                    self._groups.setdefault(item["context"], []).append(item)
            self._names = sorted(self._groups)
        return self._groups


def _common(texts: Sequence[str]) -> str:
    """The common prefix of texts."""
    first, last = min(texts), max(texts)
    alike = takewhile(lambda pair: pair[0] == pair[1], zip(first, last, strict=False))
    return "".join(one for one, _ in alike)


def _changed_at(notification: ApsNotification) -> datetime:
    return moment(notification.modified) or moment(notification.created) or _LONG_AGO


def _message(notification: ApsNotification, locale: str, count: int) -> str:
    text = ": ".join(part for name in ("message", "details") if (part := shown(notification, name, locale)))
    return f"{text} (one of {count})" if count > 1 else text


def _result(ref: str, decisive: ApsNotification, found: Sequence[ApsNotification], locale: str) -> dict[str, Any]:
    """The XCom: the decisive notification, and for a context all notifications of it."""
    result = as_result(decisive, locale)
    if context_in(ref) is None:
        return result
    return result | {"notifications": [as_result(one, locale) for one in found]}
