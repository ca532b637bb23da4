"""The one program of a wait, run by a worker that sleeps and by a triggerer that does not."""

from __future__ import annotations

from collections.abc import Generator
from dataclasses import dataclass, replace
from functools import partial
from typing import Any, cast

from .error import DeadlineError, MovedError, RemoteError, ReplyError, TaskWatchError
from .flow import FOR_HOW_LONG, Flow
from .judge import NOT_FOUND_YET, WHY_ABSENT, Memory, judge, outcome
from .outcome import MOVED, Ending, Outcome
from .phase import Observation, Phase
from .plan import POLL_RETRY, SPREAD, Plan
from .run import Run
from .schedule import FIRST_SECONDS
from .system import System
from .text import bounded
from .wire import Call, Pause


@dataclass(frozen=True, slots=True, kw_only=True)
class Poll:
    """A step of a watch: read ``ref`` after so many seconds; answered by a :class:`Seen`.

    :param spread: share of the time that may be cut off at random, so that many waits do not look together.
    :param selector: watches with equal selectors may be read together.
    :param id_space: where the ref is to be read, and nowhere else; empty where that is not known.
    :param patience: seconds until the wait ends if what the last look brought does not change; None for never.
    """

    ref: str
    id_space: str = ""
    after: float
    spread: float = 0.0
    selector: str = ""
    patience: float | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Seen:
    """What a look brought: a reading or an error, and the age of the wait at that moment.

    :param is_called: whether the remote has called back by then.
    """

    age: float
    observation: Observation | None = None
    error: TaskWatchError | None = None
    is_called: bool = False

    @property
    def told(self) -> Observation | TaskWatchError:
        """The one that it brought."""
        return self.observation or cast("TaskWatchError", self.error)


@dataclass(frozen=True, slots=True, kw_only=True)
class Weighed:
    """What a look means: what to remember, the reading or the error that counts, the outcome if the wait is over."""

    memory: Memory
    observation: Observation | None = None
    error: TaskWatchError | None = None
    outcome: Outcome | None = None


Watch = Generator[Poll | Call | Pause, Any, Outcome]


def watch(system: System, plan: Plan, age: float) -> Watch:
    """Look until the task has ended, and return how.

    The driver throws :class:`DeadlineError` in when the time is over.

    :param age: seconds since the wait began; more than 0 after a restart.
    """
    memory = Memory(reached=age >= FIRST_SECONDS)  # after a restart, what once could be reached is worth patience
    last: Observation | None = None
    selector = system.selector(plan.options)
    after, spread = plan.first(age)
    following = SPREAD if spread < 1.0 else 1.0
    left, trouble = None, ""
    while True:
        poll = Poll(
            ref=memory.ref or plan.ref,
            id_space=plan.id_space,
            after=after,
            spread=spread,
            selector=selector,
            patience=left,
        )
        try:
            seen: Seen = yield poll
        except DeadlineError as passed:
            return _timed_out(system, memory.ref or plan.ref, last, passed, trouble)
        weighed = yield from weigh(system, plan, memory, seen)
        if weighed.outcome is not None:
            return weighed.outcome
        left = plan.patience(weighed.memory, seen.age) if weighed.memory.ref == memory.ref else None
        memory, last = weighed.memory, weighed.observation.brief() if weighed.observation else last
        if plan.callback is not None and (seen.is_called or memory.ref is not None):
            plan = replace(plan, callback=None)  # it came early and comes once, or what took over was asked for none
        trouble = "" if weighed.error is None else str(weighed.error)
        after = plan.pause(memory, weighed.error, seen.age, last)
        spread = 0.0 if selector else following  # those who are read together stay together
        following = SPREAD
        del seen, weighed  # they hold the reply; a thousand waits would hold a thousand until the next look


def weigh(system: System, plan: Plan, memory: Memory, seen: Seen) -> Flow[Weighed]:
    """What one look means for a wait. Transient errors are lived through; a restart is followed if asked."""
    ref = memory.ref or plan.ref
    if seen.error is not None and not isinstance(seen.error, ReplyError):
        return _failed(system, memory, ref, seen.error, seen.age)
    reading = system.understand(_reading(ref, seen), plan.options)
    judged, reading, verdict = judge(memory, reading, plan.rules, seen.age, system.noun)
    if not judged.reached:
        judged = replace(judged, reached=True, failing_since=None)
    if verdict is None:
        return Weighed(memory=judged, observation=reading)
    try:
        if successor := (yield from _successor(system, plan, reading, verdict)):
            return Weighed(memory=Memory(ref=successor.ref, since=seen.age, reached=True), observation=successor)
    except TaskWatchError as error:
        if error.transient:  # as if the look had brought it: bounded as that is, and followed by another one
            lived = yield from weigh(system, plan, memory, Seen(age=seen.age, error=error))
            return replace(lived, observation=lived.observation or reading)
        verdict = _unresolved(system, reading, verdict, error)
    told = yield from _told(system, plan, reading, verdict)
    return Weighed(memory=judged, observation=reading, outcome=told)


def expire(run: Run[Any, Outcome], passed: DeadlineError) -> None:
    """End a watch because its time is over; what it would still ask about a failure is left out.

    Where it was asking for what came after the task, the wait has timed out: a restart may well be running.
    """
    while not run.is_over:
        run.throw(passed)


def _failed(system: System, memory: Memory, ref: str, error: TaskWatchError, age: float) -> Weighed:
    """A look that brought nothing: another one follows, or the remote refuses to tell."""
    memory = replace(
        memory,
        failures=memory.failures + 1,
        reached=memory.reached or isinstance(error, RemoteError),
        failing_since=age if memory.failing_since is None else memory.failing_since,
    )
    if error.transient and not _is_out_of_patience(memory, error, age):
        return Weighed(memory=memory, error=error)
    why = f"; given up, as {_UNREACHED}" if error.transient else ""
    refused = Outcome(ending=Ending.REFUSED, ref=ref, message=f"{system.noun} {ref}: {error}{why}")
    if isinstance(error, MovedError):
        refused = replace(refused, status=MOVED, message=f"{refused.message}; {error.remedy}")
    return Weighed(memory=memory, error=error, outcome=refused)


def _is_out_of_patience(memory: Memory, error: TaskWatchError, age: float) -> bool:
    """Whether the next poll is too late for an error that time does not cure, where nothing was reached before."""
    if error.patience is None or memory.reached or memory.failing_since is None:
        return False
    return age - memory.failing_since + POLL_RETRY.seconds(memory.failures) > error.patience


_UNREACHED = f"nothing was reached and waiting does not cure it; {FOR_HOW_LONG}"


def _reading(ref: str, seen: Seen) -> Observation:
    """The observation; a reply that cannot be read counts as an unknown status, so that it is bounded too."""
    return seen.observation or Observation(ref=ref, phase=Phase.UNKNOWN, message=str(seen.error))


def _successor(system: System, plan: Plan, last: Observation, verdict: Outcome) -> Flow[Observation | None]:
    """What took over from a task that ended badly, before it was read itself."""
    if verdict.ending.is_ok or not verdict.ending.is_of_remote:
        return None
    successor = yield from system.successor(last, plan.options)
    return Observation(ref=successor, phase=Phase.PENDING, message=f"took over from {last.ref}") if successor else None


def _unresolved(system: System, last: Observation, verdict: Outcome, error: TaskWatchError) -> Outcome:
    """The verdict where nobody can say what came after it."""
    if isinstance(error, DeadlineError):
        return _timed_out(system, last.ref, last, error)
    return replace(verdict, message=f"{verdict.message}\n(whether something took over could not be asked: {error})")


def _told(system: System, plan: Plan, last: Observation, verdict: Outcome) -> Flow[Outcome]:
    """The outcome with what the user asked to know: the reason of a failure, personal data."""
    personal = bounded(last.personal if plan.personal else {}, shown=partial(last.mask.data, keep=last.ref))
    verdict = replace(verdict, result={**verdict.result, **personal.value}, loss=verdict.loss or personal.loss)
    if verdict.ending.is_ok:
        return verdict
    try:
        reason = yield from system.explain(last, plan.options)
    except TaskWatchError as error:
        reason = f"(the remote could not be asked why: {error})"
    message = f"{verdict.message}\n{last.mask.text(reason)}" if reason else verdict.message
    return replace(verdict, message=message)


def _timed_out(system: System, ref: str, last: Observation | None, passed: DeadlineError, trouble: str = "") -> Outcome:
    """The outcome of a wait whose time is over.

    :param trouble: what the last poll has brought instead of a reading.
    """
    message = f"{system.noun} {ref} {_state_at_end(last, passed)}"
    if trouble:
        message += f"; the last poll failed: {trouble}" if last else f": {trouble}"
    if last is None:
        return Outcome(ending=Ending.TIMED_OUT, ref=ref, message=message)
    return outcome(Ending.TIMED_OUT, last, message)


def _state_at_end(last: Observation | None, passed: DeadlineError) -> str:
    if last is not None and last.message == NOT_FOUND_YET:
        return f"was not found at the remote in time ({passed}): {WHY_ABSENT}"
    state = f"it was {last.describe()}" if last else "it could not be read once"
    return f"did not end in time ({passed}); {state}"
