"""What the sandbox plays of a profile, a rehearsal of its recording reads."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from airflow_provider_taskwatch.command.exchange import Recorded
from airflow_provider_taskwatch.command.rehearsal import Rehearsal
from airflow_provider_taskwatch.config.profile import find_profile, preset_names
from airflow_provider_taskwatch.core.wire import Call, Reply
from airflow_provider_taskwatch.systems.rest.reader import read_profile
from airflow_provider_taskwatch.systems.rest.rules import input_names
from tests.rows import each_row
from tests.sandbox.profile.client import HOST, Client
from tests.sandbox.profile.inputs import inputs_of
from tests.sandbox.profile.profiles import ALL


class Recorder(Client):
    """A client that records what it asks."""

    def __init__(self, content: Mapping[str, Any], **inputs: Any) -> None:
        super().__init__(content, **inputs)
        self.recorded: list[Recorded] = []

    def ask(self, call: Call) -> Reply:
        reply = super().ask(call)
        path, _, _ = call.target.partition("?")
        sent = Call(
            method=call.method,
            path=path if call.origin else f"/{self.name}{path}",
            query=self.sent.query,
            headers=self.sent.headers,
            body=call.body,
        )
        self.recorded.append(Recorded(origin=f"http://{HOST}", call=sent, reply=reply))
        return reply


def rehearsed(content: Mapping[str, Any]) -> Iterator[str]:
    """The lines of a rehearsal of one life, with its result."""
    profile = read_profile(content, "the test")
    recorder = Recorder(content, **inputs_of(content, input_names(profile)))
    ref = recorder.start()
    for moment in (0, 3, 60):
        seen = recorder.read(ref, moment)
        while seen.moved_to:
            ref = seen.moved_to
            seen = recorder.read(ref, moment)
    recorder.run(recorder.tasks.complete(seen, {}))
    rehearsal = Rehearsal(profile=profile, recorded=recorder.recorded)
    yield from (text for _, text in rehearsal.run())
    yield "good" if rehearsal.is_good else "bad"


@each_row("content", ALL, ids=[content["name"] for content in ALL])
def test_what_is_played_is_read(content: dict[str, Any]) -> None:
    assert_read(content)


def test_what_is_played_of_a_preset_is_read() -> None:
    for name in preset_names():
        content = find_profile(name).content
        if "start" in content:
            assert_read({"name": name, **content})


def assert_read(content: Mapping[str, Any]) -> None:
    lines = list(rehearsed(content))
    assert lines[-1] == "good", (content["name"], lines)
    assert [line for line in lines if "phase succeeded" in line], (content["name"], lines)
    assert [line for line in lines if "not asked for" in line] == [], (content["name"], lines)
