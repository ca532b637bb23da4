"""Collects the evidence of a run for the books."""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Mapping
from typing import Any

from airflow_provider_taskwatch.sandbox.automic.remote import PASSWORD
from tests.chaos.book import Ended, Evidence, Execution, Request
from tests.chaos.plan import RESTS, UNMARKED, Job
from tests.chaos.run import Run
from tests.chaos.stage import TRIGGERERS


def gather(run: Run, retry_after: float) -> Evidence:
    """The evidence of a run that is over."""
    stage = run.stage
    names = {job.name: job for job in stage.jobs}
    return Evidence(
        jobs=stage.jobs,
        executions=[_execution(task, name) for task in stage.tasks() if (name := _job_name(task, names))],
        ended={job.name: _ended(run, job) for job in stage.jobs},
        user_acts=run.user_acts,
        entries=stage.ledger.read(),
        requests=[_request(entry) for entry in stage.box.sandbox.log()],
        retry_after=retry_after,
        faults={fault.name: run.played[fault.name] for fault in run.faults},
    )


def _job_name(task: Mapping[str, Any], names: Mapping[str, Job]) -> str | None:
    """The job of an execution: for Automic by the object, else by the path."""
    path = str(task["path"]).removeprefix("/api").removeprefix("/")
    return next((name for name in (task["name"], path) if name in names), None)


def _execution(task: Mapping[str, Any], name: str) -> Execution:
    return Execution(
        job=name,
        ref=task["ref"],
        phase=task["phase"],
        started_at=task["started_at"],
        ended_at=task["ended_at"],
        is_cancelled=task["cancelled"],
    )


def _ended(run: Run, job: Job) -> Ended:
    instance = run.instances.get(job.name)
    if instance is None:
        return Ended(state=None, tries=0)
    is_read = job.kind in UNMARKED and instance.state == "failed"
    return Ended(state=instance.state, tries=instance.try_number, log=run.stage.task_log(job) if is_read else "")


def _request(entry: Mapping[str, Any]) -> Request:
    return Request(
        system=entry["system"],
        process=_process(entry),
        at=entry["at"],
        status=entry["status"],
        what=f"{entry['method']} {entry['path']}",
    )


def _process(entry: Mapping[str, Any]) -> str:
    """The process that sent a request.

    Each triggerer logs in with an account of its own at Automic, and every process fetches tokens of its own at Acquia
    and at the REST APIs. The rest is of workers, or asks for a token: there one process has one connection.
    """
    if entry["token_id"] in _TRIGGERERS:
        return _TRIGGERERS[entry["token_id"]]
    if entry["system"] in ("acquia", *RESTS) and entry["token_id"] and entry["endpoint"] == "api":
        return f"holder of token {entry['token_id']}"
    return f"process at {entry['client']}"


def _token_id(login: str) -> str:
    header = "Basic " + base64.b64encode(f"{login}:{PASSWORD}".encode()).decode()
    return hashlib.sha256(header.encode()).hexdigest()[:8]


_TRIGGERERS = {_token_id(f"100/{name.upper()}/CHAOS"): name for name in TRIGGERERS}
