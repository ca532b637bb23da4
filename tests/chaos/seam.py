"""The package's operators with places where their worker dies, and the plain ones of the control group."""

from __future__ import annotations

import os
import signal
import time
from datetime import timedelta
from pathlib import Path
from typing import Any, cast

from airflow.providers.standard.triggers.temporal import TimeDeltaTrigger
from airflow.sdk import BaseOperator, Context

from airflow_provider_taskwatch.compat.task_state import TaskState
from airflow_provider_taskwatch.operators.acquia import AcquiaTaskOperator
from airflow_provider_taskwatch.operators.automic import AutomicExecutionOperator
from airflow_provider_taskwatch.operators.rest import RestTaskOperator
from airflow_provider_taskwatch.task.operator import StartOperator
from tests.chaos import plan
from tests.chaos.ledger import Ledger, is_airflow
from tests.chaos.plan import Job, Point, Victim

FOLDER = Path(os.environ["CHAOS_FOLDER"])
JOBS = plan.read(FOLDER / "jobs.json")

_ledger = Ledger(FOLDER / "ledger")
_by_name = {job.name: job for job in JOBS}


def host_name() -> str:
    """The name of this host in Airflow's tables: the component that runs here."""
    return os.environ.get("CHAOS_COMPONENT", "worker")


def die(job: Job, point: Point, attempt: int) -> None:
    """Kill the job's worker if this is its point, once; a task whose supervisor was killed goes on."""
    victim = os.getpid() if job.victim == Victim.TASK else os.getppid()
    if job.point != point or not is_airflow(victim) or not _ledger.claim(job.name.replace("/", ".")):
        return
    _ledger.note(job.name, "kill", attempt)
    os.kill(victim, signal.SIGKILL)


class Mortal(StartOperator):
    """An operator of the package whose worker dies where its job says."""

    look_up_seconds = 6.0
    look_up_interval_seconds = 2.0

    _context: Any = None

    def job_name(self) -> str:
        raise NotImplementedError

    def execute(self, context: Context) -> Any:
        self._context = context
        _ledger.note(self.job_name(), "execute", self._attempt)
        store = _MortalStore(context["task_state_store"], self)
        return super().execute(cast("Context", {**context, "task_state_store": store}))

    def execute_complete(self, context: Context, event: Any = None) -> Any:
        self._context = context
        _ledger.note(self.job_name(), "resume", self._attempt)
        self.die(Point.RESUMED)
        return super().execute_complete(context, event)

    def defer(self, **arguments: Any) -> Any:
        self.die(Point.STORED)
        _ledger.note(self.job_name(), "defer", self._attempt)
        super().defer(**arguments)

    def die(self, point: Point) -> None:
        die(_by_name[self.job_name()], point, self._attempt)

    def _wait_here(self, *arguments: Any) -> Any:
        self.die(Point.STORED)
        return super()._wait_here(*arguments)

    def _finish(self, *arguments: Any) -> Any:
        result = super()._finish(*arguments)
        self.die(Point.FINISHED)
        return result

    @property
    def _attempt(self) -> int:
        return int(self._context["ti"].try_number)


class _MortalStore:
    """Airflow's task state store of a worker that dies before or after a record is kept."""

    def __init__(self, store: TaskState, operator: Mortal) -> None:
        self._store = store
        self._operator = operator
        self.get, self.delete = store.get, store.delete

    def set(self, key: str, value: Any, *, retention: Any = None) -> None:
        if value["ref"] is not None and not value["is_delivered"]:
            self._operator.die(Point.REPLIED)
        self._store.set(key, value, retention=retention)
        if value["ref"] is None:
            self._operator.die(Point.INTENDED)


class MortalAutomic(Mortal, AutomicExecutionOperator):
    """An Automic execution."""

    def job_name(self) -> str:
        return self.object_name


class MortalAcquia(Mortal, AcquiaTaskOperator):
    """A task on Acquia Cloud."""

    def job_name(self) -> str:
        return self.path


class MortalRest(Mortal, RestTaskOperator):
    """A task at a REST API."""

    def job_name(self) -> str:
        return f"teams/{self.given_inputs['team']}/jobs"


class PlainStart(BaseOperator):
    """An operator without the package: a request, a deferral for the duration of the work, a result."""

    template_fields = ("object_name",)

    def __init__(self, *, object_name: str, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.object_name = object_name

    def execute(self, context: Context) -> None:
        import requests

        job, attempt = _by_name[self.object_name], context["ti"].try_number
        _ledger.note(job.name, "execute", attempt)
        die(job, Point.INTENDED, attempt)
        url = os.environ["CHAOS_AUTOMIC"]
        login = ("100/WORKER/CHAOS", os.environ["CHAOS_PASSWORD"])
        requests.post(url, json={"object_name": job.name}, auth=login, timeout=30).raise_for_status()
        die(job, Point.REPLIED, attempt)
        self.defer(trigger=TimeDeltaTrigger(timedelta(seconds=job.seconds)), method_name="resume")

    def resume(self, context: Context, event: Any = None) -> str:
        """Run when the time is over."""
        job, attempt = _by_name[self.object_name], context["ti"].try_number
        _ledger.note(job.name, "resume", attempt)
        die(job, Point.RESUMED, attempt)
        return job.name


def plain_function(name: str) -> str:
    """The other one of the control group."""
    time.sleep(_by_name[name].seconds / 4)
    return name
