"""The driver of workers and the command line: runs flows over ``requests`` and blocks."""

from __future__ import annotations

import logging
import random
import time
from collections.abc import Callable
from dataclasses import replace
from typing import TypeVar

import requests

from airflow_provider_taskwatch.core.error import DeadlineError, TaskWatchError
from airflow_provider_taskwatch.core.flow import Flow, one_step
from airflow_provider_taskwatch.core.limit import hold_seconds, repeated
from airflow_provider_taskwatch.core.outcome import Ending, Outcome
from airflow_provider_taskwatch.core.phase import Observation
from airflow_provider_taskwatch.core.plan import Plan
from airflow_provider_taskwatch.core.run import Run
from airflow_provider_taskwatch.core.settings import Settings
from airflow_provider_taskwatch.core.sign import Sign, rejects_token, signed
from airflow_provider_taskwatch.core.system import System
from airflow_provider_taskwatch.core.watch import Poll, PollResult, expire, next_poll, watch
from airflow_provider_taskwatch.core.wire import Call, Pause, Reply

from .credential import Credential, credential_for
from .exchange import mask_secrets
from .requests_session import bounded, exchange

T = TypeVar("T")

log = logging.getLogger(__name__)


class BlockingDriver:
    """Runs flows for one connection.

    After a 429 with ``Retry-After``, calls of the same quota (:attr:`~..core.wire.Call.quota`) are not sent before that
    time. They get the same refusal again, and flows retry it like any other.

    :param sleep: called with the seconds of each pause.
    :param clock: monotonic seconds.
    :param warn: called with a sentence for each failure that is retried.
    """

    def __init__(
        self,
        settings: Settings,
        credential: Credential | None = None,
        *,
        sleep: Callable[[float], None] = time.sleep,
        clock: Callable[[], float] = time.monotonic,
        warn: Callable[[str], object] = log.warning,
    ) -> None:
        self._warn = warn
        self._settings = settings
        self.credential = credential or credential_for(settings)
        self._is_rejected = rejects_token(settings.reject_403, settings.expired)
        self._sleep = sleep
        self._clock = clock
        self._refusals: dict[str, tuple[Reply, float]] = {}
        """The last 429 of each quota, and the time until which it is valid."""
        self._session = bounded(requests.Session(), settings)
        # Without an authentication of its own, requests lets a ~/.netrc replace the Authorization header.
        self._session.auth = lambda request: request

    def run(self, flow: Flow[T]) -> T:
        """The result of a flow. Its errors are raised."""
        run = Run(signed(flow, self._is_rejected))
        while not run.is_over:
            with run.answering() as answer:
                try:
                    answer.value = self._answer(run.step)
                except TaskWatchError as error:
                    mask_secrets(error, self._settings)
                    raise
        return run.result

    def close(self) -> None:
        self._session.close()

    def _answer(self, step: Sign | Call | Pause) -> Call | Reply | None:
        if isinstance(step, Call):
            return self._exchange(step)
        if isinstance(step, Sign):
            return self.credential.sign(step.call, step.refused)
        if step.warning:
            self._warn(step.warning)
        self._sleep(step.seconds * (1 + step.spread * random.random()))  # noqa: S311 - not for secrets
        return None

    def _exchange(self, call: Call) -> Reply:
        if call.origin:
            return exchange(self._session, self._settings, call)  # another host says nothing of this one
        for quota in {"", call.quota} & self._refusals.keys():
            refusal, until = self._refusals[quota]
            if (left := until - self._clock()) > 0:
                return repeated(refusal, left)
        reply = exchange(self._session, self._settings, call)
        if reply.status == 429 and (seconds := hold_seconds(reply, failures=0)):
            self._refusals[call.quota] = reply, self._clock() + seconds
        return reply


def wait(
    driver: BlockingDriver,
    system: System,
    plan: Plan,
    *,
    age: float = 0.0,
    report: Callable[[Observation | TaskWatchError, Poll | None], None] = lambda _content, _then: None,
    moved: Callable[[str], object] = lambda _ref: None,
    sleep: Callable[[float], None] = time.sleep,
    clock: Callable[[], float] = time.monotonic,
) -> Outcome:
    """Waits in the present thread, with sleeps between the polls.

    :param age: seconds since the wait began.
    :param report: called with each observation or error, and with the next poll; None where no poll comes next.
    :param moved: called with the new ref where the task goes on under another one.
    """
    born, system = clock() - age, system.for_wait(plan.options)
    while True:
        outcome = _waited(driver, system, plan, born, report, sleep, clock)
        if outcome.ending is not Ending.CONTINUES:
            return outcome
        moved(outcome.ref)
        plan = replace(plan, ref=outcome.ref)


def _waited(
    driver: BlockingDriver,
    system: System,
    plan: Plan,
    born: float,
    report: Callable[[Observation | TaskWatchError, Poll | None], None],
    sleep: Callable[[float], None],
    clock: Callable[[], float],
) -> Outcome:
    """The outcome of one stage; see :func:`wait`."""
    run = Run(watch(system, plan, clock() - born))
    while not run.is_over:
        step = run.step
        if not isinstance(step, Poll):
            with run.answering() as answer:
                answer.value = driver.run(one_step(step))
        elif plan.ends_at is not None and clock() - born + step.after > plan.ends_at:
            expire(run, DeadlineError(f"{plan.ends_at:.0f} s after its start"))
        else:
            sleep(step.after)
            result = poll(driver, system, step.ref, clock() - born)
            run.send(result)
            report(result.content, next_poll(run))
    return run.result


def poll(driver: BlockingDriver, system: System, ref: str, age: float) -> PollResult:
    """Polls a ref now."""
    try:
        return PollResult(age=age, observation=driver.run(system.observe(ref)))
    except TaskWatchError as error:
        return PollResult(age=age, error=error)
