"""The callback of a remote: a hint that a task has ended, with the values that it was asked to send."""

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
    """A payload as its system reads it. None of it is believed before a poll confirms it.

    :param ref: the task that it names; None where it names none.
    :param status: the remote's word for the end of the task; empty where there is none.
    :param errors: its error messages, by the remote's names for them.
    """

    ref: str | None = None
    status: str = ""
    errors: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class Expectation:
    """That a remote will call back, and what its payload is to bring. A plan carries it as plain JSON.

    :param poll_seconds: the interval of the polls until the callback comes.
    :param names: the system's own names, each with the name in the user's template.
    :param keep: names in the payload whose values go into the result.
    """

    poll_seconds: float = 300.0
    names: Mapping[str, str] = field(default_factory=dict)
    keep: Sequence[str] = field(default_factory=list)

    @property
    def rhythm(self) -> Rhythm:
        """The rhythm of the polls until the callback comes."""
        return Rhythm(limit_seconds=self.poll_seconds, adaptive=False)

    def __post_init__(self) -> None:
        if not self.poll_seconds > 0:
            raise ConfigurationError(f"callback_poll_interval must be greater than 0, not {self.poll_seconds!r}")


def enriched(outcome: Outcome, content: Mapping[str, Any], callback: Callback, keep: Sequence[str]) -> Outcome:
    """The outcome with the values to keep, and with the error messages where the task ended badly.

    Where values are to be kept, the result has a ``callback`` even if none came.
    """
    kept = {name: content[name] for name in keep if name in content}
    result = {**outcome.result, "callback": {"is_confirmed": False, **kept}} if keep else outcome.result
    errors = [f"{name}: {line(text)}" for name, text in callback.errors.items() if not outcome.ending.is_ok]
    return replace(outcome, message="\n".join([outcome.message, *errors]), result=result)
