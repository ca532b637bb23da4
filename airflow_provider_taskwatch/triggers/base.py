"""What all triggers share: an event that is logged without its payload, and the clock of their worker."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from typing import Any

from airflow.triggers.base import TriggerEvent
from pydantic import PrivateAttr

from airflow_provider_taskwatch.core.clock import rests_on_clock
from airflow_provider_taskwatch.core.outcome import Ending, Outcome
from airflow_provider_taskwatch.core.text import safe

RESUMABLE_SECONDS = 60.0
TOLD_SECONDS = 5.0
"""A result that is held back for longer is worth a line in the log."""


class BriefEvent(TriggerEvent):
    """An event that is logged without its payload.

    Airflow 3.3.2 logs each event as it fires. The payload would show people's data there, and such long lines keep the
    triggerer's supervisor, which reads 4 kB of log at a time, from its other work.

    :param payload: JSON; Airflow's runner would end with one that it cannot encode, so it is made safe here.
    :param words: what the log says instead.
    """

    _words: str = PrivateAttr()

    def __init__(self, payload: Mapping[str, Any], *, words: str) -> None:
        super().__init__(safe(payload))  # type: ignore[no-untyped-call]
        self._words = words

    def __repr__(self) -> str:
        return f"TriggerEvent<{self._words}>"

    __str__ = __repr__


class WorkerClock:
    """The time, as far as a trigger knows that of its worker. The class that it is mixed into has the arguments."""

    ahead_seconds: float
    resumable_from: str | None
    log: Any

    def serialize(self) -> tuple[str, dict[str, Any]]:
        """Airflow's."""
        raise NotImplementedError

    @property
    def deadline_at(self) -> datetime | None:
        """When the wait ends at the latest, by the clock of the worker; None for never."""
        raise NotImplementedError

    def due(self, outcome: Outcome) -> datetime | None:
        """When an outcome that rests on a clock was due; None where the wait had no such limit."""
        return self.deadline_at if outcome.ending is Ending.TIMED_OUT else None

    def _told(self, outcome: Outcome) -> dict[str, Any]:
        """The event of an outcome; one that rests on a clock lets the worker go on with the wait if its own differs."""
        told = outcome.to_event()
        return told | {"at": self._now().isoformat(), "wait": self.serialize()[1]} if rests_on_clock(outcome) else told

    async def _until_resumable(self) -> None:
        """Wait until Airflow has noticed that the worker has let go of the task.

        No longer than the worker can have meant, as its clock may be another one.
        """
        if self.resumable_from is not None:
            left = (datetime.fromisoformat(self.resumable_from) - self._now()).total_seconds()
            await self._hold(min(max(0.0, left), RESUMABLE_SECONDS))

    async def _hold(self, seconds: float) -> None:
        if seconds > TOLD_SECONDS:
            words = (
                f"the wait is over; it is told in {seconds:.0f} s, when Airflow knows that the worker let the task go"
            )
            await asyncio.to_thread(self.log.info, words)
        await asyncio.sleep(seconds)

    def _seconds_left(self) -> float | None:
        deadline = self.deadline_at
        return None if deadline is None else max(0.0, (deadline - self._now()).total_seconds())

    def _now(self) -> datetime:
        """The time by the clock of the worker, as far as it is known."""
        return datetime.now(UTC) - timedelta(seconds=self.ahead_seconds)
