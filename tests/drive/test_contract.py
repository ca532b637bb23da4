"""One contract for both drivers: the same bytes come to the same reply, or to the same error."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from email.utils import formatdate

import pytest

from airflow_provider_taskwatch.core.error import RemoteError, ReplyError, TransportError
from airflow_provider_taskwatch.core.flow import Retry, ask, one_step
from airflow_provider_taskwatch.core.wire import Call, Reply, get, send
from tests.drive.conftest import Connect, Waiting
from tests.drive.contract import INTERIM, JSON, PLAIN, ROWS, Row
from tests.drive.settings import settings_for
from tests.drive.station import Request, Station
from tests.until import wait_until

ROOMY = {"connect_timeout": 5.0, "read_timeout": 5.0}
SECOND = b"HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nthe second"


def script(remote: Station, *answers: bytes, is_patient: bool = True) -> None:
    """One answer after the other; the last one again and again."""
    waiting = list(answers)
    remote.is_patient = is_patient
    remote.answer = lambda request: (waiting.pop(0) if len(waiting) > 1 else waiting[0],)


@pytest.mark.parametrize("row", ROWS.values(), ids=ROWS)
def test_a_reply_is_one_or_none_for_both_drivers(remote: Station, connect: Connect, row: Row) -> None:
    script(remote, row.sent, SECOND, is_patient=not row.is_closed)
    client = connect(settings_for(remote, **ROOMY))
    call = one_step(Call(method=row.method, path="/first"))
    if row.flaw is None:
        first: Reply = client.run(call)
        assert (first.status, first.body) == (row.status, row.body)
        assert set(row.headers) <= set(first.headers.items())
    else:
        with pytest.raises(TransportError, match=row.flaw.value.replace("(", r"\(").replace(")", r"\)")) as caught:
            client.run(call)
        assert (caught.value.sent, caught.value.transient) == (True, True)
    if isinstance(client, Waiting):
        client.forget()
    second = client.run(one_step(get("/second")))
    assert (second.status, second.body) == (200, b"the second")
    assert (len(remote.requests), remote.connections) == (2, 1 if row.is_reused else 2)


@pytest.mark.parametrize("late", [PLAIN, b"\r\n", b"HTTP/1.1 103 x\r\n\r\n"], ids=["a reply", "a line", "103"])
def test_late_bytes_are_not_the_reply_to_the_next_request(remote: Station, connect: Connect, late: bytes) -> None:
    may_go_on, is_sent = threading.Event(), threading.Event()

    def answer(request: Request) -> Iterator[bytes]:
        yield SECOND if request.target == "/second" else PLAIN
        if request.target == "/first":
            may_go_on.wait(10)
            yield late
            is_sent.set()

    remote.answer, remote.is_patient = answer, True
    client = connect(settings_for(remote, **ROOMY))
    client.run(ask(get("/first")))
    may_go_on.set()
    assert is_sent.wait(10)
    assert client.run(ask(get("/second"))).body == b"the second"
    assert remote.connections == 2


def test_an_interim_reply_that_arrives_alone_is_skipped(remote: Station, connect: Connect) -> None:
    def answer(request: Request) -> Iterator[bytes]:
        yield b"HTTP/1.1 103 Early Hints\r\n\r\n"
        remote.stopping.wait(0.2)
        yield PLAIN if request.target == "/first" else SECOND

    remote.answer, remote.is_patient = answer, True
    client = connect(settings_for(remote, **ROOMY))
    assert [client.run(ask(get(path))).body for path in ("/first", "/second")] == [JSON, b"the second"]
    assert remote.connections == 1


def test_a_connection_that_was_closed_meanwhile_is_not_used_for_a_start(remote: Station, connect: Connect) -> None:
    remote.say(200, "first", Connection="keep-alive")  # and it closes all the same
    client = connect(settings_for(remote, **ROOMY))
    client.run(ask(get("/first")))
    wait_until(lambda: remote.closed == 1)
    remote.say(202, "started")
    assert client.run(ask(send("POST", "/start", {}))).status == 202


@pytest.mark.parametrize("method", ["GET", "POST"])
def test_a_kept_connection_that_ends_without_a_reply_may_have_done_it(
    remote: Station, connect: Connect, method: str
) -> None:
    script(remote, PLAIN)
    client = connect(settings_for(remote, **ROOMY))
    client.run(ask(get("/first")))

    def answer(request: Request) -> Iterator[bytes]:
        remote.is_patient = False
        yield b""

    remote.answer = answer
    with pytest.raises(TransportError, match="it was closed without a reply") as caught:
        client.run(one_step(Call(method=method, path="/second", body=b"{}")))
    assert (caught.value.sent, len(remote.requests), remote.connections) == (True, 2, 1)


def test_a_reply_before_the_request_was_read_is_the_reply(remote: Station, connect: Connect) -> None:
    remote.say(413, "too much")
    reply = connect(settings_for(remote, **ROOMY)).run(one_step(Call(method="POST", path="/", body=bytes(200_000))))
    assert (reply.status, reply.body) == (413, b"too much")


@pytest.mark.parametrize("name", ["100", "102", "103", "one of each"])
def test_a_start_behind_interim_replies_is_sent_once(remote: Station, connect: Connect, name: str) -> None:
    script(remote, INTERIM[name].sent)
    client = connect(settings_for(remote, **ROOMY))
    assert client.run(ask(send("POST", "/start", {}), retry=Retry(first_seconds=0.01))).status == 200
    assert len(remote.requests) == 1


def test_more_than_8_mb_of_anything_is_named(remote: Station, connect: Connect) -> None:
    remote.say(500, bytes(8 * 1024 * 1024 + 1))
    with pytest.raises(ReplyError, match=r"^the reply to GET /x \(500\) is longer than 8 MB; it is not read further$"):
        connect(settings_for(remote, **ROOMY)).run(ask(get("/x")))


@pytest.mark.parametrize("date", [{}, {"Date": "soon"}], ids=["no date", "an odd one"])
def test_a_reply_is_stamped_so_that_a_date_to_wait_for_can_be_read(
    remote: Station, connect: Connect, date: dict[str, str]
) -> None:
    remote.say(503, "busy", Retry_After=formatdate(time.time() + 1800, usegmt=True), **date)
    with pytest.raises(RemoteError) as caught:
        connect(settings_for(remote, **ROOMY)).run(ask(get("/x")))
    assert caught.value.retry_after == pytest.approx(1800, abs=60)


def test_the_clock_of_the_remote_counts_where_it_sends_it(remote: Station, connect: Connect) -> None:
    there = time.time() - 86400
    dates = {"Date": formatdate(there, usegmt=True), "Retry_After": formatdate(there + 90, usegmt=True)}
    remote.say(503, "busy", **dates)
    with pytest.raises(RemoteError) as caught:
        connect(settings_for(remote, **ROOMY)).run(ask(get("/x")))
    assert caught.value.retry_after == 90.0
