"""The states of task instances: compare-and-set, no retention, a check of what is old."""

from __future__ import annotations

import threading
from dataclasses import replace

import pytest

from airflow_provider_taskwatch.inbox.protocol import Inbox
from airflow_provider_taskwatch.inbox.task_state import TaskKey
from tests.inbox.test_contract import SIGNAL

TASK = TaskKey(airflow="a1", dag_id="d", run_id="r", task_id="t")


def test_a_state_is_read_as_it_was_written(inbox: Inbox) -> None:
    assert inbox.task_state(TASK, "record") is None
    assert inbox.replace_task_state(TASK, "record", None, '{"text": "\u00e9 \u20ac"}')

    assert inbox.task_state(TASK, "record") == '{"text": "\u00e9 \u20ac"}'
    assert inbox.task_state(TASK, "other") is None


@pytest.mark.parametrize(
    "other", [{"airflow": "a2"}, {"dag_id": "x"}, {"run_id": "x"}, {"task_id": "x"}, {"map_index": 0}]
)
def test_a_state_belongs_to_one_task_instance_of_one_airflow(inbox: Inbox, other: dict[str, object]) -> None:
    inbox.replace_task_state(TASK, "record", None, "1")

    assert inbox.task_state(replace(TASK, **other), "record") is None


def test_a_write_that_rests_on_an_old_content_changes_nothing(inbox: Inbox) -> None:
    inbox.replace_task_state(TASK, "record", None, "1")

    assert not inbox.replace_task_state(TASK, "record", None, "2")
    assert not inbox.replace_task_state(TASK, "record", "0", "2")
    assert not inbox.replace_task_state(TASK, "record", "0", None)
    assert inbox.task_state(TASK, "record") == "1"
    assert inbox.replace_task_state(TASK, "record", "1", "2")
    assert inbox.task_state(TASK, "record") == "2"


def test_a_repeated_write_is_no_conflict(inbox: Inbox) -> None:
    """A commit whose reply was lost is sent once more."""
    assert inbox.replace_task_state(TASK, "record", None, "1")
    assert inbox.replace_task_state(TASK, "record", None, "1")
    assert inbox.replace_task_state(TASK, "record", "1", None)
    assert inbox.replace_task_state(TASK, "record", "1", None)
    assert inbox.task_state(TASK, "record") is None


def test_of_several_writers_at_once_one_wins(inbox: Inbox) -> None:
    inbox.replace_task_state(TASK, "record", None, "0")
    won: list[str] = []
    ready = threading.Barrier(4)

    def write(mine: str) -> None:
        ready.wait()
        if inbox.replace_task_state(TASK, "record", "0", mine):
            won.append(mine)

    threads = [threading.Thread(target=write, args=(str(number),)) for number in range(1, 5)]
    for one in threads:
        one.start()
    for one in threads:
        one.join()

    assert [inbox.task_state(TASK, "record")] == won


def test_of_several_first_writers_at_once_one_wins(inbox: Inbox) -> None:
    inbox.task_state(TASK, "record")
    won: list[str] = []
    ready = threading.Barrier(4)

    def write(mine: str) -> None:
        ready.wait()
        if inbox.replace_task_state(TASK, "record", None, mine):
            won.append(mine)

    threads = [threading.Thread(target=write, args=(str(number),)) for number in range(1, 5)]
    for one in threads:
        one.start()
    for one in threads:
        one.join()

    assert [inbox.task_state(TASK, "record")] == won


def test_the_retention_of_messages_does_not_touch_states(inbox: Inbox) -> None:
    inbox.add([SIGNAL])
    inbox.replace_task_state(TASK, "record", None, "1")

    assert inbox.prune(before=1e12, limit=100) == 1
    assert inbox.task_state(TASK, "record") == "1"


def test_old_states_are_named_once_until_they_are_settled(inbox: Inbox) -> None:
    kept = [replace(TASK, task_id=f"t{number}") for number in range(4)]
    for one in kept:
        inbox.replace_task_state(one, "record", None, "1")
        inbox.replace_task_state(one, "memory", None, "1")
    inbox.replace_task_state(replace(TASK, airflow="a2"), "record", None, "1")
    assert inbox.count_task_states() == 5

    assert inbox.unchecked_task_states("a1", 3600.0, 10) == []
    assert inbox.unchecked_task_states("a1", -3600.0, 10) == kept
    assert inbox.unchecked_task_states("a1", -3600.0, 2) == kept[:2]

    inbox.settle_task_states(over=kept[:1], going_on=kept[1:2])
    assert inbox.task_state(kept[0], "record") is None
    assert inbox.unchecked_task_states("a1", -3600.0, 10) == [kept[2], kept[3], kept[1]]
    assert inbox.count_task_states() == 4
