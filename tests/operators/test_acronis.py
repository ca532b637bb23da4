"""The operators of Acronis' Event Manager, one request each."""

from __future__ import annotations

import pytest

from airflow_provider_taskwatch.core.error import ConfigurationError, RemoteError
from airflow_provider_taskwatch.hooks.acronis import AcronisHook
from airflow_provider_taskwatch.operators.acronis import AcronisCommitOffsetOperator, AcronisCreateSubscriptionOperator
from airflow_provider_taskwatch.sandbox.acronis.topic import TASK_TOPIC, TYPE_PREFIX
from airflow_provider_taskwatch.sandbox.server import Running
from airflow_provider_taskwatch.systems.acronis.feed import feed_of
from tests.task.life import Life

WISHES = {"topic": TASK_TOPIC, "types": [f"{TYPE_PREFIX}a.p.task.*"]}


def test_a_subscription_is_made_once_and_found_by_a_retry(box: Running) -> None:
    life = Life(AcronisCreateSubscriptionOperator, **WISHES)
    first, second = life.execute(), life.retry()
    assert first["subscription_id"] == second["subscription_id"]
    assert [one["status"] for one in box.sandbox.log() if one["method"] == "POST" and "subs" in one["path"]] == [
        201,
        409,
    ]


def test_a_subscription_is_that_of_a_feed_with_the_same_wishes(box: Running) -> None:
    wishes = {**WISHES, "consumer": "auto_commit", "cel": "event.source == 'x'", "session_timeout": "PT5M"}
    made = Life(AcronisCreateSubscriptionOperator, **wishes).execute()
    assert made["subscription_id"] == feed_of(AcronisHook().settings, wishes).subscription.id
    assert (made["auto_commit"], made["session_timeout"]) == (True, "PT5M")


def test_a_wrong_wish_is_named_before_any_request(box: Running) -> None:
    with pytest.raises(ConfigurationError, match="topic must begin with"):
        Life(AcronisCreateSubscriptionOperator, topic="tasks", types="*").execute()
    assert box.sandbox.log() == []


def test_an_offset_is_committed(box: Running) -> None:
    id_ = Life(AcronisCreateSubscriptionOperator, **WISHES).execute()["subscription_id"]
    said = Life(AcronisCommitOffsetOperator, subscription_id=id_, offset="7").execute()
    assert said == {"subscription_id": id_, "offset": 7}
    assert AcronisHook().subscription_offset(id_) == 7


def test_a_commit_without_a_subscription_is_refused(box: Running) -> None:
    with pytest.raises(RemoteError, match="answered 404"):
        Life(AcronisCommitOffsetOperator, subscription_id="454e9a51-2207-4a2c-9db4-6ca168ac9597", offset=7).execute()


@pytest.mark.parametrize(
    "arguments, problem",
    [
        ({"subscription_id": "x", "offset": 7}, "subscription_id must be a UUID"),
        (
            {"subscription_id": "454e9a51-2207-4a2c-9db4-6ca168ac9597", "offset": "None"},
            "offset must be a whole number",
        ),
    ],
)
def test_a_wrong_argument_is_named_before_any_request(box: Running, arguments: dict[str, object], problem: str) -> None:
    with pytest.raises(ConfigurationError, match=problem):
        Life(AcronisCommitOffsetOperator, **arguments).execute()
    assert box.sandbox.log() == []
