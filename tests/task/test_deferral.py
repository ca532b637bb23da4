"""When a trigger may resume a task: Airflow 3.3.2 fails one that is resumed before it knows of the deferral."""

from __future__ import annotations

import subprocess
import sys
import time
from datetime import UTC, datetime, timedelta
from types import SimpleNamespace

import pytest
from airflow.sdk.execution_time.supervisor import InProcessSupervisorComms, set_supervisor_comms

from airflow_provider_taskwatch.task.deferral import resumable_from
from tests.rows import each_row


def held_seconds(start_seconds: float | None, begun_seconds_ago: float = 0.0) -> float:
    """How long an event is held after a start of this length."""
    begun = datetime.now(UTC) - timedelta(seconds=begun_seconds_ago)
    started = None if start_seconds is None else begun - timedelta(seconds=start_seconds)
    return (resumable_from(SimpleNamespace(start_date=started), begun) - datetime.now(UTC)).total_seconds()


HELD = [(0.0, 2.0), (0.5, 4.0), (2.0, 10.0), (11.0, 46.0), (100.0, 60.0), (None, 60.0)]


@each_row("start, held", HELD)
def test_a_slow_start_of_the_process_holds_its_events_longer(start: float | None, held: float) -> None:
    assert held_seconds(start) == pytest.approx(held, abs=1.0)


def test_what_the_remote_took_is_no_sign_of_a_slow_host() -> None:
    assert held_seconds(1.0, begun_seconds_ago=30.0) == pytest.approx(6.0, abs=1.0)


def test_a_task_that_was_resumed_is_held_by_the_age_of_its_process() -> None:
    code = (
        "from airflow_provider_taskwatch.task.deferral import now, process_start, resumable_from as held\n"
        "before = (now() - process_start()).total_seconds()\n"
        "seconds = (held(None) - now()).total_seconds()\n"
        "print(before, seconds, (now() - process_start()).total_seconds())"
    )
    began = time.monotonic()
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=120)
    before, seconds, after = map(float, done.stdout.splitlines()[-1].split())
    assert 0.0 < before <= after < time.monotonic() - began + 1.0
    assert min(60.0, 2.0 + 4.0 * before) - 1.0 <= seconds <= min(60.0, 2.0 + 4.0 * after) + 1.0


def test_nothing_is_held_where_no_scheduler_is_there_to_be_waited_for() -> None:
    comms = InProcessSupervisorComms(supervisor=None)
    with set_supervisor_comms(comms):
        assert held_seconds(11.0) <= 0.0
        assert held_seconds(None) <= 0.0


def test_a_clock_that_went_back_holds_nothing_for_long() -> None:
    assert held_seconds(-3_600.0) == pytest.approx(2.0, abs=1.0)
