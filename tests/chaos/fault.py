"""The faults that are played in a run, in named steps with pauses between them."""

from __future__ import annotations

import signal
from collections.abc import Callable, Generator
from dataclasses import dataclass
from typing import Any

from tests.chaos.plan import RESTS, Kind
from tests.chaos.stage import SKEWED, TRIGGERERS, Stage

RETRY_AFTER_SECONDS = 6

Steps = Generator[float, None, None]
"""Performs a step, yields the seconds until the next one, and performs that."""

Play = Callable[[Stage, float], Steps]
"""The steps of a fault; the number is how long an outage lasts, in seconds."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Fault:
    """One kind of fault.

    :param play: is begun again whenever it is through, as long as tasks are open.
    :param killed_of_ten: in how many jobs of ten a worker is killed at a point.
    :param is_skewed: whether one triggerer needs a clock of its own.
    :param lasts: seconds of an outage, in the short form and in the long one.
    :param rests: seconds until the next fault, in the short form and in the long one.
    :param retry_seconds: Airflow's pause before a retry, in the short form and in the long one.
    """

    name: str
    title: str
    play: Play
    killed_of_ten: int = 0
    is_skewed: bool = False
    lasts: tuple[float, float] = (8.0, 60.0)
    rests: tuple[float, float] = (7.0, 14.0)
    retry_seconds: tuple[float, float] = (1.0, 1.0)


def nothing(stage: Stage, seconds: float) -> Steps:
    yield 0.0


# --- processes


def holding_triggerer_killed(stage: Stage, seconds: float) -> Steps:
    """It comes back after its watches were taken over by the other one."""
    name = stage.holder()
    stage.kill(name)
    yield 7.0
    stage.start(name)


def both_triggerers_killed(stage: Stage, seconds: float) -> Steps:
    for name in TRIGGERERS:
        stage.kill(name)
    yield 1.0
    for name in TRIGGERERS:
        stage.start(name)


def scheduler_pod_killed(stage: Stage, seconds: float) -> Steps:
    """With all its workers, as a pod with a LocalExecutor dies."""
    stage.kill("scheduler")
    yield 1.0
    stage.start("scheduler")


def scheduler_killed(stage: Stage, seconds: float) -> Steps:
    """Alone: its workers go on, as those of other executors do, and the harness starts another one."""
    stage.kill_main("scheduler")
    yield 1.0


def triggerer_frozen(stage: Stage, seconds: float) -> Steps:
    """For longer than the health threshold, so that its triggers live twice when it goes on."""
    name = stage.holder()
    stage.pause(name)
    yield 10.0
    stage.go_on(name)


def workers_terminated(stage: Stage, seconds: float) -> Steps:
    """SIGTERM of a task process, then of a supervisor, as soon as there is one that waits."""
    for whose in ("task", "supervisor"):
        for _ in range(10):
            yield 1.0
            if waiting := _on_worker(stage):
                process, supervisor = waiting[0]
                stage.signal(process if whose == "task" else supervisor, signal.SIGTERM, f"of a {whose} process")
                break


def _on_worker(stage: Stage) -> list[tuple[int, int]]:
    """Task process and supervisor of what waits on a worker now and has started its work."""
    instances, entries = stage.instances(), {entry.job: entry for entry in stage.ledger.read()}
    started = {task["name"] for task in stage.tasks()}
    waiting = [job.name for job in stage.jobs if job.kind is Kind.ON_WORKER and job.name in started]
    return [
        (entries[name].process, entries[name].supervisor)
        for name in waiting
        if name in entries and name in instances and instances[name].is_running_as(entries[name].process)
    ]


def api_server_away(stage: Stage, seconds: float) -> Steps:
    """Without it each attempt of any task fails at once, so retries must have the patience to outlast that.

    Users stay away meanwhile: while one is served, nothing goes on here, and the server would not come back.
    """
    with stage.outage("api server"):
        stage.kill("api-server")
        yield seconds
        stage.start("api-server")
        while not stage.has_api:
            yield 1.0


def database_restarted(stage: Stage, seconds: float) -> Steps:
    stage.disturb()
    stage.postgres.stop()
    stage.count("PostgreSQL restarts")
    yield 2.0
    stage.postgres.start()


def clock_jumped(stage: Stage, seconds: float) -> Steps:
    """An hour ahead, an hour behind, back; and what an administrator does about it then.

    Airflow 3.3.2 takes a triggerer for alive as long as its last heartbeat is not too old, and this one has written a
    heartbeat of the coming hour: no triggerer would take its triggers over when it ends.
    """
    for hours in (1, -1):
        stage.clock.jump(3600 * hours)
        stage.count(f"jumps of {SKEWED} by {hours:+} h")
        yield seconds
    stage.clock.jump(0)
    stage.kill(SKEWED)
    stage.declare_dead(SKEWED)
    stage.start(SKEWED)


# --- the remote


def remote(name: str, **values: Any) -> Play:
    """A fault of the sandbox that lasts."""

    def play(stage: Stage, seconds: float) -> Steps:
        with stage.outage(values.get("endpoint", name)):
            stage.box.sandbox.add_fault(name, **values)
            yield seconds
            stage.box.sandbox.clear_faults(name)

    return play


def bursts(stage: Stage, seconds: float) -> Steps:
    """A few errors in a row."""
    stage.box.sandbox.add_fault("server_error", times=6)
    stage.count("bursts of 503")
    yield 4.0
    stage.box.sandbox.clear_faults("server_error")


def lost_replies(stage: Stage, seconds: float) -> Steps:
    """The next start at each remote is done, and its reply lost."""
    sandbox = stage.box.sandbox
    sandbox.add_fault("lost_reply", system="automic", method="POST", path="executions$", times=1)
    sandbox.add_fault("lost_reply", system="acquia", method="POST", path="backups$", times=1)
    for kind in RESTS:
        sandbox.add_fault("lost_reply", system=str(kind), method="POST", path="jobs$", times=1)
    yield 3.0
    stage.count("replies lost", sum(fault["hits"] for fault in sandbox.faults.view() if fault["name"] == "lost_reply"))
    sandbox.clear_faults("lost_reply")


def revoked(stage: Stage, seconds: float) -> Steps:
    stage.box.sandbox.revoke_tokens()
    stage.count("tokens revoked")
    yield 1.0


_BRIEF = (1.0, 8.0)

FAULTS = (
    Fault(name="none", title="no fault", play=nothing, rests=(1.0, 60.0)),
    Fault(name="worker-killed", title="kill -9 of workers", play=nothing, killed_of_ten=10, rests=(5.0, 60.0)),
    Fault(name="worker-terminated", title="SIGTERM of workers", play=workers_terminated, rests=(0.0, 1.0)),
    Fault(name="remote-lost-replies", title="replies to starts lost", play=lost_replies, rests=(1.0, 4.0)),
    Fault(name="triggerer-killed", title="kill -9 of the triggerer with the watches", play=holding_triggerer_killed),
    Fault(
        name="remote-429",
        title="429 to every request",
        play=remote("too_many", retry_after=RETRY_AFTER_SECONDS),
        rests=(7.0, 45.0),
    ),
    Fault(name="clock-jumped", title="clock of a triggerer", play=clock_jumped, is_skewed=True, lasts=(8.0, 30.0)),
    Fault(name="scheduler-killed", title="kill -9 of the scheduler alone", play=scheduler_killed),
    Fault(name="triggerer-frozen", title="SIGSTOP, SIGCONT of a triggerer", play=triggerer_frozen),
    Fault(
        name="remote-away",
        title="503 to every request",
        play=remote("server_error"),
        lasts=(8.0, 300.0),
        rests=(7.0, 60.0),
    ),
    Fault(name="api-away", title="API server away", play=api_server_away, rests=(7.0, 30.0), retry_seconds=(1.0, 60.0)),
    Fault(name="remote-bursts", title="bursts of 503", play=bursts, rests=_BRIEF),
    Fault(  # with a pause below a scheduler's health threshold, a pod may get all tasks just before it dies, for ever
        name="scheduler-pod-killed",
        title="kill -9 of the scheduler's pod",
        play=scheduler_pod_killed,
        rests=(7.0, 45.0),
    ),
    Fault(name="database-restarted", title="PostgreSQL restarted", play=database_restarted),
    Fault(name="triggerers-killed", title="kill -9 of both triggerers", play=both_triggerers_killed),
    Fault(name="remote-hangs", title="hanging connections", play=remote("hang", times=20)),
    Fault(name="token-away", title="token endpoint down", play=remote("server_error", endpoint="token")),
    Fault(name="token-revoked", title="tokens revoked", play=revoked, rests=_BRIEF),
)
"""Each is a run of its own in the long form; in the short one they come in this order."""
