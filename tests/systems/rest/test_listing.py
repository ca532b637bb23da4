from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from airflow_provider_taskwatch.core.error import ReplyError, TaskWatchError
from airflow_provider_taskwatch.core.phase import Observation, Phase
from airflow_provider_taskwatch.core.wire import Call, Reply
from airflow_provider_taskwatch.systems.rest.listing import MAX_PAGES, batches
from airflow_provider_taskwatch.systems.rest.system import RestTasks
from tests.play import play, reply, result_of, targets
from tests.rows import each_row
from tests.systems.rest.case import PROFILE, tasks

MARKER = "taskwatch-0123456789ab"


def listing(part: str = "list", **fields: Any) -> RestTasks:
    profile = {**PROFILE, part: {**PROFILE[part], **fields}}
    return tasks(profile={name: one for name, one in profile.items() if one is not None})


def page_of(*entries: Any, more: Any = None, **headers: str) -> Reply:
    return reply(200, {"jobs": list(entries), "next": more}, **headers)


def job(ref: object, state: str = "running", **others: Any) -> dict[str, Any]:
    return {"id": ref, "state": state, **others}


def read(system: RestTasks, refs: list[str], *replies: Reply) -> tuple[list[str], dict[str, Observation]]:
    steps, found = play(system.observe_many("s", refs), *replies)
    return targets(steps), dict(found)


BY_LINK = "link"
BY_NEXT = {"query": "page", "next": "body.next"}
BY_OWN_LINK = {"link": "body.next"}
BY_OFFSET = {"offset": "start", "limit": 2}


@each_row(
    "page, replies, second",
    [
        (
            BY_LINK,
            [page_of(job("a"), link='<https://api.example.com/v1/jobs?page=2>; rel="next"'), page_of()],
            "/jobs?page=2",
        ),
        (
            BY_LINK,
            [page_of(job("a"), link='</v1/jobs?b=1>; rel=prev, <?p=2>;title="x, y";rel="last next"'), page_of()],
            "/jobs?p=2",
        ),
        (BY_NEXT, [page_of(job("a"), more="t/2"), page_of(job("b"))], "/jobs?ids=a%2Cz&page=t%2F2"),
        (BY_NEXT, [page_of(more=5), page_of(job("b"))], "/jobs?ids=a%2Cz&page=5"),
        (BY_OWN_LINK, [page_of(job("a"), more="/v1/jobs?c=2"), page_of(job("b"))], "/jobs?c=2"),
        (BY_OFFSET, [page_of(job("a"), job("b")), page_of(job("c"))], "/jobs?ids=a%2Cz&start=2"),
    ],
)
def test_a_list_goes_on(page: Any, replies: list[Reply], second: str) -> None:
    asked, found = read(listing(page=page), ["a", "z"], *replies)
    assert asked == ["GET /jobs?ids=a%2Cz", f"GET {second}"]
    assert "z" not in found


@each_row(
    "page, last",
    [
        (None, page_of(job("a"), more="x", link="</v1/x>; rel=next")),
        (BY_LINK, page_of(job("a"))),
        (BY_LINK, page_of(job("a"), link='</v1/x>; rel="prev"')),
        (BY_LINK, page_of(job("a"), link="plop, <>")),
        (BY_NEXT, page_of(job("a"), more="")),
        (BY_NEXT, page_of(job("a"), more=False)),
        (BY_NEXT, page_of(job("a"), more=["x"])),
        (BY_OWN_LINK, page_of(job("a"), more=5)),
        (BY_OFFSET, page_of(job("a"))),
    ],
)
def test_a_list_ends(page: Any, last: Reply) -> None:
    asked, found = read(listing(page=page), ["a", "z"], last)
    assert (len(asked), set(found)) == (1, {"a"})


def test_a_list_is_read_no_further_than_its_last_task() -> None:
    asked, found = read(listing(page=BY_NEXT), ["a", "b"], page_of(job("a"), job("b"), more="t"))
    assert (len(asked), set(found)) == (1, {"a", "b"})


@each_row(
    "page, replies, problem",
    [
        (BY_LINK, [page_of(job("b"), link="</v1/jobs?a=1>; rel=next")] * 2, "leads to the same page again"),
        (BY_NEXT, [page_of(job("b"), more="x")] * 2, "leads to the same page again"),
        (
            BY_OWN_LINK,
            [page_of(more="/v1/jobs?a=1"), page_of(more="/v1/jobs?a=2"), page_of(more="/v1/jobs?a=1")],
            "same page",
        ),
        (
            BY_NEXT,
            [page_of(job("b"), more=f"t{number}") for number in range(MAX_PAGES)],
            f"more than {MAX_PAGES} pages",
        ),
        (BY_OFFSET, [page_of(job("b"), job("c"))] * MAX_PAGES, f"more than {MAX_PAGES} pages"),
        (BY_LINK, [page_of(job("b"), link="<https://evil.example/v1/jobs>; rel=next")], "cannot be followed"),
        (BY_OWN_LINK, [page_of(job("b"), more="/v2/jobs")], "cannot be followed"),
        (None, [reply(200, {"other": []})], "has no list at 'body.jobs'"),
        (None, [reply(200, {"jobs": {}})], "has no list at 'body.jobs'"),
        (None, [reply(200, "<xml/>")], "is not JSON"),
    ],
)
def test_a_part_of_a_list_is_never_taken_for_the_whole(page: Any, replies: list[Reply], problem: str) -> None:
    with pytest.raises(ReplyError, match=problem):
        read(listing(page=page, absent="lost"), ["a"], *replies)


def test_a_ref_that_the_list_lacks_is_read_alone_or_lost() -> None:
    _, found = read(listing(), ["a", "b"], page_of(job("a")))
    assert set(found) == {"a"}
    _, found = read(listing(absent="lost"), ["a", "b"], page_of(job("a"), job("c"), job(True), job(["b"]), "b", None))
    assert found["a"].phase is Phase.RUNNING
    assert (found["b"].phase, found["b"].status) == (Phase.LOST, "")


def test_an_id_that_is_a_number_is_its_digits() -> None:
    _, found = read(listing(), ["7"], page_of(job(7, "done")))
    assert found["7"].phase is Phase.SUCCEEDED


def test_an_end_may_need_a_single_read() -> None:
    _, found = read(listing(ended="single"), ["a", "b"], page_of(job("a"), job("b", "done")))
    assert set(found) == {"a"}


def test_an_entry_may_be_turned_into_the_body_of_a_poll() -> None:
    profile = {**PROFILE, "poll": {**PROFILE["poll"], "status": "body.data.state"}}
    system = tasks(profile={**profile, "list": {**PROFILE["list"], "shape": "{data: @}"}})
    _, found = read(system, ["a"], page_of(job("a", "failed")))
    assert found["a"].phase is Phase.FAILED


def test_refs_are_asked_in_batches() -> None:
    asked, _ = read(listing(max=2), ["a", "b", "c"], page_of(), page_of())
    assert asked == ["GET /jobs?ids=a%2Cb", "GET /jobs?ids=c"]
    assert list(batches(["a", "b", "c"], 2)) == [["a", "b"], ["c"]]


def test_a_list_of_what_runs_is_asked_once() -> None:
    asked, _ = read(listing(path="/jobs?running=1", max=2), ["a", "b", "c"], page_of())
    assert asked == ["GET /jobs?running=1"]
    assert read(listing(), [], *[]) == ([], {})
    assert read(listing(), ["a#build"]) == ([], {})


@each_row(
    "kind, listed",
    [
        ({"from": "body.id", "kind": "link"}, "https://api.example.com/v1/jobs/1"),
        ({"from": "body.id", "kind": "link"}, "/v1/jobs/1"),
        ({"from": "body.id", "kind": "name"}, "/jobs/1/"),
    ],
)
def test_entries_are_known_by_the_form_of_the_ref(kind: Any, listed: str) -> None:
    system = tasks(profile={**PROFILE, "ref": kind, "list": {**PROFILE["list"], "path": "/jobs", "absent": "lost"}})
    ref = system.check_ref(listed)
    _, found = read(system, [ref], page_of(job("https://evil.example/x y"), job(listed)))
    assert found[ref].phase is Phase.RUNNING


WHERE = {"note": {"equals": "{marker}"}}


@each_row(
    "where, entry, fits",
    [
        (WHERE, {"note": MARKER}, True),
        (WHERE, {"note": f"{MARKER}x"}, False),
        (WHERE, {"note": [MARKER]}, False),
        (WHERE, {"note": None}, False),
        (WHERE, {}, False),
        ({"tags.by": {"contains": "by {marker}!"}}, {"tags": {"by": f"made by {MARKER}!"}}, True),
        ({"tags.by": {"contains": "{marker}"}}, {"tags": MARKER}, False),
        ({"note": {"starts_with": "{marker}"}}, {"note": f"{MARKER} x"}, True),
        ({"note": {"starts_with": "{marker}"}}, {"note": f"x {MARKER}"}, False),
        ({"note": {"equals": "{marker}"}, "n": {"equals": 5}}, {"note": MARKER, "n": 5}, True),
        ({"note": {"equals": "{marker}"}, "n": {"equals": True}}, {"note": MARKER, "n": True}, True),
        ({"note": {"equals": "{marker}"}, "n": {"equals": 5}}, {"note": MARKER, "n": 6}, False),
    ],
)
def test_the_task_with_our_marker_is_found(where: Any, entry: Any, fits: bool) -> None:
    found = result_of(listing("find", where=where).find(MARKER), page_of({"id": "x"}, {"id": "a", **entry}))
    assert found == ("a" if fits else None)


def test_a_marker_in_a_part_of_a_list_is_no_answer() -> None:
    replies = [page_of(job("x"), more=f"t{number}") for number in range(MAX_PAGES)]
    with pytest.raises(ReplyError, match="more than"):
        result_of(listing("find", page=BY_NEXT).find(MARKER), *replies)


JSON = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats()
    | st.text(max_size=5)
    | st.sampled_from(("a", "done", MARKER)),
    lambda one: (
        st.lists(one, max_size=4)
        | st.dictionaries(st.sampled_from(("jobs", "next", "id", "state", "note")), one, max_size=4)
    ),
)
PAGES = (
    JSON.map(lambda one: json.dumps(one).encode())
    | st.lists(JSON).map(lambda one: json.dumps({"jobs": one}).encode())
    | st.binary(max_size=20)
)


@given(
    body=PAGES,
    header=st.text(alphabet='<>;rel="next, /?:ab\\', max_size=40),
    page=st.sampled_from((None, BY_LINK, BY_NEXT, BY_OWN_LINK, BY_OFFSET)),
    status=st.sampled_from((200, 206, 404, 500)),
)
def test_no_page_raises_anything_else(body: bytes, header: str, page: Any, status: int) -> None:
    for part, flow_of in (("list", lambda one: one.observe_many("s", ["a"])), ("find", lambda one: one.find(MARKER))):
        flow = flow_of(listing(part, page=page))
        answer: Any = None
        try:
            for _ in range(200):
                step = flow.send(answer)
                assert not isinstance(step, Call) or step.target.startswith("/")
                answer = Reply(status=status, headers={"link": header}, body=body) if isinstance(step, Call) else None
        except (StopIteration, TaskWatchError):
            continue
        pytest.fail("it does not end")
