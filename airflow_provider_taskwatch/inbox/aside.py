"""Events that cannot be read: set aside beside the feed's events, encrypted where a key is set."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any

from airflow_provider_taskwatch.core.feed import Unreadable
from airflow_provider_taskwatch.inbox.message import Message
from airflow_provider_taskwatch.inbox.protocol import Inbox

from .seal import Seal

CHANNEL = "aside"
"""The channel of all feeds; the subject names the feed."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Aside:
    """One event that was set aside.

    :param received_at: seconds since the epoch.
    :param content: what the remote sent, encrypted if ``is_sealed``.
    """

    feed: str
    received_at: float
    problem: str
    content: bytes = field(repr=False)
    is_sealed: bool

    def open(self, open_seal: Callable[[], Seal]) -> bytes:
        """What the remote sent.

        :raises ConfigurationError: where it is encrypted, and no key decrypts it.
        """
        return open_seal().open(self.content) if self.is_sealed else self.content


def set_aside(feed: str, one: Unreadable, now: float, seal: Seal | None) -> Message:
    """The message of an unreadable event; the same event, delivered again, is the same message.

    :param now: seconds since the epoch.
    """
    name = hashlib.sha256(one.content).hexdigest() if seal is None else seal.name(one.content)
    kept = {"plain": one.content.decode(errors="replace")} if seal is None else {"sealed": _text(seal, one.content)}
    content = {"problem": one.problem, **kept}
    return Message(channel=CHANNEL, subject=feed, delivery=f"{feed} {name}", content=content, received_at=now)


def asides(inbox: Inbox) -> Iterator[Aside]:
    """All events that were set aside, the oldest first."""
    number = 0
    while page := inbox.after(CHANNEL, number):
        yield from (_aside(one.message) for one in page)
        number = page[-1].number


def _text(seal: Seal, content: bytes) -> str:
    return seal.close(content).decode("ascii")


def _aside(message: Message) -> Aside:
    stored: Any = message.content
    sealed = stored.get("sealed")
    return Aside(
        feed=message.subject,
        received_at=message.received_at,
        problem=stored["problem"],
        content=(stored["plain"] if sealed is None else sealed).encode(),
        is_sealed=sealed is not None,
    )
