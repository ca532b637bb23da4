from __future__ import annotations

import pytest

from airflow_provider_taskwatch.core.error import StrangerError
from airflow_provider_taskwatch.core.flow import ask
from airflow_provider_taskwatch.core.outcome import Ending
from airflow_provider_taskwatch.core.phase import Observation, Phase
from airflow_provider_taskwatch.core.plan import Plan
from airflow_provider_taskwatch.core.single_poll import last_poll, latest
from airflow_provider_taskwatch.core.wire import get
from tests.core.job import Talkative
from tests.play import play, reply
from tests.rows import each_row


class Jobs(Talkative):
    """Jobs by their refs; only those of ``options["mine"]`` carry our marker."""

    def __init__(self, **jobs):
        self.jobs = {ref.lstrip("_"): job for ref, job in jobs.items()}

    def observe(self, ref):
        yield from ask(get(f"/{ref}"))
        return Observation(**{"ref": ref, "phase": Phase.RUNNING, "status": "s", **self.jobs[ref]})

    def is_own(self, seen, options):
        return seen.ref == options.get("mine", seen.ref)


def end_of(*replies, **job):
    """The outcome of job 7 after the deadline."""
    return play(last_poll(Jobs(_7=job), Plan(ref="7"), 100.0), *replies)[1]


@each_row(
    "phase, replies, ending",
    [
        (Phase.SUCCEEDED, [reply(200)], Ending.SUCCEEDED),
        (Phase.FAILED, [reply(200), reply(200, "disk full")], Ending.FAILED),
    ],
)
def test_a_task_that_ended_without_being_observed_has_not_timed_out(phase, replies, ending):
    assert end_of(*replies, phase=phase).ending is ending


@each_row(
    "job, replies",
    [
        ({}, [reply(200)]),
        ({"phase": Phase.BLOCKED}, [reply(200)]),
        ({"phase": Phase.LOST, "status": ""}, [reply(200), reply(200)]),
    ],
)
def test_a_task_that_runs_or_is_gone_has_no_end_after_the_deadline(job, replies):
    assert end_of(*replies, **job) is None


@each_row("phase", [Phase.RUNNING, Phase.SUCCEEDED, Phase.FAILED])
def test_the_latest_observation_is_that_of_the_last_restart(phase):
    jobs = Jobs(_7={"phase": Phase.FAILED}, _8={"phase": phase})
    replies = [reply(200), reply(200, {"id": "8"}), reply(200), *([reply(200, {})] if phase is Phase.FAILED else [])]
    _, last = play(latest(jobs, "7", {"follow": True}), *replies)
    assert (last.ref, last.phase) == ("8", phase)


FAILED = {"phase": Phase.FAILED}


def test_a_task_with_another_marker_is_neither_observed_nor_ended():
    for program in (
        latest(Jobs(_7=FAILED), "7", {"mine": "8"}),
        last_poll(Jobs(_7=FAILED), Plan(ref="7", options={"mine": "8"}), 0.0),
    ):
        with pytest.raises(StrangerError, match="job 7 is not the one that was started here"):
            play(program, reply(200))


def test_a_restart_need_not_carry_our_marker():
    options, jobs = {"mine": "7", "follow": True}, Jobs(_7=FAILED, _8=FAILED)
    replies = [reply(200), reply(200, {"id": "8"}), reply(200), reply(200, {})]
    _, last = play(latest(jobs, "7", options), *replies)
    _, again = play(latest(jobs, "8", options, is_restart=True), reply(200), reply(200, {}))
    assert (last.ref, again.ref) == ("8", "8")


def test_a_task_that_goes_on_elsewhere_is_read_where_it_is():
    moved, ended = {"moved_to": "8", "phase": Phase.PENDING}, {"phase": Phase.SUCCEEDED}
    _, last = play(latest(Jobs(_7=moved, _8=ended), "7", {}), reply(200), reply(200))
    assert (last.ref, last.phase) == ("8", Phase.SUCCEEDED)
    _, outcome = play(last_poll(Jobs(_7=moved, _8=ended), Plan(ref="7"), 100.0), reply(200), reply(200))
    assert (outcome.ref, outcome.ending) == ("8", Ending.SUCCEEDED)
