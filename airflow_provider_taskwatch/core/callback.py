"""What a remote says when it calls back: a hint that a task has ended, and whatever else it was told to send."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from .error import ConfigurationError
from .outcome import Outcome
from .schedule import Rhythm
from .text import line


@dataclass(frozen=True, slots=True, kw_only=True)
class Callback:
    """A payload as its system reads it. Nothing of it is believed.

    :param ref: the task that it names, None where it names none.
    :param status: the remote's word for how that has ended; empty where there is none.
    :param trouble: what it says of errors, by the remote's names for it.
    """

    ref: str | None = None
    status: str = ""
    trouble: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class Expectation:
    """That a remote will call back, and what is wanted from its payload. A plan carries it as plain JSON.

    :param poll_seconds: the interval of the looks that are taken all the same.
    :param names: the system's own names for what it reads, and the names that the user's template has for them.
    :param keep: names in the payload whose values belong into the result.
    """

    poll_seconds: float = 300.0
    names: Mapping[str, str] = field(default_factory=dict)
    keep: Sequence[str] = field(default_factory=list)

    @property
    def rhythm(self) -> Rhythm:
        """Of the looks that are taken all the same."""
        return Rhythm(limit_seconds=self.poll_seconds, adaptive=False)

    def __post_init__(self) -> None:
        if not self.poll_seconds > 0:
            raise ConfigurationError(f"callback_poll_interval must be greater than 0, not {self.poll_seconds!r}")


def enriched(outcome: Outcome, content: Mapping[str, Any], callback: Callback, keep: Sequence[str]) -> Outcome:
    """The outcome with what the callback has brought: kept values, and the remote's errors where it ended badly.

    Where values were to be kept, the result has a ``callback`` even if none came.
    """
    kept = {name: content[name] for name in keep if name in content}
    result = {**outcome.result, "callback": {"is_confirmed": False, **kept}} if keep else outcome.result
    told = [f"{name}: {line(text)}" for name, text in callback.trouble.items() if not outcome.ending.is_ok]
    return replace(outcome, message="\n".join([outcome.message, *told]), result=result)
