"""The proof that callbacks arrive, against receivers that are right, wrong and absent."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from fastapi import FastAPI

from airflow_provider_taskwatch.config.callback import CallbackAddress, CallbackOptions
from airflow_provider_taskwatch.core.error import ConfigurationError, RemoteError, TransportError
from airflow_provider_taskwatch.probe import delivery, prove
from airflow_provider_taskwatch.receiver.app import create_app
from airflow_provider_taskwatch.receiver.token import Keys
from tests.inbox.memory import MemoryInbox
from tests.play import play, reply, targets
from tests.receiver.served import serving
from tests.receiver.visitor import OTHER_SECRET, SECRET
from tests.rows import each_row

CALLBACK = CallbackAddress(url="https://calls.test/callbacks/hush-hush-token", bearer="hush-hush-bearer")


@pytest.fixture
def inbox() -> MemoryInbox:
    return MemoryInbox()


@pytest.fixture
def url(inbox: MemoryInbox) -> Iterator[str]:
    with serving(create_app(inbox, Keys([SECRET]))) as address:
        yield address


def settings(base_url: str, *secrets: str) -> CallbackOptions:
    return CallbackOptions(
        base_url=base_url,
        secrets=secrets or (SECRET,),
        require_https=True,
    )


def test_the_way_is_proved_step_by_step(url: str, inbox: MemoryInbox) -> None:
    inbox.beat("dmz-1", url)
    steps = dict(prove(settings(url), inbox))
    assert list(steps) == ["settings", "inbox", "delivered", "found"]
    assert steps["settings"] == f"{url} with 1 secret(s)"
    assert "dmz-1 0 s ago" in steps["inbox"]


def test_a_newer_secret_is_not_known_there_yet(url: str, inbox: MemoryInbox) -> None:
    with pytest.raises(ConfigurationError, match=f"the receiver at {url} has another secret: its .*callback_secrets"):
        list(prove(settings(url, OTHER_SECRET, SECRET), inbox))


def test_another_inbox_is_told_apart(url: str) -> None:
    with pytest.raises(ConfigurationError, match=f"{url} has taken the callback, but it is not in .*another inbox"):
        list(prove(settings(url), MemoryInbox()))


def test_nobody_there_is_told_apart(url: str, inbox: MemoryInbox) -> None:
    with pytest.raises(TransportError, match=r"refuses connections; the receiver must run, and .*callback_base_url"):
        list(prove(settings("http://127.0.0.1:1"), inbox))


def test_a_server_that_is_no_receiver_is_told_apart(inbox: MemoryInbox) -> None:
    with (
        serving(FastAPI()) as other,
        pytest.raises(ConfigurationError, match=f"{other} answers 404, and {other}/health is not a receiver's"),
    ):
        list(prove(settings(other), inbox))


def test_settings_that_are_wrong_end_it_before_anything_is_sent(inbox: MemoryInbox) -> None:
    with pytest.raises(ConfigurationError, match="anybody can read the secrets"):
        list(prove(settings("http://calls.test"), inbox))


@each_row(
    "status, health, kind, words",
    [
        (503, {"service": "taskwatch receiver"}, RemoteError, r"/callbacks/\*\*\* answered 503: .*; see its log"),
        (404, {"service": "taskwatch receiver"}, ConfigurationError, "has another secret"),
        (405, "<html>", ConfigurationError, "below /taskwatch, and there only where callback_secrets is set"),
        (301, [], ConfigurationError, "is not a receiver's"),
    ],
)
def test_a_refusal_says_what_it_means(status: int, health: object, kind: type[Exception], words: str) -> None:
    with pytest.raises(kind, match=words) as caught:
        play(delivery("https://calls.test", CALLBACK), reply(status), reply(200, health))
    assert "hush-hush" not in str(caught.value)


def test_a_health_that_cannot_be_asked_is_not_a_receiver_s() -> None:
    with pytest.raises(ConfigurationError, match="answers 502, and"):
        play(delivery("https://calls.test", CALLBACK), reply(502), TransportError("lost"))


def test_what_is_taken_is_asked_no_more() -> None:
    steps, _ = play(delivery("https://calls.test", CALLBACK), reply(204))
    assert targets(steps) == ["POST /callbacks/hush-hush-token"]
