"""Kills that did not reach their remote are kept in the inbox and retried."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import replace
from typing import Any

import pytest

from airflow_provider_taskwatch.core.cancel import AGE_SECONDS, REFUSALS, Cancel
from airflow_provider_taskwatch.core.error import (
    ConfigurationError,
    InboxError,
    RemoteError,
    ReplyError,
    TransportError,
)
from airflow_provider_taskwatch.hub.canceller import KEPT, SETTLED, CancelAttempt, Canceller
from airflow_provider_taskwatch.hub.hub import Hub
from airflow_provider_taskwatch.inbox.message import Message
from airflow_provider_taskwatch.sandbox.server import Running
from tests.hub.conftest import Hubs, executions
from tests.inbox.memory import MemoryInbox
from tests.until import until

DOWN = TransportError("no route to host")
NO = RemoteError(method="POST", path="/cancel", status=403, message="not yours")
WANTED = Cancel(cancel_id="c1", conn_id="x", ref="7", dag_id="d", run_id="r", task_id="t", is_users=True)


class Remote:
    """A fake remote: the end of each attempt; the last one is repeated."""

    def __init__(self, *ends: Exception | str) -> None:
        self.ends = list(ends)
        self.tried: list[Cancel] = []

    async def settle(self, attempt: CancelAttempt) -> tuple[int, str]:
        self.tried.append(attempt.cancel)
        end = self.ends.pop(0) if len(self.ends) > 1 else self.ends[0]
        if isinstance(end, Exception):
            raise end
        return logging.INFO, end


class Time:
    """A clock that jumps to the end of each wait."""

    def __init__(self) -> None:
        self.now = 1_000.0
        self.pauses: list[float] = []
        self.is_busy: Callable[[], bool] = lambda: False

    async def wait(self, event: asyncio.Event, seconds: float) -> bool:
        await asyncio.sleep(0)
        while self.is_busy() and not event.is_set():  # noqa: ASYNC110 - attempts need threads
            await asyncio.sleep(0.001)
        if not event.is_set():
            self.pauses.append(seconds)
            self.now += seconds
        return event.is_set()


@pytest.fixture
def inbox() -> MemoryInbox:
    return MemoryInbox()


@pytest.fixture
def time() -> Time:
    return Time()


NewCanceller = Callable[..., Canceller]


@pytest.fixture
def new(inbox: MemoryInbox, time: Time, monkeypatch: pytest.MonkeyPatch) -> NewCanceller:
    """A canceller over the one inbox, whose remote is a fake."""

    def made(remote: Remote, store: Any = inbox) -> Canceller:
        async def opened() -> Any:
            return store

        class Faked(CancelAttempt):
            async def settle(self) -> tuple[int, str]:
                return await remote.settle(self)

        monkeypatch.setattr("airflow_provider_taskwatch.hub.canceller.CancelAttempt", Faked)
        canceller = Canceller(opened, _no_hub, _no_state, clock=lambda: time.now, wait=time.wait)
        time.is_busy = lambda: bool(canceller._attempts)
        return canceller

    return made


def _no_hub(conn_id: str) -> Hub:
    raise AssertionError(conn_id)


async def _no_state(**_: Any) -> str:
    raise AssertionError


async def ended(canceller: Canceller) -> None:
    """Waits until the canceller has ended."""
    await until(lambda: canceller._task is not None and canceller._task.done())


def settled(inbox: MemoryInbox) -> list[str]:
    return [one.message.content["words"] for one in inbox.after(SETTLED, 0)]


async def test_a_kept_cancel_is_retried_until_it_succeeds(
    new: NewCanceller, inbox: MemoryInbox, time: Time, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    remote = Remote(DOWN, DOWN, "job 7 was cancelled")
    canceller = new(remote)
    await canceller.keep(WANTED)
    await ended(canceller)

    assert len(remote.tried) == 3
    assert settled(inbox) == ["job 7 was cancelled"]
    assert "d.t of r, some time after its kill: job 7 was cancelled" in caplog.text


async def test_the_pauses_between_attempts_grow(new: NewCanceller, time: Time) -> None:
    canceller = new(Remote(*[DOWN] * 6, "done"))
    await canceller.keep(WANTED)
    await ended(canceller)

    assert time.now - 1_000.0 == pytest.approx(2 + 4 + 8 + 16 + 32 + 64)
    assert max(time.pauses) <= 30.0


async def test_a_cancel_that_another_process_has_kept_is_retried(new: NewCanceller, inbox: MemoryInbox) -> None:
    inbox.add([Message(channel=KEPT, subject="s", delivery="c1", content=WANTED.to_json(), received_at=1.0)])
    remote = Remote("done")
    canceller = new(remote)
    with canceller.at_work():
        await until(lambda: settled(inbox) == ["done"])

    assert [one.ref for one in remote.tried] == ["7"]
    await ended(canceller)


async def test_a_settled_cancel_is_not_retried_after_a_restart(new: NewCanceller, inbox: MemoryInbox) -> None:
    first = new(Remote("done"))
    await first.keep(WANTED)
    await ended(first)
    remote = Remote("done")
    second = new(remote)
    with second.at_work():
        await until(lambda: second._read_to[SETTLED] > 0)
    await ended(second)

    assert remote.tried == []


async def test_two_processes_do_not_retry_one_cancel_at_once(new: NewCanceller, inbox: MemoryInbox, time: Time) -> None:
    assert inbox.lease("cancel c1", "another process", 60.0)
    remote = Remote("done")
    canceller = new(remote)
    await canceller.keep(WANTED)
    await until(lambda: len(time.pauses) > 2)
    assert remote.tried == []

    inbox.release("cancel c1", "another process")
    await ended(canceller)
    assert len(remote.tried) == 1


@pytest.mark.parametrize("error", [NO, KeyError("conn_id")])
async def test_a_refused_cancel_is_given_up_after_some_attempts_with_an_error(
    new: NewCanceller, inbox: MemoryInbox, caplog: pytest.LogCaptureFixture, error: Exception
) -> None:
    remote = Remote(error)
    canceller = new(remote)
    await canceller.keep(WANTED)
    await ended(canceller)

    assert len(remote.tried) == REFUSALS
    assert "cancel it at the remote by hand" in caplog.text
    assert "given up, and 7 may go on" in settled(inbox)[0]


async def test_a_cancel_that_never_reaches_its_remote_is_given_up_after_a_day(new: NewCanceller, time: Time) -> None:
    canceller = new(Remote(DOWN))
    await canceller.keep(WANTED)
    await ended(canceller)

    assert AGE_SECONDS <= time.now - 1_000.0 < AGE_SECONDS + 700.0


async def test_a_remote_that_does_not_answer_delays_no_kill_for_another_one(
    new: NewCanceller, inbox: MemoryInbox
) -> None:
    class Hanging(Remote):
        async def settle(self, attempt: CancelAttempt) -> tuple[int, str]:
            if attempt.cancel.conn_id == "hanging":
                await asyncio.Event().wait()
            return await super().settle(attempt)

    canceller = new(Hanging("done"))
    for number in range(10):
        await canceller.keep(replace(WANTED, cancel_id=f"h{number}", conn_id="hanging"))
    await canceller.keep(WANTED)
    await until(lambda: settled(inbox) == ["done"])
    assert set(canceller._pending) == {f"h{number}" for number in range(10)}


async def test_an_inbox_that_fails_is_logged_once_and_read_again(
    new: NewCanceller, inbox: MemoryInbox, caplog: pytest.LogCaptureFixture
) -> None:
    class Shaky(MemoryInbox):
        failures = 3

        def after(self, *args: Any, **more: Any) -> Any:
            if self.failures:
                self.failures -= 1
                raise InboxError("the disk is full")
            return super().after(*args, **more)

    canceller = new(Remote("done"), Shaky())
    await canceller.keep(WANTED)
    with canceller.at_work():
        await until(lambda: not canceller._pending and canceller._read_to[KEPT] > 0)
    await ended(canceller)

    assert caplog.text.count("the disk is full") == 1


async def test_an_inbox_that_cannot_be_opened_is_an_error_for_the_caller(new: NewCanceller) -> None:
    async def none() -> Any:
        raise ConfigurationError("no inbox")

    with pytest.raises(ConfigurationError, match="no inbox"):
        await Canceller(none, _no_hub, _no_state).keep(WANTED)


# --- one attempt, at a real remote


@asynccontextmanager
async def cancelling(hubs: Hubs, state: str | None, **changes: Any) -> AsyncIterator[CancelAttempt]:
    """The cancel of an Automic execution whose Airflow task has a state."""

    async def state_of(**_: Any) -> str | None:
        return state

    async with hubs.open("automic") as hub:
        cancel = Cancel(**{"cancel_id": "c", "conn_id": "automic_default", "ref": "1", **changes})
        yield CancelAttempt(cancel, lambda _: hub, state_of)


async def test_an_unknown_id_is_not_reported_as_cancelled(hubs: Hubs, box: Running) -> None:
    async with cancelling(hubs, "failed") as attempt:
        level, message = await attempt.settle()
        assert (level, message) == (
            logging.INFO,
            "execution 1 is not known to the remote any more, so nothing was cancelled",
        )
        assert attempt.cancel.is_users


async def test_a_cancel_that_finds_no_execution_is_tried_again_where_a_read_shows_it(hubs: Hubs, box: Running) -> None:
    box.sandbox.add_rule(duration=600.0)
    async with hubs.open("automic") as hub:
        [ref] = await executions(hub, 1)
    box.sandbox.add_fault("not_found", method="POST", path="/status$", times=1)
    async with cancelling(hubs, "failed", ref=ref) as attempt:
        with pytest.raises(ReplyError, match="cancel") as caught:
            await attempt.settle()
        assert caught.value.transient
        assert "was cancelled" in (await attempt.settle())[1]


async def test_a_task_that_is_deferred_again_sends_no_request(hubs: Hubs, box: Running) -> None:
    async with cancelling(hubs, "deferred") as attempt:
        assert "still deferred" in (await attempt.settle())[1]
    assert box.sandbox.log() == []


async def test_a_wait_that_was_over_before_airflow_answered_is_left_to_its_worker(hubs: Hubs, box: Running) -> None:
    async with cancelling(hubs, "failed", valid_until=1.0, kept_at=1.0) as attempt:
        assert "its wait was over" in (await attempt.settle())[1]
    assert box.sandbox.log() == []
