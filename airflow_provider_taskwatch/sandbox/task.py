"""One task of an emulated remote: its state is a function of its start, its rule and the clock."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from airflow_provider_taskwatch.core.phase import Phase

from .rule import OUTCOMES, Rule


@dataclass(frozen=True, slots=True, kw_only=True)
class Vocabulary:
    """A remote's own terms, as data.

    :param outcomes: the status for each word of :data:`~.rule.OUTCOMES`, except ``stuck`` and ``gone``.
    :param stages: pairs of a share of the duration and the status shown from then on.
    :param phase: our word for a status.
    """

    outcomes: Mapping[str, str]
    stages: tuple[tuple[float, str], ...]
    phase: Callable[[str], Phase]

    def knows(self, word: str | int) -> bool:
        """Whether a rule may name this outcome: one of :data:`~.rule.OUTCOMES`, or a status of the remote."""
        return word in OUTCOMES or str(word) in self.outcomes.values() or self.phase(str(word)) is not Phase.UNKNOWN

    def outcome(self, rule: Rule) -> str:
        return self.outcomes.get(str(rule.outcome), str(rule.outcome))

    def stage(self, rule: Rule, elapsed: float) -> str:
        own = [(float(seconds), str(status)) for seconds, status in rule.stages]
        usual = [(share * rule.duration, status) for share, status in self.stages]
        passed = [status for seconds, status in own or usual if seconds <= elapsed]
        return passed[-1] if passed else self.stages[0][1]


@dataclass(frozen=True, slots=True, kw_only=True)
class RequestedEnd:
    """An end that was requested.

    :param until_then: the status from ``asked_at`` until ``at``.
    """

    asked_at: float
    at: float
    status: str
    until_then: str
    message: str = ""


@dataclass(slots=True, kw_only=True, eq=False)
class Task:
    """What a remote remembers of one start. Times are unix seconds.

    :param begins_at: when its duration begins to run; None while it is held.
    :param held_status: what it shows before it begins.
    :param marker: what the starter left on it to find it again.
    :param request: the body of the start.
    """

    ref: str
    name: str
    rule: Rule
    created_at: float
    begins_at: float | None
    held_status: str = ""
    ending: RequestedEnd | None = None
    marker: str = ""
    path: str = ""
    request: Mapping[str, Any] = field(default_factory=dict)

    @property
    def own_end(self) -> float | None:
        """When its rule ends it; None while it is held, and where it is stuck."""
        if self.begins_at is None or self.rule.outcome == "stuck":
            return None
        return self.begins_at + self.rule.duration

    @property
    def expected_end(self) -> float | None:
        """When it will have ended, as things stand."""
        return self.own_end if self.ending is None else self.ending.at

    def begun(self, now: float) -> bool:
        return self.begins_at is not None and self.begins_at <= now

    def elapsed(self, now: float) -> float:
        """Seconds since it began."""
        return now - self.begins_at if self.begins_at is not None and self.begins_at <= now else 0.0

    def is_hidden(self, now: float) -> bool:
        return now < self.created_at + self.rule.hidden_seconds


@dataclass(frozen=True, slots=True, kw_only=True)
class TaskState:
    """The state of a task at one moment.

    :param is_gone: the remote no longer knows it.
    """

    status: str
    phase: Phase
    progress: int
    message: str = ""
    began_at: float | None = None
    ended_at: float | None = None
    is_gone: bool = False

    @property
    def is_ended(self) -> bool:
        return self.ended_at is not None


def read(task: Task, now: float, vocabulary: Vocabulary) -> TaskState:
    """The state of ``task`` at ``now``."""
    if task.ending is not None and now >= task.ending.asked_at:
        return _asked(task, task.ending, now, vocabulary)
    if not task.begun(now):
        return _unended(task, now, vocabulary, task.held_status)
    end = task.own_end
    if end is None or now < end:
        return _unended(task, now, vocabulary, vocabulary.stage(task.rule, task.elapsed(now)))
    return _settled(task, end, now, vocabulary)


def _asked(task: Task, ending: RequestedEnd, now: float, vocabulary: Vocabulary) -> TaskState:
    if now < ending.at:
        return _unended(task, now, vocabulary, ending.until_then)
    return TaskState(
        status=ending.status,
        phase=vocabulary.phase(ending.status),
        progress=_progress(task, ending.at),
        message=ending.message,
        began_at=task.begins_at if task.begun(ending.at) else None,
        ended_at=ending.at,
    )


def _unended(task: Task, now: float, vocabulary: Vocabulary, status: str) -> TaskState:
    return TaskState(
        status=status,
        phase=vocabulary.phase(status),
        progress=_progress(task, now),
        began_at=task.begins_at if task.begun(now) else None,
    )


def _settled(task: Task, end: float, now: float, vocabulary: Vocabulary) -> TaskState:
    if task.rule.outcome == "gone":
        return TaskState(status="", phase=Phase.LOST, progress=0, ended_at=end, is_gone=True)
    status = vocabulary.outcome(task.rule)
    phase = vocabulary.phase(status)
    progress = _progress(task, end) if phase.is_final else _progress(task, now)
    return TaskState(
        status=status,
        phase=phase,
        progress=100 if phase.is_final and task.rule.progress == "rising" else progress,
        message=task.rule.message,
        began_at=task.begins_at,
        ended_at=end if phase.is_final else None,
    )


def _progress(task: Task, now: float) -> int:
    fixed = {"zero": 0, "absent": 0, "full": 100}
    if task.rule.progress in fixed:
        return fixed[task.rule.progress]
    return min(99, int(100 * task.elapsed(now) / (task.rule.duration or 1.0)))
