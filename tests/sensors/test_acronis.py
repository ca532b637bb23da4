"""The sensor for Acronis tasks: what it watches, and how their ends become Airflow's."""

from __future__ import annotations

import pytest

from airflow_provider_taskwatch.core.error import ConfigurationError
from airflow_provider_taskwatch.sandbox.server import Running
from airflow_provider_taskwatch.task.result import RemoteTaskFailed, WaitFailed
from airflow_provider_taskwatch.triggers.watch import WatchTrigger
from tests.task.life import Life
from tests.task.quick import AcronisSensor, QuickAcronisHook


def started(box: Running, **rule: object) -> str:
    """The id of a task that was started elsewhere."""
    box.sandbox.add_rule("db", **{"duration": 0.0, **rule})
    hook = QuickAcronisHook()
    hook.run_policy("nightly", ["db"])
    [task] = hook.tasks(resourceId="db")
    return str(task["id"])


def poking(ref: str | int, **arguments: object) -> Life:
    return Life(AcronisSensor, acronis_task_id=ref, deferrable=False, poke_interval=0.02, **arguments)


def test_a_task_is_known_by_its_id_as_text_or_number(box: Running) -> None:
    ref = started(box)
    results = [poking(given).execute() for given in (ref, int(ref), f" {ref} ")]
    assert [(one["id"], one["code"]) for one in results] == [(ref, "ok")] * 3


def test_an_id_that_lost_its_digits_is_refused_before_any_request(box: Running) -> None:
    with pytest.raises(ConfigurationError, match=r"is not a task id: .*floats lose its last digits"):
        poking("9.007199254742001e+15").execute()


@pytest.mark.parametrize(
    "outcome, message",
    [("failure", "failed .completed, error.*: disk full"), ("cancelled", "cancelled"), ("lost", "lost")],
)
def test_a_bad_end_fails_with_the_remotes_message(box: Running, outcome: str, message: str) -> None:
    ref = started(box, outcome=outcome, message="disk full")
    with pytest.raises(RemoteTaskFailed, match=f"task {ref}: {message}"):
        poking(ref).execute()


def test_warnings_are_a_success_unless_they_shall_not_be(box: Running) -> None:
    ref = started(box, outcome="warning", message="slow")
    assert poking(ref).execute()["code"] == "warning"
    with pytest.raises(RemoteTaskFailed, match="slow"):
        poking(ref, fail_on_warnings=True).execute()


def test_a_task_that_waits_for_a_person_fails_where_that_was_asked_for(box: Running) -> None:
    ref = started(box, outcome="blocked", message="agent.offline")
    with pytest.raises(WaitFailed, match=r"waits for a person: blocked \(paused\).*: agent\.offline"):
        poking(ref, fail_on_blocked=True).execute()


def test_it_waits_in_the_triggerer_for_the_id_and_nothing_secret(box: Running) -> None:
    trigger = Life(AcronisSensor, acronis_task_id="007", fail_on_warnings=True).defer().trigger
    assert isinstance(trigger, WatchTrigger)
    arguments = trigger.serialize()[1]
    assert (arguments["plan"]["ref"], arguments["conn_id"]) == ("7", "acronis_default")
    assert arguments["plan"]["options"] == {"fail_on_warnings": True}
