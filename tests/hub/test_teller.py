"""What watches say in the logs of their tasks: in bursts, in their own contexts, and never too much at a time."""

from __future__ import annotations

import asyncio
import contextvars
from functools import partial

import pytest

from airflow_provider_taskwatch.hub import teller as module
from airflow_provider_taskwatch.hub.teller import TELL_OWNERS, Teller
from tests.until import until


@pytest.fixture(autouse=True)
def _quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "TELL_SECONDS", 0.1)


async def test_lines_are_said_in_one_burst_and_in_the_context_of_each() -> None:
    whose = contextvars.ContextVar("whose", default="nobody's")
    teller, said = Teller(), list[str]()

    async def say(name: str) -> None:
        whose.set(name)
        teller.tell(name, lambda: said.append(whose.get()))

    await asyncio.gather(say("one's"), say("another's"))
    assert said == []
    await until(lambda: len(said) > 0)

    assert said == ["one's", "another's"]


async def test_who_ends_says_first_what_is_his_and_nothing_of_others() -> None:
    teller, said = Teller(), list[str]()
    for owner in ("a", "b", "a"):
        teller.tell(owner, partial(said.append, owner))
    teller.flush("a")
    assert said == ["a", "a"]
    await until(lambda: len(said) == 3)
    teller.flush("a")

    assert said == ["a", "a", "b"]


async def test_thousands_take_their_turns() -> None:
    teller, said = Teller(), list[int]()
    for owner in range(2 * TELL_OWNERS + 1):
        teller.tell(owner, partial(said.append, owner))
    bursts = []
    for _ in range(3):
        before = len(said)
        await until(lambda before=before: len(said) > before)  # type: ignore[misc]
        bursts.append(len(said) - before)

    assert bursts == [TELL_OWNERS, TELL_OWNERS, 1]
    assert said == list(range(2 * TELL_OWNERS + 1))
