"""Decides whether a wait is over, from one observation after the other. What is unclear gets a limited patience."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields, replace
from functools import partial
from typing import Any

from .outcome import Ending, Outcome
from .phase import Observation, Phase
from .text import bounded, cut, shown_ref

NOT_FOUND_YET = "not found yet"
WHY_ABSENT = (
    "there is none of that id, or the connection's credentials may not see it, or the base path of its host is wrong"
)


@dataclass(frozen=True, slots=True, kw_only=True)
class WaitRules:
    """How much patience a wait has. Times are in seconds.

    :param not_found_grace: how long after its start the remote may not know a ref that was never observed.
    :param unknown_status_grace: how long a status may be one that the system does not know.
    :param fail_on_blocked: end the wait as soon as the task waits for a person.
    :param blocked_timeout: end it after that time in this state; None for never.
    """

    not_found_grace: float = 300.0
    unknown_status_grace: float = 300.0
    fail_on_blocked: bool = False
    blocked_timeout: float | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Memory:
    """What a wait remembers of earlier polls; times are ages of the wait. Airflow's task state store keeps it as JSON.

    :param ref: the restart that is watched now; None for the ref that the wait began with.
    :param since: when the watch of that ref began; its grace periods count from there.
    :param failures: how many polls in a row brought no observation.
    :param seen: whether the remote has known the ref.
    :param unknown_since: when its present unknown status was first observed.
    :param blocked_since: when it was first observed to be blocked, this time.
    :param reached: whether the remote has answered since the wait began.
    :param failing_since: when the first of the present failures was, where the remote was never reached.
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
    """The memory that :meth:`Memory.to_json` wrote; an empty one where there is none."""
    known = stored if isinstance(stored, Mapping) else {}
    return Memory(**{one.name: known[one.name] for one in fields(Memory) if one.name in known})


def judge(
    memory: Memory, observation: Observation, rules: WaitRules, age: float, noun: str
) -> tuple[Memory, Observation, Outcome | None]:
    """The memory after an observation, the observation as it counts, and the outcome if the wait is over."""
    if observation.phase is Phase.LOST and not observation.status:
        return _judge_absent(memory, observation, rules, age, noun)
    memory, task = _updated(memory, observation, age), f"{noun} {shown_ref(observation.ref)}"
    if observation.phase.is_final:
        ending, message = Ending(str(observation.phase)), f"{task}: {observation.describe()}"
    elif memory.unknown_since is not None and age - memory.unknown_since >= rules.unknown_status_grace:
        ending = Ending.UNKNOWN
        message = _unknown_message(task, observation, rules.unknown_status_grace, noun)
    elif memory.blocked_since is not None and _blocked_too_long(age - memory.blocked_since, rules):
        ending = Ending.BLOCKED
        message = f"{task} waits for a person: {observation.describe()}; unblock it there and retry"
    else:
        return memory, observation, None
    return memory, observation, outcome_from(observation, ending, message)


def _unknown_message(task: str, observation: Observation, grace: float, noun: str) -> str:
    status = f"had the unknown status {observation.status_line!r}" if observation.status else "shown no readable status"
    reason = f": {observation.message_line}" if observation.message else ""
    return f"{task} has {status} for more than {grace:g} s{reason}; the wait ends, and the {noun} may still run"


def _judge_absent(
    memory: Memory, observation: Observation, rules: WaitRules, age: float, noun: str
) -> tuple[Memory, Observation, Outcome | None]:
    """The same where the remote does not know the ref."""
    memory, watched = replace(memory, failures=0, unknown_since=None, blocked_since=None), age - memory.since
    if not memory.seen and watched < rules.not_found_grace:
        return memory, replace(observation, phase=Phase.PENDING, message=NOT_FOUND_YET), None
    if memory.seen:
        state = "was there and is not found any more: it was removed or archived"
    else:
        state = f"is not found after {watched:.0f} s: {WHY_ABSENT}"
    return memory, observation, outcome_from(observation, Ending.LOST, f"{noun} {shown_ref(observation.ref)} {state}")


def _updated(memory: Memory, observation: Observation, age: float) -> Memory:
    """The memory after an observation of a ref that the remote knows; mostly the same object."""
    is_known = observation.phase is not Phase.UNKNOWN or bool(observation.status)  # an unreadable reply proves nothing
    seen = memory.seen or is_known
    unknown_since = _since(memory.unknown_since, observation.phase is Phase.UNKNOWN, age)
    blocked_since = _since(memory.blocked_since, observation.phase is Phase.BLOCKED, age)
    updated = (0, seen, unknown_since, blocked_since)
    if updated == (memory.failures, memory.seen, memory.unknown_since, memory.blocked_since):
        return memory
    return replace(memory, failures=0, seen=seen, unknown_since=unknown_since, blocked_since=blocked_since)


def _since(since: float | None, holds: bool, age: float) -> float | None:
    if not holds:
        return None
    return age if since is None else since


def _blocked_too_long(seconds: float, rules: WaitRules) -> bool:
    return rules.fail_on_blocked or (rules.blocked_timeout is not None and seconds >= rules.blocked_timeout)


def outcome_from(observation: Observation, ending: Ending, message: str) -> Outcome:
    """The outcome of a wait whose last observation this is."""
    kept = bounded(
        observation.result,
        observation.result_characters,
        shown=partial(observation.mask.data, keep=observation.ref),
    )
    return Outcome(
        ending=ending,
        ref=observation.ref,
        phase=observation.phase,
        status=cut(observation.status, shown=observation.mask.text),
        message=message,
        result=kept.value,
        loss=kept.loss,
    )


def patience(memory: Memory, rules: WaitRules, age: float) -> float | None:
    """Seconds until the last observation ends the wait if nothing changes; None where it does not end it."""
    if memory.unknown_since is not None:
        return max(0.0, memory.unknown_since + rules.unknown_status_grace - age)
    if memory.blocked_since is not None:
        return None if rules.blocked_timeout is None else max(0.0, memory.blocked_since + rules.blocked_timeout - age)
    return None if memory.seen else max(0.0, memory.since + rules.not_found_grace - age)
