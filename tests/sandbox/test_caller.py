"""Callbacks that arrive at a real receiver, or do not."""

from __future__ import annotations

import asyncio
import json
import socket
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from airflow_provider_taskwatch.sandbox.caller import calling
from airflow_provider_taskwatch.sandbox.sandbox import Sandbox
from airflow_provider_taskwatch.sandbox.server import running
from demo.certificate import write_certificate
from tests.drive.station import Request, Station, http, station
from tests.sandbox.visitor import Visitor
from tests.until import until

FAST = {"callback_speed": 3000.0}
"""Half a minute in ten milliseconds."""


@pytest.fixture
def receiver() -> Iterator[Station]:
    with station() as one:
        yield one


def start(automic: Visitor, url: str, **headers: str) -> int:
    """Start an execution that ends at once."""
    automic.sandbox.add_rule(duration=0)
    automic.now = time.time()
    callback = {"type": "http", "http": {"url": url, "headers": headers}}
    reply: Any = automic.post("/100/executions", {"object_name": "JOBS.LOAD", "callback": callback}).json()
    return int(reply["run_id"])


def made(automic: Visitor) -> list[dict[str, Any]]:
    """The callbacks in the log."""
    return [one for one in automic.sandbox.log() if one["endpoint"] == "callback"]


def entry_status(automic: Visitor) -> int:
    automic.now = time.time()
    [entry] = automic.read("/100/executions", {"type": "CBCK"})["data"]
    return int(entry["status"])


async def test_a_callback_arrives_with_the_headers_of_the_start(automic: Visitor, receiver: Station) -> None:
    async with calling(automic.sandbox, time.time):
        run_id = start(automic, f"{receiver.url}/hook/a%2Fb?token=x", Authorization="Bearer s3cret", X_Team="7")
        await until(lambda: len(made(automic)) == 1)
    [request] = receiver.requests
    assert (request.method, request.target) == ("POST", "/hook/a%2Fb?token=x")
    assert (request.headers["authorization"], request.headers["x_team"]) == ("Bearer s3cret", "7")
    assert (request.headers["content-type"], request.headers["host"]) == ("application/json", receiver.url[7:])
    assert json.loads(request.body)["runid"] == f"{run_id:010}"
    assert (made(automic)[0]["status"], entry_status(automic)) == (200, 1900)


async def test_a_header_of_the_start_replaces_the_default_header(automic: Visitor, receiver: Station) -> None:
    async with calling(automic.sandbox, time.time):
        start(automic, receiver.url, **{"content-type": "text/x-own"})
        await until(lambda: len(made(automic)) == 1)
    [request] = receiver.requests
    assert (request.target, request.headers["content-type"]) == ("/", "text/x-own")


async def test_a_callback_is_sent_after_the_end_of_its_execution(automic: Visitor, receiver: Station) -> None:
    automic.sandbox.add_rule("JOBS.LONG", outcome="stuck")
    automic.now = time.time()
    async with calling(automic.sandbox, time.time):
        callback = {"type": "http", "http": {"url": receiver.url}}
        automic.post("/100/executions", {"object_name": "JOBS.LONG", "callback": callback})
        start(automic, receiver.url)
        await until(lambda: len(made(automic)) == 1)
        automic.sandbox.end("1000001", "failure", time.time())
        await until(lambda: len(made(automic)) == 2)
    bodies = [json.loads(request.body) for request in receiver.requests]
    assert [(one["runid"], one["execution_status"]) for one in bodies] == [
        ("0001000002", "1900"),
        ("0001000001", "1800"),
    ]


async def test_a_failed_attempt_is_retried(automic: Visitor, receiver: Station) -> None:
    answers = iter((http(503), http(302, Location="/other"), http(204)))
    receiver.answer = lambda request: (next(answers),)
    automic.sandbox.change({"automic": FAST}, time.time())
    async with calling(automic.sandbox, time.time):
        start(automic, receiver.url)
        await until(lambda: len(made(automic)) == 3)
    assert [(one["attempt"], one["status"]) for one in made(automic)] == [(1, 503), (2, 302), (3, 204)]
    assert len({(request.target, request.body) for request in receiver.requests}) == 1
    assert entry_status(automic) == 1900


async def test_the_engine_gives_up_when_no_receiver_listens(automic: Visitor) -> None:
    automic.sandbox.change({"automic": FAST}, time.time())
    with socket.create_server(("127.0.0.1", 0)) as closed:
        port = closed.getsockname()[1]
    async with calling(automic.sandbox, time.time):
        start(automic, f"http://127.0.0.1:{port}/hook")
        await until(lambda: len(made(automic)) == 4)
    assert {(one["status"], one["error"].partition(":")[0]) for one in made(automic)} == {
        (None, "ConnectionRefusedError")
    }
    assert entry_status(automic) == 1800


@pytest.mark.parametrize(
    "url, error",
    [
        ("http://127.0.0.1:99999/", "ValueError"),
        ("http://127.0.0.1:9/a b", "LocalProtocolError"),
    ],
)
async def test_an_address_that_cannot_be_called_is_a_failed_attempt(
    automic: Visitor, receiver: Station, url: str, error: str
) -> None:
    automic.sandbox.change({"automic": {"callback_attempts": 1}}, time.time())
    async with calling(automic.sandbox, time.time):
        start(automic, url.replace("127.0.0.1:9/", f"{receiver.url[7:]}/"))
        await until(lambda: len(made(automic)) == 1)
    assert made(automic)[0]["error"].startswith(error)


async def test_a_connection_that_the_receiver_closes_is_a_failed_attempt(automic: Visitor, receiver: Station) -> None:
    receiver.hang_up()
    async with calling(automic.sandbox, time.time):
        start(automic, receiver.url)
        await until(lambda: len(made(automic)) == 1)
    assert (made(automic)[0]["status"], made(automic)[0]["error"].partition(":")[0]) == (None, "RemoteProtocolError")


async def test_a_receiver_that_never_answers_is_a_failed_attempt(automic: Visitor, receiver: Station) -> None:
    receiver.trickle(b"HTTP/1.1 200 X\r\nContent-Length: 100000\r\n\r\n")
    automic.sandbox.change({"automic": {"callback_timeout": 0.1}}, time.time())
    async with calling(automic.sandbox, time.time):
        start(automic, receiver.url)
        await until(lambda: len(made(automic)) == 1)
    assert (made(automic)[0]["status"], made(automic)[0]["error"].partition(":")[0]) == (None, "TimeoutError")


async def test_a_slow_receiver_delays_no_other_callback_and_no_task_is_left_after_a_stop(
    automic: Visitor, receiver: Station
) -> None:
    def answer(request: Request) -> Iterator[bytes]:
        if request.target == "/slow":
            receiver.stopping.wait(10)
        yield http(200)

    receiver.answer = answer
    async with calling(automic.sandbox, time.time):
        start(automic, f"{receiver.url}/slow")
        await until(lambda: len(receiver.requests) == 1)
        start(automic, f"{receiver.url}/quick")
        await until(lambda: len(made(automic)) == 1)
    assert asyncio.all_tasks() == {asyncio.current_task()}
    assert [one["path"] for one in made(automic)] == ["/quick"]


async def test_a_self_signed_certificate_is_accepted_if_so_configured(automic: Visitor, tmp_path: Path) -> None:
    bundle = write_certificate(tmp_path / "own.pem", "127.0.0.1")
    with station(bundle) as secure:
        async with calling(automic.sandbox, time.time):
            start(automic, secure.url)
            await until(lambda: len(made(automic)) == 1)
            automic.sandbox.change({"automic": {"callback_ca_bundle": str(bundle)}}, time.time())
            start(automic, secure.url)
            await until(lambda: len(made(automic)) == 2)
    refused, trusted = made(automic)
    assert (refused["status"], refused["error"].partition(":")[0]) == (None, "SSLCertVerificationError")
    assert (trusted["status"], len(secure.requests)) == (200, 1)


async def test_a_served_sandbox_calls_back(receiver: Station, automic: Visitor) -> None:
    with running(automic.sandbox):
        automic.sandbox.add_fault("callback_duplicate")
        start(automic, receiver.url)
        await until(lambda: len(made(automic)) == 2)
    assert len(receiver.requests) == 2
    assert receiver.requests[0].body == receiver.requests[1].body


async def test_a_sandbox_stops_while_a_callback_hangs(receiver: Station, automic: Visitor, sandbox: Sandbox) -> None:
    def answer(request: Request) -> Iterator[bytes]:
        receiver.stopping.wait(10)
        yield http(200)

    receiver.answer = answer
    with running(sandbox):
        start(automic, receiver.url)
        await until(lambda: len(receiver.requests) == 1)
    assert made(automic) == []
