"""Start once on an Airflow without a task state store: the record lies in the inbox."""

from __future__ import annotations

import json
import logging
import time
from pathlib import Path
from typing import Any

import pytest
from airflow.providers.common.compat.sdk import TaskDeferred
from airflow.sdk.exceptions import AirflowRuntimeError, ErrorType
from airflow.sdk.execution_time import task_runner
from airflow.sdk.execution_time.comms import ErrorResponse, GetDRCount, GetVariable, PutVariable

from airflow_provider_taskwatch.config.airflow_id import VARIABLE, airflow_id
from airflow_provider_taskwatch.config.inbox import open_inbox
from airflow_provider_taskwatch.core.error import ConfigurationError, InboxError, LeaseError, TransportError
from airflow_provider_taskwatch.core.outcome import Ending
from airflow_provider_taskwatch.inbox.protocol import Inbox
from airflow_provider_taskwatch.inbox.task_state import TaskKey
from airflow_provider_taskwatch.sandbox.server import Running
from airflow_provider_taskwatch.task.inbox_state import InboxTaskState, RunMark, mark_of
from airflow_provider_taskwatch.task.job import KEY
from tests.inbox.memory import MemoryInbox
from tests.rows import each_row
from tests.task.inbox_life import InboxLife, Variables
from tests.task.life import Life, event_of
from tests.task.quick import Automic, AutomicSensor


@pytest.fixture(autouse=True)
def variables(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Variables:
    fake = Variables()
    monkeypatch.setattr(task_runner, "SUPERVISOR_COMMS", fake, raising=False)
    monkeypatch.setenv("AIRFLOW__CORE__EXECUTOR", "LocalExecutor")
    monkeypatch.setenv("AIRFLOW__TASKWATCH__INBOX_URL", f"sqlite:///{tmp_path}/inbox.db")
    monkeypatch.delenv("AIRFLOW_IS_K8S_EXECUTOR_POD", raising=False)
    return fake


def automic(**arguments: Any) -> InboxLife:
    return InboxLife(Automic, object_name="JOBS.T", **arguments)


def started(box: Running) -> list[dict[str, Any]]:
    return box.sandbox.tasks(time.time())


def running(box: Running) -> None:
    box.sandbox.reset()
    box.sandbox.add_rule(duration=600.0)


# --- attempts


@pytest.mark.parametrize("has_carrier", [True, False])
def test_a_retry_rejoins(box: Running, has_carrier: bool) -> None:
    running(box)
    life = automic(has_carrier=has_carrier)
    ref = life.defer().trigger.ref
    life.try_number += 1

    assert life.defer().trigger.ref == ref
    assert len(started(box)) == 1


@pytest.mark.parametrize("has_carrier", [True, False])
def test_a_clear_cancels_and_starts_anew(box: Running, has_carrier: bool) -> None:
    running(box)
    life = automic(has_carrier=has_carrier)
    ref = life.defer().trigger.ref
    with pytest.raises(TaskDeferred) as deferral:
        life.clear()

    assert deferral.value.trigger.ref != ref
    assert box.sandbox.task(ref, time.time())["cancelled"]


@pytest.mark.parametrize("has_carrier", [True, False])
def test_a_clear_of_an_ended_run_cancels_what_still_runs(box: Running, has_carrier: bool) -> None:
    running(box)
    life = automic(has_carrier=has_carrier)
    ref = life.defer().trigger.ref
    with pytest.raises(TaskDeferred):
        life.clear_ended()

    assert box.sandbox.task(ref, time.time())["cancelled"]
    assert len(started(box)) == 2


@pytest.mark.parametrize("has_carrier", [True, False])
@pytest.mark.parametrize("first_attempt_dies", [True, False])
def test_a_run_that_was_deleted_and_made_anew_starts_anew(
    box: Running, has_carrier: bool, first_attempt_dies: bool
) -> None:
    running(box)
    life = automic(has_carrier=has_carrier)
    ref = life.defer().trigger.ref
    life.make_anew()
    life.try_number += first_attempt_dies

    assert life.defer().trigger.ref != ref
    assert not box.sandbox.task(ref, time.time())["cancelled"]
    assert len(started(box)) == 2
    life.try_number += 1
    assert life.defer().trigger.ref == started(box)[-1]["ref"]


def test_a_run_that_is_queued_again_by_hand_goes_on(box: Running) -> None:
    running(box)
    life = automic()
    ref = life.defer().trigger.ref
    life.run_started_at = life.run_started_at.replace(year=2027)
    life.try_number += 1

    assert life.defer().trigger.ref == ref


def test_two_airflows_that_share_an_inbox_have_records_of_their_own(box: Running, variables: Variables) -> None:
    running(box)
    life = automic()
    ref = life.defer().trigger.ref
    variables.kept[VARIABLE] = "another"
    life.run_started_at = life.run_started_at.replace(year=2027)
    life.try_number += 1

    assert life.defer().trigger.ref != ref


def test_a_failure_that_was_delivered_starts_anew(box: Running) -> None:
    life = automic()
    trigger = life.defer().trigger
    with pytest.raises(Exception, match="failed"):
        life.resume(event_of(Ending.FAILED, ref=trigger.ref, phase="failed", status="1800", message="failed"))

    assert life.open_record.is_delivered
    life.try_number += 1
    assert life.defer().trigger.ref != trigger.ref


def test_the_record_is_written_before_the_request(box: Running, monkeypatch: pytest.MonkeyPatch) -> None:
    seen: list[tuple[bool, int]] = []
    write = InboxTaskState.set

    def spied(self: InboxTaskState, key: str, value: Any, **rest: Any) -> None:
        write(self, key, value, **rest)
        seen.append((value["ref"] is not None, len(started(box))))

    monkeypatch.setattr(InboxTaskState, "set", spied)
    automic().defer()

    assert seen == [(False, 0), (True, 1)]


def test_nothing_starts_where_the_inbox_cannot_be_reached(box: Running, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AIRFLOW__TASKWATCH__INBOX_URL", "sqlite:////dev/null/inbox.db")
    with pytest.raises(InboxError):
        automic().execute()

    assert started(box) == []


def test_an_attempt_that_another_one_has_overtaken_starts_nothing(
    box: Running, monkeypatch: pytest.MonkeyPatch
) -> None:
    life, late = automic(), automic()
    late.run_id, late.run_started_at, late.carrier = life.run_id, life.run_started_at, life.carrier
    prepare = Automic.prepare

    def overtaken(self: Any) -> None:
        monkeypatch.setattr(Automic, "prepare", prepare)
        life.defer()

    monkeypatch.setattr(Automic, "prepare", overtaken)
    with pytest.raises(LeaseError, match="another attempt of 't' has written"):
        late.execute()

    assert len(started(box)) == 1


def test_an_attempt_that_reads_after_its_successor_has_written_starts_nothing(box: Running) -> None:
    """Its worker hung before it read, and Airflow has given it up."""
    running(box)
    life = automic()
    life.try_number = 2
    ref = life.defer().trigger.ref
    life.try_number = 1
    with pytest.raises(LeaseError, match="another attempt of 't' has written"):
        life.execute()

    assert [one["ref"] for one in started(box)] == [ref]
    life.try_number = 3
    assert life.defer().trigger.ref == ref


def test_an_attempt_of_a_run_that_was_made_anew_meanwhile_starts_nothing(box: Running) -> None:
    running(box)
    life, late = automic(), automic()
    late.run_started_at = life.run_started_at.replace(year=2025)
    life.defer()
    with pytest.raises(LeaseError, match="another attempt of 't' has written"):
        late.execute()

    assert len(started(box)) == 1


GARBAGE = {
    "no json": "{",
    "another type": "[]",
    "no mark": '{"value": {}}',
    "a mark with less": '{"mark": {"try_number": 1}, "value": {}}',
    "a mark of other types": (
        '{"mark": {"run_started_at": "", "try_number": "1", "clear_number": 0, "carrier": ""}, "value": 1}'
    ),
    "no value": '{"mark": {"run_started_at": "", "try_number": 1, "clear_number": 0, "carrier": ""}}',
    "deep": "[" * 100_000,
}


@each_row("content", GARBAGE.values())
def test_a_content_that_cannot_be_read_names_the_remedy_and_starts_nothing(
    content: str, box: Running, variables: Variables
) -> None:
    life = automic()
    variables.kept[VARIABLE] = "a"
    task = TaskKey(airflow="a", dag_id="d", run_id=life.run_id, task_id="t")
    open_inbox().replace_task_state(task, KEY, None, content)
    with pytest.raises(ConfigurationError, match=r"'taskwatch_start' of task 't' .*cannot be read.*delete the row"):
        life.execute()

    assert started(box) == []


def test_a_content_of_a_later_version_with_more_fields_is_read() -> None:
    inbox = MemoryInbox()
    a_state(inbox, "a").set(KEY, 1)
    task = TaskKey(airflow="a", dag_id="d", run_id="r", task_id="a")
    held = json.loads(inbox.task_state(task, KEY) or "")
    inbox.replace_task_state(task, KEY, json.dumps(held), json.dumps(held | {"mark": held["mark"] | {"new": 1}}))

    assert a_state(inbox, "a").get(KEY) == 1


# --- the id of this Airflow


@pytest.mark.parametrize("has_carrier", [True, False])
def test_a_retry_whose_airflow_has_another_id_now_starts_nothing(
    box: Running, variables: Variables, has_carrier: bool
) -> None:
    """The Variable was deleted."""
    running(box)
    life = automic(has_carrier=has_carrier)
    ref = life.defer().trigger.ref
    before = variables.kept.pop(VARIABLE)
    life.try_number += 1
    with pytest.raises(ConfigurationError, match=f"set the Variable 'taskwatch_airflow_id' back to '{before}'"):
        life.execute()

    assert len(started(box)) == 1
    variables.kept[VARIABLE] = before
    life.try_number += 1
    assert life.defer().trigger.ref == ref


def test_what_another_airflow_cannot_read_does_not_matter(box: Running, variables: Variables) -> None:
    life = automic()
    task = TaskKey(airflow="another", dag_id="d", run_id=life.run_id, task_id="t")
    open_inbox().replace_task_state(task, KEY, None, "{")
    life.try_number = 2

    assert life.defer().trigger.ref


def test_an_empty_id_is_an_error(box: Running, variables: Variables) -> None:
    variables.kept[VARIABLE] = ""
    with pytest.raises(ConfigurationError, match=r"'taskwatch_airflow_id' is empty.*set it back"):
        automic().execute()

    assert started(box) == []
    assert variables.kept[VARIABLE] == ""


def test_no_id_is_made_while_airflows_database_does_not_answer(
    box: Running, variables: Variables, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Airflow says *not found* then, and the id would overwrite the one that exists."""
    variables.answers[GetDRCount] = ErrorResponse(error=ErrorType.API_SERVER_ERROR, detail={"status_code": 500})
    with pytest.raises(TransportError, match="could not look for the Variable 'taskwatch_airflow_id'"):
        automic().execute()

    assert (started(box), variables.kept) == ([], {})


@each_row("answer", [None, ErrorResponse(error=ErrorType.API_SERVER_ERROR), ErrorResponse(), RuntimeError("gone")])
@pytest.mark.parametrize("question", [GetVariable, PutVariable])
def test_nothing_starts_where_airflow_does_not_answer_for_the_id(
    answer: Any, question: Any, box: Running, variables: Variables
) -> None:
    variables.answers[question] = answer
    with pytest.raises(TransportError, match="taskwatch_airflow_id"):
        automic().execute()

    assert started(box) == []


def test_with_teams_no_task_overwrites_the_id_of_another_team(
    box: Running, variables: Variables, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AIRFLOW__CORE__MULTI_TEAM", "True")
    with pytest.raises(ConfigurationError, match="add one without a team"):
        automic().execute()

    assert (started(box), variables.kept) == ([], {})
    variables.kept[VARIABLE] = "by hand"
    assert automic().defer().trigger.ref


# --- where no record can be kept


UNSHARED = {
    "celery": {"AIRFLOW__CORE__EXECUTOR": "CeleryExecutor"},
    "one of two": {"AIRFLOW__CORE__EXECUTOR": "LocalExecutor,KubernetesExecutor"},
    "of a team": {"AIRFLOW__CORE__EXECUTOR": "LocalExecutor;a=b:CeleryExecutor"},
    "of a user": {"AIRFLOW__CORE__EXECUTOR": "my.module.LocalExecutor"},
    "alias": {"AIRFLOW__CORE__EXECUTOR": "LocalExecutor:my.module.Remote"},
    "pod": {"AIRFLOW_IS_K8S_EXECUTOR_POD": "True"},
}


@each_row("variables_of", UNSHARED.values())
def test_without_a_shared_inbox_a_task_warns_and_each_attempt_starts(
    variables_of: dict[str, str], box: Running, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    with monkeypatch.context() as patch:
        for name, value in variables_of.items():
            patch.setenv(name, value)
        running(box)
        life = automic()
        first = life.defer().trigger
        assert not first.plan["keeps_record"]
        life.try_number += 1
        assert life.defer().trigger.ref != first.ref


@each_row("variables_of", UNSHARED.values())
def test_a_record_that_is_required_and_cannot_be_kept_is_an_error(
    variables_of: dict[str, str], box: Running, monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as patch:
        for name, value in variables_of.items():
            patch.setenv(name, value)
        with pytest.raises(ConfigurationError, match=r"durable=True cannot be kept.*PostgreSQL"):
            automic(durable=True).execute()
        assert started(box) == []


def test_the_warning_names_the_remedy_once(
    box: Running, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("AIRFLOW__CORE__EXECUTOR", "CeleryExecutor")
    life = automic()
    trigger = life.defer().trigger
    life.resume(event_of(Ending.SUCCEEDED, ref=trigger.ref, result={}))
    assert capsys.readouterr().out.count("no record of the start is kept") == 1

    automic(durable=False).defer()
    assert "no record" not in capsys.readouterr().out


@pytest.mark.parametrize(
    "executor", ["LocalExecutor", " LocalExecutor ", "a:LocalExecutor", "LocalExecutor;t=LocalExecutor"]
)
def test_a_file_is_shared_where_every_executor_is_local(
    box: Running, monkeypatch: pytest.MonkeyPatch, executor: str
) -> None:
    monkeypatch.setenv("AIRFLOW__CORE__EXECUTOR", executor)
    assert automic(durable=True).defer().trigger.plan["keeps_record"]


# --- an upgrade of Airflow in mid-wait


def upgraded(life: InboxLife) -> Life:
    """The same task instance on Airflow 3.3."""
    newer = Life(life.kind, **life.arguments)
    for name in ("run_id", "max_tries", "try_number", "clear_number", "carrier"):
        setattr(newer, name, getattr(life, name))
    newer.context = lambda: Life.context(newer) | {"dag_run": life.context()["dag_run"]}  # type: ignore[method-assign]
    return newer


def test_a_retry_after_an_upgrade_rejoins(box: Running) -> None:
    running(box)
    life = automic()
    ref = life.defer().trigger.ref
    newer = upgraded(life)
    newer.try_number += 1

    assert newer.defer().trigger.ref == ref
    assert newer.open_record.ref == ref
    assert life.record is None, "what has moved is not kept twice"
    assert len(started(box)) == 1


def test_a_failure_after_an_upgrade_is_delivered(box: Running) -> None:
    life = automic()
    trigger = life.defer().trigger
    newer = upgraded(life)
    with pytest.raises(Exception, match="failed"):
        newer.resume(event_of(Ending.FAILED, ref=trigger.ref, phase="failed", status="1800", message="failed"))

    assert newer.open_record.is_delivered
    newer.try_number += 1
    assert newer.defer().trigger.ref != trigger.ref


def test_an_airflow_that_never_was_below_3_3_does_not_open_the_inbox(
    box: Running, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AIRFLOW__TASKWATCH__INBOX_URL", "sqlite:////dev/null/inbox.db")
    life = Life(Automic, object_name="JOBS.T")
    life.try_number = 2

    assert life.defer().trigger.ref == started(box)[0]["ref"]


# --- reschedule sensors


def test_a_rescheduled_sensor_remembers(box: Running) -> None:
    running(box)
    ref = automic().defer().trigger.ref
    life = InboxLife(AutomicSensor, run_id=ref, mode="reschedule", deferrable=False)
    sensor = life.make()
    sensor.poke(life.context())
    again = life.make()
    again.poke(life.context())

    assert again._is_kept


# --- pruning


def a_state(inbox: Inbox, task_id: str, **mark: Any) -> InboxTaskState:
    given = {"run_started_at": "2026", "try_number": 1, "clear_number": 0, "carrier": "", **mark}
    return InboxTaskState(inbox, TaskKey(airflow="a", dag_id="d", run_id="r", task_id=task_id), RunMark(**given))


class States:
    """Airflow's answers for the states of tasks."""

    def __init__(self, **states: Any) -> None:
        self.states = states

    def get_task_states(self, *, dag_id: str, task_ids: list[str], run_ids: list[str], map_index: int) -> Any:
        known = {name: self.states[name] for name in task_ids if name in self.states}
        return {run_ids[0]: known} if known else {}


def test_only_what_is_surely_over_is_pruned() -> None:
    inbox = MemoryInbox()
    states = {"a": "success", "b": "failed", "c": "deferred", "d": None}
    for name in (*states, "e"):
        a_state(inbox, name).set(KEY, {})
    a_state(inbox, "z").prune(States(**states), -1.0, logging.getLogger())

    assert [name for name in (*states, "e") if a_state(inbox, name).get(KEY) is not None] == ["c", "d"]


def test_states_younger_than_the_retention_are_not_looked_at() -> None:
    inbox = MemoryInbox()
    a_state(inbox, "a").set(KEY, {})
    a_state(inbox, "z").prune(States(a="success"), 14.0, logging.getLogger())

    assert a_state(inbox, "a").get(KEY) == {}


def test_the_state_of_a_mapped_task_is_found_under_its_index() -> None:
    inbox = MemoryInbox()
    task = TaskKey(airflow="a", dag_id="d", run_id="r", task_id="m", map_index=7)
    inbox.replace_task_state(task, KEY, None, "1")

    class Mapped:
        def get_task_states(self, *, map_index: int, **asked: Any) -> Any:
            return {"r": {f"m_{map_index}": "deferred"}}

    a_state(inbox, "z").prune(Mapped(), -1.0, logging.getLogger())
    assert inbox.task_state(task, KEY) == "1"


@each_row("error", [AirflowRuntimeError(ErrorResponse()), AttributeError("no states"), OSError("gone")])
def test_an_airflow_that_fails_while_states_are_pruned_does_not_stop_the_start(
    error: Exception, caplog: pytest.LogCaptureFixture
) -> None:
    class Failing(States):
        def get_task_states(self, **asked: Any) -> Any:
            raise error

    inbox = MemoryInbox()
    a_state(inbox, "a").set(KEY, {})
    a_state(inbox, "z").prune(Failing(), -1.0, logging.getLogger("here"))
    assert "cannot be pruned for now" in caplog.text
    assert a_state(inbox, "a").get(KEY) == {}


def test_an_inbox_that_fails_while_it_is_pruned_does_not_stop_the_start(caplog: pytest.LogCaptureFixture) -> None:
    class Failing(MemoryInbox):
        def unchecked_task_states(self, airflow: str, seconds: float, limit: int) -> Any:
            raise InboxError("no answer")

    a_state(Failing(), "a").prune(States(), 14.0, logging.getLogger("here"))
    assert "cannot be pruned for now: no answer" in caplog.text


# --- marks


FOLLOWS = {
    "a retry": ({"try_number": 2}, True),
    "the same attempt": ({}, True),
    "a clear of the ended run": ({"try_number": 2, "run_started_at": "2027", "clear_number": 1}, True),
    "queued again by hand": ({"try_number": 2, "run_started_at": "2027"}, True),
    "the same attempt, while its run is queued by hand": ({"run_started_at": "2027"}, True),
    "a clear in the running run": ({"try_number": 2, "clear_number": 1, "carrier": "y"}, True),
    "the first attempt of a new run": ({"run_started_at": "2027", "carrier": "y"}, False),
    "the second attempt of a new run": ({"try_number": 2, "run_started_at": "2027", "carrier": "y"}, False),
}


@each_row("change, expected", FOLLOWS.values())
def test_an_attempt_follows_those_of_its_own_run(change: dict[str, Any], expected: bool) -> None:
    first = {"run_started_at": "2026", "try_number": 1, "clear_number": 0, "carrier": "x"}
    assert RunMark(**{**first, **change}).follows(RunMark(**first)) is expected


def test_an_earlier_attempt_does_not_follow_a_later_one() -> None:
    later = RunMark(run_started_at="2026", try_number=3, clear_number=0, carrier="")
    assert not RunMark(run_started_at="2026", try_number=2, clear_number=0, carrier="").follows(later)


def test_a_context_without_a_start_of_the_run_has_a_mark() -> None:
    life = automic(has_carrier=False)
    life.make()
    life.run_started_at = None  # type: ignore[assignment]
    assert mark_of(life.context()).run_started_at == ""


def test_the_id_is_made_once(variables: Variables) -> None:
    inbox = open_inbox()
    assert airflow_id(inbox) == airflow_id(inbox) == variables.kept[VARIABLE]
    inbox.close()
