"""Counters of an Airflow that makes its metrics at their first use."""

from __future__ import annotations

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
