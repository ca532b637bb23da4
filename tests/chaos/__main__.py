"""``python -m tests.chaos``: runs under faults, and the books of each. See docs/chaos.md."""

from __future__ import annotations

import argparse
import shutil
import sys
import time
from collections.abc import Sequence
from pathlib import Path

from tests.chaos import report
from tests.chaos.book import balance
from tests.chaos.evidence import gather
from tests.chaos.fault import FAULTS, RETRY_AFTER_SECONDS, Fault
from tests.chaos.plan import make_jobs, with_kills
from tests.chaos.report import Result
from tests.chaos.run import Run
from tests.chaos.stage import staged

REPORT = Path("build/chaos-report.json")
JOBS = (48, 200)
"""The number of jobs, in the short form and in the long one."""
LIMIT_SECONDS = (360.0, 1800.0)
"""A task that has not ended by then hangs."""
LONGEST_SECONDS = (120.0, 60.0)
"""The longest remote work, in seconds, in the short form and in the long one."""


def main() -> int:
    """Run the faults that the command line names, and return the exit code."""
    options = _options()
    if options.fault:
        chosen = [[one] for one in FAULTS if one.name in options.fault]
    elif options.long:
        chosen = [[one] for one in FAULTS]
    else:
        chosen = [list(FAULTS)]
    results: list[Result] = []
    for faults in chosen:
        results.append(_run(faults, options))
        print(report.details(results[-1]), flush=True)
        report.write(results, options.report)
    print(report.table(results))
    return 0 if all(result.is_good for result in results) else 1


def _run(faults: Sequence[Fault], options: argparse.Namespace) -> Result:
    form = int(options.long)
    name = faults[0].name if len(faults) == 1 else "all"
    jobs = make_jobs(options.jobs or JOBS[form], LONGEST_SECONDS[form])
    began = time.monotonic()

    def say(what: str) -> None:
        print(f"{name} {time.monotonic() - began:5.0f} s: {what}", flush=True)

    jobs = with_kills(jobs, of_ten=max(fault.killed_of_ten for fault in faults))
    retry_seconds = max(fault.retry_seconds[form] for fault in faults)
    with staged(jobs, is_skewed=any(fault.is_skewed for fault in faults), retry_seconds=retry_seconds) as stage:
        say("everything is up")
        run = Run(stage, faults, say, form)
        run.play(LIMIT_SECONDS[form])
        result = Result(
            name=name,
            seconds=time.monotonic() - began,
            done=stage.done,
            restarted=stage.airflow.restarted,
            balance=balance(gather(run, RETRY_AFTER_SECONDS)),
        )
        if options.keep:
            shutil.copytree(stage.airflow.home / "logs", options.keep / name, dirs_exist_ok=True)
        return result


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m tests.chaos", description=__doc__)
    names = [fault.name for fault in FAULTS]
    parser.add_argument("--long", action="store_true", help="each fault in a run of its own, with many tasks")
    parser.add_argument("--fault", action="append", choices=names, help="only this one; may be given again")
    parser.add_argument("--jobs", type=int, help="how many tasks a run has")
    parser.add_argument("--report", type=Path, default=REPORT, help="where the JSON goes")
    parser.add_argument("--keep", type=Path, help="a folder for Airflow's logs")
    return parser.parse_args()


if __name__ == "__main__":
    sys.exit(main())
