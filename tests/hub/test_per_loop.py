"""One object per event loop and name."""

from __future__ import annotations

import asyncio
import gc
import weakref

import pytest

from airflow_provider_taskwatch.hub.per_loop import PerLoop


class Thing:
    """An object that can end."""

    has_ended = False


def things() -> PerLoop[Thing]:
    return PerLoop(lambda thing: thing.has_ended)


async def test_a_loop_has_one_object_of_each_name() -> None:
    held = things()
    assert held.get(Thing) is held.get(Thing) is not held.get(Thing, "other")
    assert held.get(Thing, "other") is held.get(Thing, "other")


async def test_an_object_that_has_ended_is_made_anew_and_the_others_stay() -> None:
    held = things()
    ended, other = held.get(Thing), held.get(Thing, "other")
    ended.has_ended = True
    assert held.get(Thing) is held.get(Thing) is not ended
    assert held.get(Thing, "other") is other


async def test_an_object_that_has_ended_is_dropped_with_the_next_that_is_made() -> None:
    held = things()
    ended = weakref.ref(held.get(Thing))
    ended().has_ended = True
    held.get(Thing, "another")
    gc.collect()
    assert ended() is None


def test_each_loop_has_its_own_object_and_that_of_a_closed_loop_is_dropped() -> None:
    held = things()

    async def made() -> weakref.ref[Thing]:
        return weakref.ref(held.get(Thing))

    with asyncio.Runner() as first:
        one = first.run(made())
        with asyncio.Runner() as second:
            other = second.run(made())
            assert one() is not None
            assert one() is not other()
    del first, second
    assert other() is not None
    asyncio.run(made())
    gc.collect()
    assert (one(), other()) == (None, None)


def test_without_a_running_loop_there_is_no_object() -> None:
    with pytest.raises(RuntimeError, match="no running event loop"):
        things().get(Thing)
