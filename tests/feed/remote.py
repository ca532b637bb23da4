"""A remote with one feed, in memory, and the feed that reads it."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable, Collection
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import Any, TypeVar

from airflow_provider_taskwatch.core.error import ReplyError
from airflow_provider_taskwatch.core.event_filter import EventFilter
from airflow_provider_taskwatch.core.feed import Batch, Event
from airflow_provider_taskwatch.core.flow import Flow
from airflow_provider_taskwatch.core.run import Run
from airflow_provider_taskwatch.core.wire import Call, Pause, Reply, get, send
from airflow_provider_taskwatch.feed.waiter_index import Waiter

T = TypeVar("T")

NOW = 1_000.0
"""Seconds since the epoch: when the tests' events happen and are received."""


def event(number: int, name: str = "made", subject: str = "", at: float = NOW, **content: Any) -> Event:
    return Event(id=str(number), name=name, subject=subject, at=at, content={"number": number, **content})


@dataclass(kw_only=True)
class QueueFeed:
    """Reads a :class:`Remote`. A consuming feed has no positions."""

    key: str = "fake queue"
    is_consuming: bool = False
    is_positioned: bool = False
    is_pushed: bool = False

    def check(self, fields: Collection[str]) -> None:
        """Every field is stored."""

    def begin(self, since: float | None) -> Flow[str]:
        yield get("/begin", {"since": str(since)})
        return "" if self.is_consuming else "0"

    def read(self, position: str, reader: str, *, waits: bool = True) -> Flow[Reply]:
        return (yield get("/read", {"after": position, "reader": reader}))

    def batch(self, reply: Reply, position: str) -> Batch:
        try:
            numbers = json.loads(reply.body)
        except ValueError:
            raise ReplyError("the answer is no JSON") from None
        events = tuple(event(number) for number in numbers)
        return Batch(events=events, position=position if self.is_consuming else str(numbers[-1]))

    def acknowledge(self, batch: Batch, reader: str) -> Flow[None]:
        yield send("POST", "/acknowledge", {"position": batch.position})


class Remote:
    """Holds events by their numbers; a read stays open until there are some.

    :param note: receives each call, in the order of the calls.
    """

    def __init__(self, note: Callable[[str], object] = lambda _: None) -> None:
        self.calls: list[str] = []
        self.readers: set[str] = set()
        self.failures: list[Exception] = []
        """Raised by the next reads, one for each read."""
        self.bodies: list[bytes] = []
        """Bodies of the next replies, instead of events."""
        self._note = note
        self._events: list[int] = []
        self._news = asyncio.Event()

    def emit(self, *numbers: int) -> None:
        self._events.extend(numbers)
        self.wake_reads()

    def wake_reads(self) -> None:
        """Let the open reads check for events or failures."""
        self._news.set()

    @property
    def reads(self) -> int:
        return sum(call.startswith("read") for call in self.calls)

    async def converse(self, flow: Flow[T]) -> T:
        run: Run[Call | Pause, T] = Run(flow)
        while not run.is_over:
            with run.answering() as answer:
                answer.value = await self._answer(run.step)
        return run.result

    async def _answer(self, call: Any) -> Reply:
        parts = [call.path.removeprefix("/"), *(dict(call.query).get(key, "") for key in ("since", "after"))]
        self.calls.append(" ".join(filter(None, parts)))
        self._note(self.calls[-1])
        if call.path != "/read":
            return Reply(status=200)
        self.readers.add(dict(call.query)["reader"])
        return Reply(status=200, body=await self._body(dict(call.query)["after"]))

    async def _body(self, after: str) -> bytes:
        while True:
            if self.failures:
                raise self.failures.pop(0).with_traceback(None)
            if self.bodies:
                return self.bodies.pop(0)
            if found := [number for number in self._events if not after or number > int(after)]:
                if not after:
                    self._events.clear()
                return json.dumps(found).encode()
            self._news.clear()
            await self._news.wait()


@dataclass(eq=False)
class RecordingWaiter:
    """A waiter that records its events, warnings and errors."""

    event_filter: EventFilter = field(default_factory=EventFilter)
    received: list[str] = field(default_factory=list)
    warnings: list[str] = field(default_factory=list)
    errors: list[Exception] = field(default_factory=list)

    @property
    def waiter(self) -> Waiter:
        return Waiter(
            self.event_filter, lambda event: self.received.append(event.id), self.warnings.append, self.errors.append
        )


class InlineExecutor(ThreadPoolExecutor):
    """Runs work in the calling thread: the clock of a virtual event loop does not advance while threads work."""

    def submit(self, fn: Callable[..., Any], /, *args: Any, **kwargs: Any) -> Future[Any]:
        done: Future[Any] = Future()
        try:
            done.set_result(fn(*args, **kwargs))
        except Exception as error:  # noqa: BLE001 - the future carries it to its caller
            done.set_exception(error)
        return done
