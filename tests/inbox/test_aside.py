"""Unreadable events that are set aside."""

from __future__ import annotations

import pytest

from airflow_provider_taskwatch.core.error import ConfigurationError
from airflow_provider_taskwatch.core.feed import Unreadable
from airflow_provider_taskwatch.inbox.aside import asides, set_aside
from airflow_provider_taskwatch.inbox.protocol import Inbox
from airflow_provider_taskwatch.inbox.seal import Seal, fresh_key

ODD = Unreadable(content=b'{"patient": "Anna"}', problem="it has no name")
KEY = fresh_key()


def no_seal() -> Seal:
    return Seal([])


def test_an_unreadable_event_is_kept_in_plain_text_without_a_key(inbox: Inbox) -> None:
    inbox.append("queue", [set_aside("queue", ODD, 5.0, None)])

    [one] = asides(inbox)
    assert (one.feed, one.received_at, one.problem, one.is_sealed) == ("queue", 5.0, "it has no name", False)
    assert one.open(no_seal) == ODD.content


def test_an_unreadable_event_is_sealed_with_a_key(inbox: Inbox) -> None:
    message = set_aside("queue", ODD, 5.0, Seal([KEY]))
    inbox.append("queue", [message])

    [one] = asides(inbox)
    assert "Anna" not in f"{message}{one}"
    assert one.open(lambda: Seal([fresh_key(), KEY])) == ODD.content
    with pytest.raises(ConfigurationError, match="no longer among"):
        one.open(lambda: Seal([fresh_key()]))


@pytest.mark.parametrize("keys", [[], [KEY]])
def test_an_unreadable_event_delivered_again_is_kept_once_for_each_feed(inbox: Inbox, keys: list[str]) -> None:
    seal = Seal(keys) if keys else None
    for feed in ("queue", "queue", "other"):
        inbox.append(feed, [set_aside(feed, ODD, 5.0, seal)])

    assert [one.feed for one in asides(inbox)] == ["queue", "other"]


@pytest.mark.parametrize("content", [b"", b"\x00\xff", "half a pair: \ud83d".encode("utf-8", "surrogatepass")])
def test_any_bytes_can_be_set_aside(inbox: Inbox, content: bytes) -> None:
    odd = Unreadable(content=content, problem="it is odd")
    inbox.append("queue", [set_aside("queue", odd, 5.0, None), set_aside("sealed", odd, 5.0, Seal([KEY]))])

    plain, sealed = asides(inbox)
    assert plain.open(no_seal) == content.decode(errors="replace").encode()
    assert sealed.open(lambda: Seal([KEY])) == content
