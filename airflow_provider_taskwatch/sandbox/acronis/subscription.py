"""Subscriptions of the emulated Event Manager: their checks, their filters, and the consumer that they serve."""

from __future__ import annotations

import math
import re
import uuid
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass
from functools import lru_cache
from itertools import islice
from typing import Any

from .topic import Published, Topic

DEPTHS = ("CURRENT", "DIRECT", "ALL")
_KEYS = (
    "subscription_id",
    "topic_id",
    "types",
    "tenant_depth",
    "tenant_id",
    "subject_types",
    "cel",
    "session_timeout",
    "auto_commit",
    "auto_commit_interval",
)
_REQUIRED = _KEYS[:4]
_DEFAULTS: Mapping[str, Any] = {"session_timeout": "PT30S", "auto_commit": False, "auto_commit_interval": "PT5M"}
_TYPES = ("cti.a.p.em.event.v1.0~", "cti.a.p.em.msg.v1.0~")

Event = Mapping[str, Any]
Condition = Callable[[Event], bool]


@dataclass(slots=True, kw_only=True, eq=False)
class Subscription:
    """One subscription.

    :param content: as it was made, with the defaults filled in.
    :param committed: the offset that was committed last.
    :param leader: the consumer that is served.
    :param leads_until: unix seconds until which no other consumer is served.
    """

    content: Mapping[str, Any]
    committed: int = 0
    leader: str = ""
    leads_until: float = 0.0

    @property
    def condition(self) -> Condition:
        """The filter of its CEL."""
        return condition(str(self.content.get("cel") or ""))

    @property
    def session_seconds(self) -> float:
        return duration(self.content["session_timeout"])

    def serve(self, consumer: str, now: float) -> int | None:
        """None where the consumer is served, else the seconds after which it may ask again."""
        if self.leader != consumer and now < self.leads_until:
            return max(1, math.ceil(self.leads_until - now))
        self.leader, self.leads_until = consumer, now + self.session_seconds
        return None

    def find(self, topic: Topic, offset: int, limit: int, tenants: Mapping[str, str], now: float) -> list[Published]:
        """The first events behind an offset that it lets through."""
        return list(islice((one for one in topic.after(offset, now) if self._has(one.content, tenants)), limit))

    def _has(self, event: Event, tenants: Mapping[str, str]) -> bool:
        kind = (event["type"], event.get("subject_type"), event["tenant_id"])
        return self._has_kind(*kind, tenants) and self.condition(event)

    def _has_kind(self, event_type: str, subject_type: str | None, tenant: str, tenants: Mapping[str, str]) -> bool:
        subjects = self.content.get("subject_types")
        return (
            _matches(event_type, self.content["types"])
            and (not subjects or _matches(subject_type or "", subjects))
            and _is_below(tenant, self.content["tenant_id"], self.content["tenant_depth"], tenants)
        )


def subscribe(content: Mapping[str, Any], topics: Collection[str], tenant: str) -> Subscription:
    """A new subscription; ``ValueError`` where the Event Manager would refuse it.

    :param tenant: of the client.
    """
    if unknown := sorted(content.keys() - set(_KEYS)):
        raise ValueError(f"unknown field {', '.join(unknown)}")
    if missing := [name for name in _REQUIRED if not content.get(name)]:
        raise ValueError(f"{', '.join(missing)} is required")
    uuid.UUID(str(content["subscription_id"]))
    if content["topic_id"] not in topics:
        raise ValueError(f"there is no topic {content['topic_id']}")
    _check_patterns("types", content["types"], _TYPES)
    _check_patterns("subject_types", content.get("subject_types") or ["cti."], ("cti.",))
    if content["tenant_depth"] not in DEPTHS:
        raise ValueError(f"tenant_depth must be one of {', '.join(DEPTHS)}")
    whole = {"tenant_id": tenant, **_DEFAULTS, **content}
    duration(whole["session_timeout"])
    duration(whole["auto_commit_interval"])
    condition(str(whole.get("cel") or ""))
    return Subscription(content=whole)


@lru_cache(maxsize=256)
def condition(cel: str) -> Condition:
    """A condition in a small part of CEL, comparisons joined by ``&&``; ``ValueError`` for the rest of it."""
    if len(cel) > 4096:
        raise ValueError("cel must have at most 4096 characters")
    parts = [_COMPARISON.fullmatch(part.strip()) for part in cel.split("&&")] if cel.strip() else []
    if not all(parts):
        raise ValueError(f"the sandbox does not know the CEL {cel!r}; it knows event.field == 'text' and &&")
    comparisons = [(part[1].split("."), part[2] == "==", part[3] or part[4]) for part in parts if part]
    return lambda event: all((_member(event, path) == text) is wants for path, wants, text in comparisons)


_COMPARISON = re.compile(r"""(?:event\.)?([a-z_][\w.]*)\s*(==|!=)\s*(?:'([^']*)'|"([^"]*)")""")


def _member(event: Event, path: list[str]) -> object:
    value: Any = event
    for name in path:
        value = value.get(name) if isinstance(value, Mapping) else None
    return value if value is None else str(value)


def duration(text: object) -> float:
    """Seconds of an ISO 8601 duration of whole numbers; ``ValueError`` for any other."""
    found = _DURATION.fullmatch(str(text))
    if found is None or not any(found.groups()):
        raise ValueError(f"{text!r} is not a duration, such as PT30S")
    return float(sum(int(part or 0) * seconds for part, seconds in zip(found.groups(), _SECONDS, strict=True)))


_SECONDS = (365 * 86400, 30 * 86400, 7 * 86400, 86400, 3600, 60, 1)
"""Of a year, a month, a week, a day, an hour, a minute, a second."""
_DURATION = re.compile(r"P(?:(\d+)Y)?(?:(\d+)M)?(?:(\d+)W)?(?:(\d+)D)?(?:T(?:(\d+)H)?(?:(\d+)M)?(?:(\d+)S)?)?")


def _check_patterns(name: str, patterns: object, prefixes: tuple[str, ...]) -> None:
    if not isinstance(patterns, list) or not 1 <= len(patterns) <= 32:
        raise ValueError(f"{name} must be a list of 1 to 32 patterns")
    for one in patterns:
        if not isinstance(one, str) or not one.startswith(prefixes) or "*" in one[:-1] or len(one) > 1024:
            raise ValueError(f"{name} holds the malformed pattern {one!r:.80}")


def _matches(name: str, patterns: Collection[str]) -> bool:
    return any(name.startswith(one[:-1]) if one.endswith("*") else name == one for one in patterns)


def _is_below(tenant: str, root: str, depth: str, tenants: Mapping[str, str]) -> bool:
    """Whether a tenant is the root, or as far below it as the depth allows.

    :param tenants: parents by child.
    """
    if tenant == root:
        return True
    parent = tenants.get(tenant)
    if parent is None or depth == "CURRENT":
        return False
    return parent == root if depth == "DIRECT" else _is_below(parent, root, depth, tenants)
