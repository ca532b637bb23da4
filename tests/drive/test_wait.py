"""A wait over the blocking driver, against the sandbox, with a clock of the test."""

from __future__ import annotations

import json
from collections.abc import Iterator

import pytest

from airflow_provider_taskwatch.core.connection import RawConnection, read_connection
from airflow_provider_taskwatch.core.error import RemoteError, TaskWatchError, TransportError
from airflow_provider_taskwatch.core.outcome import Ending, Outcome
from airflow_provider_taskwatch.core.phase import Observation, Phase
from airflow_provider_taskwatch.core.plan import Plan
from airflow_provider_taskwatch.drive.blocking import BlockingDriver, wait
from airflow_provider_taskwatch.sandbox.server import Running
from airflow_provider_taskwatch.systems.automic import system as automic
from airflow_provider_taskwatch.systems.automic.form import FORM


class Waiter:
    """Waits for executions of the sandbox; its time passes only while it sleeps."""

    def __init__(self, box: Running) -> None:
        content = box.connections()["automic_default"]
        kept = {name: content[name] for name in ("conn_type", "host", "login", "password")}
        raw = RawConnection(conn_id="automic_default", extra=json.dumps(content["extra"]), **kept)
        self.settings = read_connection(FORM, raw)
        self.system = automic.from_settings(self.settings)
        self.driver = BlockingDriver(self.settings)
        self.reported: list[Observation | TaskWatchError] = []
        self.now = 0.0

    def start(self) -> str:
        started = self.driver.run(automic.Automic(client="100").start({"object_name": "JOBS.X"}))
        return str(started.ref)

    def wait(self, ref: str, ends_at: float | None = None) -> Outcome:
        plan = Plan(ref=ref, ends_at=ends_at)
        return wait(
            self.driver,
            self.system,
            plan,
            report=lambda content, _: self.reported.append(content),
            sleep=self.sleep,
            clock=lambda: 1000 + self.now,
        )

    def sleep(self, seconds: float) -> None:
        self.now += seconds


@pytest.fixture
def waiter(box: Running) -> Iterator[Waiter]:
    one = Waiter(box)
    yield one
    one.driver.close()


def test_a_wait_ends_with_its_task(box: Running, waiter: Waiter) -> None:
    box.sandbox.add_rule(duration=0)
    ref = waiter.start()
    outcome = waiter.wait(ref)
    assert (outcome.ending, outcome.result["run_id"]) == (Ending.SUCCEEDED, int(ref))
    assert [one.phase for one in waiter.reported if isinstance(one, Observation)] == [Phase.SUCCEEDED]


def test_a_wait_outlives_failures_and_reports_them(box: Running, waiter: Waiter) -> None:
    box.sandbox.add_rule(duration=0)
    ref = waiter.start()
    box.sandbox.add_fault("server_error", times=2)
    box.sandbox.add_fault("lost_reply", times=1)
    assert waiter.wait(ref).ending is Ending.SUCCEEDED
    assert [type(one) for one in waiter.reported] == [RemoteError, RemoteError, TransportError, Observation]
    assert waiter.now > 3


def test_a_failure_comes_with_the_message_of_the_remote(box: Running, waiter: Waiter) -> None:
    box.sandbox.add_rule(duration=0, outcome="failure", message="disk full")
    outcome = waiter.wait(waiter.start())
    assert (outcome.ending, "disk full" in outcome.message) == (Ending.FAILED, True)


def test_a_failure_without_a_message_is_still_a_failure(box: Running, waiter: Waiter) -> None:
    box.sandbox.add_rule(duration=0, outcome="failure")
    ref = waiter.start()
    box.sandbox.add_fault("lost_reply", path="/(children|reports)")
    assert waiter.wait(ref).ending is Ending.FAILED


def test_a_wait_ends_at_its_deadline(box: Running, waiter: Waiter) -> None:
    box.sandbox.add_rule(outcome="stuck")
    outcome = waiter.wait(waiter.start(), ends_at=60)
    assert (outcome.ending, "60 s after its start" in outcome.message) == (Ending.TIMED_OUT, True)
    assert 30 < waiter.now <= 60


def test_a_refusal_ends_a_wait_at_once(box: Running, waiter: Waiter) -> None:
    box.sandbox.add_rule(outcome="stuck")
    ref = waiter.start()
    box.sandbox.add_fault("unauthorized")
    assert waiter.wait(ref).ending is Ending.REFUSED
