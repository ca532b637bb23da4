"""A client of a played profile: it runs the flows of the system, without a network, at a time that the test sets."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, TypeVar
from urllib.parse import parse_qsl

from airflow_provider_taskwatch.core.flow import Flow
from airflow_provider_taskwatch.core.phase import Observation
from airflow_provider_taskwatch.core.settings import Settings
from airflow_provider_taskwatch.core.wire import Call, Pause, Reply
from airflow_provider_taskwatch.sandbox.sandbox import Sandbox
from airflow_provider_taskwatch.systems.rest.reader import read_profile
from airflow_provider_taskwatch.systems.rest.system import RestRemote
from tests.sandbox.visitor import NOW

T = TypeVar("T")
HOST = "sandbox.test"


class Client:
    """One user of a played profile."""

    def __init__(self, content: Mapping[str, Any], **inputs: Any) -> None:
        self.sandbox = Sandbox()
        self.name = self.sandbox.play(content).name
        self.now = NOW
        self.headers = {"authorization": "Bearer sandbox-secret"}
        settings = Settings(
            conn_id="played",
            connection_type="taskwatch",
            base_url=f"http://{HOST}/{self.name}",
            auth="bearer",
            login="",
            password="sandbox-secret",
            own={"secrets": {"EXTRA": "sandbox-secret"}},
        )
        self.tasks = RestRemote(settings).tasks(read_profile(content, "the test"), inputs)

    def run(self, flow: Flow[T]) -> T:
        """The result of a flow; pauses take no time."""
        answer: Any = None
        for _ in range(100):
            try:
                step = flow.send(answer)
            except StopIteration as end:
                result: T = end.value
                return result
            answer = None if isinstance(step, Pause) else self.ask(step)
        raise AssertionError("the flow does not end")

    def ask(self, call: Call) -> Reply:
        """The reply to a call, as it arrives over HTTP."""
        path, _, query = call.target.partition("?")
        sent = Call(
            method=call.method,
            path=path.removeprefix(f"/{self.name}") if call.origin else path,
            query=tuple(parse_qsl(query, keep_blank_values=True)),
            headers={"host": HOST, **call.headers, **({} if call.origin else self.headers)},
            body=call.body,
        )
        self.sent = sent
        reply = self.sandbox.handle(sent, self.name, self.now).reply
        assert reply is not None
        return reply

    def start(self, start_id: str = "s1", marker: str = "m-1") -> str:
        """Start a task, and return its ref."""
        ref = self.run(self.tasks.start(start_id, marker)).ref
        assert ref is not None
        return ref

    def read(self, ref: str, after: float = 0.0) -> Observation:
        """What a poll sees, some seconds after the start."""
        self.now = NOW + after
        return self.run(self.tasks.observe(ref))

    def life(self, ref: str, *moments: float) -> list[str]:
        """The phases at some moments, following the task through its stages."""
        seen = []
        for moment in moments:
            one = self.read(ref, moment)
            while one.moved_to:
                ref = one.moved_to
                one = self.read(ref, moment)
            seen.append(str(one.phase))
        return seen
