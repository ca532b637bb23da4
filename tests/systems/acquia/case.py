"""Acquia Cloud in the contract of systems."""

from __future__ import annotations

from airflow_provider_taskwatch.core.connection import RawConnection, read_connection
from airflow_provider_taskwatch.core.phase import Phase
from airflow_provider_taskwatch.systems.acquia.form import FORM
from airflow_provider_taskwatch.systems.acquia.system import Acquia, from_settings
from tests.play import reply
from tests.systems.contract import StartCase, SystemCase

UUID = "1111111-7777-4444-aaaa-555555555555"
LINK = f"https://cloud.acquia.dev/api/notifications/{UUID}"
START_REPLY = {
    "message": "Deploying artifact.",
    "_links": {"self": {"href": "/environments/1-a/artifacts"}, "notification": {"href": LINK}},
}
NOTIFICATION = {
    "uuid": UUID,
    "event": "DatabaseBackupCreated",
    "label": "Database backup created",
    "description": "A backup was created.",
    "created_at": "2026-01-31T06:00:00+00:00",
    "completed_at": "2026-01-31T06:01:30.123456789+00:00",
    "status": "completed",
    "progress": 100,
    "context": {
        "author": {"uuid": "a-1", "actual_uuid": "a-1"},
        "user": {"uuids": ["u-1"]},
        "application": {"uuids": ["app-1"]},
        "environment": {"ids": ["1-a"]},
        "database": {"names": ["one"]},
        "organization": {"uuid": "org-1"},
        "team": {"new_name": "Ours"},
    },
    "_embedded": {"author": {"mail": "someone@example.com"}},
}

SYSTEM = SystemCase(
    make=from_settings,
    settings=read_connection(FORM, RawConnection(conn_id="c", conn_type="acquia", login="key", password="secret")),
    ref=UUID,
    spellings=[f'"{UUID}"', f" '{UUID}' "],
    not_refs=[LINK],
    content=NOTIFICATION,
    states=[
        ({"status": "in-progress"}, Phase.RUNNING),
        ({"status": "in_progress"}, Phase.RUNNING),
        ({"status": " In Progress ", "progress": 100}, Phase.RUNNING),
        ({"status": "started"}, Phase.RUNNING),
        ({"status": "completed"}, Phase.SUCCEEDED),
        ({"status": "Succeeded"}, Phase.SUCCEEDED),
        ({"status": "complete"}, Phase.SUCCEEDED),
        ({"status": "failed"}, Phase.FAILED),
        ({"status": "error"}, Phase.FAILED),
    ],
    unknown=[
        ({"status": "paused"}, "paused"),
        ({"status": "on hold"}, "on hold"),
        ({"status": ""}, ""),
        ({"status": None}, ""),
        ({"status": 5}, "5"),
    ],
    absent=[[reply(404, {"error": "not_found", "message": "The resource does not exist."})]],
    people=["author", "user", "embedded_author"],
    starting=StartCase(
        start=lambda: Acquia().start("POST", "environments/1-a/x"),
        reply=reply(202, START_REPLY),
        members=["notification", "_links", "notification_id"],
        unnamed=[reply(202, {}), reply(202, {"notification": 5})],
    ),
    probe=[reply(200, {"uuid": "me"})],
)
