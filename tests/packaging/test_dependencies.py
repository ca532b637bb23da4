"""Every imported package is declared in setup.cfg, every declared one is imported, and every lower bound is tested."""

from __future__ import annotations

import ast
import configparser
import re
import sys
from collections.abc import Iterator, Mapping
from functools import cache
from importlib.metadata import packages_distributions
from pathlib import Path

ROOT = Path(__file__).parents[2]
PACKAGE = "airflow_provider_taskwatch"
PROGRAMS = ("benchmarks", "demo", "docs", "example_dags", "tests")
AIRFLOW = "apache-airflow"
"""The package itself is empty: ``airflow`` belongs to packages that it pins. A provider is a package of its own."""

SETUP = configparser.ConfigParser()
SETUP.read(ROOT / "setup.cfg")


def requirements(section: str, key: str) -> dict[str, str]:
    """The version that each named package must have; empty: any."""
    lines = [re.match(r"([\w.-]+)(.*)", line) for line in SETUP[section][key].split("\n") if line]
    return {line[1].lower(): line[2] for line in lines}


def declared(section: str, key: str) -> set[str]:
    return set(requirements(section, key))


def statements(block: ast.AST) -> Iterator[ast.AST]:
    """All of a block and of the blocks in it; their expressions are not looked at, as they import nothing."""
    for name in ("body", "orelse", "finalbody", "handlers", "cases"):
        for node in getattr(block, name, ()):
            yield node
            yield from statements(node)


def modules(*folders: str) -> Iterator[str]:
    for file in [one for folder in folders for one in (ROOT / folder).rglob("*.py")]:
        for node in statements(ast.parse(file.read_text())):
            if isinstance(node, ast.Import):
                yield from [one.name for one in node.names]
            elif isinstance(node, ast.ImportFrom) and not node.level:
                yield node.module


@cache
def distributions() -> Mapping[str, list[str]]:
    return packages_distributions()


def distribution(module: str) -> str:
    top, *below = module.split(".")
    if top == "airflow":
        name = below[1:3] if below[1:2] == ["common"] else below[1:2]
        return "-".join([AIRFLOW, "providers", *name]) if below[:1] == ["providers"] else AIRFLOW
    (name,) = set(distributions()[top])
    return name.lower()


def imported(*folders: str) -> set[str]:
    known = {PACKAGE, *PROGRAMS} | sys.stdlib_module_names
    return {distribution(module) for module in modules(*folders) if module.split(".")[0] not in known}


def test_what_the_package_imports_is_what_it_declares() -> None:
    assert imported(PACKAGE) == declared("options", "install_requires")


def test_what_its_tests_and_programs_import_is_declared() -> None:
    assert imported(*PROGRAMS) <= (declared("options", "install_requires") | declared("options.extras_require", "dev"))


def test_each_lower_bound_is_the_version_in_the_lowest_set() -> None:
    """The patch of Airflow is the newest one of the minor, as in its other set."""
    lock = (ROOT / "locks" / "airflow-3.1-lowest.lock").read_text()
    lowest = dict(re.findall(r"^([\w.-]+)==(\S+)", lock, re.MULTILINE))
    lowest[AIRFLOW] = lowest[AIRFLOW].rpartition(".")[0]
    bounds = requirements("options", "install_requires")
    assert bounds == {name: ">=" + re.sub(r"(\.0)+$", "", lowest[name]) for name in bounds}
