"""``taskwatch profile``, without an Airflow that runs."""

from __future__ import annotations

import copy
import json
from argparse import Namespace
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml

from airflow_provider_taskwatch.command.profile import profile
from tests.command.recording import API, CASSETTE, COOKIE, LIFE, SIGNATURE, TOKEN, har_entry, workflow_har, written
from tests.sandbox.profile.profiles import CHOSEN, MONITOR, QUEUE, REPLAYED, WORKFLOW

Run = Callable[..., tuple[int, str]]


@pytest.fixture
def run(capsys: pytest.CaptureFixture[str]) -> Run:
    """Runs the command; returns its exit code and what it prints."""

    def run(action: str, name: object = None, exchange: object = None, *, schema: bool = False) -> tuple[int, str]:
        code = 0
        try:
            profile(
                Namespace(
                    action=action,
                    profile=None if name is None else str(name),
                    exchange=None if exchange is None else str(exchange),
                    schema=schema,
                )
            )
        except SystemExit as end:
            code = int(str(end.code))
        return code, capsys.readouterr().out

    return run


def saved(folder: Path, content: Any, name: str = "own.yaml") -> Path:
    path = folder / name
    path.write_text(yaml.safe_dump(content))
    return path


# --- list, show, check


def test_the_list_has_presets_and_own_profiles_and_goes_on_after_a_broken_one(
    run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AIRFLOW__TASKWATCH__PROFILES_FOLDER", str(tmp_path))
    source = {"url": "https://docs.example.com", "read": "2026-12-01", "checked": "documentation"}
    saved(tmp_path, {**WORKFLOW, "title": "Workflows", "source": source}, "a-workflow.yaml")
    saved(tmp_path, {"profile": 1}, "broken.yaml")
    code, text = run("list")
    assert code == 0
    assert "a-workflow run; Workflows; checked against: documentation" in text.splitlines()
    assert "broken " in text


def test_a_file_is_shown_as_it_is(run: Run, tmp_path: Path) -> None:
    path = tmp_path / "own.yaml"
    path.write_text("# my API\n" + yaml.safe_dump(WORKFLOW))
    assert run("show", path) == (0, f"{path.read_text()}\n")


def test_a_change_of_another_profile_is_shown_as_what_becomes_of_it(run: Run, tmp_path: Path) -> None:
    saved(tmp_path, WORKFLOW, "base.yaml")
    code, text = run("show", saved(tmp_path, {"preset": "./base.yaml", "noun": "build"}))
    assert (code, json.loads(text)["noun"]) == (0, "build")


def test_a_check_says_what_a_profile_can_do(run: Run, tmp_path: Path) -> None:
    code, text = run("check", saved(tmp_path, QUEUE))
    assert code == 0
    said = {line.split()[0]: " ".join(line.split()[1:]) for line in text.splitlines()}
    assert said["OK"].endswith("own.yaml: queue")
    assert said["inputs"] == "job, parameters"
    assert said["start"] == "a person decides after a lost reply"
    assert said["stages"] == "the first one, then build"
    assert said["cancel"] == "yes, in the first stage, build"
    assert said["listed"].startswith("no")
    assert "!! inputs: job, parameters are not described" in text
    assert "none for cancelled, failed" in text


@pytest.mark.parametrize(
    "content, start, found",
    [
        (WORKFLOW, "is looked up after a lost reply", "by its marker"),
        (REPLAYED, "a repeat names the same task", "no"),
        (CHOSEN, "is looked up after a lost reply", "by the id that we choose"),
    ],
)
def test_a_check_says_what_happens_after_a_lost_reply(
    run: Run, tmp_path: Path, content: Any, start: str, found: str
) -> None:
    _, text = run("check", saved(tmp_path, content))
    lines = [line.split(maxsplit=1) for line in text.splitlines()]
    assert next(rest for name, rest in lines if name == "start").endswith(start)
    assert next(rest for name, rest in lines if name == "found") == found


def test_a_check_lists_all_problems_with_file_and_field(run: Run, tmp_path: Path) -> None:
    path = saved(tmp_path, {**WORKFLOW, "retries": 3, "ref": {"from": "body.["}})
    code, text = run("check", path)
    assert code == 1
    assert str(path) in text
    assert "retries: unknown field" in text
    assert "ref.from" in text


def test_the_schema_is_printed(run: Run) -> None:
    code, text = run("check", schema=True)
    schema = json.loads(text)
    assert (code, schema["title"]) == (0, "Profile")
    assert "list" in schema["properties"]


@pytest.mark.parametrize("given", [("show",), ("check",), ("try",), ("try", "http-202")])
def test_what_is_missing_is_named(run: Run, given: tuple[str, ...]) -> None:
    code, text = run(*given)
    assert code == 2
    assert text.startswith(("which profile?", "which recording?"))


# --- try


def test_a_har_is_read_step_by_step(run: Run, tmp_path: Path) -> None:
    code, text = run("try", saved(tmp_path, WORKFLOW), written(tmp_path, workflow_har(*LIFE)))
    assert code == 0
    lines = text.splitlines()
    assert lines[0].startswith("the paths of the recording begin with /api/v3,")
    assert '"repo": "octo"' in lines[1]
    assert lines[2] == "1. POST /repos/octo/workflows/ci.yml/dispatches: recorded reply 2 of 5, 200"
    assert lines[3] == "   ref 91"
    assert lines[4] == "2. GET /repos/octo/runs/91: recorded reply 3 of 5, 200"
    assert lines[5] == "   phase pending, status queued, progress 50 %, message for ***, retry after 5 s"
    assert lines[9].startswith("   phase succeeded, status success")
    assert lines[10] == '   result {"id": 91}'
    assert lines[11] == "not asked for: 1 of 5 recorded requests, GET /api/v3/user"
    assert lines[12].startswith("OK")


def test_a_cassette_is_read_step_by_step(run: Run, tmp_path: Path) -> None:
    code, text = run("try", saved(tmp_path, MONITOR), written(tmp_path, CASSETTE, "exchange.yaml"))
    lines = text.splitlines()
    assert code == 0, text
    assert "1. POST /report: recorded reply 1 of 5, 202" in lines
    assert "   ref /operations/7?..." in lines
    assert "   503: no reading; it is asked again" in lines
    assert "   phase running, retry after 2 s" in lines
    assert "   phase succeeded, status 200" in lines
    assert '   result {"rows": 3, "next": "https://files.example.net/b.csv?..."}' in lines


@pytest.mark.parametrize(
    "content, recording",
    [(WORKFLOW, workflow_har(*LIFE)), (WORKFLOW, workflow_har(("strange", None))), (MONITOR, CASSETTE)],
)
def test_no_secret_of_a_recording_is_printed(run: Run, tmp_path: Path, content: Any, recording: Any) -> None:
    _, text = run("try", saved(tmp_path, content), written(tmp_path, recording))
    assert [one for one in (TOKEN, COOKIE, SIGNATURE, "not-a-real-password", "dXNlcjp") if one in text] == []


def test_a_recorded_start_may_lack_what_the_profile_sends(run: Run, tmp_path: Path) -> None:
    har = workflow_har(*LIFE)
    har["log"]["entries"][1]["request"]["postData"]["text"] = json.dumps({"ref": "main"})
    code, text = run("try", saved(tmp_path, WORKFLOW), written(tmp_path, har))
    assert code == 0, text
    assert '{"ref": "main", "repo": "octo", "workflow": "ci.yml"}' in text
    assert "   values that the recorded request lacks, or has otherwise: 1" in text


def test_the_base_of_paths_that_fit_anywhere_is_told_by_the_first_poll(run: Run, tmp_path: Path) -> None:
    content = copy.deepcopy(WORKFLOW)
    content |= {"ref": {"from": "body.name", "kind": "name"}, "cancel": {"path": "/{+ref}:cancel"}}
    content["start"] = {"path": "{+inputs.path}", "body": "{inputs.body}"}
    content["poll"] |= {"path": "/{+ref}", "status": "body.state", "examples": {}}
    del content["find"], content["list"]
    url = "https://api.example.com/v1"
    har = {
        "log": {
            "entries": [
                har_entry("POST", f"{url}/projects/p/things", 200, {"name": "operations/7"}, {}),
                har_entry("GET", f"{url}/projects/p/things", 200, []),
                har_entry("GET", f"{url}/operations/7", 200, {"state": "queued"}),
                har_entry("GET", f"{url}/operations/7", 200, {"state": "success"}),
            ]
        }
    }
    code, text = run("try", saved(tmp_path, content), written(tmp_path, har))
    assert code == 0, text
    assert "the paths of the recording begin with /v1, which" in text
    assert "2. GET /operations/7: recorded reply 3 of 4, 200" in text


def test_an_unknown_status_fails(run: Run, tmp_path: Path) -> None:
    har = workflow_har(("strange", None), ("completed", "success"))
    code, text = run("try", saved(tmp_path, WORKFLOW), written(tmp_path, har))
    assert code == 1
    assert "phase unknown, status strange" in text
    assert "in no list of poll.phases" in text
    assert "phase succeeded" in text


def test_a_task_that_never_ends_fails(run: Run, tmp_path: Path) -> None:
    code, text = run("try", saved(tmp_path, WORKFLOW), written(tmp_path, workflow_har(*LIFE[:2])))
    assert code == 1
    assert "no further GET /repos/octo/runs/91; the last phase is running, so the run never ends" in text


def test_a_refused_start_and_a_reply_without_id_fail(run: Run, tmp_path: Path) -> None:
    for status, content, problem in ((422, {}, "422 is not one of start.accepted"), (200, [], "no entry of the")):
        har = workflow_har(*LIFE)
        har["log"]["entries"][1]["response"] |= {"status": status, "content": {"text": json.dumps(content)}}
        har["log"]["entries"].insert(2, har_entry("GET", f"{API}/repos/octo/runs?event=dispatch", 200, {"runs": []}))
        code, text = run("try", saved(tmp_path, WORKFLOW), written(tmp_path, har))
        assert (code, problem in text) == (1, True), text


def test_a_task_is_found_by_the_marker_of_the_recording(run: Run, tmp_path: Path) -> None:
    har = workflow_har(*LIFE)
    har["log"]["entries"][1]["response"]["content"] = {}
    found = {"runs": [{"id": 90, "display": {"title": "other"}}, {"id": 91, "display": {"title": "CI m-1"}}]}
    har["log"]["entries"].insert(2, har_entry("GET", f"{API}/repos/octo/runs?event=dispatch", 200, found))
    code, text = run("try", saved(tmp_path, WORKFLOW), written(tmp_path, har))
    assert code == 0, text
    assert "looked for by its marker 'm-1'" in text
    assert "2. GET /repos/octo/runs: recorded reply 3 of 6, 200" in text
    assert "   ref 91" in text


def test_a_recording_without_a_start_is_waited_for(run: Run, tmp_path: Path) -> None:
    har = workflow_har(*LIFE)
    del har["log"]["entries"][1]
    code, text = run("try", saved(tmp_path, WORKFLOW), written(tmp_path, har))
    assert code == 0, text
    assert "the recording has no start; the run 91 is waited for" in text


def test_a_recorded_cancel_is_read_where_it_happened(run: Run, tmp_path: Path) -> None:
    har = workflow_har(*LIFE[:2], ("completed", "cancelled"))
    har["log"]["entries"].insert(4, har_entry("POST", f"{API}/repos/octo/runs/91/cancel", 202, {}))
    har["log"]["entries"].append(har_entry("POST", f"{API}/repos/octo/runs/91/cancel", 409, {}))
    code, text = run("try", saved(tmp_path, WORKFLOW), written(tmp_path, har))
    assert code == 0, text
    assert text.index("   the run was cancelled") < text.index("phase running") < text.index("phase cancelled")


def test_the_stages_of_a_task_are_followed(run: Run, tmp_path: Path) -> None:
    url, item = "https://ci.example.com", {"id": 7, "why": "In the quiet period"}
    left = {**item, "executable": {"url": f"{url}/job/a/3/"}}
    start = har_entry("POST", f"{url}/job/a/build", 201)
    start["response"]["headers"].append({"name": "Location", "value": f"{url}/queue/item/7/"})
    build = f"{url}/job/a/3/api/json?tree=building,result,url"
    har = {
        "log": {
            "entries": [
                start,
                har_entry("GET", f"{url}/queue/item/7/api/json", 200, item),
                har_entry("GET", f"{url}/queue/item/7/api/json", 200, left),
                har_entry("GET", build, 404),
                har_entry("GET", build, 200, {"building": True}),
                har_entry("GET", build, 200, {"building": False, "result": "FAILURE"}),
            ]
        }
    }
    code, text = run("try", saved(tmp_path, QUEUE), written(tmp_path, har))
    assert code == 0, text
    assert "   it goes on as /job/a/3/#build" in text
    assert "phase lost" in text
    assert "phase failed, status FAILURE" in text


def test_an_id_that_the_client_chose_is_read_from_the_recorded_request(run: Run, tmp_path: Path) -> None:
    url = "https://k.example.com"
    start = har_entry("POST", f"{url}/jobs", 409, {}, {"metadata": {"name": "job-s1"}})
    start["request"]["headers"].append({"name": "X-Extra", "value": "extra-secret-value"})
    har = {
        "log": {
            "entries": [
                start,
                har_entry("GET", f"{url}/jobs/job-s1", 200, {"state": "complete", "reason": "extra-secret-value"}),
            ]
        }
    }
    code, text = run("try", saved(tmp_path, CHOSEN), written(tmp_path, har))
    assert code == 0, text
    assert "   ref job-s1" in text
    assert "the result is not shown: the recording has no further GET /jobs/job-s1/output" in text
    assert "extra-secret-value" not in text


def test_a_start_that_shows_the_end_is_the_end(run: Run, tmp_path: Path) -> None:
    content = copy.deepcopy(WORKFLOW)
    content["start"]["read"] = True
    har = workflow_har()
    har["log"]["entries"][1] = har_entry(
        "POST", f"{API}/repos/octo/workflows/ci.yml/dispatches", 200, {"conclusion": "failure"}
    )
    code, text = run("try", saved(tmp_path, content), written(tmp_path, har))
    assert code == 0, text
    assert "phase failed, status failure" in text


@pytest.mark.parametrize(
    "recording, problem",
    [
        ("", "neither a HAR"),
        ("{", "neither JSON nor YAML"),
        ("a: [", "neither JSON nor YAML"),
        ({"log": {"entries": [{}]}}, "entry 1 cannot be read: KeyError 'request'"),
        ({"interactions": []}, "no request with a reply"),
        (
            {"log": {"entries": [har_entry("GET", "https://x.example/", 200)]}},
            "no recorded request is one of the profile's: POST /repos/{inputs.repo}/workflows",
        ),
    ],
)
def test_what_is_no_recording_of_the_api_is_an_error(run: Run, tmp_path: Path, recording: Any, problem: str) -> None:
    code, text = run("try", saved(tmp_path, WORKFLOW), written(tmp_path, recording))
    assert code == 1
    assert problem in text


def test_a_recording_that_is_absent_is_an_error(run: Run, tmp_path: Path) -> None:
    code, text = run("try", saved(tmp_path, WORKFLOW), tmp_path / "absent.har")
    assert (code, "cannot be read" in text) == (1, True)
