"""A client for each emulated remote: it sends calls to a sandbox at a time that the test sets."""

from __future__ import annotations

import base64
from collections.abc import Mapping
from typing import Any
from urllib.parse import urlencode

from airflow_provider_taskwatch.core.wire import Call, Query, Reply, pairs, send
from airflow_provider_taskwatch.sandbox.call_fault import Delivery
from airflow_provider_taskwatch.sandbox.sandbox import Sandbox

NOW = 1_800_000_000.0
FORM = {"Content-Type": "application/x-www-form-urlencoded"}


class Visitor:
    """A client of one remote without a network; ``now`` is the clock, in unix seconds."""

    def __init__(self, sandbox: Sandbox, system: str, base: str, headers: Mapping[str, str]) -> None:
        self.sandbox = sandbox
        self.system = system
        self.base = base
        self.headers = dict(headers)
        self.now = NOW

    def deliver(self, call: Call) -> Delivery:
        headers = {**call.headers, **self.headers}
        sent = Call(method=call.method, path=self.base + call.path, query=call.query, headers=headers, body=call.body)
        return self.sandbox.handle(sent, self.system, self.now)

    def ask(self, call: Call) -> Reply:
        reply = self.deliver(call).reply
        assert reply is not None
        return reply

    def get(self, path: str, query: Query | None = None) -> Reply:
        return self.ask(Call(method="GET", path=path, query=pairs(query or {})))

    def post(self, path: str, content: object = None) -> Reply:
        return self.ask(send("POST", path, {} if content is None else content))

    def read(self, path: str, query: Query | None = None) -> Any:
        return self.get(path, query).json()


def token_call(
    fields: Mapping[str, str], headers: Mapping[str, str] | None = None, path: str = "/auth/oauth/token"
) -> Call:
    body = urlencode({"grant_type": "client_credentials", **fields}).encode()
    return Call(method="POST", path=path, headers={**FORM, **(headers or {})}, body=body)


CLIENT = {"client_id": "sandbox-id", "client_secret": "sandbox-secret"}


def basic(user: str, password: str, charset: str = "iso-8859-1") -> str:
    return "Basic " + base64.b64encode(f"{user}:{password}".encode(charset)).decode()
