"""The states of task instances: compare-and-set, no retention, a check of what is old."""

from __future__ import annotations

import threading
import uuid
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

    inbox.settle_task_states(over=kept[:1], going_on=kept[1:2], seconds=-3600.0)
    assert inbox.task_state(kept[0], "record") is None
    assert inbox.unchecked_task_states("a1", -3600.0, 10) == [kept[2], kept[3], kept[1]]
    assert inbox.count_task_states() == 4


def test_a_state_that_was_written_since_it_was_due_is_not_deleted(inbox: Inbox) -> None:
    """Its task was cleared while another one pruned."""
    inbox.replace_task_state(TASK, "record", None, "1")
    inbox.settle_task_states(over=[TASK], going_on=[], seconds=3600.0)

    assert inbox.task_state(TASK, "record") == "1"


def test_what_other_airflows_keep_of_the_same_ids_is_found(inbox: Inbox) -> None:
    for other in ({}, {"airflow": "a2"}, {"airflow": "a3", "task_id": "x"}, {"airflow": "a4", "map_index": 0}):
        inbox.replace_task_state(replace(TASK, **other), "record", None, "1")
    inbox.replace_task_state(replace(TASK, airflow="a5"), "memory", None, "1")

    assert inbox.task_states_elsewhere(TASK, "record") == {"a2": "1"}


@pytest.mark.parametrize("letter", ["x", "\u00e9", "\u65e5"])
def test_the_longest_ids_of_airflow_are_kept(inbox: Inbox, letter: str) -> None:
    """PostgreSQL's index takes 2,704 bytes."""
    ids = [letter * 240 + str(uuid.uuid4())[:10] for _ in range(3)]
    task = TaskKey(airflow="0123456789abcdef", dag_id=ids[0], run_id=ids[1], task_id=ids[2], map_index=1023)

    assert inbox.replace_task_state(task, "taskwatch_start", None, "1")
    assert inbox.task_state(task, "taskwatch_start") == "1"
