"""The faults: what is done to a run again and again, in named steps with pauses between them."""

from __future__ import annotations

import signal
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

from tests.chaos.plan import Kind
from tests.chaos.stage import SKEWED, TRIGGERERS, Stage

RETRY_AFTER_SECONDS = 6

Steps = Iterator[float]
"""Does something, yields for how many seconds to let the run go on, does the next thing."""

Play = Callable[[Stage, float], Steps]
"""The steps of a fault; the number is how long the long faults last, in seconds."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Fault:
    """One kind of fault.

    :param play: is begun again whenever it is through, as long as tasks are open.
    :param killed_of_ten: in how many jobs of ten a worker is killed at a point.
    :param is_skewed: whether one triggerer needs a clock of its own.
    :param lasts: seconds of one outage in the long form.
    """

    name: str
    title: str
    play: Play
    killed_of_ten: int = 0
    is_skewed: bool = False
    lasts: float = 60.0


def nothing(stage: Stage, seconds: float) -> Steps:
    yield 5.0


# --- processes


def holding_triggerer_killed(stage: Stage, seconds: float) -> Steps:
    """It comes back later than its watches are taken over by the other one."""
    yield 4.0
    name = stage.holder()
    stage.kill(name)
    yield 8.0
    stage.start(name)
    yield 10.0


def both_triggerers_killed(stage: Stage, seconds: float) -> Steps:
    yield 4.0
    for name in TRIGGERERS:
        stage.kill(name)
    yield 2.0
    for name in TRIGGERERS:
        stage.start(name)
    yield 12.0


def scheduler_pod_killed(stage: Stage, seconds: float) -> Steps:
    """With all its workers, as a pod with a LocalExecutor dies."""
    yield 8.0
    stage.kill("scheduler")
    yield 1.0
    stage.start("scheduler")
    yield 12.0


def scheduler_killed(stage: Stage, seconds: float) -> Steps:
    """Alone: its workers go on, as those of other executors do."""
    yield 8.0
    stage.kill_main("scheduler")
    yield 15.0


def triggerer_frozen(stage: Stage, seconds: float) -> Steps:
    """For longer than the health threshold, so that its triggers live twice when it goes on."""
    yield 3.0
    name = stage.holder()
    stage.pause(name)
    yield 10.0
    stage.go_on(name)
    yield 9.0


def workers_told_to_end(stage: Stage, seconds: float) -> Steps:
    """SIGTERM of a task process, then of a supervisor."""
    for whose in ("task", "supervisor"):
        yield 2.0
        waiting = _on_worker(stage)
        if not waiting:
            continue
        process, supervisor = waiting[0]
        stage.signal(process if whose == "task" else supervisor, signal.SIGTERM, f"of a {whose} process")


def _on_worker(stage: Stage) -> list[tuple[int, int]]:
    """Task process and supervisor of what waits on a worker now and has started its work."""
    instances, entries = stage.instances(), {entry.job: entry for entry in stage.ledger.read()}
    started = {task["name"] for task in stage.tasks()}
    running = [job.name for job in stage.jobs if job.kind is Kind.ON_WORKER and job.name in started]
    return [
        (entries[name].process, entries[name].supervisor)
        for name in running
        if name in entries and instances[name].state == "running" and instances[name].pid == entries[name].process
    ]


def api_server_away(stage: Stage, seconds: float) -> Steps:
    yield 3.0
    stage.kill("api-server")
    yield seconds
    stage.start("api-server")
    yield 20.0


def database_restarted(stage: Stage, seconds: float) -> Steps:
    yield 3.0
    stage.disturb()
    stage.postgres.stop()
    stage.count("PostgreSQL restarts")
    yield 2.0
    stage.postgres.start()
    yield 12.0


def clock_jumped(stage: Stage, seconds: float) -> Steps:
    """An hour ahead, and back after a while."""
    yield 1.0
    stage.clock.jump(3600)
    stage.count(f"jump of {SKEWED} by +1 h")
    yield 30.0
    stage.clock.jump(0)
    stage.count(f"jump of {SKEWED} back")
    yield 15.0
    stage.clock.jump(-3600)
    stage.count(f"jump of {SKEWED} by -1 h")
    yield 30.0
    stage.clock.jump(0)


# --- the remote


def remote(name: str, **values: Any) -> Play:
    """A fault of the sandbox that lasts, and is over for a while."""

    def play(stage: Stage, seconds: float) -> Steps:
        yield 2.0
        with stage.outage():
            stage.box.sandbox.add_fault(name, **values)
            yield seconds
            stage.box.sandbox.clear_faults(name)
        yield 7.0

    return play


def bursts(stage: Stage, seconds: float) -> Steps:
    """A few errors in a row, every few seconds."""
    yield 3.0
    stage.box.sandbox.add_fault("server_error", times=6)
    stage.count("bursts of 5xx")
    yield 4.0
    stage.box.sandbox.clear_faults("server_error")


def lost_replies(stage: Stage, seconds: float) -> Steps:
    """Of starts: every second one is done, and its reply lost."""
    sandbox = stage.box.sandbox
    sandbox.add_fault("lost_reply", system="automic", method="POST", path="executions$", skip=1, times=1)
    sandbox.add_fault("lost_reply", system="acquia", method="POST", path="backups$", skip=1, times=1)
    stage.count("replies lost")
    yield 1.5
    sandbox.clear_faults("lost_reply")


def revoked(stage: Stage, seconds: float) -> Steps:
    yield 4.0
    stage.box.sandbox.revoke_tokens()
    stage.count("tokens revoked")


FAULTS = (
    Fault(name="none", title="no fault", play=nothing),
    Fault(name="worker-killed", title="kill -9 of workers", play=nothing, killed_of_ten=10),
    Fault(
        name="triggerer-killed", title="kill -9 of the triggerer that holds the watches", play=holding_triggerer_killed
    ),
    Fault(name="triggerers-killed", title="kill -9 of both triggerers", play=both_triggerers_killed),
    Fault(name="scheduler-killed", title="kill -9 of the scheduler alone", play=scheduler_killed),
    Fault(name="scheduler-pod-killed", title="kill -9 of the scheduler and its workers", play=scheduler_pod_killed),
    Fault(name="triggerer-frozen", title="SIGSTOP, SIGCONT of a triggerer", play=triggerer_frozen),
    Fault(name="worker-terminated", title="SIGTERM of task processes and supervisors", play=workers_told_to_end),
    Fault(name="api-away", title="API server away", play=api_server_away),
    Fault(name="database-restarted", title="PostgreSQL restarted", play=database_restarted),
    Fault(name="remote-away", title="remote refuses everything (503)", play=remote("server_error"), lasts=300),
    Fault(
        name="remote-429",
        title="429 with Retry-After to everybody",
        play=remote("too_many", retry_after=RETRY_AFTER_SECONDS),
        lasts=60,
    ),
    Fault(name="remote-bursts", title="bursts of 5xx", play=bursts),
    Fault(name="remote-lost-replies", title="replies to starts lost", play=lost_replies),
    Fault(name="remote-hangs", title="hanging connections", play=remote("hang", times=20), lasts=45),
    Fault(name="token-away", title="token endpoint down", play=remote("server_error", endpoint="token"), lasts=60),
    Fault(name="token-revoked", title="tokens revoked", play=revoked),
    Fault(name="clock-jumped", title="the clock of one triggerer jumps by an hour", play=clock_jumped, is_skewed=True),
)
"""Each is a run of its own in the long form."""
