from __future__ import annotations

from typing import Any

import pytest

from airflow_provider_taskwatch.core.wire import Call, send
from airflow_provider_taskwatch.sandbox.acquia.start import OPERATIONS, SHAPES
from tests.sandbox.visitor import FORM, NOW, Visitor

APPLICATION = "a47ac10b-58cc-4372-a567-0e02b2c3d470"
ENVIRONMENT = f"24-{APPLICATION}"
SWITCH = f"/environments/{ENVIRONMENT}/code/actions/switch"


def start(acquia: Visitor, path: str = SWITCH) -> str:
    reply: Any = acquia.post(path, {"branch": "main"}).json()
    return str(reply["_links"]["notification"]["href"]).rpartition("/")[2]


def test_a_start_names_its_notification(acquia: Visitor) -> None:
    reply = acquia.post(SWITCH, {"branch": "main"})
    content: Any = reply.json()
    assert reply.status == 202
    assert reply.headers["content-type"] == "application/hal+json"
    assert content["message"] == "Switching code."
    assert content["_links"]["notification"]["href"].startswith("https://cloud.acquia.com/api/notifications/")


def test_links_hold_the_host_of_the_request(acquia: Visitor) -> None:
    acquia.headers |= {"host": "localhost:1", "x-forwarded-proto": "https"}
    content: Any = acquia.post(SWITCH, {"branch": "main"}).json()
    assert content["_links"]["self"]["href"] == f"https://localhost:1/acquia/api{SWITCH}"


def test_a_notification_runs_and_completes(acquia: Visitor) -> None:
    ref = start(acquia)
    running = acquia.read(f"/notifications/{ref}")
    assert (running["status"], running["progress"], running["completed_at"]) == ("in-progress", 0, None)

    acquia.now = NOW + 4
    assert acquia.read(f"/notifications/{ref}")["progress"] == 80

    acquia.now = NOW + 60
    done = acquia.read(f"/notifications/{ref}")
    assert (done["status"], done["progress"]) == ("completed", 100)
    assert (done["created_at"], done["completed_at"]) == (
        "2027-01-15T08:00:00+00:00",
        "2027-01-15T08:00:05+00:00",
    )


def test_a_notification_names_its_context(acquia: Visitor) -> None:
    seen = acquia.read(f"/notifications/{start(acquia)}")
    assert (seen["event"], seen["label"]) == ("CodeSwitched", "Code switched")
    assert seen["context"]["application"] == {"uuids": [APPLICATION]}
    assert seen["context"]["environment"] == {"ids": [ENVIRONMENT]}
    author = seen["_embedded"]["author"]
    assert author["last_login_at"].endswith("-0500")
    assert (author["username"], author["email"]) == ("sandbox.person", "person@sandbox.invalid")


@pytest.mark.parametrize(
    "method, path, status",
    [
        ("POST", f"/environments/{ENVIRONMENT}/domains", 202),
        ("POST", f"/environments/{ENVIRONMENT}/cdn", 200),
        ("DELETE", f"/environments/{ENVIRONMENT}/cdn", 200),
        ("POST", f"/applications/{APPLICATION}/code-studio", 200),
        ("POST", f"/environments/{ENVIRONMENT}/logs/php-error", 201),
        ("POST", "/organizations/o-1/available-tags", 201),
        ("DELETE", "/organizations/o-1/available-tags", 200),
        ("PUT", f"/environments/{ENVIRONMENT}", 202),
    ],
)
def test_a_start_answers_as_documented_for_its_operation(acquia: Visitor, method: str, path: str, status: int) -> None:
    assert acquia.ask(send(method, path, {} if method == "POST" else None)).status == status


@pytest.mark.parametrize("operation", OPERATIONS, ids=lambda operation: operation.event)
def test_every_documented_start_answers_as_documented(acquia: Visitor, operation: Any) -> None:
    path = operation.path.replace("{", "").replace("}", "")
    content = dict.fromkeys(operation.required, "x")
    reply = acquia.ask(send(operation.method, path, content))
    seen = acquia.sandbox.tasks(NOW)[0]
    assert (reply.status, seen["name"]) == (operation.status, operation.event)


@pytest.mark.parametrize("method", ["POST", "PUT", "DELETE"])
def test_any_other_write_starts_a_task_as_well(acquia: Visitor, method: str) -> None:
    reply = acquia.ask(send(method, "/anything/at/all", {"a": 1}))
    assert reply.status == 202
    assert acquia.sandbox.counts()["started"]["acquia"] == 1


def test_a_start_without_a_required_field_is_refused(acquia: Visitor) -> None:
    reply = acquia.post(SWITCH)
    content: Any = reply.json()
    assert (reply.status, content["error"]) == (400, "validation_failed")
    assert content["message"] == {"branch": "The branch field is required."}


@pytest.mark.parametrize(
    "call",
    [
        Call(method="POST", path="/x"),
        Call(method="POST", path="/x", body=b"{}"),
        Call(method="POST", path="/x", body=b"[]", headers={"content-type": "application/json"}),
        send("PUT", "/x", {}),
    ],
    ids=["no body", "no content type", "no object", "an empty object in a PUT"],
)
def test_a_body_that_is_no_object_is_refused(acquia: Visitor, call: Call) -> None:
    assert acquia.ask(call).status == 400


def test_a_put_without_fields_and_a_form_are_accepted(acquia: Visitor) -> None:
    assert acquia.ask(Call(method="PUT", path="/x")).status == 202
    assert acquia.ask(Call(method="POST", path=SWITCH, headers=FORM, body=b"branch=main")).status == 202


def test_a_second_start_at_the_same_path_can_conflict(acquia: Visitor) -> None:
    acquia.sandbox.change({"acquia": {"one_at_a_time": True}}, NOW)
    start(acquia)
    assert acquia.post(SWITCH, {"branch": "main"}).status == 409
    acquia.now = NOW + 5
    assert acquia.post(SWITCH, {"branch": "main"}).status == 202


@pytest.mark.parametrize("shape", SHAPES)
def test_every_shape_of_a_start_reply_can_be_chosen(acquia: Visitor, shape: str) -> None:
    acquia.sandbox.add_rule(options={"shape": shape})
    reply = acquia.post(SWITCH, {"branch": "main"})
    has_ref = acquia.sandbox.tasks(NOW)[0]["ref"].encode() in reply.body
    assert has_ref is (shape not in ("none", "operation-only", "empty-href", "empty-body"))
    assert reply.status == (200 if shape == "empty-body" else 202)


def test_the_status_of_a_start_reply_can_be_chosen(acquia: Visitor) -> None:
    acquia.sandbox.add_rule(options={"shape": "none", "reply_status": 201})
    assert acquia.post(SWITCH, {"branch": "main"}).status == 201


def test_an_unknown_shape_is_an_error(acquia: Visitor) -> None:
    acquia.sandbox.add_rule(options={"shape": "round"})
    assert b"knows no such shape" in acquia.post(SWITCH, {"branch": "main"}).body


def test_a_failed_notification_names_its_reason(acquia: Visitor) -> None:
    acquia.sandbox.add_rule(outcome="failure", message="no such branch", progress="zero")
    ref, acquia.now = start(acquia), NOW + 5
    seen = acquia.read(f"/notifications/{ref}")
    assert (seen["status"], seen["progress"]) == ("failed", 0)
    assert seen["description"] == seen["message"] == "no such branch"


@pytest.mark.parametrize("status", ["COMPLETED", "succeeded", "In Progress", "error"])
def test_a_status_can_be_spelt_oddly(acquia: Visitor, status: str) -> None:
    acquia.sandbox.add_rule(outcome=status)
    ref, acquia.now = start(acquia), NOW + 5
    assert acquia.read(f"/notifications/{ref}")["status"] == status


def test_a_notification_can_show_less_than_documented(acquia: Visitor) -> None:
    acquia.sandbox.add_rule(options={"fields": ["status"]})
    assert acquia.read(f"/notifications/{start(acquia)}") == {"status": "in-progress"}


def test_a_running_notification_can_hold_a_time_of_completion(acquia: Visitor) -> None:
    acquia.sandbox.add_rule(options={"early_completed_at": True}, progress="absent")
    seen = acquia.read(f"/notifications/{start(acquia)}")
    assert seen["completed_at"] is not None
    assert "progress" not in seen


def test_a_new_notification_can_be_hidden_at_first(acquia: Visitor) -> None:
    acquia.sandbox.add_rule(hidden_seconds=3)
    ref = start(acquia)
    hidden = acquia.get(f"/notifications/{ref}")
    content: Any = hidden.json()
    assert (hidden.status, content["error"]) == (404, "not_found")
    acquia.now = NOW + 3
    assert acquia.get(f"/notifications/{ref}").status == 200


def test_reads_of_other_things_are_not_found(acquia: Visitor) -> None:
    assert acquia.get("/notifications/foreign").status == 404
    assert acquia.get("/environments/1").status == 404


def test_a_bulk_code_switch_has_a_path_of_its_own(acquia: Visitor) -> None:
    path = "/codebases/c1/bulk-code-switch"
    content: Any = acquia.post(path, {"reference": "main", "targets": ["e1"]}).json()
    assert set(content["_links"]) == {"self", "get", "status"}
    own = content["_links"]["get"]["href"].partition("/api")[2]
    assert acquia.read(own)["status"] == "in-progress"
    acquia.now = NOW + 5
    assert acquia.read(f"{own}/status")["status"] == "complete"
    assert acquia.get(own.replace("c1", "c2")).status == 404


@pytest.mark.parametrize("shape, key", [("uuid", "uuid"), ("notification", "notification")])
def test_a_bulk_code_switch_answers_in_three_ways(acquia: Visitor, shape: str, key: str) -> None:
    acquia.sandbox.change({"acquia": {"switch_shape": shape}}, NOW)
    content: Any = acquia.post("/codebases/c/bulk-code-switch", {"reference": "r", "targets": []}).json()
    assert key in {**content, **content["_links"]}


def test_a_bulk_code_switch_needs_its_fields(acquia: Visitor) -> None:
    assert acquia.post("/codebases/c/bulk-code-switch", {"reference": "r"}).status == 400


@pytest.mark.parametrize("status, slug", [(403, "forbidden"), (200, "invalid_operation")])
def test_a_start_can_be_refused_by_a_rule(acquia: Visitor, status: int, slug: str) -> None:
    acquia.sandbox.add_rule(f"POST {SWITCH}", refuse=status, message="read only")
    reply = acquia.post(SWITCH, {"branch": "main"})
    assert (reply.status, reply.json()) == (status, {"error": slug, "message": "read only"})
    assert acquia.sandbox.tasks(NOW) == []
