from __future__ import annotations

import json
import re
from dataclasses import replace

import pytest

from airflow_provider_taskwatch.core import flow as flows
from airflow_provider_taskwatch.core.error import NotFoundError, RemoteError, ReplyError, TokenError, TransportError
from airflow_provider_taskwatch.core.flow import Retry, ask, ask_json, nothing, one_step
from airflow_provider_taskwatch.core.refusal import error_message, summary
from airflow_provider_taskwatch.core.retry_after import retry_after, said_at
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


@each_row("trouble", [reply(500), reply(503), reply(429), reply(408), LOST, NEVER_LEFT])
def test_a_read_is_repeated_while_the_remote_is_in_trouble(trouble):
    steps, got = play(ask(READ, retry=PATIENT), trouble, trouble, reply())
    assert got.is_ok
    assert steps == [READ, Pause(seconds=2.0, spread=0.2), READ, Pause(seconds=4.0, spread=0.2), READ]


def test_patience_has_an_end_and_the_last_error_is_told():
    with pytest.raises(RemoteError, match="GET /x answered 502: third"):
        play(ask(READ, retry=PATIENT), LOST, reply(503, "second"), reply(502, "third"))


@pytest.mark.parametrize("status, end", [(401, ""), (403, ", and its rights at the remote")])
def test_a_refusal_of_the_credentials_says_what_to_check_of_the_connection(status, end):
    answer = replace(reply(status, "Invalid credentials."), access="login and password of the connection 'x'")
    words = re.escape(f": Invalid credentials.; check login and password of the connection 'x'{end}")
    with pytest.raises(RemoteError, match=f"{words}$"):
        play(ask(READ), answer)


@each_row("status", [300, 400, 401, 403, 404, 409, 422])
def test_a_refusal_is_not_repeated(status):
    with pytest.raises(RemoteError) as caught:
        play(ask(READ, retry=PATIENT), reply(status, "no"))
    assert (caught.value.status, caught.value.transient) == (status, False)


def test_not_found_is_told_apart():
    with pytest.raises(NotFoundError):
        play(ask(READ), reply(404))


def test_a_read_that_deletes_is_not_repeated_after_a_lost_reply():
    with pytest.raises(TransportError):
        play(ask(replace(READ, is_consuming=True), retry=PATIENT), LOST)


@each_row("trouble", [LOST, reply(500), reply(502), reply(503), reply(408)])
def test_a_start_that_may_have_arrived_is_not_repeated(trouble):
    with pytest.raises((TransportError, RemoteError)):
        play(ask(START, retry=PATIENT), trouble)


@pytest.mark.parametrize("trouble", [NEVER_LEFT, reply(429), TokenError("down", transient=True)])
def test_a_start_that_surely_did_nothing_is_repeated(trouble):
    steps, _ = play(ask(START, retry=PATIENT), trouble, reply(202))
    assert steps == [START, Pause(seconds=2.0, spread=0.2), START]


def test_a_start_is_repeated_where_the_reply_proves_that_nothing_was_done():
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


def test_a_remote_that_wishes_for_too_long_a_pause_is_given_up():
    busy = [reply(429, word, retry_after="100") for word in ("first", "second", "third")]
    with pytest.raises(RemoteError, match="third"):
        play(ask(START, retry=Retry(within_seconds=250.0)), *busy)


def test_the_remotes_wish_to_wait_is_obeyed_where_it_is_longer():
    steps, _ = play(ask(READ, retry=PATIENT), reply(429, retry_after="7"), reply(429, retry_after="1"), reply())
    assert pauses(steps) == [7.0, 4.0]


def test_the_pause_grows_up_to_a_limit():
    retry = Retry(first_seconds=1.0, limit_seconds=30.0)
    assert [retry.seconds(failures) for failures in (1, 2, 3, 6, 10_000)] == [1.0, 2.0, 4.0, 30.0, 30.0]
    assert Retry(first_seconds=0.1).seconds(1) == 0.1


@each_row(
    "value, seconds",
    [
        ("0", 0.0),
        (" 120 ", 120.0),
        ("86400", 3600.0),
        ("9" * 5000, 3600.0),
        ("Wed, 21 Oct 2026 07:01:30 GMT", 90.0),
        ("Wed, 21 Oct 2026 09:01:30 +0200", 90.0),
        ("Wed, 21 Oct 2026 06:59:00 GMT", 0.0),
        ("Fri, 21 Oct 2050 07:00:00 GMT", 3600.0),
        ("Wed, 21 Oct 2026 07:01:30 -0000", None),
        ("Wednesday, 21-Oct-26 07:01:30 GMT", 90.0),
        ("Wed Oct 21 07:01:30 2026", 90.0),
        ("9.5", 9.5),
        ("0.25", 0.25),
        ("9.", 9.0),
        ("99999.5", 3600.0),
        (".5", None),
        ("9,5", None),
        ("+9", None),
        ("1e3", None),
        ("0x9", None),
        ("nan", None),
        ("inf", None),
        ("-0.5", None),
        ("٩", None),
        ("9 s", None),
        ("Wed, 32 Oct 2026 07:01:30 GMT", None),
        ("Wed, 21 Oct 2026 07:01:30 +99999999999999999999", None),
        ("-5", None),
        ("soon", None),
        ("", None),
    ],
)
def test_retry_after_is_read_in_both_forms_and_bounded(value, seconds):
    assert retry_after({"retry-after": value, "date": NOW}) == seconds


RECEIVED_AT = 1792566000.0  # what NOW is, too
LATER = "Wed, 21 Oct 2026 07:01:30 GMT"


def test_a_date_to_wait_for_means_nothing_without_any_clock():
    assert retry_after({"retry-after": LATER}) is None
    assert retry_after({}) is None


@each_row("date", [{}, {"date": ""}, {"date": "yesterday"}, {"date": "Wed, 99 Oct 2026 07:00:00 GMT"}])
def test_a_date_is_read_against_our_clock_where_the_remote_tells_none(date):
    assert retry_after({"retry-after": LATER, **date}, RECEIVED_AT) == 90.0
    assert said_at(Reply(status=200, headers=date, received_at=RECEIVED_AT)) == RECEIVED_AT


def test_a_date_is_read_against_the_remotes_clock_where_it_tells_one():
    assert retry_after({"retry-after": LATER, "date": NOW}, RECEIVED_AT + 60) == 90.0
    assert said_at(Reply(status=200, headers={"date": NOW}, received_at=0.0)) == RECEIVED_AT


def test_an_error_tells_what_the_stamp_of_its_reply_makes_of_a_date():
    with pytest.raises(RemoteError) as caught:
        play(ask(READ), Reply(status=503, headers={"retry-after": LATER}, received_at=RECEIVED_AT))
    assert caught.value.retry_after == 90.0


@each_row(
    "reset, seconds",
    [
        (str(int(RECEIVED_AT) + 40), 40.0),
        (f"{RECEIVED_AT + 40.5:.1f}", 40.5),
        (str(int(RECEIVED_AT) - 40), 0.0),
        (str(int(RECEIVED_AT) + 9999), 3600.0),
        ("2026-10-21T07:00:40Z", 40.0),
        ("2026-10-21T07:00:40", None),
        (str(int(RECEIVED_AT) * 1000), None),
        ("30", None),
        ("9.5", None),
        ("-5", None),
        ("9" * 5000, None),
        ("soon", None),
    ],
)
def test_the_end_of_a_rate_limit_is_a_moment_in_either_form(reset, seconds):
    assert retry_after({"x-ratelimit-reset": reset}, RECEIVED_AT) == seconds


def test_the_end_of_a_rate_limit_stands_for_a_wish_that_is_missing():
    headers = {"x-ratelimit-reset": "2026-10-21T09:01:30+02:00", "date": NOW}
    assert retry_after(headers) == 90.0
    assert retry_after({**headers, "retry-after": "7"}) == 7.0


def test_a_json_object_is_returned():
    assert result_of(ask_json(READ), reply(200, {"a": 1})) == {"a": 1}


def test_a_start_that_wants_a_json_object_is_as_patient_as_any():
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
def test_any_other_body_is_one_error_that_shows_where_it_came_from(body, problem):
    with pytest.raises(ReplyError, match=f"the reply to GET /x .*{problem}") as caught:
        play(ask_json(READ), reply(200, body))
    assert len(str(caught.value)) < 300


@each_row(
    "content, told",
    [
        ({"error": "conflict", "message": "already running"}, "conflict: already running"),
        ({"error": "bad", "message": ["one", {"message": "two"}]}, "bad: one; two"),
        ({"code": 11191, "error": "", "details": "ended"}, "11191: ended"),
        ({"error": {"code": 5, "message": "nested"}}, "5: nested"),
        ({"title": "Bad", "why": None}, "title Bad: why None"),
        (["one", "two"], "one; two"),
        ("plain text", "plain text"),
        ('"quoted"', "quoted"),
        ({"message": "x" * 10_000}, "x" * 500),
        ({}, "(no message)"),
        (None, "(no message)"),
    ],
)
def test_the_remotes_words_are_found_in_all_shapes(content, told):
    assert error_message(reply(400, content)) == told


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


def test_words_are_harmless_and_few():
    said = error_message(reply(500, {"error": "\x1b[31mbad\n2026-01-31 INFO forged", "message": "\ud800\0" * 10**3}))
    assert said.startswith("\ufffd[31mbad 2026-01-31 INFO forged: ")
    assert (said.isprintable(), len(said)) == (True, 500)


def test_the_words_of_megabytes_cost_no_more_than_those_of_a_line():
    said = error_message(reply(500, '{"message": "first", "rest": [' + "{}," * 2_000_000 + "{}]}"))
    assert said.startswith('{"message": "first", "rest": [{},')


@pytest.mark.parametrize("content", [json.loads("[" * 600 + "]" * 600), list(range(10**6)), {"message": "x\n" * 10**6}])
def test_a_value_of_any_shape_is_told_in_a_few_words(content):
    assert len(summary(content, 200)) <= 200


@each_row("depth", [5_000, 100_000])
@each_row("opening", ['{"error":', "["])
def test_an_error_nested_without_end_is_shown_as_it_begins(depth, opening):
    assert error_message(reply(500, opening * depth + "1" + {"[": "]"}.get(opening, "}") * depth)).startswith(
        opening * 20
    )


@pytest.mark.parametrize("status", [300, 302, 399])
def test_a_redirect_is_told_with_its_remedy_and_without_its_target(status):
    told = error_message(reply(status, {"message": "moved"}, location="https://elsewhere.example"))
    assert told.startswith("a redirect, which is not followed")
    assert "elsewhere" not in told


def test_flows_of_no_step_and_of_one_step():
    assert play(nothing(5)) == ([], 5)
    assert play(one_step(READ), reply(201))[1].status == 201
    assert play(one_step(Pause(seconds=1.0))) == ([Pause(seconds=1.0)], None)


# --- what is lived through is told, with what is left of the patience


def unresolved(patience):
    error = TransportError("no such host", sent=False, is_lasting=patience is not None)
    error.patience = patience
    return error


def test_each_failure_that_is_lived_through_is_told_with_what_is_left():
    steps, _ = play(ask(START, retry=Retry(attempts=4)), *[unresolved(None)] * 3, reply())
    assert [step.trouble for step in steps if isinstance(step, Pause)] == [
        "POST /x: no such host; trying again in 1 s, and for 7 s more at most",
        "POST /x: no such host; trying again in 2 s, and for 6 s more at most",
        "POST /x: no such host; trying again in 4 s, and for 4 s more at most",
    ]


def test_a_refusal_that_is_lived_through_names_its_call_once():
    busy = reply(429, {"message": "slow down"}, retry_after="20")
    steps, _ = play(ask(START, retry=Retry(attempts=2)), busy, reply())
    assert steps[1].trouble == "POST /x answered 429: slow down; trying again in 20 s, and for 20 s more at most"


@each_row(
    "patience, pauses", [(None, [2.0, 4.0, 8.0, 16.0, 30.0, 30.0, 30.0, 30.0]), (10.0, [2.0, 4.0]), (0.0, []), (1e9, 8)]
)
def test_what_time_does_not_cure_is_tried_for_as_long_as_the_connection_says(patience, pauses):
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
