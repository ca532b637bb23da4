"""What callbacks save, how soon they are acted upon, and what a receiver carries.

``python -m benchmarks.callbacks [--only hour,receiver,alone,wake] [--watches 10000] [--json FILE]``

* ``hour``: requests to the remote for an execution of an hour, by the program of the wait itself, without a network;
* ``receiver``: callbacks a second that one receiver process takes, against a bare FastAPI route that inserts one row
  and commits, on the same database in the same run, SQLite and PostgreSQL;
* ``alone``: as many events a second of triggers that do nothing but fire: what Airflow takes for itself;
* ``wake``: 10,000 waits in one real triggerer, 100 callbacks a second for a minute; then 10,000 others, all at once.
"""

from __future__ import annotations

import argparse
import asyncio
import itertools
import json
import random
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

import aiohttp
from rich.console import Console
from rich.table import Table

from airflow_provider_taskwatch.core.callback import Expectation
from airflow_provider_taskwatch.core.flow import Flow
from airflow_provider_taskwatch.core.phase import Observation, Phase
from airflow_provider_taskwatch.core.plan import Plan
from airflow_provider_taskwatch.core.schedule import FAR_SECONDS, Rhythm
from airflow_provider_taskwatch.core.system import SystemDefaults
from airflow_provider_taskwatch.core.watch import Poll, PollResult, watch
from airflow_provider_taskwatch.receiver.token import Keys, Ticket
from benchmarks.figure import percentile
from benchmarks.population import start_id_of
from benchmarks.remote import run_id_of
from benchmarks.server import serving
from benchmarks.triggers import FIRED, SIGNAL
from benchmarks.watch_cost import Case, Remote, Stage, served
from demo.airflow import sigterm_as_exit
from demo.postgres import PrivatePostgres
from demo.wait import until

SECRET = "a-benchmark-on-the-loopback-interface-has-no-secret"  # noqa: S105 - it says so
HOUR = 3600.0
CALLBACK_POLL = 300.0
TRIALS = 200

SENDERS = 32
STARTS = 5_000
"""That call back in turn: a receiver keeps the newest few of each."""
SEND_SECONDS = 8.0

WATCHES = 10_000
PER_SECOND = 100
EVENLY_SHARE = 0.6
"""Of the waits, so that it ends before the triggerer is empty."""
LATENCY = 0.05
AWAKE_WITHIN = 900.0


# --- requests of an hour


def polls_of(plan: Plan, duration: float, *, is_called: bool, chance: random.Random) -> int:
    """How often a wait polls a task that ends after ``duration`` seconds."""
    program, age, made = watch(_Remote(), plan, 0.0), 0.0, 0
    step: Any = next(program)
    while isinstance(step, Poll):
        due = age + step.after * (1.0 - step.spread * chance.random())
        age = min(due, duration) if is_called else due
        made += 1
        phase = Phase.SUCCEEDED if age >= duration else Phase.RUNNING
        try:
            step = program.send(
                PollResult(age=age, observation=Observation(ref="1", phase=phase), is_called=age >= duration)
            )
        except StopIteration:
            return made
    raise RuntimeError(f"the wait asked for {step}")


class _Remote(SystemDefaults):
    noun = "task"

    def observe(self, ref: str) -> Flow[Observation]:
        raise NotImplementedError("no remote is asked: the results of polls are played in")

    def probe(self) -> Flow[str]:
        raise NotImplementedError("no remote is asked: the results of polls are played in")


def hour() -> dict[str, float]:
    """Mean requests per execution of an hour, the start included."""
    chance = random.Random(1)  # noqa: S311 - not for secrets
    usual = Rhythm(limit_seconds=30.0, far_seconds=FAR_SECONDS, is_own_start=True)
    called = Plan(ref="1", rhythm=usual, callback=Expectation(poll_seconds=CALLBACK_POLL))
    ways = {
        "called back": (called, True),
        "called back, and the callback was lost": (called, False),
        "polling every 30 s": (Plan(ref="1", rhythm=usual), False),
    }
    found = {}
    for name, (plan, is_called) in ways.items():
        made = [polls_of(plan, HOUR, is_called=is_called, chance=chance) for _ in range(TRIALS)]
        found[name] = 1 + sum(made) / TRIALS
    return found


# --- what a receiver carries


@dataclass(frozen=True, slots=True, kw_only=True)
class Load:
    """Requests a second, and the 99th percentile of the time until the answer."""

    per_second: float
    p99: float


async def _send_for(calls: Iterator[tuple[str, dict[str, str]]], seconds: float) -> Load:
    """As many as the server answers, over :data:`SENDERS` connections.

    :param calls: address and headers of each.
    """
    times: list[float] = []
    end = time.monotonic() + seconds

    async def send(session: aiohttp.ClientSession, sender: int) -> None:
        number = 0
        while (began := time.monotonic()) < end:
            number += 1
            body = json.dumps({"runid": f"{sender * 1_000_000 + number:010d}", "execution_status": "1900"})
            url, headers = next(calls)
            async with session.post(url, data=body, headers=headers) as response:
                response.raise_for_status()
            times.append(time.monotonic() - began)

    async with aiohttp.ClientSession() as session:
        await asyncio.gather(*(send(session, sender) for sender in range(SENDERS)))
    return Load(per_second=len(times) / seconds, p99=percentile(sorted(times), 0.99))


def receiver(say: Any) -> dict[str, dict[str, Load]]:
    """The load by database and by server."""
    found = {}
    with tempfile.TemporaryDirectory() as folder, PrivatePostgres() as server:
        urls = {"sqlite": f"sqlite:///{folder}/inbox.db", "postgresql": server.url}
        for database, url in urls.items():
            found[database] = {kind: _loaded(kind, url, say) for kind in ("bare", "receiver")}
    return found


def _loaded(kind: str, database: str, say: Any) -> Load:
    say(f"{kind} on {database.partition(':')[0]}")
    with serving("-m", "benchmarks.receivers", kind, database, SECRET) as url:
        calls = itertools.cycle([_call(url, f"{number:012x}") for number in range(STARTS)])
        asyncio.run(_send_for(calls, 1.0))
        return asyncio.run(_send_for(calls, SEND_SECONDS))


def _call(url: str, start_id: str) -> tuple[str, dict[str, str]]:
    """Where a start is called back, and with which headers."""
    keys = Keys([SECRET])
    token = keys.mint(Ticket(channel="automic", start_id=start_id, expires_at=int(time.time()) + 3600))
    headers = {"Authorization": f"Bearer {keys.bearer(token)}", "Content-Type": "application/json"}
    return f"{url}/callbacks/{token}", headers


# --- how soon a callback is acted upon


class Fired(NamedTuple):
    """A moment (epoch), and how often the inbox was read until then."""

    at: float
    reads: int


class Woken(Stage):
    """A triggerer whose waits are called back, and a receiver."""

    def __init__(self, case: Case, remote: Remote, folder: Path, postgres: PrivatePostgres) -> None:
        self._signal, self._fired = folder / "signal", folder / "fired"
        self._fired.touch()
        env = {"AIRFLOW__TASKWATCH__INBOX_URL": postgres.url, SIGNAL: str(self._signal), FIRED: str(self._fired)}
        super().__init__(case, remote, folder, postgres, env)
        self._keys = Keys([SECRET])

    def begin(self) -> float:
        """Let the timed triggers fire, and return the moment (epoch) of the first one."""
        began = time.time() + 2.0
        written = self._signal.with_suffix(".new")
        written.write_text(str(began))
        written.rename(self._signal)
        return began

    async def call_back(self, base: str, numbers: Sequence[int], per_second: int) -> dict[int, float]:
        """End these executions, second by second, call back for each, and return when each was answered (epoch)."""
        answered: dict[int, float] = {}
        began = time.monotonic()

        async def call(session: aiohttp.ClientSession, position: int, number: int) -> None:
            await asyncio.sleep(began + position / per_second - time.monotonic())
            ticket = Ticket(channel="automic", start_id=start_id_of(number), expires_at=int(time.time()) + 3600)
            token = self._keys.mint(ticket)
            headers = {"Authorization": f"Bearer {self._keys.bearer(token)}"}
            body = {"runid": str(run_id_of(number)), "execution_status": "1900"}
            async with session.post(f"{base}/callbacks/{token}", json=body, headers=headers) as response:
                response.raise_for_status()
            answered[number] = time.time()

        async with aiohttp.ClientSession(connector=aiohttp.TCPConnector(limit=SENDERS)) as session:
            calls = []
            for first in range(0, len(numbers), per_second):
                chunk = numbers[first : first + per_second]
                await asyncio.to_thread(self._remote.end, chunk)
                calls += [asyncio.create_task(call(session, first + at, number)) for at, number in enumerate(chunk)]
                await asyncio.sleep(began + first / per_second + 1.0 - time.monotonic())
            await asyncio.gather(*calls)
        return answered

    def fired(self) -> dict[int, Fired]:
        """When each trigger has yielded its event."""
        lines = [line.split() for line in self._fired.read_text().splitlines()]
        return {int(number): Fired(float(at), int(reads)) for number, at, reads in lines}

    def stored(self) -> dict[int, float]:
        """When each task was resumed in Airflow's database (epoch)."""
        with self._required_postgres.connect() as connection:
            rows = connection.execute(
                "SELECT run_id, extract(epoch FROM updated_at) FROM task_instance WHERE state = 'scheduled'"
            ).fetchall()
        return {int(run.removeprefix("run-")): float(at) for run, at in rows}

    @property
    def _required_postgres(self) -> PrivatePostgres:
        if self._postgres is None:
            raise RuntimeError("this is measured on PostgreSQL")
        return self._postgres

    def blocked(self) -> int:
        """Loop-blocked warnings so far."""
        return self._log().count("was blocked for")


@contextmanager
def _woken(case: Case, say: Any) -> Iterator[tuple[Woken, Remote, str]]:
    """A triggerer in which all triggers run, their remote, and the address of a receiver."""
    with ExitStack() as held:
        remote = held.enter_context(served())
        folder = Path(held.enter_context(tempfile.TemporaryDirectory(prefix="bench-", ignore_cleanup_errors=True)))
        postgres = held.enter_context(PrivatePostgres())
        remote.reset(delay=LATENCY, watched=case.watches)
        stage = Woken(case, remote, folder, postgres)
        held.callback(stage.close)
        base = held.enter_context(serving("-m", "benchmarks.receivers", "receiver", postgres.url, SECRET))
        say("writing the tasks that wait")
        stage.populate()
        stage.load(say)
        yield stage, remote, base


def alone(watches: int, say: Any) -> dict[str, dict[str, float]]:
    """Triggers that fire evenly."""
    case = Case(name="timed", kind="timed", watches=watches, interval=1 / PER_SECOND, delay=LATENCY, per_loop=500)
    with _woken(case, say) as (stage, _, _):
        say(f"{watches:,} events")
        blocked, began = stage.blocked(), stage.begin()
        _await_events(stage, set(range(watches)))
        fired, stored = stage.fired(), stage.stored()
        due = {number: began + number * case.interval for number in range(watches)}
        blocked = stage.blocked() - blocked
        found = {"events": watches, **_lateness(due, fired, stored), "loop blocked above 0.2 s": blocked}
        return {"Airflow alone": found}


def wake(watches: int, say: Any) -> dict[str, Any]:
    """Callbacks evenly; then all at once, in another triggerer."""
    case = Case(name="called", kind="called", watches=watches, interval=CALLBACK_POLL, delay=LATENCY, per_loop=500)
    found = {}
    for name, share, per_second in (("evenly", EVENLY_SHARE, PER_SECOND), ("at once", 1.0, watches)):
        with _woken(case, say) as (stage, remote, base):
            found[name] = _phase(stage, remote, base, range(int(watches * share)), per_second, say)
    return found


def _await_events(stage: Woken, numbers: set[int]) -> None:
    """Wait until these triggers have fired, and Airflow has stored it."""
    until(
        lambda: numbers <= stage.fired().keys(),
        within_seconds=AWAKE_WITHIN,
        what="every trigger has fired",
        every_seconds=5.0,
    )
    until(
        lambda: numbers <= stage.stored().keys(),
        within_seconds=AWAKE_WITHIN,
        what="every event is in the database",
        every_seconds=5.0,
    )


def _lateness(due: Mapping[int, float], fired: Mapping[int, Fired], stored: Mapping[int, float]) -> dict[str, float]:
    """Seconds from the moment that was due (epoch) to the event, and to its end in the database."""
    late = sorted(fired[number].at - at for number, at in due.items())
    kept = sorted(stored[number] - at for number, at in due.items())
    return {
        "event, median": percentile(late, 0.5),
        "event, p99": percentile(late, 0.99),
        "database, p99": percentile(kept, 0.99),
        "within 1.5 s": sum(one <= 1.5 for one in late) / len(late),
    }


def _phase(
    stage: Woken, remote: Remote, base: str, numbers: Sequence[int], per_second: int, say: Any
) -> dict[str, float]:
    say(f"{len(numbers):,} callbacks")
    polls, blocked, began = len(remote.seen()["polls"]), stage.blocked(), time.time()
    answered = asyncio.run(stage.call_back(base, numbers, per_second))
    _await_events(stage, set(numbers))
    fired = stage.fired()
    first, last = min(fired.values()), max(fired.values())
    polled = [number for number, _ in remote.seen()["polls"][polls:]]
    ours = {run_id_of(number) for number in numbers}
    return {
        "callbacks": len(numbers),
        "seconds to send": max(answered.values()) - began,
        **_lateness(answered, fired, stage.stored()),
        "event, last after the first callback": last.at - began,
        "inbox queries a second": (last.reads - first.reads) / (last.at - first.at),
        "polls of each task that called back": sum(one in ours for one in polled) / len(numbers),
        "polls of others": sum(one not in ours for one in polled),
        "loop blocked above 0.2 s": stage.blocked() - blocked,
    }


# --- the program


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description="What callbacks save and cost.")
    parser.add_argument("--only", default="hour,receiver,alone,wake")
    parser.add_argument("--watches", type=int, default=WATCHES, help="of alone and wake")
    parser.add_argument("--json", type=Path)
    arguments = parser.parse_args()
    console = Console(width=None if sys.stdout.isatty() else 120)
    measures: dict[str, Callable[[Any], Any]] = {
        "hour": lambda _: hour(),
        "receiver": receiver,
        "alone": partial(alone, arguments.watches),
        "wake": partial(wake, arguments.watches),
    }
    found: dict[str, Any] = {"measured_at": datetime.now(UTC).isoformat(timespec="seconds")}
    with sigterm_as_exit(), console.status("") as status:
        for name in arguments.only.split(","):
            found[name] = measures[name](status.update)
            console.print(_table(name, found[name]))
    if arguments.json:
        arguments.json.write_text(json.dumps(found, default=asdict, indent=1) + "\n")


def _table(name: str, found: dict[str, Any]) -> Table:
    if name == "hour":
        shown = Table("an execution of an hour", "requests, the start included", title="What callbacks save")
        for way, number in found.items():
            shown.add_row(way, f"{number:.1f}")
        return shown
    if name == "receiver":
        shown = Table("database", "bare route", "receiver", "of the bare one", "p99", title="Callbacks a second")
        for database, by in found.items():
            bare, ours = by["bare"], by["receiver"]
            share = f"{ours.per_second / bare.per_second:.0%}"
            shown.add_row(
                database, f"{bare.per_second:.0f}", f"{ours.per_second:.0f}", share, f"{1000 * ours.p99:.0f} ms"
            )
        return shown
    shown = Table("", *found, title="How soon triggers fire")
    for what in next(iter(found.values())):
        shown.add_row(what, *(f"{by[what]:,.2f}" for by in found.values()))
    return shown


if __name__ == "__main__":
    main()
