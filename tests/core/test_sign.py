from __future__ import annotations

from dataclasses import replace

import pytest

from airflow_provider_taskwatch.core.error import RemoteError, TokenError, TransportError
from airflow_provider_taskwatch.core.flow import Retry, ask, one_step
from airflow_provider_taskwatch.core.mask import Mask
from airflow_provider_taskwatch.core.record import Started
from airflow_provider_taskwatch.core.sign import Sign, rejects_token, signed
from airflow_provider_taskwatch.core.wire import Call, Pause, get, send
from tests.play import play, reply

READ = get("/x")
START = send("POST", "/x", {})


def bearing(call, token):
    return replace(call, headers={**call.headers, "Authorization": f"Bearer {token}"})


def sign(flow, *answers, reject_403=False):
    return play(signed(flow, rejects_token(reject_403)), *answers)


@pytest.mark.parametrize("call", [READ, START])
def test_each_call_is_signed_before_it_is_sent(call):
    steps, got = sign(ask(call), bearing(call, "one"), reply(204))
    assert steps == [Sign(call=call), bearing(call, "one")]
    assert got.status == 204


@pytest.mark.parametrize("call", [READ, START])
def test_a_call_whose_token_was_rejected_is_replayed_once_with_a_new_one(call):
    old, new = bearing(call, "old"), bearing(call, "new")
    steps, got = sign(ask(call), old, reply(401), new, reply(202))
    assert steps == [Sign(call=call), old, Sign(call=call, refused=old), new]
    assert got.status == 202


def test_a_second_rejection_is_final():
    with pytest.raises(RemoteError, match="GET /x answered 401: go away"):
        sign(ask(READ), bearing(READ, "old"), reply(401), bearing(READ, "new"), reply(401, "go away"))


def test_credentials_that_cannot_change_are_not_sent_twice():
    with pytest.raises(RemoteError, match="401"):
        sign(ask(READ), bearing(READ, "fixed"), reply(401), bearing(READ, "fixed"))


def test_403_is_a_rejection_only_if_the_connection_says_so():
    with pytest.raises(RemoteError, match="403"):
        sign(ask(READ), bearing(READ, "old"), reply(403))
    for status in (401, 403):
        _, got = sign(ask(READ), bearing(READ, "old"), reply(status), bearing(READ, "new"), reply(), reject_403=True)
        assert got.is_ok


EXPIRED = rejects_token(False, r"token has expired")
OLD_TOKEN = {"error": "unauthorized", "message": "The access token has expired."}
NO_RIGHT = {"error": "unauthorized", "message": "You do not have permission."}


@pytest.mark.parametrize("call", [READ, START])
def test_a_403_that_says_that_the_token_has_expired_is_replayed_once(call):
    old, new = bearing(call, "old"), bearing(call, "new")
    steps, got = play(signed(ask(call), EXPIRED), old, reply(403, OLD_TOKEN), new, reply(202))
    assert (len(steps), got.status) == (4, 202)
    with pytest.raises(RemoteError, match="403: unauthorized: The access token has expired"):
        play(signed(ask(call), EXPIRED), old, reply(403, OLD_TOKEN), new, reply(403, OLD_TOKEN))


@pytest.mark.parametrize("call", [READ, START])
def test_a_403_for_a_missing_right_is_not_replayed(call):
    with pytest.raises(RemoteError, match="403: unauthorized: You do not"):
        play(signed(ask(call), EXPIRED), bearing(call, "one"), reply(403, NO_RIGHT))


def test_a_403_with_the_header_of_an_invalid_token_is_replayed():
    header = 'Bearer realm="x", error="invalid_token"'
    answers = (bearing(READ, "old"), reply(403, www_authenticate=header), bearing(READ, "new"), reply())
    assert sign(ask(READ), *answers)[1].is_ok


@pytest.mark.parametrize("lost", [TransportError("reset"), TokenError("no", transient=False)])
def test_an_error_reaches_the_flow_that_asked(lost):
    with pytest.raises(type(lost), match=str(lost)):
        sign(ask(READ), bearing(READ, "one"), lost)


def test_a_flow_that_survives_an_error_goes_on():
    one = bearing(READ, "one")
    steps, got = sign(ask(READ, retry=Retry(first_seconds=1.0)), one, TransportError("reset"), one, reply())
    assert steps == [Sign(call=READ), one, Pause(seconds=1.0, spread=0.2), Sign(call=READ), one]
    assert got.is_ok


def test_the_error_of_a_failed_renewal_replaces_the_rejection():
    with pytest.raises(TokenError, match="endpoint is down"):
        sign(ask(READ), bearing(READ, "old"), reply(401), TokenError("endpoint is down", transient=True))


def test_a_lost_reply_to_a_replayed_start_is_not_sent_a_third_time():
    old, new = bearing(START, "old"), bearing(START, "new")
    with pytest.raises(TransportError):
        sign(ask(START, retry=Retry()), old, reply(401), new, TransportError("reset"))


def test_errors_of_other_packages_end_the_flow():
    program = signed(ask(READ), rejects_token(False))
    program.send(None)
    with pytest.raises(ZeroDivisionError):
        program.throw(ZeroDivisionError())


def test_no_repr_of_a_step_shows_the_token():
    assert "s3cret" not in repr(Sign(call=READ, refused=bearing(READ, "s3cret")))


def starting(call):
    answer = yield call
    return Started(ref="7", reply=answer.json())


def test_the_result_of_a_start_carries_the_mask_of_its_reply():
    mask = Mask(("a long secret",))
    answer = replace(reply(200, {"id": "7"}), mask=mask)
    _, started = sign(starting(START), bearing(START, "one"), answer)
    assert started.mask.secrets == mask.secrets


def test_a_call_to_another_host_is_not_signed_and_its_refusal_is_not_ours():
    call = Call(method="GET", path="/b?sig=x", origin="https://files.test")
    steps, got = play(signed(one_step(call), lambda reply: True), reply(401))
    assert (steps, got) == ([call], reply(401))
