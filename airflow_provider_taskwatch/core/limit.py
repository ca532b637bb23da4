"""Which requests a reply holds, and for how long: as the remote asks, else for a growing pause."""

from __future__ import annotations

from dataclasses import replace
from enum import Enum, auto
from math import ceil, inf

from .retry_after import RETRY_AFTER_LIMIT_SECONDS, plain_seconds, retry_after, until_reset
from .wire import Reply

FIRST_SECONDS = 1.0
LIMIT_SECONDS = 60.0
BELIEVED_SECONDS = 300.0
"""The longest hold of a connection that is assumed, or made for a used-up allowance.

Clients of Docplanner pause as long after a block by its firewall."""

QUIET_SECONDS = 3.0
"""How long no ref succeeds before failing refs count as a failing remote."""
FEW_REFS = 3
REMEMBERED_REFS = 100
REMEMBERED_SECONDS = 600.0


class Scope(Enum):
    """Which requests a reply concerns."""

    NONE = auto()
    SUBJECT = auto()
    """Requests about the same ref, list or feed."""
    QUOTA = auto()
    """Requests that count against the same limit of the remote."""
    CONNECTION = auto()


def scope_of(reply: Reply | None, *, sent: bool = True) -> Scope:
    """Which requests a reply holds.

    :param reply: None where the request got none.
    :param sent: whether the remote may have received that request. If so, it may fail to answer this one only; a
        remote that cannot be reached answers no request.
    """
    if reply is None:
        return Scope.SUBJECT if sent else Scope.CONNECTION
    if reply.status == 429:
        return Scope.QUOTA
    if reply.status >= 500:
        return Scope.SUBJECT
    return Scope.NONE if renewed_in(reply) is None else Scope.QUOTA


def hold_seconds(reply: Reply | None, failures: int, limit: float = RETRY_AFTER_LIMIT_SECONDS) -> float:
    """Seconds for which the requests that a reply concerns are held.

    :param reply: None where the request got none.
    :param failures: requests in a row that have failed, this one included; 0 after a good reply.
    :param limit: the longest hold for which the remote may ask.
    """
    if reply and (asked := _asked(reply)):
        return min(asked, limit)
    return min(LIMIT_SECONDS, FIRST_SECONDS * 2 ** min(failures - 1, 16)) if failures else 0.0


def repeated(reply: Reply, seconds: float) -> Reply:
    """A refusal as the reply to another request, made ``seconds`` before the end of the hold."""
    return replace(reply, headers={**reply.headers, "retry-after": str(ceil(seconds))})


def is_failure(reply: Reply) -> bool:
    """Whether a reply means that the remote has failed, not the request."""
    return reply.status == 429 or reply.status >= 500


def renewed_in(reply: Reply) -> float | None:
    """Seconds until a used-up allowance is renewed; None where the reply names none.

    ``X-RateLimit-Reset`` is a number of seconds, or a time.
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
    """Distinguishes refs that fail from a remote that fails.

    A remote is suspected when three subjects, or all there are, have failed and none has succeeded for
    :data:`QUIET_SECONDS`. A remote that could not be reached is suspected until the next success.
    """

    def __init__(self) -> None:
        self._failed: set[str] = set()
        self._failing_since: float | None = None
        self._is_unreachable = False
        self._succeeded_at = -inf
        self._good: dict[str, float] = {}

    def is_good(self, subject: str) -> bool:
        """Whether the last request about a subject succeeded. Only the newest subjects are remembered."""
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
        """Notes that a subject has failed; whether the remote is suspected now."""
        self._good.pop(subject, None)
        if len(self._failed) < FEW_REFS:
            self._failed.add(subject)
        is_long = now - self._began(asked_at) >= QUIET_SECONDS
        return self._is_unreachable or (is_long and (len(self._failed) >= FEW_REFS or self._is_all(now)))

    def unreachable(self, asked_at: float) -> None:
        """Notes that no connection could be made."""
        self._is_unreachable = True
        self._began(asked_at)

    def _began(self, asked_at: float) -> float:
        """When the present run of failures began."""
        if self._failing_since is None:
            self._failing_since = max(asked_at, self._succeeded_at)
        return self._failing_since

    def _is_all(self, now: float) -> bool:
        """Whether no subject has succeeded lately; one that was not read for long has ended."""
        return not any(now - at <= REMEMBERED_SECONDS for at in self._good.values())


def _asked(reply: Reply) -> float | None:
    if is_failure(reply):
        return retry_after(reply.headers, reply.received_at)
    seconds = renewed_in(reply)
    return None if seconds is None else min(seconds, BELIEVED_SECONDS)
