"""The common parts of triggers: an event that is logged without its payload, and the clock of the worker."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from typing import Any

from airflow.triggers.base import TriggerEvent
from pydantic import PrivateAttr

from airflow_provider_taskwatch.core.outcome import Ending, Outcome
from airflow_provider_taskwatch.core.text import safe

RESUMABLE_SECONDS = 60.0
LOGGED_SECONDS = 5.0
"""A longer delay of an event is logged."""


class BriefEvent(TriggerEvent):
    """An event that is logged without its payload.

    Airflow 3.3.2 logs each event as it fires. The payload would show people's data there. Long lines also keep the
    triggerer's supervisor, which reads 4 kB of log at a time, from its other work.

    :param payload: JSON; made safe here, because Airflow's runner ends with one that it cannot encode.
    :param summary: logged instead of the payload.
    """

    _summary: str = PrivateAttr()

    def __init__(self, payload: Mapping[str, Any], *, summary: str) -> None:
        super().__init__(safe(payload))  # type: ignore[no-untyped-call]
        self._summary = summary

    def __repr__(self) -> str:
        return f"TriggerEvent<{self._summary}>"

    __str__ = __repr__


class WorkerClock:
    """The time of the worker, as far as its trigger knows it. The class that it is mixed into has the arguments."""

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

    def _payload(self, outcome: Outcome) -> dict[str, Any]:
        """The event of an outcome; it carries the wait where that may go on: by another clock, or under another ref."""
        payload = outcome.to_event()
        if outcome.rests_on_clock or outcome.ending is Ending.CONTINUES:
            payload |= {"at": self._now().isoformat(), "wait": self.serialize()[1]}
        return payload

    async def _until_resumable(self) -> None:
        """Sleeps until Airflow knows that the worker has let go of the task; see ``resumable_from``.

        The sleep is limited, because the clock of the worker may differ.
        """
        if self.resumable_from is None:
            return
        left = (datetime.fromisoformat(self.resumable_from) - self._now()).total_seconds()
        seconds = min(max(0.0, left), RESUMABLE_SECONDS)
        if seconds > LOGGED_SECONDS:
            await asyncio.to_thread(
                self.log.info,
                f"the wait is over; the event is sent in {seconds:.0f} s, when Airflow knows that the worker let the "
                "task go",
            )
        await asyncio.sleep(seconds)

    def _seconds_left(self) -> float | None:
        deadline = self.deadline_at
        return None if deadline is None else max(0.0, (deadline - self._now()).total_seconds())

    def _now(self) -> datetime:
        return datetime.now(UTC) - timedelta(seconds=self.ahead_seconds)
