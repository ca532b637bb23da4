"""A REST API in the contract of systems: a profile with each of the parts that a system has."""

from __future__ import annotations

from typing import Any

from airflow_provider_taskwatch.core.connection import RawConnection, read_connection
from airflow_provider_taskwatch.core.phase import Phase
from airflow_provider_taskwatch.core.settings import Settings
from airflow_provider_taskwatch.core.system import Effect, System
from airflow_provider_taskwatch.systems.rest.form import FORM
from airflow_provider_taskwatch.systems.rest.reader import read_profile
from airflow_provider_taskwatch.systems.rest.system import RestRemote, RestTasks
from tests.play import reply
from tests.systems.contract import StartCase, SystemCase

PROFILE: dict[str, Any] = {
    "profile": 1,
    "name": "job",
    "noun": "job",
    "start": {"path": "/jobs", "body": {"note": "{marker}"}},
    "ref": {"from": "body.id"},
    "poll": {
        "path": "/jobs/{ref}",
        "acceptors": [{"when": "body.held", "phase": "blocked"}],
        "status": "body.state",
        "phases": {
            "pending": ["queued"],
            "running": ["running"],
            "succeeded": ["done", 7],
            "skipped": ["skipped"],
            "failed": ["failed"],
            "cancelled": ["cancelled"],
        },
        "progress": {"value": "body.percent"},
        "message": ["body.why", "body.title"],
    },
    "result": {"select": "{rows: body.rows, title: body.title}"},
    "cancel": {"method": "DELETE", "path": "/jobs/{ref}", "over": [409]},
    "find": {"path": "/jobs", "items": "body.jobs", "ref": "id", "where": {"note": {"equals": "{marker}"}}},
    "list": {"path": "/jobs?ids={refs}", "items": "body.jobs", "ref": "id"},
    "probe": {"path": "/me"},
}
SETTINGS = read_connection(
    FORM,
    RawConnection(
        conn_id="c", conn_type="taskwatch", host="https://api.example.com/v1", password="t0ken-of-us",
        extra='{"auth": "bearer"}',
    ),
)  # fmt: skip


def tasks(settings: Settings = SETTINGS, profile: dict[str, Any] | None = None, **inputs: Any) -> RestTasks:
    """The tasks of a profile."""
    return RestRemote(settings).tasks(read_profile(profile or PROFILE, "the profile"), inputs)


def make(settings: Settings) -> System:
    return tasks(settings)


SYSTEM = SystemCase(
    make=make,
    settings=SETTINGS,
    ref="7f-1",
    spellings=['"7f-1"', "'7f-1'"],
    not_refs=["https://api.example.com/v1/jobs/7f-1"],
    content={"id": "7f-1", "state": "running", "percent": 40, "why": "", "title": "nightly", "rows": 3},
    states=[
        ({"state": "queued"}, Phase.PENDING),
        ({"state": "Running"}, Phase.RUNNING),
        ({"held": True}, Phase.BLOCKED),
        ({"state": "DONE"}, Phase.SUCCEEDED),
        ({"state": 7}, Phase.SUCCEEDED),
        ({"state": "skipped"}, Phase.SKIPPED),
        ({"state": "failed"}, Phase.FAILED),
        ({"state": "cancelled"}, Phase.CANCELLED),
    ],
    unknown=[({"state": "paused"}, "paused"), ({"state": 8}, "8"), ({"state": None}, "")],
    absent=[[reply(404, {"error": "none"})]],
    listed=lambda contents: reply(200, {"jobs": list(contents.values())}),
    starting=StartCase(
        start=lambda: tasks().start("0123456789ab", "taskwatch-0123456789ab"),
        reply=reply(201, {"id": "7f-1"}),
        members=["id"],
        unnamed=[reply(202, {}), reply(202, {"id": ["a"]})],
    ),
    effects=[
        ([reply(204, "")], Effect.CANCELLED),
        ([reply(409, {"error": "over"})], Effect.ENDED),
        ([reply(404, {"error": "none"})], Effect.UNKNOWN),
    ],
    found=(
        "taskwatch-0123456789ab",
        reply(200, {"jobs": [{"id": "1", "note": "x"}, {"id": "7f-1", "note": "taskwatch-0123456789ab"}]}),
        reply(200, {"jobs": []}),
    ),
    probe=[reply(200, {"name": "us"})],
)
