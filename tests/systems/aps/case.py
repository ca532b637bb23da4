"""The APS Notification Manager in the contract of systems."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from airflow_provider_taskwatch.core.connection import RawConnection, read_connection
from airflow_provider_taskwatch.core.phase import Phase
from airflow_provider_taskwatch.core.wire import Reply
from airflow_provider_taskwatch.systems.aps.form import FORM
from airflow_provider_taskwatch.systems.aps.system import from_settings
from tests.play import reply
from tests.systems.contract import SystemCase

ID = "9cc2a4f4-0f9e-4f5c-8a1c-1c8d7d3b5a10"


def item(ref: str, status: str = "inProgress", context: str = "", **more: Any) -> dict[str, Any]:
    return {
        "id": ref,
        "type": "activity",
        "status": status,
        "context": context,
        "message": {"message": f"Title of {ref}"},
        "created": "2026-01-31T06:00:00Z",
        "modified": "2026-01-31T06:00:00Z",
        **more,
    }


def shown(contents: Mapping[str, Mapping[str, Any]]) -> Reply:
    """What a panel shows, and the action log, in one: the platform's lists are read one after the other."""
    return reply(200, [{"inProgressActivities": [*contents.values()]}])


PEOPLE = {"userId": "u-1", "initiatorId": "u-2", "initiator": "Jane", "ipAddress": "192.0.2.1"}

SYSTEM = SystemCase(
    make=from_settings,
    settings=read_connection(
        FORM, RawConnection(conn_id="c", conn_type="aps", host="https://oa.example.com", login="key", password="s")
    ),
    ref=ID,
    spellings=[f'"{ID}"'],
    not_refs=["context=", "context= ", "context=a\nb"],
    content=item(ID, details={"message": "disk full"}, localizedMessage="Wie gezeigt", **PEOPLE),
    states=[
        ({"status": "inProgress"}, Phase.RUNNING),
        ({"status": "ready"}, Phase.SUCCEEDED),
        ({"status": "ready", "type": None}, Phase.SUCCEEDED),
        ({"status": "error"}, Phase.FAILED),
        ({"type": "warning", "status": "upcoming"}, Phase.PENDING),
        ({"type": "warning", "status": "upcomming"}, Phase.PENDING),
        ({"type": "warning", "status": "existing"}, Phase.BLOCKED),
        ({"type": "warning", "status": "existing", "resolved": True}, Phase.SUCCEEDED),
        ({"type": "warning", "status": "odd", "resolved": True}, Phase.SUCCEEDED),
    ],
    unknown=[
        ({"type": "activity", "status": "existing"}, "existing"),
        ({"type": "warning", "status": "ready"}, "ready"),
        ({"type": "announcement", "status": "notification"}, "notification"),
        ({"type": "alarm", "status": "ready"}, "ready"),
        ({"status": ""}, ""),
        ({"status": None}, ""),
    ],
    absent=[[shown({}), reply(200, [])], [reply(200, []), reply(200, [])]],
    people=["userId", "initiatorId", "initiator", "ipAddress"],
    answer=shown,
    listed=shown,
    probe=[reply(200, {"id": "channel"})],
)
