"""A worker's driver does not ask a remote that has answered 429 before Retry-After has passed."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import pytest

from airflow_provider_taskwatch.core.error import RemoteError
from airflow_provider_taskwatch.core.flow import Retry, ask
from airflow_provider_taskwatch.core.wire import get, send
from airflow_provider_taskwatch.drive.blocking import BlockingDriver
from tests.drive.settings import settings_for
from tests.drive.station import Station


class Worker:
    """A driver whose time passes only while it sleeps."""

    def __init__(self, remote: Station) -> None:
        self.now = 0.0
        self.driver = BlockingDriver(settings_for(remote), sleep=self.sleep, clock=lambda: self.now)

    def sleep(self, seconds: float) -> None:
        self.now += seconds

    def is_refused(self) -> float | None:
        with pytest.raises(RemoteError, match="429") as caught:
            self.driver.run(ask(get("/tasks")))
        return caught.value.retry_after


@pytest.fixture
def worker(remote: Station) -> Worker:
    remote.say(429, {"message": "slow down"}, Retry_After="30")
    return Worker(remote)


def test_whoever_asks_again_hears_the_refusal_and_the_rest_of_its_time(worker: Worker, remote: Station) -> None:
    assert worker.is_refused() == 30.0
    worker.now += 12.0
    assert worker.is_refused() == 18.0
    assert len(remote.requests) == 1


def test_the_remote_is_asked_when_the_time_has_passed(worker: Worker, remote: Station) -> None:
    worker.is_refused()
    worker.now += 30.0
    remote.say(200, {})
    assert worker.driver.run(ask(get("/tasks"))).status == 200


def test_a_start_waits_until_the_time_has_passed_and_is_sent_then(worker: Worker, remote: Station) -> None:
    worker.is_refused()
    remote.say(200, {"run_id": 1})
    assert worker.driver.run(ask(send("POST", "/tasks", {}), retry=Retry())).status == 200
    assert worker.now >= 30.0
    assert [seen.method for seen in remote.requests] == ["GET", "POST"]


@pytest.mark.parametrize(
    "say", [lambda remote: remote.say(503, {}, Retry_After="30"), lambda remote: remote.say(429, {})]
)
def test_other_refusals_hold_nobody_back(remote: Station, say: Callable[[Station], None]) -> None:
    say(remote)
    worker = Worker(remote)
    for _ in range(2):
        with pytest.raises(RemoteError):
            worker.driver.run(ask(get("/tasks")))
    assert len(remote.requests) == 2


def test_what_was_said_of_one_limit_holds_nothing_else_back(worker: Worker, remote: Station) -> None:
    release = replace(send("POST", "/release"), quota="release")
    with pytest.raises(RemoteError):
        worker.driver.run(ask(release))
    remote.say(200, {})
    assert worker.driver.run(ask(get("/tasks"))).status == 200
    with pytest.raises(RemoteError):
        worker.driver.run(ask(release))
    assert [seen.method for seen in remote.requests] == ["POST", "GET"]


def test_what_was_said_of_the_connection_holds_every_limit_back(worker: Worker, remote: Station) -> None:
    worker.is_refused()
    with pytest.raises(RemoteError, match="429"):
        worker.driver.run(ask(replace(get("/release"), quota="release")))
    assert len(remote.requests) == 1
