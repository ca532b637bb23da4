"""A remote of jobs for tests of waits, and results of its polls."""

from __future__ import annotations

from airflow_provider_taskwatch.core.error import DeadlineError, RemoteError, TransportError
from airflow_provider_taskwatch.core.flow import ask, ask_json
from airflow_provider_taskwatch.core.phase import Observation, Phase
from airflow_provider_taskwatch.core.system import SystemDefaults
from airflow_provider_taskwatch.core.watch import PollResult
from airflow_provider_taskwatch.core.wire import get

OVER = DeadlineError("the deadline was noon")
LOST = TransportError("reset by peer")
DOWN = RemoteError(method="GET", path="/x", status=503, message="down")


class Silent(SystemDefaults):
    """Neither restarts jobs nor explains failures."""

    noun = "job"


class Talkative(Silent):
    """Follows restarts and explains failures, each with one request."""

    def selector(self, options):
        return options.get("together", "")

    def successor(self, seen, options):
        if not options.get("follow"):
            return None
        return (yield from ask_json(get(f"/restart/{seen.ref}"))).get("id")

    def explain(self, seen, options):
        return (yield from ask(get(f"/why/{seen.ref}"))).text()


def seen(age, phase=Phase.RUNNING, ref="7", **more):
    """A poll that brought an observation."""
    observation = Observation(ref=ref, phase=phase, status="s", result={"id": ref}, personal={"author": "me"}, **more)
    return PollResult(age=age, observation=observation)


def failed(age, error=LOST):
    """A poll that brought an error."""
    return PollResult(age=age, error=error)


def lasting(patience=10.0, kind=TransportError, **more):
    """An error that time does not cure."""
    error = kind("the host name of https://x cannot be resolved", is_lasting=True, **more)
    error.patience = patience
    return error
