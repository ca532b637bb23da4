"""Starting a task at any REST API: once, rejoined, by a profile."""

from __future__ import annotations

import json
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from airflow.exceptions import AirflowException
from airflow.providers.common.compat.sdk import AirflowFailException, TaskDeferred

from airflow_provider_taskwatch.core.error import ConfigurationError
from airflow_provider_taskwatch.core.flow import Retry
from airflow_provider_taskwatch.core.outcome import Ending
from airflow_provider_taskwatch.operators.rest import RestTaskOperator
from airflow_provider_taskwatch.systems.rest import system
from tests.scripted import Answer, Scripted, scripted
from tests.task.life import Life, event_of

JOB: dict[str, Any] = {
    "profile": 1,
    "name": "job",
    "noun": "job",
    "start": {"path": "/{inputs.team}/jobs", "body": {"day": "{inputs.day?}", "token": "{secret.TOKEN?}"}},
    "ref": {"from": "body.id"},
    "poll": {
        "path": "/{inputs.team}/jobs/{ref}",
        "status": "body.state",
        "phases": {"running": "running", "succeeded": "done", "failed": "failed", "cancelled": "cancelled"},
        "message": "body.why",
    },
    "result": {"select": "{rows: body.rows}"},
    "cancel": {"method": "DELETE", "path": "/{inputs.team}/jobs/{ref}", "over": [409]},
}


@pytest.fixture
def remote(monkeypatch: pytest.MonkeyPatch) -> Iterator[Scripted]:
    with scripted() as made:
        extra = {"auth": "bearer", "secrets": {"TOKEN": "a-secret-of-the-connection"}}
        connection = {"conn_type": "taskwatch", "host": made.url, "password": "a-token-for-all", "extra": extra}
        monkeypatch.setenv("AIRFLOW_CONN_TASKWATCH_DEFAULT", json.dumps(connection))
        yield made


def life(profile: Any = None, **arguments: Any) -> Life:
    given: dict[str, Any] = {
        "inputs": {"team": "a b"},
        "deferrable": False,
        "poll_interval": 0.01,
        "timeout": 20,
        **arguments,
    }
    return Life(RestTaskOperator, profile=JOB if profile is None else profile, **given)


def changed(**parts: Any) -> dict[str, Any]:
    """The profile with other values of some fields of its parts."""
    return {**JOB, **{name: {**JOB.get(name, {}), **fields} for name, fields in parts.items()}}


def test_a_task_is_started_polled_and_returns_what_is_selected(remote: Scripted) -> None:
    remote.on("POST /a%20b/jobs", {"id": 7})
    remote.on("GET /a%20b/jobs/7", {"state": "running"}, {"state": "DONE", "rows": 3})
    task = life(adaptive=False)
    assert task.execute() == {"rows": 3}
    assert task.xcoms["ref"] == "7"
    assert remote.asked[0].json == {"token": "a-secret-of-the-connection"}
    assert remote.asked[0].headers["authorization"] == "Bearer a-token-for-all"
    assert "a-secret" not in json.dumps(task.store.written)


def test_a_retry_rejoins_with_the_inputs_of_the_start(remote: Scripted) -> None:
    remote.on("POST /a%20b/jobs", {"id": 7})
    remote.on("GET /a%20b/jobs/7", {"state": "running"}, {"state": "running"}, {"state": "done", "rows": 3})
    task = life(deferrable=True)
    task.defer()
    assert task.open_record.options["inputs"] == {"team": "a b"}
    task.arguments |= {"inputs": {"team": "other"}, "deferrable": False, "adaptive": False}
    assert task.retry() == {"rows": 3}
    assert len(remote.asked_for("POST /a%20b/jobs")) == 1


def test_a_lost_reply_without_key_and_marker_is_for_a_person(remote: Scripted) -> None:
    remote.on("POST /a%20b/jobs", Answer(is_lost=True))
    task = life()
    with pytest.raises(AirflowFailException, match="no reply came"):
        task.execute()
    with pytest.raises(AirflowFailException, match="no reply came"):
        task.retry()
    assert len(remote.asked) == 1


REPLAYED = changed(start={"replay": "same", "headers": {"X-Request": "{start.uuid}"}, "retry_query": {"retry": "true"}})


def test_a_lost_reply_is_sent_again_with_the_same_key(remote: Scripted, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(system, "PATIENT", Retry(attempts=9, first_seconds=0.01))
    remote.on("POST /a%20b/jobs", Answer(is_lost=True), Answer(is_lost=True), {"id": 7})
    remote.on("GET /a%20b/jobs/7", {"state": "done", "rows": 1})
    assert life(REPLAYED, adaptive=False).execute() == {"rows": 1}
    assert len({one.headers["x-request"] for one in remote.asked[:3]}) == 1
    assert [one.target.partition("?")[2] for one in remote.asked[:3]] == ["", "retry=true", "retry=true"]


def test_a_start_whose_worker_died_is_replayed_with_its_key(remote: Scripted) -> None:
    remote.on("POST /a%20b/jobs", {"id": 7})
    remote.on("GET /a%20b/jobs/7", {"state": "done", "rows": 1})
    task = life(REPLAYED, adaptive=False)
    task.die_before_the_reply()
    assert task.retry() == {"rows": 1}
    first, second = remote.asked_for("POST /a%20b/jobs")
    assert first.headers["x-request"] == second.headers["x-request"]
    assert second.target.endswith("?retry=true")


@pytest.mark.parametrize("change", ["inputs", "start", "time"])
def test_a_start_is_not_replayed_with_other_inputs_or_too_late(remote: Scripted, change: str) -> None:
    remote.on("POST /a%20b/jobs", {"id": 7})
    profile = {**REPLAYED, "start": {**REPLAYED["start"], "replay_within": "1h"}}
    task = life(profile)
    task.die_before_the_reply()
    if change == "inputs":
        task.arguments["inputs"] = {"team": "a b", "day": "monday"}
    elif change == "start":
        task.arguments["profile"] = {**profile, "start": {**profile["start"], "query": {"v": "2"}}}
    else:
        old = {**task.open_record.to_json(), "started_at": (datetime.now(UTC) - timedelta(hours=2)).isoformat()}
        task.store.set("taskwatch_start", old)
    with pytest.raises(AirflowFailException, match="no reply came"):
        task.retry()
    assert len(remote.asked) == 1


CHOSEN = {
    **JOB,
    "start": {"method": "PUT", "path": "/{inputs.team}/jobs", "body": {"id": "day-{start.id}"}, "conflict": "adopt"},
    "ref": {"from": "request.body.id"},
}


def test_a_start_with_an_id_of_ours_is_found_by_it(remote: Scripted) -> None:
    remote.on("PUT /a%20b/jobs", Answer(is_lost=True))
    task = life(CHOSEN, adaptive=False)

    def seen(value: Any) -> None:
        remote.answers[f"GET /a%20b/jobs/day-{value['start_id']}"] = [Answer(body={"state": "done", "rows": 2})]

    task.store.on_set = seen
    assert task.execute() == {"rows": 2}
    assert len(remote.asked_for("PUT /a%20b/jobs")) == 1
    assert task.open_record.ref == f"day-{task.open_record.start_id}" == task.open_record.marker


def test_a_conflict_is_our_own_task(remote: Scripted) -> None:
    remote.on("PUT /a%20b/jobs", Answer(status=409))
    task = life(CHOSEN, deferrable=True)
    task.defer()
    assert task.open_record.ref == f"day-{task.open_record.start_id}"


def test_a_conflict_without_an_id_of_ours_is_an_error(remote: Scripted) -> None:
    remote.on("POST /a%20b/jobs", Answer(status=409, body={"message": "exists"}))
    with pytest.raises(Exception, match="409: exists"):
        life().execute()


LINKED = {
    **JOB,
    "start": {"path": "/jobs", "accepted": [202]},
    "ref": {"from": "headers.location", "kind": "link"},
    "poll": {k: v for k, v in JOB["poll"].items() if k != "path"},
    "cancel": {"method": "DELETE", "path": "{+ref}"},
    "result": {"select": "body.rows"},
}


@pytest.mark.parametrize(
    "location", ["https://evil.example.net/jobs/1", "//evil.example.net/x", "/../x", "ftp://x/", "a b"]
)
def test_a_link_to_another_host_is_never_followed(remote: Scripted, location: str) -> None:
    remote.on("POST /jobs", Answer(status=202, headers={"Location": location}))
    with pytest.raises(AirflowFailException, match="no reply came"):
        life(LINKED, inputs={}).execute()
    assert len(remote.asked) == 1


def test_a_signed_link_is_followed_and_shown_without_its_query(
    remote: Scripted, capsys: pytest.CaptureFixture[str]
) -> None:
    remote.on("POST /jobs", Answer(status=202, headers={"Location": f"{remote.url}/jobs/1?sig=abc%2Fdef"}))
    remote.on("GET /jobs/1", {"state": "running"}, {"state": "failed", "why": "no space"})
    with pytest.raises(AirflowException, match=r"job /jobs/1\?\.\.\.: failed") as caught:
        life(LINKED, inputs={}, adaptive=False).execute()
    assert "abc" not in f"{caught.value}{capsys.readouterr().out}"
    assert remote.asked[1].target == "/jobs/1?sig=abc%2Fdef"


def test_a_start_that_answers_with_its_end_is_not_polled(remote: Scripted) -> None:
    remote.on("POST /a%20b/jobs", {"id": 7, "state": "done", "rows": 9})
    assert life(changed(start={"read": True})).execute() == {"rows": 9}
    assert len(remote.asked) == 1


def test_a_success_that_is_not_among_the_accepted_codes_may_have_started_a_task(remote: Scripted) -> None:
    remote.on("POST /a%20b/jobs", Answer(status=203, body={"id": 7}))
    with pytest.raises(AirflowFailException, match="no reply came"):
        life().execute()


def test_an_end_without_an_id_is_delivered_and_a_retry_starts_anew(remote: Scripted) -> None:
    remote.on("POST /a%20b/jobs", {"state": "failed", "why": "full"}, {"state": "done", "rows": 9})
    task = life(changed(start={"read": True}))
    with pytest.raises(AirflowException, match="full"):
        task.execute()
    assert task.retry() == {"rows": 9}


STAGED = {
    "profile": 1,
    "noun": "build",
    "start": {"path": "/build", "accepted": [201]},
    "ref": {"from": "headers.location", "kind": "link", "link_host": "ignore"},
    "poll": {"path": "{+ref}api/json", "acceptors": [{"when": "body.id", "phase": "pending"}]},
    "cancel": {"path": "/queue/cancelItem", "query": {"id": "{ref}"}},
    "then": {
        "name": "build",
        "ref": {"from": "body.executable.url", "kind": "link", "link_host": "ignore"},
        "poll": {
            "path": "{+ref}api/json",
            "acceptors": [{"when": "body.building", "phase": "running"}],
            "status": "body.result",
            "phases": {"succeeded": ["SUCCESS"], "failed": ["FAILURE"]},
        },
        "cancel": {"path": "{+ref}stop"},
    },
    "result": {"select": "{number: body.number}"},
}


def staged(remote: Scripted) -> None:
    remote.on("POST /build", Answer(status=201, headers={"Location": "https://jenkins.example.com/queue/item/143/"}))
    moved = {"id": 143, "executable": {"url": "https://jenkins.example.com/job/test/14/"}}
    remote.on("GET /queue/item/143/api/json", {"id": 143}, moved)
    remote.on("GET /job/test/14/api/json", {"building": True}, {"building": False, "result": "SUCCESS", "number": 14})


def test_a_task_goes_on_in_a_second_stage(remote: Scripted) -> None:
    staged(remote)
    task = life(STAGED, inputs={}, adaptive=False)
    assert task.execute() == {"number": 14}
    assert task.xcoms["ref"] == task.open_record.ref == "/job/test/14/#build"


def test_a_retry_in_the_second_stage_rejoins_it(remote: Scripted) -> None:
    staged(remote)
    task = life(STAGED, inputs={}, deferrable=True)
    deferred = task.defer()
    wait = deferred.trigger.serialize()[1]
    event = event_of(Ending.CONTINUES, "/job/test/14/#build") | {"wait": wait, "at": datetime.now(UTC).isoformat()}
    with pytest.raises(TaskDeferred) as again:
        task.resume(event)
    assert again.value.trigger.ref == task.open_record.ref == "/job/test/14/#build"
    assert again.value.trigger.deadline_at == deferred.trigger.deadline_at
    task.arguments |= {"deferrable": False, "adaptive": False}
    assert task.retry() == {"number": 14}
    assert len(remote.asked_for("POST /build")) == 1
    assert len(remote.asked_for("GET /queue/item/143/api/json")) == 0


def test_the_deadline_is_the_profiles_unless_none_is_written_out(remote: Scripted) -> None:
    remote.on("POST /a%20b/jobs", {"id": 7})
    for given, expected in (({"timeout": "profile"}, 86400), ({"timeout": 60}, 60), ({"timeout": None}, None)):
        task = life(deferrable=True, **given)
        plan = task.defer().trigger.plan
        assert plan["ends_at"] is None if expected is None else plan["ends_at"] == pytest.approx(expected, abs=5), given


def test_wrong_profiles_and_inputs_are_errors_when_the_dag_is_parsed() -> None:
    rows: list[tuple[dict[str, Any], str]] = [
        ({"profile": "nobody-has-this"}, "there is no profile 'nobody-has-this'"),
        ({"profile": {**JOB, "pol": {}}}, "pol: unknown field"),
        ({"profile": JOB, "inputs": {"team": "a", "dya": 1}}, "uses no dya; it uses day, team"),
        ({"profile": JOB, "inputs": {}}, "needs team"),
        ({"profile": JOB, "inputs": {"team": "a"}, "callback": True}, "has no place for {callback.url}"),
        ({"profile": 5}, "profile must be a name"),
    ]
    for arguments, message in rows:
        with pytest.raises(ConfigurationError) as caught:
            RestTaskOperator(task_id="t", **arguments)
        assert message in str(caught.value), arguments


def test_a_result_may_be_at_a_link_of_a_host_that_the_profile_names(remote: Scripted) -> None:
    remote.on("POST /a%20b/jobs", {"id": 7})
    with scripted() as storage:
        storage.on("GET /result", {"rows": [1, 2]})
        there = storage.url.replace("127.0.0.1", "localhost")
        remote.on("GET /a%20b/jobs/7", {"state": "done", "url": f"{there}/result?sig=a%2Fb"})
        rows: list[tuple[list[str], bool]] = [(["localhost"], True), (["*.example.com"], False)]
        for hosts, is_allowed in rows:
            result = {"link": "body.url", "hosts": hosts, "select": "{rows: body.rows}"}
            task = life({**JOB, "result": result}, adaptive=False, timeout=0.5)
            if is_allowed:
                assert task.execute() == {"rows": [1, 2]}
            else:
                with pytest.raises(AirflowException, match=r"leaves the connection's host") as caught:
                    task.execute()
                assert "sig" not in str(caught.value)
    [read] = storage.asked
    assert read.target == "/result?sig=a%2Fb"
    assert "authorization" not in read.headers


def test_a_redirect_is_not_followed(remote: Scripted) -> None:
    remote.on("POST /a%20b/jobs", Answer(status=302, headers={"Location": "https://evil.example.net/"}))
    with pytest.raises(Exception, match="redirect"):
        life().execute()
    assert len(remote.asked) == 1
