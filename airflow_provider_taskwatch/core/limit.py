"""Whom a reply holds back, and for how long: what the remote asks for, else a growing pause."""

from __future__ import annotations

from dataclasses import replace
from enum import Enum, auto
from math import ceil, inf

from .flow import RETRY_AFTER_LIMIT_SECONDS, plain_seconds, retry_after, until_reset
from .wire import Reply

FIRST_SECONDS = 1.0
LIMIT_SECONDS = 60.0
BELIEVED_SECONDS = 300.0
"""The longest hold of a connection that its remote has not asked for: a guess, or an allowance that is used up.

As long as the pause that clients of Docplanner make after a block of its firewall."""

QUIET_SECONDS = 3.0
"""Refs that fail are a remote that fails when none has been read for so long."""
FEW_REFS = 3
REMEMBERED_REFS = 100
REMEMBERED_SECONDS = 600.0


class Scope(Enum):
    """Whom a reply concerns."""

    NOBODY = auto()
    SUBJECT = auto()
    """What the request was about: one ref, one list, one feed."""
    QUOTA = auto()
    """All requests that count against the same limit of the remote."""
    CONNECTION = auto()


def scope_of(reply: Reply | None, *, sent: bool = True) -> Scope:
    """Whom a reply, or a lost one (None), holds back.

    :param sent: whether the lost request may have reached the remote. A remote that takes a request and does not
        answer may do so for that one only; one that cannot be reached answers nobody.
    """
    if reply is None:
        return Scope.SUBJECT if sent else Scope.CONNECTION
    if reply.status == 429:
        return Scope.QUOTA
    if reply.status >= 500:
        return Scope.SUBJECT
    return Scope.NOBODY if renewed_in(reply) is None else Scope.QUOTA


def hold_seconds(reply: Reply | None, failures: int, limit: float = RETRY_AFTER_LIMIT_SECONDS) -> float:
    """Seconds during which nobody whom the reply concerns may ask.

    :param reply: None where the connection was lost.
    :param failures: how many exchanges in a row have failed, this one included; 0 after a good one.
    :param limit: the most that the remote may ask for.
    """
    if reply and (asked := _asked(reply)):
        return min(asked, limit)
    return min(LIMIT_SECONDS, FIRST_SECONDS * 2 ** min(failures - 1, 16)) if failures else 0.0


def repeated(reply: Reply, seconds: float) -> Reply:
    """The refusal once more, for a request that is made while ``seconds`` of its time are left."""
    return replace(reply, headers={**reply.headers, "retry-after": str(ceil(seconds))})


def is_failure(reply: Reply) -> bool:
    """Whether a reply says that the remote, not the request, is in trouble."""
    return reply.status == 429 or reply.status >= 500


def renewed_in(reply: Reply) -> float | None:
    """Seconds until the allowance is renewed that a reply says is used up; None where it says nothing like that.

    ``X-RateLimit-Reset`` holds seconds, or a moment.
    """
    remaining = reply.headers.get("x-ratelimit-remaining")
    if remaining is None or remaining.strip() != "0":
        return None
    value = reply.headers.get("x-ratelimit-reset", "").strip()
    seconds = plain_seconds(value)
    if seconds is not None and 0 < seconds <= RETRY_AFTER_LIMIT_SECONDS:
        return seconds
    return until_reset(reply.headers, reply.received_at) or None


class Suspicion:
    """Tells refs that fail from a remote that fails.

    A remote is suspected when three subjects, or all that there are, have failed, and none has succeeded, for
    :data:`QUIET_SECONDS`. A remote that could not be reached at all is suspected until the next success.
    """

    def __init__(self) -> None:
        self._failed: set[str] = set()
        self._failing_since: float | None = None
        self._is_unreachable = False
        self._succeeded_at = -inf
        self._good: dict[str, float] = {}

    def is_good(self, subject: str) -> bool:
        """Whether the subject was read well the last time; of many, only the newest are remembered."""
        return subject in self._good

    def succeeded(self, subject: str, now: float) -> None:
        self._succeeded_at = now
        good = self._good
        good.pop(subject, None)
        good[subject] = now
        if len(good) > REMEMBERED_REFS:
            del good[next(iter(good))]
        if self._failing_since is not None:
            self._failing_since, self._is_unreachable = None, False
            self._failed.clear()

    def failed(self, subject: str, asked_at: float, now: float) -> bool:
        """Whether the remote is suspected, now that this subject has failed."""
        self._good.pop(subject, None)
        if len(self._failed) < FEW_REFS:
            self._failed.add(subject)
        is_long = now - self._began(asked_at) >= QUIET_SECONDS
        return self._is_unreachable or (is_long and (len(self._failed) >= FEW_REFS or self._is_all(now)))

    def unreachable(self, asked_at: float) -> None:
        """Not even a connection was to be had."""
        self._is_unreachable = True
        self._began(asked_at)

    def _began(self, asked_at: float) -> float:
        """Since when requests have failed without a success in between."""
        if self._failing_since is None:
            self._failing_since = max(asked_at, self._succeeded_at)
        return self._failing_since

    def _is_all(self, now: float) -> bool:
        """Whether nothing is there that did not fail; what was not read for long has ended."""
        return not any(now - at <= REMEMBERED_SECONDS for at in self._good.values())


def _asked(reply: Reply) -> float | None:
    if is_failure(reply):
        return retry_after(reply.headers, reply.received_at)
    seconds = renewed_in(reply)
    return None if seconds is None else min(seconds, BELIEVED_SECONDS)
