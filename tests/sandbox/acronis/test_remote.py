"""Tasks, plans and tokens of the emulated Acronis; its events are in :mod:`.test_acronis_event`."""

from __future__ import annotations

from typing import Any

import pytest

from airflow_provider_taskwatch.core.wire import Query, send
from airflow_provider_taskwatch.sandbox.sandbox import Sandbox
from tests.sandbox.visitor import NOW, Visitor, basic, token_call

TM = "/api/task_manager/v2"
RUN = "/api/policy_management/v4/applications/run"


def run(acronis: Visitor, *resources: str, policy: str = "nightly") -> list[str]:
    """Start a plan on resources; the refs of the tasks."""
    content = {"state": "running", "policy_id": policy, "context_ids": list(resources or ["db"])}
    assert acronis.ask(send("PUT", RUN, content)).status == 200
    return [task["ref"] for task in acronis.sandbox.tasks(acronis.now)][-len(resources or "1") :]


def ids(content: Any) -> list[str]:
    return [str(one["id"]) for one in content["items"]]


# --- tokens


@pytest.mark.parametrize("path", ["/api/2/idp/token", "/bc/idp/token"])
def test_a_token_names_its_expiry(sandbox: Sandbox, path: str) -> None:
    client = Visitor(sandbox, "acronis", "", {"Authorization": basic("sandbox-id", "sandbox-secret")})
    answer: Any = client.ask(token_call({}, path=path)).json()
    assert answer["expires_on"] == NOW + 7200
    assert "expires_in" not in answer


def test_a_token_is_rejected_after_its_expiry(acronis: Visitor) -> None:
    assert acronis.get(f"{TM}/tasks").status == 200
    acronis.now += 7200
    assert acronis.get(f"{TM}/tasks").status == 401


def test_each_service_has_its_own_error_format(acronis: Visitor) -> None:
    assert acronis.read(f"{TM}/tasks/5")["code"] == "NotFound"
    assert acronis.read("/api/event_manager/v1/nothing")["error"]["code"] == "NotFound"
    acronis.headers = {}
    assert acronis.get(f"{TM}/tasks").json()["code"] == "Unauthorized"


# --- one task


def test_a_task_passes_through_each_state(acronis: Visitor) -> None:
    acronis.sandbox.add_rule("nightly", duration=10)
    [ref] = run(acronis)
    states = []
    for acronis.now in (NOW, NOW + 1, NOW + 5, NOW + 10):
        content = acronis.read(f"{TM}/tasks/{ref}")
        states.append((content["state"], content.get("result", {}).get("code"), content["progress"]["current"]))
    assert states == [("enqueued", None, 0), ("assigned", None, 10), ("started", None, 50), ("completed", "ok", 100)]
    assert (content["policy"]["id"], content["resource"]["id"]) == ("nightly", "db")


def test_the_id_of_a_task_exceeds_the_precision_of_a_float(acronis: Visitor) -> None:
    [ref] = run(acronis)
    assert int(float(ref)) != int(ref)
    assert acronis.read(f"{TM}/tasks/{ref}")["id"] == int(ref)
    acronis.sandbox.change({"acronis": {"text_ids": True}}, NOW)
    assert acronis.read(f"{TM}/tasks/{ref}")["id"] == ref


@pytest.mark.parametrize(
    "outcome, state, code, message",
    [
        ("success", "completed", "ok", None),
        ("warning", "completed", "warning", None),
        ("failure", "completed", "error", "disk full"),
        ("timedout", "completed", "timedout", "disk full"),
        ("cancelled", "completed", "cancelled", "disk full"),
        ("lost", "completed", "abandoned", "disk full"),
        ("unknown", "hibernating", None, None),
    ],
)
def test_a_task_ends_as_its_rule_says(
    acronis: Visitor, outcome: str, state: str, code: str | None, message: str | None
) -> None:
    acronis.sandbox.add_rule(outcome=outcome, duration=0, message="disk full")
    content = acronis.read(f"{TM}/tasks/{run(acronis)[0]}")
    result = content.get("result", {})
    assert (content["state"], result.get("code")) == (state, code)
    assert result.get("error", {}).get("message") == message


def test_a_blocked_task_names_its_blocker(acronis: Visitor) -> None:
    acronis.sandbox.add_rule(outcome="blocked", duration=0, message="agent.offline")
    content = acronis.read(f"{TM}/tasks/{run(acronis)[0]}")
    assert (content["state"], content["blockers"][0]["issue"]["key"]) == ("paused", "agent.offline")


def test_a_requeued_task_is_assigned_once_more(acronis: Visitor) -> None:
    acronis.sandbox.add_rule(duration=9, stages=[(0, "started"), (2, "enqueued"), (4, "started")])
    [ref] = run(acronis)
    seen = []
    for acronis.now in (NOW + 1, NOW + 3, NOW + 5):
        content = acronis.read(f"{TM}/tasks/{ref}")
        seen.append((content["state"], content["assignCount"]))
    assert seen == [("started", 1), ("enqueued", 1), ("started", 2)]


def test_a_task_may_be_unknown_at_first_and_after_its_end(acronis: Visitor) -> None:
    acronis.sandbox.add_rule("db", hidden_seconds=5, duration=6)
    acronis.sandbox.add_rule("gone", outcome="gone", duration=0)
    hidden, gone = run(acronis, "db", "gone")
    assert acronis.get(f"{TM}/tasks/{hidden}").status == acronis.get(f"{TM}/tasks/{gone}").status == 404
    acronis.now += 5
    assert acronis.get(f"{TM}/tasks/{hidden}").status == 200


def test_a_deleted_task_is_shown_on_request_only(acronis: Visitor) -> None:
    acronis.sandbox.change({"acronis": {"delete_after": 60}}, NOW)
    [ref] = run(acronis)
    acronis.now += 70
    assert acronis.get(f"{TM}/tasks/{ref}").status == 404
    assert acronis.get(f"{TM}/tasks/{ref}", {"allow_deleted": True}).status == 200
    assert ids(acronis.read(f"{TM}/tasks")) == []


def test_a_task_without_progress_shows_none(acronis: Visitor) -> None:
    acronis.sandbox.add_rule(progress="absent")
    assert "progress" not in acronis.read(f"{TM}/tasks/{run(acronis)[0]}")


# --- lists


@pytest.fixture
def busy(acronis: Visitor) -> Visitor:
    """Three tasks ten seconds apart: one has ended, one is blocked, one runs."""
    acronis.sandbox.add_rule("b", outcome="blocked", duration=0)
    acronis.sandbox.add_rule("c", duration=1000, stages=[(0, "started")])
    for resource in "abc":
        run(acronis, resource)
        acronis.now += 10
    return acronis


def found(busy: Visitor, query: Query) -> str:
    by_ref = {task["ref"]: "abc"[n] for n, task in enumerate(busy.sandbox.tasks(busy.now))}
    return "".join(by_ref[one] for one in ids(busy.read(f"{TM}/tasks", query)))


def refs(busy: Visitor) -> list[str]:
    return [task["ref"] for task in busy.sandbox.tasks(busy.now)]


@pytest.mark.parametrize(
    "query, letters",
    [
        ({}, "abc"),
        ({"state": "started"}, "c"),
        ({"state": ["started", "paused"]}, "bc"),
        ({"state": "or(started,paused)"}, "bc"),
        ({"resultCode": "ok"}, "a"),
        ({"policyId": "nightly", "resourceId": "b"}, "b"),
        ({"resourceName": "like(c)"}, "c"),
        ({"enqueuedAt": "gt(2027-01-15T08:00:00Z)"}, "bc"),
        ({"enqueuedAt": "2027-01-15T08:00:10.000000Z"}, "b"),
        ({"completedAt": "le(2027-01-15T08:00:05.9Z)"}, "a"),
        ({"order": "desc(enqueuedAt)"}, "cba"),
        ({"order": "desc(completedAt)", "lod": "short"}, "acb"),
    ],
)
def test_a_list_can_be_filtered_and_ordered(busy: Visitor, query: Query, letters: str) -> None:
    assert sorted(found(busy, query)) == sorted(letters)
    assert found(busy, query)[0] == letters[0]


def test_a_list_accepts_many_ids_in_both_spellings_or_in_one(busy: Visitor) -> None:
    wanted = refs(busy)[:2]
    spelled = {"repeated": {"id": wanted}, "or": {"id": f"or({','.join(wanted)})"}}
    assert [found(busy, query) for query in spelled.values()] == ["ab", "ab"]
    busy.sandbox.change({"acronis": {"many_values": "or"}}, NOW)
    assert [found(busy, query) for query in spelled.values()] == ["b", "ab"]
    busy.sandbox.change({"acronis": {"many_values": "repeated"}}, NOW)
    assert [found(busy, query) for query in spelled.values()] == ["ab", ""]


def test_entries_of_a_list_are_short(busy: Visitor) -> None:
    [entry] = busy.read(f"{TM}/tasks", {"state": "started"})["items"]
    assert not {"uuid", "policy", "progress"} & set(entry)


@pytest.mark.parametrize("place", ["top", "paging"])
def test_a_cursor_includes_the_filters(busy: Visitor, place: str) -> None:
    busy.sandbox.change({"acronis": {"cursor_place": place}}, NOW)

    def cursors(content: Any) -> dict[str, str]:
        found: dict[str, str] = (content["paging"] if place == "paging" else content)["cursors"]
        return found

    first = busy.read(f"{TM}/tasks", {"state": ["started", "paused"], "limit": 1})
    last = busy.read(f"{TM}/tasks", {"after": cursors(first)["after"], "limit": 1})
    assert [ids(first), ids(last)] == [[refs(busy)[1]], [refs(busy)[2]]]
    assert ("after" in cursors(last), "before" in cursors(last)) == (False, True)


@pytest.mark.parametrize(
    "query",
    [
        {"colour": "red"},
        {"lod": "huge"},
        {"order": "asc(colour)"},
        {"order": "up"},
        {"enqueuedAt": "soon"},
        {"enqueuedAt": "like(2027)"},
        {"after": "x"},
        {"after": "WzEsIDJd", "state": "started"},
        {"after": "bnVsbA=="},
    ],
)
def test_an_invalid_query_of_a_list_is_refused(busy: Visitor, query: Query) -> None:
    assert busy.get(f"{TM}/tasks", query).status == 400


# --- activities and plans


def test_a_task_has_an_activity(busy: Visitor) -> None:
    [one] = busy.read(f"{TM}/activities", {"taskId": refs(busy)[1]})["items"]
    assert (str(one["taskId"]), one["state"]) == (refs(busy)[1], "paused")
    assert busy.read(f"{TM}/activities/{one['id']}")["id"] == one["id"]
    assert busy.get(f"{TM}/activities/x").status == 404


def test_a_plan_starts_one_task_for_each_resource_and_names_none(acronis: Visitor) -> None:
    reply = acronis.ask(send("PUT", RUN, {"state": "running", "policy_id": "p", "context_ids": ["a", "b"]}))
    assert (reply.status, reply.json()) == (200, {})
    assert acronis.sandbox.counts()["started"]["acronis"] == 2


def test_a_plan_can_be_refused(acronis: Visitor) -> None:
    acronis.sandbox.add_rule("p", refuse=403, message="not yours")
    reply = acronis.ask(send("PUT", RUN, {"state": "running", "policy_id": "p", "context_ids": ["a"]}))
    assert (reply.status, reply.json()["error"]["message"]) == (403, "not yours")


@pytest.mark.parametrize("content", [{}, [], {"state": "stopped", "policy_id": "p", "context_ids": ["a"]}])
def test_a_malformed_plan_is_refused(acronis: Visitor, content: object) -> None:
    assert acronis.ask(send("PUT", RUN, content)).status == 400
