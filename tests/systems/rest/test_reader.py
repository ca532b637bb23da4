from __future__ import annotations

import copy
import json
from typing import Any

import pytest

from airflow_provider_taskwatch.core.error import ConfigurationError
from airflow_provider_taskwatch.systems.rest.profile import (
    MAX_RESOLVED_BYTES,
    TIMEOUT,
    Profile,
    content_of,
    hash_of,
    watched_part,
)
from airflow_provider_taskwatch.systems.rest.reader import read_profile
from airflow_provider_taskwatch.systems.rest.rules import document_of, input_names, needed_inputs, roots_of
from tests.rows import each_row

STAGED: dict[str, Any] = {
    "profile": 1,
    "start": {"path": "/queue", "body": {"m": "{marker}", "a": "{inputs.a}", "b": "{inputs.b?}"}},
    "ref": {"from": ["headers.location", "body.id"]},
    "poll": {"path": "/queue/{ref}", "acceptors": [{"when": "body.gone", "phase": "cancelled"}]},
    "cancel": {"path": "/queue/{ref}", "method": "DELETE"},
    "then": {
        "name": "build",
        "ref": {"from": "body.build"},
        "poll": {
            "path": "/builds/{ref}?x={inputs.x}",
            "accepted": [410],
            "status": "body.state",
            "phases": {"succeeded": "done", "failed": ["bad", "1..5"]},
        },
        "cancel": {"path": "/builds/{ref}", "over": [409]},
    },
    "result": {"path": "/builds/{ref}/result"},
    "find": {"path": "/all", "items": "body.list", "ref": "id", "where": {"m": {"equals": "{marker}"}}, "page": "link"},
    "list": {
        "path": "/all?ids={refs}",
        "items": "body.list",
        "ref": "id",
        "page": {"query": "page", "next": "body.next"},
    },
}


def changed(*changes: tuple[str, Any]) -> dict[str, Any]:
    """The profile with other values at dotted places; ... removes one."""
    made = copy.deepcopy(STAGED)
    for place, value in changes:
        *folders, name = place.split(".")
        inner = made
        for folder in folders:
            inner = inner.setdefault(folder, {})
        if value is ...:
            inner.pop(name)
        else:
            inner[name] = value
    return made


def test_a_valid_profile_is_read() -> None:
    profile = read_profile(STAGED, "a.yaml")
    assert list(profile.stages) == ["", "build"]
    assert (profile.timeout, profile.can_cancel, profile.chooses_ref, profile.keeps_marker) == (
        TIMEOUT,
        True,
        False,
        True,
    )
    assert input_names(profile) == {"a", "b", "x"}
    assert needed_inputs(profile.start) == {"a"}
    assert roots_of(profile.poll) == {"ref"}


MISTAKES: list[tuple[str, Any, str]] = [
    ("profile", ..., "profile: Field required"),
    ("profile", 2, "profile: it must be 1"),
    ("plop", 1, "plop: unknown field"),
    ("start.plop", 1, "start.plop: unknown field"),
    ("then.poll.plop", 1, "then.poll.plop: unknown field"),
    ("list.page.plop", 1, "list.page.plop: unknown field"),
    ("find.page", "other", "find.page"),
    ("noun", "Bad noun!", "noun: "),
    ("timeout", "soon", "timeout: must be seconds, or a text such as"),
    ("timeout", "0s", "timeout: must be seconds"),
    ("timeout", 0, "timeout: must be seconds"),
    ("timeout", True, "timeout: must be seconds"),
    ("timeout", -5, "timeout: must be seconds"),
    ("timeout", "9" * 400 + "d", "timeout: must be seconds"),
    ("timeout", 1e300, "timeout: must be seconds"),
    ("timeout", float("nan"), "timeout: must be seconds"),
    ("timeout", "\u0663s", "timeout: must be seconds"),
    ("start.method", "TRACE", "start.method: "),
    ("start.path", 5, "start.path: must be a path"),
    ("start.path", "jobs", "start.path: 'jobs' must begin with '/'"),
    ("start.path", "https://evil.example/jobs", "start.path: 'https://evil.example/jobs' must begin"),
    ("start.path", "/a/../b", "start.path: the path '/a/../b' must not contain"),
    ("start.path", "/a#b", "start.path: the path '/a#b' contains '#'"),
    ("start.path", "/a\nb", "start.path: the path '/a\\nb' contains a control"),
    ("start.path", "/a/{Ref}", "start.path: '/a/{Ref}' has '{' outside"),
    ("start.path", "/a/}", "start.path: '/a/}' has '}' outside"),
    ("start.path", "/a/%zz", "start.path: the path '/a/%zz' contains '%'"),
    ("start.path", "/a/{secret.key}", "start.path: a path must not hold a {secret...}"),
    ("start.path", "/a?api_key=abc", "start.path: api_key in the path looks like a secret"),
    ("start.path", "/a/{plop}", "start.path: unknown placeholder {plop}"),
    ("start.path", "/a/{ref}", "start: {ref} has no value here; what has is callback, inputs"),
    ("then.poll.path", "/a/{marker}", "then.poll: {marker} has no value here"),
    ("then.cancel.path", "/a/{start.id}", "then.cancel: {start} has no value here"),
    ("result.path", "/a/{refs}", "result: {refs} has no value here"),
    ("find.path", "/a/{ref}", "find: {ref} has no value here"),
    ("list.path", "/a/{ref}", "list: {ref} has no value here"),
    ("probe", {"path": "/a/{inputs.x}"}, "probe: {inputs} has no value here"),
    ("start.query", {"a": "{inputs}"}, "start.query.a: unknown placeholder {inputs}"),
    ("start.query", {"a": ["b"]}, "start.query.a: must be a text, a number"),
    ("start.query", {"api_key": "abc"}, "start.query: api_key looks like a secret and has a literal value"),
    ("start.headers", {"X-Api-Key": "abc"}, "start.headers: X-Api-Key looks like a secret"),
    ("start.headers", {"x-auth-TOKEN": 5}, "start.headers: x-auth-TOKEN looks like a secret"),
    ("start.headers", {"Authorization": "{secret.key}"}, "start.headers: Authorization is not the profile's"),
    ("start.headers", {"AUTHORIZATION": "x"}, "start.headers: AUTHORIZATION is not the profile's"),
    ("start.headers", {"cookie": "{secret.key}"}, "start.headers: cookie is not the profile's"),
    ("then.poll.headers", {"hOST": "x"}, "then.poll.headers: hOST is not the profile's"),
    ("result.headers", {"Proxy-Authorization": "x"}, "result.headers: Proxy-Authorization is not the profile's"),
    ("start.retry_headers", {"Cookie": "x"}, "start.retry_headers: Cookie is not"),
    ("start.body", {"a": ["{plop}"]}, "start.body: unknown placeholder {plop}"),
    ("start.form", {"a": 1}, "start: give one of body, form and multipart"),
    ("start.accepted", [999], "start.accepted.0: "),
    ("start.accepted", "yes", "start.accepted: "),
    ("start.replay", "maybe", "start.replay: it must be 'same'"),
    ("start.replay_within", "1h", "start.replay_within: only with replay"),
    ("start.retry_query", {"a": "b"}, "start.retry_query, start.retry_headers: only with replay"),
    ("start.conflict", "adopt", "start.conflict: adopt needs a ref that we choose"),
    ("start.example", {"status_code": 500}, "start.example: 500 is not in start.accepted"),
    ("start.body", {}, "find: the start leaves no {marker}"),
    ("start", None, "find: there is no start that leaves a marker"),
    ("ref", ..., "ref: Field required"),
    ("ref.from", "", "ref.from.0: must be a JMESPath expression"),
    ("ref.from", "body[", "ref.from.0: 'body[' is not a JMESPath expression"),
    ("ref.from", "bod.id", "ref.from.0: 'bod.id' begins with 'bod'; a reply has status_code"),
    ("ref.from", "inputs", "ref.from.0: 'inputs' reads all inputs"),
    ("ref.kind", "uuid", "ref.kind: it must be 'id', 'name' or 'link'"),
    ("poll.path", ..., "poll.path: it may be absent only where ref.kind is 'link'"),
    ("poll.acceptors", [], "poll: give status and phases, or acceptors"),
    ("poll.acceptors", [{"when": "body.a", "phase": "over"}], "poll.acceptors.0.phase: it must be"),
    ("poll.acceptors", [{"when": "plop(body)", "phase": "failed"}], "poll.acceptors.0.when: 'plop(body)' calls plop()"),
    ("poll.accepted", [503], "poll.accepted: 503 is never a reading"),
    ("poll.accepted", [401, 429], "poll.accepted: 401, 429 is never a reading"),
    ("cancel.over", [500], "cancel.over: 500 is never a reading"),
    ("poll.status", "body.x", "poll: status and phases belong together"),
    ("then.poll.phases", {"failed": "bad"}, "then.poll: no status and no acceptor is 'succeeded'"),
    ("then.poll.phases", {"done": "x"}, "then.poll.phases.done: it must be"),
    ("then.poll.phases", {"succeeded": "Done", "failed": "DONE"}, "then.poll.phases: 'done' is succeeded and failed"),
    ("then.poll.phases", {"succeeded": [["a"]]}, "then.poll.phases.succeeded.0: must be a word or a number"),
    ("then.poll.phases", {"succeeded": ""}, "then.poll.phases.succeeded.0: must be a word or a number"),
    ("then.poll.phases", {"succeeded": "9..1"}, "then.poll.phases: '9..1' has no number"),
    ("then.poll.phases", {"succeeded": "a", "otherwise": "b"}, "then.poll.phases.otherwise: it must be one of"),
    ("then.poll.phases", {"succeeded": "a", "otherwise": ["failed", "lost"]}, "then.poll.phases.otherwise: it must be"),
    ("then.name", "Build!", "then.name: "),
    ("then.then", {**STAGED["then"]}, "then.then.name: 'build' is the name of an earlier stage"),
    ("then.cancel", ..., "cancel: give it for each stage, or for none"),
    ("then.poll.examples", {"succeeded": {"body": {"state": "bad"}}}, "examples.succeeded: it is read as failed"),
    ("then.poll.examples", {"failed": {"body": {"state": "plop"}}}, "it is read as unknown (the status 'plop')"),
    ("then.poll.examples", {"failed": {"status_code": 404}}, "no reading, as 404 is not in poll.accepted"),
    ("then.poll.examples", {"failed": {"body": "<xml/>"}}, "examples.failed: the reply to GET /example (200) is not"),
    ("poll.examples", {"cancelled": {"body": {"gone": 1, "build": 7}}}, "poll.examples.cancelled: it is read as next"),
    ("poll.examples", {"plop": {}}, "poll.examples.plop: it must be"),
    ("result.link", "body.url", "result: give path or link, not both"),
    ("result.hosts", ["*.example.org"], "result.hosts: only a link may lead to another host"),
    ("result.hosts", ["*"], "result.hosts.0: '*' is no host and no pattern"),
    ("result.hosts", ["***"], "result.hosts.0: '***' is no host and no pattern"),
    ("result.hosts", ["*.com"], "result.hosts.0: '*.com' is no host"),
    ("result.hosts", ["*example.com"], "result.hosts.0: '*example.com' is no host"),
    ("result.hosts", ["https://a.example.org"], "result.hosts.0: 'https://a.example.org' is no host"),
    ("find.where.m", {"matches": "x"}, "find.where.m.matches: unknown field"),
    ("find.page", {"query": "page"}, "find.page: give query and next, or link"),
    ("list.page", {"offset": "start"}, "list.page: give query and next, or link"),
    ("list.page", {"link": "body.next", "offset": "start", "limit": 5}, "list.page: give query and next"),
    ("list.max", 0, "list.max: "),
    ("list.absent", "gone", "list.absent: it must be"),
    ("source", {"url": "https://x.test", "read": "2026-12-01", "checked": "hearsay"}, "source.checked: it must be"),
]  # fmt: skip


@each_row("place, value, problem", MISTAKES)
def test_a_mistake_is_named_by_file_and_field(place: str, value: Any, problem: str) -> None:
    with pytest.raises(ConfigurationError) as caught:
        read_profile(changed((place, value)), "dags/a.yaml")
    text = str(caught.value)
    assert text.startswith("dags/a.yaml is not a valid profile:")
    assert problem in text


@each_row(
    "changes, problem",
    [
        ([("start.body", {"a": 1}), ("find", ...), ("start.replay", "same")], "start.replay: a request that may be"),
        ([("start.body", ...), ("start.form", "text")], "start.form: it must be an object"),
        ([("start.body", ...), ("start.multipart", [1])], "start.multipart: it must be an object"),
        ([("ref.from", "request.body.z"), ("start.conflict", "adopt")], "start.conflict: adopt needs a ref"),
        ([("ref.from", "request.body.a"), ("start.conflict", "adopt")], "start.conflict: adopt needs a ref"),
    ],
)
def test_fields_that_do_not_fit_together(changes: list[tuple[str, Any]], problem: str) -> None:
    with pytest.raises(ConfigurationError) as caught:
        read_profile(changed(*changes), "a")
    assert problem in str(caught.value)


@each_row(
    "changes",
    [
        [("ref.from", "request.body.m"), ("start.conflict", "adopt")],
        [("ref.from", "request.headers.x_id"), ("start.headers", {"X-Id": "{start.id}"}), ("start.conflict", "adopt")],
        [("start.replay", "same"), ("start.replay_within", "1d"), ("start.retry_query", {"again": True})],
        [("start.method", "PUT"), ("start.replay", "same")],
        [("poll.path", ...), ("ref.kind", "link")],
        [("then.poll.phases", {"succeeded": 0, "failed": [1.5, True], "otherwise": "running"})],
        [("then.poll.phases", {"otherwise": "succeeded", "failed": "bad"})],
        [("result", {"link": "body.url", "hosts": ["*.Example.ORG", "minio", "eu-*.files.example.org"]})],
        [("find.page", {"offset": "start", "limit": 5}), ("list.page", {"link": "body.next"})],
        [("start", ...), ("find", ...), ("result", ...), ("list", ...)],
        [("timeout", 5)],
        [("start.headers", {"X-Api-Key": "{secret.key}", "X-Tokens": "Token {secret.a}"})],
        [("start.body", ...), ("start.form", "{inputs.fields}"), ("find", ...)],
        [("poll.examples", {"next": {"body": {"build": 7}}, "cancelled": {"body": {"gone": True}}})],
        [("start.example", {"status_code": 201, "body": "text", "headers": {"Location": "/queue/1"}})],
    ],
)
def test_what_a_profile_may_say(changes: list[tuple[str, Any]]) -> None:
    profile = read_profile(changed(*changes), "a")
    assert read_profile(content_of(profile), "again") == profile


@each_row("content", [None, 5, "text", [], [1]])
def test_a_profile_is_an_object(content: object) -> None:
    with pytest.raises(ConfigurationError, match=r"^a must be an object"):
        read_profile(content, "a")


def test_a_profile_with_other_names_than_texts_is_refused() -> None:
    with pytest.raises(ConfigurationError, match="is not a valid profile"):
        read_profile({5: 1}, "a")


def test_a_profile_is_never_nested_too_deeply() -> None:
    deep: dict[str, Any] = changed()
    inner = deep
    for _ in range(300):
        inner["then"] = copy.deepcopy(STAGED["then"])
        inner = inner["then"]
    with pytest.raises(ConfigurationError):
        read_profile(deep, "a")


def test_a_trigger_carries_neither_examples_nor_the_start() -> None:
    content = changed(
        ("poll.examples", {"cancelled": {"body": {"gone": 1}}}),
        ("poll.query", {"examples": "x"}),
        ("start.body.example", "y"),
        ("title", "t"),
    )
    part = watched_part(content)
    assert set(part) == {"profile", "ref", "poll", "cancel", "then", "result", "list"}
    assert part["poll"]["query"] == {"examples": "x"}
    assert "examples" not in part["poll"]
    assert read_profile(part, "a").stages.keys() == {"", "build"}
    assert hash_of(part) == hash_of(json.loads(json.dumps(part, sort_keys=True)))


def test_a_trigger_carries_no_more_than_it_may() -> None:
    with pytest.raises(ConfigurationError, match=f"at most {MAX_RESOLVED_BYTES}"):
        watched_part(changed(("poll.query", {f"q{number}": "x" * 80 for number in range(200)})))


def test_a_profile_made_in_python_is_plain_data() -> None:
    profile = Profile.model_validate(STAGED)
    assert content_of(profile)["list"] == {**STAGED["list"], "items": "body.list"}
    assert json.dumps(content_of(profile))


def test_an_example_is_read_as_a_reply() -> None:
    poll = read_profile(changed(("poll.examples", {"next": {"body": {"build": 7}}})), "a").poll
    seen = document_of(poll.examples["next"], {"x": 1})
    assert (seen.root("body"), seen.root("inputs"), seen.root("status_code")) == ({"build": 7}, {"x": 1}, 200)
    assert seen.root("headers") == {"content_type": "application/json"}
