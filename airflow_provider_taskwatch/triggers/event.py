"""The trigger that waits for one event of a feed; one pump reads the feed, and one reader the inbox."""

from __future__ import annotations

import asyncio
import contextvars
import logging
from collections.abc import AsyncIterator, Mapping
from functools import partial
from typing import TYPE_CHECKING, Any

from airflow.triggers.base import BaseTrigger, TriggerEvent

from airflow_provider_taskwatch.core.error import TaskWatchError
from airflow_provider_taskwatch.core.feed import Event, whole
from airflow_provider_taskwatch.core.outcome import Ending, Outcome
from airflow_provider_taskwatch.core.want import Want

from .brief import BriefEvent
from .clock import WorkerClock

if TYPE_CHECKING:
    from airflow_provider_taskwatch.hub.hub import Hub


class EventTrigger(WorkerClock, BaseTrigger):
    """Wait for one event.

    :param conn_id: the connection; its type names the remote.
    :param feed: which of its feeds; see the remote's ``feed_of``.
    :param want: arguments of :class:`~..core.want.Want`.
    :param deadline: when the wait ends at the latest (ISO 8601, UTC), None for never.
    :param ahead_seconds: how far a triggerer's clock was seen to be ahead of the worker's, which has set the deadline.
    :param resumable_from: until then no event asks for a worker (ISO 8601); see
        :func:`~..operators.setting.resumable_from`. None: at once.
    """

    def __init__(
        self,
        *,
        conn_id: str,
        feed: Mapping[str, Any],
        want: Mapping[str, Any],
        deadline: str | None = None,
        ahead_seconds: float = 0.0,
        resumable_from: str | None = None,
    ) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.conn_id = conn_id
        self.feed = dict(feed)
        self.want = dict(want)
        self.deadline = deadline
        self.ahead_seconds = ahead_seconds
        self.resumable_from = resumable_from

    def serialize(self) -> tuple[str, dict[str, Any]]:
        return f"{type(self).__module__}.{type(self).__qualname__}", {
            "conn_id": self.conn_id,
            "feed": self.feed,
            "want": self.want,
            "deadline": self.deadline,
            "ahead_seconds": self.ahead_seconds,
            **({} if self.resumable_from is None else {"resumable_from": self.resumable_from}),
        }

    async def run(self) -> AsyncIterator[TriggerEvent]:
        """One event, and no await after it."""
        outcome = await self._outcome()
        await self._until_resumable()
        yield BriefEvent(self._told(outcome), words=outcome.message)

    async def _outcome(self) -> Outcome:
        from airflow_provider_taskwatch.hub.registry import hub_for

        try:
            async with asyncio.timeout(self._seconds_left()), hub_for(self.conn_id) as hub:
                return found(await self._event(hub))
        except TimeoutError:
            return Outcome(ending=Ending.TIMED_OUT, ref="", message=f"no such event came until {self.deadline}")
        except TaskWatchError as error:
            return Outcome(ending=Ending.REFUSED, ref="", message=str(error))

    async def _event(self, hub: Hub) -> Event:
        """The first event that is wanted."""
        from airflow_provider_taskwatch.hub.audience import Waiter
        from airflow_provider_taskwatch.hub.registry import feed_of, listener, reading

        warn = partial(hub.teller.tell, self, self.log, logging.WARNING)
        mine, said = contextvars.copy_context(), set[str]()  # by which Airflow finds the log of a task
        answer: asyncio.Future[Event] = asyncio.get_running_loop().create_future()

        def doubt(words: str) -> None:
            if words not in said:
                said.add(words)
                mine.run(warn, words)

        def hear(event: Event) -> None:
            if not answer.done():
                answer.set_result(event)

        def fail(error: Exception) -> None:
            if not answer.done():
                answer.set_exception(error)

        waiter = Waiter(Want(**self.want), hear, doubt, fail)
        try:
            feed = await feed_of(hub, self.feed, warn)
            feed.check(waiter.want.match)
            async with reading(hub, feed, waiter):
                with listener().hearing(feed.key, waiter):
                    return await answer
        finally:
            await hub.teller.flush(self)


def found(event: Event) -> Outcome:
    """The outcome of a wait for an event that has come."""
    return Outcome(
        ending=Ending.SUCCEEDED, ref=event.id, status=event.name, message=f"{event.name} came", result=whole(event)
    )
