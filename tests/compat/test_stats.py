"""Metrics, where each version of Airflow sets them up at another place."""

from __future__ import annotations

import os
import subprocess
import sys
from types import SimpleNamespace
from typing import Any

import pytest
from airflow.exceptions import AirflowConfigException

from airflow_provider_taskwatch.compat import stats


def test_a_wrong_setting_of_metrics_is_an_error_before_the_first_request() -> None:
    class Stats(type):
        def __getattr__(cls, name: str) -> Any:
            raise AirflowConfigException("The object could not be loaded")

    with pytest.raises(AirflowConfigException):
        stats._counter_of(Stats("Stats", (), {}))


def test_a_counter_is_looked_up_for_each_count_because_a_fork_makes_its_own() -> None:
    made_by_fork: list[str] = []
    metrics = SimpleNamespace(incr=lambda name: None)
    count = stats._counter_of(metrics)
    metrics.incr = made_by_fork.append
    count("a")

    assert made_by_fork == ["a"]


TRIGGERER = """
import sys
from unittest.mock import MagicMock

sys.modules["statsd"] = statsd = MagicMock()
client = statsd.StatsClient.return_value

from airflow.jobs import triggerer_job_runner  # imports what a triggerer has imported when it starts

{used_before}
from airflow_provider_taskwatch.config.metric import count, duration

count("polls", 3)
duration("delay", 1.5)
sent = client.incr.call_args_list + client.timing.call_args_list
print([call.args[:2] for call in sent if call.args[0].startswith("taskwatch.")])
"""
"""A process for which Airflow 3.2 sets up the metrics of its core, and not those of its Task SDK."""


@pytest.mark.process
@pytest.mark.every_airflow
@pytest.mark.parametrize(
    "used_before",
    ["", "from airflow.providers.common.compat.sdk import Stats; Stats.incr('early')"],
    ids=["first use", "used before"],
)
def test_metrics_of_a_triggerer_do_not_depend_on_what_else_is_imported(used_before: str) -> None:
    env = os.environ | {"AIRFLOW__METRICS__STATSD_ON": "True"}
    command = [sys.executable, "-W", "ignore", "-c", TRIGGERER.format(used_before=used_before)]
    ended = subprocess.run(command, env=env, capture_output=True, text=True, timeout=120, check=False)

    assert ended.returncode == 0, ended.stderr
    assert ended.stdout.splitlines()[-1] == "[('taskwatch.polls', 3), ('taskwatch.delay', 1500.0)]"
