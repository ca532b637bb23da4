"""Arguments that operators and sensors share: what they default to, and how they become values."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

from airflow.sdk.configuration import conf

from airflow_provider_taskwatch.core.error import ConfigurationError


def default_deferrable() -> bool:
    """``[taskwatch] default_deferrable``, True where it is not set.

    Airflow's own ``operators.default_deferrable`` is not asked: its stock value, false, stands in every airflow.cfg.
    """
    return bool(conf.getboolean("taskwatch", "default_deferrable", fallback=True))


def seconds(value: float | timedelta) -> float:
    """A duration in seconds."""
    return value.total_seconds() if isinstance(value, timedelta) else value


def seconds_or_none(value: float | timedelta | None) -> float | None:
    """The same for a duration that need not be given."""
    return None if value is None else seconds(value)


def now() -> datetime:
    """The time, with its zone."""
    return datetime.now(UTC)


def backstop(deadline: datetime | None, poll_seconds: float) -> timedelta | None:
    """The time after which Airflow itself ends a deferral: a while behind the deadline, which the trigger owns."""
    return None if deadline is None else deadline - now() + timedelta(seconds=2 * poll_seconds + 60)


def one_of(name: str, value: str, allowed: tuple[str, ...]) -> str:
    """``value``, or an error that names the argument and what it may be."""
    if value not in allowed:
        raise ConfigurationError(f"{name}={value!r} is not one of {', '.join(map(repr, allowed))}")
    return value


def deadline_of(ti: Any, timeout: float | None) -> datetime | None:
    """When a wait ends at the latest: ``timeout`` seconds from now, or by the task's ``execution_timeout``.

    Airflow 3.3.2 does not apply ``execution_timeout`` to a deferred task, so it counts here.
    """
    limits = [now() + timedelta(seconds=timeout)] if timeout is not None else []
    if ti.task.execution_timeout is not None:
        limits.append((ti.start_date or now()) + ti.task.execution_timeout)
    return min(limits, default=None)
