from __future__ import annotations

from typing import Any

import pytest

from airflow_provider_taskwatch.core.pattern import Matched, Pattern, RequestPattern
from airflow_provider_taskwatch.core.wire import Call, get, send
from tests.rows import each_row


@each_row(
    "pattern, path, values",
    [
        ("/runs/{ref}", "/runs/7", {"ref": "7"}),
        ("/runs/{ref}", "/runs/a%2Fb", {"ref": "a/b"}),
        ("/runs/{ref}", "/runs/7/logs", None),
        ("/runs/{ref}", "/runs/", None),
        ("/v1/{+ref}:cancel", "/v1/operations/7:cancel", {"ref": "operations/7"}),
        ("{+ref}api/json", "/job/a/14/api/json", {"ref": "/job/a/14/"}),
        ("/a/{inputs.x?}/b", "/a//b", {"inputs.x": ""}),
        ("/a/{{x}}/b", "/a/{x}/b", {}),
        ("/{inputs.x}/{inputs.x}", "/1/1", {"inputs.x": "1"}),
        ("/{inputs.x}/{inputs.x}", "/1/2", None),
        ("/a.b", "/axb", None),
    ],
)
def test_a_path_is_read_backwards(pattern: str, path: str, values: dict[str, str] | None) -> None:
    assert Pattern(pattern, is_path=True).match(path) == values


@each_row(
    "pattern, path, base",
    [
        ("/runs/{ref}", "/api/v3/runs/7", "/api/v3"),
        ("/runs/{ref}", "/runs/7", ""),
        ("/runs/{ref}", "/api/v3/jobs/7", None),
        ("{+inputs.path}", "/api/v3/jobs", ""),
        ("/{inputs.x}/{inputs.x}", "/a/1/2", None),
    ],
)
def test_the_path_before_it_is_found(pattern: str, path: str, base: str | None) -> None:
    assert Pattern(pattern, is_path=True).base_of(path) == base


def test_values_of_bodies_keep_their_types() -> None:
    matched = Matched()
    template = {
        "id": "{inputs.id}",
        "name": "job-{start.id}",
        "tags": ["{marker}", "x"],
        "wait": True,
        "n": "{inputs.n?}",
    }
    matched.read(template, {"id": 7, "name": "job-s1", "tags": ["m", "x"], "wait": True})
    assert matched.values == {"inputs.id": 7, "start.id": "s1", "marker": "m"}
    assert (matched.hits, matched.misses) == (3, 0)


@each_row(
    "template, actual",
    [({"a": "x"}, {"a": "y"}), ({"a": "{ref}"}, {}), ({"a": "x-{ref}"}, {"a": 7}), (["{ref}"], []), ({"a": 1}, None)],
)
def test_what_differs_is_counted(template: Any, actual: Any) -> None:
    matched = Matched()
    matched.read(template, actual)
    assert matched.misses == 1


REQUEST = {
    "method": "POST",
    "path": "/runs/{inputs.repo}?kind=all",
    "query": {"run": "{ref}"},
    "headers": {"Idempotency-Key": "{start.uuid}", "Accept": "application/json"},
    "form": {"branch": "{inputs.branch}"},
}


def test_a_request_is_read_in_all_its_parts() -> None:
    call = Call(
        method="POST",
        path="/api/runs/r",
        query=(("kind", "all"), ("run", "7")),
        headers={"idempotency-key": "u-1"},
        body=b"branch=main",
    )
    matched = RequestPattern(REQUEST).match(call, "/api")
    assert matched is not None
    assert matched.values == {"inputs.repo": "r", "ref": "7", "start.uuid": "u-1", "inputs.branch": "main"}
    assert (matched.hits, matched.misses) == (1, 0)


@pytest.mark.parametrize("call", [get("/runs/r"), send("POST", "/jobs/r"), send("POST", "/api/runs/r")])
def test_another_method_or_path_is_another_request(call: Call) -> None:
    assert RequestPattern(REQUEST).match(call) is None


def test_a_body_that_is_not_json_fits_badly() -> None:
    matched = RequestPattern({"path": "/a", "body": {"id": "{ref}"}}, "POST").match(send("POST", "/a"))
    assert matched is not None
    assert matched.misses == 1
