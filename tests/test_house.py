"""How much a reader must read, and whether files can be read one after the other."""

from __future__ import annotations

import json
import subprocess
import sys

import grimp
import pytest

from tests.walk import PACKAGE, ROOT

MAX_FILES = 62
MAX_LINES = 10_250
"""What one deferrable run takes today. Lower them when the way becomes shorter."""


def circles(*, with_annotations: bool) -> set[frozenset[str]]:
    """The files that import each other, directly or by way of others, by their names without folders.

    Imports inside functions count.

    :param with_annotations: count imports under ``if TYPE_CHECKING`` too.
    """
    graph = grimp.build_graph(PACKAGE.name, exclude_type_checking_imports=not with_annotations, cache_dir=None)
    assert len(graph.modules) > 100
    found = set()
    for module in graph.modules:
        if others := graph.find_upstream_modules(module) & graph.find_downstream_modules(module):
            found.add(frozenset(name.rpartition(".")[2] for name in {module, *others}))
    return found


def test_no_files_import_each_other() -> None:
    assert circles(with_annotations=False) == set()


def test_no_files_import_each_other_for_annotations() -> None:
    assert circles(with_annotations=True) == set()


@pytest.mark.process
def test_a_deferrable_run_is_followed_in_few_files_and_lines() -> None:
    command = [sys.executable, "-m", "tests.walk", "--json"]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, check=True, timeout=120)
    walk = json.loads(done.stdout)["walk"]
    assert len(walk) <= MAX_FILES
    assert sum(file["lines"] for file in walk) <= MAX_LINES
