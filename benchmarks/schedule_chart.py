"""The picture of ``benchmarks/schedule.py``: ``python benchmarks/schedule_chart.py FIGURES.json docs/schedule.png``."""

from __future__ import annotations

import json
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import matplotlib as mpl

mpl.use("Agg")

from matplotlib import pyplot as plt
from matplotlib.axes import Axes
from matplotlib.ticker import FuncFormatter

OURS = "ours"
MARKS: Mapping[str, tuple[str, str, str]] = {
    "fixed 5 s": ("#9aa5b1", "s", "fixed 5 s"),
    "fixed 30 s": ("#52606d", "s", "fixed 30 s"),
    "2 s doubling to 60 s": ("#f0b429", "v", "exponential: 2 s, doubling to 60 s"),
    "2 s doubling to 30 s": ("#de911d", "o", "exponential: 2 s, doubling to 30 s"),
    "2 s x 1.5 to 30 s": ("#cb6e17", "^", "exponential: 2 s, by 1.5 to 30 s"),
    OURS: ("#0b69a3", "*", "ours"),
}
"""Colour, marker and label of the strategies that are drawn."""

Rows = Mapping[str, Mapping[str, float]]


def draw(results: Mapping[str, Rows], path: Path) -> None:
    """One panel per distribution; down and left is better."""
    plt.rcParams.update({"font.family": "DejaVu Sans", "font.size": 10})
    figure, panels = plt.subplots(2, 4, figsize=(14, 7.6), sharey=True, layout="constrained")
    for panel, (name, rows) in zip(panels.flat, results.items(), strict=True):
        _draw_panel(panel, name, rows)
    for panel in panels[1]:
        panel.set_xlabel("requests per task")
    for panel in panels[:, 0]:
        panel.set_ylabel("seconds late (p95)")
    figure.suptitle(
        "How late the end of a task is seen, and what it costs (green: less of both than every 30 s)",
        fontsize=15,
        weight="bold",
    )
    handles, labels = panels.flat[0].get_legend_handles_labels()
    figure.legend(handles, labels, loc="outside lower center", ncols=len(MARKS), frameon=False)
    figure.savefig(path, dpi=110)


def _draw_panel(panel: Axes, name: str, rows: Rows) -> None:
    fixed = rows["fixed 30 s"]
    panel.set_title(name, fontsize=12, loc="left")
    panel.set_xscale("log")
    panel.set_yscale("log")
    for title, (colour, marker, label) in MARKS.items():
        size = 330 if title == OURS else 75
        at = rows[title]["requests"], rows[title]["p95_delay"]
        panel.scatter(*at, s=size, c=colour, marker=marker, label=label, zorder=3, edgecolors="white", linewidths=0.8)
    costs = [rows[title]["requests"] for title in MARKS]
    panel.set_xlim(min(costs) / 1.6, max(costs) * 1.35)
    panel.set_ylim(3.5, 80)
    panel.fill_between([min(costs) / 2, fixed["requests"]], 1, fixed["p95_delay"], color="#e3f2e9", zorder=0)
    _label(panel, costs)


def _label(panel: Axes, costs: list[float]) -> None:
    """Few round numbers on both axes."""
    steps = [1, 2, 3, 5, 10, 20, 50, 100, 200, 500, 1000]
    shown = [step for step in steps if min(costs) / 1.6 <= step <= max(costs) * 1.35]
    panel.set_xticks(shown, [f"{step}" for step in shown])
    panel.set_yticks([5, 10, 20, 30, 60])
    panel.yaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))
    panel.minorticks_off()
    panel.grid(visible=True, color="#e4e7eb", zorder=1)
    panel.spines[["top", "right"]].set_visible(False)


def main() -> None:
    """Draw what was measured."""
    figures, picture = map(Path, sys.argv[1:3])
    results: dict[str, Any] = json.loads(figures.read_text())
    draw(results, picture)


if __name__ == "__main__":
    main()
