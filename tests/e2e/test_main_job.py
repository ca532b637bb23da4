"""The main job on a real Airflow: start a task, wait for it on the triggerer, get its result."""

from __future__ import annotations

import itertools
import os
import signal
import time
from typing import Any

import pytest

from airflow_provider_taskwatch.sandbox.sandbox import Sandbox
from demo.airflow import TASKWATCH, PrivateAirflow
from demo.api import DagRun
from demo.wait import until

_numbers = itertools.count(1)


def new_object(sandbox: Sandbox, **rule: Any) -> str:
    """The name of an Automic object that no other test starts and that follows the rule."""
    name = f"JOBS.E2E{next(_numbers)}"
    sandbox.add_rule(name, **{"duration": 3.0, **rule})
    return name


def new_path(sandbox: Sandbox, **rule: Any) -> str:
    """The same for Acquia: a path that starts work."""
    path = f"/environments/e2e-{next(_numbers)}/databases/drupal/backups"
    sandbox.add_rule(f"POST {path}", **{"duration": 3.0, **rule})
    return path


def started(sandbox: Sandbox, name: str) -> list[dict[str, Any]]:
    """The tasks that the remote has started for an object or a path."""
    return [one for one in sandbox.tasks(time.time()) if one["name"] == name or one["path"].endswith(name)]


def running_on(sandbox: Sandbox, name: str) -> dict[str, Any]:
    """The one execution of an object, once it is there."""
    return until(lambda: next(iter(started(sandbox, name)), None), what=f"{name} has started")


def deferred(run: DagRun, sandbox: Sandbox) -> None:
    """Wait until a triggerer watches the task; before that, a user's kill only deletes the trigger."""
    run.task("run").wait_for("deferred")
    ref = run.task("run").xcom("ref")
    until(
        lambda: any(one["ref"] == ref and one["method"] == "GET" for one in sandbox.log()),
        what=f"{ref} is watched",
    )


def is_cancelled(sandbox: Sandbox, name: str) -> bool:
    """Whether the first execution of an object was cancelled."""
    return bool(started(sandbox, name)[0]["cancelled"])


def reads(sandbox: Sandbox, ref: str) -> int:
    """The number of reads of an execution up to now."""
    return sum(one["ref"] == ref and one["method"] == "GET" for one in sandbox.log())


def succeed(sandbox: Sandbox, name: str) -> None:
    """End the one execution of an object with success."""
    sandbox.end(running_on(sandbox, name)["ref"], "success", time.time())


def refused(sandbox: Sandbox) -> list[dict[str, Any]]:
    """The requests to Automic that failed at the remote."""
    return [one for one in sandbox.log() if one["system"] == "automic" and (one["status"] or 0) >= 500]


def triggerer_of(run: DagRun) -> int | None:
    """The job id of the triggerer that holds the task."""
    job = run.task("run").read()["triggerer_job"]
    return job and int(job["id"])


@pytest.mark.every_airflow
def test_a_success_hands_its_result_to_the_next_task(airflow: PrivateAirflow, sandbox: Sandbox) -> None:
    name = new_object(sandbox)
    run = airflow.trigger("automic", conf={"object": name})

    assert run.wait() == "success"
    assert run.task("run").xcom()["status"] == 1900
    assert run.task("kind_of").xcom() == "dict"
    assert run.task("run").xcom("ref") == started(sandbox, name)[0]["ref"]
    assert "succeeded (1900)" in run.task("run").log()
    assert run.task("run").links()["Remote task"].endswith(run.task("run").xcom("ref"))


def test_a_remote_failure_fails_the_task_with_its_reason_in_the_log(airflow: PrivateAirflow, sandbox: Sandbox) -> None:
    name = new_object(sandbox, outcome="failure", message="disk full on host7")
    run = airflow.trigger("automic_once", conf={"object": name})

    assert run.wait() == "failed"
    assert "disk full on host7" in run.task("run").log()
    assert len(started(sandbox, name)) == 1


def test_a_retry_after_a_remote_failure_starts_anew(airflow: PrivateAirflow, sandbox: Sandbox) -> None:
    name = new_object(sandbox)
    sandbox.add_rule(name, duration=1.0, outcome="failure", times=1)
    run = airflow.trigger("automic", conf={"object": name})

    assert run.wait() == "success"
    assert len(started(sandbox, name)) == 2


@pytest.mark.every_airflow
def test_a_killed_worker_is_retried_and_the_retry_rejoins(airflow: PrivateAirflow, sandbox: Sandbox) -> None:
    name = new_object(sandbox, duration=600.0)
    run = airflow.trigger("automic_on_worker", conf={"object": name})
    running_on(sandbox, name)

    os.kill(run.task("run").wait_for("running")["pid"], signal.SIGKILL)
    run.task("run").wait_for("running", try_number=2)
    until(lambda: "rejoining" in run.task("run").log(), what="the retry has rejoined")
    succeed(sandbox, name)

    assert run.wait() == "success"
    assert run.task("run").try_number == 2
    assert len(started(sandbox, name)) == 1


def test_a_start_whose_reply_was_lost_is_found_by_its_marker(airflow: PrivateAirflow, sandbox: Sandbox) -> None:
    name = new_object(sandbox)
    sandbox.add_fault("lost_reply", system="automic", method="POST", path="executions$", times=1)
    run = airflow.trigger("automic", conf={"object": name})

    assert run.wait() == "success"
    assert len(started(sandbox, name)) == 1
    assert "was started nevertheless" in run.task("run").log()


def test_a_start_without_marker_and_reply_is_not_repeated_but_can_be_adopted(
    airflow: PrivateAirflow, sandbox: Sandbox
) -> None:
    path = new_path(sandbox, duration=1.0)
    sandbox.add_fault("lost_reply", system="acquia", method="POST", path=path, times=1)
    run = airflow.trigger("acquia", conf={"path": path})
    assert run.wait() == "failed"
    assert run.task("run").try_number == 1
    assert "taskwatch adopt" in run.task("run").log()

    [task] = started(sandbox, path)
    adopted = airflow.command("adopt", run.dag_id, run.run_id, "run", task["ref"], program=TASKWATCH)
    assert adopted.returncode == 0, adopted.stderr
    run.task("run").clear()

    run.task("run").wait_for("success")
    assert len(started(sandbox, path)) == 1


@pytest.mark.every_airflow
def test_marking_a_deferred_task_failed_cancels_the_execution(airflow: PrivateAirflow, sandbox: Sandbox) -> None:
    name = new_object(sandbox, duration=600.0)
    run = airflow.trigger("automic", conf={"object": name})
    deferred(run, sandbox)

    run.task("run").mark("failed")

    until(lambda: is_cancelled(sandbox, name), what="the execution is cancelled")


def test_marking_a_run_failed_cancels_the_execution(airflow: PrivateAirflow, sandbox: Sandbox) -> None:
    name = new_object(sandbox, duration=600.0)
    run = airflow.trigger("automic", conf={"object": name})
    deferred(run, sandbox)

    run.mark("failed")

    until(lambda: is_cancelled(sandbox, name), what="the execution is cancelled")


def test_a_run_that_takes_too_long_cancels_the_execution(airflow: PrivateAirflow, sandbox: Sandbox) -> None:
    name = new_object(sandbox, duration=600.0)
    run = airflow.trigger("automic_dagrun_timeout", conf={"object": name})
    running_on(sandbox, name)

    until(lambda: is_cancelled(sandbox, name), what="the execution is cancelled")
    assert run.wait() == "failed"


def test_a_run_that_fails_fast_cancels_the_execution(airflow: PrivateAirflow, sandbox: Sandbox) -> None:
    name, other = new_object(sandbox, duration=600.0), new_object(sandbox, duration=600.0)
    run = airflow.trigger("automic_fail_fast", conf={"object": name, "other": other})
    deferred(run, sandbox)
    sandbox.end(running_on(sandbox, other)["ref"], "failure", time.time())

    until(lambda: is_cancelled(sandbox, name), what="the execution is cancelled")
    assert run.wait() == "failed"


def test_a_cancel_that_the_remote_refuses_is_retried_later(airflow: PrivateAirflow, sandbox: Sandbox) -> None:
    name = new_object(sandbox, duration=600.0)
    run = airflow.trigger("automic", conf={"object": name})
    deferred(run, sandbox)
    sandbox.add_fault("server_error", system="automic", path="/executions")

    run.task("run").mark("failed")
    until(lambda: "It is kept in" in run.task("run").log(), what="the kill is kept")
    assert not is_cancelled(sandbox, name)
    sandbox.clear_faults()

    until(lambda: is_cancelled(sandbox, name), what="the execution is cancelled")


@pytest.mark.every_airflow
def test_marking_a_task_on_a_worker_failed_cancels_the_execution(airflow: PrivateAirflow, sandbox: Sandbox) -> None:
    name = new_object(sandbox, duration=600.0)
    run = airflow.trigger("automic_on_worker", conf={"object": name})
    running_on(sandbox, name)

    run.task("run").mark("failed")

    until(lambda: is_cancelled(sandbox, name), what="the execution is cancelled")


def test_a_sigterm_without_a_user_s_action_cancels_nothing(airflow: PrivateAirflow, sandbox: Sandbox) -> None:
    name = new_object(sandbox, duration=600.0)
    run = airflow.trigger("automic_on_worker", conf={"object": name})
    running_on(sandbox, name)

    os.kill(run.task("run").wait_for("running")["pid"], signal.SIGTERM)
    before = reads(sandbox, running_on(sandbox, name)["ref"])
    until(lambda: reads(sandbox, running_on(sandbox, name)["ref"]) > before + 1, what="it is watched on")
    succeed(sandbox, name)

    assert run.wait() == "success"
    assert [one["cancelled"] for one in started(sandbox, name)] == [False]


def test_the_deadline_ends_the_wait_and_cancels_the_execution(airflow: PrivateAirflow, sandbox: Sandbox) -> None:
    name = new_object(sandbox, duration=600.0)
    run = airflow.trigger("automic_deadline", conf={"object": name})

    assert run.wait() == "failed"
    assert "did not end in time" in run.task("run").log()
    assert started(sandbox, name)[0]["cancelled"]


def test_expired_and_revoked_tokens_are_replaced_during_a_wait(airflow: PrivateAirflow, sandbox: Sandbox) -> None:
    sandbox.revoke_tokens()
    sandbox.change({"acquia": {"token_lifetime": 3}}, time.time())
    since = sandbox.log()[-1]["n"] if sandbox.log() else 0
    path = new_path(sandbox, duration=600.0)
    run = airflow.trigger("acquia", conf={"path": path})
    run.task("run").wait_for("deferred")
    sandbox.add_fault("revoke_tokens", system="acquia", path="notifications", times=1)

    def asked() -> int:
        return sum(one["endpoint"] == "token" for one in sandbox.log(since))

    until(lambda: asked() >= 4, what="tokens have been replaced")
    succeed(sandbox, path)
    assert run.wait() == "success"
    assert run.task("run").try_number == 1


def test_a_restarted_triggerer_continues_and_starts_no_second_execution(
    airflow: PrivateAirflow, sandbox: Sandbox
) -> None:
    name = new_object(sandbox, duration=600.0)
    run = airflow.trigger("automic", conf={"object": name})
    deferred(run, sandbox)

    airflow.kill("triggerer", signal.SIGKILL)
    before = reads(sandbox, running_on(sandbox, name)["ref"])
    airflow.start("triggerer")
    until(lambda: reads(sandbox, running_on(sandbox, name)["ref"]) > before, what="it is watched again")
    succeed(sandbox, name)

    assert run.wait() == "success"
    assert run.task("run").try_number == 1
    assert [one["cancelled"] for one in started(sandbox, name)] == [False]


def test_a_triggerer_whose_trigger_moved_to_another_one_cancels_nothing(
    airflow: PrivateAirflow, sandbox: Sandbox
) -> None:
    name = new_object(sandbox, duration=600.0)
    run = airflow.trigger("automic", conf={"object": name})
    deferred(run, sandbox)
    first = run.task("run").read()["triggerer_job"]["id"]

    with airflow.another("triggerer"):
        airflow.pause("triggerer")
        until(lambda: triggerer_of(run) not in (None, first), what="another triggerer takes over")
        airflow.go_on("triggerer")
        until(lambda: "still deferred" in run.task("run").log(), what="the first one lets go")
        assert not started(sandbox, name)[0]["cancelled"]
        sandbox.end(started(sandbox, name)[0]["ref"], "success", time.time())
        assert run.wait() == "success"


def test_a_wait_survives_an_outage_of_the_remote(airflow: PrivateAirflow, sandbox: Sandbox) -> None:
    name = new_object(sandbox, duration=600.0)
    run = airflow.trigger("automic", conf={"object": name})
    deferred(run, sandbox)
    before = len(refused(sandbox))
    sandbox.add_fault("server_error", system="automic", times=3)
    until(lambda: len(refused(sandbox)) == before + 3, what="the remote has been down")
    succeed(sandbox, name)

    assert run.wait() == "success"
    assert run.task("run").try_number == 1
    assert len(started(sandbox, name)) == 1


def test_every_map_index_has_its_own_execution_and_result(airflow: PrivateAirflow, sandbox: Sandbox) -> None:
    run = airflow.trigger("automic_mapped")

    assert run.wait() == "success"
    names = [run.task("run", index).xcom()["name"] for index in (0, 1)]
    assert names == ["JOBS.ONE", "JOBS.TWO"]
    assert len({run.task("run", index).xcom("ref") for index in (0, 1)}) == 2


def test_a_sensor_succeeds_in_the_triggerer_and_its_result_keeps_its_types(
    airflow: PrivateAirflow, sandbox: Sandbox
) -> None:
    before = airflow.trigger("acquia", conf={"path": new_path(sandbox, duration=6.0)})
    before.task("run").wait_for("deferred")
    run = airflow.trigger("acquia_sensor", conf={"ref": before.task("run").xcom("ref")})

    assert run.wait() == "success"
    assert run.task("run").xcom()["status"] == "completed"
    assert run.task("kind_of").xcom() == "dict"
    assert "execute_complete" not in run.task("run").log()


def test_a_sensor_that_pushes_nothing_ends_without_xcom(airflow: PrivateAirflow, sandbox: Sandbox) -> None:
    name = new_object(sandbox)
    before = airflow.trigger("automic_once", conf={"object": name})
    ref = running_on(sandbox, name)["ref"]
    run = airflow.trigger("automic_sensor_without_xcom", conf={"ref": ref})

    assert run.wait() == "success"
    assert "return_value" not in run.task("run").xcom_keys()
    assert before.wait() == "success"


def test_a_sensor_that_times_out_softly_is_skipped(airflow: PrivateAirflow, sandbox: Sandbox) -> None:
    path = new_path(sandbox, duration=600.0)
    before = airflow.trigger("acquia", conf={"path": path})
    before.task("run").wait_for("deferred")
    run = airflow.trigger("acquia_soft_sensor", conf={"ref": before.task("run").xcom("ref")})

    run.task("run").wait_for("skipped")
    before.task("run").mark("success")
