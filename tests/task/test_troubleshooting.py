"""The messages that docs/troubleshooting.md explains are those that a user sees."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from airflow.providers.common.compat.sdk import AirflowFailException

from airflow_provider_taskwatch.core.error import MovedError
from airflow_provider_taskwatch.core.settings import Settings
from airflow_provider_taskwatch.core.wire import Reply
from airflow_provider_taskwatch.hooks.acquia import AcquiaHook
from airflow_provider_taskwatch.hooks.aps import ApsHook
from airflow_provider_taskwatch.hooks.automic import AutomicHook
from airflow_provider_taskwatch.hooks.taskwatch import TaskWatchHook
from airflow_provider_taskwatch.operators.rest import RestTaskOperator as Rest
from airflow_provider_taskwatch.sandbox.server import Running
from airflow_provider_taskwatch.systems.rest.reader import read_profile
from airflow_provider_taskwatch.systems.rest.system import RestRemote
from tests.play import result_of
from tests.scripted import Answer, scripted
from tests.task.life import Life
from tests.task.quick import Acquia, Automic, AutomicSensor

PAGE = (Path(__file__).parents[2] / "docs" / "troubleshooting.md").read_text()


def quoted(page: str) -> list[str]:
    """The messages that the first cells of tables quote; ``...`` stands for anything."""
    cells = re.findall(r"^\| (`[^|]*) \|", page, re.MULTILINE)
    return [message for cell in cells for message in re.findall(r"`([^`]+)`", cell)]


EXPLAINED = quoted(PAGE)
OF_CHECK = quoted(PAGE.partition("| `check` says |")[2].partition("\n\n")[0])
"""Those in the table of ``taskwatch check``."""


def is_quoted(message: str, one: str) -> bool:
    return all(part.strip() in message for part in one.split("..."))


def is_explained(message: str) -> bool:
    return any(is_quoted(message, one) for one in EXPLAINED)


WAITS: tuple[tuple[type, dict[str, Any], dict[str, Any]], ...] = (
    (Automic, {"outcome": "failure"}, {}),
    (Automic, {"outcome": "cancelled"}, {}),
    (Automic, {"outcome": "skipped"}, {"on_skipped": "fail"}),
    (Automic, {"outcome": "blocked"}, {"fail_on_blocked": True}),
    (Automic, {"outcome": "unknown"}, {"unknown_status_grace": 0.01}),
    (Automic, {"outcome": "gone"}, {"not_found_grace": 0.01}),
    (Automic, {"outcome": "stuck"}, {"timeout": 0.1}),
    (Automic, {"refuse": 400}, {}),
    (Automic, {}, {"poll_interval": "often"}),
    (Acquia, {"options": {"shape": "none"}}, {}),
)


def failure(kind: type, rule: dict[str, Any], arguments: dict[str, Any], box: Running) -> str:
    """Why a task fails that waits on the worker."""
    box.sandbox.rules.reset()
    box.sandbox.add_rule(**{"duration": 0.0, **rule})
    named = {"object_name": "JOBS.T"} if kind is Automic else {"path": "environments/1-u/files"}
    with pytest.raises(Exception) as raised:  # noqa: PT011 - whichever it is, its message counts
        Life(kind, **{**named, "deferrable": False, "poll_interval": 0.02, **arguments}).execute()
    return str(raised.value)


def test_each_message_of_a_failed_task_is_explained(box: Running) -> None:
    for kind, rule, arguments in WAITS:
        message = failure(kind, rule, arguments, box)
        assert is_explained(message), message


def test_an_uncertain_start_is_explained(box: Running) -> None:
    box.sandbox.add_fault("lost_reply", system="acquia", endpoint="api")
    assert is_explained(failure(Acquia, {}, {}, box))


def test_a_connection_that_leads_elsewhere_is_explained() -> None:
    assert is_explained(str(MovedError("c", "https://one.example.com", "https://two.example.com")))


def test_a_sensor_that_finds_nothing_is_explained(box: Running) -> None:
    sensor = Life(AutomicSensor, run_id=4711, deferrable=False, poll_interval=0.02, not_found_grace=0.01)
    with pytest.raises(Exception, match="is not found") as raised:
        sensor.execute()
    assert is_explained(str(raised.value))


def test_mistakes_in_a_connection_are_those_that_the_page_explains(
    box: Running, monkeypatch: pytest.MonkeyPatch
) -> None:
    connections = {name: json.loads(value) for name, value in box.environment().items()}
    automic, acquia, aps = (connections[f"AIRFLOW_CONN_{name}_DEFAULT"] for name in ("AUTOMIC", "ACQUIA", "APS"))
    secure = automic["host"].replace("http:", "https:")
    box.sandbox.change({"acquia": {"require_scope": True}}, 0.0)
    messages = [TaskWatchHook("nowhere").test_connection()[1]]
    for hook, connection in (
        (AutomicHook, {**automic, "conn_type": "http"}),
        (AutomicHook, {**automic, "extra": {"clent": 100}}),
        (AutomicHook, {**automic, "password": ""}),
        (AutomicHook, {**automic, "password": "wrong-secret"}),
        (AutomicHook, {**automic, "host": box.url}),
        (AutomicHook, {**automic, "host": f"{box.url}/elsewhere"}),
        (AutomicHook, {**automic, "host": "http://127.0.0.1:9/ae/api/v1"}),
        (AutomicHook, {**automic, "host": secure}),
        (AutomicHook, {**automic, "host": "https://nowhere.invalid"}),
        (AcquiaHook, {**acquia, "password": "wrong-secret"}),
        (AcquiaHook, acquia),
        (ApsHook, {**aps, "password": "wrong-secret"}),
    ):
        monkeypatch.setenv("AIRFLOW_CONN_MINE", json.dumps(connection))
        is_good, message = hook("mine").test_connection()
        assert (is_good, is_explained(message)) == (False, True), message
        messages.append(message)
    unseen = [one for one in OF_CHECK if not any(is_quoted(message, one) for message in messages)]
    assert unseen == ["certificate verify failed"]  # the sandbox of this test has no certificate


# --- profiles

PROFILE: dict[str, Any] = {
    "profile": 1,
    "start": {"path": "/jobs", "body": {"day": "{inputs.day?}"}},
    "ref": {"from": "body.id"},
    "poll": {"path": "/jobs/{ref}", "status": "body.state", "phases": {"succeeded": "done", "failed": "failed"}},
}
OF_PROFILES = quoted(PAGE.partition("## My profile is refused\n")[2].partition("\n## ")[0])


def changed(**parts: Any) -> dict[str, Any]:
    """The profile with other values of some fields of its parts."""
    return {**PROFILE, **{name: {**PROFILE.get(name, {}), **fields} for name, fields in parts.items()}}


def mistakes(folder: Path) -> Iterator[object]:
    """What is given as ``profile``, or arguments that hold it."""
    broken = folder / "broken.yaml"
    broken.write_text("profile: {")
    yield None
    yield "x"
    yield "./x.yaml"
    yield str(broken)
    yield changed(poll={"states": {}})
    yield changed(start={"path": "/{job}"})
    yield changed(start={"path": "/{ref}"})
    yield changed(start={"path": "https://elsewhere.example.com/jobs"})
    yield changed(start={"headers": {"Authorization": "Bearer x"}})
    yield changed(start={"headers": {"X-Api-Key": "k"}})
    yield changed(poll={"status": "body.run-id"})
    yield changed(poll={"status": "state"})
    yield changed(poll={"phases": {"failed": "failed"}})
    yield changed(poll={"examples": {"failed": {"body": {"state": "done"}}}})
    yield changed(poll={"phases": {"succeeded": [f"{number:05}" for number in range(3000)]}})
    yield {name: one for name, one in PROFILE.items() if name != "start"}
    yield {"profile": changed(start={"path": "/{inputs.team}"}), "inputs": {}}
    yield {"profile": PROFILE, "inputs": {"dya": 1}}


REPLIES = (
    (changed(start={"headers": {"X-Extra": "{secret.EXTRA}"}}), Answer(body={})),
    (PROFILE, Answer(body={})),
    (changed(ref={"from": "headers.location", "kind": "link"}), Answer(headers={"Location": "https://other.test/1"})),
    (changed(ref={"from": "headers.location", "kind": "link"}), Answer(headers={"Location": "/elsewhere/1"})),
    (changed(ref={"from": "sort(body.ids[])[0]"}), Answer(body={"ids": [f"{number}" for number in range(20_000)]})),
)


def refusal(made: Callable[[], object]) -> str:
    """Why it fails, or what the log says before a start counts as uncertain."""
    with pytest.raises(Exception) as raised:  # noqa: PT011 - whichever it is, its message counts
        made()
    return str(raised.value.__cause__ if isinstance(raised.value, AirflowFailException) else raised.value)


def read_as_xml() -> object:
    settings = Settings(
        conn_id="c", connection_type="taskwatch", base_url="https://r.test", auth="", login="", password=""
    )
    system = RestRemote(settings).tasks(read_profile(PROFILE, "it"), {})
    return result_of(system.observe("1"), Reply(status=200, headers={"content-type": "text/xml"}, body=b"<a/>"))


def test_each_message_about_a_profile_is_explained_and_provoked(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    with scripted() as remote:
        connection = {
            "conn_type": "taskwatch",
            "host": f"{remote.url}/v1",
            "password": "a-token",
            "extra": {"auth": "bearer"},
        }
        monkeypatch.setenv("AIRFLOW_CONN_TASKWATCH_DEFAULT", json.dumps(connection))
        messages = []
        for mistake in mistakes(tmp_path):
            given: Any = mistake if isinstance(mistake, dict) and "inputs" in mistake else {"profile": mistake}
            messages.append(refusal(lambda given=given: Life(Rest, **given).execute()))
        for profile, answer in REPLIES:
            remote.answers.clear()
            remote.on("POST /v1/jobs", answer)
            messages.append(refusal(lambda profile=profile: Life(Rest, profile=profile).execute()))
    messages.append(refusal(read_as_xml))
    assert [one for one in messages if not any(is_quoted(one, known) for known in OF_PROFILES)] == []
    assert [known for known in OF_PROFILES if not any(is_quoted(one, known) for one in messages)] == []
