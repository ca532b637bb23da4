"""Waiting for what other applications tell: activities until they are ready, warnings until they are resolved."""

from __future__ import annotations

import asyncio
import time
from typing import Any

import pytest
from airflow.providers.common.compat.sdk import AirflowSensorTimeout

from airflow_provider_taskwatch.core.error import ConfigurationError
from airflow_provider_taskwatch.core.outcome import Ending, from_event
from airflow_provider_taskwatch.sandbox.server import Running
from airflow_provider_taskwatch.systems.aps.notification import ApsNotification
from airflow_provider_taskwatch.systems.aps.text import LocalizedMessage
from airflow_provider_taskwatch.task.result import RemoteTaskFailed, WaitFailed
from airflow_provider_taskwatch.triggers.watch import WatchTrigger
from tests.task.life import Life
from tests.task.quick import ApsSensor, QuickApsHook

NO_PAUSE = {"poke_interval": 0.02, "deferrable": False}


def activity(box: Running, context: str = "load.1", **rule: Any) -> str:
    """The id of an activity of another application."""
    box.sandbox.add_rule(context, system="aps", **{"duration": 0.0, **rule})
    message = ApsNotification(message=LocalizedMessage(message="Load"), account_id="account-1", context=context)
    return QuickApsHook("aps_other").send_notification(message).id


def warning(box: Running, **rule: Any) -> str:
    box.sandbox.add_rule("quota", system="aps", **{"duration": 0.0, **rule})
    message = ApsNotification(
        type="warning",
        status="existing",
        message=LocalizedMessage(message="Disk is full"),
        account_id="account-1",
        context="quota",
    )
    return QuickApsHook("aps_other").send_notification(message).id


def asked(box: Running) -> list[str]:
    """The lists that were asked for, by the last part of their paths."""
    return [one["path"].rpartition("/")[2] for one in box.sandbox.log() if one["method"] == "GET"]


@pytest.mark.parametrize("given", ["id", "result"])
def test_an_activity_is_waited_for_by_its_id_or_by_the_result_of_its_sender(box: Running, given: str) -> None:
    ref = activity(box)
    result = Life(ApsSensor, notification_id=ref if given == "id" else {"id": ref}, **NO_PAUSE).execute()
    assert (result["id"], result["status"], result["message"]) == (ref, "ready", "Load")


def test_an_activity_is_waited_for_by_its_context(box: Running) -> None:
    ref = activity(box)
    result = Life(ApsSensor, context="load.1", **NO_PAUSE).execute()
    assert (result["id"], [one["id"] for one in result["notifications"]]) == (ref, [ref])


def test_all_activities_of_a_pattern_are_waited_for(box: Running) -> None:
    refs = [activity(box, "load.1"), activity(box, "load.2", duration=0.3)]
    result = Life(ApsSensor, context="load.*", **NO_PAUSE).execute()
    assert sorted(one["id"] for one in result["notifications"]) == sorted(refs)
    assert {one["status"] for one in result["notifications"]} == {"ready"}


def test_an_error_fails_with_the_message_of_the_notification(box: Running) -> None:
    ref = activity(box, outcome="failure", message="no space left")
    with pytest.raises(RemoteTaskFailed, match=rf"notification {ref}: failed \(error\): Load: no space left"):
        Life(ApsSensor, notification_id=ref, **NO_PAUSE).execute()


def test_a_warning_is_waited_for_until_it_is_resolved(box: Running) -> None:
    result = Life(ApsSensor, notification_id=warning(box, duration=0.3), **NO_PAUSE).execute()
    assert (result["status"], result["resolved"]) == ("existing", True)


def test_a_warning_that_exists_may_fail_at_once(box: Running) -> None:
    with pytest.raises(WaitFailed, match="waits for a person: blocked"):
        Life(ApsSensor, notification_id=warning(box, duration=60.0), fail_on_blocked=True, **NO_PAUSE).execute()


def test_a_status_that_is_not_known_is_waited_with_for_a_while_only(box: Running) -> None:
    ref = activity(box, outcome="unknown")
    with pytest.raises(WaitFailed, match="unknown status 'suspended'"):
        Life(ApsSensor, notification_id=ref, unknown_status_grace=0.1, **NO_PAUSE).execute()


def test_what_is_not_there_yet_is_waited_for_within_its_grace(box: Running) -> None:
    activity(box, hidden_seconds=0.3)
    assert Life(ApsSensor, context="load.1", **NO_PAUSE).execute()["status"] == "ready"
    with pytest.raises(RemoteTaskFailed, match="is not found after"):
        Life(ApsSensor, context="load.2", not_found_grace=0.1, **NO_PAUSE).execute()


def test_a_wait_has_an_end(box: Running) -> None:
    with pytest.raises(AirflowSensorTimeout):
        Life(ApsSensor, notification_id=activity(box, duration=60.0), timeout=0.1, **NO_PAUSE).execute()


@pytest.mark.parametrize(
    "arguments, message",
    [
        ({}, "give one of notification_id and context"),
        ({"notification_id": "a", "context": "b"}, "and not both"),
        ({"notification_id": "../a"}, "is not a notification id"),
        ({"notification_id": {"name": "x"}}, "notification_id must be a non-empty string"),
        ({"context": " "}, "context must be a non-empty string"),
    ],
)
def test_a_wrong_argument_is_named_before_any_request(box: Running, arguments: dict[str, Any], message: str) -> None:
    with pytest.raises(ConfigurationError, match=message):
        Life(ApsSensor, **arguments).execute()
    assert box.sandbox.log() == []


# --- in the triggerer


async def outcome(trigger: WatchTrigger) -> Any:
    [event] = [event async for event in trigger.run()]
    return from_event(event.payload)


async def test_one_list_serves_all_that_wait_on_a_connection(box: Running) -> None:
    refs = [activity(box, f"load.{number}", duration=1.0) for number in range(20)]
    triggers = [Life(ApsSensor, notification_id=ref, poll_interval=0.5, adaptive=False).defer().trigger for ref in refs]
    triggers += [Life(ApsSensor, context="load.*", poll_interval=0.5, adaptive=False).defer().trigger]
    before, began = len(asked(box)), time.monotonic()
    ended = await asyncio.gather(*map(outcome, triggers))
    assert {one.ending for one in ended} == {Ending.SUCCEEDED}
    lists, rounds = asked(box)[before:], (time.monotonic() - began) / 0.5
    assert set(lists) == {"displayMessages", "activitylog"}
    assert lists.count("displayMessages") <= rounds + 2


async def test_a_deferred_sensor_has_the_same_result(box: Running) -> None:
    ref = activity(box, duration=0.2)
    deferred = Life(ApsSensor, notification_id=ref, poll_interval=0.3)
    trigger = deferred.defer().trigger
    trigger.plan["finish"] = "resume"
    [event] = [event async for event in trigger.run()]
    on_worker = Life(ApsSensor, notification_id=ref, **NO_PAUSE).execute()
    assert deferred.resume(event.payload) == on_worker
