from __future__ import annotations

import json
from contextlib import suppress
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from airflow_provider_taskwatch.core.error import (
    ConfigurationError,
    RemoteError,
    ReplyError,
    TaskWatchError,
    TransportError,
)
from airflow_provider_taskwatch.core.judge import Memory
from airflow_provider_taskwatch.core.mask import Mask
from airflow_provider_taskwatch.core.outcome import Ending
from airflow_provider_taskwatch.core.phase import Observation, Phase
from airflow_provider_taskwatch.core.plan import Plan
from airflow_provider_taskwatch.core.settings import Settings
from airflow_provider_taskwatch.core.sign import masking
from airflow_provider_taskwatch.core.system import Effect
from airflow_provider_taskwatch.core.watch import PollResult, assess
from airflow_provider_taskwatch.core.wire import Call, Reply
from airflow_provider_taskwatch.systems.rest.profile import content_of
from airflow_provider_taskwatch.systems.rest.reader import read_profile
from airflow_provider_taskwatch.systems.rest.system import (
    MAX_PROFILES,
    RestRemote,
    RestTasks,
    from_settings,
    options_of,
)
from tests.play import play, reply, result_of, targets
from tests.rows import each_row
from tests.systems.rest.case import PROFILE, SETTINGS, tasks

START_ID, MARKER = "0123456789ab", "taskwatch-0123456789ab"
SECRET = "s3cret-of-the-profile"


def system(**fields: Any) -> RestTasks:
    """The profile of the contract with other parts; None removes one."""
    profile = {**PROFILE, **fields}
    return tasks(profile={name: one for name, one in profile.items() if one is not None})


def start(remote: RestTasks, *replies: Reply | Exception, again: bool = False) -> Any:
    return result_of(remote.start(START_ID, MARKER, again=again), *replies)


LINKED = {
    "start": {"path": "/jobs", "accepted": [202, 303], "read": True},
    "ref": {"from": "headers.location", "kind": "link"},
    "poll": {
        "accepted": [303, 404, 410],
        "acceptors": [
            {"when": "status_code == `410`", "phase": "succeeded"},
            {"when": "status_code == `404`", "phase": "lost"},
            {"when": "status_code == `303`", "phase": "succeeded"},
            {"when": "status_code == `202`", "phase": "running"},
            {"when": "body.done", "phase": "succeeded"},
        ],
    },
    "cancel": {"path": "{+ref}", "method": "DELETE"},
    "result": {"link": ["headers.location", "body.url"], "hosts": ["*.example.org"]},
    "find": None,
    "list": None,
}
STAGED = {
    **LINKED,
    "ref": {"from": "body.queue"},
    "poll": {"path": "/queue/{ref}", "acceptors": [{"when": "body.gone", "phase": "cancelled"}]},
    "cancel": {"path": "/queue/{ref}", "method": "DELETE"},
    "then": {
        "name": "build",
        "ref": {"from": "body.build"},
        "poll": {"path": "/builds/{ref}", "status": "body.state", "phases": {"succeeded": "done"}},
        "cancel": {"path": "/builds/{ref}/stop", "accepted": [302], "over": [409]},
        "then": {
            "name": "tests",
            "ref": {"from": "body.tests"},
            "poll": {"path": "/tests/{ref}", "status": "body.state", "phases": {"succeeded": "done"}},
            "cancel": {"path": "/tests/{ref}/stop"},
        },
    },
    "result": None,
}


# --- the start


@each_row(
    "answer, ref, ended",
    [
        (reply(202, "", location="https://api.example.com/v1/jobs/7?sig=a%2Bb"), "/jobs/7?sig=a%2Bb", None),
        (reply(202, {"a": 1}, location="jobs/7"), "/jobs/7", None),
        (reply(202, "<a/>", location="/v1/jobs/7"), "/jobs/7", None),
    ],
)
def test_the_link_of_a_start_is_kept(answer: Reply, ref: str, ended: Any) -> None:
    started = start(system(**LINKED), answer)
    assert (started.ref, started.ended) == (ref, ended)


@each_row(
    "answer, error",
    [
        (reply(202, ""), ReplyError),
        (reply(202, "", location="https://evil.example/jobs/7"), ReplyError),
        (reply(202, "", location="//evil.example/v1/jobs/7"), ReplyError),
        (reply(202, "", location="https://api.example.com/v2/jobs/7"), ReplyError),
        (reply(200, {"id": 1}, location="/v1/jobs/7"), ReplyError),
        (reply(204, ""), ReplyError),
        (reply(302, "", location="https://evil.example/"), RemoteError),
        (reply(400, {"message": "no"}), RemoteError),
        (reply(409, {"message": "exists"}), RemoteError),
    ],
)
def test_a_start_without_a_ref_is_an_error(answer: Reply, error: type[Exception]) -> None:
    with pytest.raises(error):
        start(system(**LINKED), answer)


def test_a_start_that_answers_with_the_end_has_its_result() -> None:
    steps, started = play(
        system(**LINKED).start(START_ID, MARKER),
        reply(303, "", location="/v1/jobs/7"),
        reply(200, {"rows": 3}),
    )
    assert targets(steps) == ["POST /jobs", "GET /jobs/7"]
    assert (started.ref, started.ended.phase, dict(started.ended.result)) == ("/jobs/7", Phase.SUCCEEDED, {"rows": 3})


def test_a_result_that_cannot_be_read_after_the_start_is_read_later() -> None:
    started = start(system(**LINKED), reply(303, "", location="/v1/jobs/7"), reply(404, {"message": "not yet"}))
    assert (started.ref, started.ended) == ("/jobs/7", None)


ENDS = {"start": {"path": "/jobs", "read": True, "body": {"m": "{marker}"}}, "result": {"path": "/jobs/{ref}/rows"}}


def test_a_task_that_has_ended_at_once_may_have_no_ref() -> None:
    started = start(system(start=ENDS["start"]), reply(200, {"state": "failed"}))
    assert (started.ref, started.ended.phase) == (None, Phase.FAILED)
    with pytest.raises(ReplyError, match="ended at once, and its result cannot be read"):
        start(system(**ENDS), reply(200, {"state": "done"}))


def test_a_task_that_runs_has_no_end_yet() -> None:
    started = start(system(**ENDS), reply(200, {"state": "running", "id": 7}))
    assert (started.ref, started.ended) == ("7", None)


def test_a_start_without_start_is_refused() -> None:
    with pytest.raises(ConfigurationError, match="has no 'start'"):
        start(system(start=None, find=None))


@each_row("status", [500, 503])
def test_a_start_whose_reply_is_lost_is_not_sent_again(status: int) -> None:
    for method in ("POST", "GET"):
        remote = system(start={"method": method, "path": "/jobs", "query": {"m": "{marker}"}})
        with pytest.raises(RemoteError):
            start(remote, reply(status, ""))
        with pytest.raises(TransportError):
            start(remote, TransportError("lost", sent=True))


def test_a_start_with_a_key_is_sent_again_with_what_a_repeat_adds() -> None:
    fields = {"path": "/jobs", "replay": "same", "headers": {"Idempotency-Key": "{start.uuid}"}}
    remote = system(start={**fields, "retry_query": {"retry": "true"}}, find=None)
    steps, started = play(
        remote.start(START_ID, MARKER), TransportError("lost", sent=True), reply(503, ""), reply(201, {"id": 7})
    )
    assert targets(steps) == ["POST /jobs", "POST /jobs?retry=true", "POST /jobs?retry=true"]
    keys = {step.headers["Idempotency-Key"] for step in steps if isinstance(step, Call)}
    assert (len(keys), started.ref) == (1, "7")
    assert targets(play(remote.start(START_ID, MARKER, again=True), reply(201, {"id": 7}))[0]) == [
        "POST /jobs?retry=true"
    ]


CHOSEN = {
    "start": {"method": "PUT", "path": "/jobs/{start.id}", "conflict": "adopt", "body": {"id": "{start.id}"}},
    "ref": {"from": "request.body.id"},
    "find": None,
}


def test_a_conflict_is_our_own_task_where_the_id_is_ours() -> None:
    remote = system(**CHOSEN)
    assert start(remote, reply(409, {"message": "exists"})).ref == START_ID
    assert start(remote, reply(201, "")).ref == START_ID
    assert remote.keeps_marker
    with pytest.raises(RemoteError):
        start(remote, reply(410, ""))


def test_a_task_with_an_id_of_ours_is_found_by_it() -> None:
    remote = system(**CHOSEN)
    assert result_of(remote.find("7"), reply(200, {"state": "running"})) == "7"
    assert result_of(remote.find("7"), reply(404, "")) is None


# --- polls


@each_row(
    "answer, phase, status",
    [
        (reply(410, ""), Phase.SUCCEEDED, "410"),
        (reply(404, ""), Phase.LOST, "404"),
        (reply(202, ""), Phase.RUNNING, ""),
        (reply(200, {"done": True}), Phase.SUCCEEDED, "200"),
        (reply(200, {"done": 0}), Phase.SUCCEEDED, "200"),
        (reply(200, {"other": 1}), Phase.UNKNOWN, ""),
    ],
)
def test_a_poll_is_read_by_acceptors(answer: Reply, phase: Phase, status: str) -> None:
    seen = result_of(system(**LINKED).observe("/jobs/7"), answer)
    assert (seen.ref, seen.phase, seen.status) == ("/jobs/7", phase, status)


@each_row(
    "answer, error, problem",
    [
        (reply(200, "<?xml version='1.0'?><a/>"), ReplyError, "is XML, and profiles read JSON"),
        (reply(200, "[]"), ReplyError, "is not a JSON object"),
        (reply(401, ""), RemoteError, "401"),
        (reply(500, ""), RemoteError, "500"),
        (reply(302, "", location="https://evil.example/"), RemoteError, "302"),
        (TransportError("lost", sent=True), TransportError, "lost"),
    ],
)
def test_a_poll_that_brings_no_reading_is_an_error(answer: Any, error: type[Exception], problem: str) -> None:
    with pytest.raises(error, match=problem):
        result_of(system().observe("7"), answer)


@each_row("age, seen, ending", [(5.0, False, None), (5.0, True, Ending.LOST), (100_000.0, False, Ending.LOST)])
def test_an_absent_task_is_waited_for_within_its_grace(age: float, seen: bool, ending: Ending | None) -> None:
    remote = system()
    found = result_of(remote.observe("7"), reply(404, {"message": "no"}))
    assert (found.phase, found.status) == (Phase.LOST, "")
    plan = Plan(ref="7", options={})
    assessed = result_of(assess(remote, plan, Memory(seen=seen), PollResult(age=age, observation=found)))
    assert (assessed.outcome and assessed.outcome.ending) is ending


def test_a_ref_of_4000_characters_is_polled_as_a_link_and_refused_as_an_id() -> None:
    link = "/jobs/" + "a" * 3994
    remote = system(**LINKED)
    assert remote.check_ref(link) == link
    steps, _ = play(remote.observe(link), reply(202, ""))
    assert targets(steps) == [f"GET {link}"]
    for other in (link + "a", "/jobs/../x", "https://evil.example/v1/x"):
        with pytest.raises(ConfigurationError):
            remote.check_ref(other)
    with pytest.raises(ConfigurationError, match="4000 characters"):
        system().check_ref("a" * 4000)


def test_a_stage_leads_to_the_next_one_and_never_back() -> None:
    remote = system(**STAGED)
    seen = result_of(remote.observe("1"), reply(200, {"build": 7, "queue": 1}))
    assert (seen.phase, seen.moved_to) == (Phase.PENDING, "7#build")
    seen = result_of(remote.observe("7#build"), reply(200, {"build": 7, "queue": 1, "state": "done"}))
    assert (seen.phase, seen.moved_to) == (Phase.SUCCEEDED, "")
    seen = result_of(remote.observe("7#build"), reply(200, {"tests": 9, "state": "done"}))
    assert seen.moved_to == "9#tests"
    seen = result_of(remote.observe("9#tests"), reply(200, {"tests": 9, "build": 7, "state": "done"}))
    assert (seen.ref, seen.phase, seen.moved_to) == ("9#tests", Phase.SUCCEEDED, "")


@each_row("build", ["https://evil.example/x", "a/b", "", ["a"], True, {"a": 1}, "a" * 4000])
def test_a_next_stage_without_a_ref_that_can_be_used(build: object) -> None:
    remote = system(**STAGED)
    if build == "":
        assert result_of(remote.observe("1"), reply(200, {"build": build})).moved_to == ""
    else:
        with pytest.raises(ReplyError, match="names no job"):
            result_of(remote.observe("1"), reply(200, {"build": build}))


def test_each_stage_is_cancelled_in_its_own_way() -> None:
    remote = system(**STAGED)
    assert targets(play(remote.cancel("1"), reply(204, ""))[0]) == ["DELETE /queue/1"]
    steps, effect = play(remote.cancel("7#build"), reply(302, "", location="/"))
    assert (targets(steps), effect) == (["POST /builds/7/stop"], Effect.CANCELLED)
    assert result_of(remote.cancel("7#build"), reply(409, "")) is Effect.ENDED
    assert result_of(remote.cancel("7#build"), reply(404, "")) is Effect.UNKNOWN
    with pytest.raises(RemoteError):
        result_of(remote.cancel("7#build"), reply(400, ""))
    with pytest.raises(ConfigurationError, match="no stage 'plop' after the first one; it has build, tests"):
        remote.cancel("7#plop")
    assert remote.check_ref("7#build") == "7#build"


def test_a_profile_without_cancel_says_so() -> None:
    remote = system(cancel=None)
    assert not remote.can_cancel
    with pytest.raises(ConfigurationError, match="no 'cancel' for the first stage; 7 goes on"):
        remote.cancel("7")
    with pytest.raises(ConfigurationError, match="it has none"):
        remote.check_ref("7#plop")


# --- results


def complete(remote: RestTasks, answer: Reply, *last: Reply) -> tuple[list[Call], Observation]:
    seen = result_of(remote.observe("/jobs/7" if remote.profile.ref.kind == "link" else "7"), answer)
    steps, done = play(remote.complete(seen, {}), *last)
    return [step for step in steps if isinstance(step, Call)], done


def test_a_link_to_another_host_is_followed_without_anything_of_ours() -> None:
    headers = {"X-Key": "{secret.key}"}
    remote = system(**{**LINKED, "result": {**LINKED["result"], "headers": headers}})  # type: ignore[dict-item]
    remote.remote.secrets = {"key": SECRET}
    [call], done = complete(
        remote, reply(200, {"done": 1, "url": "https://s3.example.org/b?sig=a%2Bb"}), reply(200, {"n": 1})
    )
    assert (call.origin, call.target, call.headers) == ("https://s3.example.org", "/b?sig=a%2Bb", {})
    assert dict(done.result) == {"n": 1}
    assert "sig" not in repr(call) + call.shown_path
    [call], _ = complete(remote, reply(200, {"done": 1, "url": "/v1/rows"}), reply(200, {"n": 1}))
    assert (call.origin, call.target, call.headers) == ("", "/rows", {"X-Key": SECRET})


@each_row("url", ["https://evil.example/x?sig=SIGNED", "http://s3.example.org/x?sig=SIGNED", "", None, 5, ["a"]])
def test_a_result_elsewhere_is_not_read(url: object) -> None:
    with pytest.raises(ReplyError) as caught:
        complete(system(**LINKED), reply(200, {"done": 1, "url": url}))
    assert "SIGNED" not in str(caught.value)


def test_a_result_may_have_a_path_and_a_selection() -> None:
    remote = system(result={"path": "/jobs/{ref}/rows", "select": "{first: body.rows[0]}"})
    [call], done = complete(remote, reply(200, {"state": "done"}), reply(200, {"rows": [1, 2]}))
    assert (call.target, dict(done.result)) == ("/jobs/7/rows", {"first": 1})
    calls, done = complete(remote, reply(200, {"state": "failed"}))
    assert (calls, done.phase) == ([], Phase.FAILED)
    assert complete(system(result=None), reply(200, {"state": "done"}))[0] == []


# --- options, pages, probe


def test_a_wait_carries_what_it_needs_and_nothing_else() -> None:
    profile = read_profile(
        {**PROFILE, "poll": {**PROFILE["poll"], "path": "/r/{inputs.repo}/{ref}", "message": "inputs.said"}}, "p"
    )
    inputs = {"repo": "r", "said": "hello", "password": SECRET}
    options = json.loads(json.dumps(options_of(content_of(profile), profile, inputs)))
    assert options["inputs"] == {"repo": "r", "said": "hello"}
    assert "start" not in options["profile"]
    remote = from_settings(SETTINGS)
    waiting = remote.for_wait(options)
    steps, seen = play(waiting.observe("7"), reply(200, {"state": "running"}))
    assert (targets(steps), seen.message) == (["GET /r/r/7"], "hello")
    assert waiting.for_wait({}) is waiting
    assert waiting.for_wait(options) is not waiting
    assert waiting.selector(options) == f"{options['hash']} {{}}"
    assert system(list=None).selector({}) == ""


def test_a_list_is_shared_by_waits_with_equal_inputs() -> None:
    profile = {**PROFILE, "list": {**PROFILE["list"], "path": "/r/{inputs.repo}?ids={refs}"}}
    one, same, other = (tasks(profile=profile, repo=repo, x=x) for repo, x in (("a", 1), ("a", 2), ("b", 1)))
    assert one.selector({}) == same.selector({}) != other.selector({})


@each_row("options", [{}, {"profile": {}}, {"hash": "a", "profile": PROFILE}])
def test_a_wait_without_a_profile_says_what_to_give(options: Any) -> None:
    with pytest.raises(ConfigurationError, match="needs a profile: use RestTaskOperator"):
        RestRemote(SETTINGS).for_wait(options)


def test_a_connection_keeps_a_bounded_number_of_profiles() -> None:
    remote = RestRemote(SETTINGS)
    for number in range(MAX_PROFILES + 2):
        remote._profiles[f"h{number}"] = system().profile
    remote.for_wait({"hash": "new", "profile": PROFILE, "inputs": {}})
    assert len(remote._profiles) == 1


def test_a_connection_without_a_profile_reads_nothing() -> None:
    remote = RestRemote(SETTINGS)
    assert remote.check_ref("/jobs/1#build") == "/jobs/1#build"
    with pytest.raises(ConfigurationError, match="cannot be read without a profile"):
        remote.observe("7")
    assert remote.tasks(system().profile, {}).check_ref("7") == "7"


@each_row(
    "answer, is_ok", [(reply(200, ""), True), (reply(404, ""), True), (reply(401, ""), False), (reply(503, ""), False)]
)
def test_the_connection_test_without_a_probe(answer: Reply, is_ok: bool) -> None:
    for remote in (RestRemote(SETTINGS), system(probe=None)):
        if is_ok:
            assert "did not reject" in result_of(remote.probe(), answer)
        else:
            with pytest.raises(RemoteError):
                result_of(remote.probe(), answer)


def test_a_link_of_the_user_interface_has_inputs_and_the_ref() -> None:
    remote = tasks(repo="r", number=5, deep={"a": 1})
    assert remote.page("/jobs/7?sig=x#build") == {"repo": "r", "number": "5", "ref": "/jobs/7"}


# --- secrets


def secretive() -> RestTasks:
    settings = Settings(
        conn_id="c", connection_type="rest", base_url="https://r.test", auth="", login="", password="",
        own={"secrets": {"key": SECRET}},
    )  # fmt: skip
    fields = {"path": "/jobs", "headers": {"X-Key": "{secret.key}"}, "body": {"k": "{secret.key}", "m": "{marker}"}}
    profile = {
        **PROFILE,
        "start": {**fields, "query": {"k": "{secret.key}"}},
        "ref": {"from": "body.id || request.body.k"},
    }
    return RestRemote(settings).tasks(read_profile(profile, "p"), {})


def test_a_secret_is_in_no_record_and_no_error() -> None:
    mask = Mask((SECRET,))
    echoed = Reply(status=201, body=json.dumps({"id": "7", "echo": SECRET}).encode(), mask=mask)
    [call], started = play(masking(secretive().start(START_ID, MARKER)), echoed)
    assert isinstance(call, Call)
    assert SECRET in str(call.json())
    assert SECRET not in repr(started) + repr(call)
    assert SECRET not in json.dumps(started.mask.data(started.reply))
    for status in (400, 409):
        refused = Reply(status=status, body=json.dumps({"message": f"bad key {SECRET}"}).encode(), mask=mask)
        with pytest.raises(TaskWatchError) as caught:
            result_of(masking(secretive().start(START_ID, MARKER)), refused)
        assert SECRET not in str(caught.value)


# --- any reply


JSON = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats()
    | st.text(max_size=6)
    | st.sampled_from(("done", "7", "/v1/jobs/7", "https://evil.example/", "https://s3.example.org/x", "\ud800")),
    lambda one: (
        st.lists(one, max_size=3)
        | st.dictionaries(
            st.sampled_from(("id", "state", "queue", "build", "tests", "url", "done", "error", "message")),
            one,
            max_size=5,
        )
    ),
    max_leaves=8,
)
BODIES = JSON.map(lambda one: json.dumps(one).encode()) | st.binary(max_size=30)
HEADERS = st.dictionaries(
    st.sampled_from(("location", "retry-after", "content-type", "link", "date")),
    st.text(max_size=20) | st.sampled_from(("/v1/jobs/7", "https://evil.example/v1/x", "//evil.example", "/v1/../x")),
)
STATUSES = st.sampled_from((200, 201, 202, 204, 302, 303, 400, 404, 409, 410, 418, 500)) | st.integers(200, 599)
REMOTES = [system(), system(**LINKED), system(**STAGED), system(**CHOSEN), system(**ENDS)]


@settings(max_examples=250)
@given(
    remote=st.sampled_from(REMOTES),
    replies=st.lists(st.tuples(STATUSES, HEADERS, BODIES), min_size=1, max_size=4),
)
def test_no_reply_raises_anything_but_our_errors(remote: RestTasks, replies: list[Any]) -> None:
    ref = "/jobs/7" if remote.profile.ref.kind == "link" else "7"
    flows = [remote.start(START_ID, MARKER), remote.observe(ref), remote.cancel(ref)]
    for flow in flows + ([remote.find(MARKER)] if remote.keeps_marker else []):
        with suppress(TaskWatchError):
            found = driven(flow, replies)
            assert not isinstance(found, Observation) or found.describe().encode()


def driven(flow: Any, replies: list[tuple[int, dict[str, str], bytes]]) -> Any:
    """The result of a flow that gets some replies again and again; no call leaves the allowed hosts."""
    answer: Any = None
    for asked in range(300):
        try:
            step = flow.send(answer)
        except StopIteration as end:
            return end.value
        answer = None
        if isinstance(step, Call):
            assert step.target.startswith("/")
            assert not step.origin or step.origin.endswith(".example.org")
            status, headers, body = replies[asked % len(replies)]
            answer = Reply(status=status, headers=headers, body=body)
    return pytest.fail("it does not end")
