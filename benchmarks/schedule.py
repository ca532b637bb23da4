"""What waiting costs and how late it notices the end: our poll intervals beside fixed and exponential ones.

``python benchmarks/schedule.py [--tasks 1500] [--json PATH]`` plays many remote tasks against each strategy, without
a clock or a network, and prints for each distribution of durations:

* requests per task;
* the delay between the end at the remote and the poll that sees it: mean, 95th percentile, and the mean over the
  tasks that failed before their time.

The waits begin with a start of our own. The strategies of others poll at once, as Airflow's own deferrable operators
do; ``fixed 30 s, late`` is the same without that poll. Every twelfth task fails at a random moment. Where the remote
reports progress, each of :data:`SHAPES` is equally likely: whole percents that rise evenly, fast first, slowly first,
late, that stick at 99, or come in steps of 10 or 25; or no progress, but how long such a task usually takes.
"""

from __future__ import annotations

import argparse
import json
import math
import random
import statistics
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

from rich.console import Console
from rich.table import Table

from airflow_provider_taskwatch.core.schedule import FAR_SECONDS, Rhythm, remaining_seconds

FAILING_EVERY = 12
SEED = 3


@dataclass(frozen=True, slots=True, kw_only=True)
class Distribution:
    """Log-normal durations, in seconds."""

    name: str
    median: float
    sigma: float
    shortest: float
    longest: float

    def length(self, share: float) -> float:
        """The duration that this share of all tasks stays below."""
        length = self.median * math.exp(self.sigma * statistics.NormalDist().inv_cdf(share))
        return min(self.longest, max(self.shortest, length))


DISTRIBUTIONS = (
    Distribution(name="seconds", median=20, sigma=0.7, shortest=2, longest=300),
    Distribution(name="minutes", median=300, sigma=0.8, shortest=20, longest=7200),
    Distribution(name="hours", median=3600, sigma=0.6, shortest=600, longest=8 * 3600),
    Distribution(name="heavy tail", median=60, sigma=1.7, shortest=2, longest=86400),
)

Shape = Callable[[float, float], float]
"""The share that a remote reports, from the share that is done and a knob of the task, all 0..1."""

SHAPES: Mapping[str, Shape | None] = {
    "even": lambda done, knob: done,
    "fast first": lambda done, knob: done ** (0.4 + 0.3 * knob),
    "slow first": lambda done, knob: done ** (1.5 + 0.6 * knob),
    "late": lambda done, knob: max(0.0, 1 - (1 - done) / (0.9 - 0.3 * knob)),
    "stuck at 99": lambda done, knob: done / (0.6 + 0.3 * knob),
    "steps of 10": lambda done, knob: math.floor(10 * done) / 10,
    "steps of 25": lambda done, knob: math.floor(4 * done) / 4,
    "usual length": None,
}


@dataclass(frozen=True, slots=True, kw_only=True)
class RemoteTask:
    """What happens at the remote, in seconds from its start.

    :param length: how long it takes if nothing goes wrong.
    :param end: when it ends.
    :param shape: how it reports progress; None where it does not.
    :param pace: how much the real progress is ahead (below 1) or behind.
    :param usual: how long such a task usually takes; None where the remote does not say.
    """

    length: float
    end: float
    shape: Shape | None = None
    knob: float = 0.5
    pace: float = 1.0
    usual: float | None = None

    @property
    def is_failure(self) -> bool:
        return self.end < self.length

    def left(self, age: float) -> float | None:
        """What seems to be left, by what the remote says at this age."""
        progress = None if self.shape is None else self.percent(self.shape, age)
        return remaining_seconds(age, progress, expected=self.usual)

    def percent(self, shape: Shape, age: float) -> int:
        """The progress that the remote reports: whole percents, and not all of them before the end."""
        done = min(1.0, age / self.length) ** self.pace
        return min(99, int(100 * shape(done, self.knob)))


def tasks_of(distribution: Distribution, count: int, *, progress: bool, seed: int = SEED) -> list[RemoteTask]:
    """Tasks of the distribution: its quantiles, so that few tasks do; all else is random."""
    chance = random.Random(seed)  # noqa: S311 - not for secrets
    lengths = [distribution.length((number + 0.5) / count) for number in range(count)]
    return [_task(length, number % FAILING_EVERY == 0, progress, chance) for number, length in enumerate(lengths)]


def _task(length: float, fails: bool, progress: bool, chance: random.Random) -> RemoteTask:
    shape = chance.choice(list(SHAPES.values()))
    usual = length * chance.lognormvariate(0.0, 0.25)
    return RemoteTask(
        length=length,
        end=length * (chance.uniform(0.02, 0.98) if fails else 1.0),
        shape=shape if progress else None,
        knob=chance.random(),
        pace=chance.lognormvariate(0.0, 0.15),
        usual=usual if progress and shape is None else None,
    )


def stuck(percent: int, hours: float) -> RemoteTask:
    """A task that reports the same progress all the time."""
    return RemoteTask(length=3600 * hours, end=3600 * hours, shape=lambda done, knob: (percent + 0.5) / 100)


Strategy = Callable[[RemoteTask, int, float], float]
"""Seconds until the next poll, from what the remote says, the number of polls before, and the age of the wait."""


def fixed(seconds: float, *, at_once: bool = True) -> Strategy:
    """The same interval for ever."""
    return lambda task, polls, age: 0.0 if at_once and not polls else seconds


def exponential(factor: float, limit: float, first: float = 2.0) -> Strategy:
    """Intervals that grow by a factor up to a limit."""
    most = math.ceil(math.log(limit / first, factor))
    return lambda task, polls, age: min(limit, first * factor ** min(polls - 1, most)) if polls else 0.0


def ours(rhythm: Rhythm) -> Strategy:
    """What the package does."""
    return lambda task, polls, age: rhythm.interval(age, task.left(age)) if polls else rhythm.first(age)


OURS = "ours"
GIVEN = "ours, poll_interval=30"
STRATEGIES: Mapping[str, Strategy] = {
    "fixed 5 s": fixed(5.0),
    "fixed 30 s": fixed(30.0),
    "fixed 30 s, late": fixed(30.0, at_once=False),
    "2 s doubling to 30 s": exponential(2.0, 30.0),
    "2 s doubling to 60 s": exponential(2.0, 60.0),
    "2 s x 1.5 to 30 s": exponential(1.5, 30.0),
    GIVEN: ours(Rhythm(is_own_start=True)),
    OURS: ours(Rhythm(is_own_start=True, far_seconds=FAR_SECONDS)),
}


def polls_of(task: RemoteTask, strategy: Strategy) -> tuple[int, float]:
    """How many polls it takes to see the end, and how late that is."""
    polls, age = 0, 0.0
    while not polls or age < task.end:
        age += strategy(task, polls, age)
        polls += 1
    return polls, age - task.end


def surplus(task: RemoteTask, strategy: Strategy, limit: float = 30.0) -> int:
    """How many more polls than with a fixed interval are made at most, at any time until the task ends."""
    most, polls, age = 0, 0, 0.0
    while age < task.end:
        age += strategy(task, polls, age)
        polls += 1
        most = max(most, polls - math.floor(age / limit) - 1)
    return most


@dataclass(frozen=True, slots=True, kw_only=True)
class Figures:
    """What a strategy came to on one distribution; delays in seconds."""

    requests: float
    mean_delay: float
    p95_delay: float
    mean_delay_of_failures: float

    def beats(self, other: Figures) -> bool:
        """Fewer requests and smaller delays at once."""
        return all(mine < theirs for mine, theirs in self._pairs(other))

    def is_no_worse_than(self, other: Figures, tolerance: float = 0.0) -> bool:
        """Neither more requests nor longer delays, but for a share that is noise."""
        return all(mine <= theirs * (1 + tolerance) for mine, theirs in self._pairs(other))

    def _pairs(self, other: Figures) -> Iterable[tuple[float, float]]:
        yield self.requests, other.requests
        yield self.mean_delay, other.mean_delay
        yield self.p95_delay, other.p95_delay


def figures(tasks: Sequence[RemoteTask], strategy: Strategy) -> Figures:
    """Play all tasks against a strategy."""
    played = [(task, *polls_of(task, strategy)) for task in tasks]
    delays = sorted(delay for _, _, delay in played)
    return Figures(
        requests=statistics.fmean(polls for _, polls, _ in played),
        mean_delay=statistics.fmean(delays),
        p95_delay=delays[math.ceil(0.95 * len(delays)) - 1],
        mean_delay_of_failures=statistics.fmean(delay for task, _, delay in played if task.is_failure),
    )


Results = dict[str, dict[str, Figures]]
"""By distribution, then by strategy."""


def simulate(count: int, strategies: Mapping[str, Strategy] = STRATEGIES) -> Results:
    """The figures of all strategies on all distributions, without progress and with it."""
    results: Results = {}
    for progress in (False, True):
        for one in DISTRIBUTIONS:
            tasks = tasks_of(one, count, progress=progress)
            name = f"{one.name}, {'with' if progress else 'no'} progress"
            results[name] = {title: figures(tasks, strategy) for title, strategy in strategies.items()}
    return results


def table_of(results: Results) -> Table:
    """The results for a person."""
    table = Table("distribution", "strategy", *(("requests", "delay mean", "p95", "of failures")), box=None)
    for column in table.columns[2:]:
        column.justify = "right"
    for name, by_strategy in results.items():
        for title, one in by_strategy.items():
            row = (f"{value:.2f}" for value in asdict(one).values())
            table.add_row(name, title, *row, style="bold" if title == OURS else None)
        table.add_section()
    return table


def main() -> None:
    """Print the table, and write it where asked."""
    arguments = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    arguments.add_argument("--tasks", type=int, default=1500, help="per distribution")
    arguments.add_argument("--json", type=Path, metavar="PATH", help="write the figures there")
    given = arguments.parse_args()
    results = simulate(given.tasks)
    Console(width=120).print(table_of(results))
    most, percent = max((surplus(stuck(percent, 8), STRATEGIES[OURS]), percent) for percent in range(100))
    print(f"stuck for hours at any percentage: at most {most} requests more than fixed 30 s (at {percent} %)")
    if given.json:
        content = {name: {title: asdict(one) for title, one in rows.items()} for name, rows in results.items()}
        given.json.write_text(json.dumps(content, indent=2) + "\n")


if __name__ == "__main__":
    main()
