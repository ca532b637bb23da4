"""SIGTERM on a worker: a user's kill cancels at the remote, anything else leaves it to the next attempt."""

from __future__ import annotations

import os
import signal
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import cached_property
from pathlib import Path
from typing import Any

import pytest
from airflow.providers.common.compat.sdk import AirflowFailException

from airflow_provider_taskwatch.core.cancel import Cancel, cancel_from
from airflow_provider_taskwatch.core.outcome import Ending
from airflow_provider_taskwatch.hub.canceller import KEPT
from airflow_provider_taskwatch.inbox.store import SqlInbox
from airflow_provider_taskwatch.sandbox.server import Running
from airflow_provider_taskwatch.task import kill
from airflow_provider_taskwatch.task.kill import within
from airflow_provider_taskwatch.task.result import RemoteTaskFailed, WaitTimedOut
from tests.task.life import Life, event_of
from tests.task.quick import Acquia, Automic
from tests.until import wait_until

LIMIT_SECONDS = 0.3


def waiting(**arguments: Any) -> Life:
    """A task that waits on the worker for something that would run for minutes."""
    quick = {"poll_interval": 0.1, "adaptive": False, "timeout": LIMIT_SECONDS, "on_timeout": "leave"}
    return Life(Automic, object_name="JOBS.T", **{"deferrable": False, **quick, **arguments})


@pytest.fixture(autouse=True)
def _long(box: Running) -> None:
    box.sandbox.add_rule(duration=600.0)


@contextmanager
def terminated(life: Life, when: Callable[[], Any]) -> Iterator[None]:
    """Airflow's handler for SIGTERM, and one SIGTERM as soon as ``when`` holds."""
    before = signal.signal(signal.SIGTERM, lambda number, frame: life.task.on_kill())

    def send() -> None:
        while not when():
            time.sleep(0.01)
        time.sleep(0.03)  # the reply is read and logged by then; what a held lock does is a test of its own
        os.kill(os.getpid(), signal.SIGTERM)

    sender = threading.Thread(target=send)
    sender.start()
    try:
        yield
    finally:
        sender.join()
        signal.signal(signal.SIGTERM, before)


def is_watched(box: Running) -> Callable[[], Any]:
    return lambda: any(one["method"] == "GET" for one in box.sandbox.log())


def is_cancelled(box: Running) -> bool:
    [task] = box.sandbox.tasks(time.time())
    return bool(task["cancelled"])


def ends_while_waiting(life: Life, box: Running) -> None:
    with terminated(life, is_watched(box)), pytest.raises(Exception):  # noqa: B017, PT011 - cancelled, or timed out
        life.execute()


@pytest.mark.parametrize("state", ["failed", "success", "skipped", "restarting", "removed"])
def test_what_a_user_can_do_to_a_task_cancels_at_the_remote(box: Running, state: str) -> None:
    life = waiting()
    life.state = lambda: state
    ends_while_waiting(life, box)
    assert is_cancelled(box)


def test_a_users_kill_cancels_the_restart_that_is_followed(box: Running) -> None:
    box.sandbox.add_rule(duration=0.0, outcome="failure", times=1)
    life = waiting(deferrable=True, follow_restarts=True, timeout=10.0)
    again = life.restart(life.defer().trigger.ref)
    life.arguments["deferrable"] = False
    life.state = lambda: "failed"

    def is_followed() -> bool:
        return sum(one["ref"] == again and one["method"] == "GET" for one in box.sandbox.log()) > 1

    with terminated(life, is_followed), pytest.raises(RemoteTaskFailed):
        life.retry()
    assert box.sandbox.task(again, time.time())["cancelled"]


@pytest.mark.parametrize("state", ["running", "deferred", "up_for_retry", "up_for_reschedule", "scheduled", "queued"])
def test_an_eviction_leaves_the_remote_task_to_the_next_attempt(box: Running, state: str) -> None:
    life = waiting()
    life.state = lambda: state
    ends_while_waiting(life, box)
    assert not is_cancelled(box)


def test_a_task_that_one_scheduler_took_from_another_leaves_its_remote_task_alone(box: Running) -> None:
    life = waiting()
    life.state = lambda: None
    ends_while_waiting(life, box)
    assert not is_cancelled(box)


def test_the_attempt_after_an_eviction_rejoins(box: Running) -> None:
    life = waiting()
    ends_while_waiting(life, box)
    with pytest.raises(WaitTimedOut):
        life.retry()
    assert len(box.sandbox.tasks(time.time())) == 1


def test_without_cancel_on_kill_nothing_is_asked_and_nothing_cancelled(box: Running) -> None:
    life = waiting(cancel_on_kill=False)
    life.state = lambda: pytest.fail("asked Airflow")
    ends_while_waiting(life, box)
    assert not is_cancelled(box)


def test_a_state_that_cannot_be_learned_leaves_the_remote_alone(box: Running) -> None:
    life = waiting()

    def state() -> str:
        raise OSError("the supervisor is gone")

    life.state = state
    ends_while_waiting(life, box)
    assert not is_cancelled(box)


def test_a_supervisor_that_answers_late_holds_nothing_up_and_the_kill_still_counts(
    box: Running, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(kill, "STATE_SECONDS", 0.2)
    life, release = waiting(), threading.Event()

    def state() -> str:
        release.wait(10)
        return "failed"

    life.state = state
    begun = time.monotonic()
    ends_while_waiting(life, box)
    release.set()
    assert time.monotonic() - begun < 5
    wait_until(lambda: is_cancelled(box))


@pytest.fixture
def inbox(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[SqlInbox]:
    """The inbox that workers and triggerers share."""
    url = f"sqlite:///{tmp_path}/inbox.db"
    monkeypatch.setenv("AIRFLOW__TASKWATCH__INBOX_URL", url)
    inbox = SqlInbox(url)
    yield inbox
    inbox.close()


def kept(inbox: SqlInbox) -> list[Cancel]:
    return [cancel for one in inbox.after(KEPT, 0) if (cancel := cancel_from(one.message.content)) is not None]


def test_a_kill_that_the_remote_does_not_take_is_kept_for_the_triggerers(
    box: Running, inbox: SqlInbox, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(kill, "CANCEL_SECONDS", 1.0)
    monkeypatch.setattr(kill, "KEEP_AFTER_SECONDS", 0.1)
    box.sandbox.add_fault("server_error", system="automic", path="/status$")
    life = waiting()
    life.state = lambda: "failed"
    ends_while_waiting(life, box)

    [cancel] = kept(inbox)
    [task] = box.sandbox.tasks(time.time())
    assert (cancel.ref, cancel.is_users, cancel.keeps_record) == (task["ref"], True, True)
    assert f"It is kept in {inbox!r}" in capsys.readouterr().out


def test_a_kill_of_what_the_remote_does_not_know_yet_is_kept_for_the_triggerers(box: Running, inbox: SqlInbox) -> None:
    box.sandbox.add_fault("not_found", system="automic", path="/status$")
    life = waiting()
    life.state = lambda: "failed"
    ends_while_waiting(life, box)
    [task] = box.sandbox.tasks(time.time())
    wait_until(lambda: [cancel.ref for cancel in kept(inbox)] == [task["ref"]])


def test_a_kill_that_airflow_does_not_explain_is_kept_and_explained_later(
    box: Running, inbox: SqlInbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(kill, "STATE_SECONDS", 0.1)
    life, release = waiting(), threading.Event()

    def state() -> str:
        release.wait(10)
        return "failed"

    life.state = state
    ends_while_waiting(life, box)
    wait_until(lambda: [cancel.is_users for cancel in kept(inbox)] == [False])
    release.set()


def test_a_kill_that_cannot_be_kept_names_what_goes_on(
    box: Running, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(kill, "CANCEL_SECONDS", 1.0)
    monkeypatch.setattr(kill, "KEEP_AFTER_SECONDS", 0.1)
    monkeypatch.setenv("AIRFLOW__TASKWATCH__INBOX_URL", "mysql://user@localhost/inbox")
    box.sandbox.add_fault("server_error", system="automic", path="/status$")
    life = waiting()
    life.state = lambda: "failed"
    ends_while_waiting(life, box)
    [task] = box.sandbox.tasks(time.time())
    assert f"{task['ref']} was not cancelled" in (log := capsys.readouterr().out)
    assert "cancel it at the remote by hand" in log


def test_a_lock_that_the_interrupted_code_holds_is_no_deadlock_and_the_kill_still_counts(
    box: Running, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The supervisor's lock is not reentrant, and the signal may come while the main thread holds it."""
    monkeypatch.setattr(kill, "STATE_SECONDS", 0.2)
    life, supervisor = waiting(), threading.Lock()

    def state() -> str:
        with supervisor:
            return "failed"

    life.state = state
    begun = time.monotonic()
    with terminated(life, is_watched(box)), supervisor, pytest.raises(WaitTimedOut):
        life.execute()
    assert time.monotonic() - begun < 5
    wait_until(lambda: is_cancelled(box))


def test_the_cancel_has_a_connection_of_its_own(box: Running) -> None:
    """The usual one may be in the hands of what was interrupted; here it is idle, and is left alone all the same."""
    life = waiting(poll_interval=0.2, timeout=0.6)
    life.state = lambda: "failed"
    begun = time.time()
    with terminated(life, lambda: is_watched(box)() and time.time() - begun > 0.15), pytest.raises(RemoteTaskFailed):
        life.execute()
    [ours] = box.sandbox.tasks(time.time())  # a cancel of an earlier test may come late
    [cancel] = [one["client"] for one in box.sandbox.log() if one["path"].endswith(f"/{ours['ref']}/status")]
    assert cancel not in [one["client"] for one in box.sandbox.log() if one["method"] == "GET"]


def test_a_remote_without_cancel_goes_on_and_the_log_says_so(box: Running, capsys: pytest.CaptureFixture[str]) -> None:
    life = Life(Acquia, path="a/b", deferrable=False, poll_interval=0.1, adaptive=False, timeout=LIMIT_SECONDS)
    life.arguments["on_timeout"] = "leave"
    life.state = lambda: "failed"
    ends_while_waiting(life, box)
    assert "acquia has no way to cancel it" in capsys.readouterr().out


def test_a_kill_before_the_ref_is_known_cancels_what_the_reply_then_names(box: Running) -> None:
    box.sandbox.add_fault("latency", method="POST", path="/executions$", seconds=0.5)
    life = waiting()
    life.state = lambda: "failed"
    with terminated(life, lambda: box.sandbox.tasks(time.time())), pytest.raises(AirflowFailException, match="a user"):
        life.execute()
    assert is_cancelled(box)


def test_a_kill_before_the_ref_is_known_is_kept_where_the_remote_does_not_take_the_cancel(
    box: Running, inbox: SqlInbox
) -> None:
    box.sandbox.add_fault("latency", method="POST", path="/executions$", seconds=0.5)
    box.sandbox.add_fault("server_error", method="POST", path="/status$")
    life = waiting()
    life.state = lambda: "failed"
    with terminated(life, lambda: box.sandbox.tasks(time.time())), pytest.raises(AirflowFailException, match="a user"):
        life.execute()
    [task] = box.sandbox.tasks(time.time())
    assert [cancel.ref for cancel in kept(inbox)] == [task["ref"]]


def test_an_eviction_before_the_ref_is_known_changes_nothing(box: Running) -> None:
    box.sandbox.add_fault("latency", method="POST", path="/executions$", seconds=0.5)
    life = waiting()
    with terminated(life, lambda: box.sandbox.tasks(time.time())), pytest.raises(WaitTimedOut):
        life.execute()
    assert not is_cancelled(box)


def test_a_kill_while_an_earlier_start_is_looked_for_starts_nothing(box: Running) -> None:
    box.sandbox.add_fault("lost_request", method="POST", times=1)
    life = waiting()
    with pytest.raises(Exception, match="lost"):
        life.execute()
    life.kind = type("Patient", (Automic,), {"look_up_seconds": 0.5})
    life.state = lambda: "failed"
    seen = len(box.sandbox.log())
    with terminated(life, lambda: len(box.sandbox.log()) > seen), pytest.raises(AirflowFailException, match="a user"):
        life.retry()
    assert box.sandbox.tasks(time.time()) == []


class KilledAtImport(Automic):
    """A task that a signal reaches while its hook is imported."""

    @cached_property
    def hook(self) -> Any:
        self.on_kill()
        return super().hook


def test_a_kill_while_the_hook_is_imported_starts_nothing(box: Running) -> None:
    life = waiting()
    life.kind, life.state = KilledAtImport, lambda: "failed"
    with pytest.raises(AirflowFailException, match="a user"):
        life.execute()
    assert box.sandbox.tasks(time.time()) == []


def test_a_kill_of_a_task_that_has_not_begun_does_nothing(box: Running) -> None:
    waiting().make().on_kill()
    assert box.sandbox.log() == []


def test_a_kill_after_the_wait_does_nothing(box: Running) -> None:
    life = waiting(deferrable=True)
    ref = life.defer().trigger.ref
    life.state = lambda: "failed"
    life.resume(event_of(Ending.SUCCEEDED, ref))
    life.task.on_kill()
    assert not is_cancelled(box)


def test_work_that_fails_or_takes_too_long_gives_none() -> None:
    assert within(1, lambda: 5) == 5
    assert within(1, lambda: 1 / 0) is None
    assert within(0.01, lambda: time.sleep(0.1)) is None
