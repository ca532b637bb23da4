"""The release of Docplanner's notifications: once an hour, with a wait or a skip in between."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from functools import cached_property
from typing import Any

import pytest
from airflow.providers.common.compat.sdk import AirflowFailException, AirflowSkipException, TaskDeferred
from airflow.providers.standard.triggers.temporal import DateTimeTrigger
from requests_mock import Mocker

from airflow_provider_taskwatch.core.error import ConfigurationError, RemoteError
from airflow_provider_taskwatch.drive.blocking import BlockingDriver
from airflow_provider_taskwatch.hooks.docplanner import DocplannerHook
from airflow_provider_taskwatch.operators.docplanner import DocplannerReleaseNotificationsOperator
from tests.task.life import Life

RELEASE = "https://www.doctoralia.es/api/v3/integration/notifications/release"
CONNECTION = {"conn_type": "docplanner", "host": "doctoralia.es", "login": "us", "password": "hush-hush"}
DONE = {"status_code": 204}


def too_early(**headers: str) -> dict[str, Any]:
    return {"status_code": 429, "json": {"errors": [], "message": "Too early"}, "headers": headers}


class SleeplessHook(DocplannerHook):
    """Its clock goes on where another one would sleep."""

    def __init__(self) -> None:
        super().__init__()
        self.slept: list[float] = []

    @cached_property
    def driver(self) -> BlockingDriver:
        return BlockingDriver(self.settings, sleep=self.slept.append, clock=lambda: sum(self.slept))


class Release(DocplannerReleaseNotificationsOperator):
    @cached_property
    def hook(self) -> SleeplessHook:  # type: ignore[override]
        return SleeplessHook()


@pytest.fixture
def remote(monkeypatch: pytest.MonkeyPatch, requests_mock: Mocker) -> Mocker:
    monkeypatch.setenv("AIRFLOW_CONN_DOCPLANNER_DEFAULT", json.dumps(CONNECTION))
    requests_mock.post("https://www.doctoralia.es/oauth/v2/token", json={"access_token": "t"})
    return requests_mock


def releases(remote: Mocker) -> int:
    return len([one for one in remote.request_history if one.url == RELEASE])


def test_it_releases_and_has_no_result(remote: Mocker) -> None:
    remote.post(RELEASE, [DONE])
    assert Life(Release).execute() is None
    assert releases(remote) == 1


def test_what_comes_too_early_waits_in_the_triggerer_by_airflows_own_trigger(remote: Mocker) -> None:
    remote.post(RELEASE, [too_early(**{"Retry-After": "1800"}), DONE])
    life = Life(Release)
    deferred = life.defer()
    assert isinstance(deferred.trigger, DateTimeTrigger)
    assert abs(deferred.trigger.moment - datetime.now(UTC) - timedelta(seconds=1800)) < timedelta(seconds=60)
    assert (deferred.method_name, deferred.timeout) == ("execute_complete", None)

    assert life.resume(None) is None
    assert releases(remote) == 2


def test_it_waits_again_where_another_release_came_first(remote: Mocker) -> None:
    remote.post(RELEASE, [too_early(**{"Retry-After": "5"}), too_early(**{"Retry-After": "3600"})])
    life = Life(Release)
    life.defer()
    with pytest.raises(TaskDeferred):
        life.resume(None)


def test_the_execution_timeout_ends_the_wait(remote: Mocker) -> None:
    remote.post(RELEASE, [too_early(**{"Retry-After": "1800"})])
    deferred = Life(Release, execution_timeout=timedelta(minutes=5)).defer()
    assert deferred.timeout is not None
    assert timedelta(minutes=4) < deferred.timeout <= timedelta(minutes=5)


def test_an_early_release_waits_on_the_worker_with_deferrable_false(remote: Mocker) -> None:
    remote.post(RELEASE, [too_early(**{"Retry-After": "1800"}), too_early(), DONE])
    life = Life(Release, deferrable=False)
    assert life.execute() is None
    assert life.task.hook.slept == [1800.0, 3600.0]


def test_an_early_release_is_skipped_with_on_rate_limit_skip(remote: Mocker) -> None:
    remote.post(RELEASE, [too_early(**{"Retry-After": "1800"})])
    with pytest.raises(AirflowSkipException, match="once an hour; the next one in 1800 s"):
        Life(Release, on_rate_limit="skip").execute()


def test_a_client_that_pulls_gets_a_clear_error_and_no_retry(remote: Mocker) -> None:
    remote.post(RELEASE, status_code=403, json={"errors": [], "message": "You are not allowed to use this method"})
    with pytest.raises(AirflowFailException, match="a release is only for clients to which Docplanner pushes"):
        Life(Release).execute()


def test_a_remote_in_trouble_is_left_to_the_retries_of_the_task(remote: Mocker) -> None:
    remote.post(RELEASE, status_code=503)
    with pytest.raises(RemoteError, match="answered 503"):
        Life(Release).execute()
    assert releases(remote) == 1


def test_a_wrong_argument_is_named_before_anything_is_sent(remote: Mocker) -> None:
    with pytest.raises(ConfigurationError, match="on_rate_limit='fail' is not one of 'wait', 'skip'"):
        Life(Release, on_rate_limit="fail").execute()
    assert remote.request_history == []


def test_the_hook_is_that_of_the_connection() -> None:
    task = DocplannerReleaseNotificationsOperator(task_id="t", docplanner_conn_id="mine")
    assert (type(task.hook), task.hook.conn_id) == (DocplannerHook, "mine")
