"""A DAG that waits on the triggerer for the seconds in its run's conf, without this package."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

from airflow.providers.standard.triggers.temporal import TimeDeltaTrigger
from airflow.sdk import DAG, BaseOperator, Context


class DeferredWait(BaseOperator):
    """Defer for the number of seconds in the run's conf, then return them."""

    def execute(self, context: Context) -> None:
        """Defer the task."""
        wait = timedelta(seconds=self._seconds(context))
        self.log.info("Deferring for %s", wait)
        self.defer(trigger=TimeDeltaTrigger(wait), method_name="resume")

    def resume(self, context: Context, event: Any = None) -> dict[str, float]:
        """Run when the trigger has fired."""
        self.log.info("Resumed by %s", event)
        return {"waited": self._seconds(context)}

    def _seconds(self, context: Context) -> float:
        return float((context["dag_run"].conf or {}).get("seconds", 1))


with DAG("smoke", schedule=None):
    DeferredWait(task_id="wait")
