"""What watches say in the logs of their tasks: in bursts, in their own contexts, and never too much at a time."""

from __future__ import annotations

import asyncio
import contextvars
import logging

import pytest

from airflow_provider_taskwatch.hub import log_throttle as module
from airflow_provider_taskwatch.hub.log_throttle import TELL_OWNERS, LogThrottle
from tests.until import until

WHOSE = contextvars.ContextVar("whose", default="nobody's")


@pytest.fixture(autouse=True)
def _quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "TELL_SECONDS", 0.1)


class Log(logging.Logger):
    """Keeps what is said, and in whose context."""

    def __init__(self) -> None:
        super().__init__("test")
        self.said: list[str] = []

    def handle(self, record: logging.LogRecord) -> None:
        self.said.append(f"{WHOSE.get()} {record.getMessage()}")


async def test_lines_are_said_in_one_burst_and_in_the_context_of_each() -> None:
    log_throttle, log = LogThrottle(), Log()

    async def say(name: str) -> None:
        WHOSE.set(name)
        log_throttle.tell(name, log, logging.INFO, "line")

    await asyncio.gather(say("one's"), say("another's"))
    assert log.said == []
    await until(lambda: len(log.said) > 0)

    assert log.said == ["one's line", "another's line"]


async def test_who_ends_says_first_what_is_his_and_nothing_of_others() -> None:
    log_throttle, log = LogThrottle(), Log()
    for owner in ("a", "b"):
        log_throttle.tell(owner, log, logging.INFO, owner)
    await log_throttle.flush("a")
    assert log.said == ["nobody's a"]
    await until(lambda: len(log.said) == 2)
    await log_throttle.flush("a")

    assert log.said == ["nobody's a", "nobody's b"]


async def test_of_what_had_to_wait_only_the_newest_is_said_and_every_warning() -> None:
    log_throttle, log = LogThrottle(), Log()
    for words in ("10 %", "20 %", "30 %"):
        log_throttle.tell("a", log, logging.INFO, words)
        log_throttle.tell("a", log, logging.WARNING, f"slow at {words}")
    await log_throttle.flush("a")

    assert log.said == [
        "nobody's slow at 10 %",
        "nobody's slow at 20 %",
        "nobody's 30 %",
        "nobody's slow at 30 %",
    ]


async def test_who_ends_well_says_only_what_matters() -> None:
    log_throttle, log = LogThrottle(), Log()
    log_throttle.tell("a", log, logging.INFO, "it runs")
    log_throttle.tell("a", log, logging.WARNING, "nobody listens")
    await log_throttle.flush("a", logging.WARNING)
    await log_throttle.flush("a")

    assert log.said == ["nobody's nobody listens"]


async def test_thousands_take_their_turns() -> None:
    log_throttle, log = LogThrottle(), Log()
    for owner in range(2 * TELL_OWNERS + 1):
        log_throttle.tell(owner, log, logging.INFO, str(owner))
    bursts = []
    for _ in range(3):
        before = len(log.said)
        await until(lambda before=before: len(log.said) > before)  # type: ignore[misc]
        bursts.append(len(log.said) - before)

    assert bursts == [TELL_OWNERS, TELL_OWNERS, 1]
    assert log.said == [f"nobody's {owner}" for owner in range(2 * TELL_OWNERS + 1)]
