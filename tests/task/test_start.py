"""A start: what is written before the request and after the reply, and what a refused or lost one leaves behind."""

from __future__ import annotations

import json
import time
from typing import Any

import pytest
from airflow.providers.common.compat.sdk import AirflowFailException

from airflow_provider_taskwatch.core.error import ConfigurationError, RemoteError, TaskWatchError, TransportError
from airflow_provider_taskwatch.core.flow import PATIENT
from airflow_provider_taskwatch.sandbox.acquia.start import SHAPES, SWITCH_SHAPES
from airflow_provider_taskwatch.sandbox.server import Running
from tests.task.life import Life
from tests.task.quick import Acquia, Automic


def automic(**arguments: Any) -> Life:
    return Life(Automic, object_name="JOBS.T", **arguments)


def acquia(**arguments: Any) -> Life:
    return Life(Acquia, path="environments/1/databases", json={"name": "db", "source": "2"}, **arguments)


def started(box: Running) -> list[dict[str, Any]]:
    return box.sandbox.tasks(time.time())


def requests_at_each_write(life: Life, box: Running) -> list[tuple[bool, int]]:
    """For each record that was written: whether it held a ref, and how many starts had been received."""
    seen: list[tuple[bool, int]] = []
    life.store.on_set = lambda value: seen.append((value["ref"] is not None, len(started(box))))
    life.defer()
    return seen


@pytest.mark.parametrize("make", [automic, acquia])
def test_the_intent_is_written_before_the_request_and_the_ref_after_the_reply(box: Running, make: Any) -> None:
    assert requests_at_each_write(make(), box) == [(False, 0), (True, 1)]


def test_the_ref_and_its_page_are_pushed_before_the_wait(box: Running) -> None:
    life = automic()
    ref = life.defer().trigger.ref
    assert life.xcoms == {"ref": ref, "taskwatch_page": f"{box.url}/_control/tasks/{ref}"}


def test_without_a_template_in_the_connection_there_is_no_page(box: Running, monkeypatch: pytest.MonkeyPatch) -> None:
    content = box.connections()["automic_default"]
    del content["extra"]["ui_url"]
    monkeypatch.setenv("AIRFLOW_CONN_AUTOMIC_DEFAULT", json.dumps(content))
    life = automic()
    life.defer()
    assert life.xcoms["taskwatch_page"] == ""


def test_without_waiting_the_ref_is_the_result(box: Running) -> None:
    box.sandbox.add_rule(duration=600.0)
    life = automic(wait_for_completion=False)
    assert life.execute() == started(box)[0]["ref"] == life.xcoms["ref"]


def test_the_marker_is_the_alias_and_the_start_id(box: Running) -> None:
    life = automic(alias="nightly")
    life.defer()
    assert started(box)[0]["marker"] == f"nightly-{life.open_record.start_id}"


def test_each_mapped_task_instance_has_a_marker_of_its_own(box: Running) -> None:
    for map_index in (0, 1):
        life = automic(alias="nightly")
        life.map_index = map_index
        life.defer()
    assert len(box.sandbox.counts()["markers"]) == 2


def test_an_object_with_a_number_sign_is_started_and_checked(box: Running) -> None:
    box.sandbox.change({"automic": {"inputs": {"JOBS.#1": {"PRPT": {"DAY": "1"}}}}}, 0.0)
    life = automic(inputs={"DAY": "2"}, validate_inputs=True)
    life.arguments["object_name"] = "JOBS.#1"
    life.defer()
    assert started(box)[0]["name"] == "JOBS.#1"


# --- refused


@pytest.mark.parametrize("make", [automic, acquia])
@pytest.mark.parametrize("status", [400, 403, 404, 409, 422])
def test_a_refused_start_leaves_no_intent(box: Running, make: Any, status: int) -> None:
    box.sandbox.add_rule(refuse=status, message="not today")
    life = make()
    with pytest.raises(RemoteError, match=f"{status}.*not today"):
        life.execute()
    assert life.record is None
    assert started(box) == []


@pytest.mark.parametrize("make", [automic, acquia])
def test_without_a_record_a_refused_start_is_the_same_error(box: Running, make: Any) -> None:
    box.sandbox.add_rule(refuse=400, message="not today")
    life = make(durable=False)
    with pytest.raises(RemoteError, match="not today"):
        life.execute()
    assert life.store.written == []


@pytest.mark.parametrize("make", [automic, acquia])
def test_429_is_retried_and_in_the_end_leaves_no_intent(box: Running, make: Any) -> None:
    box.sandbox.add_fault("too_many", method="POST", endpoint="api")
    life = make()
    with pytest.raises(RemoteError, match="429"):
        life.execute()
    assert life.record is None
    assert len([one for one in box.sandbox.log() if one["status"] == 429]) == PATIENT.attempts


def test_acquias_unavailable_service_did_nothing(box: Running) -> None:
    box.sandbox.add_fault("server_error", method="POST", endpoint="api")
    life = acquia()
    with pytest.raises(RemoteError, match="system: This action is currently unavailable"):
        life.execute()
    assert life.record is None


@pytest.mark.parametrize("make", [automic, acquia])
def test_a_host_that_refuses_connections_leaves_no_intent(
    box: Running, make: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, value in box.environment().items():
        monkeypatch.setenv(name, value.replace(box.url, "http://127.0.0.1:9"))
    life = make()
    with pytest.raises(TaskWatchError, match=r"127\.0\.0\.1:9/.* refuses connections"):
        life.execute()
    assert life.record is None


def test_a_token_endpoint_that_says_no_leaves_no_intent(box: Running) -> None:
    box.sandbox.add_fault("unauthorized", endpoint="token")
    life = acquia()
    with pytest.raises(TaskWatchError, match="invalid_client"):
        life.execute()
    assert life.record is None


def test_unknown_inputs_are_refused_before_anything_is_written(box: Running) -> None:
    box.sandbox.change({"automic": {"inputs": {"JOBS.T": {"PRPT": {"DAY": "1"}}}}}, 0.0)
    life = automic(inputs={"NIGHT": "1"}, validate_inputs=True)
    with pytest.raises(ConfigurationError, match="unknown input 'NIGHT'; known are 'DAY'"):
        life.execute()
    assert life.store.written == []


def test_inputs_that_cannot_be_asked_for_now_are_not_a_lost_start(box: Running) -> None:
    box.sandbox.add_fault("server_error", path="/inputs$")
    life = automic(inputs={"DAY": "1"}, validate_inputs=True)
    with pytest.raises(RemoteError, match="503"):
        life.execute()
    assert life.store.written == []


# --- lost


@pytest.mark.parametrize("fault", ["lost_reply", "empty_body", "html", "huge_body", "server_error"])
def test_a_lost_reply_on_automic_is_found_by_its_marker(box: Running, fault: str) -> None:
    box.sandbox.add_fault(fault, system="automic", method="POST", work_done=True, times=1, size=9_000_000)
    life = automic()
    ref = life.defer().trigger.ref
    assert [one["ref"] for one in started(box)] == [ref]


@pytest.mark.parametrize("fault", ["lost_reply", "lost_request"])
def test_a_lost_reply_on_acquia_is_for_a_person(box: Running, fault: str) -> None:
    box.sandbox.add_fault(fault, method="POST", endpoint="api", times=1)
    life = acquia()
    life.map_index = 4
    with pytest.raises(AirflowFailException, match=r"clear this task .*`taskwatch adopt d .* t --map-index 4 REF"):
        life.execute()
    assert life.open_record.ref is None
    assert len(started(box)) == (fault == "lost_reply")


def test_an_unclear_5xx_on_acquia_is_for_a_person_too(box: Running) -> None:
    box.sandbox.add_fault("html", method="POST", endpoint="api", status=502)
    life = acquia()
    with pytest.raises(AirflowFailException, match="the start was sent, or may have been"):
        life.execute()


def test_a_lost_reply_to_work_that_may_run_twice_is_an_ordinary_failure(box: Running) -> None:
    box.sandbox.add_fault("lost_reply", method="POST", endpoint="api", times=1)
    life = acquia(on_unknown_start="start_again")
    with pytest.raises(TransportError):
        life.execute()
    life.try_number += 1
    life.defer()
    assert len(started(box)) == 2


def test_without_a_record_a_lost_reply_on_acquia_still_stops_the_retries(box: Running) -> None:
    box.sandbox.add_fault("lost_reply", method="POST", endpoint="api", times=1)
    with pytest.raises(AirflowFailException):
        acquia(durable=False).execute()


# --- a reply without a notification

NAMED = sorted(set(SHAPES) - {"none", "operation-only", "empty-href", "empty-body"})


@pytest.mark.parametrize("on_missing", ["fail", "succeed"])
@pytest.mark.parametrize("shape", NAMED)
def test_the_notification_is_found_in_every_shape_of_a_reply(box: Running, shape: str, on_missing: str) -> None:
    box.sandbox.change({"acquia": {"shape": shape}}, 0.0)
    life = acquia(on_missing_notification=on_missing)
    assert life.defer().trigger.ref == started(box)[0]["ref"]


@pytest.mark.parametrize("shape", sorted(set(SHAPES) - set(NAMED)))
def test_a_reply_without_a_notification_fails_the_task_for_good(box: Running, shape: str) -> None:
    box.sandbox.change({"acquia": {"shape": shape}}, 0.0)
    life = acquia()
    with pytest.raises(AirflowFailException, match="POST environments/1/databases names no notification"):
        life.execute()


@pytest.mark.parametrize("shape", sorted(set(SHAPES) - set(NAMED)))
def test_a_reply_without_a_notification_can_be_the_result(box: Running, shape: str) -> None:
    box.sandbox.change({"acquia": {"shape": shape}}, 0.0)
    life = acquia(on_missing_notification="succeed")
    result = life.execute()
    assert result == {} if shape == "empty-body" else result["message"] == "The database is being copied."
    assert life.xcoms == {}


@pytest.mark.parametrize("shape", ["links", "uuid"])
def test_a_bulk_code_switch_names_no_notification(box: Running, shape: str) -> None:
    assert shape in SWITCH_SHAPES
    box.sandbox.change({"acquia": {"switch_shape": shape}}, 0.0)
    life = acquia(on_missing_notification="succeed")
    life.arguments |= {"path": "codebases/1/bulk-code-switch", "json": {"reference": "main", "targets": []}}
    assert life.execute()["_links"]


def test_a_very_long_reply_is_cut_in_the_error(box: Running) -> None:
    box.sandbox.add_fault("huge_body", method="POST", endpoint="api", size=1_000_000)
    with pytest.raises(AirflowFailException) as caught:
        acquia().execute()
    assert len(str(caught.value)) < 1000


def test_an_id_that_could_change_the_address_is_no_notification(box: Running, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(SHAPES, "odd", lambda started: {"message": "ok", "notification": "../account?x=1"})
    box.sandbox.change({"acquia": {"shape": "odd"}}, 0.0)
    assert acquia(on_missing_notification="succeed").execute()["notification"] == "../account?x=1"
