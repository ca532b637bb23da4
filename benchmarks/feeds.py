"""How many events a second go from a feed into the inbox, and from there to sensors and to assets.

``python -m benchmarks.feeds [--only pump,sensors,assets] [--scale 0.1] [--json FILE]``, four minutes

* ``pump``: one reader, from an emulated remote in a process of its own into the inbox, on SQLite and PostgreSQL; from
  the first events that are stored to the last;
* ``sensors``: triggers of sensors in one event loop, 1 and 1,000 of them by turns; how many events of a backlog are
  gone through a second, until the last one fires a trigger, or all have; then, where events come evenly, how long after
  its commit each is read, and each trigger fires;
* ``assets``: one asset watcher on a real Airflow, until Airflow has stored all of a backlog.

A share of a core is that of the process that does the work: near 1.00, its Python is what limits.
PostgreSQL is left out where it is not installed.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import sys
import tempfile
import time
from collections.abc import AsyncIterator, Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import ExitStack, asynccontextmanager, contextmanager
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import Any

import requests
import sqlalchemy as sa
from rich.console import Console
from rich.table import Table

from airflow_provider_taskwatch.core.event_filter import EventFilter
from airflow_provider_taskwatch.core.feed import Event
from airflow_provider_taskwatch.inbox import schema
from airflow_provider_taskwatch.inbox.engine import engine_for
from airflow_provider_taskwatch.inbox.event import message_of
from airflow_provider_taskwatch.inbox.seal import fresh_key
from airflow_provider_taskwatch.inbox.store import SqlInbox
from airflow_provider_taskwatch.sandbox.connections import environment
from airflow_provider_taskwatch.sandbox.sandbox import Sandbox
from benchmarks.figure import Goal, percentile
from benchmarks.process import Triggerer
from benchmarks.server import ROOT, serving
from benchmarks.watch_cost import goal_table
from demo import postgres
from demo.airflow import PrivateAirflow, sigterm_as_exit
from demo.postgres import PrivatePostgres
from demo.wait import until

CONN_ID = "acronis_default"
FEED = {"topic": "cti.a.p.em.topic.v1.0~a.p.tenant.v1.0", "types": ["cti.a.p.em.event.v1.0~a.p.tenant.*"]}
FOLLOWER = "follower"
KEPT = "of the events that one sensor gets"
KEPT_SHARE = 0.8
"""The least share of the events a second of one sensor that is left where 1,000 wait."""
WITHIN_SECONDS = 60.0

Say = Callable[[str], object]
Found = dict[str, dict[str, float]]
"""Figures by what they are called, by column of their table."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Size:
    """How much is measured.

    :param events: from a feed into the inbox, and from there to an asset.
    :param backlog: events that sensors find.
    :param turns: how often each way of waiting for them has its turn.
    :param per_second: events where they come evenly, for ``seconds``.
    """

    events: int = 10_000
    backlog: int = 50_000
    waiters: int = 1_000
    turns: int = 3
    per_second: int = 100
    seconds: int = 10

    def scaled(self, share: float) -> Size:
        """As many turns and waiters, and a share of all else."""
        return replace(
            self,
            events=max(self.waiters, int(self.events * share)),
            backlog=max(self.waiters, int(self.backlog * share)),
            seconds=max(1, int(self.seconds * share)),
        )


def databases() -> tuple[str, ...]:
    """What an inbox can be in on this machine."""
    return ("sqlite", "postgresql") if postgres.is_installed() else ("sqlite",)


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
    with ExitStack() as held:
        folder = held.enter_context(tempfile.TemporaryDirectory(prefix="bench-"))
        server = held.enter_context(PrivatePostgres()) if postgres.is_installed() else None
        made: list[str] = []

        def new(database: str) -> str:
            name = f"inbox_{len(made)}"
            made.append(name)
            if server is None or database == "sqlite":
                return f"sqlite:///{folder}/{name}.db"
            with server.connect() as connection:
                connection.execute(f"CREATE DATABASE {name}".encode())
            return f"{server.url.rpartition('/')[0]}/{name}"

        yield new


def spread(awaited: Sequence[str], count: int) -> list[str]:
    """The subjects of ``count`` events, those that are awaited evenly among them; one of these comes last."""
    subjects = ["other"] * count
    for number, subject in enumerate(awaited, 1):
        subjects[count * number // len(awaited) - 1] = subject
    return subjects


def _events(first: int, subjects: Iterable[str]) -> list[Event]:
    return [
        Event(id=str(number), name="made", subject=subject, at=time.time(), content={"number": number})
        for number, subject in enumerate(subjects, first)
    ]


def _append(inbox: SqlInbox, channel: str, events: Sequence[Event]) -> None:
    inbox.append(channel, [message_of(channel, event, time.time()) for event in events])


def _fill(url: str, channel: str, events: Sequence[Event]) -> None:
    """A backlog that is there at once, and quicker than a pump could write it."""
    rows = [
        {
            "channel": channel,
            "subject": event.subject,
            "delivery": event.id,
            "content": json.dumps(message_of(channel, event, 0.0).content),
            "received_at": time.time(),
        }
        for event in events
    ]
    engine = engine_for(url)
    with engine.begin() as connection:
        connection.execute(schema.message.insert(), rows)
    engine.dispose()


async def _until(holds: Callable[[], bool]) -> None:
    async with asyncio.timeout(WITHIN_SECONDS):
        while not holds():  # noqa: ASYNC110 - counters do not tell when they have moved
            await asyncio.sleep(0.01)


# --- from a feed into the inbox


def pump(size: Size, say: Say) -> Found:
    """Events a second by remote and database."""
    found = {}
    remotes = {
        "acronis": (CONN_ID, FEED, {"type": "a.p.tenant.created", "subject": "{n}"}),
        "docplanner": ("docplanner_default", {}, {}),
    }
    with _inboxes() as new:
        for remote, (conn_id, options, event) in remotes.items():
            for database in databases():
                say(f"{size.events:,} events of {remote} into {database}")
                with (
                    _sandbox() as url,
                    settled(AIRFLOW__TASKWATCH__INBOX_URL=new(database), **_connections(url)),
                ):
                    _emit(url, {remote: [{**event, "count": size.events}]})
                    found[f"{remote}, {database}"] = asyncio.run(pumped(conn_id, options, size.events))
    return found


def _connections(url: str) -> dict[str, str]:
    return environment(url, Sandbox().remotes.values())


def _sandbox() -> Any:
    return serving("-m", "airflow_provider_taskwatch.sandbox", "--port")


def _emit(url: str, events: Mapping[str, Any]) -> None:
    requests.post(f"{url}/_control/emit", json=events, timeout=60).raise_for_status()


class CountedFeed:
    """A feed that counts what is read of it."""

    def __init__(self, feed: Any) -> None:
        self._feed = feed
        self.events = 0
        self.batches = 0

    def __getattr__(self, name: str) -> Any:
        return getattr(self._feed, name)

    def batch(self, reply: Any, position: str) -> Any:
        batch = self._feed.batch(reply, position)
        self.batches += 1
        self.events += len(batch.events)
        return batch


async def pumped(conn_id: str, options: Mapping[str, Any], events: int) -> dict[str, float]:
    """Figures of a reader that finds a number of events."""
    from airflow_provider_taskwatch.config.inbox import aopen_inbox, open_seal
    from airflow_provider_taskwatch.feed.pump import Pump
    from airflow_provider_taskwatch.feed.registry import feed_of
    from airflow_provider_taskwatch.feed.waiter_index import Waiter
    from airflow_provider_taskwatch.hub.hub import hub_for

    hub = hub_for(conn_id)
    async with hub:
        feed: Any = CountedFeed(await feed_of(hub, options))
        reader = Pump(feed, aopen_inbox, lambda flow: hub.connection.converse(flow, separate=True), open_seal)
        async with reader.serving(Waiter(EventFilter(since=time.time() - 3600), hear=lambda _: None)):
            await _until(lambda: feed.events > 0)
            first, began, cpu = feed.events, time.monotonic(), time.process_time()
            await _until(lambda: feed.events >= events)
            took, used = time.monotonic() - began, time.process_time() - cpu
        return {
            "events": events,
            "events a second": (events - first) / took,
            "reads": feed.batches,
            "share of a core": used / took,
        }


# --- from the inbox to sensors


def sensors(size: Size, say: Say) -> Found:
    """Events a second with one and with many triggers, the best of several turns; and how late they are."""
    with _inboxes() as new, _sandbox() as url, settled(**_connections(url)):
        return {database: _heard(size, partial(new, database), database, say) for database in databases()}


def _heard(size: Size, new: Callable[[], str], database: str, say: Say) -> dict[str, float]:
    many = f"{size.waiters:,}"
    ways = {
        "events a second, 1 waits": (1, 1),
        f"{many} wait, 1 fires": (size.waiters, 1),
        f"{many} wait, all fire": (size.waiters, size.waiters),
    }
    drains: dict[str, list[Drain]] = {way: [] for way in ways}
    for turn in range(size.turns):
        for way, (waiters, firing) in ways.items():
            say(f"{size.backlog:,} events on {database} to {waiters:,}, {turn + 1} of {size.turns}")
            measure = partial(gone_through, waiters=waiters, firing=firing, backlog=size.backlog)
            drains[way].append(_with_inbox(new(), measure))
    best = [max(each, key=lambda one: one.per_second) for each in drains.values()]  # others only slow them down
    late: dict[str, float] = {}
    for waiters in (1, size.waiters):
        say(f"{size.per_second} events a second on {database} to {waiters:,}")
        late |= _with_inbox(new(), partial(steady, waiters=waiters, size=size))
    return {
        **{way: drain.per_second for way, drain in zip(ways, best, strict=True)},
        f"{KEPT}, 1 fires": best[1].per_second / best[0].per_second,
        f"{KEPT}, all fire": best[2].per_second / best[0].per_second,
        "share of a core, 1 waits": best[0].core,
        f"share of a core, {many} wait": best[1].core,
        **late,
    }


def goals(found: Found) -> list[Goal]:
    """Whether many waits get about as many events a second as one does."""
    return [
        Goal(
            what=f"{database}: {what}",
            value=f"{share:.2f}",
            limit=f">= {KEPT_SHARE:.2f}",
            is_reached=share >= KEPT_SHARE,
        )
        for database, figures in found.items()
        for what, share in figures.items()
        if what.startswith(KEPT)
    ]


def _with_inbox(url: str, measure: Callable[[str], Any]) -> Any:
    with settled(AIRFLOW__TASKWATCH__INBOX_URL=url):
        return asyncio.run(measure(url))


@dataclass(frozen=True, slots=True, kw_only=True)
class Drain:
    """How a backlog was gone through.

    :param core: the share of a core that this process took.
    """

    per_second: float
    core: float


class Waiting:
    """Triggers of sensors in this event loop, each for an event about another subject.

    :ivar heard: when the listener has passed each event, by its id (epoch), to a waiter that wants all of them.
    :ivar fired: when each trigger has yielded its event, by its subject (epoch).
    """

    def __init__(self, count: int) -> None:
        self.subjects = [f"awaited-{number}" for number in range(count)]
        self.heard: dict[str, float] = {}
        self.fired: dict[str, float] = {}
        self.cpu_when_heard = 0.0

    @asynccontextmanager
    async def begun(self, firing: int) -> AsyncIterator[str]:
        """The key of their feed, when the listener knows all; in the end, the first ``firing`` must have fired."""
        from airflow_provider_taskwatch.feed.registry import feed_of, listener
        from airflow_provider_taskwatch.feed.waiter_index import Waiter
        from airflow_provider_taskwatch.hub.hub import hub_for

        feed = await feed_of(hub_for(CONN_ID), FEED)
        tasks = [asyncio.create_task(self._wait(subject)) for subject in self.subjects]
        with listener().hearing(feed.key, Waiter(EventFilter(), self._hear)):
            await _until(lambda: listener().reads > 0)
            reads = listener().reads
            await _until(lambda: listener().reads >= reads + 3)  # each round takes in the new waiters
            yield feed.key
            async with asyncio.timeout(WITHIN_SECONDS):
                await asyncio.gather(*tasks[:firing])
        for task in tasks[firing:]:
            task.cancel()
        await asyncio.wait(tasks)

    def _hear(self, event: Event) -> None:
        if not self.heard:
            self.cpu_when_heard = time.process_time()
        self.heard[event.id] = time.time()

    async def _wait(self, subject: str) -> None:
        from airflow_provider_taskwatch.triggers.event import EventTrigger

        trigger = EventTrigger(conn_id=CONN_ID, feed=FEED, want={"subject": subject, "since": time.time()})
        async for _ in trigger.run():
            self.fired[subject] = time.time()


async def gone_through(url: str, waiters: int, firing: int, backlog: int) -> Drain:
    """From the first event that the listener has passed on to the last, which fires a trigger."""
    waiting = Waiting(waiters)
    async with waiting.begun(firing) as channel:
        await asyncio.to_thread(_fill, url, channel, _events(0, spread(waiting.subjects[:firing], backlog)))
    used = time.process_time() - waiting.cpu_when_heard
    took = max(waiting.fired.values()) - min(waiting.heard.values())
    return Drain(per_second=backlog / took, core=used / took)


async def steady(url: str, waiters: int, size: Size) -> dict[str, float]:
    """Seconds from the commit of an event until the listener passes it on, and until the trigger for it fires."""
    from airflow_provider_taskwatch.feed.registry import listener

    waiting, inbox = Waiting(waiters), SqlInbox(url)
    count = size.per_second * size.seconds
    awaited = waiting.subjects[:count]
    stored: dict[str, float] = {}
    async with waiting.begun(len(awaited)) as channel:
        events = _events(0, spread(awaited, count))
        reads, began = listener().reads, time.monotonic()
        for number, event in enumerate(events):
            await asyncio.sleep(began + number / size.per_second - time.monotonic())
            await asyncio.to_thread(_append, inbox, channel, [event])
            stored[event.id] = time.time()
        seconds, asked = time.monotonic() - began, listener().reads - reads
    inbox.close()
    heard = sorted(waiting.heard[event.id] - stored[event.id] for event in events)
    fired = sorted(at - stored[event.id] for event in events if (at := waiting.fired.get(event.subject)))
    found = {"heard": heard, "fired": fired} if waiters > 1 else {"heard": heard}
    return {
        f"seconds until {what}, {waiters:,} wait, {name}": percentile(late, share)
        for what, late in found.items()
        for name, share in (("median", 0.5), ("p99", 0.99))
    } | {f"reads of the inbox a second, {waiters:,} wait": asked / seconds}


# --- from the inbox to assets


def assets(size: Size, say: Say) -> Found:
    """Events a second, until Airflow has stored the last ones."""
    with ExitStack() as held:
        new = held.enter_context(_inboxes())
        url = held.enter_context(_sandbox())
        server = held.enter_context(PrivatePostgres()) if postgres.is_installed() else None
        database = databases()[-1]
        inbox_url = new(database)
        env = _connections(url) | {
            "AIRFLOW__TASKWATCH__INBOX_URL": inbox_url,
            "PYTHONPATH": str(ROOT),
        }
        held.enter_context(settled(**env))
        say("starting Airflow")
        airflow = held.enter_context(
            PrivateAirflow(
                dags=ROOT / "benchmarks" / "dags", env=env, database_url=server.url if server is not None else None
            )
        )
        say(f"{size.events:,} events to an asset")
        return {database: _followed(airflow, inbox_url, size.events)}


def _followed(airflow: PrivateAirflow, inbox_url: str, events: int) -> dict[str, float]:
    inbox = SqlInbox(inbox_url)

    def position() -> int:
        airflow.check()
        return int(inbox.position(f"feed trigger {FOLLOWER}") or -1)

    until(lambda: position() >= 0, within_seconds=60, what="the watcher has begun")
    first, process = position(), airflow.main_process("triggerer")
    _fill(inbox_url, asyncio.run(_key()), _events(0, ["other"] * events))
    before, began = Triggerer.of(process), time.monotonic()
    until(
        lambda: position() >= first + events,
        within_seconds=WITHIN_SECONDS,
        what="Airflow has stored all events",
        every_seconds=0.1,
    )
    took, after = time.monotonic() - began, Triggerer.of(process)
    inbox.close()
    batches = _batches(airflow)
    if sum(batches) != events:
        raise RuntimeError(f"{sum(batches)} of {events} events are in asset_event")
    return {
        "events": events,
        "events a second": events / took,
        "trigger events": len(batches),
        "trigger events a second": len(batches) / took,
        "share of a core, supervisor": (after.supervisor.cpu - before.supervisor.cpu) / took,
        "share of a core, runner": (after.runner.cpu - before.runner.cpu) / took,
    }


def _batches(airflow: PrivateAirflow) -> list[int]:
    """How many of our events each asset event has brought."""
    engine = sa.create_engine(airflow.env["AIRFLOW__DATABASE__SQL_ALCHEMY_CONN"])
    with engine.connect() as connection:
        extras = connection.scalars(sa.select(sa.column("extra", sa.JSON)).select_from(sa.table("asset_event"))).all()
    engine.dispose()
    return [len(extra["payload"]["events"]) for extra in extras if extra["payload"]["events"]]


async def _key() -> str:
    from airflow_provider_taskwatch.feed.registry import feed_of
    from airflow_provider_taskwatch.hub.hub import hub_for

    hub = hub_for(CONN_ID)
    async with hub:
        return (await feed_of(hub, FEED)).key


# --- the program

MEASURES: Mapping[str, tuple[str, Callable[[Size, Say], Found]]] = {
    "pump": ("From a feed into the inbox", pump),
    "sensors": ("From the inbox to sensors", sensors),
    "assets": ("From the inbox to an asset", assets),
}


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description="How many events a second go where.")
    parser.add_argument("--only", default=",".join(MEASURES))
    parser.add_argument("--scale", type=float, default=1.0, help="a share of the events, for a try")
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
            found[name] = measure(Size().scaled(arguments.scale), status.update)
            console.print(_table(title, found[name]))
    if "sensors" in found:
        console.print(goal_table(goals(found["sensors"])))
    if arguments.json:
        arguments.json.write_text(json.dumps(found, indent=1) + "\n")


def _table(title: str, found: Mapping[str, Mapping[str, float]]) -> Table:
    shown = Table("", *found, title=title)
    for what in next(iter(found.values())):
        shown.add_row(what, *(f"{by[what]:,.2f}" for by in found.values()))
    return shown


if __name__ == "__main__":
    main()
