"""What one measurement brought, and what must be reached: pure arithmetic on counts and moments."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

Polls = Sequence[tuple[int, float]]
"""The number of what was polled, and the moment in seconds, in the order of time."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Figures:
    """One measurement. Times are seconds, memory is bytes.

    :param watches: how many tasks waited.
    :param interval: what each asked for between two polls.
    :param delay: how long the remote took to answer.
    :param seconds: how long was measured.
    :param late_p99: the 99th percentile of how much later than its interval (and the answer's delay) a poll came.
    :param gap_p5, gap_p95: percentiles of the time between two polls at the same task.
    :param connections: TCP connections that were open in the end.
    :param tokens: token requests since the triggerer was started; so are connection reads and loop-blocked warnings.
    :param blocked: loop-blocked warnings during the measurement.
    :param list_pages: pages of lists read; ``page_entries`` and ``page_ours`` are what the average one held.
    :param busiest_tenth: the share of an interval's polls that its busiest tenth held; 0.1 is an even spread.
    """

    name: str
    watches: int
    interval: float
    delay: float
    seconds: float
    polls: int
    single_reads: int
    runner_cpu: float
    supervisor_cpu: float
    runner_memory: int
    supervisor_memory: int
    late_p99: float
    gap_p5: float
    gap_p95: float
    busiest_tenth: float
    connections: int
    tokens: int
    connection_reads: int | None
    blocked: int
    stretch_warnings: int
    list_pages: int
    page_entries: float
    page_ours: float

    @property
    def intended(self) -> float:
        """Polls that the intervals ask for."""
        return self.watches * self.seconds / self.interval

    @property
    def made(self) -> float:
        """Polls made of those intended."""
        return self.polls / self.intended

    @property
    def lists_per_interval(self) -> float:
        """Pages of lists."""
        return self.list_pages * self.interval / self.seconds

    @property
    def cpu(self) -> float:
        """CPU of both processes."""
        return self.runner_cpu + self.supervisor_cpu

    @property
    def memory(self) -> int:
        return self.runner_memory + self.supervisor_memory

    @property
    def cpu_per_poll(self) -> float:
        """Seconds."""
        return self.cpu / self.polls if self.polls else 0.0

    def cpu_beyond(self, idle: Figures) -> float:
        """CPU seconds per watch and interval beyond what as many idle triggers cost."""
        rate = self.cpu / self.seconds - idle.cpu / idle.seconds
        return rate * self.interval / self.watches

    def to_json(self) -> dict[str, Any]:
        derived = {"intended": self.intended, "made": self.made, "cpu_per_poll": self.cpu_per_poll}
        return asdict(self) | derived


def lateness(polls: Polls, *, allowed: float, begin: float, end: float) -> list[float]:
    """By how much each poll inside the window came later than ``allowed`` after the one before, in ascending order.

    A task that was not polled again is as late as the window lets it be.
    """
    last: dict[int, float] = {}
    late = []
    for number, at in polls:
        if begin <= at <= end and number in last:
            late.append(max(0.0, at - last[number] - allowed))
        last[number] = min(at, end)
    late += [over for at in last.values() if (over := end - at - allowed) > 0]
    return sorted(late)


def gaps(polls: Polls, *, begin: float, end: float) -> list[float]:
    """Times between two polls at the same task, the later one inside the window, in ascending order."""
    last: dict[int, float] = {}
    found = []
    for number, at in polls:
        if begin <= at <= end and number in last:
            found.append(at - last[number])
        last[number] = at
    return sorted(found)


def percentile(ascending: Sequence[float], share: float) -> float:
    """0 where there is nothing."""
    return ascending[min(len(ascending) - 1, int(len(ascending) * share))] if ascending else 0.0


def busiest_tenth(moments: Iterable[float], interval: float) -> float:
    """The share of polls that fell into the busiest tenth of the interval, over all rounds."""
    tenths = [0] * 10
    for at in moments:
        tenths[int(at % interval / interval * 10) % 10] += 1
    return max(tenths) / sum(tenths) if any(tenths) else 0.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Goal:
    """One figure, and what it must be; ``value`` and ``limit`` are shown as they are."""

    what: str
    value: str
    limit: str
    is_reached: bool


def _at_most(what: str, value: float, limit: float, form: str = "{:.2f}") -> Goal:
    return Goal(what=what, value=form.format(value), limit=f"<= {form.format(limit)}", is_reached=value <= limit)


def _at_least(what: str, value: float, limit: float, form: str = "{:.1%}") -> Goal:
    return Goal(what=what, value=form.format(value), limit=f">= {form.format(limit)}", is_reached=value >= limit)


def goals(by_name: Mapping[str, Figures]) -> list[Goal]:
    """What the measurements that were made say of the goals."""
    found: list[Goal] = []
    if by_name.keys() >= {"idle", "http", "bare", "single", "many"}:
        found += _goals_of_a_thousand(by_name)
    if "listed" in by_name:
        found += _goals_of_one_list(by_name["listed"])
    if by_name.keys() >= {"hand", *PROFILES}:
        found += _goals_of_profiles(by_name)
    if "single-slow" in by_name:
        found += _goals_of_a_slow_remote(by_name["single-slow"])
    if "restart" in by_name:
        found += _goals_of_a_restart(by_name["restart"])
    if by_name.keys() >= {"idle-10k", "bare-10k", "single-10k"}:
        found += _goals_of_ten_thousand(by_name)
    return found


def goals_of_starting_up(importing: float, version: float) -> list[Goal]:
    """What :mod:`.start_up` measured, in milliseconds."""
    return [
        _at_most("importing the operators, ms", importing, 60.0, "{:.0f}"),
        _at_most("airflow version with the provider, ms of user CPU more", version, 50.0, "{:.0f}"),
    ]


def _goals_of_a_thousand(by_name: Mapping[str, Figures]) -> list[Goal]:
    idle, http, bare, single, many = (by_name[name] for name in ("idle", "http", "bare", "single", "many"))
    beyond = single.cpu_beyond(idle)
    return [
        _at_most("(c) CPU per poll, of (b)", single.cpu_per_poll / bare.cpu_per_poll, 1.3),
        _times_dearer(http, single),
        _at_least("(c) polls made", single.made, 0.99),
        _at_most("(c) lateness, p99, seconds", single.late_p99, 1.0),
        _at_most("(c) token requests", single.tokens, 1, "{:.0f}"),
        _at_most("(c) connection reads", single.connection_reads or 0, 1, "{:.0f}"),
        _at_most("(c) TCP connections", single.connections, 64, "{:.0f}"),
        _at_most("(d) CPU per watch and interval, of (c), both beyond idle", many.cpu_beyond(idle) / beyond, 0.1),
    ]


PROFILES = {"profile": 1.15, "github": 1.35, "databricks": 1.35}
"""What the runner's CPU per poll by a profile may be, of that of a system that is written by hand."""


def _goals_of_profiles(by_name: Mapping[str, Figures]) -> list[Goal]:
    hand = by_name["hand"].runner_cpu / by_name["hand"].polls
    return [
        _at_most(
            f"(g) {name}: the runner's CPU per poll, of (f)",
            by_name[name].runner_cpu / by_name[name].polls / hand,
            most,
        )
        for name, most in PROFILES.items()
    ]


def _times_dearer(http: Figures, single: Figures) -> Goal:
    what = "(a) CPU per poll, of (c)"
    if not http.polls:
        return Goal(what=what, value="(a) made no poll", limit=">= 40", is_reached=False)
    return _at_least(what, http.cpu_per_poll / single.cpu_per_poll, 40.0, "{:.0f}")


def _goals_of_one_list(listed: Figures) -> list[Goal]:
    """One more is the one that the window cuts."""
    rounds = listed.seconds / listed.interval
    return [
        _at_most("(e) lists read per interval", listed.lists_per_interval, 1 + 1 / rounds),
        _at_most("(e) single reads", listed.single_reads, 0, "{:.0f}"),
        _at_most("(e) lateness, p99, seconds", listed.late_p99, 1.0),
    ]


def _goals_of_a_slow_remote(slow: Figures) -> list[Goal]:
    kept = slow.made >= 0.99 and slow.late_p99 <= 1.0
    evenly = slow.stretch_warnings == 1 and slow.gap_p95 <= 1.25 * slow.gap_p5
    value = f"{slow.made:.0%}, every {slow.gap_p5:.1f}-{slow.gap_p95:.1f} s, {slow.stretch_warnings} warning(s)"
    return [
        Goal(
            what="(c) after 500 ms: polls made, the middle 90 % of the gaps",
            value=value,
            limit="99 %, or stretched evenly, with one warning",
            is_reached=kept or evenly,
        )
    ]


def _goals_of_a_restart(restart: Figures) -> list[Goal]:
    return [
        _at_most("restart of 1,000: token requests", restart.tokens, 1, "{:.0f}"),
        _at_most("restart of 1,000: polls in the busiest tenth of an interval", restart.busiest_tenth, 0.2, "{:.0%}"),
    ]


def _goals_of_ten_thousand(by_name: Mapping[str, Figures]) -> list[Goal]:
    bare, single = by_name["bare-10k"], by_name["single-10k"]
    return [
        _at_least("10,000 at 30 s: (c) polls made", single.made, min(0.99, bare.made)),
        _at_most("10,000 at 30 s: (c) loop-blocked warnings", single.blocked, bare.blocked, "{:.0f}"),
        _at_most("10,000: kB of memory per watch beyond idle", _memory_per_watch(by_name) / 1000, 10.0, "{:.1f}"),
    ]


def _memory_per_watch(by_name: Mapping[str, Figures]) -> float:
    """Bytes that each further watch takes, beyond a further idle trigger: the slope, without what is paid once."""

    def slope(few: str, many: str) -> float:
        more = by_name[many].watches - by_name[few].watches
        return (by_name[many].memory - by_name[few].memory) / more

    if not by_name.keys() >= {"idle", "single"}:
        beyond = by_name["single-10k"].memory - by_name["idle-10k"].memory
        return beyond / by_name["single-10k"].watches
    return slope("single", "single-10k") - slope("idle", "idle-10k")
