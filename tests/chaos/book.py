"""The books of a run: the records of the remotes and of Airflow, checked against the invariants. Pure."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from itertools import pairwise
from typing import Any

from tests.chaos.ledger import Entry
from tests.chaos.plan import DEADLINE_SECONDS, STARTERS, UNMARKED, Job, Kind

GOOD = ("succeeded", "skipped")
BAD = ("failed", "cancelled", "lost")
ENDED = ("success", "failed", "skipped")
EXPLANATION = "taskwatch adopt"
"""Part of the error of a task that does not start again, because it is unknown whether it has started."""
EARLY_SECONDS = 2.0
"""Tolerance for an early deadline: clocks are rounded, and there is a last poll."""
UNDER_WAY_SECONDS = 1.0
"""Requests sent before the first 429 arrived are not counted."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Execution:
    """One piece of work that a remote has started."""

    job: str
    ref: str
    phase: str
    started_at: float
    ended_at: float | None = None
    is_cancelled: bool = False

    @property
    def seconds(self) -> float:
        """Its duration; 0 if it has not ended."""
        return 0.0 if self.ended_at is None else self.ended_at - self.started_at


@dataclass(frozen=True, slots=True, kw_only=True)
class Ended:
    """The final state of a task in Airflow's database.

    :param log: the log of all its tries, if a book reads it.
    """

    state: str | None
    tries: int
    log: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class UserAct:
    """A user has ended (``fail``) or cleared (``clear``) a task while a live triggerer held it."""

    job: str
    what: str
    at: float
    ref: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Request:
    """One line of the sandbox's log.

    :param process: the process that sent it, if known.
    """

    system: str
    process: str
    at: float
    status: int | None
    what: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Evidence:
    """The traces of a run.

    :param retry_after: seconds that a 429 of this run asks for.
    :param faults: how often each fault was played through.
    """

    jobs: Sequence[Job]
    executions: Sequence[Execution] = ()
    ended: Mapping[str, Ended] = field(default_factory=dict)
    user_acts: Sequence[UserAct] = ()
    entries: Sequence[Entry] = ()
    requests: Sequence[Request] = ()
    retry_after: float = 0.0
    faults: Mapping[str, int] = field(default_factory=dict)

    def of(self, job: Job) -> list[Execution]:
        """The executions of a job, oldest first."""
        return sorted((one for one in self.executions if one.job == job.name), key=lambda one: one.started_at)

    def how(self, job: Job) -> Ended:
        return self.ended.get(job.name, Ended(state=None, tries=0))

    def acts(self, job: Job) -> list[UserAct]:
        return [act for act in self.user_acts if act.job == job.name]


@dataclass(frozen=True, slots=True, kw_only=True)
class Violation:
    """An invariant that does not hold."""

    book: str
    job: str
    evidence: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Balance:
    """The books of one run."""

    counts: Mapping[str, int]
    violations: Sequence[Violation]

    def to_json(self) -> dict[str, Any]:
        return {"counts": dict(self.counts), "violations": [asdict(one) for one in self.violations]}


Book = Callable[[Evidence], Iterator[Violation]]


def balance(evidence: Evidence) -> Balance:
    """All books of a run."""
    violations = [one for book in BOOKS for one in book(evidence)]
    return Balance(counts=counts(evidence), violations=violations)


# --- one execution per task


def starts(evidence: Evidence) -> Iterator[Violation]:
    """A task has one execution, and one more after each that failed or was cleared."""
    for job in _ours(evidence, STARTERS):
        executions = evidence.of(job)
        if not executions and not _is_unknown_start(evidence, job):
            yield Violation(book="starts", job=job.name, evidence=f"nothing was started; {evidence.how(job)}")
        for before, after in pairwise(executions):
            if not _is_deliberate(before, after, evidence.acts(job)):
                yield Violation(book="starts", job=job.name, evidence=f"{after} was started after {before}")


def _is_deliberate(before: Execution, after: Execution, acts: Iterable[UserAct]) -> bool:
    if any(act.what == "clear" and before.started_at < act.at <= after.started_at for act in acts):
        return True
    return before.phase in BAD and before.ended_at is not None and before.ended_at <= after.started_at


def _is_unknown_start(evidence: Evidence, job: Job) -> bool:
    """Whether it failed because its start is unknown: only if the remote keeps no marker."""
    how = evidence.how(job)
    return job.kind in UNMARKED and how.state == "failed" and EXPLANATION in how.log


# --- every task ends, in the right state


def hanging(evidence: Evidence) -> Iterator[Violation]:
    """Every task has ended."""
    for job in _ours(evidence):
        if (state := evidence.how(job).state) not in ENDED:
            yield Violation(book="hanging", job=job.name, evidence=f"it is {state}; {evidence.of(job)}")


def outcomes(evidence: Evidence) -> Iterator[Violation]:
    """The state of a task matches the end of its last execution, and no retry is missing."""
    for job in _ours(evidence):
        executions, state = evidence.of(job), evidence.how(job).state
        if state not in ENDED or not executions:
            continue
        if state != _right_state(evidence, job, executions[-1]):
            yield Violation(book="outcomes", job=job.name, evidence=f"it is {state}; {executions[-1]}")
        elif state == "failed" and len(executions) < len(job.ends) and not _is_given_up(evidence, job):
            message = f"it was given up after {len(executions)} of {len(job.ends)} executions"
            yield Violation(book="outcomes", job=job.name, evidence=message)


def _right_state(evidence: Evidence, job: Job, last: Execution) -> str:
    return "success" if last.phase in GOOD and not _is_given_up(evidence, job) else "failed"


def _is_given_up(evidence: Evidence, job: Job) -> bool:
    """Whether a user has failed it, or its start is unknown."""
    return any(act.what == "fail" for act in evidence.acts(job)) or _is_unknown_start(evidence, job)


def twice(evidence: Evidence) -> Iterator[Violation]:
    """A task is resumed once at most for each deferral: there is one event.

    Numbers of attempts do not count here. Where Airflow's scheduler is late, it takes the report of a worker that has
    deferred for one of the worker that is to resume, and gives the task another number in between.
    """
    for job in _ours(evidence):
        is_deferred = False
        for entry in sorted((one for one in evidence.entries if one.job == job.name), key=lambda one: one.at):
            if entry.what == "resume" and not is_deferred:
                message = f"attempt {entry.attempt} was resumed without a deferral since the last time"
                yield Violation(book="twice", job=job.name, evidence=message)
            if entry.what in ("defer", "resume"):
                is_deferred = entry.what == "defer"


# --- cancels are requested ones


def cancels(evidence: Evidence) -> Iterator[Violation]:
    """Executions that a user ended or cleared, or that ``on_timeout="cancel"`` ends, are cancelled, and no others."""
    for job in _ours(evidence):
        owed = {act.ref for act in evidence.acts(job)} | _overdue(evidence, job)
        for one in evidence.of(job):
            if job.kind is Kind.DEADLINE and one.is_cancelled and one.seconds < DEADLINE_SECONDS - EARLY_SECONDS:
                yield Violation(book="cancels", job=job.name, evidence=f"{one} was cancelled before its deadline")
            if one.is_cancelled and one.ref not in owed:
                yield Violation(book="cancels", job=job.name, evidence=f"the cancel of {one} was not requested")
            if one.ref in owed and not one.is_cancelled and one.phase not in (*GOOD, *BAD):
                yield Violation(book="cancels", job=job.name, evidence=f"the cancel of {one} is missing")


def _overdue(evidence: Evidence, job: Job) -> set[str]:
    """Executions that run longer than the job's ``timeout``: the stuck ones of a job with a deadline."""
    if job.kind is not Kind.DEADLINE:
        return set()
    return {one.ref for one, end in zip(evidence.of(job), job.ends, strict=False) if end == "stuck"}


# --- requests while the remote says 429


def restraint(evidence: Evidence) -> Iterator[Violation]:
    """Until Retry-After has passed, a process sends one request at most to a remote that has answered 429."""
    ordered = sorted(evidence.requests, key=lambda one: one.at)
    groups: dict[tuple[str, str], list[Request]] = {}
    for one in ordered:
        groups.setdefault((one.system, one.process), []).append(one)
    for (system, process), sent in groups.items():
        for at, probes in _probes(sent, evidence.retry_after):
            if len(probes) > 1:
                sample = ", ".join(f"{one.what} +{one.at - at:.1f} s" for one in probes[:5])
                message = f"{len(probes)} requests to {system} within {evidence.retry_after:g} s of a 429: {sample}"
                yield Violation(book="restraint", job=process, evidence=message)


def _probes(sent: Sequence[Request], seconds: float) -> Iterator[tuple[float, list[Request]]]:
    """For each first 429: the requests sent before its Retry-After had passed."""
    held_until = 0.0
    for one in sent:
        if one.status == 429 and one.at >= held_until:
            held_until = one.at + seconds
            yield one.at, [other for other in sent if one.at + UNDER_WAY_SECONDS < other.at < held_until]


# --- the harness itself


def applied(evidence: Evidence) -> Iterator[Violation]:
    """Every planned fault, kill and user act has happened.

    A lost reply ends a task before its point if the remote keeps no marker.
    """
    for name, times in evidence.faults.items():
        if not times:
            yield Violation(book="applied", job=name, evidence="the fault was not played through once")
    killed = {entry.job for entry in evidence.entries if entry.what == "kill"}
    for job in evidence.jobs:
        if job.point and job.name not in killed and not _is_unknown_start(evidence, job):
            yield Violation(book="applied", job=job.name, evidence=f"no worker was killed at '{job.point}'")
        if job.user and not evidence.acts(job):
            yield Violation(book="applied", job=job.name, evidence=f"no user came to {job.user} it")


BOOKS: tuple[Book, ...] = (starts, hanging, outcomes, twice, cancels, restraint, applied)


# --- counts


def counts(evidence: Evidence) -> dict[str, int]:
    """Counts of the run, with the control group counted separately."""
    jobs = list(_ours(evidence))
    controls = [job for job in evidence.jobs if job.is_control]
    return {
        "tasks": len(jobs),
        "succeeded": _in_state(evidence, jobs, "success"),
        "failed": _in_state(evidence, jobs, "failed"),
        "tries": sum(evidence.how(job).tries for job in jobs),
        "executions": sum(len(evidence.of(job)) for job in jobs if job.kind in STARTERS),
        "unknown starts": sum(_is_unknown_start(evidence, job) for job in jobs),
        "kills at a point": sum(entry.what == "kill" for entry in evidence.entries),
        "user acts": len(evidence.user_acts),
        "cancels": sum(one.is_cancelled for one in evidence.executions),
        "requests": len(evidence.requests),
        "429": sum(one.status == 429 for one in evidence.requests),
        "control tasks": len(controls),
        "control succeeded": _in_state(evidence, controls, "success"),
        "control hanging": sum(evidence.how(job).state not in ENDED for job in controls),
        "control started twice": sum(len(evidence.of(job)) > 1 for job in controls),
        "control tries": sum(evidence.how(job).tries for job in controls),
    }


def _in_state(evidence: Evidence, jobs: Iterable[Job], state: str) -> int:
    return sum(evidence.how(job).state == state for job in jobs)


def _ours(evidence: Evidence, kinds: Sequence[Kind] = (*STARTERS, Kind.SENSOR)) -> Iterator[Job]:
    return (job for job in evidence.jobs if job.kind in kinds)
