"""The one program of a wait, run by a worker that sleeps and by a triggerer that does not."""

from __future__ import annotations

import math
from collections.abc import Generator
from dataclasses import dataclass, field, replace
from functools import partial
from typing import Any, cast

from .error import DeadlineError, MovedError, RemoteError, ReplyError, StrangerError, TaskWatchError
from .flow import FOR_HOW_LONG, Flow, Retry
from .judge import NOT_FOUND_YET, WHY_ABSENT, Memory, Rules, judge, outcome, patience
from .outcome import MOVED, Ending, Outcome
from .phase import Observation, Phase
from .run import Run
from .schedule import FIRST_SECONDS, Rhythm, remaining_seconds
from .system import Options, System
from .text import bounded
from .wire import Call, Pause


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """What to wait for, and how.

    :param options: how the system shall understand its readings; plain JSON.
    :param quiet: the rhythm while the remote is expected to call back; None where it is not.
    :param personal: put personal data (authors, users) into the result.
    :param ends_at: the age at which the wait ends, so that a last look is taken just before; None for never.
    :param id_space: where the ref means what it is waited for; empty where that is not known.
    """

    ref: str
    id_space: str = ""
    options: Options = field(default_factory=dict)
    rules: Rules = field(default_factory=Rules)
    rhythm: Rhythm = field(default_factory=Rhythm)
    quiet: Rhythm | None = None
    personal: bool = False
    ends_at: float | None = None

    def first(self, age: float) -> tuple[float, float]:
        """Seconds until the first look, and the share of them that may be cut off.

        After a restart all of it, as many waits are restarted together; and of the second one too, as all that were
        due while a thousand triggers started, and nothing else went on, have looked together.
        """
        if age >= FIRST_SECONDS:
            return self.interval(age), 1.0
        if self.quiet is not None:
            return self.interval(age), SPREAD
        return max(0.0, min(self.rhythm.first(age), self._until_last(age))), 0.0

    def describe(self, age: float) -> str:
        """When it polls, for people, at the beginning of the wait."""
        after, spread = self.first(age)
        first = f"{'within' if spread == 1 else 'in'} {after:.0f} s" if after >= 1 else "now"
        if self.quiet is None:
            return f"the first poll is {first}, then {self.rhythm.describe()}"
        return f"it is to call back; until it does, it is polled {self.quiet.describe()}, the first time {first}"

    def patience(self, memory: Memory, age: float) -> float | None:
        """Seconds until what a look has brought, or that it has brought nothing, ends the wait; None for never."""
        if memory.failures:
            return None if self.ends_at is None else max(0.0, self.ends_at - age)
        return patience(memory, self.rules, age)

    def interval(self, age: float, seen: Observation | None = None) -> float:
        """Seconds until the next look."""
        rhythm = self.quiet or self.rhythm
        return self.capped(rhythm.interval(age, None if seen is None else _remaining(seen, age)), age)

    def pause(self, memory: Memory, error: TaskWatchError | None, age: float, last: Observation | None) -> float:
        """Seconds until the look that follows another one."""
        if memory.failures:
            wanted = getattr(error, "retry_after", None)
            return self.capped(_PATIENCE.seconds(memory.failures, wanted), age)
        if memory.unknown_since is not None or memory.blocked_since is not None:
            return replace(self, quiet=None).interval(age, last)  # of that, no remote tells
        return self.interval(age, last)

    def hold(self, memory: Memory, after: float, age: float) -> float:
        """For how many seconds a reading that says nothing new need not be told."""
        if memory.failures or memory.unknown_since is not None or memory.blocked_since is not None:
            return 0.0
        return self.capped(HELD_POLLS * after, age) if after <= self.rhythm.limit_seconds else 0.0

    def capped(self, after: float, age: float) -> float:
        """``after``, or less where the wait would end before."""
        last = self._until_last(age)
        return min(after, last) if last > 0 else after

    def _until_last(self, age: float) -> float:
        return math.inf if self.ends_at is None else self.ends_at - age - LAST_POLL_SECONDS


@dataclass(frozen=True, slots=True, kw_only=True)
class Poll:
    """A step of a watch: read ``ref`` after so many seconds; answered by a :class:`Seen`.

    :param spread: share of the time that may be cut off at random, so that many waits do not look together.
    :param selector: watches with equal selectors may be read together.
    :param known: the last reading. A shared read that brings nothing else is not told, and another one follows after
        the same time, until ``hold`` seconds have passed.
    :param id_space: where the ref is to be read, and nowhere else; empty where that is not known.
    :param patience: seconds until the wait ends if what the last look brought does not change; None for never.
    """

    ref: str
    id_space: str = ""
    after: float
    spread: float = 0.0
    selector: str = ""
    known: Observation | None = None
    hold: float = 0.0
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

LAST_POLL_SECONDS = 2.0
SPREAD = 0.1
HELD_POLLS = 9
"""So many looks in a row may say nothing new before a watch chooses its interval anew."""
STEP_PERCENT = 10.0
"""Progress is told in such steps: a line costs more than a look."""

_PATIENCE = Retry(first_seconds=2.0, limit_seconds=60.0)


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
    hold, left, trouble = 0.0, None, ""
    while True:
        known, held = (last, hold) if selector else (None, 0.0)
        poll = Poll(
            ref=memory.ref or plan.ref,
            id_space=plan.id_space,
            after=after,
            spread=spread,
            selector=selector,
            known=known,
            hold=held,
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
        if plan.quiet is not None and (seen.is_called or memory.ref is not None):
            plan = replace(plan, quiet=None)  # it came early and comes once, or what took over was asked for none
        trouble = "" if weighed.error is None else str(weighed.error)
        after = plan.pause(memory, weighed.error, seen.age, last)
        hold = plan.hold(memory, after, seen.age)
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


def last_word(system: System, plan: Plan, age: float) -> Flow[Outcome | None]:
    """One look at a task for which the wait's time is over: its own end where it has one, else None.

    It may have ended in time, while nobody was there to see it.
    """
    seen = yield from system.observe(plan.ref)
    check_own(system, seen, plan.options)
    weighed = yield from weigh(system, plan, Memory(seen=True), Seen(age=age, observation=seen))
    told = weighed.outcome
    return told if told is not None and told.ending.is_of_remote and told.status else None


def latest(system: System, ref: str, options: Options, *, is_restart: bool = False) -> Flow[Observation]:
    """A reading of a task, or of what took over from it where the options say to go on with that.

    :param is_restart: whether the ref is one that took over already, and need not carry our marker.
    :raises StrangerError: where the remote has something else under that ref than what we have started.
    """
    while True:
        seen = system.understand((yield from system.observe(ref)), options)
        if not is_restart:
            check_own(system, seen, options)
        if not seen.phase.is_final or seen.phase.is_ok:
            return seen
        successor = yield from system.successor(seen, options)
        if successor is None:
            return seen
        ref, is_restart = successor, True


def check_own(system: System, seen: Observation, options: Options) -> None:
    """Raise :class:`StrangerError` where a reading carries another marker than that of our start."""
    if not system.is_own(seen, options):
        raise StrangerError(
            f"{system.noun} {seen.ref} is not the one that was started here: it does not carry its marker, so it is "
            "neither taken for it nor cancelled; has the remote been restored, or its ids begun anew?"
        )


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
        refused = replace(refused, status=MOVED, message=f"{refused.message}; {error.ways_on}")
    return Weighed(memory=memory, error=error, outcome=refused)


def _is_out_of_patience(memory: Memory, error: TaskWatchError, age: float) -> bool:
    """Whether the next poll is too late for an error that time does not cure, where nothing was reached before."""
    if error.patience is None or memory.reached or memory.failing_since is None:
        return False
    return age - memory.failing_since + _PATIENCE.seconds(memory.failures) > error.patience


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


def _remaining(seen: Observation, age: float) -> float | None:
    return remaining_seconds(age, seen.progress, seen.elapsed_seconds, seen.expected_seconds)


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


AGAIN_SECONDS, AGAIN_LIMIT_SECONDS = 60.0, 3600.0
"""The same trouble is told again after so long, then at pauses twice as long each, up to the limit."""
FEW_TROUBLES, FEW_NEWS = 4, 20
"""So many lines of a kind are told, then the 32nd, the 64th and so on: a remote may change its words at each poll."""


class ChangeLog:
    """What a watch tells its task's log: changes, not polls, and of progress every tenth."""

    def __init__(self, noun: str) -> None:
        self._noun = noun
        self._seen: Observation | None = None
        self._trouble = ""
        self._is_told = False
        """Whether the present trouble was told; so is its end then."""
        self._troubles = 0
        self._news = 0
        self._lasting = 0.0
        """For how many seconds the present trouble has lasted: the sum of the announced pauses."""
        self._told_at = 0.0
        self._after = 0.0

    def line(self, told: Observation | TaskWatchError, then: Poll | None = None) -> str | None:
        """A line for a reading or an error that differs from the one before.

        :param then: the look that follows, None where there is none.
        """
        if isinstance(told, Observation):
            return self._of_reading(told, None if then is None else then.patience)
        return self._of_trouble(told, then) if told.transient else str(told)

    def _of_trouble(self, error: TaskWatchError, then: Poll | None) -> str | None:
        line = f"still waiting: {error}{_patience(error)}"
        is_same = line == self._trouble
        self._lasting = self._lasting + self._after if is_same else 0.0
        self._after = 0.0 if then is None else then.after
        if is_same and self._is_told:
            return self._again(line, then)
        self._troubles += 1
        self._trouble, self._is_told, self._told_at = line, _is_due(self._troubles, FEW_TROUBLES), self._lasting
        if not self._is_told:
            return None
        few = self._troubles <= FEW_TROUBLES
        return _with_end(line if few else f"{line} (such a line is due for the {self._troubles}th time)", then)

    def _again(self, line: str, then: Poll | None) -> str | None:
        """The line of a trouble that was told and lasts, where its next turn has come."""
        if self._lasting - self._told_at < min(AGAIN_LIMIT_SECONDS, max(AGAIN_SECONDS, self._told_at)):
            return None
        self._told_at = self._lasting
        return _with_end(f"{line} (for {self._lasting:.0f} s by now)", then)

    def _of_reading(self, seen: Observation, patience: float | None) -> str | None:
        was_in_trouble, self._trouble, self._is_told = self._is_told, "", False
        if self._seen is not None and not was_in_trouble and not self._is_due(self._seen, seen):
            return None
        self._seen = seen.brief()
        if patience is None:
            return f"{self._noun} {seen.ref}: {seen.describe()}"
        if seen.phase is Phase.LOST or seen.message == NOT_FOUND_YET:
            return f"{self._noun} {seen.ref} is not found yet; it may appear within another {patience:.0f} s"
        return f"{self._noun} {seen.ref}: {seen.describe()}; it may stay so for another {patience:.0f} s"

    def _is_due(self, before: Observation, seen: Observation) -> bool:
        if (seen.phase, seen.ref) != (before.phase, before.ref):
            return True
        self._news += _is_news(before, seen)
        return _is_news(before, seen) and _is_due(self._news, FEW_NEWS)


def _is_due(number: int, few: int) -> bool:
    """Whether a line is told that is due for so many times."""
    return number <= few or not number & (number - 1)


def _with_end(line: str, then: Poll | None) -> str:
    """The line with when the next poll is, and when the wait ends."""
    if then is None:
        return line
    left = "without a deadline" if then.patience is None else f"with {then.patience:.0f} s left until the deadline"
    return f"{line}; the next poll is in {then.after:.0f} s, {left}"


def _patience(error: TaskWatchError) -> str:
    """How long an error is lived through, where that is less than the whole wait."""
    if error.patience is None:
        return ""
    return f"; given up {error.patience:g} s after the first such failure, unless the remote was reached before"


def _is_news(before: Observation, seen: Observation) -> bool:
    """Whether a reading is worth a line after the one that was told last."""
    was, now = before.progress, seen.progress
    if was is None or now is None or abs(now - was) >= STEP_PERCENT or seen.phase.is_final:
        return not seen.says_as_much_as(before)
    return (seen.phase, seen.status, seen.message, seen.ref) != (
        before.phase,
        before.status,
        before.message,
        before.ref,
    )
