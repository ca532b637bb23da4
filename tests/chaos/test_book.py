"""Each book holds for a correct run and fails for a violation."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from tests.chaos.book import Balance, Ended, Evidence, Execution, Request, UserAct, balance
from tests.chaos.ledger import Entry
from tests.chaos.plan import RESTS, Job, Kind
from tests.rows import each_row

JOB = Job(name="JOBS.A", kind=Kind.AUTOMIC)
ACQUIA = Job(name="environments/a", kind=Kind.ACQUIA)
GOOD = Execution(job="JOBS.A", ref="1", phase="succeeded", started_at=10.0, ended_at=20.0)
BAD = replace(GOOD, phase="failed")
RUNNING = replace(GOOD, phase="running", ended_at=None)
SUCCESS = Ended(state="success", tries=1)
FAILED = Ended(state="failed", tries=1)


def books(job: Job = JOB, *executions: Execution, ended: Ended = SUCCESS, **more: Any) -> Balance:
    """The balance of a run with one job."""
    return balance(Evidence(jobs=[job], executions=executions, ended={job.name: ended}, **more))


def broken(balanced: Balance) -> list[str]:
    """The books that do not hold."""
    return [one.book for one in balanced.violations]


def again(execution: Execution, at: float = 30.0) -> Execution:
    """Another execution of the same job."""
    return replace(execution, ref="2", started_at=at, ended_at=at + 5)


def noted(what: str, attempt: int = 1) -> Entry:
    return Entry(job="JOBS.A", what=what, attempt=attempt, process=2, supervisor=1, at=25.0)


def request(at: float, status: int | None = 200, process: str = "p", system: str = "acquia") -> Request:
    return Request(system=system, process=process, at=at, status=status)


# --- starts


def test_one_execution_that_succeeded_is_in_order() -> None:
    assert broken(books(JOB, GOOD)) == []


def test_a_second_execution_after_a_good_one_is_a_violation() -> None:
    assert broken(books(JOB, GOOD, again(GOOD))) == ["starts"]


def test_a_second_execution_beside_a_running_one_is_a_violation() -> None:
    assert broken(books(JOB, RUNNING, again(GOOD))) == ["starts"]


def test_a_second_execution_that_began_before_the_first_had_failed_is_a_violation() -> None:
    assert broken(books(JOB, BAD, again(GOOD, at=15.0))) == ["starts"]


def test_a_second_execution_after_a_failure_is_deliberate() -> None:
    assert broken(books(JOB, BAD, again(GOOD))) == []


def test_a_second_execution_after_a_clear_is_deliberate() -> None:
    act = UserAct(job="JOBS.A", what="clear", at=12.0, ref="1")
    cancelled = replace(BAD, phase="cancelled", is_cancelled=True)
    assert broken(books(JOB, cancelled, again(GOOD), user_acts=[act])) == []


def test_a_clear_before_the_first_execution_excuses_no_second_one() -> None:
    act = UserAct(job="JOBS.A", what="clear", at=5.0, ref="")
    assert broken(books(JOB, GOOD, again(GOOD), user_acts=[act])) == ["starts"]


def test_a_task_that_started_nothing_is_a_violation() -> None:
    assert broken(books(JOB, ended=FAILED)) == ["starts"]


def test_an_unknown_start_is_in_order_only_where_the_api_keeps_nothing_of_it() -> None:
    explained = replace(FAILED, log="run `taskwatch adopt ...`")
    found = {kind: broken(books(Job(name="teams/a/jobs", kind=kind), ended=explained)) for kind in RESTS}
    assert found == {kind: [] if kind is Kind.REST else ["starts"] for kind in RESTS}


@pytest.mark.parametrize("executions", [(), (replace(GOOD, job=ACQUIA.name),)])
def test_an_explained_unknown_start_without_a_marker_is_in_order(executions: Any) -> None:
    explained = replace(FAILED, log="run `taskwatch adopt ...`")
    assert broken(books(ACQUIA, *executions, ended=explained)) == []


def test_an_unexplained_unknown_start_is_a_violation() -> None:
    assert broken(books(ACQUIA, ended=FAILED)) == ["starts"]


def test_an_unknown_start_with_a_marker_is_a_violation() -> None:
    explained = replace(FAILED, log="run `taskwatch adopt ...`")
    assert broken(books(JOB, GOOD, ended=explained)) == ["outcomes"]


# --- ends


@each_row("state", ["deferred", "running", "up_for_retry", None])
def test_a_task_that_has_not_ended_is_a_violation(state: str | None) -> None:
    assert broken(books(JOB, GOOD, ended=replace(SUCCESS, state=state))) == ["hanging"]


def test_a_task_unknown_to_airflow_is_a_violation() -> None:
    assert "hanging" in broken(balance(Evidence(jobs=[JOB], executions=[GOOD])))


@pytest.mark.parametrize("execution, ended", [(BAD, SUCCESS), (GOOD, FAILED), (RUNNING, SUCCESS)])
def test_a_wrong_outcome_is_a_violation(execution: Execution, ended: Ended) -> None:
    assert broken(books(JOB, execution, ended=ended)) == ["outcomes"]


def test_a_task_given_up_before_its_last_retry_is_a_violation() -> None:
    assert broken(books(replace(JOB, ends=("failure", "success")), BAD, ended=FAILED)) == ["outcomes"]
    assert broken(books(replace(JOB, ends=("failure",)), BAD, ended=FAILED)) == []


def test_a_task_failed_by_a_user_is_failed_with_any_end_of_its_execution() -> None:
    act = UserAct(job="JOBS.A", what="fail", at=12.0, ref="1")
    assert broken(books(JOB, GOOD, ended=FAILED, user_acts=[act])) == []


def test_a_sensor_starts_no_execution_and_ends_like_the_one_that_it_waits_for() -> None:
    sensor = replace(JOB, kind=Kind.SENSOR)
    assert broken(books(sensor, GOOD)) == []
    assert broken(books(sensor, BAD)) == ["outcomes"]


def test_a_task_resumed_more_often_than_deferred_is_a_violation() -> None:
    first, second = [noted("defer"), noted("resume")], [noted("defer", 2), noted("resume", 2)]
    assert broken(books(JOB, GOOD, entries=[*first, *second])) == []
    assert broken(books(JOB, GOOD, entries=[*first, *first])) == []
    assert broken(books(JOB, GOOD, entries=[*first, noted("resume")])) == ["twice"]
    assert broken(books(JOB, GOOD, entries=[*first, *second, noted("resume", 3)])) == ["twice"]


def test_the_number_of_an_attempt_may_grow_between_its_deferral_and_its_resumption() -> None:
    assert broken(books(JOB, GOOD, entries=[noted("defer", 2), noted("defer", 2), noted("resume", 3)])) == []


# --- cancels


def test_a_cancel_that_was_not_requested_is_a_violation() -> None:
    cancelled = replace(BAD, phase="cancelled", is_cancelled=True)
    assert broken(books(JOB, cancelled, again(GOOD))) == ["cancels"]


def test_a_missing_cancel_is_a_violation() -> None:
    act = UserAct(job="JOBS.A", what="fail", at=12.0, ref="1")
    assert broken(books(JOB, RUNNING, ended=FAILED, user_acts=[act])) == ["cancels"]


def test_an_execution_that_has_ended_need_not_be_cancelled() -> None:
    act = UserAct(job="JOBS.A", what="fail", at=12.0, ref="1")
    assert broken(books(JOB, BAD, ended=FAILED, user_acts=[act])) == []


def test_the_deadline_cancels_only_stuck_executions() -> None:
    job = replace(JOB, kind=Kind.DEADLINE, ends=("stuck", "success"))
    cancelled = replace(BAD, phase="cancelled", is_cancelled=True, ended_at=31.0)
    assert broken(books(job, cancelled, again(GOOD, at=40.0))) == []
    assert "cancels" in broken(books(job, RUNNING, again(GOOD)))
    assert "cancels" in broken(books(job, BAD, again(cancelled), ended=FAILED))


def test_an_early_deadline_is_a_violation() -> None:
    job = replace(JOB, kind=Kind.DEADLINE, ends=("stuck", "success"))
    cancelled = replace(BAD, phase="cancelled", is_cancelled=True, ended_at=15.0)
    assert broken(books(job, cancelled, again(GOOD))) == ["cancels"]


# --- 429


def test_one_probe_before_retry_after_has_passed_is_in_order() -> None:
    requests = [request(100.0, 429), request(103.0, 429), request(106.5)]
    assert broken(books(JOB, GOOD, requests=requests, retry_after=6.0)) == []


def test_two_requests_before_retry_after_has_passed_are_a_violation() -> None:
    requests = [request(100.0, 429), request(102.0, 429), request(104.0, 429)]
    assert broken(books(JOB, GOOD, requests=requests, retry_after=6.0)) == ["restraint"]


def test_a_request_sent_before_the_429_arrived_is_not_counted() -> None:
    requests = [request(100.0, 429), request(100.1, 429), request(100.2, 429), request(100.3, 429)]
    assert broken(books(JOB, GOOD, requests=requests, retry_after=6.0)) == []


def test_requests_are_counted_for_each_process_and_each_remote() -> None:
    others = [request(103.0, process="q"), request(104.0, system="automic"), request(105.0, process="r")]
    requests = [request(100.0, 429), request(102.0, 429), *others]
    assert broken(books(JOB, GOOD, requests=requests, retry_after=6.0)) == []


# --- the harness itself


def test_a_planned_kill_or_user_act_that_did_not_happen_is_a_violation() -> None:
    assert broken(books(replace(JOB, point="sent", victim="task"), GOOD)) == ["applied"]
    assert broken(books(replace(JOB, user="clear"), GOOD)) == ["applied"]


def test_a_kill_is_not_missing_if_a_lost_reply_has_ended_the_task_before() -> None:
    explained = replace(FAILED, log="run `taskwatch adopt ...`")
    assert broken(books(replace(ACQUIA, point="stored", victim="task"), ended=explained)) == []


def test_a_planned_fault_that_was_not_played_is_a_violation() -> None:
    assert broken(books(JOB, GOOD, faults={"api-away": 1})) == []
    assert broken(books(JOB, GOOD, faults={"api-away": 1, "token-away": 0})) == ["applied"]


def test_the_control_group_is_counted_separately_and_never_a_violation() -> None:
    plain = replace(JOB, kind=Kind.PLAIN)
    balanced = books(plain, GOOD, again(GOOD), ended=replace(SUCCESS, state="running", tries=3))
    assert broken(balanced) == []
    counted = {name: balanced.counts[f"control {name}"] for name in ("tasks", "started twice", "hanging", "tries")}
    assert counted == {"tasks": 1, "started twice": 1, "hanging": 1, "tries": 3}


def test_a_violation_names_the_task_and_the_evidence() -> None:
    [one] = books(JOB, GOOD, again(GOOD)).violations
    assert one.job == "JOBS.A"
    assert "ref='2'" in one.evidence
