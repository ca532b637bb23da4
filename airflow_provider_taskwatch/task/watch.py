"""What operators and sensors that watch a remote task have in common."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any, ClassVar, NoReturn

from airflow_provider_taskwatch.core.check import (
    CENTURY_SECONDS,
    Check,
    choice,
    duration,
    flag,
    flag_or_none,
    seconds,
    seconds_or_none,
)
from airflow_provider_taskwatch.core.clock import ahead_seconds
from airflow_provider_taskwatch.core.error import MovedError, StrangerError, TaskWatchError
from airflow_provider_taskwatch.core.judge import WaitRules
from airflow_provider_taskwatch.core.outcome import Ending, Outcome, from_event, reading_event
from airflow_provider_taskwatch.core.plan import Plan
from airflow_provider_taskwatch.core.schedule import FAR_SECONDS, LIMIT_SECONDS, Rhythm
from airflow_provider_taskwatch.core.single_poll import last_poll
from airflow_provider_taskwatch.core.system import has_moved
from airflow_provider_taskwatch.core.text import Bounded, line, shown_ref
from airflow_provider_taskwatch.link import PAGE_KEY

from .base import CheckedMixin, HookMixin
from .deferral import backstop, is_deferrable, now, resumable_from, until
from .result import OutputMixin

if TYPE_CHECKING:
    from airflow_provider_taskwatch.core.flow import Flow
    from airflow_provider_taskwatch.core.phase import Observation
    from airflow_provider_taskwatch.core.system import System
    from airflow_provider_taskwatch.hooks.taskwatch import SystemHook  # noqa: F401 - named as a string below


class WatchMixin(OutputMixin, CheckedMixin, HookMixin["SystemHook"]):
    """Makes a plan of the arguments that every wait has, and an outcome of a trigger's event.

    The class that it is mixed into takes the arguments, and documents them.
    """

    has_page = True
    """Whether the XCom of :class:`~..link.RemoteTaskLink` is there; False until the ref is known."""

    is_own_start: ClassVar[bool] = False
    """Whether the wait begins with a start of ours; see :class:`~..core.schedule.Rhythm`."""

    argument_checks: ClassVar[Mapping[str, Check]] = {
        "deferrable": flag_or_none,
        "poll_interval": duration,
        "adaptive": flag,
        "on_skipped": choice("succeed", "skip", "fail"),
        "not_found_grace": duration,
        "unknown_status_grace": duration,
        "fail_on_blocked": flag,
        "blocked_timeout": duration,
        "include_personal": flag,
    }

    defer: Callable[..., NoReturn]
    log: Any

    deferrable: bool | None
    poll_interval: float | timedelta | None
    adaptive: bool
    on_skipped: str
    not_found_grace: float | timedelta
    unknown_status_grace: float | timedelta
    fail_on_blocked: bool
    blocked_timeout: float | timedelta | None
    include_personal: bool

    @property
    def system(self) -> System:
        """The remote, as the task's arguments describe it."""
        return self.hook.system

    def moved_to(self, ref: str) -> None:
        """The task goes on at the remote under another ref."""

    def validate(self) -> None:
        """Check the rendered arguments, before anything is sent."""
        self.check_arguments()
        self.check_output()
        self.waits_in_triggerer()

    def push_page(self, ti: Any, ref: str) -> None:
        """Push the address of the remote's own page of the task; empty where the connection has no ``ui_url``."""
        ti.xcom_push(key=PAGE_KEY, value=self.hook.settings.page(self.system.page(ref)))
        self.has_page = True

    def log_wait(
        self, ref: str, polls: str, deadline: datetime | None, subject: str = "", *, is_called_back: bool = False
    ) -> None:
        """Log what is waited for, and how. A log line costs a triggerer far more than a worker, so it is logged here.

        :param polls: when it is polled.
        :param subject: what was started, where that is known.
        :param is_called_back: whether a callback is expected, through the inbox.
        """
        self.log.info(
            "waiting for %s %s%s at %s, connection %s; %s; %s%s",
            self.system.noun,
            shown_ref(ref),
            f" ({line(subject)})" if subject else "",
            self.hook.form.title,
            self.conn_id,
            polls,
            until(deadline),
            f"; {through_inbox('callbacks come')}" if is_called_back else "",
        )

    def waits_in_triggerer(self) -> bool:
        """Whether the task defers."""
        return is_deferrable(self.deferrable)

    @property
    def id_space(self) -> str:
        """Where the connection's refs are valid; see :meth:`~..core.system.System.id_space`."""
        return self.system.id_space(self.hook.settings)

    def check_id_space(self, started_at: str) -> None:
        """Raise :class:`MovedError` where the connection no longer leads to an id space.

        :param started_at: the id space of the start; empty where it is not known.
        """
        if has_moved(started_at, self.id_space):
            raise MovedError(self.conn_id, started_at, self.id_space)

    def plan(self, ref: str, options: dict[str, Any], ends_at: float | None = None) -> Plan:
        """What to wait for and how, in the triggerer or on the worker.

        :param ends_at: the age at which the wait ends, in seconds; None for never.
        """
        return Plan(
            ref=ref,
            id_space=self.id_space,
            options=options,
            rules=WaitRules(
                not_found_grace=seconds(self.not_found_grace),
                unknown_status_grace=seconds(self.unknown_status_grace),
                fail_on_blocked=self.fail_on_blocked,
                blocked_timeout=seconds_or_none(self.blocked_timeout),
            ),
            rhythm=Rhythm(
                limit_seconds=self.poll_seconds,
                far_seconds=FAR_SECONDS if self.poll_interval is None else None,
                adaptive=self.adaptive,
                is_own_start=self.is_own_start,
            ),
            personal=self.include_personal,
            ends_at=ends_at,
        )

    def outcome_of(self, event: Any) -> Outcome:
        """See :func:`outcome_of`."""
        from airflow_provider_taskwatch.triggers.watch import WatchTrigger

        return outcome_of(self, event, WatchTrigger, self.poll_seconds)

    def end_after_deadline(self, passed: Outcome, options: dict[str, Any]) -> Outcome:
        """The end of a task whose deadline has passed, where it has one: the triggerers may have been down."""
        try:
            return self.hook.run(last_poll(self.system, self.plan(passed.ref, options), CENTURY_SECONDS)) or passed
        except StrangerError:
            raise
        except TaskWatchError:
            return passed

    def delivered_outcome(self, outcome: Outcome, result: dict[str, Any]) -> dict[str, Any]:
        """The XCom of a good end; see :meth:`~.result.OutputMixin.delivered`."""
        return self.delivered(
            Bounded(value=result, loss=outcome.loss), lambda: self._whole(outcome) if outcome.loss else result
        )

    def _whole(self, outcome: Outcome) -> Mapping[str, Any]:
        """The whole of a result that was too long for a row of Airflow's database: it is read once more."""
        seen = self.hook.run(self.whole_flow(outcome.ref))
        if not seen.phase.is_final or not seen.status:
            self.log.warning(
                "%s cannot be read any more: output_path gets the shortened result of the XCom", shown_ref(outcome.ref)
            )
            return outcome.result
        personal = seen.mask.data(seen.personal, keep=seen.ref) if self.include_personal else {}
        called = {"callback": outcome.result["callback"]} if "callback" in outcome.result else {}
        return {**seen.mask.data(seen.result, keep=seen.ref), **personal, **called}

    def whole_flow(self, ref: str) -> Flow[Observation]:
        """Read an ended task once more, with its result."""
        seen = yield from self.system.observe(ref)
        return (yield from self.system.complete(seen, {}))

    @property
    def poll_seconds(self) -> float:
        """The longest interval between polls; a far end doubles it where the user has given none."""
        given = seconds_or_none(self.poll_interval)
        return LIMIT_SECONDS if given is None else given


def through_inbox(what: str) -> str:
    """Which inbox something comes through, for the log at the beginning of a wait."""
    from airflow_provider_taskwatch.config.inbox import inbox_name

    return f"by the settings of this worker, {what} through {inbox_name()}"


def id_space_of(event: Any) -> str:
    """The id space of the wait that an event ends; empty where the event does not name its wait.

    :raises EventError: where the wait is malformed.
    :raises ConfigurationError: where another version of this package wrote its plan.
    """
    wait = event.get("wait") if isinstance(event, Mapping) else None
    with reading_event():
        return Plan.from_json(wait["plan"]).id_space if wait else ""


def outcome_of(task: Any, event: Any, trigger: Callable[..., Any], poll_seconds: float) -> Outcome:
    """The outcome in a trigger's event. Defers again where the task goes on under another ref, or where only the
    triggerer's clock says that time is over.

    A good end is logged here, as a log line costs a triggerer far more than a worker; a bad one is raised.

    :param trigger: its class.
    :param poll_seconds: see :func:`~.deferral.backstop`.
    :raises EventError: where the event is malformed or of a newer version.
    """
    outcome = from_event(event)
    if outcome.ending is Ending.CONTINUES:
        task.log.info(outcome.message)
        task.moved_to(outcome.ref)
        with reading_event():
            next_stage = trigger(**{**event["wait"], "plan": {**event["wait"]["plan"], "ref": outcome.ref}})
            next_stage.resumable_from = resumable_from(None).isoformat()
        task.defer(
            trigger=next_stage,
            method_name="execute_complete",
            timeout=backstop(next_stage.deadline_at, poll_seconds),
        )
    if outcome.rests_on_clock and event.get("wait") and "at" in event:
        with reading_event():
            again = trigger(**event["wait"])
            ahead = ahead_seconds(datetime.fromisoformat(event["at"]), again.due(outcome), now())
        if ahead:
            task.log.warning("the triggerer's clock is %.0f s ahead: the wait is not over, and goes on", ahead)
            again.ahead_seconds += ahead
            again.resumable_from = resumable_from(None).isoformat()
            timeout = backstop(again.deadline_at, poll_seconds)
            task.defer(trigger=again, method_name="execute_complete", timeout=timeout)
    if called_at := event.get("called_at"):
        task.log.info("the remote called back about %s at %s", shown_ref(outcome.ref), called_at)
    if outcome.ending.is_ok:
        task.log.info(outcome.message)
    return outcome
