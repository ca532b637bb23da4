"""One poll of a task outside of a wait: before it is rejoined or cancelled, and after the deadline."""

from __future__ import annotations

from .error import StrangerError
from .flow import Flow
from .judge import Memory
from .outcome import Outcome
from .phase import Observation
from .plan import Plan
from .system import Options, System
from .text import shown_ref
from .watch import PollResult, assess


def last_poll(system: System, plan: Plan, age: float) -> Flow[Outcome | None]:
    """The end of a task after the deadline of its wait; None where it has not ended.

    It may have ended in time while no triggerer ran.
    """
    system = system.for_wait(plan.options)
    seen = yield from system.observe(plan.ref)
    while seen.moved_to:
        seen = yield from system.observe(seen.moved_to)
    check_own(system, seen, plan.options)
    assessed = yield from assess(system, plan, Memory(seen=True), PollResult(age=age, observation=seen))
    outcome = assessed.outcome
    return outcome if outcome is not None and outcome.ending.is_of_remote and outcome.status else None


def latest(system: System, ref: str, options: Options, *, is_restart: bool = False) -> Flow[Observation]:
    """An observation of a task in its present stage, or of its restart where the options follow restarts.

    :param is_restart: whether the ref is a restart already, which need not carry our marker.
    :raises StrangerError: where the ref belongs to another start.
    """
    system = system.for_wait(options)
    while True:
        seen = system.understand((yield from system.observe(ref)), options)
        if seen.moved_to:
            ref = seen.moved_to
            continue
        if not is_restart:
            check_own(system, seen, options)
        if not seen.phase.is_final or seen.phase.is_ok:
            return seen
        successor = yield from system.successor(seen, options)
        if successor is None:
            return seen
        ref, is_restart = successor, True


def check_own(system: System, seen: Observation, options: Options) -> None:
    """Raise :class:`StrangerError` where an observation carries another marker than that of our start."""
    if not system.is_own(seen, options):
        raise StrangerError(
            f"{system.noun} {shown_ref(seen.ref)} is not the one that was started here: it does not carry its marker, "
            "so it is neither taken for it nor cancelled; has the remote been restored, or its ids begun anew?"
        )
