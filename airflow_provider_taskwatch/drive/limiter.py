"""Limits the requests of a connection in a process: how many at once, how many a second, and none during a hold."""

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
LOGGED_SECONDS = 30.0
"""The shortest hold that is logged."""
LOGGED_AGAIN_SECONDS = 600.0
MANY_SUBJECTS = 1000
SLOW_SECONDS = 3.0
SLOW_SHARE = 4
"""Subjects that were slow to fail share a quarter of the slots: a read timeout occupies a slot for half a minute."""


class Passage:
    """One request on its way through a :class:`Limiter`: a context manager, and :meth:`note` for the reply.

    :param about: the subject of the request: a ref, a list, a feed. Requests with one subject share its holds.
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
        """Learns from a reply.

        :param reply: None where the request got none.
        :param sent: whether the remote may have received that request.
        :param lasting: why it could not be sent, where time does not cure that.
        """
        self._limiter.note(self, reply, sent, lasting)


class Limiter:
    """Hands out a :class:`Passage` for each request.

    A failure holds its subject, its quota, or the connection; see :func:`~..core.limit.scope_of`. After a hold one
    request probes, and the others follow when its reply is good. A request that waits for a gate occupies no slot.

    :param concurrency: requests at a time.
    :param rate: requests a second, None for no limit.
    :param warn: takes a message about a long hold.
    """

    def __init__(
        self,
        concurrency: int,
        rate: float | None = None,
        *,
        warn: Callable[[str], object] = lambda message: None,
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
        self._connection: Gate[Passage] = Gate(clock, rank=self._rank, jitter=JITTER)
        self._only_connection = (self._connection,)
        self._quotas: dict[str, Gate[Passage]] = {}
        self._subjects: dict[str, Gate[Passage]] = {}
        self._many_subjects = MANY_SUBJECTS
        self._slow: set[str] = set()
        self._renewed_at: dict[str, float] = {}
        self._disbelieved: set[str] = set()
        self._logged_at: dict[str, float] = {}
        self._lasting: TaskWatchError | None = None

    def passage(self, about: str = "", quota: str = "") -> Passage:
        return Passage(self, about, quota)

    def held_seconds(self, about: str = "", quota: str = "") -> float:
        """How long such requests are held from now on."""
        return max(gate.held_seconds for gate in self._gates(about, quota))

    # --- the way in and out

    async def enter(self, request: Passage) -> None:
        """Waits for the gates, a slot, and the rate.

        :raises TaskWatchError: where the connection is held for a reason that time does not cure.
        """
        while True:
            while (gate := self._closed_to(request)) is not None:
                if self._lasting is not None and gate.held_seconds:
                    raise _copy(self._lasting)
                await gate.wait(request)
            for slots in (self._slow_slots, self._slots) if request.about in self._slow else self._usual_slots:
                await slots.acquire()
                request.slots.append(slots)
            if self._spacing:
                start = max(self._clock(), self._next_start)
                self._next_start = start + self._spacing
                await asyncio.sleep(start - self._clock())
            if self._closed_to(request) is None:
                break
            self._release(request)
        request.asked_at = self._clock()

    def leave(self, request: Passage) -> None:
        self._release(request)
        if not self._is_calm:
            for gate in self._gates(request.about, request.quota):
                gate.leave(request)

    @staticmethod
    def _release(request: Passage) -> None:
        while request.slots:
            request.slots.pop().release()

    @property
    def _is_calm(self) -> bool:
        """Whether all gates are open: the usual case, checked first because each poll passes here."""
        return not self._subjects and not self._quotas and self._connection.is_open

    def _gates(self, about: str, quota: str) -> Sequence[Gate[Passage]]:
        """The gates on the way of such a request, the narrow ones first."""
        subject, limit = self._subjects.get(about), self._quotas.get(quota)
        if subject is None and limit is None:
            return self._only_connection
        return [gate for gate in (subject, limit, self._connection) if gate is not None]

    def _closed_to(self, request: Passage) -> Gate[Passage] | None:
        """The first closed gate on the way. A request that waits there does not probe a wider one."""
        if self._is_calm:
            return None
        gates = self._gates(request.about, request.quota)
        for number, gate in enumerate(gates):
            if gate.is_closed_to(request):
                for wider in gates[number + 1 :]:
                    wider.leave(request)
                return gate
        return None

    def _rank(self, request: Passage) -> int:
        """Who probes the connection: a subject that succeeded last, and one that failed only if there is no other."""
        return 0 if self._suspicion.is_good(request.about) else 1 + (request.about in self._subjects)

    # --- replies

    def note(self, request: Passage, reply: Reply | None, sent: bool, lasting: TaskWatchError | None) -> None:
        scope = scope_of(reply, sent=sent)
        if scope is Scope.NONE and self._is_calm:
            self._suspicion.succeeded(request.about, self._clock())
            return
        if reply is not None and not is_failure(reply):
            self._succeeded(request)
        elif scope is not Scope.CONNECTION:
            self._failed(request, reply)
        held = None if scope is Scope.NONE else self._hold(request, reply, scope)
        if held is not self._connection:
            self._pass(request, held)
        self._lasting = lasting
        if lasting is not None:  # all requests fail now, because a probe would not help
            self._connection.wake()

    def _succeeded(self, request: Passage) -> None:
        self._suspicion.succeeded(request.about, self._clock())
        if (gate := self._subjects.get(request.about)) is not None:
            gate.passed(request)
            if gate.is_open:
                del self._subjects[request.about]
            self._slow.discard(request.about)

    def _failed(self, request: Passage, reply: Reply | None) -> None:
        self._subject_gate(request.about).hold(request, reply)
        if self._clock() - request.asked_at >= SLOW_SECONDS:
            self._slow.add(request.about)

    def _subject_gate(self, about: str) -> Gate[Passage]:
        """The gate of a subject. Of many subjects, those that are not held are forgotten: they may have ended."""
        if about not in self._subjects:
            if len(self._subjects) >= self._many_subjects:
                for idle in [name for name, gate in self._subjects.items() if gate.is_idle]:
                    del self._subjects[idle]
                self._slow &= self._subjects.keys()
                self._many_subjects = max(MANY_SUBJECTS, 2 * len(self._subjects))
            self._subjects[about] = Gate(self._clock)
        return self._subjects[about]

    def _quota_gate(self, quota: str) -> Gate[Passage]:
        if not quota:
            return self._connection
        return self._quotas.setdefault(quota, Gate(self._clock, jitter=JITTER))

    def _hold(self, request: Passage, reply: Reply | None, scope: Scope) -> Gate[Passage] | None:
        """Holds more than the subject where the reply concerns more; the gate that is closed for it, if any."""
        if scope is Scope.CONNECTION:
            self._suspicion.unreachable(request.asked_at)
            self._connection.hold(request, reply)
            return self._logged(self._connection, "the remote cannot be reached")
        if scope is Scope.SUBJECT and self._suspicion.failed(request.about, request.asked_at, self._clock()):
            self._connection.hold(request, reply, is_assumed=True, limit=BELIEVED_SECONDS)
            return self._logged(self._connection, "all requests fail")
        if scope is Scope.QUOTA and reply is not None and self._is_believed(request, reply):
            gate = self._quota_gate(request.quota)
            gate.hold(request, reply)
            return self._logged(gate, _limited(reply), request.quota)
        return None

    def _is_believed(self, request: Passage, reply: Reply) -> bool:
        """Whether an allowance is used up. It is not where the remote answers a probe long before it is renewed."""
        seconds, now = renewed_in(reply), self._clock()
        if seconds is None or is_failure(reply):
            self._disbelieved.discard(request.quota)
            return True
        if self._quota_gate(request.quota).is_probed_by(request) and now < self._renewed_at.get(request.quota, now):
            self._disbelieved.add(request.quota)
            self._warn("the remote answers well although X-RateLimit-Remaining is 0, which is ignored from here on")
        self._renewed_at[request.quota] = now + seconds
        return request.quota not in self._disbelieved

    def _pass(self, request: Passage, held: Gate[Passage] | None) -> None:
        """Opens the gates that the reply does not hold: the remote was reached, and does not refuse all requests."""
        self._connection.passed(request)
        gate = self._quotas.get(request.quota)
        if gate is not None and gate is not held:
            gate.passed(request)
            if gate.is_open:
                del self._quotas[request.quota]

    def _logged(self, gate: Gate[Passage], why: str, quota: str = "") -> Gate[Passage]:
        """The gate. A long hold is logged, but at most one per quota in ten minutes."""
        now = self._clock()
        if gate.held_seconds >= LOGGED_SECONDS and now - self._logged_at.get(quota, -inf) >= LOGGED_AGAIN_SECONDS:
            self._logged_at[quota] = now
            which = f" that counts as {quota!r}" if quota else ""
            self._warn(f"{why}, so no request{which} is sent for {gate.held_seconds:.0f} s; then one tries")
        return gate


def _copy(error: TaskWatchError) -> TaskWatchError:
    """The same error for another request, because a traceback belongs to one."""
    if isinstance(error, TokenError):
        return TokenError(str(error), transient=error.transient, is_lasting=True)
    return TransportError(str(error), sent=False, is_lasting=True)


def _limited(reply: Reply) -> str:
    if is_failure(reply):
        return f"the remote answered {reply.status}"
    return f"nothing is left of what the remote allows for {renewed_in(reply):.0f} s (X-RateLimit-Remaining: 0)"
