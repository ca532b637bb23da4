"""The stages of a profile's task: what each shows in which phase, and the life that the examples make."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Any

from airflow_provider_taskwatch.core.error import ConfigurationError
from airflow_provider_taskwatch.core.pattern import RequestPattern
from airflow_provider_taskwatch.core.phase import Phase
from airflow_provider_taskwatch.sandbox.task import TaskState, Vocabulary

from .example import Example, listed

BEFORE_END = ("pending", "running")
UNKNOWN = "unknown"
"""The example that shows a status which is in no table."""
UNLISTED = "sandbox-unlisted"
_BODY = re.compile(r"body(?:\.[A-Za-z_]\w*)+", re.ASCII)


class Stage:
    """One stage.

    :param content: the profile, or its ``then``.
    :ivar known: its ref in the examples; None where they hold none.
    """

    def __init__(self, content: Mapping[str, Any], known: Any) -> None:
        poll, ref, cancel = content["poll"], content["ref"], content.get("cancel")
        self.name = str(content["name"]) if "then_of" in content else ""
        self.kind = str(ref.get("kind") or "id")
        self.ref_from: list[str] = listed(ref["from"])
        self.known = known
        self.poll = RequestPattern(poll) if poll.get("path") else None
        self.cancel = RequestPattern(cancel, "POST") if cancel else None
        self.over: list[int] = (cancel or {}).get("over") or []
        self._poll = poll
        self._examples = {name: Example.of(one) for name, one in (poll.get("examples") or {}).items()}

    def status(self, phase: str) -> str:
        """A phase of this stage, as the sandbox notes it."""
        return f"{phase}#{self.name}" if self.name else phase

    def example(self, phase: str) -> Example | None:
        """What it shows in a phase; without an example, another one with a word of the profile's table."""
        if phase in self._examples:
            return self._examples[phase].copy()
        words = [UNLISTED] if phase == UNKNOWN else listed((self._poll.get("phases") or {}).get(phase))
        model = next((self._examples[one] for one in ("succeeded", *BEFORE_END) if one in self._examples), None)
        places = [one for one in listed(self._poll.get("status")) if _BODY.fullmatch(one)]
        if phase == "next" or not words or not places or model is None or not isinstance(model.body, Mapping):
            return None
        made = model.copy()
        made.put(places[:1], words[0])
        return made

    @property
    def next_ref(self) -> Example | None:
        """The reply that leads to the stage after it."""
        return self._examples.get("next")

    @property
    def life(self) -> list[str]:
        """The phases before its end that have examples, in order."""
        return [one for one in BEFORE_END if one in self._examples]

    def shown(self, phase: str, state: TaskState, progress: str) -> Example:
        """Its reply in a phase, with the progress and the message of a task.

        :param progress: how the rule wants it; see :class:`~.rule.Rule`.
        """
        example = self.example(phase)
        if example is None:
            raise ConfigurationError(f"the profile has no example for {self.status(phase)}")
        if state.message:
            example.put([one for one in listed(self._poll.get("message")) if _BODY.fullmatch(one)], state.message)
        rule = self._poll.get("progress") or {}
        places = [one for one in listed(rule.get("value")) if _BODY.fullmatch(one)]
        seen = example.find(places)
        if isinstance(seen, (int, float)) and not isinstance(seen, bool):
            scaled = state.progress * rule.get("scale", 100) / 100
            made = None if progress == "absent" else type(seen)(scaled)
            example.put(places, made)
        return example


def stages_of(profile: Mapping[str, Any]) -> Iterator[Stage]:
    """The stages of a profile, each with its ref in the examples.

    :raises ConfigurationError: an example that a life needs is missing.
    """
    start = profile.get("start") or {}
    known = Example.of(start.get("example") or {}).find(_of_reply(profile["ref"]))
    content: Mapping[str, Any] | None = profile
    place = ""
    while content is not None:
        stage, then = Stage(content, known), content.get("then")
        if not stage.life:
            raise ConfigurationError(f"{place}poll.examples needs 'running' or 'pending', which the sandbox plays")
        if then is None and stage.example("succeeded") is None:
            raise ConfigurationError(f"{place}poll.examples needs 'succeeded', which the sandbox plays")
        if then is not None:
            if stage.next_ref is None:
                raise ConfigurationError(f"{place}poll.examples needs 'next', the reply that leads to {then['name']}")
            known = stage.next_ref.find(_of_reply(then["ref"]))
        yield stage
        content = None if then is None else {**then, "then_of": True}
        place += "then."


def _of_reply(ref: Mapping[str, Any]) -> list[str]:
    return [one for one in listed(ref["from"]) if not one.startswith("request")]


_OUTCOMES = {
    "success": ("succeeded",),
    "failure": ("failed",),
    "cancelled": ("cancelled", "failed"),
    "skipped": ("skipped", "succeeded"),
    "lost": ("failed",),
    "blocked": ("blocked", "running", "pending"),
    "unknown": (UNKNOWN,),
}


def vocabulary_of(stages: list[Stage]) -> Vocabulary:
    """The life that the stages make: each phase before the end lasts equally long."""
    last = stages[-1]
    outcomes = {
        word: last.status(next((one for one in phases if last.example(one)), phases[0]))
        for word, phases in _OUTCOMES.items()
    }
    outcomes |= {phase: last.status(phase) for phase in ("succeeded", "failed", "skipped") if last.example(phase)}
    before = [stage.status(phase) for stage in stages for phase in stage.life]
    return Vocabulary(
        outcomes=outcomes,
        stages=tuple((at / len(before), status) for at, status in enumerate(before)),
        phase=phase_of,
    )


def phase_of(status: str) -> Phase:
    """Our word for a noted status."""
    name = status.partition("#")[0]
    return Phase(name) if name in set(Phase) else Phase.UNKNOWN
