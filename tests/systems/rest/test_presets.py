"""The presets: each is valid, and is played over exchanges written by hand after recordings and schemas."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from typing import Any

import pytest

from airflow_provider_taskwatch.config.profile import PRESETS, find_profile, preset_names
from airflow_provider_taskwatch.core.error import RemoteError, ReplyError
from airflow_provider_taskwatch.core.phase import Phase
from airflow_provider_taskwatch.core.settings import Settings
from airflow_provider_taskwatch.core.system import Effect
from airflow_provider_taskwatch.core.wire import Call, Reply
from airflow_provider_taskwatch.systems.rest.profile import Profile, watched_part
from airflow_provider_taskwatch.systems.rest.rules import input_names
from airflow_provider_taskwatch.systems.rest.system import RestRemote, RestTasks
from tests.play import play, reply, result_of, targets
from tests.rows import each_row

NAMES = (
    "airflow-dag-run",
    "aip-151",
    "aip-155",
    "awx-job",
    "azure-lro",
    "github-workflow",
    "gitlab-pipeline",
    "http-202",
    "jenkins",
    "kubernetes-job",
    "ogc-processes",
    "openai-batch",
    "redfish-task",
    "replicate",
)
START_ID = "0123456789ab"
MARKER = f"taskwatch-{START_ID}"
BASES = {
    "aip-151": "https://file.googleapis.test/v1",
    "aip-155": "https://file.googleapis.test/v1",
    "awx-job": "https://awx.test/api/v2",
    "azure-lro": "https://management.azure.test",
    "gitlab-pipeline": "https://gitlab.test/api/v4",
    "jenkins": "https://ci.test/jenkins",
    "ogc-processes": "https://ogc.test/api",
    "openai-batch": "https://openai.test/v1",
    "replicate": "https://replicate.test/v1",
}
INPUTS: Mapping[str, Mapping[str, Any]] = {
    "airflow-dag-run": {"dag_id": "nightly", "conf": {"day": "2026-01-31"}},
    "aip-151": {"path": "/projects/p/locations/l/instances", "body": {"tier": "basic"}},
    "aip-155": {"path": "/projects/p/locations/l/instances", "body": {"tier": "basic"}},
    "awx-job": {"template": 7, "extra_vars": {"version": "1.2"}},
    "azure-lro": {"path": "/subscriptions/s/rg/caches/c/flush?api-version=2024-11-01"},
    "github-workflow": {"owner": "octo", "repo": "app", "workflow": "ci.yml", "ref": "main", "inputs": {"day": "1"}},
    "gitlab-pipeline": {"project": "group/name", "ref": "main", "variables": [{"key": "DAY", "value": "1"}]},
    "http-202": {"path": "/exports?kind=full", "body": {"rows": 3}},
    "jenkins": {"job": "job/team/job/nightly", "parameters": {"DAY": "2026-01-31", "NOTE": "a b"}},
    "kubernetes-job": {"namespace": "etl", "name": "nightly", "spec": {"template": {"spec": {}}}},
    "ogc-processes": {"process": "buffer", "inputs": {"distance": 5}},
    "openai-batch": {"input_file_id": "file-1", "endpoint": "/v1/responses"},
    "redfish-task": {"path": "/redfish/v1/Systems/1/Actions/ComputerSystem.Reset", "body": {"ResetType": "On"}},
    "replicate": {"version": "owner/name", "input": {"prompt": "a corgi"}},
}


def profile(name: str, **changes: Any) -> Profile:
    return find_profile({"preset": name, **changes} if changes else name).profile


def tasks(name: str, inputs: Mapping[str, Any] | None = None, **changes: Any) -> RestTasks:
    """The tasks of a preset, at a connection whose base URL may have a path."""
    settings = Settings(
        conn_id="c",
        connection_type="taskwatch",
        base_url=BASES.get(name, "https://remote.test"),
        auth="bearer",
        login="",
        password="t0ken-of-us",
    )
    return RestRemote(settings).tasks(profile(name, **changes), INPUTS[name] if inputs is None else inputs)


def sent_body(steps: list[Any]) -> Any:
    [call] = [step for step in steps if isinstance(step, Call)]
    return None if call.body is None else json.loads(call.body)


# --- what each preset says of itself


def test_fourteen_presets_are_shipped():
    assert preset_names() == sorted(NAMES)
    assert [path.name for path in PRESETS.iterdir() if path.suffix != ".yaml"] == []


@each_row("name", NAMES)
def test_a_preset_says_what_it_is_and_what_it_was_checked_against(name):
    read = profile(name)
    assert (read.name, read.profile) == (name, 1)
    assert all((read.title, read.docs, read.auth, read.start and read.start.example))
    assert read.source is not None
    assert read.source.url.startswith("https://")
    assert re.fullmatch(r"20\d\d-\d\d-\d\d", read.source.read)
    assert len(read.source.note) > 60


@each_row("name", NAMES)
def test_a_preset_describes_each_input_that_it_uses(name):
    read = profile(name)
    assert set(read.inputs) == input_names(read)
    assert all(read.inputs.values())


@each_row("name", NAMES)
def test_a_preset_has_an_example_of_each_phase(name):
    read = profile(name)
    for at, stage in read.stages.items():
        phases = {one for one in stage.poll.phases if one != "otherwise"} | {one.phase for one in stage.poll.acceptors}
        assert set(stage.poll.examples) == phases | ({"next"} if stage.then else set()), at
    assert len(json.dumps(watched_part(find_profile(name).content))) < 4096


@each_row("name", NAMES)
def test_the_result_of_a_success_has_what_a_user_wants_and_no_people(name):
    system = tasks(name)
    ref, stage = (
        ("/job/nightly/14/#build", system.profile.stages["build"])
        if name == "jenkins"
        else (REFS[name], system.profile)
    )
    example = stage.poll.examples["succeeded"]
    seen = result_of(system.observe(ref), reply(example.status_code, example.body, **example.headers))
    assert seen.phase is Phase.SUCCEEDED
    assert [one for one in seen.result.values() if one is not None]
    people = ("user", "owner", "author", "email", "actor", "_by")
    assert not [one for one in seen.result if any(word in one.lower() for word in people)]


# --- starts

SIGNED = "/subscriptions/s/asyncoperations/f113?monitor=true&api-version=2024-11-01&t=63&c=MIIH&s=AqQ3&h=mKN"
OPERATION = "projects/p/locations/l/operations/op-1"

STARTS = [
    (
        "http-202",
        "POST /exports?kind=full",
        {"rows": 3},
        reply(202, None, location="/exports/7/status"),
        "/exports/7/status",
    ),
    (
        "http-202",
        "POST /exports?kind=full",
        {"rows": 3},
        reply(202, {"status": "queued"}, location="https://remote.test/exports/7?v=2"),
        "/exports/7?v=2",
    ),
    (
        "azure-lro",
        "POST /subscriptions/s/rg/caches/c/flush?api-version=2024-11-01",
        None,
        reply(202, "", location=f"https://management.azure.test{SIGNED}"),
        SIGNED,
    ),
    (
        "azure-lro",
        "POST /subscriptions/s/rg/caches/c/flush?api-version=2024-11-01",
        None,
        reply(
            202,
            None,
            location="https://management.azure.test/results/1",
            azure_asyncoperation="https://management.azure.test/operations/1?api-version=2024-11-01",
        ),
        "/operations/1?api-version=2024-11-01",
    ),
    (
        "aip-151",
        "POST /projects/p/locations/l/instances",
        {"tier": "basic"},
        reply(200, {"name": OPERATION}),
        OPERATION,
    ),
    (
        "aip-155",
        "POST /projects/p/locations/l/instances",
        {"tier": "basic"},
        reply(200, {"name": OPERATION}),
        OPERATION,
    ),
    (
        "ogc-processes",
        "POST /processes/buffer/execution",
        {"inputs": {"distance": 5}},
        reply(201, {"jobID": "8157-4318", "status": "accepted"}, location="https://ogc.test/api/jobs/8157-4318"),
        "8157-4318",
    ),
    ("ogc-processes", "POST /processes/buffer/execution", {"inputs": {"distance": 5}}, reply(201, {"id": "j1"}), "j1"),
    (
        "redfish-task",
        "POST /redfish/v1/Systems/1/Actions/ComputerSystem.Reset",
        {"ResetType": "On"},
        reply(202, None, location="/redfish/v1/TaskService/TaskMonitors/545"),
        "/redfish/v1/TaskService/TaskMonitors/545",
    ),
    (
        "redfish-task",
        "POST /redfish/v1/Systems/1/Actions/ComputerSystem.Reset",
        {"ResetType": "On"},
        reply(202, {"@odata.id": "/redfish/v1/TaskService/Tasks/2", "TaskState": "New", "TaskStatus": "OK"}),
        "/redfish/v1/TaskService/Tasks/2",
    ),
    (
        "kubernetes-job",
        "POST /apis/batch/v1/namespaces/etl/jobs",
        {
            "apiVersion": "batch/v1",
            "kind": "Job",
            "metadata": {"name": f"nightly-{START_ID}", "labels": {"app.kubernetes.io/managed-by": "taskwatch"}},
            "spec": {"template": {"spec": {}}},
        },
        reply(201, {"metadata": {"name": f"nightly-{START_ID}"}}),
        f"nightly-{START_ID}",
    ),
    (
        "github-workflow",
        "POST /repos/octo/app/actions/workflows/ci.yml/dispatches",
        {"ref": "main", "inputs": {"day": "1"}, "return_run_details": True},
        reply(200, {"workflow_run_id": 22218765309, "run_url": "u", "html_url": "h"}),
        "22218765309",
    ),
    (
        "gitlab-pipeline",
        "POST /projects/group%2Fname/pipeline",
        {"ref": "main", "variables": [{"key": "DAY", "value": "1"}]},
        reply(201, {"id": 61, "iid": 21, "status": "created"}),
        "61",
    ),
    (
        "airflow-dag-run",
        "POST /api/v2/dags/nightly/dagRuns",
        {"dag_run_id": MARKER, "logical_date": None, "conf": {"day": "2026-01-31"}},
        reply(200, {"dag_run_id": MARKER, "state": "queued"}),
        MARKER,
    ),
    (
        "awx-job",
        "POST /job_templates/7/launch/",
        {"extra_vars": {"version": "1.2"}},
        reply(201, {"job": 42, "ignored_fields": {}, "id": 42, "type": "job", "status": "pending"}),
        "42",
    ),
    (
        "replicate",
        "POST /predictions",
        {"version": "owner/name", "input": {"prompt": "a corgi"}},
        reply(201, {"id": "hdwst0bb05rgp0cf0p29mzk2am", "status": "starting"}),
        "hdwst0bb05rgp0cf0p29mzk2am",
    ),
    (
        "openai-batch",
        "POST /batches",
        {
            "input_file_id": "file-1",
            "endpoint": "/v1/responses",
            "completion_window": "24h",
            "metadata": {"taskwatch": MARKER},
        },
        reply(200, {"id": "batch_abc123", "object": "batch", "status": "validating"}),
        "batch_abc123",
    ),
]


@each_row("name, sent, body, answer, ref", STARTS)
def test_the_reply_to_a_start_names_the_task(name, sent, body, answer, ref):
    steps, started = play(tasks(name).start(START_ID, MARKER), answer)
    [target] = targets(steps)
    assert target.partition("?requestId=")[0] == sent
    assert sent_body(steps) == body
    assert (started.ref, started.ended) == (ref, None)
    assert tasks(name).check_ref(ref) == ref


ENDED = [
    ("http-202", reply(200, {"rows": 3}), Phase.SUCCEEDED),
    ("http-202", reply(204), Phase.SUCCEEDED),
    ("http-202", reply(200, {"status": "failed"}), Phase.FAILED),
    ("azure-lro", reply(204), Phase.SUCCEEDED),
    ("azure-lro", reply(200, {"properties": {"provisioningState": "Succeeded"}}), Phase.SUCCEEDED),
    ("azure-lro", reply(202, {"status": "Failed"}), Phase.FAILED),
    ("aip-151", reply(200, {"done": True, "response": {}}), Phase.SUCCEEDED),
    ("aip-151", reply(200, {"name": OPERATION, "done": True, "error": {"code": 9}}), Phase.FAILED),
    ("redfish-task", reply(204), Phase.SUCCEEDED),
    ("redfish-task", reply(200, {"@Message.ExtendedInfo": []}), Phase.SUCCEEDED),
    ("replicate", reply(201, {"id": "h1", "status": "succeeded", "output": "x"}), Phase.SUCCEEDED),
]


@each_row("name, answer, phase", ENDED)
def test_a_task_may_be_done_at_once(name, answer, phase):
    started = result_of(tasks(name).start(START_ID, MARKER), answer)
    assert started.ended is not None
    assert started.ended.phase is phase


UNNAMED = [
    ("http-202", reply(202, {})),
    ("http-202", reply(202, None, location="https://elsewhere.test/exports/7")),
    ("azure-lro", reply(202, None)),
    ("azure-lro", reply(202, None, location="https://elsewhere.test/operations/1")),
    ("aip-151", reply(200, {"metadata": {}})),
    ("github-workflow", reply(204)),
    ("jenkins", reply(201, "")),
    ("ogc-processes", reply(201, {"status": "accepted"})),
]


@each_row("name, answer", UNNAMED)
def test_a_reply_that_names_no_task_of_this_host_is_no_start(name, answer):
    with pytest.raises(ReplyError, match="names no"):
        result_of(tasks(name).start(START_ID, MARKER), answer)


def test_the_inputs_of_a_start_may_be_absent():
    for name, needed in (
        ("airflow-dag-run", ("dag_id",)),
        ("awx-job", ("template",)),
        ("github-workflow", ("owner", "repo", "workflow", "ref")),
        ("gitlab-pipeline", ("project", "ref")),
        ("http-202", ("path",)),
        ("aip-151", ("path",)),
    ):
        given = {one: INPUTS[name][one] for one in needed}
        answer = next(row[3] for row in STARTS if row[0] == name)
        assert result_of(tasks(name, given).start(START_ID, MARKER), answer).ref


def test_what_exists_is_adopted_after_a_lost_reply():
    for name, ref in (("kubernetes-job", f"nightly-{START_ID}"), ("airflow-dag-run", MARKER)):
        started = result_of(tasks(name).start(START_ID, MARKER), reply(409, {"reason": "AlreadyExists"}))
        assert (started.ref, started.ended) == (ref, None)


def test_a_repeated_request_id_is_the_same_and_a_uuid_of_version_4():
    paths = [targets(play(tasks("aip-155").start(START_ID, MARKER), reply(200, {"name": OPERATION}))[0]) for _ in "12"]
    assert paths[0] == paths[1]
    assert re.search(r"\?requestId=[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$", paths[0][0])
    assert profile("aip-151").start.replay is None


def test_a_callback_address_is_sent_where_there_is_one():
    steps, _ = play(tasks("replicate").start(START_ID, MARKER, "https://cb.test/1"), reply(201, {"id": "h1"}))
    assert sent_body(steps)["webhook"] == "https://cb.test/1"


# --- polls

REFS = {
    "http-202": "/exports/7/status",
    "azure-lro": SIGNED,
    "aip-151": OPERATION,
    "aip-155": OPERATION,
    "ogc-processes": "8157-4318",
    "redfish-task": "/redfish/v1/TaskService/TaskMonitors/545",
    "kubernetes-job": f"nightly-{START_ID}",
    "github-workflow": "22218765309",
    "gitlab-pipeline": "61",
    "jenkins": "/queue/item/143/",
    "airflow-dag-run": MARKER,
    "awx-job": "42",
    "replicate": "hdwst0bb05rgp0cf0p29mzk2am",
    "openai-batch": "batch_abc123",
}
POLLED = {
    "http-202": "/exports/7/status",
    "azure-lro": SIGNED,
    "aip-151": f"/{OPERATION}",
    "aip-155": f"/{OPERATION}",
    "ogc-processes": "/jobs/8157-4318",
    "redfish-task": "/redfish/v1/TaskService/TaskMonitors/545",
    "kubernetes-job": f"/apis/batch/v1/namespaces/etl/jobs/nightly-{START_ID}",
    "github-workflow": "/repos/octo/app/actions/runs/22218765309",
    "gitlab-pipeline": "/projects/group%2Fname/pipelines/61",
    "jenkins": "/queue/item/143/api/json",
    "airflow-dag-run": f"/api/v2/dags/nightly/dagRuns/{MARKER}",
    "awx-job": "/jobs/42/",
    "replicate": "/predictions/hdwst0bb05rgp0cf0p29mzk2am",
    "openai-batch": "/batches/batch_abc123",
}


def condition(kind: str, status: str = "True", **others: str) -> dict[str, str]:
    return {"type": kind, "status": status, **others}


def job(*conditions: Mapping[str, str], metadata: Mapping[str, Any] | None = None, **status: Any) -> dict[str, Any]:
    held = {"conditions": [*conditions]} if conditions else {}
    return {
        "metadata": {"name": f"nightly-{START_ID}", **(metadata or {})},
        "spec": {"completions": 4},
        "status": {**held, **status},
    }


BACKOFF = {"reason": "BackoffLimitExceeded", "message": "Job has reached the specified backoff limit"}
BEGAN = {"startTime": "2026-01-31T06:00:00Z"}
INFO = {"error": {"message": "general", "@Message.ExtendedInfo": [{"Message": "The image is not valid"}]}}

READS: list[tuple[str, Reply, Phase, float | None, str]] = [
    # a code, or a word where there is one
    ("http-202", reply(202, None, retry_after="5"), Phase.RUNNING, None, ""),
    ("http-202", reply(202, {"progress": "40 %", "message": "2 of 5"}), Phase.RUNNING, 40.0, "2 of 5"),
    ("http-202", reply(202, {"status": "Queued"}), Phase.PENDING, None, ""),
    ("http-202", reply(202, {"state": "failed", "error": "disk"}), Phase.FAILED, None, "disk"),
    ("http-202", reply(303, None, location="/exports/7"), Phase.SUCCEEDED, None, ""),
    ("http-202", reply(200, {"rows": 3}), Phase.SUCCEEDED, None, ""),
    ("http-202", reply(200, [1, 2]), Phase.SUCCEEDED, None, ""),
    ("http-202", reply(204), Phase.SUCCEEDED, None, ""),
    ("http-202", reply(200, {"status": "running", "percentComplete": 60}), Phase.RUNNING, 60.0, ""),
    ("http-202", reply(200, {"status": "canceled"}), Phase.CANCELLED, None, ""),
    ("http-202", reply(200, {"status": "levitating"}), Phase.UNKNOWN, None, ""),
    # Location: 202 until the end, and then a code that some services contradict
    ("azure-lro", reply(202, "", location="https://management.azure.test/x"), Phase.RUNNING, None, ""),
    ("azure-lro", reply(202, {"properties": {"provisioningState": "Creating"}}), Phase.RUNNING, None, ""),
    ("azure-lro", reply(200), Phase.SUCCEEDED, None, ""),
    ("azure-lro", reply(204), Phase.SUCCEEDED, None, ""),
    ("azure-lro", reply(200, {"value": 3}), Phase.SUCCEEDED, None, ""),
    ("azure-lro", reply(200, {"type": "Microsoft.Cache/redis", "properties": {"port": 1}}), Phase.SUCCEEDED, None, ""),
    (
        "azure-lro",
        reply(200, {"status": "Failed", "error": {"code": "Conflict", "message": "The cache is busy"}}),
        Phase.FAILED,
        None,
        "The cache is busy",
    ),
    # a status monitor
    ("azure-lro", reply(200, {"id": "1", "status": "NotStarted"}), Phase.PENDING, None, ""),
    ("azure-lro", reply(200, {"status": "Running", "percentComplete": 30.5}), Phase.RUNNING, 30.5, ""),
    ("azure-lro", reply(200, {"status": "InProgress"}), Phase.RUNNING, None, ""),
    ("azure-lro", reply(200, {"status": "Pending"}), Phase.RUNNING, None, ""),
    ("azure-lro", reply(202, {"status": "Succeeded"}), Phase.SUCCEEDED, None, ""),
    ("azure-lro", reply(200, {"status": "Canceled"}), Phase.CANCELLED, None, ""),
    # the resource itself
    ("azure-lro", reply(200, {"properties": {"provisioningState": "Updating"}}), Phase.RUNNING, None, ""),
    ("azure-lro", reply(200, {"properties": {"provisioningState": "Succeeded"}}), Phase.SUCCEEDED, None, ""),
    ("azure-lro", reply(200, {"properties": {"provisioningState": "Failed"}}), Phase.FAILED, None, ""),
    *(
        row
        for name in ("aip-151", "aip-155")
        for row in (
            (name, reply(200, {"name": OPERATION}), Phase.RUNNING, None, ""),
            (name, reply(200, {"name": OPERATION, "done": False}), Phase.RUNNING, None, ""),
            (
                name,
                reply(200, {"name": OPERATION, "metadata": {"progressPercent": 40, "statusDetail": "copying"}}),
                Phase.RUNNING,
                40.0,
                "copying",
            ),
            (name, reply(200, {"name": OPERATION, "done": True, "response": {"a": 1}}), Phase.SUCCEEDED, None, ""),
            (name, reply(200, {"name": OPERATION, "done": True, "response": {}}), Phase.SUCCEEDED, None, ""),
            (
                name,
                reply(200, {"name": OPERATION, "done": True, "error": {"code": 8, "message": "quota"}}),
                Phase.FAILED,
                None,
                "quota",
            ),
            (
                name,
                reply(200, {"name": OPERATION, "done": True, "error": {"code": 1, "message": "over"}}),
                Phase.CANCELLED,
                None,
                "over",
            ),
            (name, reply(200, {}), Phase.UNKNOWN, None, ""),
        )
    ),
    ("ogc-processes", reply(200, {"status": "created"}), Phase.PENDING, None, ""),
    ("ogc-processes", reply(200, {"status": "accepted", "progress": 0}), Phase.PENDING, 0.0, ""),
    (
        "ogc-processes",
        reply(200, {"status": "running", "progress": 50, "message": "step 1"}),
        Phase.RUNNING,
        50.0,
        "step 1",
    ),
    ("ogc-processes", reply(200, {"status": "successful", "progress": 100}), Phase.SUCCEEDED, 100.0, ""),
    (
        "ogc-processes",
        reply(200, {"status": "failed", "exception": {"title": "bad input"}}),
        Phase.FAILED,
        None,
        "bad input",
    ),
    ("ogc-processes", reply(200, {"status": "dismissed", "progress": 56}), Phase.CANCELLED, 56.0, ""),
    ("ogc-processes", reply(200, {"status": "deployed"}), Phase.UNKNOWN, None, ""),
    # the monitor: a code, perhaps with the task; at the end what the action itself would have answered
    ("redfish-task", reply(202), Phase.RUNNING, None, ""),
    ("redfish-task", reply(202, {"TaskState": "Running", "PercentComplete": 20}), Phase.RUNNING, 20.0, ""),
    ("redfish-task", reply(204), Phase.SUCCEEDED, None, ""),
    ("redfish-task", reply(200, {"@Message.ExtendedInfo": []}), Phase.SUCCEEDED, None, ""),
    ("redfish-task", reply(400, INFO), Phase.FAILED, None, "The image is not valid"),
    ("redfish-task", reply(409, {"error": {"message": "busy"}}), Phase.FAILED, None, "busy"),
    ("redfish-task", reply(412, None), Phase.FAILED, None, ""),
    # the task itself
    *(
        ("redfish-task", reply(200, {"TaskState": word}), Phase.PENDING, None, "")
        for word in ("New", "Starting", "Pending")
    ),
    *(
        ("redfish-task", reply(200, {"TaskState": word}), Phase.RUNNING, None, "")
        for word in ("Running", "Interrupted", "Stopping", "Cancelling", "Service")
    ),
    ("redfish-task", reply(200, {"TaskState": "Suspended"}), Phase.BLOCKED, None, ""),
    (
        "redfish-task",
        reply(
            200, {"TaskState": "Completed", "Messages": [{"Message": "a"}, {"Message": "b"}], "PercentComplete": 100}
        ),
        Phase.SUCCEEDED,
        100.0,
        "b",
    ),
    ("redfish-task", reply(200, {"TaskState": "Exception", "TaskStatus": "Critical"}), Phase.FAILED, None, ""),
    ("redfish-task", reply(200, {"TaskState": "Cancelled"}), Phase.CANCELLED, None, ""),
    ("redfish-task", reply(200, {"TaskState": "Killed"}), Phase.CANCELLED, None, ""),
    ("redfish-task", reply(200, {"TaskState": "Dreaming"}), Phase.UNKNOWN, None, ""),
    ("kubernetes-job", reply(200, job()), Phase.PENDING, None, ""),
    ("kubernetes-job", reply(200, job(**BEGAN, active=1, succeeded=1)), Phase.RUNNING, 25.0, ""),
    ("kubernetes-job", reply(200, job(condition("Suspended"))), Phase.BLOCKED, None, ""),
    ("kubernetes-job", reply(200, job(condition("Suspended", "False"), **BEGAN)), Phase.RUNNING, None, ""),
    (
        "kubernetes-job",
        reply(200, job(condition("FailureTarget", **BACKOFF), **BEGAN)),
        Phase.RUNNING,
        None,
        ": ".join(BACKOFF.values()),
    ),
    (
        "kubernetes-job",
        reply(200, job(condition("FailureTarget", **BACKOFF), condition("Failed", **BACKOFF), **BEGAN, failed=7)),
        Phase.FAILED,
        None,
        "BackoffLimitExceeded: Job has reached the specified backoff limit",
    ),
    (
        "kubernetes-job",
        reply(200, job(condition("Failed", reason="DeadlineExceeded"))),
        Phase.FAILED,
        None,
        "DeadlineExceeded",
    ),
    ("kubernetes-job", reply(200, job(condition("SuccessCriteriaMet"), **BEGAN)), Phase.RUNNING, None, ""),
    (
        "kubernetes-job",
        reply(200, job(condition("SuccessCriteriaMet"), condition("Complete"), **BEGAN, succeeded=4)),
        Phase.SUCCEEDED,
        100.0,
        "",
    ),
    ("kubernetes-job", reply(200, job(metadata={"deletionTimestamp": "now"}, **BEGAN)), Phase.CANCELLED, None, ""),
    (
        "kubernetes-job",
        reply(200, job(condition("Complete"), metadata={"deletionTimestamp": "now"}, succeeded=4)),
        Phase.SUCCEEDED,
        100.0,
        "",
    ),
    ("kubernetes-job", reply(200, {}), Phase.UNKNOWN, None, ""),
    *(
        ("github-workflow", reply(200, {"status": status, "conclusion": None}), phase, None, "")
        for status, phase in (
            ("queued", Phase.PENDING),
            ("requested", Phase.PENDING),
            ("pending", Phase.PENDING),
            ("waiting", Phase.BLOCKED),
            ("in_progress", Phase.RUNNING),
            ("completed", Phase.RUNNING),
            ("paused", Phase.UNKNOWN),
        )
    ),
    *(
        (
            "github-workflow",
            reply(200, {"status": "completed", "conclusion": word, "display_title": "Nightly"}),
            phase,
            None,
            "Nightly",
        )
        for word, phase in (
            ("success", Phase.SUCCEEDED),
            ("neutral", Phase.SKIPPED),
            ("skipped", Phase.SKIPPED),
            ("cancelled", Phase.CANCELLED),
            ("failure", Phase.FAILED),
            ("timed_out", Phase.FAILED),
            ("stale", Phase.FAILED),
            ("startup_failure", Phase.FAILED),
            ("action_required", Phase.BLOCKED),
            ("deferred", Phase.UNKNOWN),
        )
    ),
    *(
        ("gitlab-pipeline", reply(200, {"id": 61, "status": status}), phase, None, "")
        for status, phase in (
            ("created", Phase.PENDING),
            ("waiting_for_resource", Phase.PENDING),
            ("preparing", Phase.PENDING),
            ("waiting_for_callback", Phase.PENDING),
            ("pending", Phase.PENDING),
            ("scheduled", Phase.PENDING),
            ("running", Phase.RUNNING),
            ("canceling", Phase.RUNNING),
            ("manual", Phase.BLOCKED),
            ("success", Phase.SUCCEEDED),
            ("skipped", Phase.SKIPPED),
            ("failed", Phase.FAILED),
            ("canceled", Phase.CANCELLED),
            ("on_hold", Phase.UNKNOWN),
        )
    ),
    (
        "gitlab-pipeline",
        reply(200, {"id": 61, "status": "failed", "yaml_errors": "jobs config should contain a visible job"}),
        Phase.FAILED,
        None,
        "jobs config should contain a visible job",
    ),
    (
        "jenkins",
        reply(200, {"id": 143, "why": "In the quiet period", "stuck": False}),
        Phase.PENDING,
        None,
        "In the quiet period",
    ),
    ("jenkins", reply(200, {"id": 143, "why": "no nodes", "stuck": True}), Phase.BLOCKED, None, "no nodes"),
    ("jenkins", reply(200, {"id": 143, "cancelled": True, "why": None}), Phase.CANCELLED, None, ""),
    ("jenkins", reply(200, {}), Phase.UNKNOWN, None, ""),
    ("airflow-dag-run", reply(200, {"state": "queued", "note": None}), Phase.PENDING, None, ""),
    ("airflow-dag-run", reply(200, {"state": "running"}), Phase.RUNNING, None, ""),
    ("airflow-dag-run", reply(200, {"state": "success"}), Phase.SUCCEEDED, None, ""),
    ("airflow-dag-run", reply(200, {"state": "failed", "note": "late"}), Phase.FAILED, None, "late"),
    ("airflow-dag-run", reply(200, {"state": "restarting"}), Phase.UNKNOWN, None, ""),
    *(
        ("awx-job", reply(200, {"id": 42, "status": status}), phase, None, "")
        for status, phase in (
            ("new", Phase.PENDING),
            ("pending", Phase.PENDING),
            ("waiting", Phase.PENDING),
            ("running", Phase.RUNNING),
            ("successful", Phase.SUCCEEDED),
            ("failed", Phase.FAILED),
            ("error", Phase.FAILED),
            ("canceled", Phase.CANCELLED),
            ("never updated", Phase.UNKNOWN),
        )
    ),
    (
        "awx-job",
        reply(200, {"status": "error", "job_explanation": "", "result_traceback": "trace"}),
        Phase.FAILED,
        None,
        "trace",
    ),
    *(
        ("replicate", reply(200, {"id": "h1", "status": status, "error": None}), phase, None, "")
        for status, phase in (
            ("starting", Phase.PENDING),
            ("processing", Phase.RUNNING),
            ("succeeded", Phase.SUCCEEDED),
            ("canceled", Phase.CANCELLED),
            ("aborted", Phase.CANCELLED),
            ("dreaming", Phase.UNKNOWN),
        )
    ),
    ("replicate", reply(200, {"id": "h1", "status": "failed", "error": "no prompt"}), Phase.FAILED, None, "no prompt"),
    *(
        (
            "openai-batch",
            reply(200, {"id": "b", "status": status, "request_counts": {"total": 4, "completed": 1}}),
            phase,
            25.0,
            "",
        )
        for status, phase in (
            ("validating", Phase.PENDING),
            ("in_progress", Phase.RUNNING),
            ("finalizing", Phase.RUNNING),
            ("cancelling", Phase.RUNNING),
            ("completed", Phase.SUCCEEDED),
            ("expired", Phase.FAILED),
            ("cancelled", Phase.CANCELLED),
            ("paused", Phase.UNKNOWN),
        )
    ),
    (
        "openai-batch",
        reply(
            200,
            {
                "id": "b",
                "status": "failed",
                "errors": {"data": [{"message": "line 3"}]},
                "request_counts": {"total": 0, "completed": 0},
            },
        ),
        Phase.FAILED,
        None,
        "line 3",
    ),
]


@each_row("name, answer, phase, progress, message", READS)
def test_a_poll_is_read(name, answer, phase, progress, message):
    steps, seen = play(tasks(name).observe(REFS[name]), answer)
    assert targets(steps) == [f"GET {POLLED[name]}"]
    assert (seen.phase, seen.progress, seen.message) == (phase, progress, message)


@each_row("name", [name for name in NAMES if name != "http-202"])
def test_each_word_of_a_preset_is_played(name):
    """The tables above were written from the schemas, so a word that is only in the preset is a slip."""
    played = {one for row, answer, *_ in READS if row == name for one in re.findall(r'"([^"]*)"', answer.text(10_000))}
    words = {word for one, words in profile(name).poll.phases.items() if one != "otherwise" for word in words}
    assert not words - {one.casefold() for one in played}


@each_row("name", NAMES)
def test_a_task_that_is_unknown_is_lost(name):
    assert result_of(tasks(name).observe(REFS[name]), reply(404, {})).phase is Phase.LOST


def test_where_the_code_alone_tells_the_state_no_word_is_read():
    system = tasks("http-202", {**INPUTS["http-202"], "state_in": "code"})
    assert result_of(system.observe("/e/7"), reply(202, {"status": "done"})).phase is Phase.RUNNING
    assert result_of(system.observe("/e/7"), reply(200, {"status": "on sale"})).phase is Phase.SUCCEEDED


def test_a_poll_waits_for_as_long_as_the_remote_asks_for():
    for name in ("http-202", "azure-lro", "redfish-task"):
        assert result_of(tasks(name).observe(REFS[name]), reply(202, None, retry_after="15")).retry_after == 15.0


def test_a_put_of_an_azure_resource_goes_on_behind_its_201():
    system = tasks("azure-lro", start={"method": "PUT"})
    answer = reply(
        201,
        {"properties": {"provisioningState": "Succeeded"}},
        azure_asyncoperation="https://management.azure.test/operations/1",
    )
    steps, started = play(system.start(START_ID, MARKER), answer)
    assert targets(steps)[0].startswith("PUT ")
    assert (started.ref, started.ended) == ("/operations/1", None)


def test_the_result_of_a_google_operation_is_its_response():
    answer = reply(200, {"name": OPERATION, "done": True, "response": {"name": "instances/1"}})
    seen = result_of(tasks("aip-151").observe(OPERATION), answer)
    assert seen.result == {"name": OPERATION, "response": {"name": "instances/1"}}


def test_the_result_of_an_ogc_job_has_the_link_to_its_results():
    links = [
        {"rel": "self", "href": "s"},
        {"href": "x"},
        {"rel": "http://www.opengis.net/def/rel/ogc/1.0/results", "href": "r"},
    ]
    seen = result_of(
        tasks("ogc-processes").observe("1"), reply(200, {"id": "1", "status": "successful", "links": links})
    )
    assert (seen.result["job_id"], seen.result["results"]) == ("1", "r")


# --- cancels

CANCELS = [
    ("aip-151", OPERATION, f"POST /{OPERATION}:cancel", {}, reply(200, {}), Effect.CANCELLED),
    ("aip-155", OPERATION, f"POST /{OPERATION}:cancel", {}, reply(200, {}), Effect.CANCELLED),
    (
        "ogc-processes",
        "j1",
        "DELETE /jobs/j1",
        None,
        reply(200, {"jobID": "j1", "status": "dismissed"}),
        Effect.CANCELLED,
    ),
    ("ogc-processes", "j1", "DELETE /jobs/j1", None, reply(410, {}), Effect.ENDED),
    (
        "redfish-task",
        "/redfish/v1/TaskService/Tasks/2",
        "DELETE /redfish/v1/TaskService/Tasks/2",
        None,
        reply(204),
        Effect.CANCELLED,
    ),
    (
        "kubernetes-job",
        "j1",
        "DELETE /apis/batch/v1/namespaces/etl/jobs/j1?propagationPolicy=Background",
        None,
        reply(200, {"status": "Success"}),
        Effect.CANCELLED,
    ),
    ("github-workflow", "7", "POST /repos/octo/app/actions/runs/7/cancel", None, reply(202, {}), Effect.CANCELLED),
    ("github-workflow", "7", "POST /repos/octo/app/actions/runs/7/cancel", None, reply(409, {}), Effect.ENDED),
    (
        "gitlab-pipeline",
        "61",
        "POST /projects/group%2Fname/pipelines/61/cancel",
        None,
        reply(200, {}),
        Effect.CANCELLED,
    ),
    (
        "jenkins",
        "/queue/item/143/",
        "POST /queue/item/143/cancelQueue",
        None,
        reply(302, "", location="/jenkins/"),
        Effect.CANCELLED,
    ),
    (
        "jenkins",
        "/job/n/14/#build",
        "POST /job/n/14/stop",
        None,
        reply(302, "", location="/jenkins/job/n/14/"),
        Effect.CANCELLED,
    ),
    ("jenkins", "/job/n/14/#build", "POST /job/n/14/stop", None, reply(200, ""), Effect.CANCELLED),
    (
        "airflow-dag-run",
        "r1",
        "PATCH /api/v2/dags/nightly/dagRuns/r1?update_mask=state",
        {"state": "failed"},
        reply(200, {"state": "failed"}),
        Effect.CANCELLED,
    ),
    ("awx-job", "42", "POST /jobs/42/cancel/", None, reply(202, ""), Effect.CANCELLED),
    ("awx-job", "42", "POST /jobs/42/cancel/", None, reply(405, {"detail": "Method not allowed"}), Effect.ENDED),
    ("replicate", "h1", "POST /predictions/h1/cancel", None, reply(200, {"status": "canceled"}), Effect.CANCELLED),
    ("openai-batch", "b1", "POST /batches/b1/cancel", None, reply(200, {"status": "cancelling"}), Effect.CANCELLED),
]


@each_row("name, ref, sent, body, answer, effect", CANCELS)
def test_a_cancel_is_sent_and_its_code_is_understood(name, ref, sent, body, answer, effect):
    steps, found = play(tasks(name).cancel(ref), answer)
    assert (targets(steps), sent_body(steps), found) == ([sent], body, effect)
    assert result_of(tasks(name).cancel(ref), reply(404, {})) is Effect.UNKNOWN
    with pytest.raises(RemoteError):
        result_of(tasks(name).cancel(ref), reply(403, {}))


def test_only_what_is_not_standard_has_no_cancel():
    cancelled = {row[0] for row in CANCELS}
    assert {name for name in NAMES if not tasks(name).can_cancel} == set(NAMES) - cancelled == {"azure-lro", "http-202"}


# --- lists and finds

OWN_JOBS = "/apis/batch/v1/namespaces/etl/jobs?labelSelector=app.kubernetes.io%2Fmanaged-by%3Dtaskwatch&limit=500"
LISTS = [
    (
        "kubernetes-job",
        ["a", "b", "c"],
        [
            reply(200, {"metadata": {"continue": "t1"}, "items": [{"metadata": {"name": "a"}, "status": BEGAN}]}),
            reply(200, {"metadata": {}, "items": [job(condition("Complete"), metadata={"name": "b"})]}),
        ],
        [
            f"GET {OWN_JOBS}",
            f"GET {OWN_JOBS}&continue=t1",
        ],
        {"a": Phase.RUNNING, "b": Phase.SUCCEEDED},
    ),
    (
        "github-workflow",
        ["7", "9"],
        [reply(200, {"workflow_runs": [{"id": 7, "status": "queued"}, {"id": 8, "conclusion": "success"}]})],
        ["GET /repos/octo/app/actions/runs?event=workflow_dispatch&per_page=50"],
        {"7": Phase.PENDING},
    ),
    (
        "gitlab-pipeline",
        ["61", "62"],
        [reply(200, [{"id": 61, "status": "running"}, {"id": 62, "status": "success"}])],
        ["GET /projects/group%2Fname/pipelines?order_by=updated_at&per_page=100&sort=desc"],
        {"61": Phase.RUNNING},
    ),
    (
        "jenkins",
        ["/queue/item/143/", "/queue/item/9/", "/job/n/1/#build"],
        [reply(200, {"items": [{"id": 143, "url": "queue/item/143/", "stuck": True, "why": "no nodes"}]})],
        ["GET /queue/api/json?tree=items%5Bid,url,stuck,why%5D"],
        {"/queue/item/143/": Phase.BLOCKED},
    ),
    (
        "airflow-dag-run",
        ["r0", "r100"],
        [
            reply(200, {"dag_runs": [{"dag_run_id": f"r{at}", "state": "queued"} for at in range(100)]}),
            reply(200, {"dag_runs": [{"dag_run_id": "r100", "state": "queued"}]}),
        ],
        [
            "GET /api/v2/dags/nightly/dagRuns?limit=100&order_by=-run_after&state=queued&state=running",
            "GET /api/v2/dags/nightly/dagRuns?limit=100&offset=100&order_by=-run_after&state=queued&state=running",
        ],
        {"r0": Phase.PENDING, "r100": Phase.PENDING},
    ),
    (
        "awx-job",
        ["42", "43"],
        [
            reply(
                200,
                {
                    "count": 2,
                    "next": None,
                    "results": [{"id": 42, "status": "running"}, {"id": 43, "status": "failed"}],
                },
            )
        ],
        ["GET /unified_jobs/?id__in=42%2C43&page_size=100"],
        {"42": Phase.RUNNING},
    ),
    (
        "replicate",
        ["h1", "h2"],
        [
            reply(
                200,
                {"next": None, "results": [{"id": "h1", "status": "processing"}, {"id": "h2", "status": "succeeded"}]},
            )
        ],
        ["GET /predictions"],
        {"h1": Phase.RUNNING},
    ),
    (
        "openai-batch",
        ["b1", "b2"],
        [
            reply(
                200,
                {
                    "data": [{"id": "b1", "status": "in_progress"}, {"id": "b2", "status": "completed"}],
                    "has_more": True,
                },
            )
        ],
        ["GET /batches?limit=100"],
        {"b1": Phase.RUNNING, "b2": Phase.SUCCEEDED},
    ),
]


@each_row("name, refs, pages, sent, phases", LISTS)
def test_many_tasks_are_read_by_pages(name, refs, pages, sent, phases):
    system = tasks(name)
    steps, seen = play(system.observe_many(system.selector({}), refs), *pages)
    assert [sorted(re.split("[?&]", one)) for one in targets(steps)] == [sorted(re.split("[?&]", one)) for one in sent]
    assert {ref: one.phase for ref, one in seen.items()} == phases


def test_a_list_of_jobs_goes_on_where_awx_says():
    page = reply(200, {"next": "/api/v2/unified_jobs/?id__in=42&page=2", "results": [{"id": 1, "status": "new"}]})
    steps, _ = play(tasks("awx-job").observe_many("s", ["42"]), page, reply(200, {"next": None, "results": []}))
    assert targets(steps)[1] == "GET /unified_jobs/?id__in=42&page=2"


def test_presets_without_a_list_say_so():
    assert {name for name in NAMES if tasks(name).selector({})} == {row[0] for row in LISTS}


def test_a_batch_is_found_by_its_marker_on_a_later_page():
    first = reply(200, {"data": [{"id": "b9", "metadata": {"taskwatch": "x"}}], "has_more": True, "last_id": "b9"})
    second = reply(200, {"data": [{"id": "b1", "metadata": {"taskwatch": MARKER}}], "has_more": False, "last_id": "b1"})
    steps, found = play(tasks("openai-batch").find(MARKER), first, second)
    assert found == "b1"
    assert [sorted(re.split("[?&]", one)) for one in targets(steps)] == [
        ["GET /batches", "limit=100"],
        ["GET /batches", "after=b9", "limit=100"],
    ]
    assert result_of(tasks("openai-batch").find("taskwatch-2"), first, second) is None


def test_a_chosen_id_is_found_by_reading_it():
    for name, ref, content in (("kubernetes-job", "n-1", job()), ("airflow-dag-run", MARKER, {"state": "queued"})):
        assert result_of(tasks(name).find(ref), reply(200, content)) == ref
        assert result_of(tasks(name).find(ref), reply(404, {})) is None


GITHUB_FIND = {
    "start": {"body": {"inputs": {"marker": "{marker}"}}},
    "find": {
        "path": "/repos/{inputs.owner}/{inputs.repo}/actions/workflows/{inputs.workflow}/runs?event=workflow_dispatch",
        "items": "body.workflow_runs",
        "ref": "id",
        "where": {"display_title": {"contains": "{marker}"}},
        "page": "link",
    },
}


def test_a_github_server_that_names_no_run_needs_a_marker_in_the_title():
    system = tasks("github-workflow", **GITHUB_FIND)
    with pytest.raises(ReplyError, match="names no run"):
        result_of(system.start(START_ID, MARKER), reply(204))
    assert system.keeps_marker
    assert not tasks("github-workflow").keeps_marker
    first = reply(
        200,
        {"workflow_runs": [{"id": 9, "display_title": "Nightly"}]},
        link='<https://remote.test/repositories/1/runs?page=2>; rel="next", <https://remote.test/x>; rel="last"',
    )
    second = reply(200, {"workflow_runs": [{"id": 7, "display_title": f"Nightly ({MARKER})"}]})
    steps, found = play(system.find(MARKER), first, second)
    assert found == "7"
    assert targets(steps) == [
        "GET /repos/octo/app/actions/workflows/ci.yml/runs?event=workflow_dispatch",
        "GET /repositories/1/runs?page=2",
    ]


def test_the_comment_in_the_github_preset_is_the_change_that_was_tested():
    text = (PRESETS / "github-workflow.yaml").read_text()
    for line in (
        'start: {body: {inputs: {marker: "{marker}"}}}',
        f'path: "{GITHUB_FIND["find"]["path"]}"',
        "page: link",
    ):
        assert line in text


# --- Jenkins: an item of the queue becomes a build

BUILD = {"number": 14, "url": "http://localhost:8080/jenkins/job/nightly/14/"}


def test_a_build_is_asked_for_as_a_form_and_waits_in_the_queue():
    answer = reply(201, "", location="http://localhost:8080/jenkins/queue/item/143/")
    steps, started = play(tasks("jenkins").start(START_ID, MARKER), answer)
    [call] = steps
    assert targets(steps) == ["POST /job/team/job/nightly/buildWithParameters"]
    assert call.body == b"DAY=2026-01-31&NOTE=a+b"
    assert call.headers["Content-Type"] == "application/x-www-form-urlencoded"
    assert started.ref == "/queue/item/143/"


def test_an_item_that_has_left_the_queue_goes_on_as_its_build():
    answer = reply(200, {"id": 143, "cancelled": False, "why": None, "executable": BUILD})
    seen = result_of(tasks("jenkins").observe("/queue/item/143/"), answer)
    assert (seen.phase, seen.moved_to) == (Phase.PENDING, "/job/nightly/14/#build")


@each_row(
    "content, phase",
    [
        ({"building": True, "result": None}, Phase.RUNNING),
        ({"building": True, "result": "FAILURE"}, Phase.RUNNING),
        ({"building": False, "inProgress": True, "result": "SUCCESS"}, Phase.RUNNING),
        ({"building": False, "result": "SUCCESS"}, Phase.SUCCEEDED),
        ({"building": False, "result": "UNSTABLE"}, Phase.FAILED),
        ({"building": False, "result": "FAILURE"}, Phase.FAILED),
        ({"building": False, "result": "NOT_BUILT"}, Phase.FAILED),
        ({"building": False, "result": "ABORTED"}, Phase.CANCELLED),
        ({"building": False, "result": None}, Phase.UNKNOWN),
    ],
)
def test_a_build_is_read(content, phase):
    answer = reply(200, {**BUILD, **content, "description": "nightly run"})
    steps, seen = play(tasks("jenkins").observe("/job/nightly/14/#build"), answer)
    assert targets(steps)[0].startswith("GET /job/nightly/14/api/json?tree=number")
    assert (seen.phase, seen.message) == (phase, "nightly run")


# --- probes


@each_row("name", [name for name in NAMES if profile(name).probe])
def test_the_connection_test_is_one_read(name):
    steps, told = play(tasks(name).probe(), reply(200, {}))
    assert targets(steps)[0].startswith("GET /")
    assert "accepted" in told
