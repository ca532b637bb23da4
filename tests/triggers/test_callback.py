"""A wait that the remote ends by calling back: whatever the callback does, the poll counts."""

from __future__ import annotations

import asyncio
import contextvars
import time
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from airflow.triggers.base import TriggerEvent

from airflow_provider_taskwatch.core.callback import Expectation
from airflow_provider_taskwatch.core.outcome import Ending, Outcome, from_event
from airflow_provider_taskwatch.feed.registry import listener
from airflow_provider_taskwatch.inbox.message import Message
from airflow_provider_taskwatch.inbox.store import SqlInbox
from airflow_provider_taskwatch.sandbox.server import Running
from tests.triggers.test_watch import automic_task, first_event, trigger_for
from tests.until import until

START = "0123456789ab"
TASK: contextvars.ContextVar[str] = contextvars.ContextVar("TASK")
"""As Airflow tells the logs of tasks apart."""
SELDOM = Expectation(poll_seconds=600.0)


@pytest.fixture
def box(connected: Running) -> Running:
    """The emulators as new; Airflow connections lead to them."""
    return connected


@pytest.fixture
def inbox(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[SqlInbox]:
    """The inbox that Airflow's settings name; a receiver is there."""
    url = f"sqlite:///{tmp_path}/inbox.db"
    monkeypatch.setenv("AIRFLOW__TASKWATCH__INBOX_URL", url)
    inbox = SqlInbox(url)
    inbox.beat("api", "https://airflow.example.com")
    yield inbox
    inbox.close()


def call_back(inbox: SqlInbox, content: object = None, *, start_id: str = START) -> None:
    now = time.time()
    message = Message(
        channel="automic", subject=start_id, delivery=f"{start_id} {now}", content=content, received_at=now
    )
    inbox.add([message])


def waiting_for(ref: str, callback: Expectation = SELDOM, **arguments: Any) -> asyncio.Task[TriggerEvent]:
    trigger = trigger_for(ref, callback=callback, start_id=START, **arguments)
    return asyncio.create_task(first_event(trigger))


def is_over(box: Running, ref: str) -> bool:
    return bool(box.sandbox.task(ref, time.time())["ended_at"])


def polls(box: Running, ref: str) -> int:
    return sum(one["ref"] == ref and one["method"] == "GET" for one in box.sandbox.log())


async def outcome_of(task: asyncio.Task[TriggerEvent]) -> Outcome:
    return from_event((await task).payload)


async def test_a_callback_ends_the_wait_with_one_poll(box: Running, inbox: SqlInbox) -> None:
    ref = automic_task(box, duration=0.3)
    task = waiting_for(ref)
    await until(lambda: is_over(box, ref))
    call_back(inbox, {"runid": ref, "execution_status": "1900"})

    assert (await outcome_of(task)).ending is Ending.SUCCEEDED
    assert polls(box, ref) == 1


async def test_the_event_says_when_the_callback_came(box: Running, inbox: SqlInbox) -> None:
    ref = automic_task(box, duration=0.3)
    task = waiting_for(ref)
    await until(lambda: is_over(box, ref))
    call_back(inbox)

    assert (await task).payload["called_at"].startswith(f"{datetime.now(UTC):%Y-%m-}")


async def test_a_callback_that_does_not_end_the_wait_is_logged(
    box: Running, inbox: SqlInbox, capsys: pytest.CaptureFixture[str]
) -> None:
    ref = automic_task(box, duration=600.0)
    task = waiting_for(ref)
    call_back(inbox)
    logged: list[str] = []

    def is_logged() -> bool:
        logged.append(capsys.readouterr().out)
        return f"UTC, and was polled: execution {ref}: " in "".join(logged)

    await until(is_logged)
    task.cancel()
    with suppress(asyncio.CancelledError):
        await task


async def test_a_callback_that_came_before_the_wait_counts(box: Running, inbox: SqlInbox) -> None:
    ref = automic_task(box, duration=0.0)
    call_back(inbox)

    assert (await outcome_of(waiting_for(ref))).ending is Ending.SUCCEEDED


@pytest.mark.parametrize(
    "content",
    [
        None,
        {"runid": "999", "execution_status": "1800"},
        {"status": 1800},
        {"run_id": "not one"},
        ["odd"],
    ],
)
async def test_any_callback_makes_the_wait_poll(box: Running, inbox: SqlInbox, content: object) -> None:
    ref = automic_task(box, duration=0.0)
    call_back(inbox, content)

    assert (await outcome_of(waiting_for(ref))).ending is Ending.SUCCEEDED


async def test_a_wait_whose_callback_came_too_early_polls_as_without_one(box: Running, inbox: SqlInbox) -> None:
    ref = automic_task(box, duration=0.5)
    call_back(inbox, {"runid": ref, "execution_status": "1900"})

    assert (await outcome_of(waiting_for(ref))).ending is Ending.SUCCEEDED
    assert is_over(box, ref)
    assert polls(box, ref) > 1


async def test_a_callback_that_does_not_come_is_logged(
    box: Running, inbox: SqlInbox, capsys: pytest.CaptureFixture[str]
) -> None:
    ref = automic_task(box, duration=0.2)
    outcome = await outcome_of(waiting_for(ref, Expectation(poll_seconds=0.5)))

    assert outcome.ending is Ending.SUCCEEDED
    assert "s ago and has not called back" in capsys.readouterr().out


async def test_the_kept_values_of_a_callback_that_did_not_come_are_empty(box: Running, inbox: SqlInbox) -> None:
    ref = automic_task(box, duration=0.0)
    outcome = await outcome_of(waiting_for(ref, Expectation(poll_seconds=0.5, keep=["archive_key1"])))

    assert outcome.result["callback"] == {"is_confirmed": False}


async def test_a_missing_receiver_is_logged_for_the_task(
    box: Running, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AIRFLOW__TASKWATCH__INBOX_URL", f"sqlite:///{tmp_path}/silent.db")
    lines: list[tuple[str, str]] = []
    trigger = trigger_for(automic_task(box, duration=0.5), callback=Expectation(poll_seconds=1.0), start_id=START)
    TASK.set("mine")
    trigger._log = SimpleNamespace(log=lambda _, line: lines.append((TASK.get(""), line)), warning=lambda *_: None)
    await first_event(trigger)

    assert [task for task, line in lines if "no receiver has been heard of" in line] == ["mine"]


async def test_the_values_to_keep_are_in_the_result_and_marked(box: Running, inbox: SqlInbox) -> None:
    ref = automic_task(box, duration=0.0)
    call_back(inbox, {"execution_id": ref, "object_variable1": "17842312", "secret": "x"})
    names = {"runid": "execution_id"}
    outcome = await outcome_of(waiting_for(ref, replace(SELDOM, keep=["object_variable1", "absent"], names=names)))

    assert outcome.result["callback"] == {"is_confirmed": False, "object_variable1": "17842312"}


async def test_a_callback_about_another_execution_is_ignored(box: Running, inbox: SqlInbox) -> None:
    ref = automic_task(box, duration=0.0)
    call_back(inbox, {"runid": "999", "object_variable1": "forged"})
    outcome = await outcome_of(waiting_for(ref, replace(SELDOM, keep=["object_variable1"])))

    assert outcome.result["callback"] == {"is_confirmed": False}


async def test_the_last_error_is_added_to_a_failure(box: Running, inbox: SqlInbox) -> None:
    ref = automic_task(box, duration=0.0, outcome="failure")
    call_back(inbox, {"runid": ref, "last_error_message": "U0001 no space left", "last_error_code": "0001"})
    outcome = await outcome_of(waiting_for(ref))

    assert outcome.ending is Ending.FAILED
    assert "last_error_message: U0001 no space left" in outcome.message


async def test_a_callback_for_another_start_wakes_no_wait(box: Running, inbox: SqlInbox) -> None:
    ref = automic_task(box, duration=0.0)
    task = waiting_for(ref)
    call_back(inbox, start_id="ba9876543210")
    reads = listener().reads
    await until(lambda: listener().reads > reads + 1)
    assert (task.done(), polls(box, ref)) == (False, 0)

    call_back(inbox)
    assert (await outcome_of(task)).ending is Ending.SUCCEEDED


async def test_a_wait_whose_inbox_cannot_be_opened_still_polls(
    box: Running, inbox: SqlInbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AIRFLOW__TASKWATCH__INBOX_URL", "postgresql://nobody@127.0.0.1:9/inbox")
    ref = automic_task(box, duration=0.0)

    assert (await outcome_of(waiting_for(ref, Expectation(poll_seconds=0.5)))).ending is Ending.SUCCEEDED
