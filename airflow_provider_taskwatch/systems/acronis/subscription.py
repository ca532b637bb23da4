"""A subscription of Acronis' Event Manager: its options, checked, and the id that is made of them.

https://developer.acronis.com/doc/event-manager/v1/guide/ ("Subscribing to the events")
"""

from __future__ import annotations

import json
import re
import uuid
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from airflow_provider_taskwatch.core.check import json_object, listed, text_or_empty
from airflow_provider_taskwatch.core.error import ConfigurationError
from airflow_provider_taskwatch.core.plain import members, plain
from airflow_provider_taskwatch.core.settings import Settings

TOPIC_PREFIX = "cti.a.p.em.topic.v1.0~"
TYPE_PREFIXES = ("cti.a.p.em.event.v1.0~", "cti.a.p.em.msg.v1.0~")
DEPTHS = ("CURRENT", "DIRECT", "ALL")
CONSUMERS = ("stateful", "stateless", "auto_commit")
"""Who keeps the offset, by the vendor's terms: a stateful consumer keeps it itself; a stateless consumer commits it to
the server after processing; with auto-commit, the server commits it."""
SESSION_TIMEOUT = "PT30S"
"""Always sent, because the vendor's pages name two defaults."""

CTI_CHARACTERS = 1024
CEL_CHARACTERS = 4096
TYPES_LIMIT = 32

_NAMESPACE = uuid.uuid5(uuid.NAMESPACE_URL, "https://developer.acronis.com/doc/event-manager/v1")


@dataclass(frozen=True, slots=True, kw_only=True)
class Subscription:
    """A subscription. Equal options give the same id, because the server can neither list nor delete subscriptions.

    :param conn_id: of the connection.
    :param environment: of the connection; another one has subscriptions of its own.
    :param types: CTI patterns; a ``*`` may only stand at the end.
    :param tenant_depth: one of :data:`DEPTHS`.
    :param tenant_id: root of the tenants; empty: that of the client.
    :param subject_types: CTI patterns; none: of any type.
    :param cel: a condition in CEL on ``event.``; empty: none.
    :param consumer: one of :data:`CONSUMERS`.
    :param session_timeout: ISO 8601; how long the server waits for a silent reader before it serves another.
    :param auto_commit_interval: ISO 8601, for the consumer ``auto_commit``; empty: the server's default.
    """

    conn_id: str
    environment: str
    topic: str
    types: tuple[str, ...]
    tenant_depth: str = "ALL"
    tenant_id: str = ""
    subject_types: tuple[str, ...] = ()
    cel: str = field(default="", repr=False)
    consumer: str = "stateful"
    session_timeout: str = SESSION_TIMEOUT
    auto_commit_interval: str = ""

    @property
    def id(self) -> str:
        named = [self.conn_id, self.environment, self.consumer, self._wishes()]
        return str(uuid.uuid5(_NAMESPACE, json.dumps(named, sort_keys=True)))

    @property
    def body(self) -> dict[str, Any]:
        """The body of ``POST /subscriptions``. The server refuses unknown keys."""
        return {"subscription_id": self.id, **self._wishes()}

    def _wishes(self) -> dict[str, Any]:
        optional = {
            "tenant_id": self.tenant_id,
            "subject_types": list(self.subject_types),
            "cel": self.cel,
            "auto_commit_interval": self.auto_commit_interval,
        }
        return {
            "topic_id": self.topic,
            "types": list(self.types),
            "tenant_depth": self.tenant_depth,
            **{name: value for name, value in optional.items() if value},
            "session_timeout": self.session_timeout,
            "auto_commit": self.consumer == "auto_commit",
        }


def check_wish(name: str, value: object) -> None:
    """Raise :class:`ConfigurationError` for a wrong value of one option. None and empty values are not checked."""
    if value in (None, "", []):
        return
    try:
        _READERS[name](plain(name, value))
    except ValueError as problem:
        raise ConfigurationError(f"{name} {problem}") from None


def read_subscription(settings: Settings, options: Mapping[str, Any]) -> Subscription:
    """The subscription of these options, or one :class:`ConfigurationError` that names every problem.

    :param options: the fields of :class:`Subscription` but the first two; ``types`` and ``subject_types``
        are lists, or one string. None and empty values count as not given.
    """
    wishes = plain("subscription", options)
    given = {name: value for name, value in wishes.items() if value not in (None, "", [])}
    problems = [f"{name} is missing" for name in ("topic", "types") if name not in given]
    if unknown := sorted(given.keys() - _READERS.keys()):
        problems.append(f"unknown {', '.join(unknown)}; known are {', '.join(_READERS)}")
    values: dict[str, Any] = {}
    for name, value in given.items():
        try:
            values[name] = _READERS[name](value) if name in _READERS else value
        except ValueError as problem:
            problems.append(f"{name} {problem}")
    if problems:
        raise ConfigurationError(f"no subscription for connection {settings.conn_id!r}: " + "; ".join(problems))
    return Subscription(conn_id=settings.conn_id, environment=settings.own.get("environment") or "", **values)


def _topic(value: object) -> str:
    topic = _cti(value, (TOPIC_PREFIX,))
    if topic.endswith("*"):
        raise ValueError("must name one topic, without '*'")
    return topic


def _types(value: object) -> tuple[str, ...]:
    return _patterns(value, TYPE_PREFIXES)


def _subject_types(value: object) -> tuple[str, ...]:
    return _patterns(value, ("cti.",))


def _patterns(value: object, prefixes: tuple[str, ...]) -> tuple[str, ...]:
    """CTI patterns, sorted: their order has no meaning, and equal options must give the same id."""
    many = members(value)
    patterns = sorted({_cti(one, prefixes) for one in ([value] if many is None else many)})
    if len(patterns) > TYPES_LIMIT:
        raise ValueError(
            f"are {len(patterns)}, and at most {TYPES_LIMIT} are allowed; use a pattern with '*' at its end"
        )
    return tuple(patterns)


def _cti(value: object, prefixes: tuple[str, ...]) -> str:
    text = value.strip() if isinstance(value, str) else ""
    if not text.startswith(prefixes) or any(one.isspace() for one in text):
        raise ValueError(f"must begin with {' or '.join(prefixes)}, not {value!r:.80}")
    if len(text) > CTI_CHARACTERS:
        raise ValueError(f"must have at most {CTI_CHARACTERS} characters, not {len(text)}")
    if "*" in text[:-1]:
        raise ValueError(f"may have '*' at its end only, not {text!r:.80}")
    return text


def _cel(value: object) -> str:
    if not isinstance(value, str) or len(value) > CEL_CHARACTERS:
        raise ValueError(f"must be a string of at most {CEL_CHARACTERS} characters")
    return value


def _uuid(value: object) -> str:
    try:
        return str(uuid.UUID(str(value).strip()))
    except ValueError:
        raise ValueError(f"must be a UUID, not {value!r:.80}") from None


_DURATION = re.compile(
    r"P(?=[0-9T])([0-9]+Y)?([0-9]+M)?([0-9]+W)?([0-9]+D)?(T(?=[0-9])([0-9]+H)?([0-9]+M)?([0-9]+S)?)?"
)


def _duration(value: object) -> str:
    if not isinstance(value, str) or not _DURATION.fullmatch(value) or not re.search("[1-9]", value):
        raise ValueError(f"must be an ISO 8601 duration of whole numbers, such as PT30S or P1W, not {value!r:.80}")
    return value


def _one_of(allowed: tuple[str, ...]) -> Callable[[object], str]:
    def read(value: object) -> str:
        if not isinstance(value, str) or value not in allowed:
            raise ValueError(f"must be one of {', '.join(allowed)}, not {value!r:.80}")
        return value

    return read


_READERS: Mapping[str, Callable[[Any], Any]] = {
    "topic": _topic,
    "types": _types,
    "tenant_depth": _one_of(DEPTHS),
    "tenant_id": _uuid,
    "subject_types": _subject_types,
    "cel": _cel,
    "consumer": _one_of(CONSUMERS),
    "session_timeout": _duration,
    "auto_commit_interval": _duration,
}


def feed_options(task: Any) -> dict[str, Any]:
    """Which feed the arguments of an operator or a sensor name; see :func:`~.feed.feed_of`."""
    wishes = json_object("subscription", task.subscription)
    wishes |= {"topic": task.topic, "types": listed("types", task.types)}
    return wishes | ({"cel": cel} if (cel := text_or_empty("cel", task.cel)) else {})
