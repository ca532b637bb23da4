"""One gate for all requests of a connection in a process: how many at once, how many a second, and not now."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Sequence
from math import inf
from types import TracebackType
from typing import Self

from airflow_provider_taskwatch.core.error import TaskWatchError, TokenError, TransportError
from airflow_provider_taskwatch.core.limit import BELIEVED_SECONDS, Scope, Suspicion, is_failure, renewed_in, scope_of
from airflow_provider_taskwatch.core.wire import Reply

from .gate import Gate

JITTER = 0.2
TOLD_SECONDS = 30.0
TOLD_AGAIN_SECONDS = 600.0
"""A longer hold is worth a line in the log, and not more often than that."""
MANY_GATES = 1000
SLOW_SECONDS = 3.0
SLOW_SHARE = 4
"""What was slow to fail may have a quarter of the slots the next time: a read timeout takes one for half a minute."""


class Passage:
    """One request's way through a :class:`Limiter`: enter it, and :meth:`note` what came back.

    :param about: what is asked for: a ref, a list, a feed; requests about the same share its troubles.
    :param quota: the limit of the remote that the request counts against; empty for that of the connection.
    """

    __slots__ = ("_limiter", "about", "asked_at", "quota", "slots")

    def __init__(self, limiter: Limiter, about: str, quota: str) -> None:
        self._limiter = limiter
        self.about = about
        self.quota = quota
        self.asked_at = 0.0
        self.slots: list[asyncio.Semaphore] = []

    async def __aenter__(self) -> Self:
        try:
            await self._limiter.enter(self)
        except BaseException:
            self._limiter.leave(self)
            raise
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._limiter.leave(self)

    def note(self, reply: Reply | None, *, sent: bool = True, lasting: TaskWatchError | None = None) -> None:
        """Learn from a reply, or from a lost one (None).

        :param sent: whether the lost request may have reached the remote.
        :param lasting: why it did not, where time does not cure it.
        """
        self._limiter.note(self, reply, sent, lasting)


class Limiter:
    """Hands out a :class:`Passage` for each request.

    What a reply says of its subject holds that subject; what it says of a quota, or of everybody, holds those. One
    request probes after each hold, and the others follow only when it was answered well. Whoever waits for a subject
    or a quota takes no slot from the others.

    :param concurrency: requests at a time.
    :param rate: requests a second, None for no limit.
    :param warn: takes a sentence on a long hold.
    """

    def __init__(
        self,
        concurrency: int,
        rate: float | None = None,
        *,
        warn: Callable[[str], object] = lambda words: None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._slots = asyncio.Semaphore(concurrency)
        self._usual_slots = (self._slots,)
        self._slow_slots = asyncio.Semaphore(max(1, concurrency // SLOW_SHARE))
        self._spacing = 1.0 / rate if rate else 0.0
        self._warn = warn
        self._clock = clock
        self._next_start = 0.0
        self._suspicion = Suspicion()
        self._everybody: Gate[Passage] = Gate(clock, rank=self._rank, jitter=JITTER)
        self._only_everybody = (self._everybody,)
        self._quotas: dict[str, Gate[Passage]] = {}
        self._subjects: dict[str, Gate[Passage]] = {}
        self._many_subjects = MANY_GATES
        self._slow: set[str] = set()
        self._renewed_at: dict[str, float] = {}
        self._disbelieved: set[str] = set()
        self._told_at: dict[str, float] = {}
        self._lasting: TaskWatchError | None = None

    def passage(self, about: str = "", quota: str = "") -> Passage:
        """The way through for one request."""
        return Passage(self, about, quota)

    def held_seconds(self, about: str = "", quota: str = "") -> float:
        """For how long nobody may ask about that."""
        return max(gate.held_seconds for gate in self._gates(about, quota))

    # --- the way in and out

    async def enter(self, one: Passage) -> None:
        while True:
            while (gate := self._closed_to(one)) is not None:
                if self._lasting is not None and gate.held_seconds:
                    raise _again(self._lasting)
                await gate.wait(one)
            for slots in (self._slow_slots, self._slots) if one.about in self._slow else self._usual_slots:
                await slots.acquire()
                one.slots.append(slots)
            if self._spacing:
                await self._take_turn()
            if self._closed_to(one) is None:
                break
            self._give_back(one)
        one.asked_at = self._clock()

    def leave(self, one: Passage) -> None:
        self._give_back(one)
        if not self._is_calm:
            for gate in self._gates(one.about, one.quota):
                gate.leave(one)

    @property
    def _is_calm(self) -> bool:
        """Whether nothing is held, as ever where all is well: each poll comes by here."""
        return not self._subjects and not self._quotas and self._everybody.is_open

    def _gates(self, about: str, quota: str) -> Sequence[Gate[Passage]]:
        """Where such a request must pass, the narrow ones first."""
        subject, limit = self._subjects.get(about), self._quotas.get(quota)
        if subject is None and limit is None:
            return self._only_everybody
        return [gate for gate in (subject, limit, self._everybody) if gate is not None]

    def _closed_to(self, one: Passage) -> Gate[Passage] | None:
        """The first closed gate on the way. Whoever waits there must not keep a wider one from being probed."""
        if self._is_calm:
            return None
        gates = self._gates(one.about, one.quota)
        for number, gate in enumerate(gates):
            if gate.is_closed_to(one):
                for wider in gates[number + 1 :]:
                    wider.leave(one)
                return gate
        return None

    async def _take_turn(self) -> None:
        start = max(self._clock(), self._next_start)
        self._next_start = start + self._spacing
        await asyncio.sleep(start - self._clock())

    @staticmethod
    def _give_back(one: Passage) -> None:
        while one.slots:
            one.slots.pop().release()

    def _rank(self, one: Passage) -> int:
        """Who probes for everybody: what was read well the last time, and what has failed only if there is no other."""
        return 0 if self._suspicion.is_good(one.about) else 1 + (one.about in self._subjects)

    # --- what replies say

    def note(self, one: Passage, reply: Reply | None, sent: bool, lasting: TaskWatchError | None) -> None:
        scope = scope_of(reply, sent=sent)
        if scope is Scope.NOBODY and self._is_calm:
            self._suspicion.succeeded(one.about, self._clock())
            return
        if reply is not None and not is_failure(reply):
            self._succeeded(one)
        elif scope is not Scope.CONNECTION:
            self._failed(one, reply)
        held = None if scope is Scope.NOBODY else self._hold(one, reply, scope)
        if held is not self._everybody:
            self._pass(one, held)
        self._lasting = lasting
        if lasting is not None:  # all hear of what time does not cure: to wait for a probe would hide it
            self._everybody.wake()

    def _failed(self, one: Passage, reply: Reply | None) -> None:
        self._subject(one.about).hold(one, reply)
        if self._clock() - one.asked_at >= SLOW_SECONDS:
            self._slow.add(one.about)

    def _subject(self, about: str) -> Gate[Passage]:
        if about not in self._subjects:
            if len(self._subjects) >= self._many_subjects:
                self._forget_subjects()
                self._many_subjects = max(MANY_GATES, 2 * len(self._subjects))
            self._subjects[about] = Gate(self._clock)
        return self._subjects[about]

    def _forget_subjects(self) -> None:
        """Treat those that are not held as if they had not failed: many may have ended."""
        for about in [about for about, gate in self._subjects.items() if gate.is_idle]:
            del self._subjects[about]
        self._slow &= self._subjects.keys()

    def _succeeded(self, one: Passage) -> None:
        self._suspicion.succeeded(one.about, self._clock())
        if (gate := self._subjects.get(one.about)) is not None:
            gate.passed(one)
            if gate.is_open:
                del self._subjects[one.about]
            self._slow.discard(one.about)

    def _hold(self, one: Passage, reply: Reply | None, scope: Scope) -> Gate[Passage] | None:
        """Hold whom the reply concerns besides its subject; the gate that is closed now, if any."""
        if scope is Scope.CONNECTION:
            self._suspicion.unreachable(one.asked_at)
            self._everybody.hold(one, reply)
            return self._told_of(self._everybody, "the remote cannot be reached")
        if scope is Scope.SUBJECT and self._suspicion.failed(one.about, one.asked_at, self._clock()):
            self._everybody.hold(one, reply, is_supposed=True, limit=BELIEVED_SECONDS)
            return self._told_of(self._everybody, "all requests fail")
        if scope is Scope.QUOTA and reply is not None and self._is_believed(one, reply):
            gate = (
                self._quotas.setdefault(one.quota, Gate(self._clock, jitter=JITTER)) if one.quota else self._everybody
            )
            gate.hold(one, reply)
            return self._told_of(gate, _limited(reply), one.quota)
        return None

    def _gate_of(self, quota: str) -> Gate[Passage]:
        if not quota:
            return self._everybody
        return self._quotas.setdefault(quota, Gate(self._clock, jitter=JITTER))

    def _is_believed(self, one: Passage, reply: Reply) -> bool:
        """Whether an allowance is used up: not where the remote answers well before it is renewed."""
        seconds, now = renewed_in(reply), self._clock()
        if seconds is None or is_failure(reply):
            self._disbelieved.discard(one.quota)
            return True
        if self._gate_of(one.quota).is_probed_by(one) and now < self._renewed_at.get(one.quota, now):
            self._disbelieved.add(one.quota)
            self._warn("the remote answers well although X-RateLimit-Remaining is 0, which is ignored from here on")
        self._renewed_at[one.quota] = now + seconds
        return one.quota not in self._disbelieved

    def _pass(self, one: Passage, held: Gate[Passage] | None) -> None:
        """The remote can be reached, and what it says is not about everybody."""
        self._everybody.passed(one)
        gate = self._quotas.get(one.quota)
        if gate is not None and gate is not held:
            gate.passed(one)
            if gate.is_open:
                del self._quotas[one.quota]

    def _told_of(self, gate: Gate[Passage], why: str, quota: str = "") -> Gate[Passage]:
        """The gate; a long hold is told, but not each of many."""
        now = self._clock()
        if gate.held_seconds >= TOLD_SECONDS and now - self._told_at.get(quota, -inf) >= TOLD_AGAIN_SECONDS:
            self._told_at[quota] = now
            whose = f" that counts as {quota!r}" if quota else ""
            self._warn(f"{why}, so no request{whose} is sent for {gate.held_seconds:.0f} s; then one tries")
        return gate


def _again(error: TaskWatchError) -> TaskWatchError:
    """The same for somebody else, as a traceback belongs to one."""
    if isinstance(error, TokenError):
        return TokenError(str(error), transient=error.transient, is_lasting=True)
    return TransportError(str(error), sent=False, is_lasting=True)


def _limited(reply: Reply) -> str:
    if is_failure(reply):
        return f"the remote answered {reply.status}"
    return f"nothing is left of what the remote allows for {renewed_in(reply):.0f} s (X-RateLimit-Remaining: 0)"
