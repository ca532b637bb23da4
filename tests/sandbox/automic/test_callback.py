from __future__ import annotations

import json
from typing import Any

import pytest

from airflow_provider_taskwatch.core.error import ConfigurationError
from airflow_provider_taskwatch.sandbox.automic.callback import CallbackSettings, Schedule, after
from airflow_provider_taskwatch.sandbox.post import Post
from airflow_provider_taskwatch.sandbox.sandbox import Sandbox
from tests.rows import each_row
from tests.sandbox.visitor import NOW, Visitor

LIST = "/100/executions"
URL = "https://airflow.invalid/hook?token=abc"
CALLBACK = {"type": "http", "http": {"url": URL, "headers": {"Authorization": "Bearer s3cret", "X-Team": 7}}}


def start(automic: Visitor, name: str = "JOBS.LOAD", **content: Any) -> int:
    reply: Any = automic.post(LIST, {"object_name": name, "callback": CALLBACK, **content}).json()
    return int(reply["run_id"])


def due(automic: Visitor, seconds: float = 0) -> list[Post]:
    """The callbacks that are due after that many seconds."""
    automic.now = NOW + seconds
    return automic.sandbox.due(automic.now)


def statuses(automic: Visitor, seconds: float = 0) -> list[tuple[int, str]]:
    """Run ids and statuses of the callbacks that are due."""
    return [(int(post.claimed_ref), post.claimed_status) for post in due(automic, seconds)]


def configure(automic: Visitor, **settings: Any) -> None:
    automic.sandbox.change({"automic": settings}, automic.now)


def entries(automic: Visitor, **query: str) -> list[dict[str, Any]]:
    data: list[dict[str, Any]] = automic.read(LIST, query)["data"]
    return data


def attempts(settings: CallbackSettings) -> list[float]:
    """The times of the attempts, if each one fails."""
    schedule, made = Schedule(due=0.0), []
    while schedule.due is not None:
        made.append(schedule.due)
        schedule = after(schedule, 503, schedule.due, settings)
    assert schedule.end_status == "1800"
    return made


@pytest.mark.parametrize(
    "exponent, expected",
    [(0, [0, 30, 60, 90]), (1, [0, 30, 90, 180]), (2, [0, 30, 150, 420])],
)
def test_the_interval_is_constant_linear_or_squared(exponent: int, expected: list[float]) -> None:
    assert attempts(CallbackSettings(callback_interval_exp=exponent)) == expected


@pytest.mark.parametrize("number, expected", [(1, 1), (2, 3), (3, 4)])
def test_attempts_are_retries_after_the_first_try_but_one_attempt_is_the_first_try(number: int, expected: int) -> None:
    assert len(attempts(CallbackSettings(callback_attempts=number))) == expected


def test_the_interval_is_at_least_half_a_minute_and_can_pass_faster() -> None:
    assert attempts(CallbackSettings(callback_interval=5)) == [0, 30, 60, 90]
    assert attempts(CallbackSettings(callback_interval=60, callback_speed=120)) == [0, 0.5, 1, 1.5]


@pytest.mark.parametrize("answer", [200, 202, 204])
def test_a_good_answer_ends_a_callback(answer: int) -> None:
    assert after(Schedule(due=None, failed=2), answer, NOW, CallbackSettings()).end_status == "1900"


@each_row("answer", [302, 401, 404, 500, 503, None])
def test_any_other_answer_is_a_failed_attempt(answer: int | None) -> None:
    assert after(Schedule(due=None), answer, NOW, CallbackSettings()) == Schedule(due=NOW + 30, failed=1)


def test_a_callback_is_due_once_the_execution_has_ended(automic: Visitor) -> None:
    run_id = start(automic)
    assert (due(automic, 4.9), automic.sandbox.next_due()) == ([], NOW + 5)
    [post] = due(automic, 5)
    assert (post.url, post.headers, post.attempt) == (URL, {"Authorization": "Bearer s3cret", "X-Team": "7"}, 1)
    assert json.loads(post.body) == {"runid": f"{run_id:010}", "object_type": "JOBS", "execution_status": "1900"}
    assert (due(automic, 500), automic.sandbox.next_due()) == ([], None)


@pytest.mark.parametrize("duration", [0.1, 0.3, 0.7, 1.1, 2.9])
def test_a_callback_is_due_at_the_exact_end(automic: Visitor, duration: float) -> None:
    automic.sandbox.add_rule(duration=duration)
    automic.now += 0.123
    start(automic)
    assert len(automic.sandbox.due(automic.sandbox.next_due() or 0)) == 1


@pytest.mark.parametrize(
    "outcome, status", [("failure", "1800"), ("skipped", "1930"), ("lost", "1815"), (1911, "1911")]
)
def test_a_callback_reports_any_end(automic: Visitor, outcome: str | int, status: str) -> None:
    automic.sandbox.add_rule(outcome=outcome)
    run_id = start(automic)
    assert statuses(automic, 5) == [(run_id, status)]


@pytest.mark.parametrize("outcome", ["stuck", "blocked", "unknown", "gone"])
def test_without_an_end_there_is_no_callback(automic: Visitor, outcome: str) -> None:
    automic.sandbox.add_rule(outcome=outcome)
    start(automic)
    assert due(automic, 3600) == []


def test_an_execution_ended_by_hand_calls_back(automic: Visitor) -> None:
    automic.sandbox.add_rule(outcome="blocked")
    run_id = start(automic)
    assert due(automic, 60) == []
    automic.sandbox.end(str(run_id), "failure", NOW + 70)
    assert statuses(automic, 70) == [(run_id, "1800")]


def test_a_cancelled_execution_calls_back_when_the_cancel_is_done(automic: Visitor) -> None:
    configure(automic, cancel_seconds=2)
    run_id = start(automic)
    automic.post(f"{LIST}/{run_id}/status", {"action": "cancel"})
    assert statuses(automic, 1.9) == []
    assert statuses(automic, 2) == [(run_id, "1850")]
    assert statuses(automic, 10) == []


def test_a_released_execution_calls_back(automic: Visitor) -> None:
    run_id = start(automic, execution_option="once", once={"wait_for_manual_release": "true"})
    assert due(automic, 100) == []
    automic.sandbox.release(str(run_id), NOW + 100)
    assert statuses(automic, 105) == [(run_id, "1900")]


def test_an_execution_from_a_stopped_queue_calls_back(automic: Visitor) -> None:
    configure(automic, stopped_queues=["Q"])
    run_id = start(automic, queue="Q")
    assert due(automic, 100) == []
    configure(automic, stopped_queues=[])
    assert statuses(automic, 105) == [(run_id, "1900")]


def test_each_start_has_its_own_callback(automic: Visitor) -> None:
    first, second = start(automic), start(automic)
    assert statuses(automic, 5) == [(first, "1900"), (second, "1900")]


def test_a_workflow_calls_back_and_its_tasks_do_not(automic: Visitor) -> None:
    run_id = start(automic, "JOBP.NIGHT")
    assert statuses(automic, 60) == [(run_id, "1900")]


def test_a_recurring_start_makes_no_callback(automic: Visitor) -> None:
    plan = {"execute_after": "PT1M", "end_after_executions": 2}
    run_id = start(automic, execution_option="recurring", recurring=plan)
    assert due(automic, 3600) == []
    assert automic.read(f"{LIST}/{run_id}")["status"] == 1900


def test_a_restart_does_not_call_back_again(automic: Visitor) -> None:
    run_id = start(automic)
    assert len(due(automic, 5)) == 1
    automic.post(f"{LIST}/{run_id}/status", {"action": "restart"})
    assert due(automic, 60) == []


@pytest.mark.parametrize(
    "callback",
    [
        "https://airflow.invalid",
        {"type": "mail", "http": {"url": URL}},
        {"type": "http"},
        {"type": "http", "http": {}},
        {"type": "http", "http": {"url": "ftp://airflow.invalid"}},
        {"type": "http", "http": {"url": "http://[::1"}},
        {"type": "http", "http": {"url": URL, "headers": ["x"]}},
    ],
)
def test_a_senseless_callback_is_refused(automic: Visitor, callback: object) -> None:
    assert automic.post(LIST, {"object_name": "JOBS.LOAD", "callback": callback}).status == 400
    assert automic.sandbox.tasks(NOW) == []


def test_https_can_be_enforced(automic: Visitor) -> None:
    configure(automic, callback_https_only=True)
    plain = {"type": "http", "http": {"url": "http://airflow.invalid/hook"}}
    refused: Any = automic.post(LIST, {"object_name": "JOBS.LOAD", "callback": plain}).json()
    assert refused["details"] == "callback must use HTTPS."
    assert start(automic)


@pytest.mark.parametrize(
    "settings",
    [{"callback_payload": "xml"}, {"callback_interval_exp": 3}, {"callback_speed": 0}],
)
def test_a_senseless_setting_is_refused(automic: Visitor, settings: dict[str, Any]) -> None:
    with pytest.raises(ConfigurationError, match=next(iter(settings))):
        configure(automic, **settings)
    assert automic.sandbox.remotes["automic"].settings.callback_speed == 1


def test_settings_determine_the_payload_until_it_is_sent(automic: Visitor) -> None:
    run_id = start(automic, inputs={"VAR1#": "17"})
    configure(automic, callback_payload="named")
    [post] = due(automic, 5)
    assert json.loads(post.body) == {"run_id": run_id, "name": "JOBS.LOAD", "status": 1900}
    configure(automic, callback_template="&$RUNID# &VAR1# of &$CLIENT# by &$USER#")
    assert post.body == f"{run_id:010} 17 of 0100 by AIRFLOW".encode()


def test_a_failed_attempt_is_repeated_until_the_engine_gives_up(automic: Visitor) -> None:
    configure(automic, callback_attempts=2)
    start(automic)
    for seconds, attempt, answer in ((5, 1, 503), (35, 2, 404), (65, 3, None)):
        assert due(automic, seconds - 0.1) == []
        [post] = due(automic, seconds)
        assert post.attempt == attempt
        automic.sandbox.answered(post, answer, automic.now)
    assert due(automic, 3600) == []
    made = [(one["attempt"], one["status"]) for one in automic.sandbox.log() if one["endpoint"] == "callback"]
    assert made == [(1, 503), (2, 404), (3, None)]


def test_a_callback_is_an_entry_of_the_list(automic: Visitor) -> None:
    run_id = start(automic, alias="night-1", queue="FAST")
    [post] = due(automic, 5)
    [entry] = entries(automic, type="CBCK")
    assert (entry["run_id"], entry["type"], entry["status"]) == (int(post.ref), "CBCK", 1550)
    assert (entry["name"], entry["queue"], entry["activator"]) == ("CALLBACK", "FAST", run_id)
    assert entry["activation_time"] == "2027-01-15T08:00:05Z"
    assert [one["type"] for one in entries(automic)] == ["CBCK", "JOBS"]


def test_the_entry_exists_although_no_callback_is_sent(automic: Visitor) -> None:
    start(automic)
    automic.now = NOW + 9
    assert [one["activation_time"] for one in entries(automic, type="CBCK")] == ["2027-01-15T08:00:05Z"]


@pytest.mark.parametrize("answers, status", [([200], 1900), ([503], 1550), ([503, 503], 1550), ([None] * 4, 1800)])
def test_the_entry_shows_the_progress_of_the_callback(automic: Visitor, answers: list[int | None], status: int) -> None:
    start(automic)
    for number, answer in enumerate(answers):
        [post] = due(automic, 5 + 30 * number)
        automic.sandbox.answered(post, answer, automic.now)
    [entry] = entries(automic, type="CBCK")
    assert entry["status"] == status
    assert ("end_time" in entry) is (status != 1550)


def test_the_entry_names_the_reason_of_a_given_up_callback(automic: Visitor) -> None:
    configure(automic, callback_attempts=1)
    start(automic)
    [post] = due(automic, 5)
    automic.sandbox.answered(post, 503, automic.now)
    report = automic.read(f"{LIST}/{post.ref}/reports/LOG")["data"][0]["content"]
    assert "given up after 1 attempts; the last answer: 503" in report


def test_a_callback_is_neither_child_nor_task_of_its_execution(automic: Visitor) -> None:
    run_id = start(automic, "JOBP.NIGHT", alias="night-1")
    [post] = due(automic, 5)
    [entry] = entries(automic, type="CBCK")
    assert {"alias", "parent"} & set(entry) == set()
    assert entry["reference_run_id"] == 0
    assert [one["type"] for one in automic.read(f"{LIST}/{run_id}/children")["data"]] == ["JOBS"] * 3
    for query in ({"alias": "night-*"}, {"name": "JOBP.NIGHT"}, {"run_id": str(run_id)}):
        assert [one["run_id"] for one in entries(automic, **query)] == [run_id]
    assert entries(automic, reference_run_id=str(run_id)) == []
    assert [one["ref"] for one in automic.sandbox.tasks(automic.now)] == [str(run_id)] != [post.ref]
    assert automic.sandbox.counts()["started"]["automic"] == 1


def test_a_callback_that_is_cancelled_is_not_repeated(automic: Visitor) -> None:
    start(automic)
    [post] = due(automic, 5)
    automic.post(f"{LIST}/{post.ref}/status", {"action": "cancel"})
    automic.sandbox.answered(post, 503, automic.now)
    assert due(automic, 3600) == []
    assert automic.read(f"{LIST}/{post.ref}")["status"] == 1850


def test_a_cancelled_callback_that_waits_is_not_sent(automic: Visitor) -> None:
    start(automic)
    automic.now = NOW + 5
    [entry] = entries(automic, type="CBCK")
    automic.post(f"{LIST}/{entry['run_id']}/status", {"action": "cancel"})
    assert due(automic, 5) == []


def test_a_reset_forgets_callbacks(automic: Visitor) -> None:
    automic.sandbox.add_fault("callback_late", seconds=60, skip=1)
    for _ in range(2):
        start(automic)
    [post] = due(automic, 5)
    start(automic)
    automic.sandbox.reset()
    automic.sandbox.answered(post, 200, automic.now)
    assert (due(automic, 3600), automic.sandbox.next_due(), automic.sandbox.log()) == ([], None, [])


def test_the_log_shows_callbacks(automic: Visitor) -> None:
    run_id = start(automic)
    [post] = due(automic, 5)
    automic.sandbox.answered(post, None, NOW + 6, "OSError: no")
    entry = automic.sandbox.log()[-1]
    assert len(entry["token_id"]) == 8
    assert entry == {
        "n": 2,
        "at": NOW + 6,
        "system": "automic",
        "endpoint": "callback",
        "method": "POST",
        "path": "/hook",
        "query": {"token": ["abc"]},
        "status": None,
        "token_id": entry["token_id"],
        "fault": "",
        "ref": str(run_id),
        "client": "airflow.invalid",
        "url": URL,
        "attempt": 1,
        "callback": post.ref,
        "error": "OSError: no",
    }
    assert automic.sandbox.counts()["requests"] == {"automic api": 1, "automic callback": 1}


def test_the_sender_of_callbacks_is_notified_of_every_change(automic: Visitor) -> None:
    heard: list[float | None] = []
    with automic.sandbox.listening(lambda: heard.append(automic.sandbox.next_due())):
        run_id = start(automic, execution_option="once", once={"wait_for_manual_release": True})
        automic.sandbox.release(str(run_id), NOW)
        automic.now = NOW + 5
        automic.read(LIST)
        automic.post(f"{LIST}/{run_id}/comments", {"comment": "seen"})
        [post] = due(automic, 5)
        automic.sandbox.answered(post, 503, NOW + 5)
        automic.sandbox.end(str(run_id), "success", NOW + 6)
    configure(automic, callback_speed=2)
    assert heard == [NOW + 5, NOW + 5, NOW + 35, NOW + 35]


def test_acquia_makes_no_callbacks(sandbox: Sandbox, acquia: Visitor) -> None:
    sandbox.add_fault("callback_early")
    acquia.post("/x", {"callback": {}})
    [post] = _foreign(sandbox)
    with pytest.raises(NotImplementedError, match="acquia makes no callbacks"):
        sandbox.answered(post, 200, NOW)
    assert sandbox.due(NOW + 3600) == []


def _foreign(sandbox: Sandbox) -> list[Post]:
    """Posts about tasks of Acquia, which makes none itself."""
    return [
        Post(
            system="acquia",
            ref=task["ref"],
            about=task["ref"],
            claimed_ref=task["ref"],
            claimed_status="completed",
            url=URL,
            headers={},
            write=lambda ref, status: b"",
            due=NOW,
        )
        for task in sandbox.tasks(NOW)
    ]
