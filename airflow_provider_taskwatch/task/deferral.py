"""Where a task waits, and until when: on a worker or in a triggerer, its deadline, when it may be resumed."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

from airflow.sdk.configuration import conf

from airflow_provider_taskwatch.core.check import CENTURY_SECONDS, seconds


def default_deferrable() -> bool:
    """``[taskwatch] default_deferrable``, True where it is not set.

    Airflow's own ``operators.default_deferrable`` is not asked: its stock value, false, stands in every airflow.cfg.
    """
    return bool(conf.getboolean("taskwatch", "default_deferrable", fallback=True))


def is_deferrable(given: bool | None) -> bool:
    """Whether a task is to let go of its worker; the setting counts where its argument is not given."""
    return default_deferrable() if given is None else given


def now() -> datetime:
    """The time, with its zone."""
    return datetime.now(UTC)


SETTLED_AFTER_STARTS = 4.0
SETTLED_LEAST_SECONDS = 2.0
SETTLED_MOST_SECONDS = 60.0


def resumable_from(ti: Any, begun: datetime | None = None) -> datetime:
    """From when on a trigger may resume the task that is deferred now.

    Airflow 3.3.2 fails a task that a trigger resumes too soon, without an error in its log. The worker's process ends a
    while after the deferral, and its executor reports *success* then. The scheduler reads such reports once per loop,
    after it has queued what triggers have resumed (``process_executor_events``). The report has the try number of the
    task that is queued again, so the task counts as *killed externally*, unless it is still ``scheduled``, or the
    executor says that it has it (``has_task``), which LocalExecutor never does, as nothing fills its ``running``.

    Nothing that a trigger can ask shows whether the report has been read. What it waits for, the end of a process and
    a loop of the scheduler, takes longer on a busy host, as the start of this process did, and that is known. Beside
    two busy loops per core the report was read 2.1 to 6.9 s after the deferral, and never more than two seconds and
    2.3 times the time of the start.

    ``dag.test()`` resumes a task itself, without a scheduler: nothing is to be waited for there.

    :param ti: the task instance; None where its start tells nothing, as it was resumed before.
    :param begun: when its code began to work, where that was before now.
    """
    if _is_dag_test():
        return now()
    started: datetime | None = getattr(ti, "start_date", None)
    if started is None:
        wanted = SETTLED_MOST_SECONDS
    else:
        wanted = SETTLED_AFTER_STARTS * max(0.0, (min(now(), begun or now()) - started).total_seconds())
    return now() + timedelta(seconds=min(SETTLED_MOST_SECONDS, SETTLED_LEAST_SECONDS + wanted))


def _is_dag_test() -> bool:
    """Whether this task runs in the process of ``dag.test()`` (3.3.2); by its name, to import nothing on a worker."""
    from airflow.sdk.execution_time import task_runner

    return type(getattr(task_runner, "SUPERVISOR_COMMS", None)).__name__ == "InProcessSupervisorComms"


def backstop(deadline: datetime | None, poll_seconds: float) -> timedelta | None:
    """The time after which Airflow itself ends a deferral: a while behind the deadline, which the trigger owns."""
    return None if deadline is None else deadline - now() + timedelta(seconds=2 * poll_seconds + 60)


def deadline_of(ti: Any, timeout: float | None) -> datetime | None:
    """When a wait ends at the latest: ``timeout`` seconds from now, or by the task's ``execution_timeout``.

    Airflow 3.3.2 does not apply ``execution_timeout`` to a deferred task, so it counts here.
    """
    limits = [_after(now(), timeout)] if timeout is not None else []
    if ti.task.execution_timeout is not None:
        limits.append(_after(ti.start_date or now(), seconds(ti.task.execution_timeout)))
    return min(limits, default=None)


def until(deadline: datetime | None) -> str:
    """When a wait ends, for people."""
    return "no deadline" if deadline is None else f"deadline {deadline.astimezone(UTC):%Y-%m-%d %H:%M:%S} UTC"


def _after(start: datetime, length: float) -> datetime:
    return start + timedelta(seconds=min(length, CENTURY_SECONDS))
