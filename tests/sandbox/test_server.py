"""Behaviour that only a real socket shows."""

from __future__ import annotations

import errno
import signal
import socket
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import requests
from starlette.testclient import TestClient

from airflow_provider_taskwatch.core.error import cannot_listen
from airflow_provider_taskwatch.sandbox.app import create_app
from airflow_provider_taskwatch.sandbox.sandbox import Sandbox
from airflow_provider_taskwatch.sandbox.server import Running, _listen, running
from airflow_provider_taskwatch.sandbox.state import load
from tests.rows import each_row


@pytest.fixture(scope="module")
def server() -> Iterator[Running]:
    with running() as one:
        yield one


@pytest.fixture
def box(server: Running) -> Running:
    server.sandbox.reset()
    return server


@pytest.fixture
def session(box: Running) -> Iterator[requests.Session]:
    """A client of Acquia with a token."""
    connection = box.connections()["acquia_default"]
    fields = {
        "grant_type": "client_credentials",
        "client_id": connection["login"],
        "client_secret": connection["password"],
    }
    with requests.Session() as one:
        token = one.post(connection["extra"]["token_url"], data=fields, timeout=5).json()
        one.headers["Authorization"] = f"Bearer {token['access_token']}"
        yield one


def test_a_task_goes_from_start_to_end_over_http(box: Running, session: requests.Session) -> None:
    box.sandbox.add_rule(duration=0)
    api = box.connections()["acquia_default"]["host"]
    started = session.post(f"{api}/environments/1-a/databases/d%2Fb/backups", json={}, timeout=5)
    seen = session.get(started.json()["_links"]["notification"]["href"], timeout=5)
    assert (started.status_code, seen.json()["status"]) == (202, "completed")
    assert seen.headers["server"] == "taskwatch-sandbox"
    assert box.sandbox.log()[1]["path"] == "/api/environments/1-a/databases/d%2Fb/backups"


def test_automic_accepts_the_credentials_of_its_connection(box: Running) -> None:
    connection = box.connections()["automic_default"]
    auth = (connection["login"], connection["password"])
    reply = requests.post(f"{connection['host']}/100/executions", json={"object_name": "JOBS.A"}, auth=auth, timeout=5)
    assert reply.json()["run_id"] >= 1000001
    listed = requests.get(f"{connection['host']}/100/executions", params={"type": ["JOBS"]}, auth=auth, timeout=5)
    assert listed.json()["total"] == 1


def test_a_lost_reply_is_a_closed_connection(box: Running, session: requests.Session) -> None:
    box.sandbox.add_fault("lost_reply", times=1)
    url = f"{box.connections()['acquia_default']['host']}/x"
    with pytest.raises(requests.ConnectionError, match="closed connection without response"):
        session.post(url, json={}, timeout=5)
    assert box.sandbox.counts()["started"]["acquia"] == 1
    assert session.post(url, json={}, timeout=5).status_code == 202


def test_a_slow_reply_is_late_and_its_request_is_logged_at_once(box: Running, session: requests.Session) -> None:
    box.sandbox.add_fault("latency", seconds=0.2)
    url = f"{box.connections()['acquia_default']['host']}/account"
    with pytest.raises(requests.ReadTimeout):
        session.get(url, timeout=0.05)
    assert box.sandbox.log()[-1]["fault"] == "latency"
    reply = session.get(url, timeout=5)
    assert (reply.status_code, reply.elapsed.total_seconds() >= 0.2) == (200, True)


def test_the_log_distinguishes_connections(box: Running, session: requests.Session) -> None:
    url = f"{box.connections()['acquia_default']['host']}/account"
    session.get(url, timeout=5)
    session.get(url, timeout=5)
    requests.get(url, timeout=5)
    clients = [entry["client"] for entry in box.sandbox.log()[1:]]
    assert clients[0] == clients[1] != clients[2]


def test_the_parts_of_a_reply_do_not_wait_for_each_other() -> None:
    with _listen("127.0.0.1", 0) as listener, socket.create_connection(listener.getsockname()):
        accepted, _ = listener.accept()
        with accepted:
            assert accepted.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY)


def test_the_control_api_is_served(box: Running) -> None:
    def post(path: str, content: object) -> Any:
        return requests.post(f"{box.url}/_control/{path}", json=content, timeout=5).json()

    assert requests.get(f"{box.url}/_control/health", timeout=5).json()["status"] == "ok"
    assert post("rules", {"match": "JOBS.*", "outcome": "failure"})["rules"][0]["outcome"] == "failure"
    assert requests.get(f"{box.url}/_control/connections", timeout=5).json() == box.connections()
    assert requests.get(f"{box.url}/elsewhere", timeout=5).status_code == 404


def test_the_server_stops_although_a_call_hangs() -> None:
    with running() as box:
        box.sandbox.add_fault("hang")
        errors: list[Exception] = []

        def hang() -> None:
            try:
                requests.get(f"{box.url}/automic/ae/api/v1/ping", timeout=20)
            except requests.RequestException as error:
                errors.append(error)

        client = threading.Thread(target=hang)
        client.start()
        while not box.sandbox.log():
            client.join(0.01)
    client.join(5)
    assert len(errors) == 1


def test_the_environment_is_ready_to_use(box: Running) -> None:
    expected = {f"AIRFLOW_CONN_{name.upper()}_DEFAULT" for name in box.sandbox.remotes}
    assert set(box.environment()) == expected | {"AIRFLOW_CONN_APS_OTHER"}


def test_the_command_shows_how_to_connect_and_ends_on_a_signal() -> None:
    command = [sys.executable, "-m", "airflow_provider_taskwatch.sandbox", "--port", "0"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        first = process.stdout.readline()
        url = first.split()[3].rstrip(":")
        health = requests.get(f"{url}/_control/health", timeout=5)
        process.send_signal(signal.SIGINT)
        rest = process.stdout.read()
    assert (health.status_code, process.returncode) == (200, 0)
    assert "an emulator" in first
    assert "airflow connections add automic_default" in rest


@pytest.mark.parametrize("sent", [signal.SIGTERM, signal.SIGINT])
def test_a_task_outlives_the_end_of_the_process(tmp_path: Path, sent: signal.Signals) -> None:
    state = tmp_path / "state"
    command = [sys.executable, "-m", "airflow_provider_taskwatch.sandbox", "--port", "0", "--state", str(state)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        url = process.stdout.readline().split()[3].rstrip(":")
        auth, body = ("100/AIRFLOW/AIRFLOW", "sandbox-secret"), {"object_name": "JOBS.A"}
        started = requests.post(f"{url}/automic/ae/api/v1/100/executions", json=body, auth=auth, timeout=20)
        process.send_signal(sent)
        process.stdout.read()
    assert process.returncode == 0
    assert [task["ref"] for task in load(state).tasks(0.0)] == [str(started.json()["run_id"])]


@pytest.mark.parametrize(
    "more, message",
    [
        (["--state", "/none/x/state"], "there is no directory /none/x; make it"),
        (["--host", "nohost.invalid"], "cannot listen on nohost.invalid: the name cannot be resolved"),
    ],
)
def test_the_command_prints_only_the_error_that_prevents_it_from_serving(more: list[str], message: str) -> None:
    command = [sys.executable, "-m", "airflow_provider_taskwatch.sandbox", "--port", "0", *more]
    ended = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
    assert (ended.stdout, ended.returncode > 0) == ("", True)
    assert message in ended.stderr
    assert "Traceback" not in ended.stderr


@each_row(
    "error, remedy",
    [
        (socket.gaierror(-2, "Name or service not known"), "--host"),
        (OSError(errno.EADDRNOTAVAIL, "Cannot assign requested address"), "--host"),
        (OSError(errno.EADDRINUSE, "Address already in use"), "--port"),
        (OSError(errno.EACCES, "Permission denied"), "--port"),
    ],
)
def test_the_error_for_an_unusable_address_names_the_option_to_change(error: OSError, remedy: str) -> None:
    assert cannot_listen("the sandbox", "box", 1, error).endswith(f"; choose another {remedy}")


def test_under_another_server_a_drop_is_an_error_of_the_app() -> None:
    sandbox = Sandbox()
    sandbox.add_fault("lost_reply")
    with TestClient(create_app(sandbox)) as client, pytest.raises(ConnectionAbortedError):
        client.get("/acquia/api/account")
