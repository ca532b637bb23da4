"""Asking for a callback: what the engine and the trigger get, and what is refused."""

from __future__ import annotations

import time
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from airflow_provider_taskwatch.core.error import ConfigurationError
from airflow_provider_taskwatch.operators.automic import AutomicCallback
from airflow_provider_taskwatch.receiver.token import Keys, Ticket
from airflow_provider_taskwatch.sandbox.server import Running
from tests.task.life import Life
from tests.task.quick import Automic

SECRET = "a-secret-of-at-least-thirty-two-characters"
BASE = "https://airflow.example.com/taskwatch"


@pytest.fixture
def box(box: Running, monkeypatch: pytest.MonkeyPatch) -> Running:
    """The emulators as new; callbacks are set up."""
    monkeypatch.setenv("AIRFLOW__TASKWATCH__CALLBACK_SECRETS", SECRET)
    monkeypatch.setenv("AIRFLOW__TASKWATCH__CALLBACK_BASE_URL", BASE)
    box.sandbox.add_rule(duration=600.0)
    return box


def automic(**arguments: Any) -> Life:
    return Life(Automic, object_name="JOBS.T", **{"callback": True, **arguments})


def asked(box: Running) -> list[dict[str, Any]]:
    """The callback section of each start that was received, None where there was none."""
    return [one["request"].get("callback") for one in box.sandbox.tasks(time.time())]


def ticket(section: dict[str, Any]) -> Ticket:
    _, _, token = section["http"]["url"].rpartition("/callbacks/")
    found = Keys([SECRET]).read(token, time.time())
    assert found is not None
    assert Keys([SECRET]).is_bearer(token, section["http"]["headers"]["Authorization"].removeprefix("Bearer "))
    return found


def test_the_engine_gets_the_address_and_the_trigger_the_expectation(box: Running) -> None:
    life = automic()
    trigger = life.defer().trigger
    [section] = asked(box)

    assert section["type"] == "http"
    assert section["http"]["url"].startswith(f"{BASE}/callbacks/")
    assert ticket(section).start_id == life.open_record.start_id == trigger.start_id
    assert trigger.plan["callback"] == {"poll_seconds": 300.0, "names": {}, "keep": []}


def test_a_users_wishes_reach_both(box: Running) -> None:
    callback = AutomicCallback(
        headers={"X-Team": "data"}, url="https://dmz.example.com/", payload={"runid": "id"}, keep=["archive_key1"]
    )
    trigger = automic(callback=callback, callback_poll_interval=timedelta(minutes=1)).defer().trigger
    [section] = asked(box)

    assert section["http"]["url"].startswith("https://dmz.example.com/callbacks/")
    assert section["http"]["headers"]["X-Team"] == "data"
    assert trigger.plan["callback"] == {"poll_seconds": 60.0, "names": {"runid": "id"}, "keep": ["archive_key1"]}


@pytest.mark.parametrize("timeout, days", [(None, 30), (3600.0, 1)])
def test_the_address_ends_some_time_after_the_wait(box: Running, timeout: float | None, days: int) -> None:
    automic(timeout=timeout).defer()
    ends_at = datetime.fromtimestamp(ticket(asked(box)[0]).expires_at, UTC)

    last = datetime.now(UTC) + timedelta(days=days, seconds=timeout or 0.0)
    assert abs((ends_at - last).total_seconds()) < 60.0


def test_a_retry_rejoins_and_its_execution_keeps_its_address(box: Running) -> None:
    life = automic()
    first = life.defer().trigger
    life.try_number += 1
    second = life.defer().trigger

    assert len(asked(box)) == 1
    assert first.start_id == second.start_id


def test_an_execution_that_was_not_asked_to_call_back_is_not_expected_to(box: Running) -> None:
    life = automic(callback=False)
    life.defer()
    life.arguments["callback"] = True
    life.try_number += 1
    trigger = life.defer().trigger

    assert (asked(box), trigger.plan["callback"]) == ([None], None)


def test_headers_and_address_may_be_templates_and_show_up_nowhere(box: Running) -> None:
    callback = AutomicCallback(headers={"X-Key": "{{ var.value.key }}"}, url="{{ var.value.url }}")

    assert callback.template_fields == ("headers", "url")
    assert "callback" in Automic.template_fields
    assert "X-Key" not in repr(callback)


def test_headers_and_address_are_rendered(box: Running) -> None:
    callback = AutomicCallback(headers={"X-Key": "{{ key }}"}, url="https://{{ host }}")
    task = automic(callback=callback).make()
    task.render_template_fields({"key": "k", "host": "dmz.example.com"})

    assert (task.callback.headers, task.callback.url) == ({"X-Key": "k"}, "https://dmz.example.com")


def test_a_clear_starts_with_an_address_of_its_own(box: Running) -> None:
    life = automic()
    life.defer()
    life.max_tries, life.try_number = 3, 2
    life.defer()
    first, second = asked(box)

    assert ticket(first).start_id != ticket(second).start_id


def test_a_new_secret_is_no_changed_input(box: Running, monkeypatch: pytest.MonkeyPatch) -> None:
    life = automic()
    life.defer()
    monkeypatch.setenv("AIRFLOW__TASKWATCH__CALLBACK_SECRETS", f"{SECRET}-renewed {SECRET}")
    life.try_number += 1
    life.defer()

    assert len(asked(box)) == 1


def test_a_wait_says_that_it_is_to_be_called_back(box: Running, capsys: pytest.CaptureFixture[str]) -> None:
    automic().defer()
    [line] = [one for one in capsys.readouterr().out.splitlines() if "waiting for" in one]
    assert "a callback is expected; until then it is polled every 300 s, the first time in 300 s" in line


def test_a_wait_for_a_callback_names_the_inbox_without_its_password(
    box: Running, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("AIRFLOW__TASKWATCH__INBOX_URL", "postgresql://me:hush-hush@db.test/calls")
    automic().defer()
    [line] = [one for one in capsys.readouterr().out.splitlines() if "waiting for" in one]
    assert (
        "by the settings of this worker, callbacks come through the inbox postgresql+psycopg://me:***@db.test" in line
    )
    assert "hush-hush" not in line


def test_a_wait_without_a_callback_names_no_inbox(box: Running, capsys: pytest.CaptureFixture[str]) -> None:
    automic(callback=False).defer()
    assert "the inbox" not in capsys.readouterr().out


def test_a_wait_through_a_file_says_that_other_hosts_do_not_see_it(
    box: Running, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("AIRFLOW__TASKWATCH__INBOX_URL", f"sqlite:///{tmp_path}/inbox.db")
    monkeypatch.setenv("AIRFLOW__CORE__EXECUTOR", "CeleryExecutor")
    automic().defer()
    [line] = [one for one in capsys.readouterr().out.splitlines() if "waiting for" in one]
    assert "(triggerers and receivers on other hosts do not see this file: let [taskwatch] inbox_url" in line


def test_a_worker_that_waits_asks_for_no_callback_and_says_so(
    box: Running, caplog: pytest.LogCaptureFixture, capsys: pytest.CaptureFixture[str]
) -> None:
    box.sandbox.add_rule("JOBS.T", duration=0.0)
    automic(deferrable=False, poll_interval=0.05).execute()

    assert asked(box) == [None]
    assert f"{capsys.readouterr().out}{caplog.text}".count("callbacks reach triggerers only") == 1


def test_without_a_callback_nothing_is_asked_for(box: Running) -> None:
    trigger = automic(callback=False).defer().trigger

    assert (asked(box), trigger.plan["callback"]) == ([None], None)


@pytest.mark.parametrize(
    "arguments, message",
    [
        ({"execution_option": "recurring", "details": {"execute_at": "06:30"}}, "recurring executions"),
        ({"wait_for_completion": False}, "no wait receives it"),
        ({"callback": AutomicCallback(headers={"authorization": "x"})}, "the header authorization"),
        ({"callback": AutomicCallback(payload={"execution_id": "runid"})}, "what is read from a callback"),
        ({"callback": AutomicCallback(keep="archive_key1")}, "keep must be a list"),
        ({"callback": AutomicCallback(url="http://airflow.example.com")}, r"AutomicCallback\(url=.*anybody can read"),
        ({"callback": {"keep": ["archive_key1"]}}, "callback must be True, False or an AutomicCallback"),
        ({"callback_poll_interval": 0}, "callback_poll_interval"),
    ],
)
def test_a_callback_that_would_not_arrive_is_refused_before_the_start(
    box: Running, arguments: dict[str, Any], message: str
) -> None:
    with pytest.raises(ConfigurationError, match=message):
        automic(**arguments).execute()

    assert asked(box) == []


@pytest.mark.parametrize("name", ["CALLBACK_SECRETS", "CALLBACK_BASE_URL"])
def test_a_callback_that_is_not_set_up_is_refused_before_anything_is_started(
    box: Running, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    monkeypatch.delenv(f"AIRFLOW__TASKWATCH__{name}")
    with pytest.raises(ConfigurationError, match=name.lower()):
        automic().execute()

    assert asked(box) == []
