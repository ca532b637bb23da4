"""What operators and sensors have in common: a connection, and how patiently they wait on it."""

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
from airflow_provider_taskwatch.core.clock import ahead_seconds, rests_on_clock
from airflow_provider_taskwatch.core.error import MovedError, StrangerError, TaskWatchError
from airflow_provider_taskwatch.core.judge import Rules
from airflow_provider_taskwatch.core.outcome import Outcome, from_event
from airflow_provider_taskwatch.core.plan import Plan
from airflow_provider_taskwatch.core.schedule import FAR_SECONDS, LIMIT_SECONDS, Rhythm
from airflow_provider_taskwatch.core.start import has_moved
from airflow_provider_taskwatch.core.text import Bounded, line
from airflow_provider_taskwatch.core.watch import last_word
from airflow_provider_taskwatch.link import RemoteTaskLink

from .base import Checked, HookUser
from .deferral import backstop, is_deferrable, now, resumable_from, until
from .output import OutputUser

if TYPE_CHECKING:
    from airflow_provider_taskwatch.hooks.taskwatch import SystemHook  # noqa: F401 - named as a text below


class Waiter(OutputUser, Checked, HookUser["SystemHook"]):
    """Reads the arguments that every wait has. The class that it is mixed into takes and documents them."""

    has_told_page = True
    """Whether :class:`~..link.RemoteTaskLink` finds its XCom; False between the start of a task and its ref."""

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

    def tell_page(self, ti: Any, ref: str) -> None:
        """Push the remote's own page of the task, an empty one where the connection has no ``ui_url``."""
        ti.xcom_push(key=RemoteTaskLink().xcom_key, value=self.hook.page(ref))
        self.has_told_page = True

    def validate(self) -> None:
        """Check the rendered arguments; the last stop before anything is sent."""
        self.check_arguments()
        self.check_output()
        self.waits_in_triggerer()

    def tell_wait(self, ref: str, polls: str, deadline: datetime | None, what: str = "") -> None:
        """Say what is waited for, and how: here, as a line costs a triggerer far more than a worker.

        :param polls: when it is polled.
        :param what: what was started, where that is known.
        """
        self.log.info(
            "waiting for %s %s%s at %s, connection %s; %s; %s",
            self.hook.system.noun,
            ref,
            f" ({line(what)})" if what else "",
            self.hook.form.title,
            self.conn_id,
            polls,
            until(deadline),
        )

    def waits_in_triggerer(self) -> bool:
        """Whether to let go of the worker."""
        return is_deferrable(self.deferrable)

    @property
    def id_space(self) -> str:
        """Where the refs of the connection mean anything; see :meth:`~..core.system.System.id_space`."""
        return self.hook.system.id_space(self.hook.settings)

    def check_place(self, started_at: str) -> None:
        """Raise :class:`MovedError` where the connection leads elsewhere than where something was started.

        :param started_at: the id space; empty where it is not known.
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
            rules=Rules(
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

    def heard(self, event: Any) -> Outcome:
        """See :func:`heard`."""
        from airflow_provider_taskwatch.triggers.watch import WatchTrigger

        return heard(self, event, WatchTrigger, self.poll_seconds)

    def last_word(self, passed: Outcome, options: dict[str, Any]) -> Outcome:
        """How a task whose time is over has ended, where it has by now; triggerers that were down saw nothing of it."""
        try:
            return self.hook.run(last_word(self.hook.system, self.plan(passed.ref, options), CENTURY_SECONDS)) or passed
        except StrangerError:
            raise
        except TaskWatchError:
            return passed

    def delivered_outcome(self, outcome: Outcome, result: dict[str, Any]) -> dict[str, Any]:
        """What the XCom of a good end gets; see :meth:`~.output.OutputUser.delivered`."""
        return self.delivered(
            Bounded(value=result, loss=outcome.loss), lambda: self._whole(outcome) if outcome.loss else result
        )

    def _whole(self, outcome: Outcome) -> Mapping[str, Any]:
        """All of a result that was too long for a row of Airflow's database, read once more."""
        seen = self.hook.run(self.hook.system.observe(outcome.ref))
        if not seen.phase.is_final or not seen.status:
            self.log.warning("%s cannot be read any more: output_path gets what the XCom has", outcome.ref)
            return outcome.result
        personal = seen.mask.data(seen.personal, keep=seen.ref) if self.include_personal else {}
        called = {"callback": outcome.result["callback"]} if "callback" in outcome.result else {}
        return {**seen.mask.data(seen.result, keep=seen.ref), **personal, **called}

    @property
    def poll_seconds(self) -> float:
        """The longest interval, but for a far end where the user has given none."""
        given = seconds_or_none(self.poll_interval)
        return LIMIT_SECONDS if given is None else given


def place_in(event: Any) -> str:
    """The id space that a wait was in; empty where its event does not tell of the wait."""
    wait = event.get("wait") if isinstance(event, Mapping) else None
    return Plan.from_json(wait["plan"]).id_space if wait else ""


def heard(task: Any, event: Any, trigger: Callable[..., Any], poll_seconds: float) -> Outcome:
    """The outcome in a trigger's event; defers again where only the triggerer's clock says that time is over.

    A good end is told in the log here, as a line costs a triggerer far more than a worker; a bad one is raised.

    :param trigger: its class.
    :param poll_seconds: see :func:`~.deferral.backstop`.
    """
    outcome = from_event(event)
    if rests_on_clock(outcome) and {"at", "wait"} <= event.keys():
        again = trigger(**event["wait"])
        if ahead := ahead_seconds(datetime.fromisoformat(event["at"]), again.due(outcome), now()):
            task.log.warning("the triggerer's clock is %.0f s ahead: the wait is not over, and goes on", ahead)
            again.ahead_seconds += ahead
            again.resumable_from = resumable_from(None).isoformat()
            timeout = backstop(again.deadline_at, poll_seconds)
            task.defer(trigger=again, method_name="execute_complete", timeout=timeout)
    if called_at := event.get("called_at"):
        task.log.info("%s was called back about at %s", outcome.ref, called_at)
    if outcome.ending.is_ok:
        task.log.info(outcome.message)
    return outcome
