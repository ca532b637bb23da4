from __future__ import annotations

import copy
import pickle
from typing import Any

import pytest

from airflow_provider_taskwatch.core.error import ConfigurationError, RemoteError
from airflow_provider_taskwatch.core.system import Effect
from airflow_provider_taskwatch.core.wire import Call, get, send
from airflow_provider_taskwatch.sandbox.sandbox import Sandbox
from tests.rows import each_row
from tests.sandbox.profile.client import HOST, Client
from tests.sandbox.profile.profiles import ALL, CHOSEN, MONITOR, QUEUE, REPLAYED, WORKFLOW
from tests.sandbox.visitor import CLIENT, NOW, basic, token_call


@pytest.fixture
def workflow() -> Client:
    return Client(WORKFLOW, repo="o/r", workflow="ci.yml", ref="main")


@pytest.fixture
def queue() -> Client:
    return Client(QUEUE, job="a", parameters={"day": "1"})


def client_of(content: dict[str, Any]) -> Client:
    inputs = {"repo": "r", "workflow": "w", "ref": "main", "path": "/report", "body": {}, "job": "a", "parameters": {}}
    return Client(content, **inputs)


def test_a_task_goes_through_the_examples_in_the_order_of_a_life(workflow: Client) -> None:
    assert workflow.life(workflow.start(), 0, 2.5, 5) == ["pending", "running", "succeeded"]


@each_row("content", ALL)
def test_each_start_has_an_id_of_its_own_and_ends_in_success(content: dict[str, Any]) -> None:
    client = client_of(content)
    first, second = client.start("s1", "m-1"), client.start("s2", "m-2")
    assert first != second
    assert client.life(first, 0, 60)[-1] == client.life(second, 60)[-1] == "succeeded"


def test_the_id_is_in_every_place_where_the_examples_have_theirs(workflow: Client) -> None:
    reply: Any = workflow.ask(send("POST", "/repos/r/workflows/w/dispatches", {"ref": "x"})).json()
    assert isinstance(reply["run_id"], int)
    assert reply["run_id"] != 30433642
    assert reply["run_url"] == f"https://api.example.com/repos/o/runs/{reply['run_id']}"
    seen: Any = workflow.ask(get(f"/repos/r/runs/{reply['run_id']}")).json()
    assert seen["id"] == reply["run_id"]


def test_an_example_may_have_the_id_0() -> None:
    content = copy.deepcopy(REPLAYED)
    content["start"]["example"]["body"]["run_id"] = 0
    client = client_of(content)
    ref = client.start()
    assert int(ref) > 0
    assert client.life(ref, 0, 60) == ["running", "succeeded"]


def test_headers_progress_and_message_are_played(workflow: Client) -> None:
    workflow.sandbox.add_rule(duration=10, message="three tests failed", outcome="failure")
    ref = workflow.start()
    running = workflow.read(ref, 8)
    assert (running.progress, running.retry_after) == (80, 7)
    ended = workflow.read(ref, 10)
    assert (str(ended.phase), ended.message, ended.status) == ("failed", "three tests failed", "failure")


@pytest.mark.parametrize(
    "outcome, phase",
    [
        ("success", "succeeded"),
        ("failure", "failed"),
        ("cancelled", "cancelled"),
        ("skipped", "succeeded"),
        ("lost", "failed"),
        ("stuck", "running"),
        ("blocked", "running"),
        ("unknown", "unknown"),
        ("gone", "lost"),
        ("failed", "failed"),
    ],
)
def test_each_outcome_can_be_played(workflow: Client, outcome: str, phase: str) -> None:
    workflow.sandbox.add_rule(outcome=outcome, system="workflow")
    assert workflow.life(workflow.start(), 100) == [phase]


def test_an_outcome_without_example_and_word_is_refused() -> None:
    content = copy.deepcopy(MONITOR)
    del content["poll"]["examples"]["failed"]
    client = client_of(content)
    client.sandbox.add_rule(outcome="failure")
    with pytest.raises(RemoteError, match="no example"):
        client.start()


def test_own_stages_of_a_rule_are_played(workflow: Client) -> None:
    workflow.sandbox.add_rule(duration=30, stages=[[0, "running"], [10, "pending"]])
    assert workflow.life(workflow.start(), 0, 11, 30) == ["running", "pending", "succeeded"]


@each_row("content", ALL)
def test_an_unknown_id_is_not_found(content: dict[str, Any]) -> None:
    client = client_of(content)
    other = {"monitor": "/operations/1?v=1", "queue": "/queue/item/1/"}.get(content["name"], "1")
    assert str(client.read(other).phase) == "lost"


def test_a_task_of_other_inputs_is_not_found(workflow: Client) -> None:
    ref = workflow.start()
    assert workflow.ask(get(f"/repos/other/runs/{ref}")).status == 404


def test_another_method_or_path_is_not_found(workflow: Client) -> None:
    assert workflow.ask(send("PUT", "/repos/r/runs/1")).status == 404
    assert workflow.ask(get("/elsewhere")).status == 404


def test_a_new_task_can_be_hidden_and_a_start_refused(workflow: Client) -> None:
    workflow.sandbox.add_rule(hidden_seconds=3)
    ref = workflow.start()
    assert workflow.life(ref, 0, 3) == ["lost", "running"]
    workflow.sandbox.add_rule("POST /repos/*", refuse=422, message="no such ref")
    with pytest.raises(RemoteError, match="no such ref"):
        workflow.start()


def test_a_cancelled_task_shows_the_word_of_the_table(workflow: Client) -> None:
    ref = workflow.start()
    assert workflow.run(workflow.tasks.cancel(ref)) is Effect.CANCELLED
    assert str(workflow.read(ref).phase) == "cancelled"
    assert workflow.sandbox.counts()["cancelled"]["workflow"] == [ref]


def test_a_cancel_can_take_time(workflow: Client) -> None:
    workflow.sandbox.change({"workflow": {"cancel_seconds": 2}}, NOW)
    ref = workflow.start()
    workflow.run(workflow.tasks.cancel(ref))
    assert workflow.life(ref, 1, 2) == ["pending", "cancelled"]


def test_a_cancel_after_the_end_answers_with_a_code_that_says_so(workflow: Client) -> None:
    ref = workflow.start()
    workflow.now = NOW + 60
    assert workflow.run(workflow.tasks.cancel(ref)) is Effect.ENDED
    assert workflow.run(workflow.tasks.cancel("1")) is Effect.UNKNOWN


def test_a_task_that_cannot_show_a_cancel_is_gone() -> None:
    content = copy.deepcopy(CHOSEN)
    content["poll"]["phases"] = {"running": ["active"], "succeeded": ["complete"]}
    client = client_of(content)
    ref = client.start()
    client.run(client.tasks.cancel(ref))
    assert str(client.read(ref).phase) == "lost"


# --- links and stages


def test_a_link_leads_below_the_sandbox_whatever_host_the_example_has() -> None:
    client = client_of(MONITOR)
    ref = client.start()
    assert ref.startswith("/operations/")
    assert ref.endswith("?v=1")
    assert client.life(ref, 0, 60) == ["running", "succeeded"]
    assert client.read(ref).retry_after == 2


def test_the_link_of_a_result_is_served_by_the_sandbox() -> None:
    client = client_of(MONITOR)
    seen = client.read(client.start(), 60)
    assert seen.result["link"].startswith(f"http://{HOST}/monitor/_result/")
    assert client.run(client.tasks.complete(seen, {})).result == {"rows": 3}


def test_the_path_of_a_result_answers_once_the_task_has_succeeded() -> None:
    client = client_of(CHOSEN)
    ref = client.start()
    assert client.ask(get(f"/jobs/{ref}/output")).status == 404
    client.now = NOW + 60
    assert client.ask(get(f"/jobs/{ref}/output")).json() == {"lines": 2}


def test_a_path_of_any_form_does_not_hide_the_other_requests() -> None:
    content = copy.deepcopy(MONITOR)
    content |= {
        "result": {"path": "{+inputs.path}", "example": {"body": {"rows": 4}}},
        "cancel": {"path": "{+ref}/stop"},
    }
    content["start"]["example"]["headers"]["Location"] = "https://api.example.com/base/operations/77"
    client = client_of(content)
    ref = client.start()
    assert client.ask(get("/report")).status == client.ask(get("/operations/1")).status == 404
    assert client.run(client.tasks.complete(client.read(ref, 60), {})).result == {"rows": 4}
    assert client.run(client.tasks.cancel("/operations/1")) is Effect.UNKNOWN
    other = client.start("s2")
    client.sandbox.add_rule(duration=60)
    assert client.run(client.tasks.cancel(other)) is Effect.CANCELLED


def test_a_task_goes_on_in_its_next_stage(queue: Client) -> None:
    item = queue.start()
    assert queue.life(item, 0) == ["pending"]
    moved = queue.read(item, 3).moved_to
    assert moved is not None
    assert moved.startswith("/job/a/")
    assert moved.endswith("#build")
    assert queue.life(moved, 3, 60) == ["running", "succeeded"]
    assert queue.read(item, 60).moved_to == moved


def test_two_stages_may_be_asked_in_the_same_way() -> None:
    content = copy.deepcopy(QUEUE)
    content["then"]["poll"]["path"] = content["poll"]["path"]
    client = client_of(content)
    assert client.life(client.start(), 0, 3, 60) == ["pending", "running", "succeeded"]


def test_each_stage_is_cancelled_in_its_own_way(queue: Client) -> None:
    item = queue.start()
    assert queue.run(queue.tasks.cancel(item)) is Effect.CANCELLED
    assert queue.life(item, 60) == ["cancelled"]
    other = queue.start()
    build = queue.read(other, 64).moved_to
    assert build is not None
    assert queue.run(queue.tasks.cancel(build)) is Effect.CANCELLED
    assert queue.life(build, 64) == ["cancelled"]


# --- starts that may be repeated


def test_an_equal_key_names_the_same_task() -> None:
    client = client_of(REPLAYED)
    first = client.start("s1")
    assert client.start("s1") == first != client.start("s2")
    assert client.sandbox.counts()["started"]["replayed"] == 2


def test_a_key_is_forgotten_after_its_time() -> None:
    content = copy.deepcopy(REPLAYED)
    content["start"]["replay_within"] = "1h"
    client = client_of(content)
    first = client.start("s1")
    client.now = NOW + 3599
    assert client.start("s1") == first
    client.now = NOW + 3600
    assert client.start("s1") != first


def test_an_id_that_the_client_chose_is_kept_and_not_given_twice() -> None:
    client = client_of(CHOSEN)
    ref = client.start("s1")
    assert ref == "job-s1"
    call = send("POST", "/jobs", {"metadata": {"name": ref}})
    assert client.ask(call).status == 409
    assert client.start("s1") == ref
    assert client.sandbox.counts()["started"]["chosen"] == 1
    assert client.ask(send("POST", "/jobs", {"metadata": {}})).status == 400


def test_a_task_is_found_by_its_marker(workflow: Client) -> None:
    ref = workflow.start("s1", "m-17")
    workflow.start("s2", "m-18")
    assert workflow.run(workflow.tasks.find("m-17")) == ref
    assert workflow.run(workflow.tasks.find("m-19")) is None
    assert workflow.sandbox.counts()["markers"]["m-17"] == [ref]


# --- lists


def test_a_list_has_pages(workflow: Client) -> None:
    refs = [workflow.start(f"s{number}") for number in range(5)]
    workflow.sandbox.change({"workflow": {"page_size": 2}}, NOW)
    seen = workflow.run(workflow.tasks.observe_many("", refs))
    assert {ref: str(one.phase) for ref, one in seen.items()} == dict.fromkeys(refs, "pending")
    asked = [entry for entry in workflow.sandbox.log() if entry["path"].endswith("/runs")]
    assert len(asked) == 3


def test_a_list_by_ids_has_those_ids_only() -> None:
    client = client_of(REPLAYED)
    refs = [client.start(f"s{number}") for number in range(4)]
    client.sandbox.change({"replayed": {"page_size": 2}}, NOW)
    seen = client.run(client.tasks.observe_many("", refs[:3]))
    assert list(seen) == [refs[2], refs[1], refs[0]]
    assert len([entry for entry in client.sandbox.log() if entry["path"] == "/runs/filter"]) == 2


@pytest.mark.parametrize("page", [{"offset": "skip", "limit": 2}, {"link": "body.links.next"}, None])
def test_each_way_of_paging_is_played(page: Any) -> None:
    content = copy.deepcopy(REPLAYED)
    content["list"] |= {"page": page, "method": "GET"}
    client = client_of(content)
    client.sandbox.change({"replayed": {"page_size": 2}}, NOW)
    refs = [client.start(f"s{number}") for number in range(5)]
    assert len(client.run(client.tasks.observe_many("", refs))) == 5


# --- credentials, faults, and the sandbox around it


@pytest.mark.parametrize(
    "auth, headers, status",
    [
        ("any", {"Authorization": "Bearer sandbox-secret"}, 200),
        ("any", {"Authorization": basic("sandbox-id", "sandbox-secret")}, 200),
        ("any", {"X-Api-Key": "sandbox-secret"}, 200),
        ("any", {"Authorization": "Token sandbox-secret"}, 200),
        ("any", {"Cookie": "a=b; key=sandbox-secret"}, 200),
        ("any", {}, 401),
        ("basic", {"Authorization": "Bearer sandbox-secret"}, 401),
        ("oauth2", {"Authorization": "Bearer sandbox-secret"}, 401),
        ("api_key", {"Authorization": "Bearer sandbox-secret"}, 401),
        ("none", {}, 200),
    ],
)
def test_credentials_are_checked(workflow: Client, auth: str, headers: dict[str, str], status: int) -> None:
    workflow.sandbox.change({"workflow": {"auth": auth}}, NOW)
    workflow.headers = headers
    assert workflow.ask(get("/user")).status == status


def test_a_token_is_issued_and_expires(workflow: Client) -> None:
    workflow.headers = {}
    token: Any = workflow.ask(token_call(CLIENT, path="/_oauth/token")).json()
    workflow.headers = {"Authorization": f"Bearer {token['access_token']}"}
    assert workflow.ask(get("/user")).status == 200
    workflow.now = NOW + 301
    assert workflow.ask(get("/user")).status == 401


def test_faults_strike_it_as_they_strike_the_others(workflow: Client) -> None:
    workflow.sandbox.add_fault("lost_reply", system="workflow", method="POST", times=1)
    call = send("POST", "/repos/r/workflows/w/dispatches", {"ref": "x"})
    sent = Call(method="POST", path=call.path, headers=workflow.headers, body=call.body)
    assert workflow.sandbox.handle(sent, "workflow", NOW).reply is None
    assert workflow.sandbox.counts()["started"]["workflow"] == 1


def test_connections_lead_to_each_profile() -> None:
    sandbox = Sandbox()
    found = {content["name"]: sandbox.play(content).connection("http://s") for content in ALL}
    assert found["workflow"] == {
        "conn_type": "taskwatch",
        "host": "http://s/workflow",
        "password": "sandbox-secret",
        "extra": {"auth": "bearer", "profile": "workflow"},
    }
    assert found["queue"]["login"] == "sandbox-id"
    assert found["monitor"]["extra"]["api_key_name"] == "X-Api-Key"
    assert found["chosen"]["extra"] == {
        "auth": "oauth2",
        "profile": "chosen",
        "token_url": "http://s/chosen/_oauth/token",
        "secrets": {"EXTRA": "sandbox-secret"},
    }


def test_the_state_keeps_its_tasks_and_takes_a_changed_profile(workflow: Client) -> None:
    ref = workflow.start()
    workflow.sandbox = pickle.loads(pickle.dumps(workflow.sandbox))
    changed = copy.deepcopy(WORKFLOW)
    changed["poll"]["examples"]["pending"]["body"]["status"] = "in_progress"
    workflow.sandbox.play(changed)
    assert str(workflow.read(ref).phase) == "running"
    assert workflow.start("s2") != ref


def test_a_reset_forgets_its_tasks(workflow: Client) -> None:
    ref = workflow.start()
    workflow.sandbox.reset()
    assert str(workflow.read(ref).phase) == "lost"


def test_the_control_api_ends_a_task(workflow: Client) -> None:
    ref = workflow.start()
    workflow.sandbox.end(ref, "failure", NOW, "stopped by hand")
    assert workflow.read(ref, 1).message == "stopped by hand"


def without(content: dict[str, Any], *names: str) -> dict[str, Any]:
    changed = copy.deepcopy(content)
    inner = changed
    for name in names[:-1]:
        inner = inner[name]
    del inner[names[-1]]
    return changed


@pytest.mark.parametrize(
    "content, problem",
    [
        (without(WORKFLOW, "poll"), "cannot be played: KeyError 'poll'"),
        (without(WORKFLOW, "poll", "examples"), "needs 'running' or 'pending'"),
        (without(MONITOR, "poll", "examples", "succeeded"), "needs 'succeeded'"),
        (without(QUEUE, "poll", "examples", "next"), "the reply that leads to build"),
        ({**WORKFLOW, "name": "a b"}, "needs a 'name'"),
        ({**WORKFLOW, "name": "acquia"}, "has a remote 'acquia'"),
        ({**WORKFLOW, "ref": {"from": "body.runs[0].id"}}, "ref.from has a value"),
        ({**WORKFLOW, "poll": 3}, "AttributeError"),
    ],
)
def test_what_cannot_be_played_is_refused(content: dict[str, Any], problem: str) -> None:
    with pytest.raises(ConfigurationError, match=problem):
        Sandbox().play(content)
