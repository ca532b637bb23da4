"""How many events a second go from a feed into the inbox, and from there to sensors and to assets.

``python -m benchmarks.feeds [--only pump,sensors,assets] [--json FILE]``

* ``pump``: one reader, from an emulated remote in a process of its own into the inbox, on SQLite and PostgreSQL;
* ``sensors``: triggers of sensors in one event loop, 1 and 1,000 of them by turns; how many events are gone through a
  second until the last one fires a trigger, or all have; and how long after it was stored each fires where events come
  evenly;
* ``assets``: one asset watcher on a real Airflow over PostgreSQL, until Airflow has stored all that it was told.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import sys
import tempfile
import time
from collections.abc import AsyncIterator, Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, asynccontextmanager, contextmanager
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import Any

import requests
from rich.console import Console
from rich.table import Table

from airflow_provider_taskwatch.core.feed import Event
from airflow_provider_taskwatch.core.want import Want
from airflow_provider_taskwatch.inbox.event import message_of
from airflow_provider_taskwatch.inbox.seal import fresh_key
from airflow_provider_taskwatch.inbox.store import SqlInbox
from airflow_provider_taskwatch.sandbox.connections import environment
from benchmarks.figure import percentile
from benchmarks.server import ROOT, serving
from demo.airflow import PrivateAirflow, sigterm_as_exit
from demo.postgres import PrivatePostgres
from demo.wait import until

CONN_ID = "acronis_default"
FEED = {"topic": "cti.a.p.em.topic.v1.0~a.p.tenant.v1.0", "types": ["cti.a.p.em.event.v1.0~a.p.tenant.*"]}
FOLLOWER = "follower"
EVENTS = 10_000
WAITERS = 1_000
TURNS = 3
HEARD_EVENTS = 20_000
PER_SECOND = 100
STEADY_SECONDS = 10
WITHIN_SECONDS = 240.0

Say = Callable[[str], object]


@contextmanager
def settled(**settings: str) -> Iterator[None]:
    """Airflow's settings of this process, for the duration of a block."""
    before = dict(os.environ)
    os.environ.update(settings)
    try:
        yield
    finally:
        os.environ.clear()
        os.environ.update(before)


@contextmanager
def _inboxes() -> Iterator[Callable[[str], str]]:
    """Gives the URL of a new and empty inbox in a database of that kind."""
    with tempfile.TemporaryDirectory(prefix="bench-") as folder, PrivatePostgres() as server:
        made: list[str] = []

        def new(database: str) -> str:
            name = f"inbox_{len(made)}"
            made.append(name)
            if database == "sqlite":
                return f"sqlite:///{folder}/{name}.db"
            with server.connect() as connection:
                connection.execute(f"CREATE DATABASE {name}".encode())
            return f"{server.url.rpartition('/')[0]}/{name}"

        yield new


def _events(first: int, subjects: Sequence[str]) -> list[Event]:
    return [
        Event(id=str(first + at), name="made", subject=subject, at=time.time(), content={"number": first + at})
        for at, subject in enumerate(subjects)
    ]


def _append(inbox: SqlInbox, channel: str, events: Sequence[Event]) -> None:
    inbox.append(channel, [message_of(channel, event, time.time()) for event in events])


async def _until(holds: Callable[[], bool]) -> None:
    async with asyncio.timeout(WITHIN_SECONDS):
        while not holds():  # noqa: ASYNC110 - counters do not tell when they have moved
            await asyncio.sleep(0.01)


# --- from a feed into the inbox


def pump(say: Say) -> dict[str, Any]:
    """Events a second by remote and database."""
    found = {}
    remotes = {
        "acronis": (CONN_ID, FEED, {"type": "a.p.tenant.created", "subject": "{n}"}),
        "docplanner": ("docplanner_default", {}, {}),
    }
    with _inboxes() as new:
        for remote, (conn_id, options, event) in remotes.items():
            for database in ("sqlite", "postgresql"):
                say(f"{EVENTS:,} events of {remote} into {database}")
                with _sandbox() as url, settled(AIRFLOW__TASKWATCH__INBOX_URL=new(database), **environment(url)):
                    _emit(url, {remote: [{**event, "count": EVENTS}]})
                    found[f"{remote}, {database}"] = asyncio.run(_pumped(conn_id, options))
    return found


def _sandbox() -> Any:
    return serving("-m", "airflow_provider_taskwatch.sandbox", "--port")


def _emit(url: str, events: Mapping[str, Any]) -> None:
    requests.post(f"{url}/_control/emit", json=events, timeout=60).raise_for_status()


async def _pumped(conn_id: str, options: Mapping[str, Any]) -> dict[str, float]:
    from airflow_provider_taskwatch.hub.audience import Waiter
    from airflow_provider_taskwatch.hub.inbox import aopen_inbox, open_seal
    from airflow_provider_taskwatch.hub.pump import Pump
    from airflow_provider_taskwatch.hub.registry import feed_of, hub_for

    hub = hub_for(conn_id)
    async with hub.open():
        feed = await feed_of(hub, options)
        reader = Pump(feed, aopen_inbox, lambda flow: hub.converse(flow, aside=True), open_seal)
        began = time.monotonic()
        async with reader.serving(Waiter(Want(since=time.time() - 3600), hear=lambda _: None)):
            await _until(lambda: reader.events >= EVENTS)
            took = time.monotonic() - began
        return {"events": EVENTS, "events a second": EVENTS / took, "reads": reader.batches}


# --- from the inbox to sensors


def sensors(say: Say) -> dict[str, Any]:
    """Events a second with one and with many triggers, the best of several turns; and how late they fire."""
    found: dict[str, Any] = {}
    ways = {"events a second, 1 waits": (1, 1), "1,000 wait, 1 fires": (WAITERS, 1), "all fire": (WAITERS, WAITERS)}
    with _inboxes() as new, _sandbox() as url, settled(**environment(url)):
        for database in ("sqlite", "postgresql"):
            rates: dict[str, list[float]] = {way: [] for way in ways}
            for turn in range(TURNS):
                for way, (waiters, firing) in ways.items():
                    say(f"{HEARD_EVENTS:,} events on {database} to {waiters:,}, {turn + 1} of {TURNS}")
                    measure = partial(_gone_through, waiters=waiters, firing=firing)
                    rates[way].append(_with_inbox(new(database), measure))
            say(f"{PER_SECOND} events a second on {database}")
            best = {way: max(rates[way]) for way in ways}  # whatever else goes on only slows them down
            one, many, _ = best.values()
            late = _with_inbox(new(database), _steady)
            found[database] = {**best, "1,000 to 1": many / one, **late}
    return found


def _with_inbox(url: str, measure: Callable[[SqlInbox], Any]) -> Any:
    inbox = SqlInbox(url)
    try:
        with settled(AIRFLOW__TASKWATCH__INBOX_URL=url):
            return asyncio.run(measure(inbox))
    finally:
        inbox.close()


class Waiting:
    """Triggers of sensors in this event loop, each for an event about another subject."""

    def __init__(self, count: int) -> None:
        self.subjects = [f"awaited-{number}" for number in range(count)]
        self.fired: dict[str, float] = {}
        self.first_told = 0.0

    @asynccontextmanager
    async def begun(self, firing: int) -> AsyncIterator[str]:
        """The key of their feed, as soon as the listener knows all; in the end, the first so many must have fired."""
        from airflow_provider_taskwatch.hub.audience import Waiter
        from airflow_provider_taskwatch.hub.registry import feed_of, hub_for, listener

        feed = await feed_of(hub_for(CONN_ID), FEED)
        tasks = [asyncio.create_task(self._wait(subject)) for subject in self.subjects]
        with listener().hearing(feed.key, Waiter(Want(), self._hear)):
            await _until(lambda: listener().reads > 0)
            reads = listener().reads
            await _until(lambda: listener().reads >= reads + 3)  # each round takes in whoever has come
            yield feed.key
            async with asyncio.timeout(WITHIN_SECONDS):
                await asyncio.gather(*tasks[:firing])
        for task in tasks[firing:]:
            task.cancel()
        await asyncio.wait(tasks)

    def _hear(self, _: Event) -> None:
        self.first_told = self.first_told or time.time()

    async def _wait(self, subject: str) -> None:
        from airflow_provider_taskwatch.triggers.event import EventTrigger

        trigger = EventTrigger(conn_id=CONN_ID, feed=FEED, want={"subject": subject, "since": time.time()})
        async for _ in trigger.run():
            self.fired[subject] = time.time()


async def _gone_through(inbox: SqlInbox, waiters: int, firing: int) -> float:
    """Events a second, from the first that the listener has told to the last, which fires a trigger."""
    waiting = Waiting(waiters)
    every = HEARD_EVENTS // firing
    subjects = ["other"] * HEARD_EVENTS
    subjects[every - 1 :: every] = waiting.subjects[:firing]
    async with waiting.begun(firing) as channel:
        await asyncio.to_thread(_append, inbox, channel, _events(0, subjects))
    return HEARD_EVENTS / (max(waiting.fired.values()) - waiting.first_told)


async def _steady(inbox: SqlInbox) -> dict[str, float]:
    """Seconds from the commit of an event to the trigger event, where one of all that wait is woken each time."""
    from airflow_provider_taskwatch.hub.registry import listener

    waiting = Waiting(PER_SECOND * STEADY_SECONDS)
    stored: dict[str, float] = {}
    async with waiting.begun(len(waiting.subjects)) as channel:
        reads, began = listener().reads, time.monotonic()
        for number, subject in enumerate(waiting.subjects):
            await asyncio.sleep(began + number / PER_SECOND - time.monotonic())
            await asyncio.to_thread(_append, inbox, channel, _events(number, [subject]))
            stored[subject] = time.time()
        seconds, asked = time.monotonic() - began, listener().reads - reads
    late = sorted(waiting.fired[subject] - at for subject, at in stored.items())
    return {
        "seconds until it fires, median": percentile(late, 0.5),
        "p99": percentile(late, 0.99),
        "looks into the inbox a second": asked / seconds,
    }


# --- from the inbox to assets


def assets(say: Say) -> dict[str, Any]:
    """Events a second, until Airflow has stored those that were told last."""
    with ExitStack() as held:
        new = held.enter_context(_inboxes())
        url = held.enter_context(_sandbox())
        server = held.enter_context(PrivatePostgres())
        env = environment(url) | {"AIRFLOW__TASKWATCH__INBOX_URL": new("postgresql"), "PYTHONPATH": str(ROOT)}
        held.enter_context(settled(**env))
        inbox = SqlInbox(env["AIRFLOW__TASKWATCH__INBOX_URL"])
        held.callback(inbox.close)
        say("starting Airflow")
        airflow = held.enter_context(
            PrivateAirflow(dags=ROOT / "benchmarks" / "dags", env=env, database_url=server.url)
        )

        def position() -> int:
            airflow.check()
            return int(inbox.position(f"feed trigger {FOLLOWER}") or -1)

        until(lambda: position() >= 0, within_seconds=60, what="the watcher has begun")
        channel = asyncio.run(_key())
        say(f"{EVENTS:,} events to an asset")
        for first in range(0, EVENTS, 1000):
            _append(inbox, channel, _events(first, ["other"] * min(1000, EVENTS - first)))
        began, last = time.monotonic(), inbox.after(channel, 0, EVENTS)[-1].number
        until(
            lambda: position() >= last,
            within_seconds=WITHIN_SECONDS,
            what="Airflow has stored all events",
            every_seconds=0.1,
        )
        took = time.monotonic() - began
        with server.connect() as connection:
            row = connection.execute("SELECT count(*) FROM asset_event").fetchone()
        told = row[0] if row else 0
        return {
            "assets": {"events": EVENTS, "events a second": EVENTS / took, "trigger events a second": told / took},
        }


async def _key() -> str:
    from airflow_provider_taskwatch.hub.registry import feed_of, hub_for

    hub = hub_for(CONN_ID)
    async with hub.open():
        return (await feed_of(hub, FEED)).key


# --- the program

MEASURES: Mapping[str, tuple[str, Callable[[Say], dict[str, Any]]]] = {
    "pump": ("From a feed into the inbox", pump),
    "sensors": ("From the inbox to sensors", sensors),
    "assets": ("From the inbox to an asset", assets),
}


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description="How many events a second go where.")
    parser.add_argument("--only", default=",".join(MEASURES))
    parser.add_argument("--json", type=Path)
    arguments = parser.parse_args()
    console = Console(width=None if sys.stdout.isatty() else 120)
    found: dict[str, Any] = {"measured_at": datetime.now(UTC).isoformat(timespec="seconds")}
    with (
        sigterm_as_exit(),
        tempfile.TemporaryDirectory(prefix="bench-") as home,
        settled(AIRFLOW_HOME=home, AIRFLOW__TASKWATCH__INBOX_KEYS=fresh_key()),
        console.status("") as status,
    ):
        for name in arguments.only.split(","):
            title, measure = MEASURES[name]
            found[name] = measure(status.update)
            console.print(_table(title, found[name]))
    if arguments.json:
        arguments.json.write_text(json.dumps(found, indent=1) + "\n")


def _table(title: str, found: Mapping[str, Mapping[str, float]]) -> Table:
    shown = Table("", *found, title=title)
    for what in next(iter(found.values())):
        shown.add_row(what, *(f"{by[what]:,.2f}" for by in found.values()))
    return shown


if __name__ == "__main__":
    main()
