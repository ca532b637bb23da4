"""The harness of the end-to-end tests: a task that waits on the triggerer, and the actions of a user on it."""

from __future__ import annotations

import signal

from demo.airflow import PrivateAirflow

LONG = 600


def test_a_deferred_task_resumes_and_returns_its_result(airflow: PrivateAirflow) -> None:
    run = airflow.trigger("smoke", conf={"seconds": 1})

    assert run.wait() == "success"
    assert run.task_states() == {"wait": "success"}
    assert run.task("wait").xcom() == {"waited": 1.0}
    assert "Deferring for" in run.task("wait").log()
    assert "Resumed by" in run.task("wait").log()


def test_a_restarted_triggerer_continues_to_wait(airflow: PrivateAirflow) -> None:
    run = airflow.trigger("smoke", conf={"seconds": 4})
    run.task("wait").wait_for("deferred")

    airflow.kill("triggerer", signal.SIGKILL)
    airflow.start("triggerer")

    assert run.wait() == "success"
    assert run.task("wait").try_number == 1


def test_a_task_marked_failed_while_deferred_ends_its_run(airflow: PrivateAirflow) -> None:
    run = airflow.trigger("smoke", conf={"seconds": LONG})
    run.task("wait").wait_for("deferred")

    run.task("wait").mark("failed")

    assert run.wait() == "failed"


def test_a_task_cleared_after_its_success_runs_again(airflow: PrivateAirflow) -> None:
    run = airflow.trigger("smoke", conf={"seconds": 1})
    run.wait_for("success")

    run.task("wait").clear()

    run.task("wait").wait_for("success", try_number=2)
    assert run.wait() == "success"


def test_a_task_cleared_while_deferred_waits_anew(airflow: PrivateAirflow) -> None:
    run = airflow.trigger("smoke", conf={"seconds": LONG})
    run.task("wait").wait_for("deferred", try_number=1)

    run.task("wait").clear()

    run.task("wait").wait_for("deferred", try_number=2)
    run.task("wait").mark("success")
    assert run.wait() == "success"
