"""Faults of callbacks."""

from __future__ import annotations

import json
from typing import Any

import pytest

from airflow_provider_taskwatch.sandbox.post import Post
from airflow_provider_taskwatch.sandbox.sandbox import Sandbox
from tests.sandbox.visitor import NOW, Visitor

URL = "https://airflow.invalid/hook?token=abc"


def start(automic: Visitor, name: str = "JOBS.LOAD", headers: dict[str, str] | None = None) -> int:
    callback = {"type": "http", "http": {"url": URL, "headers": headers or {}}}
    reply: Any = automic.post("/100/executions", {"object_name": name, "callback": callback}).json()
    return int(reply["run_id"])


def due(automic: Visitor, seconds: float = 5) -> list[Post]:
    automic.now = NOW + seconds
    return automic.sandbox.due(automic.now)


def test_a_callback_can_be_sent_twice_and_the_copy_is_not_an_attempt(sandbox: Sandbox, automic: Visitor) -> None:
    sandbox.add_fault("callback_duplicate")
    start(automic)
    first, copy = due(automic)
    assert (first.body, first.attempt, copy.is_copy) == (copy.body, copy.attempt, True)
    sandbox.answered(copy, 200, NOW + 5)
    sandbox.answered(first, 503, NOW + 5)
    assert [(one["status"], one["fault"]) for one in sandbox.log()[1:]] == [
        (200, "callback_duplicate"),
        (503, "callback_duplicate"),
    ]
    assert len(due(automic, 35)) == 2


def test_the_copy_may_come_later(sandbox: Sandbox, automic: Visitor) -> None:
    sandbox.add_fault("callback_duplicate", seconds=60)
    start(automic)
    assert [post.is_copy for post in due(automic)] == [False]
    assert [post.is_copy for post in due(automic, 65)] == [True]


def test_a_callback_can_be_late(sandbox: Sandbox, automic: Visitor) -> None:
    sandbox.add_fault("callback_late", seconds=7)
    start(automic)
    assert (due(automic, 11.9), sandbox.next_due()) == ([], NOW + 18.9)
    assert len(due(automic, 18.9)) == 1


def test_a_late_callback_is_a_second_late_by_default(sandbox: Sandbox, automic: Visitor) -> None:
    sandbox.add_fault("callback_late")
    start(automic)
    assert (due(automic), sandbox.next_due()) == ([], NOW + 6)


def test_a_lost_callback_is_not_sent_but_recorded_as_delivered(sandbox: Sandbox, automic: Visitor) -> None:
    sandbox.add_fault("callback_lost")
    start(automic)
    assert (due(automic), due(automic, 3600)) == ([], [])
    entry = sandbox.log()[-1]
    assert (entry["endpoint"], entry["status"], entry["fault"]) == ("callback", None, "callback_lost")
    listed = automic.read("/100/executions", {"type": "CBCK", "include_deactivated": True})
    assert listed["data"][0]["status"] == 1900


@pytest.mark.parametrize(
    "sent, expected",
    [
        ("Bearer s3cret", "Bearer terc3sx"),
        ("Basic YWI6Y2Q=", "Basic =Q2Y6IWYx"),
        ("raw", "warx"),
    ],
)
def test_the_secret_in_the_header_can_be_wrong(sandbox: Sandbox, automic: Visitor, sent: str, expected: str) -> None:
    sandbox.add_fault("callback_secret")
    start(automic, headers={"authorization": sent, "X-Team": "a"})
    [post] = due(automic)
    assert (post.url, post.headers) == (URL, {"authorization": expected, "X-Team": "a"})


def test_without_such_a_header_the_end_of_the_url_is_wrong(sandbox: Sandbox, automic: Visitor) -> None:
    sandbox.add_fault("callback_secret")
    start(automic)
    assert [post.url for post in due(automic)] == ["https://airflow.invalid/hook?token=cbax"]


def test_a_body_can_be_garbage(sandbox: Sandbox, automic: Visitor) -> None:
    sandbox.add_fault("callback_garbage")
    start(automic)
    [post] = due(automic)
    with pytest.raises(ValueError, match="Unterminated"):
        json.loads(post.body)


@pytest.mark.parametrize("values, run_id", [({}, "0001000002"), ({"run_id": 42}, "0000000042")])
def test_a_callback_can_carry_another_run_id(
    sandbox: Sandbox, automic: Visitor, values: dict[str, Any], run_id: str
) -> None:
    sandbox.add_fault("callback_run_id", **values)
    assert start(automic) == 1000001
    [post] = due(automic)
    assert (json.loads(post.body)["runid"], post.about) == (run_id, "1000001")


@pytest.mark.parametrize(
    "outcome, values, status",
    [("success", {}, "1800"), ("failure", {}, "1900"), ("success", {"status": 1550}, "1550")],
)
def test_a_callback_can_carry_another_status(
    sandbox: Sandbox, automic: Visitor, outcome: str, values: dict[str, Any], status: str
) -> None:
    sandbox.add_rule(outcome=outcome)
    sandbox.add_fault("callback_status", **values)
    start(automic)
    [post] = due(automic)
    assert json.loads(post.body)["execution_status"] == status


def test_an_early_callback_reports_a_success(sandbox: Sandbox, automic: Visitor) -> None:
    sandbox.add_fault("callback_early", seconds=2, times=1)
    early, other = start(automic), start(automic)
    assert sandbox.log()[0]["fault"] == "callback_early"
    assert (due(automic, 1.9), sandbox.next_due()) == ([], NOW + 2)
    [post] = due(automic, 2)
    assert json.loads(post.body) == {"runid": f"{early:010}", "object_type": "JOBS", "execution_status": "1900"}
    assert automic.read(f"/100/executions/{early}")["status"] == 1550
    assert [post.about for post in due(automic, 5)] == [str(other)]


def test_an_early_callback_is_never_later_than_the_usual_one(sandbox: Sandbox, automic: Visitor) -> None:
    sandbox.add_fault("callback_early", seconds=60)
    sandbox.add_rule(outcome="failure")
    start(automic)
    assert [post.claimed_status for post in due(automic)] == ["1800"]
    assert due(automic, 60) == []


def test_a_recurring_start_has_no_early_callback_either(sandbox: Sandbox, automic: Visitor) -> None:
    sandbox.add_fault("callback_early")
    callback = {"type": "http", "http": {"url": URL}}
    content = {"object_name": "JOBS.LOAD", "execution_option": "recurring", "callback": callback}
    assert automic.post("/100/executions", content).status == 200
    assert due(automic) == []


def test_a_start_without_a_callback_uses_up_no_early_one(sandbox: Sandbox, automic: Visitor) -> None:
    sandbox.add_fault("callback_early", times=1)
    automic.post("/100/executions", {"object_name": "JOBS.OTHER"})
    automic.post("/100/executions/1000001/status", {"action": "cancel"})
    start(automic)
    assert len(due(automic, 0)) == 1


def test_several_faults_strike_one_callback(sandbox: Sandbox, automic: Visitor) -> None:
    for name in ("callback_duplicate", "callback_late", "callback_status", "callback_garbage"):
        sandbox.add_fault(name)
    start(automic)
    assert due(automic) == []
    posts = due(automic, 6)
    assert [(post.is_copy, post.claimed_status, post.garbage is None) for post in posts] == [
        (False, "1800", False),
        (True, "1800", False),
    ]
    assert posts[0].fault == "callback_duplicate + callback_late + callback_status + callback_garbage"


def test_a_fault_strikes_a_limited_number_of_attempts(sandbox: Sandbox, automic: Visitor) -> None:
    sandbox.add_fault("callback_secret", times=1)
    start(automic, headers={"Authorization": "Bearer a"})
    [first] = due(automic)
    sandbox.answered(first, 401, NOW + 5)
    [second] = due(automic, 35)
    assert (first.headers, second.headers) == ({"Authorization": "Bearer ax"}, {"Authorization": "Bearer a"})


@pytest.mark.parametrize(
    "match, is_hit",
    [
        ({"path": "^/hook$"}, True),
        ({"path": "/executions"}, False),
        ({"body": '"runid": "0001000001"'}, True),
        ({"body": "1000002"}, False),
        ({"system": "acquia"}, False),
        ({"until": NOW}, False),
        ({"skip": 1}, False),
    ],
)
def test_a_fault_hits_the_callbacks_that_it_matches(
    sandbox: Sandbox, automic: Visitor, match: dict[str, Any], is_hit: bool
) -> None:
    sandbox.add_fault("callback_duplicate", **match)
    start(automic)
    assert len(due(automic)) == 1 + is_hit


def test_faults_of_calls_and_of_callbacks_are_independent(sandbox: Sandbox, automic: Visitor) -> None:
    sandbox.add_fault("callback_lost")
    sandbox.add_fault("headers", headers={"x-a": "b"})
    start(automic)
    assert due(automic) == []
    assert [(one["name"], one["seen"], one["hits"]) for one in sandbox.faults.view()] == [
        ("callback_lost", 1, 1),
        ("headers", 1, 1),
    ]
