"""What every trigger with a deadline does: it goes by the clock of the worker that has set it."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

from airflow_provider_taskwatch.core.clock import rests_on_clock
from airflow_provider_taskwatch.core.outcome import Outcome


class WorkerClock:
    """The time, as far as a trigger knows that of its worker. The class that it is mixed into has the arguments."""

    deadline: str | None
    ahead_seconds: float

    def serialize(self) -> tuple[str, dict[str, Any]]:
        """Airflow's."""
        raise NotImplementedError

    def _told(self, outcome: Outcome) -> dict[str, Any]:
        """The event of an outcome; one that rests on a clock lets the worker go on with the wait if its own differs."""
        told = outcome.to_event()
        return told | {"at": self._now().isoformat(), "wait": self.serialize()[1]} if rests_on_clock(outcome) else told

    def _seconds_left(self) -> float | None:
        if self.deadline is None:
            return None
        return max(0.0, (datetime.fromisoformat(self.deadline) - self._now()).total_seconds())

    def _now(self) -> datetime:
        """The time by the clock of the worker, as far as it is known."""
        return datetime.now(UTC) - timedelta(seconds=self.ahead_seconds)
