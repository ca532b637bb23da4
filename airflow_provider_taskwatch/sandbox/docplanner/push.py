"""Docplanner's pushes: when the next attempt is due, what is buried, and when that may be released.

The vendor's pages disagree on retries, so each of their three schedules can be chosen.
"""

from __future__ import annotations

import heapq
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Annotated

from airflow_provider_taskwatch.sandbox.post import Post
from airflow_provider_taskwatch.sandbox.setting import SPEED, Between, OneOf

from .notification import BLOCKING, Notification

RETRIES: Mapping[str, tuple[float, ...]] = {
    "none": (),  # client reference and OpenAPI: once, whatever the answer
    "guide": (300.0, 600.0),  # push guide: after 5 and 10 minutes
    "realtime": (60.0, 300.0, 900.0),  # real-time guide: after 1, 5 and 15 minutes
}
RELEASE_SECONDS = 3600.0
BURIED_SECONDS = 14 * 86400.0


@dataclass(kw_only=True)
class PushSettings:
    """How notifications are pushed.

    :param push_url: where to; empty: they are not pushed, and can be pulled.
    :param push_headers: sent along, such as the API key that was agreed upon.
    :param push_retries: when a push is repeated: ``none`` (never), ``guide`` (after 5 and 10 minutes) or ``realtime``
        (after 1, 5 and 15 minutes).
    :param push_speed: the factor by which the pauses between the attempts pass faster.
    :param push_at_once: the largest number of attempts at a time.
    :param push_timeout: seconds without an answer after which an attempt has failed.
    :param push_ca_bundle: path of the certificates that the receiver is checked against; empty: the system's.
    :param release_enabled: whether a release is allowed; None: where notifications are pushed.
    :param release_seconds: how long after a release the next one is refused.
    """

    push_url: str = ""
    push_headers: dict[str, str] = field(default_factory=dict)
    push_retries: Annotated[str, OneOf(RETRIES)] = "none"
    push_speed: Annotated[float, SPEED] = 1.0
    push_at_once: Annotated[int, Between(1)] = 16
    push_timeout: float = 10.0
    push_ca_bundle: str = ""
    release_enabled: bool | None = None
    release_seconds: float = RELEASE_SECONDS


@dataclass(frozen=True, slots=True, kw_only=True)
class _Push:
    """One notification on its way, and how many attempts have failed."""

    notification: Notification
    failed: int = 0


class Pushes:
    """What is being pushed, and what was not taken."""

    def __init__(self, settings: PushSettings) -> None:
        self._settings = settings
        self._waiting: list[tuple[float, int, _Push]] = []
        self._queued = 0
        self._under_way: dict[str, _Push] = {}
        self._buried: dict[str, Notification] = {}
        self._released_at: float | None = None

    def put(self, one: Notification) -> None:
        """Push one at its time."""
        self._wait(_Push(notification=one), one.created_at)

    def due(self, now: float) -> list[Post]:
        """The attempts to make now; each is handed out once."""
        ready = []
        while (at := self.next_due()) is not None and at <= now:
            _, _, one = heapq.heappop(self._waiting)
            self._under_way[one.notification.ref] = one
            ready.append(self._post(one, now))
        return ready

    def next_due(self) -> float | None:
        """When there may be an attempt to make; None: not before another one is over."""
        is_full = len(self._under_way) >= self._settings.push_at_once
        return self._waiting[0][0] if self._waiting and not is_full else None

    def answered(self, ref: str, status: int | None, now: float) -> bool | None:
        """Go on after an attempt.

        :return: of a blocking notification, whether it was approved; None of any other.
        """
        one = self._under_way.pop(ref)
        is_taken = status is not None and 200 <= status < 300
        if one.notification.name in BLOCKING:
            return is_taken
        if not is_taken:
            self._fail(one, now)
        return None

    def buried(self, now: float) -> list[Notification]:
        """What was not taken, the earliest first, as long as it is kept."""
        kept = {ref: one for ref, one in self._buried.items() if now < one.created_at + BURIED_SECONDS}
        self._buried = kept
        return list(kept.values())

    @property
    def may_be_released(self) -> bool:
        """Whether a release is allowed at all."""
        enabled = self._settings.release_enabled
        return bool(self._settings.push_url) if enabled is None else enabled

    def release(self, now: float) -> float:
        """Push again what is buried; or, where it is too early for that, the seconds until it is not."""
        if self._released_at is not None and now < self._released_at + self._settings.release_seconds:
            return self._released_at + self._settings.release_seconds - now
        self._released_at = now
        for one in self.buried(now):
            self._wait(_Push(notification=one), now)
        self._buried.clear()
        return 0.0

    def _fail(self, one: _Push, now: float) -> None:
        pauses = RETRIES[self._settings.push_retries]
        if one.failed < len(pauses):
            again = now + pauses[one.failed] / self._settings.push_speed
            self._wait(replace(one, failed=one.failed + 1), again)
        else:
            self._buried[one.notification.ref] = one.notification

    def _wait(self, one: _Push, due: float) -> None:
        self._queued += 1
        heapq.heappush(self._waiting, (due, self._queued, one))

    def _post(self, one: _Push, now: float) -> Post:
        body = one.notification.body
        return Post(
            system="docplanner",
            ref=one.notification.ref,
            about=one.notification.ref,
            claimed_ref="",
            claimed_status="",
            url=self._settings.push_url,
            headers=self._settings.push_headers,
            write=lambda ref, status: body,
            due=now,
            attempt=one.failed + 1,
            timeout_seconds=self._settings.push_timeout,
            ca_bundle=self._settings.push_ca_bundle,
        )
