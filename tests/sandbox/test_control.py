from __future__ import annotations

from dataclasses import fields
from pathlib import Path
from typing import Any

import pytest

from airflow_provider_taskwatch.core.wire import Call, get, send
from airflow_provider_taskwatch.sandbox.call_fault import CALL_FAULTS
from airflow_provider_taskwatch.sandbox.callback_fault import CALLBACK_FAULTS
from airflow_provider_taskwatch.sandbox.control import control
from airflow_provider_taskwatch.sandbox.rule import OUTCOMES, PROGRESS, Rule
from airflow_provider_taskwatch.sandbox.sandbox import Sandbox
from tests.sandbox.visitor import NOW, Visitor


def ask(sandbox: Sandbox, call: Call) -> Any:
    reply = control(sandbox, call, NOW)
    assert reply.status == 200, reply.text()
    return reply.json()


def test_health_says_that_it_is_an_emulator(sandbox: Sandbox) -> None:
    assert "emulator" in ask(sandbox, get("/health"))["note"]


def test_tasks_come_with_the_counts(sandbox: Sandbox, acquia: Visitor) -> None:
    acquia.post("/x")
    content = ask(sandbox, get("/tasks"))
    assert content["started"]["acquia"] == len(content["tasks"]) == 1
    assert ask(sandbox, get(f"/tasks/{content['tasks'][0]['ref']}"))["phase"] == "running"


def test_a_task_can_be_ended_or_released(sandbox: Sandbox, acquia: Visitor) -> None:
    acquia.post("/x")
    path = f"/tasks/{sandbox.tasks(NOW)[0]['ref']}"
    assert ask(sandbox, send("POST", path, {"action": "release"}))["phase"] == "running"
    ended = ask(sandbox, send("POST", path, {"action": "end", "outcome": "failure", "message": "m"}))
    assert (ended["phase"], ended["message"]) == ("failed", "m")


def test_the_log_can_be_read_from_an_entry_on(sandbox: Sandbox, acquia: Visitor) -> None:
    first = ask(sandbox, get("/log"))
    acquia.get("/account")
    second = ask(sandbox, get("/log", {"since": first["next"]}))
    assert [entry["path"] for entry in second["entries"]] == ["/api/account"]
    assert ask(sandbox, get("/log", {"since": second["next"]})) == {"entries": [], "next": second["next"]}


def test_rules_are_added_shown_and_removed(sandbox: Sandbox) -> None:
    ask(sandbox, send("POST", "/rules", [{"match": "a"}, {"match": "b", "outcome": 1911}]))
    assert [rule["match"] for rule in ask(sandbox, get("/rules"))["rules"]] == ["a", "b"]
    assert ask(sandbox, Call(method="DELETE", path="/rules")) == {"rules": []}


def test_faults_are_added_shown_and_removed(sandbox: Sandbox) -> None:
    ask(sandbox, send("POST", "/faults", {"name": "hang", "for_seconds": 9}))
    assert ask(sandbox, get("/faults"))["faults"][0]["until"] == NOW + 9
    assert len(ask(sandbox, Call(method="DELETE", path="/faults", query=(("name", "html"),)))["faults"]) == 1
    assert ask(sandbox, Call(method="DELETE", path="/faults")) == {"faults": []}


def test_settings_are_changed_and_shown_without_secrets(sandbox: Sandbox) -> None:
    content = ask(sandbox, send("POST", "/settings", {"acquia": {"token_lifetime": 3}}))
    assert content == ask(sandbox, get("/settings"))
    assert content["acquia"]["token_lifetime"] == 3
    assert "sandbox-secret" not in str(content)


def test_tokens_are_revoked_and_everything_is_reset(sandbox: Sandbox, acquia: Visitor) -> None:
    ask(sandbox, send("POST", "/tokens/revoke"))
    assert acquia.get("/account").status == 401
    ask(sandbox, send("POST", "/reset"))
    assert sandbox.log() == []


def test_connections_hold_the_address_of_the_request(sandbox: Sandbox) -> None:
    content = ask(sandbox, get("/connections", headers={"host": "box:1", "x-forwarded-proto": "https"}))
    assert content["acquia_default"]["host"] == "https://box:1/acquia/api"


@pytest.mark.parametrize(
    "call, status",
    [
        (get("/nothing"), 404),
        (get("/tasks/x"), 404),
        (send("POST", "/tasks/x", {"action": "end"}), 404),
        (send("POST", "/tasks/x", {"action": "dance"}), 400),
        (send("POST", "/rules", {"colour": "red"}), 400),
        (send("POST", "/rules", ["x"]), 400),
        (send("POST", "/rules", {"outcome": "nonsense"}), 400),
        (send("POST", "/rules", {"outcome": "nonsense", "system": "acquia"}), 400),
        (send("POST", "/rules", {"stages": [[0, "nonsense"]]}), 400),
        (send("POST", "/rules", {"system": "unknown"}), 400),
        (send("POST", "/rules", {"times": "x"}), 400),
        (send("POST", "/rules", {"options": 5}), 400),
        (send("POST", "/rules", {"match": 5}), 400),
        (send("POST", "/faults", {"name": "earthquake"}), 400),
        (send("POST", "/faults", {}), 400),
        (send("POST", "/faults", {"name": "hang", "colour": "red"}), 400),
        (send("POST", "/faults", {"name": "hang", "times": "x"}), 400),
        (send("POST", "/faults", {"name": "hang", "path": "("}), 400),
        (send("POST", "/faults", {"name": "headers", "headers": {"a": 1}}), 400),
        (send("POST", "/faults", [{"name": "hang"}, {"name": "x"}]), 400),
        (send("POST", "/settings", []), 400),
        (Call(method="POST", path="/settings", body=b"{"), 400),
    ],
)
def test_an_invalid_request_is_refused(sandbox: Sandbox, call: Call, status: int) -> None:
    reply = control(sandbox, call, NOW)
    content: Any = reply.json()
    assert (reply.status, bool(content["error"])) == (status, True)


@pytest.mark.parametrize(
    "call, message",
    [
        (send("POST", "/rules", {"options": {"agnet": 1}}), "unknown option agnet; a rule for any remote has agent, "),
        (send("POST", "/rules", {"options": {"title": "x"}, "system": "acquia"}), "a rule for acquia has context, "),
        (send("POST", "/rules", {"options": {"title": "x"}, "system": "aps"}), "a rule for aps has none"),
        (send("POST", "/rules", {"refuse": 99}), "refuse must be an HTTP status from 200 to 599, or null, not 99"),
        (send("POST", "/rules", {"refuse": 9999}), "refuse must be an HTTP status from 200 to 599, or null"),
        (send("POST", "/rules", {"stages": [[2, 1550], [0, 1710]]}), "stages must be a list of pairs of seconds, in "),
        (send("POST", "/rules", {"duration": -3}), "duration must be a number of seconds, 0 or more, not -3"),
        (send("POST", "/rules", {"duration": 10**400}), "duration must be a number of seconds, 0 or more"),
        (send("POST", "/faults", {"name": "html", "status": 99}), "status must be an HTTP status from 200 to 599"),
        (
            send("POST", "/faults", {"name": "hang", "for_seconds": "x"}),
            "for_seconds must be a number of ",
        ),
        (send("POST", "/faults", {"name": "hang", "system": "automc"}), "unknown system 'automc'; known are acquia, "),
        (Call(method="DELETE", path="/faults", query=(("name", "hagn"),)), "unknown fault 'hagn'; known are latency, "),
        (get("/log", {"since": "abc"}), "since must be the number of a request, not 'abc'"),
        (get("/log", {"since": "9" * 5000}), "since must be the number of a request"),
        (send("POST", "/tokens/foo"), "there is no 'tokens/foo'"),
        (send("POST", "/emit", {"acronis": [{"type": "a", "colour": 1}]}), "unknown key colour; an event has type, "),
        (
            send("POST", "/emit", {"acronis": [{"type": "a", "count": "many"}]}),
            "count must be a whole number from ",
        ),
        (send("POST", "/emit", {"acronis": [{"type": "a", "topic": {}}]}), "topic must be a string"),
        (send("POST", "/emit", {"docplanner": [{"count": "many"}]}), "count must be a whole number from 0 to 1e+06"),
        (send("POST", "/emit", {"docplanner": [{"name": {"a": 1}}]}), "name must be a string"),
        (send("POST", "/emit", {"docplanner": [{"data": "x"}]}), "data must be an object or null, not 'x'"),
        (send("POST", "/emit", {"docplanner": [{"delay": "x"}]}), "delay must be a number from 0 to 1e+10, not 'x'"),
        (Call(method="POST", path="/rules", body=b"match=*"), "the body is not JSON: Expecting value"),
        (Call(method="POST", path="/rules"), "the body is not JSON"),
        (Call(method="POST", path="/rules", body=b"[" * 100_000), "the body is not JSON"),
        (Call(method="POST", path="/rules", body=b"\xff"), "the body is not JSON"),
    ],
)
def test_an_error_names_the_wrong_value_and_the_allowed_ones(sandbox: Sandbox, call: Call, message: str) -> None:
    reply = control(sandbox, call, NOW)
    content: Any = reply.json()
    assert (reply.status in (400, 404), message in content["error"]) == (True, True), content
    assert (list(sandbox.rules), sandbox.faults.view()) == ([], [])


def test_an_ended_task_cannot_be_ended_again(sandbox: Sandbox, acquia: Visitor) -> None:
    sandbox.add_rule(duration=0.0)
    acquia.post("/x")
    ref = sandbox.tasks(NOW)[0]["ref"]
    reply = control(sandbox, send("POST", f"/tasks/{ref}", {"action": "end", "outcome": "failure"}), NOW)
    assert (reply.status, f"{ref} has ended already: succeeded" in reply.text()) == (400, True)
    assert sandbox.task(ref, NOW)["phase"] == "succeeded"


def test_an_unknown_field_about_a_task_is_refused(sandbox: Sandbox, acquia: Visitor) -> None:
    acquia.post("/x")
    ref = sandbox.tasks(NOW)[0]["ref"]
    reply = control(sandbox, send("POST", f"/tasks/{ref}", {"action": "end", "outcme": "failure"}), NOW)
    assert (reply.status, "unknown key outcme; an action has action, outcome, message" in reply.text()) == (400, True)


@pytest.mark.parametrize("system, outcome", [("", "warning"), ("automic", 1911), ("", "1911"), ("acquia", "Complete")])
def test_an_outcome_may_be_a_status_of_the_remote(sandbox: Sandbox, system: str, outcome: str | int) -> None:
    ask(sandbox, send("POST", "/rules", {"outcome": outcome, "system": system}))


def test_the_error_for_an_unknown_outcome_names_the_known_ones(sandbox: Sandbox) -> None:
    reply = control(sandbox, send("POST", "/rules", {"outcome": "nonsense"}), NOW)
    assert "neither an outcome (success, failure, " in str(reply.json())
    reply = control(sandbox, send("POST", "/faults", {"name": "hang", "colour": "red"}), NOW)
    assert "unknown key colour; a fault has name, system, " in str(reply.json())
    assert list(sandbox.rules) == []


def test_the_possible_values_can_be_listed(sandbox: Sandbox) -> None:
    content = ask(sandbox, get("/"))
    assert content["rules"]["outcomes"] == OUTCOMES
    assert set(content["faults"]["names"]) == {*CALL_FAULTS, *CALLBACK_FAULTS}
    assert "POST /_control/tasks/{ref}" in content["control"]
    automic = content["systems"]["automic"]
    assert (automic["url"], automic["outcomes"]["failure"], automic["stages"][0]["status"]) == (
        "/automic",
        "1800",
        "1540",
    )
    assert "sandbox-secret" not in str(content)


def test_the_reference_names_every_outcome_fault_and_setting(sandbox: Sandbox) -> None:
    page = Path("docs/reference.md").read_text()
    settings = [name for remote in sandbox.remotes.values() for name in vars(remote.settings)]
    names = [*OUTCOMES, *PROGRESS, *CALL_FAULTS, *CALLBACK_FAULTS, *settings, *(one.name for one in fields(Rule))]
    assert [name for name in names if f"`{name}`" not in page] == []


def test_events_are_added_to_the_feed_of_a_remote(sandbox: Sandbox, docplanner: Visitor) -> None:
    events = [{"name": "break-created"}, {"count": 9_999}]
    assert ask(sandbox, send("POST", "/emit", {"docplanner": events})) == {"docplanner": 10_000}
    assert docplanner.read("/notifications/multiple", {"limit": 100})["remaining"] == 9_900


@pytest.mark.parametrize(
    "system, message",
    [
        ("acquia", "acquia has no events"),
        ("unknown", "unknown system 'unknown'"),
        ("docplanner", "unknown key title; an event has "),
    ],
)
def test_events_for_a_remote_without_a_feed_are_refused(sandbox: Sandbox, system: str, message: str) -> None:
    reply = control(sandbox, send("POST", "/emit", {system: [{"title": "x"}]}), NOW)
    assert (reply.status, message in reply.text()) == (400, True)
