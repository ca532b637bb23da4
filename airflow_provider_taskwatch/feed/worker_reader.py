"""Reads a feed on a worker: from the remote while it holds the feed's lease, and from the inbox always."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Generator, Iterator
from typing import Any, TypeVar

from airflow_provider_taskwatch.core.error import InboxError, LeaseError
from airflow_provider_taskwatch.core.feed import Feed
from airflow_provider_taskwatch.core.flow import Flow
from airflow_provider_taskwatch.core.run import Run
from airflow_provider_taskwatch.feed.checkpoint import (
    BACK_SECONDS,
    checkpoint_at,
    counted,
    has_gone_back,
    read_page,
    restored_checkpoint,
)
from airflow_provider_taskwatch.inbox.checkpoint import Checkpoint, Page
from airflow_provider_taskwatch.inbox.lease import new_holder
from airflow_provider_taskwatch.inbox.message import Lease, Message
from airflow_provider_taskwatch.inbox.protocol import Inbox
from airflow_provider_taskwatch.inbox.seal import Seal

from .pump import lease_name
from .reading import FeedPosition, Program, Reading, Step, lost_message, remarks, restored_message, seal_for
from .silence import of_feed, silence

T = TypeVar("T")

log = logging.getLogger(__name__)

LEASE_SECONDS = 120.0
"""Longer than a read may take, because the lease is not renewed during a read."""


class WorkerFeedReader:
    """Gives one worker the events of a feed.

    :param converse: runs one flow against the remote.
    :param open_seal: encrypts the replies of feeds that forget what was read, and events that cannot be read.
    :param clock: seconds since the epoch.
    :param count: adds a number to a counter, by its name.
    :param now: monotonic seconds.
    """

    def __init__(
        self,
        feed: Feed,
        inbox: Inbox,
        converse: Callable[[Flow[Any]], Any],
        open_seal: Callable[[], Seal],
        *,
        clock: Callable[[], float] = time.time,
        count: Callable[[str, int], object] = lambda _name, _number: None,
        now: Callable[[], float] = time.monotonic,
        sleep: Callable[[float], object] = time.sleep,
    ) -> None:
        self.feed = feed
        self.inbox = inbox
        self._converse = converse
        self._lease = Lease(name=lease_name(feed), holder=new_holder())
        self._reading = Reading(feed, inbox, self._lease, seal_for(feed, open_seal), clock)
        self._count = count
        self._now = now
        self._sleep = sleep
        self._place: FeedPosition | None = None

    def fetch(self, since: float | None, limit: int) -> None:
        """Read the feed until it is empty or ``limit`` is reached; not at all while another process reads it.

        :param since: seconds since the epoch, of the earliest event that is wanted.
        :param limit: number of events after which no further read is made.
        """
        fetched = 0
        while fetched < limit and (new := self._read(since)):
            fetched += new

    def _read(self, since: float | None) -> int:
        if self.feed.is_pushed or not self.inbox.lease(self._lease.name, self._lease.holder, LEASE_SECONDS):
            return 0
        try:
            if self._place is None:
                self._place = self._drive(self._reading.begin(since))
            batch = self._drive(self._reading.turn(self._place, waits=False))
        except LeaseError:
            self._place = None
            return 0
        self._place = self._place.at(batch.position)
        if batch.unreadable:
            self._count("feed.unreadable", len(batch.unreadable))
        for level, message in remarks(self.feed.key, batch):
            log.log(level, message)
        return batch.count

    def doubt(self) -> str:
        """Why no events may come; empty if no reason is known."""
        silent = silence(self.inbox) if self.feed.is_pushed else ""
        return of_feed(self.feed.key, silent) if silent else ""

    def begin(self, number: int) -> Checkpoint:
        """The checkpoint of a reader that begins after a number."""
        return checkpoint_at(self.inbox, self.feed.key, number)

    def again(self, checkpoint: Checkpoint) -> Checkpoint:
        """The checkpoint from which a reader continues; an earlier one if the inbox was restored."""
        ends_at = self._now() + BACK_SECONDS
        while has_gone_back(self.inbox, self.feed.key, checkpoint):
            if self._now() >= ends_at:
                again = restored_checkpoint(self.inbox, self.feed.key, checkpoint)
                self._count("inbox.went_back", 1)
                log.error(restored_message(self.feed.key, checkpoint.number, again.number))
                return again
            self._sleep(BACK_SECONDS / 10)
        return counted(self.inbox, self.feed.key, checkpoint)

    def pages(self, checkpoint: Checkpoint) -> Iterator[Page]:
        """The pages after a checkpoint, in the order of the feed; the last page is empty."""
        while True:
            page = read_page(self.inbox, self.feed.key, checkpoint)
            if page.is_back:
                raise InboxError(
                    f"{self.inbox!r} has gone back while {self.feed.key} was read; the next attempt reads it again"
                )
            yield page
            if not page.rows:
                return
            checkpoint, _ = checkpoint.after(page.rows, page)

    def between(self, start: int, end: int) -> Iterator[Message]:
        """The messages after ``start`` and up to ``end``, in the order of the feed."""
        while page := [one for one in self.inbox.after(self.feed.key, start) if one.number <= end]:
            yield from (one.message for one in page)
            start = page[-1].number

    def lose(self, number: int, *, is_exact: bool = True) -> str:
        """Count events that were deleted before they were read; return the message about them."""
        self._count("feed.lost", number)
        return lost_message(self.feed.key, number, is_exact=is_exact)

    def close(self) -> None:
        """Release the lease, so that another process can read at once, and close the inbox."""
        self.inbox.release(self._lease.name, self._lease.holder)
        self.inbox.close()

    def _drive(self, program: Program[T]) -> T:
        run: Run[Step, T] = Run(program)
        while not run.is_over:
            step: Any = run.step
            with run.answering() as answer:
                answer.value = self._converse(step) if isinstance(step, Generator) else step()
        return run.result
