"""A wait for one remote task, as one program. A worker runs it with sleeps, a triggerer with its hub."""

from __future__ import annotations

from collections.abc import Generator
from dataclasses import dataclass, field, replace
from functools import partial
from typing import Any, cast

from .error import DeadlineError, MovedError, RemoteError, ReplyError, TaskWatchError
from .flow import PATIENCE_HINT, Flow
from .judge import NOT_FOUND_YET, WHY_ABSENT, Memory, judge, outcome_from
from .outcome import MOVED, Ending, Outcome
from .phase import Observation, Phase
from .plan import POLL_RETRY, SPREAD, Plan
from .run import Run
from .schedule import FIRST_SECONDS
from .system import Options, System
from .text import bounded, shown_ref
from .wire import Call, Pause


@dataclass(frozen=True, slots=True, kw_only=True)
class Poll:
    """A step of a watch, answered by a :class:`PollResult`.

    :param id_space: the only place where the ref may be polled; empty: not known.
    :param after: seconds until the poll.
    :param spread: share of ``after`` that may be cut off at random, so that waits do not poll together.
    :param options: how the system reads the remote's replies.
    :param selector: polls with equal selectors may share a request; empty: none may.
    :param known: the last observation of the wait.
    :param hold: for how many seconds shared observations without a change need not be passed on; the ref is polled
        again after the same interval.
    :param patience: seconds until the wait ends if the next polls bring what the last one brought; None for never.
    """

    ref: str
    id_space: str = ""
    after: float
    spread: float = 0.0
    options: Options = field(default_factory=dict)
    selector: str = ""
    known: Observation | None = None
    hold: float = 0.0
    patience: float | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class PollResult:
    """An observation or an error, and the age of the wait at that moment.

    :param is_called: whether the remote has called back by then.
    """

    age: float
    observation: Observation | None = None
    error: TaskWatchError | None = None
    is_called: bool = False

    @property
    def content(self) -> Observation | TaskWatchError:
        return self.observation or cast("TaskWatchError", self.error)


@dataclass(frozen=True, slots=True, kw_only=True)
class Assessment:
    """What a poll means for its wait.

    :param observation: as the system and the user's options understand it.
    :param error: set where the poll failed, and the wait goes on or ends for that.
    :param outcome: set where the wait is over.
    """

    memory: Memory
    observation: Observation | None = None
    error: TaskWatchError | None = None
    outcome: Outcome | None = None


Watch = Generator[Poll | Call | Pause, Any, Outcome]
WatchRun = Run[Poll | Call | Pause, Outcome]


def watch(system: System, plan: Plan, age: float) -> Watch:
    """Polls until the remote task has ended, and returns the outcome.

    The driver throws :class:`DeadlineError` in at the deadline; see :func:`expire`.

    :param age: seconds since the wait began; more than 0 after a restart.
    """
    system = system.for_wait(plan.options)
    memory = Memory(reached=age >= FIRST_SECONDS)  # after a restart, the remote counts as reached before
    last: Observation | None = None
    selector = system.selector(plan.options)
    after, spread = plan.first(age)
    next_spread = SPREAD if spread < 1.0 else 1.0
    hold, patience, failure = 0.0, None, ""
    while True:
        poll = Poll(
            ref=memory.ref or plan.ref,
            id_space=plan.id_space,
            after=after,
            spread=spread,
            options=plan.options,
            selector=selector,
            known=last if selector else None,
            hold=hold,
            patience=patience,
        )
        try:
            result: PollResult = yield poll
        except DeadlineError as passed:
            return _timed_out(system, memory.ref or plan.ref, last, passed, failure)
        assessed = yield from assess(system, plan, memory, result)
        if assessed.outcome is not None:
            return assessed.outcome
        patience = plan.patience(assessed.memory, result.age) if assessed.memory.ref == memory.ref else None
        memory, last = assessed.memory, assessed.observation.brief() if assessed.observation else last
        if plan.callback is not None and (result.is_called or memory.ref is not None):
            plan = replace(plan, callback=None)  # it comes once, and came too early; a restart was not asked for one
        failure = "" if assessed.error is None else str(assessed.error)
        after = plan.pause(memory, assessed.error, result.age, last)
        hold = plan.hold(memory, after, result.age) if selector else 0.0
        spread = 0.0 if selector else next_spread  # polls that share a request stay together
        next_spread = SPREAD
        del result, assessed  # they hold the reply, which a thousand waits would keep until their next polls


def assess(system: System, plan: Plan, memory: Memory, result: PollResult) -> Flow[Assessment]:
    """What one poll means for a wait. A transient error does not end it; restarts are followed where options say so."""
    ref = memory.ref or plan.ref
    if result.error is not None and not isinstance(result.error, ReplyError):
        return _failed(system, memory, ref, result.error, result.age)
    # A reply that cannot be read counts as an unknown status, so that it is bounded too.
    observation = result.observation or Observation(ref=ref, phase=Phase.UNKNOWN, message=str(result.error))
    observation = system.understand(observation, plan.options)
    if observation.moved_to:
        return Assessment(memory=memory, observation=observation, outcome=_continues(system.noun, observation))
    judged, observation, outcome = judge(memory, observation, plan.rules, result.age, system.noun)
    if not judged.reached:
        judged = replace(judged, reached=True, failing_since=None)
    if outcome is None:
        return Assessment(memory=judged, observation=observation)
    try:
        if restart := (yield from _restart(system, plan, observation, outcome)):
            return Assessment(memory=Memory(ref=restart.ref, since=result.age, reached=True), observation=restart)
        observation, outcome = yield from _with_result(system, plan, observation, outcome)
    except TaskWatchError as error:
        if error.transient:  # it counts as the result of the poll: it is bounded, and another poll follows
            failed = yield from assess(system, plan, memory, PollResult(age=result.age, error=error))
            return replace(failed, observation=failed.observation or observation)
        outcome = _after_refusal(system, observation, outcome, error)
    outcome = yield from _completed(system, plan, observation, outcome)
    return Assessment(memory=judged, observation=observation, outcome=outcome)


def _with_result(system: System, plan: Plan, seen: Observation, outcome: Outcome) -> Flow[tuple[Observation, Outcome]]:
    """The observation and the outcome of a success with what takes a further request."""
    completed = (yield from system.complete(seen, plan.options)) if outcome.ending.is_ok else seen
    if completed is seen:
        return seen, outcome
    return completed, outcome_from(completed, outcome.ending, outcome.message)


def _after_refusal(system: System, seen: Observation, ended: Outcome, error: TaskWatchError) -> Outcome:
    """The outcome of a task that has ended, where a further request about it was refused.

    A success whose result cannot be read fails, and the next attempt rejoins it and reads again.
    """
    if isinstance(error, DeadlineError):
        return _timed_out(system, seen.ref, seen, error)
    if ended.ending.is_ok:
        message = f"{ended.message}\nIts result cannot be read, so the task fails; a retry reads it again: {error}"
        return Outcome(ending=Ending.REFUSED, ref=seen.ref, message=message)
    return replace(ended, message=f"{ended.message}\n(whether something took over could not be asked: {error})")


def _continues(noun: str, seen: Observation) -> Outcome:
    """The outcome of a task that goes on under another ref."""
    message = f"{noun} {shown_ref(seen.ref)} goes on as {shown_ref(seen.moved_to)}"
    return Outcome(ending=Ending.CONTINUES, ref=seen.moved_to, message=message)


def next_poll(run: WatchRun) -> Poll | None:
    """The poll that a watch asks for; None where it asks for something else, or is over."""
    return run.step if not run.is_over and isinstance(run.step, Poll) else None


def expire(run: WatchRun, passed: DeadlineError) -> None:
    """Ends a watch at its deadline, without the requests that it would still make about a failure.

    A watch that was asking for a restart has timed out, because a restart may be running.
    """
    while not run.is_over:
        run.throw(passed)


def _failed(system: System, memory: Memory, ref: str, error: TaskWatchError, age: float) -> Assessment:
    """A poll that brought no observation: another one follows, or the remote refuses to answer."""
    memory = replace(
        memory,
        failures=memory.failures + 1,
        reached=memory.reached or isinstance(error, RemoteError),
        failing_since=age if memory.failing_since is None else memory.failing_since,
    )
    if error.transient and not _is_out_of_patience(memory, error, age):
        return Assessment(memory=memory, error=error)
    why = f"; given up, as nothing was reached and waiting does not cure it; {PATIENCE_HINT}" if error.transient else ""
    refused = Outcome(ending=Ending.REFUSED, ref=ref, message=f"{system.noun} {shown_ref(ref)}: {error}{why}")
    if isinstance(error, MovedError):
        refused = replace(refused, status=MOVED, message=f"{refused.message}; {error.remedy}")
    return Assessment(memory=memory, error=error, outcome=refused)


def _is_out_of_patience(memory: Memory, error: TaskWatchError, age: float) -> bool:
    """Whether the next poll is too late for an error that time does not cure, where the remote was never reached."""
    if error.patience is None or memory.reached or memory.failing_since is None:
        return False
    return age - memory.failing_since + POLL_RETRY.seconds(memory.failures) > error.patience


def _restart(system: System, plan: Plan, last: Observation, outcome: Outcome) -> Flow[Observation | None]:
    """The restart of a task that ended badly, before its first poll; None where there is none, or none is followed."""
    if outcome.ending.is_ok or not outcome.ending.is_of_remote:
        return None
    ref = yield from system.successor(last, plan.options)
    return Observation(ref=ref, phase=Phase.PENDING, message=f"took over from {shown_ref(last.ref)}") if ref else None


def _completed(system: System, plan: Plan, last: Observation, outcome: Outcome) -> Flow[Outcome]:
    """The outcome with what takes more requests, or the user's consent: the reason of a failure, personal data."""
    personal = bounded(last.personal if plan.personal else {}, shown=partial(last.mask.data, keep=last.ref))
    outcome = replace(outcome, result={**outcome.result, **personal.value}, loss=outcome.loss or personal.loss)
    if outcome.ending.is_ok:
        return outcome
    try:
        reason = yield from system.explain(last, plan.options)
    except TaskWatchError as error:
        reason = f"(the remote could not be asked why: {error})"
    return replace(outcome, message=f"{outcome.message}\n{last.mask.text(reason)}") if reason else outcome


def _timed_out(system: System, ref: str, last: Observation | None, passed: DeadlineError, failure: str = "") -> Outcome:
    """The outcome of a wait whose deadline has passed.

    :param failure: why the last poll brought no observation; empty where it brought one.
    """
    if last is not None and last.message == NOT_FOUND_YET:
        message = f"{system.noun} {shown_ref(ref)} was not found at the remote in time ({passed}): {WHY_ABSENT}"
    else:
        state = f"it was {last.describe()}" if last else "it could not be read once"
        message = f"{system.noun} {shown_ref(ref)} did not end in time ({passed}); {state}"
    if failure:
        message += f"; the last poll failed: {failure}" if last else f": {failure}"
    if last is None:
        return Outcome(ending=Ending.TIMED_OUT, ref=ref, message=message)
    return outcome_from(last, Ending.TIMED_OUT, message)
