"""Automic in the contract of systems."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from airflow_provider_taskwatch.core.connection import RawConnection, read_connection
from airflow_provider_taskwatch.core.phase import Phase
from airflow_provider_taskwatch.core.system import Effect
from airflow_provider_taskwatch.core.wire import Reply
from airflow_provider_taskwatch.systems.automic.form import FORM
from airflow_provider_taskwatch.systems.automic.system import Automic, from_settings
from tests.play import reply
from tests.systems.contract import StartCase, SystemCase

START_ID = "0123456789ab"
EXECUTION = {
    "run_id": 1005016,
    "name": "JOBP.EXAMPLE",
    "alias": "EXAMPLE-0123456789ab",
    "type": "JOBP",
    "status": 1550,
    "status_text": "ACTIVE",
    "runtime": 90,
    "estimated_runtime": "300",
    "start_time": "2026-01-31T06:00:00Z",
    "queue": "CLIENT_QUEUE",
    "reference_run_id": 0,
    "user": "SMITH/DEPT",
    "activator": "SMITH/DEPT",
}
UNKNOWN_RUN = reply(404, {"code": 11049, "error": "not found", "details": "no such run"})
EFFECTS = [
    (reply(200, {}), Effect.CANCELLED),
    (reply(200), Effect.CANCELLED),
    (UNKNOWN_RUN, Effect.UNKNOWN),
    (reply(403, {"code": 11191}), Effect.ENDED),
]


def listing(*entries: object, hasmore: bool = False) -> Reply:
    return reply(200, {"total": len(entries), "data": entries, "hasmore": hasmore})


def listed(contents: Mapping[str, Mapping[str, Any]]) -> Reply:
    return listing(*contents.values())


SYSTEM = SystemCase(
    make=from_settings,
    settings=read_connection(
        FORM,
        RawConnection(
            conn_id="c",
            conn_type="automic",
            host="http://ae:8088",
            login="100/U/D",
            password="p",
            extra=json.dumps({"client": "0100"}),
        ),
    ),
    ref="1005016",
    spellings=['"1005016"', "0001005016", "00000000001005016"],
    not_refs=["0", "12/..", "abc", "-5", "1.5", "9" * 30, "²"],
    content=EXECUTION,
    states=[
        ({"status": 1550}, Phase.RUNNING),
        ({"status": "1550"}, Phase.RUNNING),
        ({"status": 1685}, Phase.PENDING),
        ({"status": 1799}, Phase.PENDING),
        ({"status": 1301}, Phase.BLOCKED),
        ({"status": 1560}, Phase.BLOCKED),
        ({"status": 1900}, Phase.SUCCEEDED),
        ({"status": 1904}, Phase.SUCCEEDED),
        ({"status": 1943}, Phase.SUCCEEDED),
        ({"status": 1926}, Phase.SKIPPED),
        ({"status": 1800}, Phase.FAILED),
        ({"status": 1899}, Phase.FAILED),
        ({"status": 1850}, Phase.CANCELLED),
        ({"status": 1810}, Phase.LOST),
    ],
    unknown=[
        *(({"status": status}, str(status)) for status in ("gone", 1299, 2000, -1, True, 1900.5, "²", "9" * 5000)),
        ({"status": None}, ""),
    ],
    absent=[[UNKNOWN_RUN]],
    people=["user", "activator"],
    listed=listed,
    options={"alias": f"EXAMPLE-{START_ID}"},
    starting=StartCase(
        start=lambda: Automic(client="0100").start({"object_name": "A"}),
        reply=reply(200, {"run_id": 1005016}),
        members=["run_id", "runid"],
        unnamed=[reply(200, {}), *(reply(200, {"run_id": one}) for one in (0, "abc", None, -7, 1.5))],
    ),
    effects=[
        *(([answer], effect) for answer, effect in EFFECTS),
        ([reply(503), reply(200, {})], Effect.CANCELLED),
    ],
    found=(f"EXAMPLE-{START_ID}", listing(EXECUTION), listing()),
    probe=[reply(200), listing()],
)
