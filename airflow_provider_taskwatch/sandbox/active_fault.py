"""The faults in force: which one hits a call, or a callback, and how often."""

from __future__ import annotations

from dataclasses import asdict, replace
from functools import partial
from typing import Any

from airflow_provider_taskwatch.core.error import ConfigurationError
from airflow_provider_taskwatch.core.wire import Call

from .call_fault import CALL_FAULTS, Delivery, Work
from .callback_fault import CALLBACK_FAULTS
from .fault import ABOUT, Fault
from .post import Post
from .remote import Remote

ON_TOP = ("latency", "headers", "callback_early")
"""Faults that change what comes of another one."""


class ActiveFault:
    """A fault, how many calls have matched it, and how many it has hit."""

    def __init__(self, fault: Fault) -> None:
        self.fault = fault
        self.seen = 0
        self.hits = 0

    def is_due(self, now: float) -> bool:
        """Whether the fault hits the call that it sees now."""
        self.seen += 1
        fault = self.fault
        is_early = self.seen <= fault.skip
        is_used_up = fault.times is not None and self.hits >= fault.times
        is_over = fault.until is not None and now >= fault.until
        return not (is_early or is_used_up or is_over)

    def apply(self, remote: Remote[Any], call: Call, work: Work) -> Delivery:
        self.hits += 1
        kind = CALL_FAULTS[self.fault.name]
        does_work = kind.work_done if self.fault.work_done is None else self.fault.work_done
        done = work() if does_work and not kind.is_own else Delivery(reply=None)
        delivery = kind.effect(self.fault, remote, call, work)
        return replace(delivery, fault=self._named(delivery.fault), ref=delivery.ref or done.ref)

    def distort(self, posts: tuple[Post, ...]) -> tuple[Post, ...]:
        self.hits += 1
        distorted = (one for post in posts for one in CALLBACK_FAULTS[self.fault.name](self.fault, post))
        return tuple(replace(one, fault=self._named(one.fault)) for one in distorted)

    def _named(self, others: str) -> str:
        return f"{others} + {self.fault.name}" if others else self.fault.name


class Faults:
    """The faults in force."""

    def __init__(self) -> None:
        self._faults: list[ActiveFault] = []

    def add(self, *faults: Fault) -> None:
        """Put faults behind those that are there."""
        self._faults += [ActiveFault(fault) for fault in faults]

    def clear(self, name: str = "") -> None:
        """Remove the faults of this name, or all."""
        if name and name not in ABOUT:
            raise ConfigurationError(f"unknown fault {name!r:.80}; known are {', '.join(ABOUT)}")
        self._faults = [one for one in self._faults if name and one.fault.name != name]

    def view(self) -> list[dict[str, Any]]:
        """The faults, with how many calls each has seen and hit."""
        return [{**asdict(one.fault), "seen": one.seen, "hits": one.hits} for one in self._faults]

    def strike(self, remote: Remote[Any], call: Call, now: float, work: Work) -> Delivery:
        """Answer a call, with what goes wrong."""
        due = self._due(False, remote, call, now)
        strikes = next((one for one in due if one.fault.name not in ON_TOP), None)
        delivery = work() if strikes is None else strikes.apply(remote, call, work)
        for one in (one for one in due if one.fault.name in ON_TOP):
            delivery = one.apply(remote, call, partial(replace, delivery))
        return delivery

    def distort(self, remote: Remote[Any], post: Post, now: float) -> tuple[Post, ...]:
        """A callback as it goes on its way, or several."""
        posts: tuple[Post, ...] = (post,)
        for one in self._due(True, remote, post.call, now):
            posts = one.distort(posts)
        return posts

    def _due(self, is_of_callback: bool, remote: Remote[Any], call: Call, now: float) -> list[ActiveFault]:
        ours = (one for one in self._faults if one.fault.is_of_callback is is_of_callback)
        return [one for one in ours if one.fault.matches(remote, call) and one.is_due(now)]
