from __future__ import annotations

from typing import Any

import pytest

from tests.sandbox.visitor import NOW, Visitor

LIST = "/applications/app/notifications"


@pytest.fixture
def busy(acquia: Visitor) -> Visitor:
    """Three backups, one failed, each ten seconds after the one before; and one task of another application."""
    for name, outcome in (("a", "success"), ("b", "failure"), ("c", "success")):
        acquia.sandbox.add_rule(f"*/databases/{name}/backups", outcome=outcome, message=f"backup {name}")
        acquia.post(f"/environments/7-app/databases/{name}/backups")
        acquia.now += 10
    acquia.post("/environments/8-other/files")
    return acquia


def messages(content: Any) -> list[str]:
    return [item["description"] for item in content["_embedded"]["items"]]


def test_a_list_holds_the_tasks_of_its_application_newest_first(busy: Visitor) -> None:
    content = busy.read(LIST)
    assert messages(content) == ["backup c", "backup b", "backup a"]
    assert content["pagination"] == {"total": 3, "limit": 100, "offset": 0}
    assert "_links" not in content["_embedded"]["items"][0]


def test_the_list_of_an_organization_holds_every_task_and_has_an_odd_content_type(busy: Visitor) -> None:
    reply = busy.get("/organizations/any/notifications")
    content: Any = reply.json()
    assert (content["total"], reply.headers["content-type"]) == (4, "organization/json")


@pytest.mark.parametrize(
    "text, found",
    [
        ("status=failed", "b"),
        ("status!=failed", "ca"),
        ("created_at>=2027-01-15T08:00:10+00:00", "cb"),
        ("created_at>=2027-01-15T08:00:10 00:00", "cb"),
        ("created_at<2027-01-15T08:00:10+00:00", "a"),
        ("status=failed,status=completed", "cba"),
        ("status=failed,status=completed;created_at>2027-01-15T08:00:00+00:00", "cb"),
        ("description=@BACKUP C", "c"),
        ("description!@backup c", "ba"),
        ("author=nobody", ""),
    ],
)
def test_a_list_can_be_filtered(busy: Visitor, text: str, found: str) -> None:
    assert messages(busy.read(LIST, {"filter": text})) == [f"backup {name}" for name in found]


def test_a_running_task_is_neither_completed_before_nor_after(acquia: Visitor) -> None:
    acquia.post("/applications/app/x")
    assert acquia.read(LIST, {"filter": "completed_at>2000-01-01T00:00:00+00:00"})["total"] == 0


def test_a_list_can_be_sorted_and_paged(busy: Visitor) -> None:
    assert messages(busy.read(LIST, {"sort": "status,-created_at"})) == ["backup c", "backup a", "backup b"]
    assert messages(busy.read(LIST, {"limit": 1, "offset": 1})) == ["backup b"]


@pytest.mark.parametrize("query", [{"filter": "colour=red"}, {"sort": "colour"}])
def test_an_unknown_field_is_refused(busy: Visitor, query: dict[str, str]) -> None:
    assert busy.get(LIST, query).status == 400


def test_a_list_can_lag_behind_single_reads(acquia: Visitor) -> None:
    acquia.sandbox.change({"acquia": {"list_lag": 30}}, NOW)
    acquia.post("/applications/app/x")
    assert acquia.read(LIST)["total"] == 0
    acquia.now = NOW + 30
    assert acquia.read(LIST)["total"] == 1
