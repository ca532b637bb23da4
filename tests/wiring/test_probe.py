"""The check of callbacks, against receivers that are right, wrong and absent."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from fastapi import FastAPI

from airflow_provider_taskwatch.command.probe import delivery, prove
from airflow_provider_taskwatch.config.callback import CallbackAddress, CallbackOptions
from airflow_provider_taskwatch.config.inbox import InboxName
from airflow_provider_taskwatch.core.error import ConfigurationError, RemoteError, TransportError
from airflow_provider_taskwatch.receiver.app import create_app
from airflow_provider_taskwatch.receiver.token import Keys
from tests.inbox.memory import MemoryInbox
from tests.play import play, reply, targets
from tests.receiver.served import serving
from tests.receiver.visitor import OTHER_SECRET, SECRET
from tests.rows import each_row

NAME = InboxName(name="the inbox of this test")
CALLBACK = CallbackAddress(url="https://calls.test/callbacks/hush-hush-token", bearer="hush-hush-bearer")


@pytest.fixture
def inbox() -> MemoryInbox:
    return MemoryInbox()


@pytest.fixture
def url(inbox: MemoryInbox) -> Iterator[str]:
    with serving(create_app(inbox, Keys([SECRET]))) as address:
        yield address


def options_for(base_url: str, *secrets: str) -> CallbackOptions:
    return CallbackOptions(
        base_url=base_url,
        secrets=secrets or (SECRET,),
        require_https=True,
    )


def test_each_step_of_a_callback_is_checked(url: str, inbox: MemoryInbox) -> None:
    inbox.beat("dmz-1", url)
    steps = dict(prove(options_for(url), inbox, NAME))
    assert list(steps) == ["settings", "inbox", "delivered", "found"]
    assert steps["settings"] == f"{url} with 1 secret(s)"
    assert steps["inbox"].startswith("the inbox of this test; receivers: ")  # the receiver here may be one of them
    assert "dmz-1 0 s ago" in steps["inbox"]


def test_an_inbox_that_other_hosts_may_not_see_is_a_warning(url: str, inbox: MemoryInbox) -> None:
    steps = list(prove(options_for(url), inbox, InboxName(name="a file", doubt="others do not see it")))
    assert steps[1][1].startswith("a file; receivers: ")
    assert steps[2] == ("warning", "others do not see it")
    assert [name for name, _ in steps] == ["settings", "inbox", "warning", "delivered", "found"]


def test_a_secret_that_the_receiver_does_not_have_is_named(url: str, inbox: MemoryInbox) -> None:
    with pytest.raises(ConfigurationError, match=f"the receiver at {url} has another secret: its .*callback_secrets"):
        list(prove(options_for(url, OTHER_SECRET, SECRET), inbox, NAME))


def test_a_receiver_with_another_inbox_is_named(url: str) -> None:
    with pytest.raises(ConfigurationError, match=f"{url} has accepted the callback, but it is not in .*another inbox"):
        list(prove(options_for(url), MemoryInbox(), NAME))


def test_a_receiver_that_does_not_run_is_named(url: str, inbox: MemoryInbox) -> None:
    with pytest.raises(TransportError, match=r"refuses connections; the receiver must run, and .*callback_base_url"):
        list(prove(options_for("http://127.0.0.1:1"), inbox, NAME))


def test_a_server_that_is_no_receiver_is_named(inbox: MemoryInbox) -> None:
    with (
        serving(FastAPI()) as other,
        pytest.raises(ConfigurationError, match=f"{other} answers 404, and {other}/health is not a receiver's"),
    ):
        list(prove(options_for(other), inbox, NAME))


def test_wrong_options_are_refused_before_a_request(inbox: MemoryInbox) -> None:
    with pytest.raises(ConfigurationError, match="anybody can read the secrets"):
        list(prove(options_for("http://calls.test"), inbox, NAME))


@each_row(
    "status, health, kind, message",
    [
        (503, {"service": "taskwatch receiver"}, RemoteError, r"/callbacks/\*\*\* answered 503: .*; see its log"),
        (404, {"service": "taskwatch receiver"}, ConfigurationError, "has another secret"),
        (405, "<html>", ConfigurationError, "below /taskwatch, and there only where callback_secrets is set"),
        (301, [], ConfigurationError, "is not a receiver's"),
    ],
)
def test_each_refusal_names_its_cause(status: int, health: object, kind: type[Exception], message: str) -> None:
    with pytest.raises(kind, match=message) as caught:
        play(delivery("https://calls.test", CALLBACK), reply(status), reply(200, health))
    assert "hush-hush" not in str(caught.value)


def test_a_server_whose_health_cannot_be_read_is_no_receiver() -> None:
    with pytest.raises(ConfigurationError, match="answers 502, and"):
        play(delivery("https://calls.test", CALLBACK), reply(502), TransportError("lost"))


def test_an_accepted_callback_needs_one_request() -> None:
    steps, _ = play(delivery("https://calls.test", CALLBACK), reply(204))
    assert targets(steps) == ["POST /callbacks/hush-hush-token"]
