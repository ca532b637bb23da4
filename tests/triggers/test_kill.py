"""A user's kill of a deferred task that cannot reach the remote at once."""

from __future__ import annotations

import asyncio
import time
from typing import Any

import pytest
from airflow.sdk.exceptions import AirflowRuntimeError
from airflow.sdk.execution_time import task_runner
from airflow.sdk.execution_time.comms import DRCount, ErrorResponse, GetDRCount, GetTaskStates

from airflow_provider_taskwatch.core import limit
from airflow_provider_taskwatch.core.cancel import cancel_from
from airflow_provider_taskwatch.core.flow import Retry
from airflow_provider_taskwatch.core.judge import WaitRules
from airflow_provider_taskwatch.hub import canceller
from airflow_provider_taskwatch.hub.canceller import KEPT, SETTLED
from airflow_provider_taskwatch.inbox.store import SqlInbox
from airflow_provider_taskwatch.sandbox.server import Running
from airflow_provider_taskwatch.triggers import watch as module
from airflow_provider_taskwatch.triggers.watch import WatchTrigger
from tests.triggers.test_watch import Supervisor, automic_task, first_event, is_cancelled, trigger_for, watching
from tests.until import until


class Slow(Supervisor):
    """Counts what it is asked, and can keep all answers back."""

    def __init__(self) -> None:
        super().__init__()
        self.asked: list[Any] = []

    async def asend(self, message: Any) -> Any:
        self.asked.append(message)
        answer = await super().asend(message)
        return DRCount(count=0) if isinstance(message, GetDRCount) else answer


@pytest.fixture
def box(connected: Running) -> Running:
    return connected


@pytest.fixture
def supervisor(monkeypatch: pytest.MonkeyPatch) -> Slow:
    fake = Slow()
    monkeypatch.setattr(task_runner, "SUPERVISOR_COMMS", fake, raising=False)
    return fake


@pytest.fixture(autouse=True)
def _quick(monkeypatch: pytest.MonkeyPatch, inbox: SqlInbox) -> None:
    monkeypatch.setattr("airflow_provider_taskwatch.hub.kills.KILL_SECONDS", 0.5)


def killed(box: Running, **arguments: Any) -> WatchTrigger:
    return trigger_for(automic_task(box, duration=600.0), cancel_on_kill=True, **arguments)


def is_settled(inbox: SqlInbox) -> bool:
    return bool(inbox.after(SETTLED, 0))


async def test_airflow_is_warmed_up_once_by_the_first_wait(box: Running, supervisor: Slow) -> None:
    async with watching(killed(box), box), watching(killed(box), box):
        await until(lambda: any(isinstance(one, GetDRCount) for one in supervisor.asked))

    assert sum(isinstance(one, GetDRCount) for one in supervisor.asked) == 1


@pytest.mark.parametrize("answer", [RuntimeError("the socket is closed"), None])
async def test_the_next_wait_warms_airflow_up_where_it_did_not_answer_the_first(
    box: Running, supervisor: Slow, monkeypatch: pytest.MonkeyPatch, answer: Exception | None
) -> None:
    answers: list[Any] = [answer, DRCount(count=0)]

    async def asend(message: Any) -> Any:
        if not isinstance(message, GetDRCount):
            return await Supervisor.asend(supervisor, message)
        supervisor.asked.append(message)
        given = answers.pop(0)
        if isinstance(given, Exception):
            raise given
        return given

    monkeypatch.setattr(supervisor, "asend", asend)
    for asked in (1, 2, 2):
        async with watching(killed(box), box):
            await until(lambda asked=asked: len(supervisor.asked) == asked)
    assert answers == []


async def test_a_wait_does_not_stop_while_airflow_warms_up(box: Running, supervisor: Slow) -> None:
    supervisor.deaf_to = (GetDRCount,)
    async with asyncio.timeout(20):
        assert await first_event(killed(box, rules=WaitRules(fail_on_blocked=True), ends_at=1.0))


async def test_a_kill_that_the_remote_does_not_answer_in_time_is_kept_and_retried(
    box: Running,
    supervisor: Slow,
    inbox: SqlInbox,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    trigger = killed(box)
    box.sandbox.add_fault("server_error", system="automic", times=2)
    await trigger.on_kill()
    assert not is_cancelled(box, trigger.ref)
    assert f"{trigger.ref} was not cancelled" in (log := capsys.readouterr().out)
    assert f"It is kept in {inbox!r}" in log

    monkeypatch.setattr(limit, "FIRST_SECONDS", 0.1)
    monkeypatch.setattr(canceller, "PATIENCE", Retry(first_seconds=0.1))
    await until(lambda: is_settled(inbox))
    assert is_cancelled(box, trigger.ref)


async def test_a_kill_that_airflow_does_not_confirm_in_time_is_kept_and_confirmed_later(
    box: Running, supervisor: Slow, inbox: SqlInbox
) -> None:
    supervisor.deaf_to = (GetTaskStates,)
    trigger = killed(box)
    await trigger.on_kill()
    [kept] = inbox.after(KEPT, 0)
    assert not is_cancelled(box, trigger.ref)
    assert (cancel := cancel_from(kept.message.content)) is not None
    assert (cancel.ref, cancel.is_users) == (trigger.ref, False)


@pytest.mark.parametrize(
    "error", [AirflowRuntimeError(ErrorResponse()), ConnectionResetError("the supervisor is gone")]
)
async def test_a_kill_is_kept_where_airflow_fails(
    box: Running, supervisor: Slow, inbox: SqlInbox, monkeypatch: pytest.MonkeyPatch, error: Exception
) -> None:
    async def asend(message: Any) -> Any:
        raise error

    monkeypatch.setattr(supervisor, "asend", asend)
    await killed(box).on_kill()

    assert len(inbox.after(KEPT, 0)) == 1


async def test_a_kept_kill_is_dropped_where_the_next_attempt_has_rejoined(
    box: Running, supervisor: Slow, inbox: SqlInbox
) -> None:
    trigger = killed(box, keeps_record=True)
    box.sandbox.add_fault("server_error", system="automic", times=1)
    await trigger.on_kill()
    supervisor.state = "deferred"

    await until(lambda: is_settled(inbox))
    assert "next attempt goes on with it" in inbox.after(SETTLED, 0)[0].message.content["words"]
    assert not is_cancelled(box, trigger.ref)


async def test_a_triggerer_that_ends_during_a_kill_keeps_it(
    box: Running, supervisor: Slow, inbox: SqlInbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("airflow_provider_taskwatch.hub.kills.KILL_SECONDS", 60.0)
    supervisor.deaf_to = (GetTaskStates,)
    killing = asyncio.create_task(killed(box).on_kill())
    await until(lambda: any(isinstance(one, GetTaskStates) for one in supervisor.asked))
    killing.cancel()
    with pytest.raises(asyncio.CancelledError):
        await killing

    assert len(inbox.after(KEPT, 0)) == 1


async def test_the_next_wait_carries_out_a_kill_that_another_process_has_kept(
    box: Running, supervisor: Slow, inbox: SqlInbox
) -> None:
    from airflow_provider_taskwatch.hub.canceller import message_of

    cancel = killed(box)._as_cancel()
    inbox.append(KEPT, [message_of(KEPT, cancel.cancel_id, cancel.to_json(), time.time())])
    async with watching(trigger_for(automic_task(box, duration=600.0)), box):
        await until(lambda: is_settled(inbox))

    assert is_cancelled(box, cancel.ref)


async def test_without_an_inbox_the_log_names_the_execution_that_goes_on(
    box: Running, supervisor: Slow, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("AIRFLOW__TASKWATCH__INBOX_URL", "mysql://nobody@localhost/inbox")
    trigger = killed(box)
    box.sandbox.add_fault("server_error", system="automic")
    await trigger.on_kill()

    log = capsys.readouterr().out
    assert f"{trigger.ref} was not cancelled" in log
    assert "cancel it at the remote by hand" in log


async def test_a_kept_kill_holds_no_secret(box: Running, supervisor: Slow, inbox: SqlInbox) -> None:
    trigger = killed(box, options={"alias": "A"})
    box.sandbox.add_fault("server_error", system="automic")
    await trigger.on_kill()

    [kept] = inbox.after(KEPT, 0)
    assert box.connections()["automic_default"]["password"] not in repr(kept)
    assert set(kept.message.content) >= {"ref", "conn_id", "options", "dag_id", "is_users"}


async def test_a_kill_by_a_clear_is_left_to_the_next_attempt(
    box: Running, supervisor: Slow, capsys: pytest.CaptureFixture[str]
) -> None:
    supervisor.state = "scheduled"
    trigger = killed(box, keeps_record=True)
    await trigger.on_kill()

    assert "the task is scheduled, and its next attempt goes on with it, or cancels it" in capsys.readouterr().out


# --- below Airflow 3.3, which cancels `run` and calls no `on_kill`


@pytest.fixture
def _without_on_kill(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "CALLS_ON_KILL", False)


@pytest.mark.usefixtures("_without_on_kill")
async def test_a_cancelled_run_cancels_at_the_remote_where_a_user_ended_the_task(
    box: Running, supervisor: Slow
) -> None:
    trigger = killed(box)
    async with watching(trigger, box) as running:
        running.cancel()
        with pytest.raises(asyncio.CancelledError):
            await running

    assert is_cancelled(box, trigger.ref)


@pytest.mark.usefixtures("_without_on_kill")
async def test_a_run_that_is_cancelled_again_and_again_finishes_its_kill(
    box: Running, supervisor: Slow, inbox: SqlInbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Airflow 3.1 and 3.2 repeat it each second until the trigger has ended."""
    monkeypatch.setattr("airflow_provider_taskwatch.hub.kills.KILL_SECONDS", 60.0)
    trigger = killed(box)
    async with watching(trigger, box) as running:
        supervisor.slowness = 0.3
        while not running.done():
            running.cancel()
            await asyncio.wait([running], timeout=0.05)

    assert running.cancelled()
    assert is_cancelled(box, trigger.ref)
    assert not inbox.after(KEPT, 0)


@pytest.mark.usefixtures("_without_on_kill")
def test_a_triggerer_that_ends_during_the_kill_of_a_run_keeps_it(
    box: Running, supervisor: Slow, inbox: SqlInbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("airflow_provider_taskwatch.hub.kills.KILL_SECONDS", 60.0)
    supervisor.deaf_to = (GetTaskStates,)
    trigger = killed(box)

    async def triggerer() -> None:
        wait = asyncio.create_task(first_event(trigger))
        await until(lambda: any(one["ref"] == trigger.ref and one["method"] == "GET" for one in box.sandbox.log()))
        wait.cancel()
        await until(lambda: any(isinstance(one, GetTaskStates) for one in supervisor.asked))

    with asyncio.Runner(loop_factory=asyncio.new_event_loop) as runner:  # leaves the loop of other tests alone
        runner.run(triggerer())
    assert len(inbox.after(KEPT, 0)) == 1


@pytest.mark.usefixtures("_without_on_kill")
@pytest.mark.parametrize("state", ["deferred", "scheduled", "queued", "running", "up_for_retry"])
async def test_a_cancelled_run_leaves_a_task_alone_that_goes_on(box: Running, supervisor: Slow, state: str) -> None:
    supervisor.state = state
    trigger = killed(box, keeps_record=True)
    async with watching(trigger, box) as running:
        running.cancel()
        with pytest.raises(asyncio.CancelledError):
            await running

    assert not is_cancelled(box, trigger.ref)


@pytest.mark.usefixtures("_without_on_kill")
def test_a_triggerer_that_ends_asks_nothing_and_cancels_nothing(
    box: Running, supervisor: Slow, inbox: SqlInbox
) -> None:
    """A triggerer with a thousand waits would ask Airflow a thousand times while it ends."""
    trigger = killed(box)

    async def triggerer() -> None:
        waits.append(asyncio.create_task(first_event(trigger)))
        await until(lambda: any(one["ref"] == trigger.ref and one["method"] == "GET" for one in box.sandbox.log()))

    waits: list[asyncio.Task[Any]] = []
    with asyncio.Runner(loop_factory=asyncio.new_event_loop) as runner:
        runner.run(triggerer())
        for one in (tasks := asyncio.all_tasks(loop := runner.get_loop())):
            one.cancel()
        loop.run_until_complete(asyncio.wait(tasks))
        runner.run(until(lambda: not asyncio.all_tasks(loop) - {asyncio.current_task()}))
    assert waits[0].cancelled()
    assert not any(isinstance(one, GetTaskStates) for one in supervisor.asked)
    assert not is_cancelled(box, trigger.ref)
    assert not inbox.after(KEPT, 0)


async def test_airflow_3_3_calls_on_kill_itself(
    box: Running, supervisor: Slow, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "CALLS_ON_KILL", True)
    trigger = killed(box)
    async with watching(trigger, box) as running:
        running.cancel()
        with pytest.raises(asyncio.CancelledError):
            await running

    assert not any(isinstance(one, GetTaskStates) for one in supervisor.asked)
