"""The trigger of an asset watcher: the events of a feed schedule DAGs."""

from __future__ import annotations

import asyncio
import hashlib
import json
from collections.abc import AsyncIterator, Hashable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from airflow.triggers.base import BaseEventTrigger, TriggerEvent

from airflow_provider_taskwatch.compat.watcher_arguments import RESERVED, unwrapped
from airflow_provider_taskwatch.core.error import ConfigurationError, TriggerArgumentError
from airflow_provider_taskwatch.core.event_filter import EventFilter
from airflow_provider_taskwatch.core.plain import plain

from .base import BriefEvent

if TYPE_CHECKING:
    from airflow_provider_taskwatch.compat.shared_stream import SharedStreamProducer

STORED_SECONDS = 10.0
"""Airflow stores the event of a trigger about a second after it was handed over, and below 3.3 does not say so."""


class FeedTrigger(BaseEventTrigger):
    """Passes the events of a feed to Airflow, each at least once and in order, in batches.

    The position belongs to the trigger's name and is kept in the inbox, so a restart or a renamed DAG loses nothing. A
    new name begins with new events. An empty batch follows several batches, so that Airflow gives all of them to a run.
    Errors of the remote, the inbox and the settings are logged and survived. If events were deleted before they were
    read, an error gives their number.

    :param name: the name to which the position belongs; two triggers must not share one.
    :param conn_id: the connection; its type names the remote.
    :param feed: the feed: for Acronis ``topic``, ``types`` and more, as its sensor takes them; for Docplanner nothing.
    :param names: names of events, in which ``*`` stands for any characters; empty: any.
    :param subject: the subject that an event must have; empty: any.
    :param match: dotted paths into the event's content, each with the value that must stand there.
    :param batch_size: the largest number of events in one batch, 1 to 256.
    """

    def __init__(
        self,
        *,
        name: str,
        conn_id: str,
        feed: Mapping[str, Any] | None = None,
        names: Sequence[str] = (),
        subject: str = "",
        match: Mapping[str, Any] | None = None,
        batch_size: int = 100,
    ) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.name = name
        self.conn_id = conn_id
        self.subject = subject
        self.batch_size = batch_size
        try:
            self.feed = unwrapped(plain("feed", feed or {}))
            self.names = plain("names", names)
            self.match = unwrapped(plain("match", match or {}))
            self._check()
        except ConfigurationError as error:
            raise TriggerArgumentError(str(error)) from None

    def _check(self) -> None:
        if not self.name:
            raise ConfigurationError("name is empty; it is what the position in the feed belongs to")
        size: object = self.batch_size
        if not isinstance(size, int) or not 1 <= size <= 256:
            raise ConfigurationError(f"batch_size must be between 1 and 256, not {self.batch_size!r}")
        for name, given in (("feed", self.feed), ("match", self.match)):
            if isinstance(given, Mapping) and RESERVED in given:
                raise ConfigurationError(f"{name} must not have the name {RESERVED!r}, which Airflow reserves")
        EventFilter(names=self.names, match=self.match).check()

    def serialize(self) -> tuple[str, dict[str, Any]]:
        return f"{type(self).__module__}.{type(self).__qualname__}", {
            "name": self.name,
            "conn_id": self.conn_id,
            "feed": self.feed,
            "names": self.names,
            "subject": self.subject,
            "match": self.match,
            "batch_size": self.batch_size,
        }

    @property
    def fingerprint(self) -> str:
        """The same for triggers that are the same."""
        return hashlib.sha256(json.dumps(self.serialize()[1], sort_keys=True).encode()).hexdigest()[:16]

    def shared_stream_key(self) -> Hashable:
        """Of its own for each trigger: Airflow does not count a subscriber that joins after an event went out."""
        return "taskwatch", self.name, self.fingerprint

    @classmethod
    def create_shared_stream_producer(cls, kwargs: dict[str, Any]) -> SharedStreamProducer:
        from airflow_provider_taskwatch.feed.producer import FeedProducer

        return FeedProducer(cls(**kwargs))

    async def filter_shared_stream(self, shared_stream: AsyncIterator[Any]) -> AsyncIterator[TriggerEvent]:
        """One trigger event for each batch; the position moves when Airflow has stored it."""
        async for events in shared_stream:
            yield self._event(events)

    async def run(self) -> AsyncIterator[TriggerEvent]:
        """Without a shared stream, below Airflow 3.3: a batch counts as stored after :data:`STORED_SECONDS`."""
        from airflow_provider_taskwatch.feed.producer import FeedProducer

        async def confirm_later(number: int) -> None:
            await asyncio.sleep(STORED_SECONDS)
            await producer.confirm(number)

        producer = FeedProducer(self)
        confirming: set[asyncio.Task[None]] = set()
        try:
            async for events, number in producer.open_stream():
                yield self._event(events)
                task = asyncio.get_running_loop().create_task(confirm_later(number))
                confirming.add(task)
                task.add_done_callback(confirming.discard)
        finally:
            for task in confirming:
                task.cancel()
            await producer.aclose()

    def _event(self, events: Sequence[Any]) -> TriggerEvent:
        return BriefEvent({"name": self.name, "events": events}, summary=f"{len(events)} events of {self.name}")
