"""Operators that read the events of a feed in batches, through the inbox."""

from __future__ import annotations

import json
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
from airflow.providers.common.compat.sdk import AirflowFailException

from airflow_provider_taskwatch.config import metric as statistic
from airflow_provider_taskwatch.config.inbox import open_inbox
from airflow_provider_taskwatch.core.error import ConfigurationError, OutputError
from airflow_provider_taskwatch.core.feed import Event
from airflow_provider_taskwatch.inbox.event import message_of
from airflow_provider_taskwatch.sandbox.acronis.topic import TENANT_TOPIC, TYPE_PREFIX
from airflow_provider_taskwatch.sandbox.server import Running
from tests.task.life import Life
from tests.task.quick import AcronisRead

WISHES: dict[str, Any] = {"topic": TENANT_TOPIC, "types": f"{TYPE_PREFIX}a.p.tenant.*", "reader": "r"}


@pytest.fixture(autouse=True)
def _inbox(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AIRFLOW__TASKWATCH__INBOX_URL", f"sqlite:///{tmp_path}/inbox.db")


def emit(box: Running, *subjects: str, kind: str = "created") -> None:
    box.sandbox.emit({"acronis": [{"type": f"a.p.tenant.{kind}", "subject": one} for one in subjects]}, time.time())


def life(**arguments: Any) -> Life:
    return Life(AcronisRead, **{**WISHES, **arguments})


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
    assert subjects(run.retry()) == ["a"]
    assert subjects(run.clear()) == ["a"]
    assert subjects(next_run(run).execute()) == ["b"]


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


def test_events_come_from_the_inbox_while_another_process_reads(box: Running, since: str) -> None:
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
    result = life(since=since, output_path=path).execute()
    assert (result["count"], result["reader"]) == (2, "r")
    lines = (tmp_path / "events.jsonl").read_text().splitlines()
    assert subjects([json.loads(line) for line in lines]) == ["a", "b"]


@pytest.mark.parametrize(
    "arguments, message",
    [
        ({"limit": 0}, "limit must be a whole number above 0, not 0"),
        ({"limit": "many"}, "limit must be a whole number above 0, not 'many'"),
        ({"since": "yesterday"}, "since='yesterday' is not a time"),
        ({"names": [""]}, "names must be a list of strings"),
        ({"topic": "tenants"}, "topic must begin with"),
        ({"on_events_lost": "ignore"}, "on_events_lost='ignore' is not one of 'continue', 'fail'"),
    ],
)
def test_a_wrong_argument_is_named(box: Running, arguments: dict[str, Any], message: str) -> None:
    with pytest.raises(ConfigurationError, match=message):
        life(**arguments).execute()


# --- one range for each run and map index


def run_named(name: str, *, map_index: int = -1, **arguments: Any) -> Life:
    made = life(**arguments)
    made.run_id, made.map_index = name, map_index
    return made


def put(*numbers: int, at: float | None = None) -> None:
    """Events in the inbox, as if a triggerer had read them, that came in now or at a moment."""
    feed = life().make().feed
    moment = time.time() if at is None else at
    events = [Event(id=str(n), name="a.p", subject=str(n), at=moment, content={}) for n in numbers]
    open_inbox().append(feed.key, [message_of(feed.key, one, moment) for one in events])


def test_a_run_that_is_cleared_gets_its_own_events_and_takes_none_from_the_runs_after_it(
    box: Running, since: str
) -> None:
    runs = [run_named(str(number), since=since) for number in range(3)]
    emit(box, "a", "b")
    assert subjects(runs[0].execute()) == ["a", "b"]
    emit(box, "c")
    assert subjects(runs[1].execute()) == ["c"]
    emit(box, "d")
    assert [subjects(one.clear()) for one in (runs[0], runs[1], runs[0])] == [["a", "b"], ["c"], ["a", "b"]]
    assert subjects(runs[2].execute()) == ["d"]
    assert [subjects(one.clear()) for one in runs] == [["a", "b"], ["c"], ["d"]]


def test_each_map_index_has_a_range_of_its_own(box: Running, since: str) -> None:
    emit(box, *map(str, range(6)))
    mapped = [run_named("r", map_index=index, since=since, limit=2) for index in range(3)]
    first = [subjects(one.execute()) for one in mapped]
    assert first == [["0", "1"], ["2", "3"], ["4", "5"]]
    assert [subjects(one.clear()) for one in reversed(mapped)] == first[::-1]


def test_a_run_that_was_empty_stays_empty(box: Running, since: str) -> None:
    run = run_named("r", since=since)
    assert run.execute() == []
    emit(box, "a")
    assert run.clear() == []
    assert subjects(run_named("s", since=since).execute()) == ["a"]


def test_a_run_that_fails_before_its_events_are_delivered_leaves_them_to_the_next_reader(
    box: Running, since: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_: object) -> None:
        raise OSError("no space is left")

    emit(box, "a")
    with monkeypatch.context() as patched:
        patched.setattr(Path, "write_bytes", full)
        with pytest.raises(OutputError, match="no space is left"):
            run_named("r", since=since, output_path=str(tmp_path / "x.jsonl")).execute()
    assert subjects(run_named("s", since=since).execute()) == ["a"]


def test_runs_at_the_same_time_share_the_events_among_them(box: Running, since: str) -> None:
    put(*range(40))
    made = [run_named(str(number), since=since, limit=5) for number in range(8)]
    tasks = [one.make() for one in made]
    with ThreadPoolExecutor(8) as threads:
        results = list(threads.map(lambda pair: pair[0].execute(pair[1].context()), zip(tasks, made, strict=True)))
    assert sorted(int(one) for each in results for one in subjects(each)) == list(range(40))
    assert [subjects(one.clear()) for one in made] == [subjects(each) for each in results]


def test_the_range_of_a_run_before_the_upgrade_is_known(box: Running, since: str) -> None:
    put(*range(5))
    run = run_named("r", since=since)
    name = f"reader r of {run.make().feed.key}"
    open_inbox().save_position(name, json.dumps({"run": "r -1", "start": 1, "end": 3}))
    assert subjects(run.execute()) == ["1", "2"]
    assert subjects(run_named("s").execute()) == ["3", "4"]


def test_a_run_whose_range_the_inbox_has_forgotten_takes_nothing_from_others(
    box: Running, since: str, capsys: pytest.CaptureFixture[str]
) -> None:
    emit(box, "a")
    old = run_named("old", since=since)
    old.execute()
    open_inbox().prune(time.time() + 1, limit=100)
    run_named("young", since=since).execute()
    emit(box, "b")
    assert old.clear() == []
    assert "1 of its events were deleted before they could be read" in capsys.readouterr().out
    assert subjects(run_named("next", since=since).execute()) == ["b"]


# --- what was deleted before it was read


DAY = 86_400.0


def prune(days: float) -> None:
    open_inbox().prune(time.time() - days * DAY, limit=10_000)


def counted(monkeypatch: pytest.MonkeyPatch) -> list[tuple[str, int]]:
    counts: list[tuple[str, int]] = []
    monkeypatch.setattr(statistic, "count", lambda name, number=1: counts.append((name, number)))
    return counts


def test_a_reader_that_comes_too_late_logs_how_many_events_it_lost(
    box: Running, since: str, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    counts = counted(monkeypatch)
    now = time.time()
    put(*range(4), at=now - 3 * DAY)
    assert len(run_named("1", since=since).execute()) == 4
    put(*range(4, 10), at=now - 2 * DAY)
    put(10, 11)
    prune(1)
    assert subjects(run_named("2").execute()) == ["10", "11"]
    [error] = [one for one in capsys.readouterr().out.splitlines() if "[error" in one]
    assert "a.p.tenant.v1.0" in error
    assert ": 6 of its events were deleted before they could be read" in error
    assert counts == [("feed.lost", 6)]
    assert run_named("3").execute() == []


def test_on_events_lost_may_fail_and_names_the_remedy(box: Running, since: str) -> None:
    run_named("1", since=since).execute()
    put(1, at=time.time() - 2 * DAY)
    prune(1)
    put(2)
    failing = run_named("2", on_events_lost="fail")
    for attempt in (failing.execute, failing.retry):
        with pytest.raises(AirflowFailException, match=r"1 of its events were deleted.*on_events_lost='continue'"):
            attempt()
    assert subjects(run_named("2").execute()) == ["2"]


def test_a_run_that_is_cleared_after_its_events_were_deleted_says_so(
    box: Running, since: str, capsys: pytest.CaptureFixture[str]
) -> None:
    put(1, 2, at=time.time() - 3 * DAY)
    put(3, at=time.time() - DAY)
    run = run_named("1", since=since)
    run.execute()
    prune(2)
    assert subjects(run.clear()) == ["3"]
    assert "2 of its events were deleted before they could be read" in capsys.readouterr().out


def test_a_new_reader_that_wants_deleted_events_says_so(
    box: Running, since: str, capsys: pytest.CaptureFixture[str]
) -> None:
    put(1, 2, at=time.time() - 3 * DAY)
    prune(1)
    assert run_named("1").execute() == []
    assert "deleted" not in capsys.readouterr().out
    assert run_named("1", reader="another", since=since).execute() == []
    assert "up to 2 of its events were deleted" in capsys.readouterr().out


def test_a_reader_of_before_the_upgrade_logs_how_many_at_most(box: Running, capsys: pytest.CaptureFixture[str]) -> None:
    put(1, 2, 3, at=time.time() - 3 * DAY)
    name = f"reader r of {life().make().feed.key}"
    open_inbox().save_position(name, json.dumps({"run": "r -1", "start": 0, "end": 1}))
    prune(1)
    assert run_named("s").execute() == []
    assert "up to 3 of its events were deleted" in capsys.readouterr().out
