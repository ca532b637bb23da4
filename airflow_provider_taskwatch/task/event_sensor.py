"""The sensor that waits for an event of a feed."""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import TYPE_CHECKING, Any, ClassVar

from airflow.providers.common.compat.sdk import AirflowSensorTimeout
from airflow.sdk import BaseSensorOperator, PokeReturnValue

from airflow_provider_taskwatch.core.check import Check, duration, flag_or_none, json_object, moment_of, text_or_empty
from airflow_provider_taskwatch.core.error import LossError, TaskWatchError, described
from airflow_provider_taskwatch.core.event_filter import EventFilter
from airflow_provider_taskwatch.core.feed import Event, delivery
from airflow_provider_taskwatch.core.outcome import Outcome
from airflow_provider_taskwatch.core.text import stored
from airflow_provider_taskwatch.feed.checkpoint import deletions_of
from airflow_provider_taskwatch.inbox.checkpoint import Checkpoint
from airflow_provider_taskwatch.inbox.event import event_of

from .base import CheckedMixin, CheckedOperatorType
from .deferral import backstop, deadline_of, is_deferrable, now, resumable_from, until
from .feed_operator import ON_EVENTS_LOST, FeedMixin, report_lost
from .result import WaitTimedOut, result_of
from .watch import outcome_of, through_inbox

if TYPE_CHECKING:
    from airflow.sdk import Context

    from airflow_provider_taskwatch.feed.worker_reader import WorkerFeedReader

POKE_SECONDS = 10.0
POKE_EVENTS = 10_000
"""The most that one poke reads: a longer read would delay the check of what has arrived."""


class EventSensor(CheckedMixin, FeedMixin, BaseSensorOperator, metaclass=CheckedOperatorType):
    """Waits for an event, and returns it: ``id``, ``name``, ``subject``, ``at`` and ``content``. Subclasses say which
    feed.

    Airflow's ``timeout``, ``soft_fail`` and ``mode="reschedule"`` (with ``deferrable=False``) have their usual meaning.

    :param subject: the subject that the event must have; empty: any.
    :param match: dotted paths into the event's content, each with the value that must stand there.
    :param since: events before this moment do not count: a datetime, or a string in ISO 8601. None: the start of the
        DAG run.
    :param deferrable: wait in the triggerer; False waits on the worker, which then needs ``[taskwatch] inbox_url``.
        None: ``[taskwatch] default_deferrable``.
    :param on_events_lost: what to do if events after ``since`` were deleted before the wait began: ``continue`` with an
        error in the log, or ``fail``.
    :param poke_interval: seconds between two reads of the feed, with ``deferrable=False``.
    """

    argument_checks: ClassVar[Mapping[str, Check]] = {
        "subject": text_or_empty,
        "match": json_object,
        "since": moment_of,
        "deferrable": flag_or_none,
        "poke_interval": duration,
        "on_events_lost": ON_EVENTS_LOST,
    }
    template_fields: Sequence[str] = ("subject", "match", "since")

    def __init__(
        self,
        *,
        subject: str = "",
        match: Mapping[str, Any] | None = None,
        since: datetime | str | None = None,
        deferrable: bool | None = None,
        on_events_lost: str = "continue",
        poke_interval: float = POKE_SECONDS,
        **kwargs: Any,
    ) -> None:
        duration("poke_interval", poke_interval)  # Airflow 3.3.2 raises a bare OverflowError for what is too long
        super().__init__(poke_interval=poke_interval, **kwargs)
        self.subject = subject
        self.match = match
        self.since = since
        self.deferrable = deferrable
        self.on_events_lost = on_events_lost
        self._checkpoint: Checkpoint | None = None
        self._trouble = ""

    def event_names(self) -> list[str]:
        """Names of events to wait for, with ``*`` for any characters; empty: any."""
        return []

    def event_types(self) -> Sequence[str]:
        """The same for the log, where the feed itself holds some types only."""
        return self.event_names()

    def execute(self, context: Context) -> Any:
        self.check_arguments()
        wanted = self._wanted(context)
        wanted.check()
        self.feed.check(wanted.match)
        is_deferred = is_deferrable(self.deferrable)
        if is_deferred or not (self.reschedule and context["ti"].get_first_reschedule_date(context)):
            self._log_wait(context, wanted, is_deferred)
        if is_deferred:
            self._defer(context, wanted)
        return super().execute(context)

    def execute_complete(self, context: Context, event: Any = None) -> Any:
        """Resume on a worker with the trigger's event."""
        from airflow_provider_taskwatch.triggers.event import EventTrigger

        try:
            return self._result(outcome_of(self, event, EventTrigger, self.poke_interval))
        except WaitTimedOut as timed_out:
            raise AirflowSensorTimeout(str(timed_out)) from None

    def poke(self, context: Context) -> bool | PokeReturnValue:
        """Read the feed into the inbox, then the inbox, for ``deferrable=False``."""
        wanted = self._wanted(context)
        with self.open_reader() as reader:
            self._fetch(reader, wanted)
            checkpoint = (
                self._begin(context, reader, wanted) if self._checkpoint is None else reader.again(self._checkpoint)
            )
            for page in reader.pages(checkpoint):
                for event in (event_of(one.message) for one in page.rows):
                    if wanted.accepts(event):
                        return self._found(event)
                checkpoint, lost = checkpoint.after(page.rows, page)
                if lost:
                    report_lost(self.log, self.on_events_lost, reader.lose(lost))
                self._checkpoint = checkpoint
        return False

    def _fetch(self, reader: WorkerFeedReader, wanted: EventFilter) -> None:
        """Read the feed. As in the triggerer, transient errors do not end the wait; they are logged once."""
        try:
            reader.fetch(wanted.since, POKE_EVENTS)
        except TaskWatchError as error:
            if not error.transient or error.is_lasting:
                raise
            if isinstance(error, LossError) or str(error) != self._trouble:
                level = logging.ERROR if isinstance(error, LossError) else logging.WARNING
                self.log.log(
                    level, "still waiting: the feed %s cannot be read for now: %s", self.feed.key, described(error)
                )
            self._trouble = str(error)
        else:
            self._trouble = ""

    def _begin(self, context: Context, reader: WorkerFeedReader, wanted: EventFilter) -> Checkpoint:
        """Where to begin reading. What is lost by the time of a later poke was there for the first one."""
        if doubt := reader.doubt():
            self.log.warning(doubt)
        is_later = self.reschedule and context["ti"].get_first_reschedule_date(context) is not None
        lost = deletions_of(reader.inbox, reader.feed.key).since(wanted.since)
        if lost and not is_later:
            report_lost(self.log, self.on_events_lost, reader.lose(lost, is_exact=False))
        return reader.begin(reader.inbox.number_before(reader.feed.key, wanted.received_since))

    def _found(self, event: Event) -> PokeReturnValue:
        from airflow_provider_taskwatch.triggers.event import found

        return PokeReturnValue(is_done=True, xcom_value=self._result(found(event)))

    def _result(self, outcome: Outcome) -> dict[str, Any]:
        result = result_of(outcome)
        if outcome.loss:
            self.log.warning(
                "the event is too long for an XCom: %s; an operator that reads events can write it to output_path",
                outcome.loss,
            )
        return result

    def _log_wait(self, context: Context, wanted: EventFilter, is_deferred: bool) -> None:
        """Log what is waited for, and which process reads the feed."""
        is_read_here = not (is_deferred or self.feed.is_pushed)
        here = f"this worker reads it every {self.poke_interval:g} s, unless another process does"
        self.log.info(
            "waiting for an event %s, from the feed %s of connection %s; %s; %s%s",
            wanted.describe(self.event_types()),
            self.feed.key,
            self.conn_id,
            here if is_read_here else delivery(self.feed),
            until(deadline_of(context["ti"], self.timeout)),
            f"; {through_inbox('they come')}" if self.feed.is_pushed else "",
        )

    def _wanted(self, context: Context) -> EventFilter:
        since = moment_of("since", self.since)
        return EventFilter(
            names=self.event_names(),
            subject=text_or_empty("subject", self.subject),
            match=stored(json_object("match", self.match)),  # which a trigger carries
            since=_start_of(context) if since is None else since,
        )

    def _defer(self, context: Context, wanted: EventFilter) -> None:
        from airflow_provider_taskwatch.triggers.event import EventTrigger

        deadline = deadline_of(context["ti"], self.timeout)
        self.defer(
            trigger=EventTrigger(
                conn_id=self.conn_id,
                feed=self.feed_options(),
                want={"names": wanted.names, "subject": wanted.subject, "match": wanted.match, "since": wanted.since},
                deadline=deadline.isoformat() if deadline else None,
                resumable_from=resumable_from(context["ti"]).isoformat(),
                on_events_lost=self.on_events_lost,
                asked_at=now().timestamp(),
            ),
            method_name="execute_complete",
            timeout=backstop(deadline, self.poke_interval),
        )


def _start_of(context: Context) -> float:
    """When the DAG run began, in seconds since the epoch."""
    run = context["dag_run"]
    return (run.start_date or run.run_after).timestamp()
