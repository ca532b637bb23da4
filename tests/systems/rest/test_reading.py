from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from airflow_provider_taskwatch.core.error import ReplyError, TaskWatchError
from airflow_provider_taskwatch.core.judge import outcome_from
from airflow_provider_taskwatch.core.outcome import Ending
from airflow_provider_taskwatch.core.phase import Observation, Phase
from airflow_provider_taskwatch.core.wire import Reply, get
from airflow_provider_taskwatch.systems.rest.document import Document
from airflow_provider_taskwatch.systems.rest.expression import Expression
from airflow_provider_taskwatch.systems.rest.profile import Poll
from airflow_provider_taskwatch.systems.rest.reading import as_text, first_value, read_observation, result_of
from tests.rows import each_row

PHASES: dict[str, Any] = {
    "status": ["body.state", "body.status"],
    "phases": {"succeeded": ["done", 7, True], "failed": ["bad", "500..599", "510..520"], "running": "510..512"},
    "progress": {"value": "body.progress"},
    "message": "body.message",
}


def poll(**fields: Any) -> Poll:
    return Poll.model_validate({"path": "/x/{ref}", **PHASES, **fields})


def read(body: Any, shape: Poll | None = None, *, status: int = 200, **headers: str) -> Observation:
    raw = body if isinstance(body, bytes) else json.dumps(body).encode()
    names = {name.replace("_", "-"): value for name, value in headers.items()}
    document = Document(get("/x/1"), Reply(status=status, headers=names, body=raw), {})
    return read_observation("1", shape or poll(), document)


@each_row(
    "body, phase, status",
    [
        ({"state": "DONE "}, Phase.SUCCEEDED, "DONE "),
        ({"state": 7}, Phase.SUCCEEDED, "7"),
        ({"state": "7"}, Phase.SUCCEEDED, "7"),
        ({"state": True}, Phase.SUCCEEDED, "true"),
        ({"state": "", "status": "bad"}, Phase.FAILED, "bad"),
        ({"state": 500}, Phase.FAILED, "500"),
        ({"state": "511"}, Phase.RUNNING, "511"),
        ({"state": 600}, Phase.UNKNOWN, "600"),
        ({"state": -1}, Phase.UNKNOWN, "-1"),
        ({"state": 7.0}, Phase.UNKNOWN, "7.0"),
        ({"state": "\u0665\u0660\u0660"}, Phase.FAILED, "\u0665\u0660\u0660"),
        ({"state": "9" * 4000}, Phase.UNKNOWN, "9" * 500),
        ({"state": 10**4000}, Phase.UNKNOWN, '"(a number of about 4000 digits'),
        ({"state": ["done"]}, Phase.UNKNOWN, '["done"]'),
        ({"state": None}, Phase.UNKNOWN, ""),
        ({}, Phase.UNKNOWN, ""),
    ],
)
def test_a_status_is_a_phase_or_unknown(body: Any, phase: Phase, status: str) -> None:
    seen = read(body)
    assert seen.phase is phase
    assert seen.status.startswith(status)
    assert len(seen.status) <= 500


def test_any_other_word_may_have_a_phase() -> None:
    shape = poll(phases={"succeeded": "done", "otherwise": "running"})
    assert read({"state": "plop"}, shape).phase is Phase.RUNNING
    assert read({}, shape).phase is Phase.UNKNOWN


@each_row(
    "value, progress",
    [
        (40, 40.0),
        (0, 0.0),
        (100.0, 100.0),
        ("40 %", 40.0),
        ("2/3", pytest.approx(66.67, abs=0.01)),
        ("7", 7.0),
        (101, None),
        (-1, None),
        (True, None),
        (None, None),
        ([40], None),
        ("plop", None),
        ("1/0", None),
        ("200%", None),
        (10**4000, None),
        ("9" * 4000, None),
        (float("nan"), None),
        (float("inf"), None),
        ("3/2", None),
        ("\u0664", None),
    ],
)
def test_progress_is_a_percentage_or_nothing(value: Any, progress: float | None) -> None:
    assert read({"state": "bad", "progress": value}).progress == progress


@each_row(
    "done, total, progress",
    [
        (1, 4, 25.0),
        (0, 0, None),
        (5, 4, None),
        ("1", "4", None),
        (None, 4, None),
        (1, float("nan"), None),
        (10**4000, 10**4000, None),
        (10**300, 10**300, 100.0),
        (True, 4, None),
    ],
)
def test_progress_of_parts(done: Any, total: Any, progress: float | None) -> None:
    shape = poll(progress={"done": "body.done", "total": "body.total"})
    assert read({"done": done, "total": total, "state": "x"}, shape).progress == progress
    assert read({"state": "x"}, poll(progress={"done": "body.done"})).progress is None


def test_progress_has_a_scale() -> None:
    assert read({"state": "x", "progress": 0.4}, poll(progress={"value": "body.progress", "scale": 1})).progress == 40.0


@each_row(
    "value, seconds",
    [
        ("5", 5.0),
        (5, 5.0),
        (2.5, 2.5),
        ("1e3", None),
        ("nan", None),
        (-5, None),
        (True, None),
        ([5], None),
        (10**4000, 3600.0),
        ("Fri, 31 Dec 1999 23:59:59 GMT", 0.0),
        ("9" * 4000, 3600.0),
        ("\ud800", None),
        ("", None),
        (float("inf"), None),
    ],
)
def test_the_pause_that_a_remote_asks_for(value: Any, seconds: float | None) -> None:
    raw = json.dumps({"state": "bad", "wait": value}).encode()
    document = Document(get("/x"), Reply(status=200, body=raw, received_at=1.7e9), {})
    assert read_observation("1", poll(retry_after="body.wait"), document).retry_after == seconds


def test_the_header_is_read_where_the_profile_names_nothing_else() -> None:
    assert read({"state": "bad"}, retry_after="7").retry_after == 7.0


def test_an_acceptor_goes_before_the_table_and_needs_no_body() -> None:
    shape = poll(
        acceptors=[{"when": "status_code == `410`", "phase": "succeeded"}, {"when": "body.held", "phase": "blocked"}]
    )
    by_code = [{"when": "status_code == `410`", "phase": "succeeded"}]
    seen = read(b"<gone/>", poll(acceptors=by_code, status=[], message=[], phases={}, progress=None), status=410)
    assert (seen.phase, seen.status) == (Phase.SUCCEEDED, "410")
    assert read({"held": [0], "state": "done"}, shape).phase is Phase.BLOCKED
    assert read({"held": [], "state": "done"}, shape).phase is Phase.SUCCEEDED


@each_row(
    "body, headers, problem",
    [
        (b"<?xml version='1.0'?><a/>", {}, "is XML, and profiles read JSON"),
        (b"<a/>", {"content_type": "application/xml"}, "is XML"),
        (b"not json", {}, "is not JSON"),
        (b"\xff\xfe\x00", {}, "is not JSON"),
        (b"[" * 100_000, {}, "is not JSON"),
        (b"[" + b"0," * 600_000 + b"0]", {}, "is not JSON"),
        (b'{"state": ' + b"9" * 5000 + b"}", {}, "is not JSON"),
        (b"[1]", {}, "is not a JSON object"),
        (b"", {}, "is not a JSON object"),
        (b'"done"', {}, "is not a JSON object"),
    ],
)
def test_a_body_that_cannot_be_read_is_an_error(body: bytes, headers: dict[str, str], problem: str) -> None:
    with pytest.raises(ReplyError, match=problem):
        read(body, **headers)


def test_a_document_of_a_body_that_is_no_object_has_no_members() -> None:
    for body in (b"<a/>", b"[1]", b""):
        assert Document(get("/x"), Reply(status=200, body=body), {}).body_object == {}
    assert Document(get("/x"), Reply(status=200, body=b'{"a": 1}'), {}).body_object == {"a": 1}


def test_half_a_surrogate_pair_is_no_error_and_is_not_shown() -> None:
    seen = read(b'{"state": "\\ud800", "message": "\\udfff"}')
    assert seen.phase is Phase.UNKNOWN
    assert seen.describe().encode()
    assert json.dumps(outcome_from(seen, Ending.FAILED, "x").result).encode()


@each_row(
    "value, text",
    [
        (None, ""),
        ("a", "a"),
        (5, "5"),
        (True, "true"),
        ([1], "[1]"),
        ("a" * 4000, "a" * 500),
        (10**4290, '"'),
        ([], "[]"),
        ({"message": "why"}, "why"),
    ],
)
def test_any_value_is_a_short_text(value: Any, text: str) -> None:
    shown = as_text(value)
    assert shown.startswith(text)
    assert len(shown) <= 500


def test_the_first_value_counts() -> None:
    document = Document(get("/x"), Reply(status=200, body=b'{"a": "", "b": null, "c": 0}'), {})
    assert first_value([Expression(f"body.{name}") for name in "abcd"], document) == 0
    assert first_value([Expression("body.a")], document) is None


@each_row(
    "select, result",
    [
        (None, {"ref": "1", "status": "s", "message": "m"}),
        ("body.none", {"value": None}),
        ("body.list", {"value": [1, 2]}),
        ("body.object", {"a": 1}),
        ("{x: body.object.a}", {"x": 1}),
    ],
)
def test_what_a_success_returns(select: str | None, result: Any) -> None:
    document = Document(get("/x"), Reply(status=200, body=b'{"list": [1, 2], "object": {"a": 1}}'), {})
    assert result_of("1", "s", "m", document, Expression(select) if select else None) == result


def test_a_result_is_short_enough_for_an_xcom() -> None:
    body = json.dumps({"state": "done", "rows": ["x" * 100] * 60_000, "n": 10**4000}).encode()
    document = Document(get("/x"), Reply(status=200, body=body), {})
    seen = read_observation("1", poll(), document, Expression("body"))
    outcome = outcome_from(seen, Ending.SUCCEEDED, "m")
    assert len(json.dumps(outcome.result)) < 80_000
    assert outcome.loss


JSON = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats()
    | st.text(max_size=8)
    | st.just(10**4000)
    | st.sampled_from(("done", "bad", "\ud800", "NaN", "1e999", "40 %", "2/3", "511")),
    lambda one: (
        st.lists(one, max_size=3)
        | st.dictionaries(st.sampled_from(("state", "status", "progress", "message", "wait", "a")), one, max_size=5)
    ),
    max_leaves=8,
)
BODIES = (
    JSON.map(lambda one: json.dumps(one).encode())
    | st.binary(max_size=40)
    | st.sampled_from(
        (b"NaN", b'{"state": 1e999}', b'{"progress": -Infinity}', b'{"state": NaN}', b"[" * 3000, b"\xef\xbb\xbf{}")
    )
)
HEADERS = st.dictionaries(
    st.sampled_from(("retry-after", "content-type", "date", "location", "x-ratelimit-reset", "x")),
    st.text(max_size=20) | st.sampled_from(("application/xml", "text/html; charset=utf-16", "-1", "9" * 4000)),
)
SHAPES = [
    poll(retry_after="body.wait"),
    poll(acceptors=[{"when": "body.a > `5` || contains(body.state, 'x')", "phase": "failed"}]),
    poll(status="sum(body.a)", message="body", progress={"done": "body.a", "total": "body.wait"}),
    poll(status="headers.location", message="to_string(@)", retry_after="body"),
    poll(phases={"succeeded": "done", "otherwise": "lost"}, status="body", progress={"value": "body", "scale": 0.1}),
]


@settings(max_examples=300)
@given(body=BODIES, headers=HEADERS, shape=st.sampled_from(SHAPES), status=st.integers(min_value=200, max_value=599))
def test_no_reply_raises_anything_else(body: bytes, headers: dict[str, str], shape: Poll, status: int) -> None:
    document = Document(get("/x/1"), Reply(status=status, headers=headers, body=body, received_at=1.7e9), {})
    try:
        seen = read_observation("1", shape, document, Expression("body"))
    except TaskWatchError:
        return
    assert isinstance(seen.phase, Phase)
    assert seen.progress is None or 0.0 <= seen.progress <= 100.0
    assert seen.retry_after is None or 0.0 <= seen.retry_after <= 3600.0
    assert seen.describe().encode()
    outcome = outcome_from(seen, Ending.FAILED, seen.describe())
    assert json.dumps(outcome.result, allow_nan=False).encode()


@given(
    words=st.dictionaries(
        st.sampled_from(("pending", "running", "blocked", "succeeded", "skipped", "failed", "cancelled", "lost")),
        st.lists(
            st.text(min_size=1, max_size=5) | st.integers() | st.floats(allow_nan=False) | st.booleans(), max_size=4
        ),
    ),
    otherwise=st.sampled_from((None, "running", "failed")),
    state=st.text(max_size=5) | st.integers() | st.floats() | st.booleans(),
)
def test_the_phases_of_a_profile_are_total(words: dict[str, list[Any]], otherwise: str | None, state: Any) -> None:
    phases: dict[str, Any] = {name: [one for one in some if str(one).strip()] for name, some in words.items()}
    shape = poll(phases=phases | ({"otherwise": otherwise} if otherwise else {}))
    seen = read({"state": state}, shape)
    assert isinstance(seen.phase, Phase)
    for word in (one for some in phases.values() for one in some):
        assert read({"state": word}, shape).phase is not Phase.UNKNOWN, word
