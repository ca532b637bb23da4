"""``taskwatch adopt``: what a person says of a task's own remote task is checked before it is believed."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime
from types import SimpleNamespace
from typing import Any

import pytest

from airflow_provider_taskwatch.command.adopt import adoption, find_record
from airflow_provider_taskwatch.core.error import ConfigurationError
from airflow_provider_taskwatch.core.record import Record
from airflow_provider_taskwatch.core.start import objection
from airflow_provider_taskwatch.inbox.task_state import TaskKey
from airflow_provider_taskwatch.sandbox.server import Running
from airflow_provider_taskwatch.task.inbox_state import InboxTaskState, RunMark, next_mark
from airflow_provider_taskwatch.task.job import KEY
from tests.inbox.memory import MemoryInbox
from tests.rows import each_row
from tests.task.life import Life, Store
from tests.task.quick import Automic

RECORD = Record(start_id="0123456789ab", fingerprint="", max_tries=0, started_at="2026-01-31T06:00:00+00:00")


@pytest.fixture
def running(box: Running) -> Life:
    """A task whose execution runs."""
    box.sandbox.add_rule(duration=600.0)
    life = Life(Automic, object_name="JOBS.T")
    life.defer()
    return life


@pytest.fixture
def lost(running: Life) -> Life:
    """A task whose execution runs, and which has not heard its ref."""
    running.store.set(KEY, replace(running.open_record, ref=None).to_json())
    return running


def adopt(life: Life, ref: str, state: str | None = "failed", *, force: bool = False) -> Any:
    return adoption(life.store.get(KEY), ref, state, force=force)


def test_a_ref_that_the_remote_knows_is_adopted_and_its_state_is_shown(lost: Life) -> None:
    record, found = adopt(lost, f" 000{lost.xcoms['ref']} ")
    assert (record.ref, record.max_tries, record.id_space) == (lost.xcoms["ref"], None, "")
    assert "running" in found
    assert record.is_adopted


@each_row("ref", ["hello", "0e7a55b4-9d2c-4b53-8c1f-5b1c1d7c0b11", "1/2", "", "-1"])
@each_row("force", [False, True])
def test_what_cannot_be_an_id_of_this_remote_is_refused_in_any_case(lost: Life, ref: str, force: bool) -> None:
    with pytest.raises(ConfigurationError, match="id"):
        adopt(lost, ref, force=force)


def test_a_ref_that_the_remote_does_not_know_needs_force(lost: Life) -> None:
    with pytest.raises(ConfigurationError, match=r"knows no execution 424242; --force"):
        adopt(lost, "424242")
    record, found = adopt(lost, "424242", force=True)
    assert (record.ref, "forced" in found) == ("424242", True)


def test_a_remote_that_cannot_be_asked_needs_force(lost: Life, box: Running) -> None:
    box.sandbox.add_fault("server_error", method="GET")
    with pytest.raises(ConfigurationError, match=r"503.*--force"):
        adopt(lost, "424242")
    assert adopt(lost, "424242", force=True)[0].ref == "424242"


def test_a_connection_that_leads_elsewhere_or_nowhere_needs_force(lost: Life) -> None:
    for changes in ({"id_space": "https://elsewhere"}, {"conn_id": "nowhere"}):
        lost.store.set(KEY, replace(lost.open_record, **changes).to_json())
        with pytest.raises(ConfigurationError, match="--force"):
            adopt(lost, lost.xcoms["ref"])
        assert adopt(lost, lost.xcoms["ref"], force=True)[0].ref == lost.xcoms["ref"]


@each_row("state", ["running", "deferred", "success", "queued"])
def test_a_task_that_waits_or_has_succeeded_needs_force(running: Life, state: str) -> None:
    ref = running.open_record.ref
    with pytest.raises(ConfigurationError, match=f"the task (is|has) .*{state.removesuffix('cess')}.*--force"):
        adopt(running, str(ref), state)
    assert adopt(running, str(ref), state, force=True)[0].ref == ref


def test_a_ref_is_not_overwritten_by_another_one_without_force(running: Life, box: Running) -> None:
    other = Life(Automic, object_name="JOBS.T").defer().trigger.ref
    with pytest.raises(ConfigurationError, match=f"the task has {running.open_record.ref}, .*--force"):
        adopt(running, other)
    assert adopt(running, other, force=True)[0].ref == other


def test_a_record_of_an_earlier_version_names_no_connection_to_ask() -> None:
    record, found = adoption(RECORD.to_json(), "7", "failed", force=False)
    assert record.ref == "7"
    assert "not checked" in found


@each_row("state", ["failed", "up_for_retry", "upstream_failed", None])
def test_a_task_that_has_no_ref_and_does_nothing_may_adopt_one(state: str | None) -> None:
    assert objection(RECORD, "7", state) == ""
    assert objection(replace(RECORD, ref="7"), "7", state) == ""


# --- in the inbox, below Airflow 3.3

TASK = TaskKey(airflow="a1", dag_id="d", run_id="r", task_id="t")
FIRST = RunMark(run_started_at="2026-01-31T06:00:00+00:00", try_number=1, clear_number=0, carrier="")
TI = SimpleNamespace(
    try_number=1,
    context_carrier=None,
    dag_run=SimpleNamespace(start_date=datetime.fromisoformat(FIRST.run_started_at), clear_number=0),
)


@pytest.fixture
def inbox() -> MemoryInbox:
    """With the record of a first attempt."""
    inbox = MemoryInbox()
    InboxTaskState(inbox, TASK, FIRST).set(KEY, RECORD.to_json())
    return inbox


def test_the_next_attempt_finds_the_ref_in_the_inbox(inbox: MemoryInbox) -> None:
    place = find_record([InboxTaskState(inbox, TASK, next_mark(TI))])
    assert place is not None
    store, stored = place
    assert store.amend(KEY, adoption(stored, "7", "failed", force=False)[0].to_json())

    cleared = replace(FIRST, try_number=2, run_started_at="2026-01-31T07:00:00+00:00", clear_number=1)
    for mark in (replace(FIRST, try_number=2), cleared):
        assert InboxTaskState(inbox, TASK, mark).get(KEY)["ref"] == "7"


def test_a_record_that_a_deleted_run_has_left_is_not_adopted(inbox: MemoryInbox) -> None:
    anew = replace(FIRST, run_started_at="2026-02-01T06:00:00+00:00")
    assert find_record([InboxTaskState(inbox, TASK, anew)]) is None


def test_a_record_that_was_written_meanwhile_is_not_overwritten(inbox: MemoryInbox) -> None:
    adopting = InboxTaskState(inbox, TASK, next_mark(TI))
    assert adopting.get(KEY)
    InboxTaskState(inbox, TASK, replace(FIRST, try_number=2)).set(KEY, {"other": 1})

    assert not adopting.amend(KEY, {"mine": 1})
    assert adopting.get(KEY) == {"other": 1}


def test_airflows_store_comes_first_and_the_inbox_has_what_it_lacks(inbox: MemoryInbox, lost: Life) -> None:
    """As after an upgrade of Airflow to 3.3."""

    class Airflows(Store):
        def amend(self, key: str, value: Any) -> bool:
            self.set(key, value)
            return True

    earlier, store = InboxTaskState(inbox, TASK, next_mark(TI)), Airflows()
    assert find_record([store, earlier]) == (earlier, RECORD.to_json())
    store.set(KEY, lost.open_record.to_json())
    assert find_record([store, earlier]) == (store, lost.open_record.to_json())
