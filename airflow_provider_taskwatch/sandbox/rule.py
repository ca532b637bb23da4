"""Rules: how long the tasks of a remote run, and how they end."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from fnmatch import fnmatchcase
from typing import Any

from airflow_provider_taskwatch.core.error import ConfigurationError

OUTCOMES = {
    "success": "ends well",
    "failure": "ends badly, with the rule's message",
    "cancelled": "ends as if somebody had cancelled it",
    "skipped": "ends without having been run (Acquia has no such end: a success)",
    "lost": "ends as lost, its agent died (Acquia has no such end: a failure)",
    "stuck": "never ends, keeps its last stage",
    "blocked": "stops, waiting for a person (Acquia has no such state: stuck)",
    "unknown": "shows a status that nobody knows, and never another one",
    "gone": "can no longer be found: reads answer 404",
}
"""The words for :attr:`Rule.outcome`; anything else is the remote's own status, sent as it is."""

PROGRESS = ("rising", "zero", "full", "absent")
"""``rising`` to 99 and 100 at the end; always ``zero``; ``full`` from the start; no such field."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Rule:
    """How the tasks that it matches run.

    :param match: shell pattern over what a start names. Automic: object name or alias. Acquia: path after
        ``/api``, the same after its method (``POST /environments/*``), or event. Acronis: policy or resource.
    :param system: only starts at this remote; empty: at any.
    :param times: only so many starts, then the next matching rule; None: all.
    :param duration: seconds from the beginning of the task to its end.
    :param outcome: a word of :data:`OUTCOMES`, or the remote's own status: ``1911``, ``"succeeded"``.
    :param message: what the remote says when the task has ended.
    :param progress: one of :data:`PROGRESS`.
    :param stages: pairs of seconds and the remote's own status, shown from then on until the task ends.
    :param hidden_seconds: so long after the start, reads answer 404.
    :param refuse: HTTP status with which the start itself is refused, and nothing started; Acquia also has
        refusals under 200.
    :param options: what only one remote understands; each lists its own.
    """

    match: str = "*"
    system: str = ""
    times: int | None = None
    duration: float = 5.0
    outcome: str | int = "success"
    message: str = ""
    progress: str = "rising"
    stages: Sequence[tuple[float, str | int]] = ()
    hidden_seconds: float = 0.0
    refuse: int | None = None
    options: Mapping[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        if self.progress not in PROGRESS:
            raise ConfigurationError(f"progress must be one of {', '.join(PROGRESS)}, not {self.progress!r}")
        for name in ("duration", "hidden_seconds"):
            if not isinstance(getattr(self, name), (int, float)) or getattr(self, name) < 0:
                raise ConfigurationError(f"{name} must be a number of seconds, not {getattr(self, name)!r}")

    def matches(self, system: str, names: Iterable[str]) -> bool:
        return self.system in ("", system) and any(fnmatchcase(name, self.match) for name in names)


DEFAULT = Rule()


class Rules:
    """The rules in force, first match wins; behind them stands :data:`DEFAULT`."""

    def __init__(self, rules: Iterable[Rule] = ()) -> None:
        self._initial = tuple(rules)
        self._rules: list[Rule] = list(self._initial)
        self._used: dict[int, int] = {}

    def __iter__(self) -> Iterator[Rule]:
        return iter(tuple(self._rules))

    def add(self, *rules: Rule) -> None:
        """Put rules before those that are there, in the order given."""
        self._rules = [*rules, *self._rules]

    def reset(self) -> None:
        """Back to the rules that the sandbox was made with."""
        self._rules, self._used = list(self._initial), {}

    def clear(self) -> None:
        self._rules, self._used = [], {}

    def take(self, system: str, names: Iterable[str]) -> Rule:
        """The rule for a new task; it counts as one use of it."""
        rule = self.peek(system, names)
        self._used[id(rule)] = self._used.get(id(rule), 0) + 1
        return rule

    def peek(self, system: str, names: Iterable[str]) -> Rule:
        """The rule that a task of these names would get."""
        names = tuple(names)
        fitting = (rule for rule in self._rules if self._is_left(rule) and rule.matches(system, names))
        return next(fitting, DEFAULT)

    def _is_left(self, rule: Rule) -> bool:
        return rule.times is None or self._used.get(id(rule), 0) < rule.times
