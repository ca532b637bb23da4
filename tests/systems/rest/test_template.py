from __future__ import annotations

import json
from typing import Any
from urllib.parse import parse_qsl, unquote, urlsplit

import pytest
from hypothesis import given
from hypothesis import strategies as st

from airflow_provider_taskwatch.core.error import ConfigurationError
from airflow_provider_taskwatch.core.wire import Call, canonical_target
from airflow_provider_taskwatch.systems.rest.profile import Request, Start
from airflow_provider_taskwatch.systems.rest.request import call_of, sent_request, start_call, values_of
from airflow_provider_taskwatch.systems.rest.template import filled, parsed, sources, with_templates
from tests.rows import each_row

SECRET = "s3cret-of-the-profile"


def values(inputs: Any = None, *, ref: str = "7", **others: Any) -> dict[str, Any]:
    return values_of(inputs or {}, {"key": SECRET, "pin": "12"}, ref=ref, **others)


def call(inputs: Any = None, *, method: str = "POST", path: str = "/x", **fields: Any) -> Call:
    request = Request.model_validate({"method": method, "path": path, **fields})
    return call_of(request, values(inputs))


@each_row(
    "path, inputs, target",
    [
        ("/a/{inputs.x}", {"x": "a b/c?d#e%f"}, "/a/a%20b%2Fc%3Fd%23e%25f"),
        ("/a/{inputs.x}", {"x": "%2e%2e"}, "/a/%252e%252e"),
        ("/a/{inputs.x}", {"x": "ü"}, "/a/%C3%BC"),
        ("/a/{inputs.x}", {"x": "{ref}"}, "/a/%7Bref%7D"),
        ("/a/{inputs.x}/{ref}", {"x": 5}, "/a/5/7"),
        ("/a/{inputs.x}", {"x": True}, "/a/true"),
        ("/a/{inputs.x}", {"x": 1.5}, "/a/1.5"),
        ("/a?x={inputs.x}", {"x": "a&b=c"}, "/a?x=a%26b%3Dc"),
        ("/a?x={inputs.x}", {"x": ""}, "/a?x="),
        ("/a{inputs.x?}", {}, "/a"),
        ("/a/{+inputs.x}/b", {"x": "c/d e"}, None),
        ("/a/{+inputs.x}/b", {"x": "c/d"}, "/a/c/d/b"),
        ("/a/{+inputs.x}", {"x": "c?d=e%20f"}, "/a/c?d=e%20f"),
        ("{+inputs.x}", {"x": "/c"}, "/c"),
        ("/a/{inputs.o.x}", {"o": {"x": 1}}, "/a/1"),
        ("/a/{{x}}".replace("{{x}}", "%7Bx%7D"), {}, "/a/%7Bx%7D"),
        ("/a/{inputs.x}", {"x": ".."}, None),
        ("/a/{inputs.x}", {"x": "."}, None),
        ("/a/{inputs.x}{inputs.x}", {"x": "."}, None),
        ("/a/{+inputs.x}", {"x": "../b"}, None),
        ("/a/{+inputs.x}", {"x": "b/.."}, None),
        ("/a/{+inputs.x}", {"x": "b/%2e%2e/c"}, None),
        ("/a/{+inputs.x}", {"x": "b\\c"}, None),
        ("/a/{+inputs.x}", {"x": "b#c"}, None),
        ("/a/{+inputs.x}", {"x": "b\nc"}, None),
        ("/a/{inputs.x}/b", {"x": ""}, None),
        ("/a/{inputs.x}", {"x": None}, None),
        ("/a/{inputs.x}", {}, None),
        ("/a/{inputs.x.y}", {"x": "text"}, None),
        ("/a/{inputs.x}", {"x": [1]}, None),
        ("/a/{inputs.x}", {"x": "\ud800"}, None),
    ],
)
def test_a_value_stays_in_its_place_in_a_path(path: str, inputs: Any, target: str | None) -> None:
    if target is None:
        with pytest.raises(ConfigurationError):
            call(inputs, path=path).target  # noqa: B018 - the property raises
    else:
        assert call(inputs, path=path).target == target


@given(st.text(), st.text())
def test_any_value_in_a_path_is_one_segment(first: str, second: str) -> None:
    try:
        target = call({"a": first, "b": second}, path="/p/{inputs.a}/q?b={inputs.b}").target
    except ConfigurationError:
        return
    parts = urlsplit(f"https://h{target}")
    assert parts.netloc == "h"
    assert [unquote(one) for one in parts.path.split("/")] == ["", "p", first, "q"]
    assert parse_qsl(parts.query, keep_blank_values=True) == [("b", second)]


@given(st.text(alphabet="/.%2eEfF\\?#:@ab \t\n"))
def test_a_value_with_slashes_stays_below_its_path(value: str) -> None:
    try:
        target = call({"x": value}, path="/p/{+inputs.x}").target
    except ConfigurationError:
        return
    path = urlsplit(f"https://h{target}").path
    assert path.startswith("/p/")
    assert not {".", ".."} & {unquote(one) for one in path.split("/")}


@each_row(
    "content, inputs, made",
    [
        ("{inputs.x}", {"x": [1, {"a": None}]}, [1, {"a": None}]),
        ("{inputs.x}", {"x": None}, None),
        ({"a": "{inputs.x?}", "b": 1}, {}, {"b": 1}),
        ({"a": "{inputs.x?}"}, {"x": None}, {}),
        (["{inputs.x?}", "a{inputs.x?}", "c"], {}, ["c"]),
        ("{inputs.x:int}", {"x": " 12 "}, 12),
        ("{inputs.x:int}", {"x": 12}, 12),
        ("n{inputs.x:int}", {"x": "-1"}, "n-1"),
        ("{ref:int}", {}, 7),
        ("{secret.pin:int}", {}, 12),
        ("a {inputs.x} b", {"x": "{ref} {secret.key}"}, "a {ref} {secret.key} b"),
        ("{{ref}} {{inputs.x}}", {}, "{ref} {inputs.x}"),
        ("query($x: ID!) { job(id: $x) { id name } }", {}, "query($x: ID!) { job(id: $x) { id name } }"),
        ('{"a": "{ref}"}', {}, '{"a": "7"}'),
        ("{job{{id}}}", {}, "{job{id}}"),
        ("", {}, ""),
        (5, {}, 5),
        ({"a": [True, None, 1.5]}, {}, {"a": [True, None, 1.5]}),
    ],
)
def test_the_content_of_a_body(content: Any, inputs: Any, made: Any) -> None:
    template = with_templates(content)
    assert filled(template, values(inputs)) == made
    assert sources(template) == content


@each_row(
    "content, inputs, problem",
    [
        ("{inputs.x:int}", {"x": "1_000"}, "whole number, not '1_000'"),
        ("{inputs.x:int}", {"x": "１２"}, "whole number"),  # noqa: RUF001 - digits that Python would read
        ("{inputs.x:int}", {"x": True}, "whole number"),
        ("{inputs.x:int}", {"x": "1.0"}, "whole number"),
        ("a{inputs.x}", {"x": None}, r"is null; give a value, or write \{inputs\.x\?\}"),
        ("a{inputs.x}", {"x": {"a": 1}}, "an object in the middle of a text"),
        ("a{inputs.x}", {"x": [1]}, "a list in the middle of a text"),
        ("{inputs.x}", {}, "inputs has no 'x'"),
        ("{secret.none}", {}, "no secret 'none'; add it to the extra 'secrets'"),
        ("{marker}", {}, r"there is no \{marker\} here"),
    ],
)
def test_a_missing_or_unfit_value_is_named(content: Any, inputs: Any, problem: str) -> None:
    with pytest.raises(ConfigurationError, match=problem):
        filled(with_templates(content), values(inputs))


@each_row(
    "text",
    ["{id}", "{inputs}", "{start.x}", "{ref.x}", "{ref:float}", "{secret}", "{callback}", "{jobs}", "{+marker.x}"],
)
def test_an_unknown_placeholder_is_refused(text: str) -> None:
    with pytest.raises(ConfigurationError, match="unknown placeholder"):
        parsed(text)


def test_an_optional_value_leaves_out_its_header_and_parameter() -> None:
    fields = {"headers": {"X-A": "{inputs.a?}", "X-B": "b"}, "query": {"c": "{inputs.c?}", "d": "{ref}"}}
    made = call(**fields)
    assert (made.headers, made.query) == ({"X-B": "b"}, (("d", "7"),))


def test_a_body_that_is_an_absent_value_is_no_body() -> None:
    for fields in ({"body": "{inputs.x?}"}, {"form": "{inputs.x?}"}, {"multipart": "{inputs.x?}"}):
        assert not (call(**fields).body or b"").strip(b"-0123456789abcdef\r\n")
    assert call({"x": None}, form="{inputs.x}").body == b""
    assert call({"x": None}, body="{inputs.x}").body == b"null"


def test_a_form_that_is_no_object_is_refused() -> None:
    for place in ("form", "multipart"):
        with pytest.raises(ConfigurationError, match=f"{place} must be an object"):
            call({"x": "text"}, **{place: "{inputs.x}"})


def test_a_profile_may_name_the_type_of_its_body() -> None:
    assert call(body={}, headers={"content-type": "application/x+json"}).headers == {
        "content-type": "application/x+json"
    }
    assert call(body={}).headers == {"Content-Type": "application/json"}


def test_all_refs_are_one_parameter() -> None:
    request = Request.model_validate({"path": "/x?ids={refs}"})
    assert call_of(request, values(ref="", refs=["a", "b"])).path == "/x?ids=a%2Cb"


START = {
    "path": "/jobs",
    "headers": {"X-Key": "{secret.key}", "X-Id": "{start.id}"},
    "query": {"k": "{secret.key}"},
    "body": {"password": "{secret.key}", "pin": "{secret.pin:int}", "url": "{callback.url}", "id": "{start.uuid}"},
}


def test_a_secret_is_sent_and_never_shown() -> None:
    start = Start.model_validate(START)
    filled_in = values(start_id="0123456789ab", callback_url="https://us.test/cb")
    made = start_call(start, filled_in)
    assert (made.headers["X-Key"], made.query) == (SECRET, (("k", SECRET),))
    assert made.json()["password"] == SECRET  # type: ignore[index]
    assert made.json()["pin"] == 12  # type: ignore[index]
    request = sent_request(made, start, filled_in)
    assert SECRET not in repr(made) + repr(start) + made.shown_path + json.dumps(request)
    assert request["body"]["id"] == made.json()["id"]  # type: ignore[index]
    assert (request["headers"]["x_key"], request["body"]["pin"]) == ("***", 0)


def test_a_secret_that_is_no_number_is_not_shown_in_the_error() -> None:
    with pytest.raises(ConfigurationError, match=r"needs a whole number$") as caught:
        filled(with_templates("{secret.key:int}"), values())
    assert SECRET not in str(caught.value)


def test_a_form_is_seen_without_secrets() -> None:
    for place in ("form", "multipart"):
        start = Start.model_validate({"path": "/jobs", place: {"a": "{secret.key}", "b": "{inputs.x?}"}})
        made = start_call(start, values())
        assert sent_request(made, start, values())[place] == {"a": "***"}
        assert SECRET.encode() in (made.body or b"")


@each_row(
    "method, replay, is_repeatable",
    [("POST", None, False), ("POST", "same", True), ("GET", None, False), ("GET", "same", True), ("PUT", None, False)],
)
def test_only_a_start_that_says_so_may_be_repeated(method: str, replay: str | None, is_repeatable: bool) -> None:
    fields = {"method": method, "path": "/jobs", "replay": replay, "retry_query": {"again": "true"}}
    start = Start.model_validate({**fields, "retry_headers": {"X-Again": "1"}})
    first, again = start_call(start, values()), start_call(start, values(), again=True)
    assert (first.is_repeatable, again.is_repeatable) == (is_repeatable, is_repeatable)
    assert (again.query, again.headers) == ((("again", "true"),), {"X-Again": "1"})


@each_row(
    "link",
    [
        "/b/k?X-Amz-Algorithm=AWS4-HMAC-SHA256&X-Amz-Credential=AK%2F20260101%2Feu&X-Amz-Signature=0f&x=a%2Bb+c",
        "/c/b?sv=2024-01-01&sig=a%2Fb%2Bc%3D&se=2026-01-01T00%3A00%3A00Z",
        "/g/o?GoogleAccessId=a%40b.iam&Expires=1&Signature=ab%2Bc%2F%3D%3D",
        "/d?a=1&a=2&b=&c&d=~._-!$'()*,;:@/?",
    ],
)
def test_a_signed_query_is_sent_as_it_is(link: str) -> None:
    assert canonical_target(link) == link
    assert call({"x": link}, path="{+inputs.x}").target == link
