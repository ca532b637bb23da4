from __future__ import annotations

from typing import Any

import pytest

from airflow_provider_taskwatch.core.wire import Query
from tests.sandbox.visitor import NOW, Visitor

LIST = "/100/executions"


@pytest.fixture
def busy(automic: Visitor) -> Visitor:
    """Four runs, ten seconds apart, the second failed and the last still running."""
    automic.sandbox.add_rule("JOBS.B", outcome="failure", options={"agent": "UNIX01", "platform": "UNIX"})
    automic.sandbox.add_rule("SCRI.C", options={"archive_key1": "key", "archive_key2": "other"})
    automic.sandbox.add_rule("JOBS.D#1", duration=1000)
    for name, more in (
        ("JOBS.A", {"alias": "load-1"}),
        ("JOBS.B", {"alias": "load-2", "queue": "FAST"}),
        ("SCRI.C", {}),
        ("JOBS.D#1", {"alias": "other"}),
    ):
        automic.post(LIST, {"object_name": name, **more})
        automic.now += 10
    return automic


def names(content: Any) -> list[str]:
    return [one["name"].rpartition(".")[2] for one in content["data"]]


@pytest.mark.parametrize(
    "query, found",
    [
        ({}, "D#1 C B A"),
        ({"name": "JOBS.A"}, "A"),
        ({"name": "JOBS*"}, "D#1 B A"),
        ({"name": "JOBS*", "name_exclude": "true"}, "C"),
        ({"name_exclude": "SCRI.C"}, "D#1 B A"),
        ({"name": "JOBS.D#1"}, ""),
        ({"alias": "load-*"}, "B A"),
        ({"type": ["SCRI", "JOBP"]}, "C"),
        ({"type": "SCRI,JOBS"}, "D#1 C B A"),
        ({"status": "1800"}, "B"),
        ({"status": "1800,1900"}, "C B A"),
        ({"status": ["1800", "1550"]}, "B"),
        ({"status": "1900-1999"}, "D#1 C B A"),
        ({"agent": "UNIX*"}, "B"),
        ({"agent": "UNIX*", "agent_exclude": "true"}, "D#1 C A"),
        ({"platform": "UNIX"}, "B"),
        ({"queue": "FAST"}, "B"),
        ({"user": "AIRFLOW/*"}, "D#1 C B A"),
        ({"user": "AIRFLOW/*", "user_exclude": "true"}, ""),
        ({"archive_key1": "key"}, "C"),
        ({"archive_key2": "oth*"}, "C"),
        ({"run_id": 1000002}, "B"),
        ({"reference_run_id": 0}, "D#1 C B A"),
        ({"remote_status_number": 12}, ""),
        ({"commented_only": "true"}, ""),
        ({"modified_only": "false"}, "D#1 C B A"),
        ({"zdu_version": "B", "sync_usage": "S"}, "D#1 C B A"),
        ({"time_frame_from": "2027-01-15T08:00:20Z"}, "D#1 C"),
        ({"time_frame_option": "end", "time_frame_to": "2027-01-15T08:00:15Z"}, "B A"),
        (
            {
                "time_frame_option": "start",
                "time_frame_from": "2027-01-15T08:00:05Z",
                "time_frame_to": "2027-01-15T08:00:25Z",
            },
            "C B",
        ),
    ],
)
def test_a_list_can_be_filtered(busy: Visitor, query: Query, found: str) -> None:
    assert names(busy.read(LIST, query)) == found.split()


@pytest.mark.parametrize(
    "query",
    [{"run_id": "x"}, {"time_frame_from": "now"}, {"time_frame_option": "x", "time_frame_to": "2027-01-15T08:00:15Z"}],
)
def test_a_malformed_filter_is_refused(busy: Visitor, query: Query) -> None:
    assert busy.get(LIST, query).status == 400


def test_a_page_continues_after_the_last_run_of_the_previous_page(busy: Visitor) -> None:
    first = busy.read(LIST, {"max_results": 3})
    assert (names(first), first["total"], first["hasmore"]) == (["D#1", "C", "B"], 4, True)
    second = busy.read(LIST, {"max_results": 3, "start_at_run_id": first["data"][-1]["run_id"]})
    assert (names(second), second["hasmore"]) == (["A"], False)


def test_a_page_continues_although_the_last_run_has_left_the_list(busy: Visitor) -> None:
    content = busy.read(LIST, {"status": 1900, "start_at_run_id": 1000002})
    assert names(content) == ["A"]


def test_an_ended_run_is_deactivated_after_a_while(busy: Visitor) -> None:
    busy.now = NOW + 75
    assert names(busy.read(LIST)) == ["D#1", "C"]
    assert names(busy.read(LIST, {"include_deactivated": True})) == ["D#1", "C", "B", "A"]


def test_a_list_can_lag_behind_single_reads(automic: Visitor) -> None:
    automic.sandbox.change({"automic": {"list_lag": 5}}, NOW)
    automic.post(LIST, {"object_name": "JOBS.A"})
    assert automic.read(LIST)["total"] == 0
    automic.now = NOW + 5
    assert automic.read(LIST)["total"] == 1


def test_children_are_listed_with_their_parent(automic: Visitor) -> None:
    automic.post(LIST, {"object_name": "JOBP.NIGHT"})
    content = automic.read(LIST)
    assert names(content) == ["THIRD", "SECOND", "FIRST", "NIGHT"]
    assert content["data"][0]["parent"] == content["data"][-1]["run_id"]
