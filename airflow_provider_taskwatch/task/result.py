"""What an outcome means for an Airflow task: a result, a skip, or the exception that says what to do."""

from __future__ import annotations

from typing import Any

from airflow.sdk.exceptions import AirflowException, AirflowFailException, AirflowSkipException

from airflow_provider_taskwatch.core.outcome import MOVED, Ending, Outcome


class RemoteTaskFailed(AirflowException):
    """The remote task ended badly; the message holds the remote's own words."""


class WaitFailed(AirflowException):
    """The wait ended without an end of the remote task: refused, blocked, an unknown status."""


class WaitTimedOut(WaitFailed):
    """The wait's deadline has passed."""


class WaitMoved(WaitFailed, AirflowFailException):
    """The connection leads elsewhere than where the wait began; a retry would ask for somebody else's task there."""


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
