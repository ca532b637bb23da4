"""Mapped output in a list argument: any sequence that is no text is a list.

Airflow hands it over as a ``Sequence`` that is no list (3.3.2), as a ``UserList`` is.
"""

from __future__ import annotations

import json
from collections import UserList
from dataclasses import asdict
from typing import Any

import pytest
from airflow.sdk.execution_time.lazy_sequence import LazyXComSequence

from airflow_provider_taskwatch.core.check import json_object, listed
from airflow_provider_taskwatch.core.error import ConfigurationError
from airflow_provider_taskwatch.operators.acquia import AcquiaTaskOperator
from airflow_provider_taskwatch.operators.acronis import AcronisReadEventsOperator
from airflow_provider_taskwatch.operators.automic import AutomicCallback, AutomicExecutionOperator
from airflow_provider_taskwatch.sandbox.server import Running
from airflow_provider_taskwatch.sensors.docplanner import DocplannerNotificationSensor
from airflow_provider_taskwatch.systems.acronis.subscription import feed_options
from airflow_provider_taskwatch.systems.acronis.system import Acronis
from airflow_provider_taskwatch.systems.automic.group import expand
from airflow_provider_taskwatch.systems.automic.request import execution_request
from airflow_provider_taskwatch.triggers.feed import FeedTrigger
from tests.rows import each_row
from tests.task.life import Life

MANY = UserList(["a", UserList(["b"])])
PLAIN = ["a", ["b"]]


class Output(LazyXComSequence[Any]):
    """Airflow's own class; what it would ask its supervisor for is counted."""

    def __init__(self, *items: Any) -> None:
        self._items, self.asked = items, 0

    def __len__(self) -> int:
        return len(self._items)

    def __getitem__(self, index: Any) -> Any:
        self.asked += 1
        return self._items[index]


def sent(life: Life) -> Any:
    """The body of the start that a task makes."""
    life.defer()
    return json.loads(next(life.task.start_flow("0123456789ab")).body)


def test_inputs_of_automic_take_mapped_output_and_read_it_once(box: Running) -> None:
    names = Output("x", "y")
    assert sent(Life(AutomicExecutionOperator, object_name="JOBS.T", inputs={"FILES#": names}))["inputs"] == {
        "FILES#": ["x", "y"]
    }
    assert names.asked == len(names) + 1


def test_the_body_of_acquia_takes_mapped_output(box: Running) -> None:
    body = {"name": "n", "more": {"deep": Output(MANY)}}
    assert sent(Life(AcquiaTaskOperator, path="applications/u/databases", json=body))["more"] == {"deep": [PLAIN]}


def test_a_start_with_the_same_mapped_output_is_rejoined(box: Running) -> None:
    life = Life(AutomicExecutionOperator, object_name="JOBS.T", inputs={"FILES#": UserList(["x", "y"])})
    life.defer()
    life.arguments["inputs"] = {"FILES#": Output("x", "y")}
    life.try_number += 1
    life.defer()
    assert sum(one["path"].endswith("/executions") and one["method"] == "POST" for one in box.sandbox.log()) == 1


@each_row("value, expected", [(MANY, PLAIN), ("a", ["a"]), (("a",), ["a"]), (None, None), ({"a"}, ["a"])])
def test_one_or_many_are_a_list(value: Any, expected: Any) -> None:
    assert listed("names", value) == expected


def test_what_is_no_json_is_named_with_its_argument() -> None:
    with pytest.raises(ConfigurationError, match=r"names cannot be sent as JSON: names\[0\] is of the type object"):
        listed("names", object())
    with pytest.raises(ConfigurationError, match=r"match\['a'\]\[1\] is of the type object"):
        json_object("match", {"a": UserList([1, object()])})


def test_feeds_take_mapped_output() -> None:
    types = UserList(["cti.a.p.em.event.v1.0~a.p.task.*"])
    task = AcronisReadEventsOperator(task_id="t", topic="t", types=types, subscription={"subject_types": types})
    assert feed_options(task) == {"topic": "t", "types": list(types), "subject_types": list(types)}
    assert DocplannerNotificationSensor(task_id="t", names=UserList(["x"])).event_names() == ["x"]
    trigger = FeedTrigger(name="n", conn_id="c", feed={"types": types}, names=UserList(["x"]), match={"a": 1})
    assert json.loads(json.dumps(trigger.serialize()[1])) == trigger.serialize()[1]


def test_systems_take_mapped_output() -> None:
    assert execution_request("J", inputs={"A#": UserList([1, "b"])})["inputs"] == {"A#": ["1", "b"]}
    assert expand(UserList([1900, "1901"])) == {1900, 1901}
    assert dict(next(Acronis().tasks(5, {"state": UserList(["a"])})).query)["state"] == "a"
    assert json.loads(next(Acronis().run_policy("p", UserList(["db"]))).body)["context_ids"] == ["db"]
    assert json.loads(next(Acronis().run_policy("p", "db")).body)["context_ids"] == ["db"]


def test_names_to_keep_of_a_callback_may_be_mapped_output() -> None:
    task = AutomicExecutionOperator(
        task_id="t", object_name="J", deferrable=True, callback=AutomicCallback(keep=UserList(["a"]))
    )
    expected = task.expectation()
    assert expected is not None
    assert json.dumps(asdict(expected))
