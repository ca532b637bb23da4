"""Where a task waits (worker or triggerer), its deadline, and when a trigger may resume it."""

from __future__ import annotations

import os
import time
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from airflow.providers.common.compat.sdk import conf

from airflow_provider_taskwatch.core.check import CENTURY_SECONDS, seconds


def is_deferrable(given: bool | None) -> bool:
    """Whether a task defers: its argument, else ``[taskwatch] default_deferrable``, else True.

    Airflow's ``[operators] default_deferrable`` does not count: every airflow.cfg has its default, False.
    """
    return bool(conf.getboolean("taskwatch", "default_deferrable", fallback=True)) if given is None else given


def now() -> datetime:
    """The current time in UTC."""
    return datetime.now(UTC)


SETTLED_AFTER_STARTS = 4.0
SETTLED_LEAST_SECONDS = 2.0
SETTLED_MOST_SECONDS = 60.0


def resumable_from(ti: Any, begun: datetime | None = None) -> datetime:
    """The earliest time at which a trigger may resume the task that defers now.

    Airflow 3.3.2 fails a task that a trigger resumes too soon, without an error in its log. The worker's process ends a
    while after the deferral, and its executor then reports *success*. The scheduler reads such reports once per loop,
    after it has queued the tasks that triggers have resumed (``process_executor_events``). The report has the try
    number of the task that is queued again, so the task counts as *killed externally*, unless it is still
    ``scheduled``, or the executor says that it has it (``has_task``). LocalExecutor never does, as nothing fills its
    ``running``.

    A trigger cannot ask whether the report has been read. The report needs the end of a process and a loop of the
    scheduler. Both take longer on a busy host, as the start of this process did, which is known. Beside two busy loops
    per core the report was read 2.1 to 6.9 s after the deferral, and never later than two seconds plus 2.3 times the
    start.

    ``dag.test()`` resumes a task itself, without a scheduler, so at once.

    :param ti: the task instance; None where it was resumed before: its start is that of the first process, so the age
        of this one counts.
    :param begun: when its code began to work, where that was before now.
    """
    if _is_dag_test():
        return now()
    started: datetime | None = process_start() if ti is None else ti.start_date
    if started is None:
        wanted = SETTLED_MOST_SECONDS
    else:
        wanted = SETTLED_AFTER_STARTS * max(0.0, (min(now(), begun or now()) - started).total_seconds())
    return now() + timedelta(seconds=min(SETTLED_MOST_SECONDS, SETTLED_LEAST_SECONDS + wanted))


def process_start() -> datetime | None:
    """When this process was started; None where the operating system is not Linux, which alone says it in a file."""
    try:
        ticks = int(Path("/proc/self/stat").read_text().rpartition(")")[2].split()[_START_TIME])
        age = time.clock_gettime(time.CLOCK_BOOTTIME) - ticks / os.sysconf("SC_CLK_TCK")
    except (OSError, ValueError, IndexError, AttributeError):
        return None
    return now() - timedelta(seconds=age)


_START_TIME = 19
"""Where the time of the start is, in clock ticks since the boot, among the fields after the name (proc(5))."""


def _is_dag_test() -> bool:
    """Whether ``dag.test()`` runs this task (3.3.2). Compares a name, as the class is no import for a worker."""
    from airflow.sdk.execution_time import task_runner

    return type(getattr(task_runner, "SUPERVISOR_COMMS", None)).__name__ == "InProcessSupervisorComms"


def backstop(deadline: datetime | None, poll_seconds: float) -> timedelta | None:
    """The time after which Airflow itself ends a deferral: a while after the deadline, which the trigger keeps."""
    return None if deadline is None else deadline - now() + timedelta(seconds=2 * poll_seconds + 60)


def deadline_of(ti: Any, timeout: float | None) -> datetime | None:
    """The deadline of a wait: ``timeout`` seconds from now, or ``execution_timeout`` from the start of the task.

    Airflow 3.3.2 does not apply ``execution_timeout`` to a deferred task, so it counts here.
    """
    limits = [_after(now(), timeout)] if timeout is not None else []
    if ti.task.execution_timeout is not None:
        limits.append(_after(ti.start_date or now(), seconds(ti.task.execution_timeout)))
    return min(limits, default=None)


def until(deadline: datetime | None) -> str:
    """The deadline, for the log."""
    return "no deadline" if deadline is None else f"deadline {deadline.astimezone(UTC):%Y-%m-%d %H:%M:%S} UTC"


def _after(start: datetime, length: float) -> datetime:
    return start + timedelta(seconds=min(length, CENTURY_SECONDS))
