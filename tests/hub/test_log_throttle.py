"""Lines of waits are logged in bursts, in their own contexts, and for few owners at a time."""

from __future__ import annotations

import asyncio
import contextvars
import logging

import pytest

from airflow_provider_taskwatch.hub import log_throttle as module
from airflow_provider_taskwatch.hub.log_throttle import BURST_OWNERS, LogThrottle
from tests.until import until

TASK = contextvars.ContextVar("task", default="no task")


@pytest.fixture(autouse=True)
def _quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "BURST_SECONDS", 0.1)


class Log(logging.Logger):
    """Keeps the lines, and the task in whose context each is logged."""

    def __init__(self) -> None:
        super().__init__("test")
        self.lines: list[str] = []

    def handle(self, record: logging.LogRecord) -> None:
        self.lines.append(f"{TASK.get()}: {record.getMessage()}")


async def test_a_burst_logs_each_line_in_the_context_of_its_task() -> None:
    log_throttle, log = LogThrottle(), Log()

    async def write(name: str) -> None:
        TASK.set(name)
        log_throttle.log(name, log, logging.INFO, "line")

    await asyncio.gather(write("a"), write("b"))
    assert log.lines == []
    await until(lambda: len(log.lines) > 0)

    assert log.lines == ["a: line", "b: line"]


async def test_a_flush_logs_the_lines_of_one_owner_now() -> None:
    log_throttle, log = LogThrottle(), Log()
    for owner in ("a", "b"):
        log_throttle.log(owner, log, logging.INFO, owner)
    await log_throttle.flush("a")
    assert log.lines == ["no task: a"]
    await until(lambda: len(log.lines) == 2)
    await log_throttle.flush("a")

    assert log.lines == ["no task: a", "no task: b"]


async def test_of_waiting_lines_only_the_newest_is_logged_and_every_warning() -> None:
    log_throttle, log = LogThrottle(), Log()
    for progress in ("10 %", "20 %", "30 %"):
        log_throttle.log("a", log, logging.INFO, progress)
        log_throttle.log("a", log, logging.WARNING, f"slow at {progress}")
    await log_throttle.flush("a")

    assert log.lines == [
        "no task: slow at 10 %",
        "no task: slow at 20 %",
        "no task: 30 %",
        "no task: slow at 30 %",
    ]


async def test_a_flush_drops_the_lines_below_its_level() -> None:
    log_throttle, log = LogThrottle(), Log()
    log_throttle.log("a", log, logging.INFO, "it runs")
    log_throttle.log("a", log, logging.WARNING, "no receiver")
    await log_throttle.flush("a", logging.WARNING)
    await log_throttle.flush("a")

    assert log.lines == ["no task: no receiver"]


async def test_many_owners_take_several_bursts() -> None:
    log_throttle, log = LogThrottle(), Log()
    for owner in range(2 * BURST_OWNERS + 1):
        log_throttle.log(owner, log, logging.INFO, str(owner))
    bursts = []
    for _ in range(3):
        before = len(log.lines)
        await until(lambda before=before: len(log.lines) > before)  # type: ignore[misc]
        bursts.append(len(log.lines) - before)

    assert bursts == [BURST_OWNERS, BURST_OWNERS, 1]
    assert log.lines == [f"no task: {owner}" for owner in range(2 * BURST_OWNERS + 1)]
