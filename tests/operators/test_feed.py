"""Operators that read the events of a feed in batches, through the inbox."""

from __future__ import annotations

import json
import time
from pathlib import Path
from typing import Any

import pytest

from airflow_provider_taskwatch.core.error import ConfigurationError
from airflow_provider_taskwatch.hub.inbox import open_inbox
from airflow_provider_taskwatch.operators.acronis import AcronisReadEventsOperator
from airflow_provider_taskwatch.sandbox.acronis_topic import TENANT_TOPIC, TYPE_PREFIX
from airflow_provider_taskwatch.sandbox.server import Running
from tests.operators.life import Life

WISHES: dict[str, Any] = {"topic": TENANT_TOPIC, "types": f"{TYPE_PREFIX}a.p.tenant.*", "reader": "r"}


@pytest.fixture(autouse=True)
def _inbox(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AIRFLOW__TASKWATCH__INBOX_URL", f"sqlite:///{tmp_path}/inbox.db")


def emit(box: Running, *subjects: str, kind: str = "created") -> None:
    box.sandbox.emit({"acronis": [{"type": f"a.p.tenant.{kind}", "subject": one} for one in subjects]}, time.time())


def life(**arguments: Any) -> Life:
    return Life(AcronisReadEventsOperator, **{**WISHES, **arguments})


def next_run(before: Life) -> Life:
    """The same task in the next DAG run."""
    after = Life(before.kind, **before.arguments)
    after.run_id = f"after {before.run_id}"
    return after


def subjects(events: list[dict[str, Any]]) -> list[str]:
    return [event["subject"] for event in events]


@pytest.fixture
def since() -> str:
    """A moment before the test's events."""
    return "2026-01-01T00:00:00Z"


def test_each_run_gets_what_has_come_since_the_last_one(box: Running, since: str) -> None:
    emit(box, "a", "b")
    first = life(since=since)
    assert subjects(first.execute()) == ["a", "b"]
    second = next_run(first)
    emit(box, "c")
    assert subjects(second.execute()) == ["c"]
    assert next_run(second).execute() == []


def test_a_retry_and_a_clear_get_the_same_events_again(box: Running, since: str) -> None:
    emit(box, "a")
    run = life(since=since)
    assert subjects(run.execute()) == ["a"]
    emit(box, "b")
    assert subjects(run.retry()) == ["a", "b"]
    assert next_run(run).execute() == []


def test_a_new_reader_begins_with_what_comes_from_then_on(box: Running, since: str) -> None:
    emit(box, "a")
    life(since=since).execute()
    assert life(reader="another").execute() == []


def test_what_is_beyond_the_limit_is_for_the_next_run(box: Running, since: str) -> None:
    emit(box, *map(str, range(5)))
    first = life(since=since, limit="2")
    assert subjects(first.execute()) == ["0", "1"]
    assert subjects(next_run(first).execute()) == ["2", "3"]


def test_only_what_is_wanted_counts(box: Running, since: str) -> None:
    emit(box, "a")
    emit(box, "b", kind="disabled")
    assert subjects(life(since=since, names="*.disabled.*").execute()) == ["b"]


def test_events_are_taken_from_the_inbox_while_somebody_else_reads(box: Running, since: str) -> None:
    emit(box, "a")
    first = life(since=since)
    first.execute()
    emit(box, "b")
    inbox = open_inbox()
    inbox.lease(f"pump {first.task.feed.key}", "a triggerer", 60.0)
    second = next_run(first)
    assert second.execute() == []
    inbox.release(f"pump {first.task.feed.key}", "a triggerer")
    assert subjects(next_run(second).execute()) == ["b"]


def test_events_are_written_to_object_storage(box: Running, since: str, tmp_path: Path) -> None:
    emit(box, "a", "b")
    path = f"file://{tmp_path}/events.jsonl"
    told = life(since=since, output_path=path).execute()
    assert (told["count"], told["reader"]) == (2, "r")
    lines = (tmp_path / "events.jsonl").read_text().splitlines()
    assert subjects([json.loads(line) for line in lines]) == ["a", "b"]


@pytest.mark.parametrize(
    "arguments, words",
    [
        ({"limit": 0}, "limit must be a whole number above 0, not 0"),
        ({"limit": "many"}, "limit must be a whole number above 0, not 'many'"),
        ({"since": "yesterday"}, "since='yesterday' is no time"),
        ({"names": [""]}, "names must be a list of texts"),
        ({"topic": "tenants"}, "topic must begin with"),
    ],
)
def test_a_wrong_argument_is_named(box: Running, arguments: dict[str, Any], words: str) -> None:
    with pytest.raises(ConfigurationError, match=words):
        life(**arguments).execute()
