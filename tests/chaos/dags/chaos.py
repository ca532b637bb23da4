"""The one DAG of a run: each kind of job is a mapped task, in the order of the plan."""

from __future__ import annotations

import os
from datetime import timedelta
from typing import Any

from airflow.sdk import DAG, task

from airflow_provider_taskwatch.sensors.automic import AutomicExecutionSensor
from tests.chaos.plan import DEADLINE_SECONDS, RESTS, Kind, conn_id_of
from tests.chaos.seam import JOBS, MortalAcquia, MortalAutomic, MortalRest, PlainStart, plain_function

PATIENT: dict[str, Any] = {"retries": 5, "retry_delay": timedelta(seconds=float(os.environ["CHAOS_RETRY_SECONDS"]))}
QUICK: dict[str, Any] = {**PATIENT, "poll_interval": 5}


def names(kind: Kind) -> list[str]:
    """Of the jobs of one kind."""
    return [job.name for job in JOBS if job.kind is kind]


with DAG("chaos", schedule=None, max_active_tasks=64):
    MortalAutomic.partial(task_id=Kind.AUTOMIC, **QUICK).expand(object_name=names(Kind.AUTOMIC))
    MortalAutomic.partial(task_id=Kind.ON_WORKER, deferrable=False, **QUICK).expand(object_name=names(Kind.ON_WORKER))
    MortalAutomic.partial(task_id=Kind.DEADLINE, timeout=DEADLINE_SECONDS, on_timeout="cancel", **QUICK).expand(
        object_name=names(Kind.DEADLINE)
    )
    MortalAcquia.partial(task_id=Kind.ACQUIA, **QUICK).expand(path=names(Kind.ACQUIA))
    for kind in RESTS:
        MortalRest.partial(task_id=kind, conn_id=conn_id_of(kind), **QUICK).expand(
            inputs=[{"team": name.split("/")[1]} for name in names(kind)]
        )
    AutomicExecutionSensor.partial(task_id=Kind.SENSOR, timeout=3600, **QUICK).expand(
        run_id=[job.ref for job in JOBS if job.kind is Kind.SENSOR]
    )
    PlainStart.partial(task_id=Kind.PLAIN, **PATIENT).expand(object_name=names(Kind.PLAIN))
    task(task_id=Kind.PYTHON, **PATIENT)(plain_function).expand(name=names(Kind.PYTHON))
