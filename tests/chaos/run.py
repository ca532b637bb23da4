"""One run: the DAG is triggered, faults are played, users and remotes do their part, until every task has ended."""

from __future__ import annotations

import signal
import time
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any

import requests

from demo.api import ApiError, DagRun
from demo.wait import until
from tests.chaos.book import UserAct
from tests.chaos.fault import FAULTS, Fault, Steps
from tests.chaos.ledger import Entry, is_airflow
from tests.chaos.plan import RESTS, Job, Kind, Point, Victim
from tests.chaos.stage import Instance, Stage

ENDED = ("success", "failed", "skipped", "upstream_failed")
ROUND_SECONDS = 0.5
SHOW_SECONDS = 5.0
HELD_SECONDS = 20.0
"""Seconds for which the reply to a start is held back while its worker is killed."""
SERVE_SECONDS = 30.0
"""The longest time without faults after a user's act, until its consequences have happened."""
SETTLE_SECONDS = 4.0
"""Seconds that a task is deferred before a user acts on it, or its remote work is ended."""


def _is_of(job: Job, task: Mapping[str, Any]) -> bool:
    """Whether a task of the sandbox is what a job has started."""
    return bool(job.name == task["name"] or task["path"].endswith(job.name))


def _no_steps() -> Steps:
    yield from ()


@dataclass(slots=True)
class Run:
    """The state of a run.

    :param faults: played one after the other, again and again.
    :param form: 0 for the short one, 1 for the long one.
    """

    stage: Stage
    faults: Sequence[Fault]
    say: Callable[[str], None]
    form: int = 0
    played: Counter[str] = field(default_factory=Counter)
    user_acts: list[UserAct] = field(default_factory=list)
    instances: dict[str, Instance] = field(default_factory=dict)
    _steps: Steps = field(default_factory=_no_steps)
    _began: float = 0.0
    _turn: int = 0
    _next_round_at: float = 0.0
    _next_step_at: float = 0.0
    _shown_at: float = 0.0
    _deferred_since: dict[str, float] = field(default_factory=dict)
    _pending: dict[str, tuple[UserAct, int]] = field(default_factory=dict)
    _log_position: int = 0

    def play(self, within_seconds: float) -> None:
        """Run until every task has ended or the time is over; the books then name the tasks that hang."""
        self._hold_replies()
        self.stage.run_id = self.stage.airflow.trigger("chaos").run_id
        self._began = time.monotonic()
        until(
            lambda: self._round() or time.monotonic() - self._began > within_seconds,
            within_seconds=2 * within_seconds,
            what="the run is over",
        )
        self._steps.close()
        self._show()

    # --- one round

    def _round(self) -> bool:
        """Perform the actions that are due, twice a second; return True at the end of the run."""
        if time.monotonic() < self._next_round_at:
            return False
        self._next_round_at = time.monotonic() + ROUND_SECONDS
        self.stage.airflow.check()
        self._go_on()
        self.instances = self.stage.instances() or self.instances
        self._kill_senders()
        self._note_deferred()
        self._end_what_is_waited_for()
        self._act_as_user()
        if time.monotonic() - self._shown_at > SHOW_SECONDS:
            self._show()
        return self._is_over()

    def _go_on(self) -> None:
        """The next step of the fault, or of the next fault, when its time has come."""
        while time.monotonic() >= self._next_step_at and not self._is_user_served():
            pause = next(self._steps, None)
            if pause is None:
                self._begin()
            else:
                self._next_step_at = time.monotonic() + pause

    def _begin(self) -> None:
        """The next fault; in the short form each comes once."""
        is_done = self.form == 0 and self._turn >= len(self.faults)
        fault = FAULTS[0] if is_done else self.faults[self._turn % len(self.faults)]
        self._turn += 1
        self._steps = self._play(fault)

    def _play(self, fault: Fault) -> Steps:
        yield from fault.play(self.stage, fault.lasts[self.form])
        self.played[fault.name] += 1
        yield fault.rests[self.form]

    def _is_over(self) -> bool:
        """Whether every task has ended, and what a user has done last has been carried out."""
        has_ended = len(self.instances) == len(self.stage.jobs) and all(
            one.state in ENDED for one in self.instances.values()
        )
        return has_ended and not self._is_user_served()

    # --- kills while a reply is held back

    def _hold_replies(self) -> None:
        for job in self.stage.jobs:
            if job.point == Point.SENT:
                self._hold(job)

    def _hold(self, job: Job) -> None:
        if job.kind is Kind.ACQUIA:
            where = {"system": "acquia", "path": f"{job.name}$"}
        elif job.kind in RESTS:
            where = {"system": str(job.kind), "path": f"{job.name}$"}
        else:
            where = {"system": "automic", "path": "executions$", "body": f'"{job.name}"'}
        self.stage.box.sandbox.add_fault("latency", method="POST", seconds=HELD_SECONDS, times=1, **where)

    def _hold_again(self, jobs: Iterable[Job]) -> None:
        """The held reply was a refusal and no work was started: hold back the reply to the next try."""
        sandbox = self.stage.box.sandbox
        started, holds = sandbox.tasks(time.time()), [one for one in sandbox.faults.view() if one["name"] == "latency"]
        for job in jobs:
            is_open = any(job.name in one["path"] + one["body"] and not one["hits"] for one in holds)
            if not is_open and not any(_is_of(job, task) for task in started):
                self._hold(job)

    def _kill_senders(self) -> None:
        """The remote has started something whose reply is held back: now its worker dies."""
        due = {job.name: job for job in self.stage.jobs if job.point == Point.SENT}
        if not due:
            return
        latest = {entry.job: entry for entry in self.stage.ledger.read() if entry.what == "execute"}
        for request in self.stage.box.sandbox.log(self._log_position):
            self._log_position = request["n"]
            if "latency" in request["fault"] and not request["ref"]:
                self._hold_again(due.values())
            elif "latency" in request["fault"]:
                job = due[self._job_of(request["ref"])]
                self._kill(job, latest[job.name])

    def _job_of(self, ref: str) -> str:
        task = self.stage.box.sandbox.task(ref, time.time())
        return next(job.name for job in self.stage.jobs if _is_of(job, task))

    def _kill(self, job: Job, entry: Entry) -> None:
        process = entry.process if job.victim == Victim.TASK else entry.supervisor
        if not is_airflow(process) or not self.stage.ledger.claim(job.name.replace("/", ".")):
            return
        self.stage.signal(process, signal.SIGKILL, f"{job.victim} while the reply was held back")
        self.stage.ledger.note(job.name, "kill", entry.attempt)

    # --- users and remotes

    def _note_deferred(self) -> None:
        now = time.monotonic()
        for name, instance in self.instances.items():
            if instance.state == "deferred" and instance.is_held:
                self._deferred_since.setdefault(name, now)
            else:
                self._deferred_since.pop(name, None)

    def _settled(self, job: Job) -> bool:
        """Whether a triggerer has watched it for a while."""
        since = self._deferred_since.get(job.name)
        return since is not None and time.monotonic() - since > SETTLE_SECONDS

    def _watched(self, job: Job) -> bool:
        """Whether the trigger has looked since then: on a busy host it may start long after Airflow says so."""
        began, ref = time.time() - (time.monotonic() - self._deferred_since[job.name]), self._running_ref(job)
        log = self.stage.box.sandbox.log()
        return any(one["at"] > began and one["ref"] == ref and one["method"] == "GET" for one in log)

    def _end_what_is_waited_for(self) -> None:
        for job in self.stage.jobs:
            if job.kind is Kind.SENSOR and self._settled(job):
                passed = time.monotonic() - self._began
                if (
                    passed > job.seconds
                    and self._has_played_all
                    and self.stage.box.sandbox.task(job.ref, time.time())["phase"] == "running"
                ):
                    self.stage.box.sandbox.end(job.ref, job.ends[-1], time.time())

    @property
    def _has_played_all(self) -> bool:
        """Whether every fault was played; until then a task must be waiting."""
        return all(self.played[fault.name] for fault in self.faults)

    def _act_as_user(self) -> None:
        self._confirm()
        done = {act.job for act in self.user_acts} | self._pending.keys()
        for job in self.stage.jobs:
            if job.user and job.name not in done and self._settled(job) and self.stage.is_calm and self._watched(job):
                self._act(job)

    def _confirm(self) -> None:
        """Confirm a user's act once Airflow's database shows it: the reply of the API does not prove it."""
        for name, (act, attempt) in list(self._pending.items()):
            instance = self.instances[name]
            if instance.state == "failed" or instance.try_number > attempt:
                self.user_acts.append(act)
                self.stage.count(f"users: {act.what}")
            if act in self.user_acts or time.time() - act.at > SERVE_SECONDS:
                del self._pending[name]

    def _is_user_served(self) -> bool:
        """Whether a user has just done something, or is about to: what follows from it is not disturbed."""
        open_acts = (act for act in self.user_acts if time.time() - act.at < SERVE_SECONDS)
        return bool(self._pending) or any(not self._has_ended(act.ref) for act in open_acts)

    def _has_ended(self, ref: str) -> bool:
        return self.stage.box.sandbox.task(ref, time.time())["ended_at"] is not None

    def _act(self, job: Job) -> None:
        """Perform a user's act; an act without an effect is repeated later."""
        index = [one.name for one in self.stage.jobs if one.kind is job.kind].index(job.name)
        task = DagRun(api=self.stage.airflow.api, dag_id="chaos", run_id=self.stage.run_id).task(job.kind, index)
        act = UserAct(job=job.name, what=job.user, at=time.time(), ref=self._running_ref(job))
        self._pending[job.name] = (act, self.instances[job.name].try_number)
        with suppress(ApiError, requests.RequestException):
            task.mark("failed") if job.user == "fail" else task.clear()

    def _running_ref(self, job: Job) -> str:
        return next((t["ref"] for t in self.stage.tasks() if t["name"] == job.name and not t["ended_at"]), "")

    # --- progress

    def _show(self) -> None:
        self._shown_at = time.monotonic()
        states = Counter(str(one.state) for one in self.instances.values())
        ended = sum(states[state] for state in ENDED)
        rest = ", ".join(f"{count} {state}" for state, count in sorted(states.items()) if state not in ENDED)
        died = sum(entry.what == "kill" for entry in self.stage.ledger.read())
        others, latest = sum(self.stage.done.values()), next(reversed(self.stage.done), "nothing")
        self.say(
            f"{ended}/{len(self.stage.jobs)} tasks ended ({rest or 'none open'}); {died} kills at a point, "
            f"{others} other acts, the latest kind: {latest}"
        )
