"""What an outcome means for an Airflow task: a result with a place to go to, a skip, or an exception."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from typing import Any, ClassVar

from airflow.providers.common.compat.sdk import AirflowException, AirflowFailException, AirflowSkipException

from airflow_provider_taskwatch.core.check import Check, text_or_empty
from airflow_provider_taskwatch.core.outcome import MOVED, Ending, Outcome
from airflow_provider_taskwatch.core.text import Bounded, safe


class RemoteTaskFailed(AirflowException):
    """The remote task ended badly; the message holds the remote's own words."""


class WaitFailed(AirflowException):
    """The wait ended before the remote task did: a refusal, a blocked task, an unknown status."""


class WaitTimedOut(WaitFailed):
    """The wait's deadline has passed."""


class WaitMoved(WaitFailed, AirflowFailException):
    """The connection leads elsewhere than where the wait began. There is no retry: it would read another task."""


def result_of(outcome: Outcome, *, on_skipped: str = "succeed") -> dict[str, Any]:
    """The XCom of a good outcome; any other raises.

    :param on_skipped: what an end without work means: ``succeed``, ``skip`` or ``fail``.
    """
    if outcome.ending is Ending.SUCCEEDED:
        return dict(outcome.result)
    if outcome.ending is Ending.SKIPPED and on_skipped == "succeed":
        return dict(outcome.result)
    if outcome.ending is Ending.SKIPPED and on_skipped == "skip":
        raise AirflowSkipException(outcome.message)
    if outcome.ending is Ending.TIMED_OUT:
        raise WaitTimedOut(outcome.message)
    if outcome.ending.is_of_remote:
        raise RemoteTaskFailed(outcome.message)
    if outcome.ending is Ending.REFUSED and outcome.status == MOVED:
        raise WaitMoved(outcome.message)
    raise WaitFailed(outcome.message)


class OutputMixin:
    """Has an ``output_path``. The class that it is mixed into takes it, and documents it."""

    output_path: str
    log: Any

    argument_checks: ClassVar[Mapping[str, Check]] = {"output_path": text_or_empty}

    def check_output(self) -> None:
        """Check the rendered ``output_path``, where there is one."""
        if self.output_path:
            from .output import Output

            Output(self.output_path).check()

    def delivered(self, kept: Bounded, whole: Callable[[], Any]) -> dict[str, Any]:
        """The XCom. With an ``output_path`` the whole result is written there first, and the XCom names the address.

        :param kept: what an XCom has room for.
        :param whole: returns the whole result.
        """
        if not self.output_path:
            if kept.loss:
                self.log.warning("the result is too long for an XCom: %s; set output_path= to get all of it", kept.loss)
            return dict(kept.value)
        from .output import Output

        path = Output(self.output_path).write([f"{json.dumps(safe(whole()))}\n"])
        self.log.info("the whole result was written to %s", path)
        return {**kept.value, "output_path": path}
