"""The operator that reads the events of a feed: a bounded batch per run, each event once."""

from __future__ import annotations

import json
import math
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from functools import cached_property
from typing import TYPE_CHECKING, Any, ClassVar

from airflow.providers.common.compat.sdk import AirflowFailException
from airflow.sdk import BaseOperator

from airflow_provider_taskwatch.compat.task_state import airflows_task_state
from airflow_provider_taskwatch.core.check import Check, choice, listed, moment_of
from airflow_provider_taskwatch.core.error import ConfigurationError
from airflow_provider_taskwatch.core.event_filter import EventFilter
from airflow_provider_taskwatch.core.feed import Event, fitted, shown, whole
from airflow_provider_taskwatch.core.text import EVENTS_CHARACTERS, safe
from airflow_provider_taskwatch.feed.batch_range import BatchRange, BatchRanges
from airflow_provider_taskwatch.feed.checkpoint import deletions_of
from airflow_provider_taskwatch.inbox.checkpoint import Checkpoint, Page
from airflow_provider_taskwatch.inbox.event import event_of
from airflow_provider_taskwatch.inbox.message import Received

from .base import CheckedMixin, CheckedOperatorType, HookMixin
from .deferral import now
from .output import Output
from .result import OutputMixin

if TYPE_CHECKING:
    from airflow.sdk import Context

    from airflow_provider_taskwatch.core.feed import Feed
    from airflow_provider_taskwatch.feed.worker_reader import WorkerFeedReader
    from airflow_provider_taskwatch.hooks.taskwatch import TaskWatchHook  # noqa: F401 - named as a string below


class FeedMixin(HookMixin["TaskWatchHook"]):
    """Finds the feed and the inbox. The class that it is mixed into has the arguments."""

    def feed_options(self) -> dict[str, Any]:
        """Select one of the connection's feeds; see the remote's ``feed_of``."""
        return {}

    @cached_property
    def feed(self) -> Feed:
        """The feed, as the connection and the arguments describe it."""
        from airflow_provider_taskwatch.remotes import REMOTES

        return REMOTES.feed_for(self.hook.settings, self.feed_options())

    @contextmanager
    def open_reader(self) -> Iterator[WorkerFeedReader]:
        """A reader of the feed's events on this worker, for the duration of a block."""
        from airflow_provider_taskwatch.config.inbox import open_named_inbox, open_seal
        from airflow_provider_taskwatch.config.metric import count
        from airflow_provider_taskwatch.feed.worker_reader import WorkerFeedReader

        reader = WorkerFeedReader(self.feed, open_named_inbox(), self.hook.run, open_seal, count=count)
        try:
            yield reader
        finally:
            reader.close()


ON_EVENTS_LOST = choice("continue", "fail")


def _limit_of(name: str, value: object) -> int:
    """A whole number above 0; a template renders it as a string."""
    text = str(value)
    if not text.isdecimal() or not int(text):
        raise ConfigurationError(f"{name} must be a whole number above 0, not {value!r:.80}")
    return int(text)


class ReadFeedOperator(OutputMixin, CheckedMixin, FeedMixin, BaseOperator, metaclass=CheckedOperatorType):
    """Reads the events since the last run, and returns them or writes them to object storage. Subclasses say which
    feed.

    The inbox stores a position for each ``reader``: a run continues where the last one ended; a retry or a cleared run
    gets its own events again. While a trigger or another task reads the feed, the events come from the inbox, else from
    the remote through the inbox.

    An XCom has up to 1,000,000 characters of events; the rest is for the next run, as with ``limit``. ``output_path``
    has no such limit.

    :param limit: the largest number of events; the rest is for the next run.
    :param names: one or more names of events, in which ``*`` stands for any characters; empty: any.
    :param since: where the first run of a reader begins: a datetime, or a string in ISO 8601. None: with new events.
    :param reader: the name to which the position belongs.
    :param output_path: write the events there, one JSON object per line, and return ``path``, ``count`` and ``reader``:
        an address of Airflow's object storage, such as ``s3://conn@bucket/{{ run_id }}.jsonl``.
    :param on_events_lost: what to do if events were deleted before they were read: ``continue`` with an error in the
        log, or ``fail``.
    """

    argument_checks: ClassVar[Mapping[str, Check]] = {
        "limit": _limit_of,
        "since": moment_of,
        "on_events_lost": ON_EVENTS_LOST,
    }
    template_fields: Sequence[str] = ("limit", "names", "since", "reader", "output_path")

    def __init__(
        self,
        *,
        limit: int = 1000,
        names: str | Sequence[str] = (),
        since: datetime | str | None = None,
        reader: str = "{{ dag.dag_id }}.{{ task.task_id }}",
        output_path: str = "",
        on_events_lost: str = "continue",
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.limit = limit
        self.names = names
        self.since = since
        self.reader = reader
        self.output_path = output_path
        self.on_events_lost = on_events_lost

    def execute(self, context: Context) -> Any:
        self.check_arguments()
        self.check_output()
        limit = _limit_of("limit", self.limit)
        wanted = EventFilter(names=listed("names", self.names) or [])
        wanted.check()
        ti = context["ti"]
        with self.open_reader() as reader:
            run = f"{ti.run_id} {ti.map_index}"
            ranges = BatchRanges(reader.inbox, self._position, run, airflows_task_state(context))
            mine = ranges.mine()
            return self._next(reader, ranges, wanted, limit) if mine is None else self._again(reader, mine, wanted)

    def _next(self, reader: WorkerFeedReader, ranges: BatchRanges, wanted: EventFilter, limit: int) -> Any:
        """The events since the last run. Takes them again where another run has taken them meanwhile."""
        reached = ranges.reached()
        start, lost = self._begin(reader) if reached is None else (reader.again(reached.end), 0)
        is_exact = reached is not None and start.passed is not None
        reader.fetch(moment_of("since", self.since), limit)
        if doubt := reader.doubt():
            self.log.warning(doubt)
        while True:
            room = Room(math.inf if self.output_path else EVENTS_CHARACTERS)
            taken = take(reader.pages(start), start, wanted, limit, room)
            result = self._result(taken.events, lost + taken.lost, reader, is_exact=is_exact)
            if ranges.claim(reached, start, taken.end, taken.size):
                break
            if (mine := ranges.mine()) is not None:
                return self._again(reader, mine, wanted)
            reached = ranges.reached()
            start = reader.again(reached.end) if reached else start
        if room.is_full:
            self.log.warning(
                "an XCom has room for these %d events, the rest is for the next run; output_path= has no such limit",
                len(taken.events),
            )
        self.log.info("read %d events, up to number %d of the inbox", len(taken.events), taken.end.number)
        return result

    def _again(self, reader: WorkerFeedReader, mine: BatchRange, wanted: EventFilter) -> Any:
        """The events that this run has read before."""
        messages = list(reader.between(mine.start, mine.end))
        events = [event for event in map(event_of, messages) if wanted.accepts(event)]
        deletions = deletions_of(reader.inbox, reader.feed.key)
        unknown = deletions.count if deletions.number > mine.start else 0
        lost = unknown if mine.size is None else mine.size - len(messages)
        result = self._result(events, lost, reader, is_exact=mine.size is not None)
        self.log.info("read the same %d events again that this run has read before", len(events))
        return result

    def _begin(self, reader: WorkerFeedReader) -> tuple[Checkpoint, int]:
        """Where a new reader begins, and how many of its events were deleted, at most."""
        since = moment_of("since", self.since)
        moment = now().timestamp() if since is None else since
        lost = deletions_of(reader.inbox, reader.feed.key).since(moment)
        return reader.begin(reader.inbox.number_before(reader.feed.key, moment)), lost

    def _result(self, events: list[Event], lost: int, reader: WorkerFeedReader, *, is_exact: bool) -> Any:
        if lost:
            report_lost(self.log, self.on_events_lost, reader.lose(lost, is_exact=is_exact))
        return self._deliver(events)

    @property
    def _position(self) -> str:
        return f"reader {self.reader} of {self.feed.key}"

    def _deliver(self, events: list[Event]) -> Any:
        if self.output_path:
            path = Output(self.output_path).write(f"{json.dumps(safe(whole(event)))}\n" for event in events)
            return {"path": path, "count": len(events), "reader": self.reader}
        kept = list(map(fitted, events))
        for event, one in zip(events, kept, strict=True):
            if one.loss:
                self.log.warning(
                    "the event %s is too long for an XCom: %s; set output_path= to get all of it", event.id, one.loss
                )
        return [one.value for one in kept]


class Room:
    """The room of an XCom, in characters of JSON. One event fits in any case.

    :param limit: :data:`~..core.text.EVENTS_CHARACTERS`, or infinite.
    """

    def __init__(self, limit: float) -> None:
        self.is_full = False
        self._limit = limit
        self._length = 0

    def takes(self, event: Event) -> bool:
        """Whether there is room for it; then it is in."""
        if self._limit == math.inf:
            return True
        length = len(json.dumps(shown(event)))
        self.is_full = self._length > 0 and self._length + length > self._limit
        self._length += 0 if self.is_full else length
        return not self.is_full


@dataclass(frozen=True, slots=True, kw_only=True)
class Taken:
    """The first events that match.

    :param end: how far the feed was read.
    :param size: how many events were read, matching or not.
    :param lost: how many were deleted before they could be read.
    """

    events: list[Event]
    end: Checkpoint
    size: int
    lost: int


def take(pages: Iterable[Page], start: Checkpoint, wanted: EventFilter, limit: int, room: Room) -> Taken:
    """Take the first events that match, up to the limit and the room."""
    events, checkpoint, size, lost = list[Event](), start, 0, 0
    for page in pages:
        rows, is_full = list[Received](), False
        for one in page.rows:
            event = event_of(one.message)
            is_wanted = wanted.accepts(event)
            if is_full := is_wanted and (len(events) == limit or not room.takes(event)):
                break
            events.extend([event] if is_wanted else [])
            rows.append(one)
        checkpoint, missed = checkpoint.after(rows, page)
        size, lost = size + len(rows), lost + missed
        if is_full:
            break
    return Taken(events=events, end=checkpoint, size=size, lost=lost)


def report_lost(log: Any, on_events_lost: str, message: str) -> None:
    """Log that events are lost, or fail. There is no retry: it would not find them either."""
    if on_events_lost == "fail":
        raise AirflowFailException(f"{message}; on_events_lost='continue' goes on without them")
    log.error(message)
