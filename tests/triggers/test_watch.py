"""The trigger as the triggerer runs it, against the sandbox; Airflow's supervisor is a fake."""

from __future__ import annotations

import asyncio
import gc
import json
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from types import SimpleNamespace
from typing import Any

import pytest
from airflow.providers.common.compat.sdk import AirflowFailException
from airflow.sdk.execution_time import task_runner
from airflow.sdk.execution_time.comms import SetXCom, TaskStatesResult
from airflow.triggers.base import TaskSuccessEvent, TriggerEvent

from airflow_provider_taskwatch.core.judge import WaitRules
from airflow_provider_taskwatch.core.outcome import Ending, Outcome, from_event
from airflow_provider_taskwatch.core.phase import Observation
from airflow_provider_taskwatch.core.plan import Plan
from airflow_provider_taskwatch.core.schedule import Rhythm
from airflow_provider_taskwatch.hub import log_throttle
from airflow_provider_taskwatch.sandbox.server import Running
from airflow_provider_taskwatch.task.result import result_of
from airflow_provider_taskwatch.triggers.watch import WatchTrigger
from tests.any_airflow import deserialize, serialize
from tests.until import until

QUICK = Rhythm(limit_seconds=0.2, adaptive=False)

TRIGGERS_OWN = ("conn_id", "started_at", "plan", "start_id", "ahead_seconds", "resumable_from")


class Supervisor:
    """Airflow's side: task states as the test wants them, and what was pushed."""

    def __init__(self) -> None:
        self.state: str | None = "failed"
        self.pushed: list[SetXCom] = []
        self.deaf_to: tuple[type, ...] = ()
        self.slowness = 0.0

    async def asend(self, message: Any) -> Any:
        """Answer like the supervisor of a triggerer."""
        if isinstance(message, self.deaf_to):
            await asyncio.Event().wait()
        await asyncio.sleep(self.slowness)
        if isinstance(message, SetXCom):
            self.pushed.append(message)
            return None
        return TaskStatesResult(task_states={"r": {"t": self.state}})


@pytest.fixture
def box(connected: Running) -> Running:
    """The emulators as new; Airflow connections lead to them."""
    return connected


@pytest.fixture
def supervisor(monkeypatch: pytest.MonkeyPatch) -> Supervisor:
    """Installed where Airflow installs its own."""
    fake = Supervisor()
    monkeypatch.setattr(task_runner, "SUPERVISOR_COMMS", fake, raising=False)
    return fake


def automic_task(box: Running, alias: str = "", **rule: Any) -> str:
    """The ref of a new execution that behaves as the rule says."""
    from airflow_provider_taskwatch.hooks.automic import AutomicHook
    from airflow_provider_taskwatch.systems.automic.request import execution_request
    from airflow_provider_taskwatch.systems.automic.system import Automic

    box.sandbox.add_rule("JOBS.T", **{"duration": 0.1, **rule})
    ref = AutomicHook().run(Automic(client="100").start(execution_request("JOBS.T", alias=alias))).ref
    assert ref is not None
    return ref


def trigger_for(ref: str, **arguments: Any) -> WatchTrigger:
    """A trigger that has gone through Airflow's serialisation, with a task instance as a triggerer gives it.

    :param arguments: of the trigger, and of its plan.
    """
    own = {name: arguments.pop(name) for name in TRIGGERS_OWN if name in arguments}
    plan = Plan(ref=ref, **{"rhythm": QUICK, **arguments}).to_json()
    given = {"conn_id": "automic_default", "started_at": datetime.now(UTC).isoformat(), "plan": plan, **own}
    classpath, kwargs = WatchTrigger(**given).serialize()
    assert classpath == "airflow_provider_taskwatch.triggers.watch.WatchTrigger"
    trigger = WatchTrigger(**deserialize(json.loads(json.dumps(serialize(kwargs)))))
    trigger.task_instance = SimpleNamespace(dag_id="d", run_id="r", task_id="t", map_index=-1)
    return trigger


async def first_event(trigger: WatchTrigger) -> TriggerEvent:
    async with asyncio.timeout(20):
        return await anext(trigger.run())


@asynccontextmanager
async def watching(trigger: WatchTrigger, box: Running) -> AsyncIterator[asyncio.Task[TriggerEvent]]:
    """The trigger, running, once it has looked for the first time."""
    task = asyncio.create_task(first_event(trigger))
    await until(lambda: any(one["ref"] == trigger.ref and one["method"] == "GET" for one in box.sandbox.log()))
    yield task
    task.cancel()
    await asyncio.wait([task])  # below Airflow 3.3 this is a kill


def is_cancelled(box: Running, ref: str) -> bool:
    return bool(box.sandbox.task(ref, time.time())["cancelled"])


async def test_a_success_is_one_event_with_the_result(box: Running) -> None:
    ref = automic_task(box)
    event = await first_event(trigger_for(ref))

    outcome = from_event(event.payload)
    assert outcome.ending is Ending.SUCCEEDED
    assert outcome.result["status"] == 1900
    json.dumps(event.payload)


@pytest.mark.parametrize("finish, tells_the_end", [("succeed", True), ("resume", False)])
async def test_changes_are_logged_and_so_is_the_end_where_no_worker_resumes(
    box: Running, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, finish: str, tells_the_end: bool
) -> None:
    monkeypatch.setattr(log_throttle, "BURST_SECONDS", 0.1)
    lines = await said_of(automic_task(box, duration=0.8), capsys, finish)

    assert (2 if tells_the_end else 1) <= len(lines) == len(set(lines)) <= 5
    assert ("succeeded (1900" in lines[-1]) is tells_the_end


async def test_lines_that_wait_at_a_good_end_are_left_to_the_worker(
    box: Running, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(log_throttle, "BURST_SECONDS", 60.0)
    assert await said_of(automic_task(box, duration=0.5), capsys, "resume") == []


async def said_of(ref: str, capsys: pytest.CaptureFixture[str], finish: str) -> list[str]:
    """What the log of a wait says of its execution."""
    await first_event(trigger_for(ref, finish=finish, rhythm=Rhythm(limit_seconds=0.05, adaptive=False)))
    return [line.partition("] ")[2] for line in capsys.readouterr().out.splitlines() if f"execution {ref}:" in line]


async def test_the_log_of_the_triggerer_does_not_show_the_result(box: Running) -> None:
    ref = automic_task(box, duration=0.0)
    event = await first_event(trigger_for(ref))

    assert event.payload["result"]["name"]
    assert repr(event) == f"TriggerEvent<{ref}: succeeded>"


async def test_a_wait_keeps_no_reply_between_two_polls(box: Running) -> None:
    trigger = trigger_for(automic_task(box, duration=600.0), rhythm=Rhythm(limit_seconds=60.0, adaptive=False))

    def kept() -> list[Observation]:  # isinstance() would ask each object for its class, and wake Airflow's lazy ones
        return [one for one in gc.get_objects() if type(one) is Observation and one.ref == trigger.ref]

    async with watching(trigger, box):
        await until(lambda: (readings := kept()) and not any(one.result for one in readings))


async def test_a_failure_comes_with_the_message_of_the_remote(box: Running) -> None:
    ref = automic_task(box, outcome="failure", message="disk full")
    outcome = from_event((await first_event(trigger_for(ref))).payload)

    assert outcome.ending is Ending.FAILED
    assert "disk full" in outcome.message


async def test_the_trigger_ends_the_wait_at_its_deadline(box: Running) -> None:
    ref = automic_task(box, duration=600.0)
    outcome = from_event((await first_event(trigger_for(ref, ends_at=0.6))).payload)

    assert outcome.ending is Ending.TIMED_OUT
    assert "running" in outcome.message


async def test_a_deadline_that_passed_while_no_triggerer_ran_ends_the_wait_at_once(box: Running) -> None:
    ref = automic_task(box, duration=600.0)
    began = (datetime.now(UTC) - timedelta(hours=2)).isoformat()
    outcome = from_event((await first_event(trigger_for(ref, started_at=began, ends_at=3600.0))).payload)

    assert outcome.ending is Ending.TIMED_OUT


async def test_the_grace_period_counts_from_the_start_of_the_wait_after_a_restart(box: Running) -> None:
    began = (datetime.now(UTC) - timedelta(seconds=400)).isoformat()
    outcome = from_event((await first_event(trigger_for("999", started_at=began))).payload)

    assert outcome.ending is Ending.LOST
    assert "may not see it" in outcome.message


async def test_a_wrong_connection_ends_the_wait_with_the_reason(box: Running) -> None:
    outcome = from_event((await first_event(trigger_for("1", conn_id="not_there"))).payload)

    assert outcome.ending is Ending.REFUSED
    assert "not_there" in outcome.message


def test_an_end_that_rests_on_a_clock_is_due_by_the_start_of_the_wait() -> None:
    began = datetime(2026, 1, 31, 6, tzinfo=UTC)
    trigger = trigger_for("7", started_at=began.isoformat(), rules=WaitRules(not_found_grace=30.0), ends_at=60.0)
    assert trigger.due(Outcome(ending=Ending.LOST, ref="7")) == began + timedelta(seconds=30)
    assert trigger.due(Outcome(ending=Ending.TIMED_OUT, ref="7")) == began + timedelta(seconds=60)
    assert trigger_for("7").due(Outcome(ending=Ending.TIMED_OUT, ref="7")) is None


@pytest.mark.parametrize(
    "plan, reason", [({"version": 2, "ref": "1"}, "Install the same version"), ({}, "version None")]
)
async def test_a_plan_of_another_version_of_the_package_ends_the_wait_with_the_remedy(
    box: Running, plan: dict[str, Any], reason: str
) -> None:
    outcome = from_event((await first_event(trigger_for("1", plan=plan))).payload)

    assert (outcome.ending, outcome.ref) == (Ending.REFUSED, plan.get("ref", ""))
    assert reason in outcome.message


@pytest.mark.since("3.3", reason="a triggerer can push an XCom")
async def test_a_success_may_end_the_task_with_its_result_pushed_by_the_trigger(
    box: Running, supervisor: Supervisor
) -> None:
    ref = automic_task(box)
    event = await first_event(trigger_for(ref, finish="push"))

    assert isinstance(event, TaskSuccessEvent)
    [push] = supervisor.pushed
    assert push.key == "return_value"
    assert push.value["run_id"] == int(ref)


async def test_a_worker_pushes_a_result_that_the_trigger_cannot_push(box: Running, supervisor: Supervisor) -> None:
    ref = automic_task(box)
    trigger = trigger_for(ref, finish="push")
    trigger.task_instance = None

    assert from_event((await first_event(trigger)).payload).ending is Ending.SUCCEEDED


@pytest.mark.since("3.3", reason="a triggerer can push an XCom")
async def test_a_push_that_the_supervisor_does_not_answer_is_logged_by_its_error(
    box: Running, supervisor: Supervisor, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("airflow_provider_taskwatch.config.supervisor.XCOM_SECONDS", 0.1)
    supervisor.deaf_to = (SetXCom,)
    event = await first_event(trigger_for(automic_task(box), finish="push"))

    assert from_event(event.payload).ending is Ending.SUCCEEDED
    assert "a worker will do it: TimeoutError" in capsys.readouterr().out


async def test_a_failure_always_resumes_a_worker(box: Running, supervisor: Supervisor) -> None:
    ref = automic_task(box, outcome="failure")
    event = await first_event(trigger_for(ref, finish="succeed"))

    assert from_event(event.payload).ending is Ending.FAILED


@pytest.mark.parametrize("finish, seconds, is_held", [("resume", 0.5, True), ("succeed", 15.0, False)])
async def test_an_event_that_resumes_a_worker_waits_until_airflow_knows_the_deferral(
    box: Running, supervisor: Supervisor, finish: str, seconds: float, is_held: bool
) -> None:
    resumable_from = datetime.now(UTC) + timedelta(seconds=seconds)
    await first_event(
        trigger_for(automic_task(box, duration=0.0), finish=finish, resumable_from=resumable_from.isoformat())
    )

    assert (datetime.now(UTC) >= resumable_from) is is_held


@pytest.mark.parametrize("logged_seconds, lines", [(0.0, 1), (60.0, 0)])
async def test_a_long_delay_of_an_event_is_logged(
    box: Running,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    logged_seconds: float,
    lines: int,
) -> None:
    monkeypatch.setattr("airflow_provider_taskwatch.triggers.base.LOGGED_SECONDS", logged_seconds)
    monkeypatch.setattr("airflow_provider_taskwatch.triggers.base.RESUMABLE_SECONDS", 0.1)
    in_an_hour = (datetime.now(UTC) + timedelta(hours=1)).isoformat()
    await first_event(trigger_for(automic_task(box, duration=0.0), resumable_from=in_an_hour))

    assert capsys.readouterr().out.count("when Airflow knows that the worker let the task go") == lines


async def test_a_clock_that_is_behind_delays_an_event_up_to_a_limit(
    box: Running, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("airflow_provider_taskwatch.triggers.base.RESUMABLE_SECONDS", 0.1)
    in_an_hour = (datetime.now(UTC) + timedelta(hours=1)).isoformat()

    assert await first_event(trigger_for(automic_task(box, duration=0.0), resumable_from=in_an_hour))


async def test_a_users_kill_cancels_at_the_remote(box: Running, supervisor: Supervisor) -> None:
    trigger = trigger_for(automic_task(box, duration=600.0), cancel_on_kill=True)
    async with watching(trigger, box):
        await trigger.on_kill()

    assert is_cancelled(box, trigger.ref)


@pytest.mark.parametrize("options, statuses", [({}, {1850, 1851}), ({"cancel_children": False}, {1550, 1851})])
async def test_a_users_kill_cancels_the_tasks_of_a_workflow_unless_the_user_says_otherwise(
    box: Running, supervisor: Supervisor, options: dict[str, Any], statuses: set[int]
) -> None:
    from airflow_provider_taskwatch.hooks.automic import AutomicHook

    hook = AutomicHook()
    box.sandbox.add_rule("JOBP.T", duration=600.0)
    ref = str(hook.request("POST", "/100/executions", json={"object_name": "JOBP.T"}).json()["run_id"])
    await trigger_for(ref, options=options, cancel_on_kill=True).on_kill()

    children = hook.request("GET", f"/100/executions/{ref}/children").json()["data"]
    assert {one["status"] for one in children} == statuses


async def test_a_users_kill_cancels_the_restart_that_is_followed(box: Running, supervisor: Supervisor) -> None:
    from airflow_provider_taskwatch.hooks.automic import AutomicHook

    ref = automic_task(box, duration=0.0, outcome="failure", times=1)
    box.sandbox.add_rule("JOBS.T", duration=600.0)
    reply = AutomicHook().request("POST", f"/100/executions/{ref}/status", json={"action": "restart"})
    again = str(reply.json()["run_id"])
    trigger = trigger_for(ref, options={"follow_restarts": True}, cancel_on_kill=True)
    await trigger.on_kill()

    assert is_cancelled(box, again)


ELSEWHERE = "http://elsewhere.example/ae/api/v1 client 100"


async def test_a_wait_ends_where_the_connection_leads_to_another_place_and_a_kill_cancels_nothing_there(
    box: Running, supervisor: Supervisor
) -> None:
    trigger = trigger_for(automic_task(box), cancel_on_kill=True, id_space=ELSEWHERE)
    outcome = from_event((await first_event(trigger)).payload)
    await trigger_for(trigger.ref, cancel_on_kill=True, id_space=ELSEWHERE).on_kill()

    assert outcome.ending is Ending.REFUSED
    named = (trigger.ref, ELSEWHERE, "automic_default", box.url, "clear the task to start it again at the new remote")
    assert all(name in outcome.message for name in named)
    with pytest.raises(AirflowFailException, match="leads to"):
        result_of(outcome)
    assert [one["method"] for one in box.sandbox.log()] == ["POST"]


async def test_a_kill_does_not_cancel_an_execution_with_another_marker(box: Running, supervisor: Supervisor) -> None:
    ref = automic_task(box, "JOBS-T-0123456789ab", duration=600.0)
    await trigger_for(ref, cancel_on_kill=True, options={"alias": "JOBS-T-ba9876543210"}).on_kill()
    assert not is_cancelled(box, ref)

    await trigger_for(ref, cancel_on_kill=True, options={"alias": "other-0123456789ab"}).on_kill()
    assert is_cancelled(box, ref)


@pytest.mark.parametrize("state", ["failed", "success", "running", "cleared"])
async def test_a_kill_cancels_in_every_state_that_a_user_can_set(
    box: Running, supervisor: Supervisor, state: str
) -> None:
    supervisor.state = None if state == "cleared" else state
    trigger = trigger_for(automic_task(box, duration=600.0), cancel_on_kill=True)
    await trigger.on_kill()

    assert is_cancelled(box, trigger.ref)


@pytest.mark.parametrize("state", ["scheduled", "queued", "running", "up_for_retry"])
async def test_a_task_that_another_triggerer_has_resumed_cancels_nothing(
    box: Running, supervisor: Supervisor, state: str
) -> None:
    supervisor.state = state
    trigger = trigger_for(automic_task(box, duration=600.0), cancel_on_kill=True, keeps_record=True)
    await trigger.on_kill()

    assert not is_cancelled(box, trigger.ref)


async def test_another_triggerer_that_took_over_cancels_nothing(box: Running, supervisor: Supervisor) -> None:
    supervisor.state = "deferred"
    trigger = trigger_for(automic_task(box, duration=600.0), cancel_on_kill=True)
    await trigger.on_kill()

    assert not is_cancelled(box, trigger.ref)


async def test_a_kill_after_our_own_event_cancels_nothing(box: Running, supervisor: Supervisor) -> None:
    ref = automic_task(box, duration=600.0, outcome="blocked", stages=[(0.0, 1560)])
    trigger = trigger_for(ref, cancel_on_kill=True, rules=WaitRules(fail_on_blocked=True))
    assert from_event((await first_event(trigger)).payload).ending is Ending.BLOCKED

    await trigger.on_kill()

    assert not is_cancelled(box, ref)


async def test_a_kill_that_airflow_does_not_confirm_cancels_nothing(
    box: Running, supervisor: Supervisor, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("airflow_provider_taskwatch.hub.kills.KILL_SECONDS", 0.1)
    supervisor.deaf_to = (object,)
    trigger = trigger_for(automic_task(box, duration=600.0), cancel_on_kill=True)
    await trigger.on_kill()

    assert not is_cancelled(box, trigger.ref)


async def test_a_kill_waits_for_a_slow_supervisor(box: Running, supervisor: Supervisor) -> None:
    supervisor.slowness = 0.1
    trigger = trigger_for(automic_task(box, duration=600.0), cancel_on_kill=True)
    await trigger.on_kill()

    assert is_cancelled(box, trigger.ref)


@pytest.mark.since("3.3", reason="a cancelled run by itself is no kill")
async def test_cleanup_cancels_nothing(box: Running, supervisor: Supervisor) -> None:
    trigger = trigger_for(automic_task(box, duration=600.0), cancel_on_kill=True)
    async with watching(trigger, box) as task:
        task.cancel()
        await trigger.cleanup()

    assert not is_cancelled(box, trigger.ref)


async def test_a_remote_without_cancel_goes_on_and_the_log_says_so(
    box: Running, supervisor: Supervisor, capsys: pytest.CaptureFixture[str]
) -> None:
    trigger = trigger_for("any-uuid", conn_id="acquia_default", cancel_on_kill=True)
    await trigger.on_kill()

    assert "goes on at the remote" in capsys.readouterr().out
