"""What the provider adds to starting things: an import in a DAG file, and any ``airflow`` command.

``python benchmarks/start_up.py [--runs 20]`` prints two figures:

* milliseconds of importing all operators and sensors beyond ``airflow.sdk``'s own base classes (``-X importtime``);
* user CPU of ``airflow version`` with the provider and without it, alternating, the median of the differences.
"""

from __future__ import annotations

import argparse
import os
import resource
import statistics
import subprocess
import sys
import tempfile
from dataclasses import dataclass

PACKAGE = "airflow_provider_taskwatch"
DISTRIBUTION = "airflow-provider-taskwatch"
BASES = "from airflow.sdk import BaseOperator, BaseOperatorLink, BaseSensorOperator; import pendulum"
MODULES = ("operators.acquia", "operators.automic", "sensors.acquia", "sensors.automic")
OURS = "\n".join(f"import {PACKAGE}.{name}" for name in MODULES)
HIDE = """
import importlib.metadata, sys
def hide(module):
    found = module.distributions
    module.distributions = lambda **by: (one for one in found(**by) if one.metadata["Name"] != {hidden!r})
hide(importlib.metadata)
try:
    import importlib_metadata  # what Airflow asks on Python 3.11
    hide(importlib_metadata)
except ImportError:
    pass
sys.argv = ["airflow", "version"]
from airflow.__main__ import main
main()
if ("{package}" in sys.modules) == ({hidden!r} == "{name}"):
    sys.exit("hiding a distribution does not work here")
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class StartUp:
    """Milliseconds: importing our classes, and what ``airflow version`` takes more with us than without."""

    importing: float
    version: float


def measure(runs: int = 20) -> StartUp:
    """Both figures; the second from a number of pairs of runs."""
    with tempfile.TemporaryDirectory() as home:
        environment = {**os.environ, "AIRFLOW_HOME": home}
        imports = [import_milliseconds(environment) for _ in range(5)]
        version_seconds("nothing", environment)
        differences = [
            version_seconds("nothing", environment) - version_seconds(DISTRIBUTION, environment) for _ in range(runs)
        ]
    return StartUp(importing=statistics.median(imports), version=1000 * statistics.median(differences))


def main() -> None:
    """Print both figures."""
    arguments = argparse.ArgumentParser(description=__doc__)
    arguments.add_argument("--runs", type=int, default=20)
    runs = arguments.parse_args().runs
    found = measure(runs)
    print(f"importing operators and sensors: {found.importing:.1f} ms (median of 5)")
    print(f"airflow version: {found.version:+.1f} ms user CPU with the provider (median of {runs} alternating runs)")


def import_milliseconds(environment: dict[str, str]) -> float:
    """What our modules take once the base classes are there."""
    report = subprocess.run(
        [sys.executable, "-W", "ignore", "-X", "importtime", "-c", f"{BASES}\n{OURS}"],
        env=environment,
        capture_output=True,
        text=True,
        check=True,
    ).stderr
    return sum(float(line.split("|")[1]) for line in report.splitlines() if _is_outermost_of_ours(line)) / 1000


def _is_outermost_of_ours(line: str) -> bool:
    name = line.rpartition("|")[2]
    return name.strip().startswith(f"{PACKAGE}.") and len(name) - len(name.lstrip()) == 1


def version_seconds(hidden: str, environment: dict[str, str]) -> float:
    """User CPU seconds of ``airflow version``, with one distribution hidden."""
    before = resource.getrusage(resource.RUSAGE_CHILDREN).ru_utime
    command = [sys.executable, "-W", "ignore", "-c", HIDE.format(hidden=hidden, package=PACKAGE, name=DISTRIBUTION)]
    subprocess.run(command, env=environment, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, check=True)
    return resource.getrusage(resource.RUSAGE_CHILDREN).ru_utime - before


if __name__ == "__main__":
    main()
