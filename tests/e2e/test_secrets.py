"""A secret is in its connection and in requests, and nowhere else."""

from __future__ import annotations

import base64
import hashlib
import json
import secrets
import time
from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any

import pytest

from airflow_provider_taskwatch.receiver.token import Keys
from airflow_provider_taskwatch.sandbox.sandbox import Sandbox
from airflow_provider_taskwatch.sandbox.server import Running
from airflow_provider_taskwatch.sandbox.token import CLIENT_SECRET
from demo.airflow import TASKWATCH, PrivateAirflow
from demo.api import DagRun
from tests.conftest import is_below
from tests.e2e.haystack import decrypted, everything, places
from tests.e2e.test_main_job import deferred

CANARY = f"canary-{secrets.token_hex(8)}"
"""Part of the name of each started object, so that a search must find it in each place that could hold a secret."""
ACCOUNT = {"user": "SEARCHED", "department": "E2E", "password": "pass/word&" + secrets.token_hex(8)}
CLIENT = {"login": "searched", "password": "client+secret=" + secrets.token_urlsafe(16)}


@dataclass(frozen=True, kw_only=True)
class Life:
    """The traces of a whole session of work."""

    found: Mapping[str, bytes]
    triggers: bytes
    connections: bytes
    secrets: set[str]
    addresses: set[str]
    output: str
    states: Mapping[str, str]


@pytest.fixture(scope="module")
def life(airflow: PrivateAirflow, served: Running) -> Iterator[Life]:
    """Success, failure, lost replies, revoked tokens, refused and repeated credentials, a kill, and commands."""
    sandbox = served.sandbox
    pairs = _add_connections(airflow, served)
    runs = _start(airflow, sandbox)
    triggers = _while_deferred(airflow, sandbox, runs)
    output = _command(airflow, sandbox, runs)
    states = {name: run.wait() for name, run in runs.items()}
    addresses = _addresses(sandbox)
    yield Life(
        states=states,
        found=everything(airflow, sandbox),
        triggers=triggers,
        connections=decrypted(airflow, "connection"),
        secrets=sandbox.secrets() | pairs | _secrets_of_callbacks(airflow, addresses),
        addresses=addresses,
        output=output,
    )
    sandbox.clear_faults()


def _add_connections(airflow: PrivateAirflow, served: Running) -> set[str]:
    """Store connections with secrets of their own, next to those of the environment; return their Basic credentials."""
    settings = {
        "acquia": {"clients": {"sandbox-id": CLIENT_SECRET, CLIENT["login"]: CLIENT["password"]}},
        "automic": {"accounts": [{}, ACCOUNT]},
    }
    served.sandbox.change(settings, time.time())
    given = served.connections()
    login = {"login": "100/SEARCHED/E2E", "password": ACCOUNT["password"]}
    for name, mine in (("acquia", CLIENT), ("automic", login)):
        content: dict[str, Any] = {**given[f"{name}_default"], **mine, "connection_id": f"searched_{name}"}
        airflow.api.request("POST", "/api/v2/connections", json={**content, "extra": json.dumps(content["extra"])})
    pairs = (f"{one['login']}:{one['password']}" for one in (login, given["automic_default"]))
    return {base64.b64encode(pair.encode()).decode() for pair in pairs}


def _addresses(sandbox: Sandbox) -> set[str]:
    """The tokens of every callback and push. A token is of no use without its secret."""
    return {one["path"].rpartition("/")[2] for one in sandbox.log() if one["endpoint"] == "callback"}


def _secrets_of_callbacks(airflow: PrivateAirflow, addresses: set[str]) -> set[str]:
    given = airflow.env["AIRFLOW__TASKWATCH__CALLBACK_SECRETS"]
    keys = Keys([given])
    return {given, *(key(one) for key in (keys.bearer, keys.push_key) for one in addresses)}


def _start(airflow: PrivateAirflow, sandbox: Sandbox) -> dict[str, DagRun]:
    def run(kind: str, number: int, conn_id: str, **rule: Any) -> DagRun:
        is_acquia = kind.startswith("acquia")
        name = f"environments/{CANARY}-{number}/x" if is_acquia else f"JOBS.{CANARY}-{number}"
        sandbox.add_rule(f"POST /{name}" if is_acquia else name, **{"duration": 600.0, **rule})
        return airflow.trigger(f"secret_{kind}", conf={"conn_id": conn_id, "name": name})

    start = {"system": "acquia", "method": "POST"}
    sandbox.add_fault("lost_reply", path=f"{CANARY}-3", **start)
    sandbox.add_fault("echo", path=f"{CANARY}-4", **start)
    sandbox.add_fault("unauthorized", path=f"{CANARY}-6", message=f"{CANARY} says no", **start)
    sandbox.add_fault("echo", path="/executions$", method="POST", system="automic", times=1)
    refused_callback = run("callback", 8, "searched_automic")
    refused_callback.wait()
    return {
        "refused callback": refused_callback,
        "called back": run("callback", 9, "searched_automic", duration=2.0),
        "good": run("acquia", 1, "searched_acquia"),
        "bad": run("automic_on_worker", 2, "searched_automic", duration=1.0, outcome="failure", message=CANARY),
        "lost": run("acquia", 3, "acquia_default"),
        "echoed": run("acquia_on_worker", 4, "searched_acquia"),
        "echoed later": run("automic", 5, "searched_automic"),
        "refused": run("acquia", 6, "acquia_default"),
        "killed": run("automic", 7, "automic_default"),
    }


def _while_deferred(airflow: PrivateAirflow, sandbox: Sandbox, runs: dict[str, DagRun]) -> bytes:
    """The contents of the triggers, after the failing runs have ended; a sensor waits along with the operator."""
    for name in ("bad", "lost", "echoed", "refused"):
        runs[name].wait()
    for name in ("good", "echoed later", "killed"):
        deferred(runs[name], sandbox)
    ref = runs["good"].task("run").xcom("ref")
    runs["sensor"] = airflow.trigger("secret_sensor", conf={"conn_id": "searched_acquia", "name": ref})
    runs["sensor"].task("run").wait_for("deferred")
    return decrypted(airflow, "trigger")


def _command(airflow: PrivateAirflow, sandbox: Sandbox, runs: dict[str, DagRun]) -> str:
    """Run commands and end a task while the remotes echo credentials; then revoke all tokens."""
    good, later = (runs[name].task("run").xcom("ref") for name in ("good", "echoed later"))
    sandbox.add_fault("echo", system="acquia", endpoint="token", times=1)
    sandbox.add_fault("echo", system="automic", path=f"executions/{later}$")
    runs["killed"].task("run").mark("failed")
    commands = (("check", "searched_acquia"), ("watch", "searched_automic", later))
    with ThreadPoolExecutor(len(commands)) as pool:
        done = list(pool.map(lambda arguments: airflow.command(*arguments, program=TASKWATCH), commands))
    sandbox.revoke_tokens()
    sandbox.end(good, "success", time.time())
    return "".join(f"{one.stdout}{one.stderr}" for one in done)


def test_each_event_that_might_show_a_secret_has_happened(life: Life, served: Running) -> None:
    ended_well = {name for name, state in life.states.items() if state == "success"}
    assert (ended_well, len(life.states)) == ({"good", "sensor", "called back"}, 10)
    assert "you sent grant_type=client_credentials" in life.output
    assert "you sent Basic ***" in life.output
    logs = b"".join(content for name, content in life.found.items() if "dag_id=secret" in name)
    assert all(text in logs for text in (b"you sent Bearer ***", b"you sent Basic ***", b"says no", b"no good reply"))
    assert all(text in logs for text in (b"/callbacks/***", b"Bearer ***"))
    asked = [(one["endpoint"], one["fault"], one["status"]) for one in served.sandbox.log()]
    assert {("api", "lost_reply", None), ("api", "unauthorized", 401), ("api", "", 401)} <= set(asked)


def test_the_search_finds_the_canary(life: Life) -> None:
    found = set(places(life.found, {CANARY}))
    tables = {"dag_run", "xcom", "rendered_task_instance_fields"} | (set() if is_below("3.3") else {"task_state_store"})
    assert found >= {"sandbox", *(f"table {name}" for name in tables)}
    assert {name.split("/")[1] for name in found if name.startswith("logs/dag_id=")} >= {
        f"dag_id=secret_{kind}" for kind in ("acquia", "acquia_on_worker", "automic_on_worker", "sensor")
    }
    assert CANARY.encode() in life.triggers


def test_a_secret_is_in_each_place_that_needs_it(life: Life, served: Running) -> None:
    assert all(one.encode() in life.connections for one in (CLIENT["password"], json.dumps(ACCOUNT["password"])[1:-1]))
    used = {one["token_id"] for one in served.sandbox.log()}
    sent = {hashlib.sha256(f"Bearer {one}".encode()).hexdigest()[:8] for one in life.secrets}
    assert len(used & sent) > 3


def test_the_address_of_a_callback_is_at_the_remote_and_nowhere_else(life: Life) -> None:
    assert life.addresses
    assert set(places(life.found, life.addresses)) == {"sandbox"}
    assert places({"triggers": life.triggers, "commands": life.output.encode()}, life.addresses) == {}


def test_a_secret_is_nowhere_else(life: Life) -> None:
    assert places(life.found, life.secrets) == {}
    assert places({"triggers": life.triggers, "commands": life.output.encode()}, life.secrets) == {}
