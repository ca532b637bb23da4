"""Tasks at REST APIs on a real Airflow: started once, rejoined, cancelled, and bound to the connection's host."""

from __future__ import annotations

import itertools
import os
import signal
import time
from collections.abc import Iterator
from typing import Any

import pytest

from airflow_provider_taskwatch.sandbox.sandbox import Sandbox
from airflow_provider_taskwatch.sandbox.server import Running
from demo.airflow import PrivateAirflow
from demo.api import DagRun
from demo.wait import until
from tests.scripted import Answer, Scripted, scripted

KINDS = ("job", "job-replay", "job-chosen", "job-marker")
SECONDS_OF_A_KILL = 15.0
"""Far more than a kill takes on a quiet host, and far less than a poll that would notice it by itself."""
IN_BUILD = [[0.0, "pending"], [1.0, "running#build"]]

_numbers = itertools.count(1)


def new_team(sandbox: Sandbox, **rule: Any) -> str:
    """The name of a team whose tasks no other test starts and which follow the rule."""
    team = f"e2e-{next(_numbers)}"
    add_rule(sandbox, team, **rule)
    return team


def add_rule(sandbox: Sandbox, team: str, **rule: Any) -> None:
    sandbox.add_rule(f"/teams/{team}/*", **{"duration": 3.0, **rule})


def started(sandbox: Sandbox, team: str, kind: str = "") -> list[dict[str, Any]]:
    """The tasks that were started for a team."""
    of_team = [one for one in sandbox.tasks(time.time()) if f"/teams/{team}/" in one["path"]]
    return [one for one in of_team if one["name"] == (kind or one["name"])]


def run_of(airflow: PrivateAirflow, kind: str, team: str) -> DagRun:
    return airflow.trigger("rest", conf={"conn_id": f"{kind}_default", "team": team})


def polled(sandbox: Sandbox, path: str, since: int) -> None:
    """Wait until a triggerer has read a path; before that, a user's kill only deletes the trigger."""
    until(
        lambda: any(one["method"] == "GET" and path in one["path"] for one in sandbox.log(since)),
        what=f"{path} is polled",
    )


@pytest.fixture(scope="module")
def elsewhere() -> Iterator[Scripted]:
    """Another host, to which replies lead."""
    with scripted() as made:
        made.on("GET /jobs/1", {"state": "done"})
        yield made


@pytest.fixture(scope="module")
def lives(airflow: PrivateAirflow, served: Running, remote: Scripted, elsewhere: Scripted) -> dict[str, DagRun]:
    """Runs that need nothing but time, all at once."""
    sandbox = served.sandbox
    sandbox.revoke_tokens()
    sandbox.change({"job": {"token_lifetime": 3}}, time.time())
    add_rule(sandbox, "stages", duration=5.0, stages=IN_BUILD)
    add_rule(sandbox, "late", duration=600.0)
    add_rule(sandbox, "patient", duration=12.0)
    add_rule(sandbox, "mapped-*", duration=1.0)
    remote.on("POST /hostile", Answer(status=202, headers={"Location": f"{elsewhere.url}/jobs/1"}))
    remote.on("POST /redirected", Answer(status=202, headers={"Location": "/jobs/2"}))
    remote.on("GET /jobs/2", Answer(status=302, headers={"Location": f"{elsewhere.url}/jobs/1"}))
    return {
        "stages": airflow.trigger("rest_stages", conf={"team": "stages"}),
        "patient": run_of(airflow, "job", "patient"),
        "late": airflow.trigger("rest_deadline", conf={"team": "late"}),
        "link": airflow.trigger("rest_link"),
        "mapped": airflow.trigger("rest_mapped"),
    }


@pytest.mark.every_airflow
def test_each_start_is_made_once_though_its_worker_dies_after_the_request(
    airflow: PrivateAirflow, sandbox: Sandbox
) -> None:
    team = new_team(sandbox)
    for kind in KINDS:
        sandbox.add_fault("latency", system=kind, method="POST", path=f"/{team}/jobs$", seconds=60.0, times=1)
    run = airflow.trigger("rest_each_start", conf={"team": team})

    for kind in KINDS:
        until(lambda kind=kind: started(sandbox, team, kind), what=f"{kind} has started")  # type: ignore[misc]
        os.kill(run.task(kind).wait_for("running")["pid"], signal.SIGKILL)

    assert run.wait() == "failed"
    assert run.task_states() == {"job": "failed"} | dict.fromkeys(KINDS[1:], "success")
    assert {kind: len(started(sandbox, team, kind)) for kind in KINDS} == dict.fromkeys(KINDS, 1)
    assert "taskwatch adopt" in run.task("job").log()
    assert {run.task(kind).try_number for kind in KINDS} == {2}


@pytest.mark.usefixtures("lives")
def test_a_retry_after_a_failure_and_a_clear_start_anew(airflow: PrivateAirflow, sandbox: Sandbox) -> None:
    team = new_team(sandbox, duration=1.0)
    add_rule(sandbox, team, duration=1.0, outcome="failure", message="no space on host7", times=1)
    run = run_of(airflow, "job_marker", team)
    assert run.wait() == "success"
    assert run.task("run").xcom()["state"] == run.task("seen").xcom()["state"] == "done"
    assert "no space on host7" in run.task("run").log(try_number=1)

    run.task("run").clear()

    run.task("run").wait_for("success", try_number=3)
    assert [one["phase"] for one in started(sandbox, team)] == ["failed", "succeeded", "succeeded"]


def test_a_kill_while_deferred_cancels_in_seconds_in_each_stage(airflow: PrivateAirflow, sandbox: Sandbox) -> None:
    since = sandbox.log()[-1]["n"] if sandbox.log() else 0
    queued = new_team(sandbox, duration=600.0)
    building = new_team(sandbox, duration=600.0, stages=IN_BUILD)
    runs = {team: run_of(airflow, "build", team) for team in (queued, building)}
    polled(sandbox, "/builds/", since)
    until(lambda: started(sandbox, queued), what="the other one is in the queue")
    for run in runs.values():
        run.task("run").wait_for("deferred")
    assert [run.task("run").xcom("ref").partition("#")[2] for run in runs.values()] == ["", "build"]

    for run in runs.values():
        run.task("run").mark("failed")
    killed_at = time.monotonic()

    for team in runs:
        until(
            lambda team=team: started(sandbox, team)[0]["cancelled"],  # type: ignore[misc]
            what=f"{team} is cancelled",
            within_seconds=SECONDS_OF_A_KILL,
        )
    assert time.monotonic() - killed_at < SECONDS_OF_A_KILL
    assert {one["path"].split("/")[-1] for one in sandbox.log(since) if one["method"] == "POST"} >= {"drop", "stop"}


def test_a_worker_that_dies_between_two_stages_loses_nothing(lives: dict[str, DagRun], sandbox: Sandbox) -> None:
    run = lives["stages"]
    assert run.wait() == "success"
    assert run.task("run").try_number == 2
    assert run.task("run").xcom("ref").endswith("#build")
    assert run.task("run").xcom()["result"] == "good"
    assert len(started(sandbox, "stages")) == 1


def test_a_deadline_cancels_at_the_remote(lives: dict[str, DagRun], sandbox: Sandbox) -> None:
    assert lives["late"].wait() == "failed"
    assert "did not end in time" in lives["late"].task("run").log()
    assert started(sandbox, "late")[0]["cancelled"]


def test_a_token_that_expires_in_mid_wait_is_replaced(lives: dict[str, DagRun], sandbox: Sandbox) -> None:
    assert lives["patient"].wait() == "success"
    assert lives["patient"].task("run").try_number == 1
    polls = [one for one in sandbox.log() if one["ref"] == started(sandbox, "patient")[0]["ref"]]
    assert len({one["token_id"] for one in polls if one["method"] == "GET" and one["status"] == 200}) > 2


def test_links_and_redirects_lead_to_no_other_host(
    lives: dict[str, DagRun], remote: Scripted, elsewhere: Scripted
) -> None:
    run = lives["link"]
    assert run.wait() == "failed"
    assert run.task_states() == {"hostile": "failed", "redirected": "failed"}
    assert "leaves the connection's host" in run.task("hostile").log()
    assert "redirect" in run.task("redirected").log()
    assert elsewhere.asked == []
    assert len(remote.asked_for("POST /hostile")) == len(remote.asked_for("POST /redirected")) == 1


def test_mapped_tasks_have_a_task_and_a_result_each(lives: dict[str, DagRun], sandbox: Sandbox) -> None:
    run = lives["mapped"]
    assert run.wait() == "success"
    assert run.task("states").xcom() == ["done", "done"]
    assert [len(started(sandbox, f"mapped-{letter}")) for letter in "abcd"] == [1, 1, 1, 1]
    assert len({run.task(name, index).xcom("ref") for name in ("first", "second") for index in (0, 1)}) == 4
