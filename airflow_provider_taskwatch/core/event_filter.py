"""Selects the events that a task waits for."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from functools import cached_property
from typing import Any

from .error import ConfigurationError
from .feed import Event
from .glob import matches
from .plain import members
from .text import line

IndexKey = tuple[str, str]
"""A field and its required value, as ``("visit_booking.id", "17")``. The subject has the name ``""``."""
SUBJECT = ""
AHEAD_SECONDS = 3600.0
"""How far the clock of a remote may be ahead of ours: its events arrive before they happen."""


@dataclass(frozen=True, kw_only=True)
class EventFilter:
    """The conditions that an event must meet. Plain JSON, so that a trigger can carry it.

    :param names: of events; ``*`` stands for any characters. Empty: any name.
    :param subject: of the event; empty: any subject.
    :param match: dotted paths into the content, and the values there. Values are compared as strings, as remotes write
        ids as numbers or as strings.
    :param since: seconds since the epoch by the remote's clock. Older events do not match.
    """

    names: Sequence[str] = ()
    subject: str = ""
    match: Mapping[str, Any] = field(default_factory=dict)
    since: float = 0.0

    def describe(self, types: Sequence[str]) -> str:
        """The conditions, for the log. Values of ``match`` are omitted, as they may be personal data.

        :param types: of events to name; empty: any.
        """
        names = f"of the types {', '.join(types)}" if types else "of any type"
        about = f" about {self.subject}" if self.subject else ""
        fields = f" with a given {', '.join(self.match)}" if self.match else ""
        moment = datetime.fromtimestamp(self.since, UTC)
        since = f", since {moment:%Y-%m-%d %H:%M:%S} UTC" if self.since else ""
        return line(f"{names}{about}{fields}{since}")

    @property
    def received_since(self) -> float:
        """The earliest time, by our clock, at which a matching event may have arrived."""
        return self.since - AHEAD_SECONDS

    def accepts(self, event: Event) -> bool:
        """Whether an event meets all conditions."""
        return (
            self._is_recent(event)
            and (not self.names or any(matches(name, event.name) for name in self.names))
            and self.subject in ("", event.subject)
            and all(value_at(event.content, path) == _text(value) for path, value in self.match.items())
        )

    def _is_recent(self, event: Event) -> bool:
        """Some remotes give times in whole seconds. Such a time stands for any moment of its second."""
        since = math.floor(self.since) if event.at % 1 == 0 else self.since
        return event.at >= since

    @cached_property
    def index_key(self) -> IndexKey | None:
        """The key by which an index finds this filter; None if it requires no single value."""
        if self.subject:
            return SUBJECT, self.subject
        return next(((path, _text(value)) for path, value in self.match.items()), None)

    def check(self) -> None:
        """Check that the filter can match.

        :raises ConfigurationError: it cannot.
        """
        names = members(self.names)
        match: Any = self.match
        if names is None or not all(isinstance(name, str) and name for name in names):
            raise ConfigurationError(f"names must be a list of strings that are not empty, not {self.names!r:.80}")
        if not isinstance(match, Mapping):
            raise ConfigurationError(f"match must be a dict of paths and values, not {match!r:.80}")
        for path, value in match.items():
            if not isinstance(path, str) or not path or not isinstance(value, (str, int, float)):
                raise ConfigurationError(
                    f"match: {path!r:.80} must be a dotted path and {value!r:.80} a string, a number or a boolean"
                )


def value_at(content: object, path: str) -> str | None:
    """The value at a dotted path, as a string; None if there is none, or if it is a dict or a list."""
    for name in path.split("."):
        if not isinstance(content, Mapping) or name not in content:
            return None
        content = content[name]
    return None if content is None or isinstance(content, (Mapping, list)) else _text(content)


def _text(value: object) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value)
