"""Rules: how long the tasks of a remote run, and how they end."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from fnmatch import fnmatchcase
from typing import Annotated, Any

from airflow_provider_taskwatch.core.error import ConfigurationError

from .setting import STATUS, fits

OUTCOMES = {
    "success": "ends well",
    "failure": "ends badly, with the rule's message",
    "cancelled": "ends as if a user had cancelled it",
    "skipped": "ends without having run (Acquia has no such end: a success)",
    "lost": "ends as lost because its agent died (Acquia has no such end: a failure)",
    "stuck": "never ends, keeps its last stage",
    "blocked": "stops, waiting for a person (Acquia has no such state: stuck)",
    "unknown": "shows a status that is in no table, and never another one",
    "gone": "can no longer be found: reads answer 404",
}
"""The values of :attr:`Rule.outcome`; anything else is the remote's own status, sent as it is."""

PROGRESS = ("rising", "zero", "full", "absent")
"""``rising`` to 99 and 100 at the end; always ``zero``; ``full`` from the start; no such field."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Rule:
    """How the tasks that it matches run.

    :param match: shell pattern over what a start names. Automic: object name or alias. Acquia: path after
        ``/api``, the same after its method (``POST /environments/*``), or event. Acronis: policy or resource.
    :param system: only starts at this remote; empty: at any.
    :param times: the number of starts, then the next matching rule counts; None: all.
    :param duration: seconds from the beginning of the task to its end.
    :param outcome: one of the outcomes, or the remote's own status: ``1911``, ``"succeeded"``.
    :param message: what the remote says when the task has ended.
    :param progress: ``rising`` to 100, always ``zero``, ``full`` from the start, or ``absent``.
    :param stages: pairs of seconds, in rising order, and the remote's own status, shown from then on until the task
        ends.
    :param hidden_seconds: seconds after the start during which reads answer 404.
    :param refuse: HTTP status (200 to 599) with which the start itself is refused, and nothing started; Acquia also
        has refusals under 200.
    :param options: what only one remote understands; see the stages and options of each remote.
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
        check(self, "match", "system", "message", is_good=is_text, expected="a string")
        check(self, "duration", "hidden_seconds", is_good=is_seconds, expected=SECONDS)
        check(self, "times", is_good=is_count_or_none, expected="a whole number, or null")
        check(self, "refuse", is_good=is_http_status_or_none, expected=HTTP_STATUS)
        check(self, "outcome", is_good=is_status, expected="a string or a whole number")
        check(self, "stages", is_good=_are_stages, expected="a list of pairs of seconds, in rising order, and a status")
        check(self, "options", is_good=lambda value: isinstance(value, Mapping), expected="an object")

    def matches(self, system: str, names: Iterable[str]) -> bool:
        return self.system in ("", system) and any(fnmatchcase(name, self.match) for name in names)


SECONDS = "a number of seconds, 0 or more"
HTTP_STATUS = "an HTTP status from 200 to 599, or null"


def check(thing: object, *names: str, is_good: Callable[[Any], bool], expected: str) -> None:
    """Raise :class:`ConfigurationError` for the first of these fields that does not hold what it must."""
    for name in names:
        value = getattr(thing, name)
        if not is_good(value):
            raise ConfigurationError(f"{name} must be {expected}, not {value!r:.80}")


def is_text(value: object) -> bool:
    """Whether it is a text."""
    return isinstance(value, str)


def is_seconds(value: object) -> bool:
    """Whether it is a number of seconds, 0 or more, and small enough for a sum with the time to be a time."""
    return fits(value, float)


def is_count_or_none(value: object) -> bool:
    """Whether it is a whole number, 0 or more, or not given."""
    return value is None or (isinstance(value, int) and not isinstance(value, bool) and value >= 0)


def is_http_status_or_none(value: object) -> bool:
    """Whether it is a status that can stand at the end of a call, or not given."""
    return value is None or fits(value, Annotated[int, STATUS])


def is_status(value: object) -> bool:
    """Whether it can be an outcome, or a remote's own status."""
    return isinstance(value, (str, int)) and not isinstance(value, bool)


def _are_stages(value: object) -> bool:
    is_list = isinstance(value, Sequence) and not isinstance(value, str)
    if not is_list or not all(_is_stage(one) for one in value):  # type: ignore[attr-defined]
        return False
    moments = [one[0] for one in value]  # type: ignore[attr-defined]
    return moments == sorted(moments)


def _is_stage(value: object) -> bool:
    is_pair = isinstance(value, Sequence) and not isinstance(value, str) and len(value) == 2
    return is_pair and is_seconds(value[0]) and is_status(value[1])  # type: ignore[index]


DEFAULT = Rule()


@dataclass(slots=True)
class _Counted:
    """A rule, and how many starts it was for."""

    rule: Rule
    used: int = 0

    @property
    def is_left(self) -> bool:
        return self.rule.times is None or self.used < self.rule.times


class TaskRules:
    """The rules in force, first match wins; behind them stands :data:`DEFAULT`."""

    def __init__(self, rules: Iterable[Rule] = ()) -> None:
        self._initial = tuple(rules)
        self._rules = list(map(_Counted, self._initial))

    def __iter__(self) -> Iterator[Rule]:
        return iter([one.rule for one in self._rules])

    def add(self, *rules: Rule) -> None:
        """Put rules before those that are there, in the order given."""
        self._rules = [*map(_Counted, rules), *self._rules]

    def reset(self) -> None:
        """Back to the rules that the sandbox was made with."""
        self._rules = list(map(_Counted, self._initial))

    def clear(self) -> None:
        self._rules = []

    def take(self, system: str, names: Iterable[str]) -> Rule:
        """The rule for a new task; it counts as one use of it."""
        found = self._find(system, names)
        if found is None:
            return DEFAULT
        found.used += 1
        return found.rule

    def peek(self, system: str, names: Iterable[str]) -> Rule:
        """The rule that a task of these names would get."""
        found = self._find(system, names)
        return DEFAULT if found is None else found.rule

    def _find(self, system: str, names: Iterable[str]) -> _Counted | None:
        names = tuple(names)
        return next((one for one in self._rules if one.is_left and one.rule.matches(system, names)), None)
