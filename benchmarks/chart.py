"""The picture of what waiting costs."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from benchmarks.figure import Figures

if TYPE_CHECKING:
    from matplotlib.axes import Axes

LABELS = {
    "http": "(a) HttpSensorTrigger\nof the HTTP provider",
    "bare": "(b) the least a poll can cost\none shared session, no more",
    "single": "(c) WatchTrigger\none read per task",
    "many": "(d) WatchTrigger\none read for many tasks",
    "listed": "(e) WatchTrigger\none list for all of a connection",
}
COLOURS = {"http": "#b0b7bf", "bare": "#7a8794", "single": "#1f77b4", "many": "#2ca02c", "listed": "#9467bd"}


def draw(figures: Sequence[Figures], path: Path) -> None:
    """CPU per wait and poll beside the polls made, for a thousand waits; nothing where those were not measured."""
    from matplotlib import pyplot

    by_name = {one.name: one for one in figures}
    shown = [by_name[name] for name in LABELS if name in by_name and by_name[name].polls]
    idle = by_name.get("idle")
    if idle is None or not shown:
        return
    figure, (cost, kept) = pyplot.subplots(1, 2, figsize=(11, 3.6), width_ratios=(3, 2), sharey=True)
    _bars(cost, shown, [1000 * one.cpu_beyond(idle) * one.intended / one.polls for one in shown], "{:.3g} ms")
    cost.set_xscale("log")
    cost.set_xlabel("CPU per poll beyond an idle trigger, ms (log scale)")
    cost.set_title("What a poll costs the triggerer", loc="left")
    _bars(kept, shown, [100 * one.made for one in shown], "{:.0f} %")
    kept.set_xlim(0, 130)
    kept.set_xlabel("polls made of those intended, %")
    kept.set_title("Whether it keeps its interval", loc="left")
    cost.invert_yaxis()
    first = shown[0]
    figure.suptitle(
        f"{first.watches:,} waits, a poll every {first.interval:g} s, a remote that answers after {first.delay:g} s",
        x=0.01,
        ha="left",
    )
    figure.tight_layout()
    figure.savefig(path, dpi=120)
    pyplot.close(figure)


def _bars(axes: Axes, shown: Sequence[Figures], values: Sequence[float], form: str) -> None:
    bars = axes.barh([LABELS[one.name] for one in shown], values, color=[COLOURS[one.name] for one in shown])
    axes.bar_label(bars, labels=[form.format(value) for value in values], padding=4)
    axes.spines[["top", "right"]].set_visible(False)
    axes.margins(x=0.25)
