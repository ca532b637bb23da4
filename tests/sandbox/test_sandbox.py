from __future__ import annotations

import pytest

from airflow_provider_taskwatch.core.error import ConfigurationError
from airflow_provider_taskwatch.core.wire import Call
from airflow_provider_taskwatch.sandbox.automic.remote import Automic
from airflow_provider_taskwatch.sandbox.rule import Rule, TaskRules
from airflow_provider_taskwatch.sandbox.sandbox import Sandbox
from tests.sandbox.visitor import NOW, Visitor


def test_a_remote_can_be_called_directly() -> None:
    remote = Automic(TaskRules())
    assert remote.handle(Call(method="GET", path="/ae/api/v1/ping"), NOW).status == 200


def test_tasks_are_described_in_the_names_of_this_package(sandbox: Sandbox, acquia: Visitor, automic: Visitor) -> None:
    sandbox.add_rule("DatabaseCreated", outcome="failure", message="quota", duration=2)
    acquia.post("/applications/app/databases", {"name": "db"})
    automic.now = NOW + 1
    automic.post("/100/executions", {"object_name": "JOBP.NIGHT", "alias": "night-1"})
    failed, running = sandbox.tasks(NOW + 4)
    assert failed["ref"] == sandbox.log()[1]["ref"]
    assert {name: failed[name] for name in ("system", "name", "phase", "status", "message")} == {
        "system": "acquia",
        "name": "DatabaseCreated",
        "phase": "failed",
        "status": "failed",
        "message": "quota",
    }
    assert (failed["started_at"], failed["ended_at"]) == (NOW, NOW + 2)
    assert failed["request"] == {"name": "db"}
    assert (running["phase"], running["progress"], running["ended_at"]) == ("running", 60, None)
    assert (running["marker"], running["cancelled"]) == ("night-1", False)


def test_counts_hold_starts_cancels_markers_and_requests(sandbox: Sandbox, acquia: Visitor, automic: Visitor) -> None:
    acquia.post("/x")
    automic.post("/100/executions", {"object_name": "JOBP.NIGHT", "alias": "night-1"})
    automic.post("/100/executions/1000001/status", {"action": "cancel"})
    assert sandbox.counts() == {
        "started": {**dict.fromkeys(sandbox.remotes, 0), "acquia": 1, "automic": 1},
        "cancelled": {**{name: [] for name in sandbox.remotes}, "automic": ["1000001"]},
        "markers": {"night-1": ["1000001"]},
        "requests": {"acquia token": 1, "acquia api": 1, "automic api": 2},
    }
    assert sandbox.task("1000001", NOW)["cancelled"]


def test_every_request_is_logged_without_its_credential(sandbox: Sandbox, acquia: Visitor) -> None:
    call = Call(
        method="GET",
        path="/api/applications/a/notifications",
        query=(("limit", "1"),),
        headers=acquia.headers,
    )
    sandbox.handle(call, "acquia", NOW + 1, "10.0.0.1:5")
    asked, read = sandbox.log()
    assert (asked["endpoint"], asked["token_id"]) == ("token", "")
    assert read == {
        "n": 2,
        "at": NOW + 1,
        "system": "acquia",
        "endpoint": "api",
        "method": "GET",
        "path": "/api/applications/a/notifications",
        "query": {"limit": ["1"]},
        "status": 200,
        "token_id": read["token_id"],
        "fault": "",
        "ref": "",
        "client": "10.0.0.1:5",
    }
    assert len(read["token_id"]) == 8
    assert acquia.headers["Authorization"].partition(" ")[2] not in str(sandbox.log())


def test_one_token_has_one_fingerprint(sandbox: Sandbox, acquia: Visitor) -> None:
    acquia.get("/account")
    acquia.get("/account")
    assert len({entry["token_id"] for entry in sandbox.log(since=1)}) == 1


def test_a_poll_that_a_fault_answers_is_logged_with_its_ref(sandbox: Sandbox, acquia: Visitor) -> None:
    sandbox.add_fault("html")
    acquia.get("/notifications/abc")
    assert sandbox.log()[-1]["ref"] == "abc"


def test_a_task_can_be_ended_from_outside(sandbox: Sandbox, acquia: Visitor) -> None:
    sandbox.add_rule(outcome="stuck")
    acquia.post("/x")
    ref = sandbox.tasks(NOW)[0]["ref"]
    assert acquia.read(f"/notifications/{ref}")["status"] == "in-progress"
    sandbox.end(ref, "failure", NOW + 100, "pulled the plug")
    seen = sandbox.task(ref, NOW + 100)
    assert (seen["phase"], seen["message"], seen["ended_at"]) == ("failed", "pulled the plug", NOW + 100)


def test_releasing_a_running_task_changes_nothing(sandbox: Sandbox, acquia: Visitor) -> None:
    acquia.post("/x")
    ref = sandbox.tasks(NOW)[0]["ref"]
    sandbox.release(ref, NOW + 3)
    assert sandbox.task(ref, NOW + 5)["ended_at"] == NOW + 5


def test_a_reset_forgets_all_but_the_first_rules() -> None:
    sandbox = Sandbox([Rule(duration=1)])
    sandbox.add_fault("html")
    sandbox.change({"acquia": {"token_lifetime": 1}}, NOW)
    sandbox.handle(Call(method="POST", path="/api/token"), "acquia", NOW)
    sandbox.reset()
    assert (sandbox.log(), sandbox.tasks(NOW), sandbox.faults.view()) == ([], [], [])
    assert sandbox.remotes["acquia"].settings.token_lifetime == 300
    assert [rule.duration for rule in sandbox.rules] == [1]


def test_an_unknown_system_setting_or_task_is_an_error(sandbox: Sandbox) -> None:
    with pytest.raises(ConfigurationError, match="known are acquia, automic"):
        sandbox.change({"unknown": {}}, NOW)
    with pytest.raises(ConfigurationError, match="no setting colour; it has clients, token_lifetime"):
        sandbox.change({"acquia": {"colour": "red"}}, NOW)
    with pytest.raises(KeyError):
        sandbox.task("x", NOW)
