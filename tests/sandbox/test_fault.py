from __future__ import annotations

import gzip
import math
from typing import Any

import pytest

from airflow_provider_taskwatch.core.error import ConfigurationError
from airflow_provider_taskwatch.core.wire import get, send
from airflow_provider_taskwatch.sandbox.sandbox import Sandbox
from tests.sandbox.visitor import CLIENT, NOW, Visitor, token_call

START = send("POST", "/applications/app/databases", {"name": "db"})


def started(sandbox: Sandbox) -> int:
    return int(sandbox.counts()["started"]["acquia"])


def test_a_lost_reply_has_started_the_work(sandbox: Sandbox, acquia: Visitor) -> None:
    sandbox.add_fault("lost_reply", times=1)
    assert acquia.deliver(START).reply is None
    assert started(sandbox) == 1
    entry = sandbox.log()[-1]
    assert (entry["status"], entry["fault"], entry["ref"]) == (None, "lost_reply", sandbox.tasks(NOW)[0]["ref"])


def test_a_fault_may_hit_only_what_its_body_names(sandbox: Sandbox, acquia: Visitor) -> None:
    sandbox.add_fault("lost_request", body='"db"')
    assert acquia.deliver(send("POST", START.path, {"name": "other"})).reply is not None
    assert acquia.deliver(START).reply is None


def test_a_lost_request_has_started_no_work(sandbox: Sandbox, acquia: Visitor) -> None:
    sandbox.add_fault("lost_request", times=1)
    assert acquia.deliver(START).reply is None
    assert started(sandbox) == 0


@pytest.mark.parametrize(
    "name, values, status",
    [
        ("unauthorized", {}, 401),
        ("forbidden", {}, 403),
        ("not_found", {}, 404),
        ("too_many", {}, 429),
        ("server_error", {}, 503),
        ("server_error", {"status": 502}, 502),
        ("html", {}, 200),
        ("html", {"status": 500}, 500),
        ("empty_body", {}, 200),
        ("redirect", {}, 302),
    ],
)
def test_a_fault_answers_instead_of_the_remote(
    sandbox: Sandbox, acquia: Visitor, name: str, values: dict[str, Any], status: int
) -> None:
    sandbox.add_fault(name, **values)
    assert acquia.ask(START).status == status
    assert started(sandbox) == 0


def test_a_refusal_has_the_error_format_of_the_remote(sandbox: Sandbox, acquia: Visitor, automic: Visitor) -> None:
    sandbox.add_fault("server_error", message="down")
    theirs: Any = acquia.get("/account").json()
    others: Any = automic.get("/100/executions").json()
    assert theirs == {"error": "system", "message": "down"}
    assert (others["code"], others["details"]) == (45503, "down")


def test_a_refusal_at_the_token_endpoint_has_the_error_format_of_oauth(sandbox: Sandbox, stranger: Visitor) -> None:
    sandbox.add_fault("unauthorized", endpoint="token", times=1)
    sandbox.add_fault("server_error", endpoint="token")
    refused: Any = stranger.ask(token_call(CLIENT)).json()
    down: Any = stranger.ask(token_call(CLIENT)).json()
    assert (refused["error"], down["error"]) == ("invalid_client", "temporarily_unavailable")


def test_headers_can_be_added_to_any_reply(sandbox: Sandbox, acquia: Visitor) -> None:
    sandbox.add_fault("headers", headers={"x-ratelimit-remaining": "0"})
    sandbox.add_fault("lost_request", times=1)
    assert acquia.deliver(get("/account")).reply is None
    reply = acquia.get("/account")
    assert (reply.status, reply.headers["x-ratelimit-remaining"]) == (200, "0")


def test_a_429_may_carry_retry_after(sandbox: Sandbox, acquia: Visitor) -> None:
    sandbox.add_fault("too_many", times=1, retry_after=7)
    assert acquia.get("/account").headers["retry-after"] == "7"
    sandbox.add_fault("too_many")
    assert "retry-after" not in acquia.get("/account").headers


def test_any_fault_can_start_the_work(sandbox: Sandbox, acquia: Visitor) -> None:
    sandbox.add_fault("html", status=500, work_done=True)
    assert acquia.ask(START).status == 500
    assert started(sandbox) == 1


def test_a_hanging_call_is_held_for_ever_or_for_a_given_time(sandbox: Sandbox, acquia: Visitor) -> None:
    sandbox.add_fault("hang", times=1)
    assert acquia.deliver(START).delay_seconds == math.inf
    sandbox.add_fault("hang", seconds=3)
    assert acquia.deliver(START).delay_seconds == 3


def test_latency_is_added_to_another_fault(sandbox: Sandbox, acquia: Visitor) -> None:
    sandbox.add_fault("latency", seconds=0.5)
    sandbox.add_fault("latency", seconds=0.25)
    sandbox.add_fault("unauthorized", times=1)
    delivery = acquia.deliver(get("/account"))
    assert (delivery.delay_seconds, delivery.reply and delivery.reply.status) == (0.75, 401)
    assert delivery.fault == "unauthorized + latency + latency"
    assert acquia.ask(get("/account")).status == 200


def test_the_first_of_several_faults_strikes_until_it_is_used_up(sandbox: Sandbox, acquia: Visitor) -> None:
    sandbox.add_fault("unauthorized", times=1)
    sandbox.add_fault("server_error", times=2)
    statuses = [acquia.get("/account").status for _ in range(4)]
    assert statuses == [401, 503, 503, 200]


def test_a_fault_can_skip_the_first_calls(sandbox: Sandbox, acquia: Visitor) -> None:
    sandbox.add_fault("unauthorized", skip=2, times=1)
    assert [acquia.get("/account").status for _ in range(4)] == [200, 200, 401, 200]
    assert [(one["seen"], one["hits"]) for one in sandbox.faults.view()] == [(4, 1)]


def test_a_fault_can_have_an_end(sandbox: Sandbox, acquia: Visitor) -> None:
    sandbox.add_fault("server_error", until=NOW + 10)
    acquia.now = NOW + 9
    assert acquia.get("/account").status == 503
    acquia.now = NOW + 10
    assert acquia.get("/account").status == 200


@pytest.mark.parametrize(
    "match, hits_token, hits_api, hits_automic",
    [
        ({"endpoint": "token"}, True, False, False),
        ({"endpoint": "api"}, False, True, True),
        ({"system": "automic"}, False, False, True),
        ({"method": "post"}, True, False, False),
        ({"path": "/account$"}, False, True, False),
    ],
)
def test_a_fault_hits_the_calls_that_it_matches(
    sandbox: Sandbox,
    acquia: Visitor,
    automic: Visitor,
    match: dict[str, str],
    hits_token: bool,
    hits_api: bool,
    hits_automic: bool,
) -> None:
    sandbox.add_fault("server_error", **match)
    assert (acquia.ask(token_call(CLIENT)).status == 503) is hits_token
    assert (acquia.get("/account").status == 503) is hits_api
    assert (automic.get("/100/executions").status == 503) is hits_automic


def test_revoked_tokens_are_rejected_and_a_new_one_is_accepted(
    sandbox: Sandbox, stranger: Visitor, acquia: Visitor
) -> None:
    sandbox.add_fault("revoke_tokens", times=1, endpoint="api")
    assert acquia.get("/account").status == 401
    token: Any = stranger.ask(token_call(CLIENT)).json()
    acquia.headers["Authorization"] = f"Bearer {token['access_token']}"
    assert acquia.get("/account").status == 200


def test_a_body_can_be_huge(sandbox: Sandbox, acquia: Visitor) -> None:
    sandbox.add_fault("huge_body", size=10_000_000)
    assert len(acquia.get("/account").body) > 10_000_000


def test_a_small_body_can_unpack_to_a_huge_one(sandbox: Sandbox, acquia: Visitor) -> None:
    sandbox.add_fault("bomb", size=10_000_000)
    reply = acquia.ask(START)
    assert (len(reply.body) < 20_000, len(gzip.decompress(reply.body))) == (True, 10_000_000)


@pytest.mark.parametrize("name, headers", [("many_headers", 10_001), ("deep_json", 1), ("wrong_charset", 1)])
def test_replies_can_be_malformed_in_several_ways(sandbox: Sandbox, acquia: Visitor, name: str, headers: int) -> None:
    sandbox.add_fault(name)
    reply = acquia.ask(START)
    assert (reply.status, len(reply.headers), started(sandbox)) == (200, headers, 0)
    if name != "many_headers":
        with pytest.raises((ValueError, RecursionError)):
            reply.json()


def test_a_refusal_can_contain_the_credentials(sandbox: Sandbox, acquia: Visitor, stranger: Visitor) -> None:
    sandbox.add_fault("echo")
    token = sandbox.secrets() - {CLIENT["client_secret"]}
    assert any(one in acquia.ask(START).text(500) for one in token)
    assert CLIENT["client_secret"] in stranger.ask(token_call(CLIENT)).text(500)


def test_a_redirect_names_another_host(sandbox: Sandbox, acquia: Visitor) -> None:
    sandbox.add_fault("redirect", location="https://evil.invalid/x", status=307)
    reply = acquia.get("/account")
    assert (reply.status, reply.headers["location"]) == (307, "https://evil.invalid/x")


def test_faults_can_be_removed_by_name(sandbox: Sandbox, acquia: Visitor) -> None:
    sandbox.add_fault("unauthorized")
    sandbox.add_fault("html", status=500)
    sandbox.clear_faults("unauthorized")
    assert acquia.get("/account").status == 500
    sandbox.clear_faults()
    assert acquia.get("/account").status == 200


@pytest.mark.parametrize("values", [{"name": "earthquake"}, {"name": "html", "endpoint": "both"}])
def test_a_senseless_fault_is_refused(sandbox: Sandbox, values: dict[str, Any]) -> None:
    with pytest.raises(ConfigurationError):
        sandbox.add_fault(**values)
