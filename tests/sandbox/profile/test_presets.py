"""Every preset can be played: its start names a task, which goes through the examples to a success."""

from __future__ import annotations

from airflow_provider_taskwatch.config.profile import find_profile, preset_names
from airflow_provider_taskwatch.core.system import Effect
from airflow_provider_taskwatch.systems.rest.rules import input_names
from tests.sandbox.profile.client import Client
from tests.sandbox.profile.inputs import inputs_of


def test_every_preset_can_be_played() -> None:
    wrong = {name: problem for name in preset_names() if (problem := problem_of(name))}
    assert wrong == {}


def problem_of(name: str) -> str:
    """What is wrong when a preset is played; empty if nothing is."""
    found = find_profile(name)
    try:
        client = Client({"name": name, **found.content}, **inputs_of(found.content, input_names(found.profile)))
        if found.profile.start is None:
            return ""
        if client.life(client.start("s1", "m-1"), 0, 60)[-1] != "succeeded":
            return "its task does not succeed"
        second = client.start("s2", "m-2")
        if client.tasks.can_cancel and client.run(client.tasks.cancel(second)) is not Effect.CANCELLED:
            return "its task cannot be cancelled"
    except Exception as error:  # noqa: BLE001 - it is reported with the name of the preset
        return f"{type(error).__name__}: {error}"
    return ""
