"""What 0.1.0 has written (``v0_1_0/``) and every later version reads. The files are recordings: they never change."""

from __future__ import annotations

import json
import sqlite3
import time
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from airflow_provider_taskwatch.core.outcome import Ending, from_event
from airflow_provider_taskwatch.core.record import from_json
from airflow_provider_taskwatch.hub.canceller import unsettled
from airflow_provider_taskwatch.inbox.event import event_of
from airflow_provider_taskwatch.inbox.seal import Seal
from airflow_provider_taskwatch.inbox.store import SqlInbox
from airflow_provider_taskwatch.inbox.task_state import TaskKey
from airflow_provider_taskwatch.sandbox.server import Running
from airflow_provider_taskwatch.task.inbox_state import InboxTaskState, RunMark
from airflow_provider_taskwatch.task.job import KEY
from airflow_provider_taskwatch.triggers.watch import WatchTrigger
from tests.task.life import Life
from tests.task.quick import Acquia, AcquiaSensor, Automic, AutomicSensor

HERE = Path(__file__).parent / "v0_1_0"
WAITS: dict[str, Any] = json.loads((HERE / "waits.json").read_text())
SEAL_KEY = "xA8DTu8uHU3YQyNYqJgrhTpHnZbeylXGlPSyIBzqe0s="

STARTS: dict[str, tuple[Any, dict[str, Any]]] = {
    "acquia operator": (Acquia, {"path": "environments/1/databases", "json": {"name": "db", "source": "2"}}),
    "automic operator": (Automic, {"object_name": "JOBS.T", "callback": True, "inputs": {"DAY": "2026-01-31"}}),
}
SENSORS: dict[str, tuple[Any, dict[str, Any]]] = {
    "acquia sensor": (AcquiaSensor, {"notification_uuid": "x"}),
    "automic sensor": (AutomicSensor, {"run_id": "1"}),
}


def recorded(name: str, box: Running) -> tuple[dict[str, Any], str]:
    """A wait of 0.1.0 that began just now, for a task that the sandbox has; and the ref of that task."""
    kind, arguments = STARTS[name.replace("sensor", "operator")]
    started = Life(kind, **arguments).defer().trigger
    wait = WAITS[name]
    before = wait["trigger"][1]
    text = json.dumps(wait).replace(wait["url"], box.url).replace(before["plan"]["ref"], started.ref)
    text = text.replace(before["start_id"] or "no start", started.start_id)
    return json.loads(text.replace(before["started_at"], datetime.now(UTC).isoformat())), started.ref


@pytest.fixture
def box(connected: Running, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Running:
    monkeypatch.setenv("AIRFLOW__TASKWATCH__CALLBACK_SECRETS", "s" * 40)
    monkeypatch.setenv("AIRFLOW__TASKWATCH__CALLBACK_BASE_URL", "http://127.0.0.1:1/taskwatch")
    monkeypatch.setenv("AIRFLOW__TASKWATCH__INBOX_URL", f"sqlite:///{tmp_path}/inbox.db")
    return connected


# --- waits


@pytest.mark.parametrize("name", WAITS)
async def test_a_wait_of_0_1_0_ends_with_its_result(name: str, box: Running) -> None:
    box.sandbox.add_rule(duration=0.0)
    wait, ref = recorded(name, box)
    path, arguments = wait["trigger"]
    assert path == f"{WatchTrigger.__module__}.WatchTrigger"
    plan = arguments["plan"]
    quick = {"finish": "resume", "rhythm": {**plan["rhythm"], "limit_seconds": 0.2}}
    if plan["callback"]:
        quick["callback"] = {**plan["callback"], "poll_seconds": 0.2}
    trigger = WatchTrigger(**{**arguments, "plan": plan | quick})

    outcome = from_event((await anext(trigger.run())).payload)
    assert (outcome.ending, outcome.ref) == (Ending.SUCCEEDED, ref)
    assert trigger.serialize()[1].keys() == arguments.keys()


@pytest.mark.parametrize("name", STARTS)
def test_a_retry_of_a_task_that_0_1_0_has_deferred_rejoins(name: str, box: Running) -> None:
    box.sandbox.add_rule(duration=600.0)
    wait, ref = recorded(name, box)
    kind, arguments = STARTS[name]
    life = Life(kind, **arguments)
    life.store.kept[KEY] = json.dumps(wait["record"])
    life.max_tries, life.clear_number = wait["record"]["max_tries"], wait["record"]["clear_number"]
    life.carrier = wait["record"]["carrier"]
    life.try_number = 2

    assert life.defer().trigger.ref == ref
    assert len(box.sandbox.tasks(time.time())) == 1


# --- the inbox


@pytest.fixture
def url(tmp_path: Path) -> str:
    path = tmp_path / "recorded.db"
    with sqlite3.connect(path) as database:
        database.executescript((HERE / "inbox.sql").read_text())
    database.close()
    return f"sqlite:///{path}"


@pytest.mark.parametrize("has_task_states", [True, False])
def test_an_inbox_of_0_1_0_is_read(url: str, has_task_states: bool) -> None:
    if not has_task_states:  # as before that table was added
        with sqlite3.connect(url.removeprefix("sqlite:///")) as database:
            database.execute("DROP TABLE taskwatch_task_state")
        database.close()
    inbox = SqlInbox(url, clock=lambda: 1_800_000_000.0)

    [call] = inbox.after("automic", 0)
    assert (call.message.subject, call.message.content["status"]) == ("0123456789ab", 1900)
    assert [event_of(one.message).id for one in inbox.after("fake queue", 0)] == ["a", "b"]
    assert [one.ref for one in unsettled(inbox)] == ["1000001"]
    assert inbox.position("feed trigger mine") == "2"
    assert inbox.holders().keys() <= {"feed trigger mine"}
    assert Seal([SEAL_KEY]).open(inbox.sealed()[0].content) == b"[1]"
    assert [one.host for one in inbox.heartbeats()] == ["host"]
    assert inbox.count_task_states() == has_task_states
    inbox.close()


def test_a_record_in_an_inbox_of_0_1_0_is_read(url: str) -> None:
    inbox = SqlInbox(url)
    task = TaskKey(airflow="a1b2c3d4e5f60718", dag_id="d", run_id="r", task_id="t", map_index=3)
    mark = RunMark(run_started_at="2026-01-31T06:00:00+00:00", try_number=2, clear_number=0, carrier="")
    record = from_json(InboxTaskState(inbox, task, mark).get(KEY))

    assert record is not None
    assert record.ref == WAITS["automic operator"]["record"]["ref"]
    inbox.close()
