"""The profiles to copy in docs/profiles: each is valid, and is played over exchanges written by hand."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from airflow_provider_taskwatch.config.profile import load_file
from airflow_provider_taskwatch.core.error import RemoteError
from airflow_provider_taskwatch.core.phase import Observation, Phase
from airflow_provider_taskwatch.core.settings import Settings
from airflow_provider_taskwatch.core.system import Effect
from airflow_provider_taskwatch.core.wire import Call, Reply
from airflow_provider_taskwatch.systems.rest.profile import Profile
from airflow_provider_taskwatch.systems.rest.reader import read_profile
from airflow_provider_taskwatch.systems.rest.rules import input_names
from airflow_provider_taskwatch.systems.rest.system import RestRemote, RestTasks
from tests.play import play, reply, result_of, targets

FOLDER = Path(__file__).parents[3] / "docs" / "profiles"
FILES = {path.stem: path for path in sorted(FOLDER.glob("*"))}
START_ID = "0123456789ab"

Read = tuple[Reply, Phase, float | None, str]


@dataclass(frozen=True, kw_only=True)
class Case:
    """One profile, played.

    :param base_url: of the connection, where it matters.
    :param sent: method and target of the start.
    :param body: members that the start's JSON body has.
    :param started: the reply to the start.
    :param ref: what the task is known by afterwards.
    :param polled: method and target of a poll.
    :param reads: replies to polls, each with phase, progress and message.
    :param cancelled: method and target of the cancel; empty: there is none.
    :param listed: the reply to a list, and the phases of refs in it.
    """

    inputs: Mapping[str, Any]
    base_url: str = "https://r.test"
    sent: str
    body: Mapping[str, Any] = field(default_factory=dict)
    started: Reply
    ref: str
    polled: str
    reads: Sequence[Read]
    cancelled: str = ""
    cancel_body: Any = None
    listed: tuple[Reply, Mapping[str, Phase]] | None = None


def one(content: object, phase: Phase, message: str = "", *, status: int = 200, progress: float | None = None) -> Read:
    return reply(status, content), phase, progress, message


def databricks(life: str, result: str | None = None, message: str = "") -> Any:
    state = {"life_cycle_state": life, "state_message": message} | ({"result_state": result} if result else {})
    return {"run_id": 455644833, "state": state}


def slurm(*states: str, reason: str = "None") -> Any:
    return {"jobs": [{"job_id": 62, "job_state": [*states], "state_reason": reason}], "errors": []}


def argo(phase: str | None, spec: Mapping[str, Any] | None = None, **status: Any) -> Any:
    named = {"metadata": {"name": f"nightly-{START_ID}"}, "spec": spec or {}}
    return {**named, "status": ({"phase": phase} if phase is not None else {}) | status}


HANDLE = "01b2c3d4-0000-0001"
UUID = "3c90c3cc-0d44-4b50-8888-8dd25736052a"
JOB = "/v3/jobs/b19ae525"

CASES: Mapping[str, Case] = {
    "databricks-run": Case(
        inputs={"job_id": "7", "parameters": {"day": "2026-01-31"}},
        sent="POST /api/2.2/jobs/run-now",
        body={"job_id": 7, "job_parameters": {"day": "2026-01-31"}, "idempotency_token": START_ID},
        started=reply(200, {"run_id": 455644833}),
        ref="455644833",
        polled="GET /api/2.2/jobs/runs/get?run_id=455644833",
        reads=[
            one(databricks("QUEUED"), Phase.PENDING),
            one(databricks("BLOCKED"), Phase.PENDING),
            one(databricks("RUNNING", message="In run"), Phase.RUNNING, "In run"),
            one(databricks("TERMINATING", "SUCCESS"), Phase.RUNNING),
            one(databricks("TERMINATED", "SUCCESS_WITH_FAILURES"), Phase.SUCCEEDED),
            one(databricks("TERMINATED", "TIMEDOUT", "Timed out"), Phase.FAILED, "Timed out"),
            one(databricks("INTERNAL_ERROR"), Phase.FAILED),
            one(databricks("SKIPPED"), Phase.SKIPPED),
            one(databricks("TERMINATED", "CANCELED"), Phase.CANCELLED),
            one(databricks("TERMINATED"), Phase.UNKNOWN),
            one({}, Phase.UNKNOWN),
        ],
        cancelled="POST /api/2.2/jobs/runs/cancel",
        cancel_body={"run_id": 455644833},
        listed=(reply(200, {"runs": [databricks("RUNNING")], "has_more": False}), {"455644833": Phase.RUNNING}),
    ),
    "snowflake-sql": Case(
        inputs={"statement": "select 1", "warehouse": "W"},
        sent="POST /api/v2/statements?async=true&requestId=c49baa7f-667d-4278-83cd-ef63f300fcdc",
        body={"statement": "select 1", "warehouse": "W"},
        started=reply(202, {"code": "333334", "statementHandle": HANDLE, "message": "in progress"}),
        ref=HANDLE,
        polled=f"GET /api/v2/statements/{HANDLE}",
        reads=[
            one({"code": "333334", "message": "in progress"}, Phase.RUNNING, "in progress", status=202),
            one({"code": "090001", "message": "done"}, Phase.SUCCEEDED, "done"),
            one({"code": "002003", "message": "no table"}, Phase.FAILED, "no table", status=422),
            one({"code": "000604", "message": "canceled"}, Phase.CANCELLED, "canceled", status=422),
            one({"code": "000630", "statementHandle": HANDLE}, Phase.FAILED, status=408),
            one({}, Phase.UNKNOWN, status=408),
        ],
        cancelled=f"POST /api/v2/statements/{HANDLE}/cancel",
    ),
    "dbt-cloud-run": Case(
        inputs={"account_id": 1, "job_id": 2, "cause": "nightly", "steps": ["dbt build"]},
        sent="POST /api/v2/accounts/1/jobs/2/run/",
        body={"cause": "nightly", "steps_override": ["dbt build"]},
        started=reply(200, {"data": {"id": 70403, "status": 1}}),
        ref="70403",
        polled="GET /api/v2/accounts/1/runs/70403/",
        reads=[
            one({"data": {"status": 1}}, Phase.PENDING),
            one({"data": {"status": 2, "status_humanized": "Starting"}}, Phase.PENDING, "Starting"),
            one({"data": {"status": 3, "status_message": None}}, Phase.RUNNING),
            one({"data": {"status": 10, "status_humanized": "Success"}}, Phase.SUCCEEDED, "Success"),
            one({"data": {"status": 20, "status_message": "broken"}}, Phase.FAILED, "broken"),
            one({"data": {"status": 30}}, Phase.CANCELLED),
            one({"data": {"status": 40}}, Phase.UNKNOWN),
        ],
        cancelled="POST /api/v2/accounts/1/runs/70403/cancel/",
        listed=(reply(200, {"data": [{"id": 70403, "status": 3}, {"id": 1, "status": 10}]}), {"70403": Phase.RUNNING}),
    ),
    "airbyte-sync": Case(
        inputs={"connection_id": UUID},
        sent="POST /v1/jobs",
        body={"connectionId": UUID, "jobType": "sync"},
        started=reply(200, {"jobId": 801771, "status": "running"}),
        ref="801771",
        polled="GET /v1/jobs/801771",
        reads=[
            one({"status": "queued"}, Phase.PENDING),
            one({"status": "running"}, Phase.RUNNING),
            one({"status": "incomplete"}, Phase.RUNNING),
            one({"status": "succeeded", "rowsSynced": 20}, Phase.SUCCEEDED),
            one({"status": "failed"}, Phase.FAILED),
            one({"status": "cancelled"}, Phase.CANCELLED),
            one({"status": "done"}, Phase.UNKNOWN),
        ],
        cancelled="DELETE /v1/jobs/801771",
        listed=(reply(200, {"data": [{"jobId": 801771, "status": "running"}]}), {"801771": Phase.RUNNING}),
    ),
    "prefect-flow-run": Case(
        inputs={"deployment_id": "d-1", "parameters": {"day": 1}},
        base_url="http://prefect.test:4200/api",
        sent="POST /deployments/d-1/create_flow_run",
        body={"parameters": {"day": 1}, "idempotency_key": START_ID},
        started=reply(201, {"id": UUID, "state_type": "SCHEDULED"}),
        ref=UUID,
        polled=f"GET /flow_runs/{UUID}",
        reads=[
            one({"state_type": "SCHEDULED", "state_name": "Late"}, Phase.PENDING, "Late"),
            one({"state_type": "RUNNING"}, Phase.RUNNING),
            one({"state_type": "CANCELLING"}, Phase.RUNNING),
            one({"state_type": "PAUSED"}, Phase.BLOCKED),
            one({"state_type": "COMPLETED"}, Phase.SUCCEEDED),
            one({"state_type": "CRASHED", "state": {"message": "no pod"}}, Phase.FAILED, "no pod"),
            one({"state_type": "CANCELLED"}, Phase.CANCELLED),
            one({"state_type": None}, Phase.UNKNOWN),
        ],
        cancelled=f"POST /flow_runs/{UUID}/set_state",
        cancel_body={"state": {"type": "CANCELLING", "name": "Cancelling"}},
        listed=(reply(200, [{"id": UUID, "state_type": "RUNNING"}]), {UUID: Phase.RUNNING}),
    ),
    "powerbi-refresh": Case(
        inputs={"group_id": "g", "dataset_id": "d", "type": "Full"},
        sent="POST /v1.0/myorg/groups/g/datasets/d/refreshes",
        body={"type": "Full"},
        started=reply(202, None, **{"x-ms-request-id": UUID}),
        ref=UUID,
        polled=f"GET /v1.0/myorg/groups/g/datasets/d/refreshes/{UUID}",
        reads=[
            one({"status": "Unknown", "extendedStatus": "NotStarted"}, Phase.PENDING, status=202),
            one({"status": "Unknown", "extendedStatus": "InProgress"}, Phase.RUNNING, status=202),
            one({"status": "Unknown"}, Phase.RUNNING, status=202),
            one({"status": "Completed", "extendedStatus": "Completed"}, Phase.SUCCEEDED),
            one({"status": "Failed", "messages": [{"message": "no gateway"}]}, Phase.FAILED, "no gateway"),
            one({"status": "Failed", "extendedStatus": "TimedOut"}, Phase.FAILED),
            one({"status": "Failed", "extendedStatus": "Cancelled"}, Phase.CANCELLED),
        ],
        cancelled=f"DELETE /v1.0/myorg/groups/g/datasets/d/refreshes/{UUID}",
    ),
    "salesforce-bulk-query": Case(
        inputs={"query": "SELECT Id FROM Account"},
        sent="POST /services/data/v62.0/jobs/query",
        body={"operation": "query", "query": "SELECT Id FROM Account"},
        started=reply(200, {"id": "750R0146", "state": "UploadComplete"}),
        ref="750R0146",
        polled="GET /services/data/v62.0/jobs/query/750R0146",
        reads=[
            one({"state": "UploadComplete"}, Phase.PENDING),
            one({"state": "InProgress", "numberRecordsProcessed": 3}, Phase.RUNNING),
            one({"state": "JobComplete", "numberRecordsProcessed": 5}, Phase.SUCCEEDED),
            one({"state": "Failed", "errorMessage": "no column"}, Phase.FAILED, "no column"),
            one({"state": "Aborted"}, Phase.CANCELLED),
        ],
        cancelled="PATCH /services/data/v62.0/jobs/query/750R0146",
        cancel_body={"state": "Aborted"},
    ),
    "argo-workflow": Case(
        inputs={"namespace": "jobs", "template": "nightly", "parameters": ["day=1"]},
        sent="POST /api/v1/workflows/jobs/submit",
        body={
            "resourceKind": "WorkflowTemplate",
            "resourceName": "nightly",
            "submitOptions": {"name": f"nightly-{START_ID}", "parameters": ["day=1"]},
        },
        started=reply(200, argo(None)),
        ref=f"nightly-{START_ID}",
        polled=f"GET /api/v1/workflows/jobs/nightly-{START_ID}?fields=",
        reads=[
            one(argo(None), Phase.PENDING),
            one(argo("Pending"), Phase.PENDING),
            one(argo("Running", progress="1/4"), Phase.RUNNING, progress=25.0),
            one(argo("Running", {"suspend": True}), Phase.BLOCKED),
            one(argo("Running", {"shutdown": "Stop"}), Phase.RUNNING),
            one(argo("Succeeded", progress="4/4"), Phase.SUCCEEDED, progress=100.0),
            one(argo("Failed", message="child failed"), Phase.FAILED, "child failed"),
            one(argo("Error"), Phase.FAILED),
            one(argo("Failed", {"shutdown": "Terminate"}), Phase.CANCELLED),
            one({}, Phase.UNKNOWN),
        ],
        cancelled=f"PUT /api/v1/workflows/jobs/nightly-{START_ID}/terminate",
    ),
    "livy-batch": Case(
        inputs={"file": "s3://b/job.py", "args": ["a"]},
        sent="POST /batches",
        body={"file": "s3://b/job.py", "args": ["a"]},
        started=reply(201, {"id": 0, "state": "starting"}),
        ref="0",
        polled="GET /batches/0",
        reads=[
            one({"id": 0, "state": "starting", "log": []}, Phase.PENDING),
            one({"id": 0, "state": "recovering"}, Phase.PENDING),
            one({"id": 0, "state": "running", "log": ["a", "b"]}, Phase.RUNNING, "b"),
            one({"id": 0, "state": "success", "log": ["done"]}, Phase.SUCCEEDED, "done"),
            one({"id": 0, "state": "dead", "log": ["Exception"]}, Phase.FAILED, "Exception"),
            one({"id": 0, "state": "killed"}, Phase.CANCELLED),
        ],
        cancelled="DELETE /batches/0",
        listed=(reply(200, {"from": 0, "sessions": [{"id": 0, "state": "running"}]}), {"0": Phase.RUNNING}),
    ),
    "slurm-job": Case(
        inputs={"script": "#!/bin/sh\ntrue", "job": {"name": "n", "environment": ["PATH=/bin"]}, "user": "airflow"},
        sent="POST /slurm/v0.0.42/job/submit",
        body={"script": "#!/bin/sh\ntrue", "job": {"name": "n", "environment": ["PATH=/bin"]}},
        started=reply(200, {"job_id": 62, "step_id": "batch", "errors": []}),
        ref="62",
        polled="GET /slurm/v0.0.42/job/62",
        reads=[
            one(slurm("PENDING", reason="Resources"), Phase.PENDING, "Resources"),
            one(slurm("RUNNING"), Phase.RUNNING, "None"),
            one(slurm("RUNNING", "CONFIGURING"), Phase.RUNNING, "None"),
            one(slurm("SUSPENDED"), Phase.BLOCKED, "None"),
            one(slurm("COMPLETED", "COMPLETING"), Phase.RUNNING, "None"),
            one(slurm("COMPLETED"), Phase.SUCCEEDED, "None"),
            one(slurm("TIMEOUT", reason="TimeLimit"), Phase.FAILED, "TimeLimit"),
            one(slurm("NODE_FAIL", "REQUEUED"), Phase.PENDING, "None"),
            one(slurm("CANCELLED"), Phase.CANCELLED, "None"),
            one({"jobs": [], "errors": []}, Phase.UNKNOWN),
        ],
        cancelled="DELETE /slurm/v0.0.42/job/62",
    ),
    "cloudfoundry-job": Case(
        inputs={"path": "/v3/service_instances", "body": {"name": "db"}},
        base_url="https://api.cf.test",
        sent="POST /v3/service_instances",
        body={"name": "db"},
        started=reply(202, None, location=f"https://api.cf.test{JOB}"),
        ref=JOB,
        polled=f"GET {JOB}",
        reads=[
            one(
                {"operation": "service_instance.create", "state": "PROCESSING"},
                Phase.RUNNING,
                "service_instance.create",
            ),
            one({"state": "POLLING"}, Phase.RUNNING),
            one({"state": "COMPLETE", "errors": []}, Phase.SUCCEEDED),
            one({"state": "FAILED", "errors": [{"detail": "no quota"}]}, Phase.FAILED, "no quota"),
            one({"state": "LOST"}, Phase.UNKNOWN),
        ],
    ),
    "open-service-broker": Case(
        inputs={
            "instance_id": "i-1",
            "service_id": "s",
            "plan_id": "p",
            "organization_guid": "o",
            "space_guid": "s-1",
        },
        sent="PUT /v2/service_instances/i-1?accepts_incomplete=true",
        body={"service_id": "s", "plan_id": "p", "organization_guid": "o", "space_guid": "s-1"},
        started=reply(202, {"operation": "task_10"}),
        ref="task_10",
        polled="GET /v2/service_instances/i-1/last_operation?operation=task_10&service_id=s&plan_id=p",
        reads=[
            one({"state": "in progress", "description": "10 %"}, Phase.RUNNING, "10 %"),
            one({"state": "succeeded"}, Phase.SUCCEEDED),
            one({"state": "failed", "description": "no capacity"}, Phase.FAILED, "no capacity"),
            one({}, Phase.UNKNOWN),
        ],
    ),
    "ga4gh-wes": Case(
        inputs={
            "workflow_url": "https://w.test/w.cwl",
            "workflow_type": "CWL",
            "workflow_type_version": "v1.0",
            "params": "{}",
        },
        base_url="https://wes.test/ga4gh/wes/v1",
        sent="POST /runs",
        started=reply(200, {"run_id": "64fd1b1d"}),
        ref="64fd1b1d",
        polled="GET /runs/64fd1b1d",
        reads=[
            one({"state": "QUEUED"}, Phase.PENDING),
            one({"state": "RUNNING"}, Phase.RUNNING),
            one({"state": "CANCELING"}, Phase.RUNNING),
            one({"state": "PAUSED"}, Phase.BLOCKED),
            one({"state": "COMPLETE"}, Phase.SUCCEEDED),
            one({"state": "EXECUTOR_ERROR"}, Phase.FAILED),
            one({"state": "PREEMPTED"}, Phase.FAILED),
            one({"state": "CANCELED"}, Phase.CANCELLED),
            one({"state": "UNKNOWN"}, Phase.UNKNOWN),
        ],
        cancelled="POST /runs/64fd1b1d/cancel",
        listed=(reply(200, {"runs": [{"run_id": "64fd1b1d", "state": "RUNNING"}]}), {"64fd1b1d": Phase.RUNNING}),
    ),
}


def profile(name: str) -> Profile:
    return read_profile(load_file(FILES[name]), FILES[name].name)


def tasks(name: str) -> RestTasks:
    case = CASES[name]
    settings = Settings(
        conn_id="c", connection_type="rest", base_url=case.base_url, auth="bearer", login="", password="t"
    )
    return RestRemote(settings).tasks(profile(name), case.inputs)


each_name = pytest.mark.parametrize("name", FILES)


@each_name
def test_a_copy_says_what_it_is_and_shows_each_phase(name: str) -> None:
    read = profile(name)
    source = read.source
    assert source is not None
    assert source.note
    assert all((read.title, read.docs, read.base_url, read.auth, read.start, read.start and read.start.example))
    assert set(read.inputs) == input_names(read)
    phases = {one for one in read.poll.phases if one != "otherwise"} | {one.phase for one in read.poll.acceptors}
    assert set(read.poll.examples) == phases
    assert read.result is not None
    assert read.result.select is not None


@each_name
def test_a_start_names_its_task(name: str) -> None:
    case = CASES[name]
    steps, started = play(tasks(name).start(START_ID, f"A-{START_ID}"), case.started)
    assert targets(steps) == [case.sent]
    [call] = steps
    assert isinstance(call, Call)
    if case.body:
        assert call.json() == case.body
    assert (started.ref, started.ended) == (case.ref, None)


@each_name
def test_a_poll_is_read(name: str) -> None:
    case = CASES[name]
    for answer, phase, progress, message in case.reads:
        steps, seen = play(tasks(name).observe(case.ref), answer)
        assert targets(steps)[0].startswith(case.polled)
        assert (seen.phase, seen.progress, seen.message) == (phase, progress, message), answer.text()


@each_name
def test_each_phase_of_a_copy_is_played(name: str) -> None:
    played = {phase.value for _, phase, _, _ in CASES[name].reads}
    assert set(profile(name).poll.examples) <= played


@each_name
def test_the_result_of_a_success_names_no_person(name: str) -> None:
    example = profile(name).poll.examples["succeeded"]
    seen: Observation = result_of(tasks(name).observe(CASES[name].ref), reply(example.status_code, example.body))
    assert [one for one in seen.result.values() if one is not None]
    assert not [one for one in seen.result if "user" in one or "owner" in one or one.endswith("_by")]


@pytest.mark.parametrize("name", [name for name, case in CASES.items() if case.cancelled])
def test_a_cancel_is_sent_and_understood(name: str) -> None:
    case = CASES[name]
    steps, effect = play(tasks(name).cancel(case.ref), reply(200, {}))
    assert (targets(steps), effect) == ([case.cancelled], Effect.CANCELLED)
    [call] = steps
    assert isinstance(call, Call)
    assert case.cancel_body is None or call.json() == case.cancel_body
    assert result_of(tasks(name).cancel(case.ref), reply(404, {})) is Effect.UNKNOWN
    with pytest.raises(RemoteError):
        result_of(tasks(name).cancel(case.ref), reply(403, {}))


@each_name
def test_only_what_can_be_cancelled_says_so(name: str) -> None:
    assert tasks(name).can_cancel == bool(CASES[name].cancelled)


@pytest.mark.parametrize("name", [name for name in CASES if profile(name).many])
def test_many_tasks_are_read_in_one_request(name: str) -> None:
    system = tasks(name)
    listed = CASES[name].listed
    assert listed is not None
    answer, phases = listed
    seen = result_of(system.observe_many(system.selector({}), [*phases, "unlisted"]), answer)
    assert {ref: one.phase for ref, one in seen.items()} == phases


def test_each_copy_has_a_case() -> None:
    assert set(FILES) == set(CASES)


# --- what is special


def test_a_repeat_of_a_statement_says_that_it_is_one() -> None:
    steps, _ = play(tasks("snowflake-sql").start(START_ID, "A", again=True), CASES["snowflake-sql"].started)
    assert targets(steps)[0].endswith("&retry=true")


def test_a_statement_that_is_done_at_once_needs_no_poll() -> None:
    started = result_of(tasks("snowflake-sql").start(START_ID, "A"), reply(200, {"statementHandle": HANDLE}))
    assert started.ended is not None
    assert started.ended.phase is Phase.SUCCEEDED


def test_a_list_of_runs_may_be_absent() -> None:
    assert result_of(tasks("databricks-run").observe_many("s", ["1"]), reply(200, {"has_more": False})) == {}


def test_a_workflow_that_exists_is_adopted() -> None:
    started = result_of(tasks("argo-workflow").start(START_ID, "A"), reply(409, {"code": 6}))
    assert started.ref == f"nightly-{START_ID}"


def test_an_instance_that_exists_ends_at_once() -> None:
    for status in (200, 201):
        started = result_of(tasks("open-service-broker").start(START_ID, "A"), reply(status, {}))
        assert started.ended is not None
        assert started.ended.phase is Phase.SUCCEEDED


def test_a_broker_may_name_no_operation() -> None:
    started = result_of(tasks("open-service-broker").start(START_ID, "A"), reply(202, {}))
    assert (started.ref, started.ended) == ("i-1", None)


def test_an_ended_run_of_a_list_is_read_alone() -> None:
    page = reply(200, {"runs": [{"run_id": "a", "state": "COMPLETE"}, {"run_id": "b", "state": "QUEUED"}]})
    assert set(result_of(tasks("ga4gh-wes").observe_many("s", ["a", "b"]), page)) == {"b"}


def test_a_run_is_asked_for_as_multipart() -> None:
    [call], _ = play(tasks("ga4gh-wes").start(START_ID, "A"), CASES["ga4gh-wes"].started)
    assert isinstance(call, Call)
    kind, _, boundary = call.headers["Content-Type"].partition("; boundary=")
    assert kind == "multipart/form-data"
    parts = (call.body or b"").decode().split(f"--{boundary}")
    assert parts[1] == '\r\nContent-Disposition: form-data; name="workflow_url"\r\n\r\nhttps://w.test/w.cwl\r\n'
    assert (len(parts), parts[-1]) == (6, "--\r\n")
