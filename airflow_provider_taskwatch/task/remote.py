"""Starts, observes and cancels one task instance's work at its remote, over the connection's hook."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from airflow.providers.common.compat.sdk import AirflowFailException

from airflow_provider_taskwatch.core.error import StrangerError, TaskWatchError
from airflow_provider_taskwatch.core.run import Run
from airflow_provider_taskwatch.core.single_poll import check_own, latest
from airflow_provider_taskwatch.core.system import Effect
from airflow_provider_taskwatch.core.text import shown_ref
from airflow_provider_taskwatch.core.wire import Call

if TYPE_CHECKING:
    from airflow_provider_taskwatch.core.flow import Flow
    from airflow_provider_taskwatch.core.phase import Observation
    from airflow_provider_taskwatch.core.record import Record, Started
    from airflow_provider_taskwatch.core.system import System
    from airflow_provider_taskwatch.hooks.taskwatch import SystemHook

    from .job import Work


class Remote:
    """The remote of one task instance.

    :param work: what is started. Its hook is imported on first use: an early kill needs none.
    :param log: the log of the task.
    """

    def __init__(self, work: Work, log: Any) -> None:
        self.work = work
        self._log = log
        self.record: Record | None = None
        """The start that this attempt waits for, as soon as its ref is known."""
        self.ref: str | None = None
        """What runs: the ref of the start, or of its restart where one is followed."""
        self.is_unwanted = False
        """Whether a user, or a timeout, has ended the task."""

    @property
    def hook(self) -> SystemHook:
        return self.work.hook

    @property
    def system(self) -> System:
        return self.work.system

    def run(self, flow: Flow[Any]) -> Any:
        """Run a flow on this worker."""
        return self.hook.run(flow)

    def check_wanted(self) -> None:
        """Raise :class:`AirflowFailException` where the task was ended before the ref was known."""
        if self.is_unwanted:
            raise AirflowFailException("a user ended the task while it was being started")

    def prepare(self, start_id: str) -> None:
        """Do everything but send the start, so that errors on our side come before the record is written."""
        _ = self.hook.driver
        self.work.prepare()
        flow = self.work.start_flow(start_id)
        next(flow, None)
        flow.close()
        self.hook.settings.page(self.system.page(start_id))

    def start(self, start_id: str, claim: Callable[[], None]) -> Started:
        """Send the start.

        :param claim: called before the start is sent once more, after a 429, say. A worker whose supervisor died lives
            on while it pauses. Airflow refuses its claim as soon as the next attempt is due, which would not find what
            this worker sends later.
        :raises TaskWatchError: see :meth:`~..core.system.System.was_refused`.
        """
        return self._sent(self.work.start_flow(start_id), claim)

    def _sent(self, flow: Flow[Started], claim: Callable[[], None]) -> Started:
        started: Started = self.hook.driver.run(_claiming(flow, claim))
        return started

    def replay(self, record: Record, claim: Callable[[], None]) -> Started | None:
        """Send an earlier start once more; None where a repeat might start a second task."""
        flow = self.work.replay_flow(record)
        if flow is None:
            return None
        claim()
        return self._sent(flow, claim)

    def options_of(self, record: Record | None) -> dict[str, Any]:
        """The options of a wait."""
        return self.work.options_of(record)

    def system_of(self, record: Record) -> System:
        """The remote as an earlier start sees it, whose inputs may be others."""
        return self.work.system_of(record)

    def observe(self, ref: str, record: Record | None) -> Observation | None:
        """A reading of what was started, or of its restart where one is followed; None where the remote does not say.

        :raises StrangerError: where the ref belongs to another start.
        """
        try:
            return self.hook.run(latest(self.system, ref, self.options_of(record)))
        except StrangerError:
            raise
        except TaskWatchError:
            return None

    def check_own(self, ref: str, options: dict[str, Any]) -> None:
        """Raise :class:`StrangerError` where the ref belongs to another start. Without an answer it counts as ours."""
        try:
            seen = self.hook.run(self.system.for_wait(options).observe(ref))
        except TaskWatchError:
            return
        check_own(self.system, seen, options)

    def cancel(self, ref: str, *, fresh: bool = False) -> bool:
        """Cancel, and log what came of it; a failure is not raised.

        :param fresh: over a connection of its own, as the usual one may be in use by the code that was interrupted.
        :return: whether nothing is left to do. False: it failed, or the remote does not know the ref (yet).
        """
        from airflow_provider_taskwatch.drive.blocking import BlockingDriver

        system = self.system
        if not system.can_cancel:
            self._log.warning("%s %s goes on: %s has no way to cancel it", system.noun, shown_ref(ref), system.name)
            return True
        driver = BlockingDriver(self.hook.settings) if fresh else self.hook.driver
        try:
            effect = driver.run(system.cancel(ref, self.work.options("")))
        except TaskWatchError as error:
            self._log.warning("%s %s could not be cancelled and may go on: %s", system.noun, shown_ref(ref), error)
            return False
        self._log.info("%s %s %s", system.noun, shown_ref(ref), effect)
        return effect is not Effect.UNKNOWN


def _claiming(flow: Flow[Started], claim: Callable[[], None]) -> Flow[Started]:
    """The flow, with a claim before each start that is sent once more."""
    run, sent = Run(flow), 0
    while not run.is_over:
        step = run.step
        if isinstance(step, Call) and not step.is_repeatable:
            if sent:
                claim()
            sent += 1
        with run.answering() as answer:
            answer.value = yield step
    return run.result
