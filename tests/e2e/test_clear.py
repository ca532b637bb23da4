"""A clear is not a retry: it starts a new execution in every state of the task."""

from __future__ import annotations

import pytest

from airflow_provider_taskwatch.sandbox.sandbox import Sandbox
from demo.airflow import PrivateAirflow
from demo.wait import until
from tests.e2e.test_main_job import deferred, new_object, running_on, started


def test_clear_of_a_success_starts_anew(airflow: PrivateAirflow, sandbox: Sandbox) -> None:
    name = new_object(sandbox, duration=1.0)
    run = airflow.trigger("automic", conf={"object": name})
    assert run.wait() == "success"

    run.task("run").clear()

    run.task("run").wait_for("success", try_number=2)
    assert [one["cancelled"] for one in started(sandbox, name)] == [False, False]


def test_clear_of_a_failure_starts_anew(airflow: PrivateAirflow, sandbox: Sandbox) -> None:
    name = new_object(sandbox, duration=1.0)
    sandbox.add_rule(name, duration=1.0, outcome="failure", times=1)
    run = airflow.trigger("automic_once", conf={"object": name})
    assert run.wait() == "failed"

    run.task("run").clear()

    run.task("run").wait_for("success", try_number=2)
    assert len(started(sandbox, name)) == 2


@pytest.mark.every_airflow
def test_clear_while_deferred_cancels_the_old_execution_and_starts_anew(
    airflow: PrivateAirflow, sandbox: Sandbox
) -> None:
    name = new_object(sandbox, duration=2.0)
    sandbox.add_rule(name, duration=600.0, times=1)
    run = airflow.trigger("automic", conf={"object": name})
    deferred(run, sandbox)

    run.task("run").clear()

    run.task("run").wait_for("success", try_number=2)
    assert [one["cancelled"] for one in started(sandbox, name)] == [True, False]


def test_clear_while_deferred_leaves_the_old_execution_if_so_configured(
    airflow: PrivateAirflow, sandbox: Sandbox
) -> None:
    name = new_object(sandbox, duration=2.0)
    sandbox.add_rule(name, duration=600.0, times=1)
    run = airflow.trigger("automic_leave", conf={"object": name})
    deferred(run, sandbox)

    run.task("run").clear()

    run.task("run").wait_for("success", try_number=2)
    assert [one["cancelled"] for one in started(sandbox, name)] == [False, False]


def test_clear_while_running_on_a_worker_cancels_the_old_execution_and_starts_anew(
    airflow: PrivateAirflow, sandbox: Sandbox
) -> None:
    name = new_object(sandbox, duration=2.0)
    sandbox.add_rule(name, duration=600.0, times=1)
    run = airflow.trigger("automic_on_worker", conf={"object": name})
    running_on(sandbox, name)

    run.task("run").clear()

    run.task("run").wait_for("success", try_number=2)
    until(lambda: started(sandbox, name)[0]["cancelled"], what="the first one is cancelled")
    assert len(started(sandbox, name)) == 2
