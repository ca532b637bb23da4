"""The life of every operator that reads the events of a feed: a bounded batch, each event once."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import datetime
from functools import cached_property
from typing import TYPE_CHECKING, Any

from airflow.sdk import BaseOperator

from airflow_provider_taskwatch.core.error import ConfigurationError
from airflow_provider_taskwatch.core.feed import Event, shown
from airflow_provider_taskwatch.core.want import Want

from .hook import HookUser
from .setting import listed, moment_of, now

if TYPE_CHECKING:
    from airflow.sdk import Context

    from airflow_provider_taskwatch.core.feed import Feed
    from airflow_provider_taskwatch.hooks.taskwatch import TaskWatchHook  # noqa: F401 - named as a text below
    from airflow_provider_taskwatch.hub.errand import Errand


class FeedUser(HookUser["TaskWatchHook"]):
    """Finds the feed and the inbox of a task. The class that it is mixed into has the arguments."""

    def feed_options(self) -> dict[str, Any]:
        """Which of the connection's feeds; see the remote's ``feed_of``."""
        return {}

    @cached_property
    def feed(self) -> Feed:
        """The feed, as the connection and the arguments describe it."""
        from airflow_provider_taskwatch.systems import feed_for

        return feed_for(self.hook.settings, self.feed_options())

    @contextmanager
    def errand(self) -> Iterator[Errand]:
        """The way to the feed's events from a worker, for the duration of a block."""
        from airflow_provider_taskwatch.hub.errand import Errand
        from airflow_provider_taskwatch.hub.inbox import open_named_inbox, open_seal
        from airflow_provider_taskwatch.hub.statistic import count

        errand = Errand(self.feed, open_named_inbox(), self.hook.run, open_seal, count=count)
        try:
            yield errand
        finally:
            errand.close()


class ReadFeedOperator(FeedUser, BaseOperator):
    """Read what has come since the last run, and return it, or write it to object storage. Subclasses say which feed.

    Who reads is kept in the inbox by ``reader``: a run goes on where the last one has ended, and a retry, or a run that
    was cleared, gets the same events again. While a trigger or another task reads the feed, they are taken from the
    inbox, else from the remote, through the inbox.

    :param limit: how many events at most; what is left is for the next run.
    :param names: one or many of what may have happened, ``*`` standing for any characters; empty: anything.
    :param since: how far back the first run of a reader goes: a datetime, or a text in ISO 8601. Default: it begins
        with what comes from then on.
    :param reader: to whom the position belongs. Default: the DAG's and the task's ids.
    :param output_path: write the events there, one JSON object a line, and return ``path``, ``count`` and ``reader``;
        an address of Airflow's object storage, such as ``s3://conn@bucket/{{ run_id }}.jsonl``.
    """

    template_fields: Sequence[str] = ("limit", "names", "since", "reader", "output_path")

    def __init__(
        self,
        *,
        limit: int = 1000,
        names: str | Sequence[str] = (),
        since: datetime | str | None = None,
        reader: str = "{{ dag.dag_id }}.{{ task.task_id }}",
        output_path: str = "",
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.limit = limit
        self.names = names
        self.since = since
        self.reader = reader
        self.output_path = output_path

    def execute(self, context: Context) -> Any:
        limit = self._limit()
        want = Want(names=listed("names", self.names) or [])
        want.check()
        ti = context["ti"]
        run = f"{ti.run_id} {ti.map_index}"
        with self.errand() as errand:
            start = self._start(errand, run)
            errand.fetch(moment_of("since", self.since), limit)
            if doubt := errand.doubt():
                self.log.warning(doubt)
            events, end = _taken(errand.events(start), want, limit, start)
            result = self._deliver([shown(event) for event in events])
            errand.inbox.save_position(self._position, json.dumps({"run": run, "start": start, "end": end}))
        self.log.info("%d events were read, up to number %d of the inbox", len(events), end)
        return result

    @property
    def _position(self) -> str:
        return f"reader {self.reader} of {self.feed.key}"

    def _limit(self) -> int:
        """It may have come out of a template."""
        text = str(self.limit)
        if not text.isdecimal() or not int(text):
            raise ConfigurationError(f"limit must be a whole number above 0, not {self.limit!r:.80}")
        return int(text)

    def _start(self, errand: Errand, run: str) -> int:
        """After which number to read: where the last run has ended, or where this one began before."""
        stored: Mapping[str, Any] = json.loads(errand.inbox.position(self._position) or "{}")
        if not stored:
            since = moment_of("since", self.since)
            return errand.inbox.number_before(errand.feed.key, now().timestamp() if since is None else since)
        number: int = stored["start" if stored["run"] == run else "end"]
        return number

    def _deliver(self, events: list[dict[str, Any]]) -> Any:
        if not self.output_path:
            return events
        from airflow.sdk import ObjectStoragePath

        path = ObjectStoragePath(self.output_path)
        with path.open("w") as file:
            file.writelines(f"{json.dumps(event)}\n" for event in events)
        return {"path": str(path), "count": len(events), "reader": self.reader}


def _taken(numbered: Iterable[tuple[int, Event]], want: Want, limit: int, start: int) -> tuple[list[Event], int]:
    """The first events that are wanted, and the number up to which all were looked at."""
    events, end = list[Event](), start
    for number, event in numbered:
        if want.accepts(event):
            if len(events) == limit:
                break
            events.append(event)
        end = number
    return events, end
