"""Is a wait over? Pure judgement of one reading after the other, with bounded patience for what is unclear."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields, replace
from functools import partial
from typing import Any

from .outcome import Ending, Outcome
from .phase import Observation, Phase
from .text import bounded, cut

NOT_FOUND_YET = "not found yet"
WHY_ABSENT = (
    "there is none of that id, or the connection's credentials may not see it, or the base path of its host is a "
    "wrong one"
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Rules:
    """How much patience a wait has. Times are seconds; ages count from the start of the wait.

    :param not_found_grace: how long a ref that was never seen may be unknown to the remote.
    :param unknown_status_grace: how long a status may be one that we do not know.
    :param fail_on_blocked: end the wait as soon as the task waits for a person.
    :param blocked_timeout: or after so long in that state; None for as long as it takes.
    """

    not_found_grace: float = 300.0
    unknown_status_grace: float = 300.0
    fail_on_blocked: bool = False
    blocked_timeout: float | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Memory:
    """What a wait remembers of earlier looks; times are ages of the wait.

    :param ref: what is watched now, where a restart took over; None for what the wait began with.
    :param since: when it began to be watched; its own grace periods count from there.
    :param failures: how many looks in a row brought nothing.
    :param reached: whether the remote has answered since the wait began.
    :param failing_since: when the first of the present failures was, before anything was reached.
    """

    ref: str | None = None
    since: float = 0.0
    failures: int = 0
    seen: bool = False
    unknown_since: float | None = None
    blocked_since: float | None = None
    reached: bool = False
    failing_since: float | None = None

    def to_json(self) -> dict[str, Any]:
        return asdict(self)


def from_json(stored: object) -> Memory:
    """The memory that :meth:`Memory.to_json` wrote, an empty one where there is none."""
    known = stored if isinstance(stored, Mapping) else {}
    return Memory(**{one.name: known[one.name] for one in fields(Memory) if one.name in known})


def judge(
    memory: Memory, seen: Observation, rules: Rules, age: float, noun: str
) -> tuple[Memory, Observation, Outcome | None]:
    """What is remembered from here on, the reading as it counts, and the outcome if the wait is over."""
    if _is_absent(seen):
        return _judge_absent(memory, seen, rules, age, noun)
    memory = _remembering(memory, seen, age)
    if seen.phase.is_final:
        return memory, seen, outcome(Ending(str(seen.phase)), seen, f"{noun} {seen.ref}: {seen.describe()}")
    if memory.unknown_since is not None and age - memory.unknown_since >= rules.unknown_status_grace:
        return memory, seen, outcome(Ending.UNKNOWN, seen, _unknown_words(seen, rules, noun))
    if memory.blocked_since is not None and _blocked_too_long(age - memory.blocked_since, rules):
        words = f"{noun} {seen.ref} waits for a person: {seen.describe()}; unblock it there and retry"
        return memory, seen, outcome(Ending.BLOCKED, seen, words)
    return memory, seen, None


def _remembering(memory: Memory, seen: Observation, age: float) -> Memory:
    """The memory with a reading that is there; the same one where nothing has changed, as at most looks."""
    is_there = memory.seen or _is_there(seen)
    unknown_since = _since(memory.unknown_since, seen.phase is Phase.UNKNOWN, age)
    blocked_since = _since(memory.blocked_since, seen.phase is Phase.BLOCKED, age)
    known = (0, is_there, unknown_since, blocked_since)
    if known == (memory.failures, memory.seen, memory.unknown_since, memory.blocked_since):
        return memory
    return replace(memory, failures=0, seen=is_there, unknown_since=unknown_since, blocked_since=blocked_since)


def outcome(ending: Ending, seen: Observation, message: str) -> Outcome:
    """The outcome that a last reading stands for."""
    kept = bounded(seen.result, shown=partial(seen.mask.data, keep=seen.ref))
    return Outcome(
        ending=ending,
        ref=seen.ref,
        phase=seen.phase,
        status=cut(seen.status, shown=seen.mask.text),
        message=message,
        result=kept.value,
        loss=kept.loss,
    )


def patience(memory: Memory, rules: Rules, age: float) -> float | None:
    """Seconds until what was read last ends the wait if it does not change; None where it does not, or not for that."""
    if memory.unknown_since is not None:
        return max(0.0, memory.unknown_since + rules.unknown_status_grace - age)
    if memory.blocked_since is not None:
        return None if rules.blocked_timeout is None else max(0.0, memory.blocked_since + rules.blocked_timeout - age)
    return None if memory.seen else max(0.0, memory.since + rules.not_found_grace - age)


def _is_there(seen: Observation) -> bool:
    """Whether the reading shows that the remote knows the ref; one that cannot be understood may be anything."""
    return seen.phase is not Phase.UNKNOWN or bool(seen.status)


def _is_absent(seen: Observation) -> bool:
    return seen.phase is Phase.LOST and not seen.status


def _judge_absent(
    memory: Memory, seen: Observation, rules: Rules, age: float, noun: str
) -> tuple[Memory, Observation, Outcome | None]:
    memory = replace(memory, failures=0, unknown_since=None, blocked_since=None)
    if not memory.seen and age - memory.since < rules.not_found_grace:
        return memory, replace(seen, phase=Phase.PENDING, message=NOT_FOUND_YET), None
    words = (
        f"{noun} {seen.ref} was there and is not found any more: it was removed or archived"
        if memory.seen
        else f"{noun} {seen.ref} is not found after {age - memory.since:.0f} s: {WHY_ABSENT}"
    )
    return memory, seen, outcome(Ending.LOST, seen, words)


def _since(since: float | None, holds: bool, age: float) -> float | None:
    if not holds:
        return None
    return age if since is None else since


def _blocked_too_long(seconds: float, rules: Rules) -> bool:
    return rules.fail_on_blocked or (rules.blocked_timeout is not None and seconds >= rules.blocked_timeout)


def _unknown_words(seen: Observation, rules: Rules, noun: str) -> str:
    return (
        f"{noun} {seen.ref} has the unknown status {seen.status_line!r} for more than "
        f"{rules.unknown_status_grace:g} s" + (f": {seen.message_line}" if seen.message else "")
    )
