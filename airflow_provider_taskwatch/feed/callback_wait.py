"""What one wait gets from the callback that its remote was asked for: a reason to poll, and values for the result."""

from __future__ import annotations

import contextvars
from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager
from datetime import datetime

from airflow_provider_taskwatch.config.metric import count
from airflow_provider_taskwatch.core.callback import Callback, Expectation, enriched
from airflow_provider_taskwatch.core.outcome import Outcome
from airflow_provider_taskwatch.core.system import System
from airflow_provider_taskwatch.hub.wakeup import Wakeup

from .registry import listener


class CallbackWait:
    """Listens for the callbacks of one start.

    :param start_id: the id by which the inbox knows them.
    :param ref: the task that was asked for them; its restarts were not.
    :param now: the time by the clock of the worker.
    :param warn: takes a warning for the log of the task.
    """

    def __init__(
        self,
        expected: Expectation,
        *,
        start_id: str,
        ref: str,
        now: Callable[[], datetime],
        warn: Callable[[str], object],
    ) -> None:
        self.called_at = ""
        context = contextvars.copy_context()  # by which Airflow finds the log of the task
        self.wakeup = Wakeup(lambda message: context.run(warn, message), self._note_call)
        self._expected = expected
        self._start_id = start_id
        self._ref = ref
        self._now = now
        self._warn = warn
        self._is_logged = False

    def listening(self) -> AbstractContextManager[None]:
        """Lets callbacks make the wait poll."""
        return listener().listening(self._start_id, self.wakeup)

    @property
    def is_called(self) -> bool:
        return bool(self.wakeup.contents)

    def with_call(self, line: str | None) -> str | None:
        """A line for the log, after the first callback with the fact that it came."""
        if self._is_logged or not self.is_called:
            return line
        self._is_logged = True
        return f"the remote called back at {self.called_at}, and was polled: {line or 'nothing has changed'}"

    def enriched(self, outcome: Outcome, system: System, ended_at: float | None) -> Outcome:
        """The outcome with what the last callback brought; logs a warning where none came.

        :param ended_at: when the remote task ended, by its own clock.
        """
        if not outcome.ending.is_of_remote or outcome.ref != self._ref:
            return outcome
        if not self.is_called:
            self._warn_of_silence(system.noun, ended_at)
        for content in reversed(self.wakeup.contents):
            callback = system.read_callback(content, self._expected.names)
            if callback.ref in (None, outcome.ref) and isinstance(content, Mapping):
                return enriched(outcome, content, callback, self._expected.keep)
            self._warn(f"a callback is ignored: it cannot be read, or is about another {system.noun}")
        return enriched(outcome, {}, Callback(), self._expected.keep)

    def _warn_of_silence(self, noun: str, ended_at: float | None) -> None:
        count("callback.missed")
        since = "" if ended_at is None else f" {max(0.0, self._now().timestamp() - ended_at):.0f} s ago"
        self._warn(
            f"the {noun} has ended{since} and has not called back; a poll has found out: check that the remote "
            "reaches [taskwatch] callback_base_url, and what it logs about its callbacks"
        )

    def _note_call(self) -> None:
        self.called_at = f"{self._now():%Y-%m-%d %H:%M:%S} UTC"
