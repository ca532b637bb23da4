"""The gateway before Docplanner's API: a web firewall, a redirect to the right host, and rate limits."""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass, field, replace
from math import ceil
from urllib.parse import urlencode

from airflow_provider_taskwatch.core.wire import Call, Reply
from airflow_provider_taskwatch.sandbox.answer import header, html_reply

from .notification import moment

WINDOW_SECONDS = 300.0


@dataclass(kw_only=True)
class GuardSettings:
    """The settings of the gateway.

    :param firewall: whether requests without a User-Agent get a page with 405.
    :param firewall_requests: requests in five minutes, token requests included, after which the page comes as well;
        None: no limit.
    :param bare_hosts: names of hosts that redirect to themselves with ``www.`` in front.
    :param rate_limiter: whether requests are counted, and the headers sent that say so.
    :param rate_limit_reads: GET requests an hour.
    :param rate_limit_writes: other requests a minute.
    :param rate_limit_told: whether a 429 has a ``Retry-After``.
    """

    firewall: bool = False
    firewall_requests: int | None = None
    bare_hosts: list[str] = field(default_factory=list)
    rate_limiter: bool = False
    rate_limit_reads: int = 8000
    rate_limit_writes: int = 40
    rate_limit_told: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Allowance:
    """How many requests of a kind are allowed until a moment, and how many were sent."""

    limit: int
    used: int
    until: float

    @property
    def is_exceeded(self) -> bool:
        return self.used > self.limit

    @property
    def headers(self) -> dict[str, str]:
        """The headers that every reply carries, refusals included."""
        return {
            "x-ratelimit-limit": str(self.limit),
            "x-ratelimit-remaining": str(max(0, self.limit - self.used)),
            "x-ratelimit-used": str(min(self.limit, self.used)),
            "x-ratelimit-reset": moment(ceil(self.until)),
        }


class Guard:
    """Refuses requests before they reach the API."""

    def __init__(self, settings: GuardSettings) -> None:
        self._settings = settings
        self._recent: deque[float] = deque()
        self._allowances: dict[str, Allowance] = {}

    def turn_away(self, call: Call, now: float) -> Reply | None:
        """The page of the firewall, or a redirect; None for a request that passes."""
        if self._is_blocked(call, now):
            return html_reply(405)
        name = header(call, "host").partition(":")[0]
        if name not in self._settings.bare_hosts:
            return None
        target = f"{call.path}?{urlencode(call.query)}" if call.query else call.path
        return Reply(status=301, headers={"location": f"https://www.{name}{target}"})

    def count(self, call: Call, now: float) -> Allowance | None:
        """Count a request; None where no limit is set."""
        if not self._settings.rate_limiter:
            return None
        kind, limit, seconds = _KINDS.get(call.method, _WRITE)
        current = self._allowances.get(kind)
        if current is None or now >= current.until:
            current = Allowance(limit=getattr(self._settings, limit), used=0, until=now + seconds)
        self._allowances[kind] = replace(current, used=current.used + 1)
        return self._allowances[kind]

    def _is_blocked(self, call: Call, now: float) -> bool:
        settings = self._settings
        self._recent.append(now)
        while self._recent[0] <= now - WINDOW_SECONDS:
            self._recent.popleft()
        is_storm = settings.firewall_requests is not None and len(self._recent) > settings.firewall_requests
        return is_storm or (settings.firewall and not header(call, "user-agent"))


_WRITE = ("writes", "rate_limit_writes", 60.0)
_KINDS = {"GET": ("reads", "rate_limit_reads", 3600.0)}
