"""A worker's driver does not ask a remote that has answered 429 before Retry-After has passed."""

from __future__ import annotations

import re
import socket
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import NoReturn

import pytest

from airflow_provider_taskwatch.core.error import RemoteError, TaskWatchError, TransportError
from airflow_provider_taskwatch.core.flow import PATIENT, Retry, ask
from airflow_provider_taskwatch.core.settings import Settings
from airflow_provider_taskwatch.core.wire import get, send
from airflow_provider_taskwatch.drive.blocking import BlockingDriver
from demo.certificate import write_certificate
from tests.drive.conftest import Connect
from tests.drive.settings import oauth2_settings, settings_for
from tests.drive.station import Station, station


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


def test_a_repeated_call_gets_the_refusal_and_the_rest_of_its_time(worker: Worker, remote: Station) -> None:
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
def test_other_refusals_delay_no_call(remote: Station, say: Callable[[Station], None]) -> None:
    say(remote)
    worker = Worker(remote)
    for _ in range(2):
        with pytest.raises(RemoteError):
            worker.driver.run(ask(get("/tasks")))
    assert len(remote.requests) == 2


def test_a_429_of_one_quota_delays_no_other_quota(worker: Worker, remote: Station) -> None:
    release = replace(send("POST", "/release"), quota="release")
    with pytest.raises(RemoteError):
        worker.driver.run(ask(release))
    remote.say(200, {})
    assert worker.driver.run(ask(get("/tasks"))).status == 200
    with pytest.raises(RemoteError):
        worker.driver.run(ask(release))
    assert [seen.method for seen in remote.requests] == ["POST", "GET"]


def test_a_429_without_a_quota_delays_every_quota(worker: Worker, remote: Station) -> None:
    worker.is_refused()
    with pytest.raises(RemoteError, match="429"):
        worker.driver.run(ask(replace(get("/release"), quota="release")))
    assert len(remote.requests) == 1


# --- errors that last, and what is logged at once


@dataclass
class Starter:
    """A worker without time and with a log."""

    settings: Settings
    lines: list[str] = field(default_factory=list)
    slept: list[float] = field(default_factory=list)

    def start(self) -> TaskWatchError:
        driver = BlockingDriver(self.settings, sleep=self.slept.append, warn=self.lines.append)
        with pytest.raises(TaskWatchError) as caught:
            driver.run(ask(send("POST", "/jobs", {}), retry=PATIENT))
        return caught.value


@pytest.fixture
def unknown_name(monkeypatch: pytest.MonkeyPatch) -> Callable[[int], None]:
    """Answers of a name server, as there may be none where these tests run."""

    def answer(number: int) -> None:
        def getaddrinfo(*_: object, **__: object) -> NoReturn:
            raise socket.gaierror(number, "no address")

        monkeypatch.setattr(socket, "getaddrinfo", getaddrinfo)

    return answer


@pytest.mark.parametrize("kind", ["api", "token"])
def test_a_name_that_does_not_exist_ends_a_start_in_seconds(unknown_name: Callable[[int], None], kind: str) -> None:
    unknown_name(socket.EAI_NONAME)
    make = settings_for if kind == "api" else oauth2_settings
    starter = Starter(make("https://no.such.example"))
    error = starter.start()
    assert (error.is_lasting, len(starter.slept), sum(starter.slept) < 10) == (True, 2, True)
    assert str(error).endswith("waiting does not cure it; 'patience' of the connection limits the retries")
    message = (
        r"^POST /jobs: .*the host name of .*no.such.example.* cannot be resolved; trying again in 2 s, and for 6 s more"
    )
    assert re.search(message, starter.lines[0])


def test_a_failed_name_server_is_asked_again(unknown_name: Callable[[int], None]) -> None:
    unknown_name(socket.EAI_AGAIN)
    starter = Starter(settings_for("https://slow.example"))
    assert (starter.start().is_lasting, len(starter.slept), len(starter.lines)) == (False, 8, 8)


def test_the_patience_of_a_connection_is_respected(unknown_name: Callable[[int], None]) -> None:
    unknown_name(socket.EAI_NONAME)
    starter = Starter(settings_for("https://later.example", patience=600.0))
    starter.start()
    assert len(starter.slept) == 8


def test_a_refused_port_may_be_a_restart_and_is_logged_at_once() -> None:
    starter = Starter(settings_for("http://127.0.0.1:1"))
    assert (starter.start().is_lasting, len(starter.slept)) == (False, 8)
    assert re.match(
        r"POST /jobs: http://127.0.0.1:1 refuses connections; trying again in 2 s, and for 1\d\d s", starter.lines[0]
    )


def test_a_host_that_speaks_no_tls_ends_a_start_in_seconds(remote: Station) -> None:
    starter = Starter(settings_for(remote.url.replace("http:", "https:")))
    error = starter.start()
    assert (error.is_lasting, len(starter.slept), remote.requests) == (True, 2, [])
    assert "the server there does not speak TLS: check scheme and port" in str(error)


def test_both_drivers_recognize_lasting_errors(
    connect: Connect, unknown_name: Callable[[int], None], remote: Station
) -> None:
    with pytest.raises(TransportError) as no_tls:
        connect(settings_for(remote.url.replace("http:", "https:"), patience=7.0)).run(ask(get("/x")))
    unknown_name(socket.EAI_NONAME)
    with pytest.raises(TransportError, match="cannot be resolved") as unknown:
        connect(settings_for("https://no.such.example", patience=7.0)).run(ask(get("/x")))
    unknown_name(socket.EAI_AGAIN)
    with pytest.raises(TransportError, match="cannot be resolved") as busy:
        connect(settings_for("https://other.example", patience=7.0)).run(ask(get("/x")))
    found = [(one.value.is_lasting, one.value.patience) for one in (no_tls, unknown, busy)]
    assert found == [(True, 7.0), (True, 7.0), (False, None)]


def test_an_untrusted_certificate_is_a_lasting_error(connect: Connect, tmp_path: Path) -> None:
    with station(write_certificate(tmp_path / "ours.pem", "127.0.0.1")) as secure:
        with pytest.raises(TransportError, match="is not trusted") as caught:
            connect(settings_for(secure)).run(ask(get("/x")))
        assert (caught.value.is_lasting, caught.value.sent) == (True, False)


def test_both_drivers_log_failures(connect: Connect, caplog: pytest.LogCaptureFixture) -> None:
    with pytest.raises(TransportError):
        connect(settings_for("http://127.0.0.1:1")).run(ask(get("/x"), retry=Retry(attempts=2, first_seconds=0.01)))
    (line,) = [one for one in caplog.records if "refuses connections; trying again" in one.getMessage()]
    assert line.levelname == "WARNING"
