"""The trigger that waits for one event of a feed. One pump reads the feed, and one listener the inbox."""

from __future__ import annotations

import asyncio
import contextvars
import logging
from collections.abc import AsyncIterator, Mapping
from datetime import datetime
from functools import partial
from typing import TYPE_CHECKING, Any

from airflow.triggers.base import BaseTrigger, TriggerEvent

from airflow_provider_taskwatch.core.error import EventsLostError, TaskWatchError, TriggerArgumentError
from airflow_provider_taskwatch.core.event_filter import EventFilter
from airflow_provider_taskwatch.core.feed import Event, whole
from airflow_provider_taskwatch.core.outcome import Ending, Outcome

from .base import BriefEvent, WorkerClock

if TYPE_CHECKING:
    from airflow_provider_taskwatch.feed.waiter_index import Waiter
    from airflow_provider_taskwatch.hub.hub import Hub


YOUNG_SECONDS = 3600.0


class EventTrigger(WorkerClock, BaseTrigger):
    """Waits for one event.

    :param conn_id: the connection; its type names the remote.
    :param feed: the feed, as its sensor describes it.
    :param want: arguments of :class:`~..core.event_filter.EventFilter`.
    :param deadline: when the wait ends at the latest (ISO 8601, UTC), None for never.
    :param ahead_seconds: how far a triggerer's clock was seen to be ahead of the worker's, which has set the deadline.
    :param resumable_from: until then no event asks for a worker (ISO 8601); see
        :func:`~..task.deferral.resumable_from`. None: at once.
    :param on_events_lost: ``continue`` or ``fail`` where wanted events were deleted before the wait began.
    :param asked_at: when the wait began, in seconds since the epoch; None: not known.
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
        on_events_lost: str = "continue",
        asked_at: float | None = None,
    ) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.conn_id = conn_id
        for name, value in (("feed", feed), ("want", want)):
            if not isinstance(value, Mapping):
                raise TriggerArgumentError(f"{name} must be a dict, not {value!r:.80}")
        self.feed = dict(feed)
        self.want = dict(want)
        self.deadline = deadline
        self.ahead_seconds = ahead_seconds
        self.resumable_from = resumable_from
        self.on_events_lost = on_events_lost
        self.asked_at = asked_at

    def serialize(self) -> tuple[str, dict[str, Any]]:
        return f"{type(self).__module__}.{type(self).__qualname__}", {
            "conn_id": self.conn_id,
            "feed": self.feed,
            "want": self.want,
            "deadline": self.deadline,
            "ahead_seconds": self.ahead_seconds,
            **({} if self.resumable_from is None else {"resumable_from": self.resumable_from}),
            **({} if self.on_events_lost == "continue" else {"on_events_lost": self.on_events_lost}),
            **({} if self.asked_at is None else {"asked_at": self.asked_at}),
        }

    @property
    def deadline_at(self) -> datetime | None:
        return datetime.fromisoformat(self.deadline) if self.deadline else None

    async def run(self) -> AsyncIterator[TriggerEvent]:
        """One event, and no await after it; see :meth:`~.watch.WatchTrigger.run`."""
        outcome = await self._outcome()
        await self._until_resumable()
        yield BriefEvent(self._payload(outcome), summary=outcome.message)

    async def _outcome(self) -> Outcome:
        from airflow_provider_taskwatch.hub.hub import hub_for

        try:
            async with asyncio.timeout(self._seconds_left()), hub_for(self.conn_id) as hub:
                return found(await self._event(hub))
        except TimeoutError:
            return Outcome(ending=Ending.TIMED_OUT, ref="", message=f"no such event came until {self.deadline}")
        except TaskWatchError as error:
            return Outcome(ending=Ending.REFUSED, ref="", message=str(error))

    async def _event(self, hub: Hub) -> Event:
        """The first event that the filter accepts."""
        from airflow_provider_taskwatch.feed.registry import feed_of, listener, reading

        wait = _EventWait(self, hub)
        want = EventFilter(**self.want)
        try:
            feed = await feed_of(hub, self.feed, wait.warn)
            feed.check(want.match)
            waiter = wait.waiter(want, feed.key)
            async with reading(hub, feed, waiter):
                with listener().hearing(feed.key, waiter):
                    return await wait.answer
        finally:
            await hub.log_throttle.flush(self)

    @property
    def is_young(self) -> bool:
        """Whether the wait has just begun. One that was restarted later has got the events that are gone now."""
        return self.asked_at is not None and self._now().timestamp() - self.asked_at < YOUNG_SECONDS


class _EventWait:
    """Passes the messages of the listener to the log of the task, or to the end of its wait."""

    def __init__(self, trigger: EventTrigger, hub: Hub) -> None:
        self.answer: asyncio.Future[Event] = asyncio.get_running_loop().create_future()
        self._trigger = trigger
        self._log = partial(hub.log_throttle.log, trigger, trigger.log)
        self.warn = partial(self._log, logging.WARNING)
        self._context = contextvars.copy_context()  # by which Airflow finds the log of the task
        self._logged = set[str]()

    def waiter(self, want: EventFilter, channel: str) -> Waiter:
        """The waiter for the listener."""
        from airflow_provider_taskwatch.feed.waiter_index import Waiter

        return Waiter(
            want, self._got, partial(self._log_once, logging.WARNING), self._fail, partial(self._lost, channel)
        )

    def _got(self, event: Event) -> None:
        if not self.answer.done():
            self.answer.set_result(event)

    def _fail(self, error: Exception) -> None:
        if not self.answer.done():
            self.answer.set_exception(error)

    def _lost(self, channel: str, number: int) -> None:
        from airflow_provider_taskwatch.config.metric import count
        from airflow_provider_taskwatch.feed.reading import lost_message

        message = lost_message(channel, number, is_exact=False)
        if not self._trigger.is_young or message in self._logged:
            return
        count("feed.lost", number)
        self._log_once(logging.ERROR, message)
        if self._trigger.on_events_lost == "fail":
            self._fail(EventsLostError(f"{message}; on_events_lost='continue' waits all the same"))

    def _log_once(self, level: int, message: str) -> None:
        if message not in self._logged:
            self._logged.add(message)
            self._context.run(self._log, level, message)


def found(event: Event) -> Outcome:
    """The outcome of a wait for an event that has come."""
    return Outcome(
        ending=Ending.SUCCEEDED, ref=event.id, status=event.name, message=f"{event.name} came", result=whole(event)
    )
