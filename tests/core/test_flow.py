from __future__ import annotations

from dataclasses import replace

import pytest

from airflow_provider_taskwatch.core import flow as flows
from airflow_provider_taskwatch.core.error import RemoteError, ReplyError, TokenError, TransportError
from airflow_provider_taskwatch.core.flow import Retry, ask, ask_json, nothing, one_step
from airflow_provider_taskwatch.core.wire import Pause, Reply, get, send
from tests.play import play, reply, result_of
from tests.rows import each_row

READ = get("/x", {"q": 1})
START = send("POST", "/x", {"a": 1})
PATIENT = Retry(attempts=3, first_seconds=2.0)
LOST = TransportError("reset by peer")
NEVER_LEFT = TransportError("connection refused", sent=False)
NOW = "Wed, 21 Oct 2026 07:00:00 GMT"


def pauses(steps):
    return [step.seconds for step in steps if isinstance(step, Pause)]


def test_a_good_reply_is_returned_as_it_is():
    steps, got = play(ask(READ), reply(204))
    assert (steps, got.status) == ([READ], 204)


@each_row("failure", [reply(500), reply(503), reply(429), reply(408), LOST, NEVER_LEFT])
def test_a_read_is_retried_after_a_transient_failure(failure):
    steps, got = play(ask(READ, retry=PATIENT), failure, failure, reply())
    assert got.is_ok
    assert steps == [READ, Pause(seconds=2.0, spread=0.2), READ, Pause(seconds=4.0, spread=0.2), READ]


def test_the_last_error_is_raised_after_the_last_attempt():
    with pytest.raises(RemoteError, match="GET /x answered 502: third"):
        play(ask(READ, retry=PATIENT), LOST, reply(503, "second"), reply(502, "third"))


@each_row("status", [300, 400, 401, 403, 404, 409, 422])
def test_a_refusal_is_not_retried(status):
    with pytest.raises(RemoteError) as caught:
        play(ask(READ, retry=PATIENT), reply(status, "no"))
    assert (caught.value.status, caught.value.transient) == (status, False)


def test_a_read_that_deletes_is_not_retried_after_a_lost_reply():
    with pytest.raises(TransportError):
        play(ask(replace(READ, is_consuming=True), retry=PATIENT), LOST)


@each_row("failure", [LOST, reply(500), reply(502), reply(503), reply(408)])
def test_a_start_that_may_have_arrived_is_not_retried(failure):
    with pytest.raises((TransportError, RemoteError)):
        play(ask(START, retry=PATIENT), failure)


@pytest.mark.parametrize("failure", [NEVER_LEFT, reply(429), TokenError("down", transient=True)])
def test_a_start_that_did_not_arrive_is_retried(failure):
    steps, _ = play(ask(START, retry=PATIENT), failure, reply(202))
    assert steps == [START, Pause(seconds=2.0, spread=0.2), START]


def test_a_start_is_retried_where_the_reply_proves_that_nothing_was_done():
    def did_nothing(answer):
        return answer.status == 503

    steps, _ = play(ask(START, retry=PATIENT, refused=did_nothing), reply(503), reply(202))
    assert len(steps) == 3
    with pytest.raises(RemoteError, match="502"):
        play(ask(START, retry=PATIENT, refused=did_nothing), reply(502))


def test_a_token_that_is_denied_ends_a_call_at_once():
    with pytest.raises(TokenError, match="wrong secret"):
        play(ask(READ, retry=PATIENT), TokenError("wrong secret", transient=False))


def test_a_lost_connection_keeps_its_cause():
    lost = TransportError("reset by peer")
    lost.__cause__ = OSError("errno 104")
    with pytest.raises(TransportError) as caught:
        play(ask(READ), lost)
    assert str(caught.value.__cause__) == "errno 104"


def test_a_retry_after_beyond_the_limit_is_given_up():
    busy = [reply(429, word, retry_after="100") for word in ("first", "second", "third")]
    with pytest.raises(RemoteError, match="third"):
        play(ask(START, retry=Retry(within_seconds=250.0)), *busy)


def test_a_retry_after_that_is_longer_than_the_pause_is_obeyed():
    steps, _ = play(ask(READ, retry=PATIENT), reply(429, retry_after="7"), reply(429, retry_after="1"), reply())
    assert pauses(steps) == [7.0, 4.0]


def test_the_pause_grows_up_to_a_limit():
    retry = Retry(first_seconds=1.0, limit_seconds=30.0)
    assert [retry.seconds(failures) for failures in (1, 2, 3, 6, 10_000)] == [1.0, 2.0, 4.0, 30.0, 30.0]
    assert Retry(first_seconds=0.1).seconds(1) == 0.1


def test_a_json_object_is_returned():
    assert result_of(ask_json(READ), reply(200, {"a": 1})) == {"a": 1}


def test_a_start_that_expects_a_json_object_is_retried_like_any_other():
    flow = ask_json(START, retry=PATIENT, refused=lambda answer: answer.status == 503)
    assert result_of(flow, reply(503), reply(200, {"a": 1})) == {"a": 1}


@each_row(
    "body, problem",
    [
        (None, r"\(200\) is not JSON: \(empty\)"),
        ("<html> down\n</html>", "is not JSON: <html> down </html>"),
        ("[" * 100_000, r"is not JSON: \[\["),
        ([1], "is not a JSON object"),
        ("null", "is not a JSON object: null"),
        ("9" * 5000, "is not JSON: 9999"),
        ('{"a": ' + "9" * 5000 + "}", "is not JSON: "),
        ('{"a": "' + "\0" + '"}', 'is not JSON: {"a": "\ufffd'),
        ("\x1b[2J\x1b[31m gone", "is not JSON: \ufffd\\[2J"),
        (b'{"a": "\xfc"}', "is not JSON: "),
        (b"\x1f\x8b\x08\x00garbage", "is not JSON: "),
        ('{"a": [' + "1," * 600_000 + "1]}", "is not JSON: "),
    ],
)
def test_any_other_body_is_an_error_that_shows_the_request(body, problem):
    with pytest.raises(ReplyError, match=f"the reply to GET /x .*{problem}") as caught:
        play(ask_json(READ), reply(200, body))
    assert len(str(caught.value)) < 300


@each_row(
    "body",
    [
        b'\xef\xbb\xbf{"a": 1}',
        '{"a": 1}'.encode("utf-16"),
        '{"a": 1}'.encode("utf-32-le"),
        b'{"a": 0, "a": 1}',
        b'{"a": 1, "b": [NaN, Infinity, 1e999, "\\ud800", "\\u0000"]}',
    ],
    ids=["mark", "utf-16", "utf-32", "twice", "odd"],
)
def test_json_is_read_whatever_its_charset_is_said_to_be(body):
    answer = Reply(status=200, headers={"content-type": "application/json; charset=x-none"}, body=body)
    assert play(ask_json(READ), answer)[1]["a"] == 1


def test_flows_without_steps_and_with_one_step():
    assert play(nothing(5)) == ([], 5)
    assert play(one_step(READ), reply(201))[1].status == 201
    assert play(one_step(Pause(seconds=1.0))) == ([Pause(seconds=1.0)], None)


# --- retries in the log


def unresolved(patience):
    error = TransportError("no such host", sent=False, is_lasting=patience is not None)
    error.patience = patience
    return error


def test_each_retried_failure_is_logged_with_the_time_that_is_left():
    steps, _ = play(ask(START, retry=Retry(attempts=4)), *[unresolved(None)] * 3, reply())
    assert [step.warning for step in steps if isinstance(step, Pause)] == [
        "POST /x: no such host; trying again in 1 s, and for 7 s more at most",
        "POST /x: no such host; trying again in 2 s, and for 6 s more at most",
        "POST /x: no such host; trying again in 4 s, and for 4 s more at most",
    ]


def test_a_retried_refusal_names_its_call_once():
    busy = reply(429, {"message": "slow down"}, retry_after="20")
    steps, _ = play(ask(START, retry=Retry(attempts=2)), busy, reply())
    assert steps[1].warning == "POST /x answered 429: slow down; trying again in 20 s, and for 20 s more at most"


@each_row(
    "patience, pauses", [(None, [2.0, 4.0, 8.0, 16.0, 30.0, 30.0, 30.0, 30.0]), (10.0, [2.0, 4.0]), (0.0, []), (1e9, 8)]
)
def test_a_failure_that_time_does_not_cure_is_retried_within_the_patience_of_the_connection(patience, pauses):
    paused = []

    def play_on():
        flow = ask(START, retry=flows.PATIENT)
        step = next(flow)
        while True:
            step = flow.throw(unresolved(patience)) if not isinstance(step, Pause) else flow.send(None)
            if isinstance(step, Pause):
                paused.append(step.seconds)

    with pytest.raises(TransportError, match="no such host"):
        play_on()
    assert paused == pauses or len(paused) == pauses
