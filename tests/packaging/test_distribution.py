"""The source distribution holds what git tracks, has one version, and shows no dead link on an index page."""

from __future__ import annotations

import re
import subprocess
import sys
import tarfile
from email import message_from_string
from email.message import Message
from pathlib import Path

import pytest

from airflow_provider_taskwatch import __version__

ROOT = Path(__file__).parents[2]
NAME = f"airflow_provider_taskwatch-{__version__}"
GENERATED = re.compile(r"PKG-INFO|\w+\.egg-info/.*")


def run(*args: str, cwd: Path = ROOT) -> str:
    return subprocess.run(args, cwd=cwd, capture_output=True, text=True, timeout=60, check=True).stdout


@pytest.fixture(scope="module")
def tracked() -> set[str]:
    if not (ROOT / ".git").exists():
        pytest.skip("this is no clone: git does not tell what belongs to the package")
    return {file for file in run("git", "ls-files").splitlines() if (ROOT / file).exists()}


@pytest.fixture(scope="module")
def sdist(tracked: set[str], tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An unpacked source distribution, built from a copy: a build writes beside its sources."""
    source, made = tmp_path_factory.mktemp("source"), tmp_path_factory.mktemp("made")
    for file in tracked:
        (source / file).parent.mkdir(parents=True, exist_ok=True)
        (source / file).write_bytes((ROOT / file).read_bytes())
    run(sys.executable, "-c", f"from setuptools import build_meta; build_meta.build_sdist({str(made)!r})", cwd=source)
    with tarfile.open(made / f"{NAME}.tar.gz") as archive:
        archive.extractall(made, filter="data")
    return made / NAME


@pytest.fixture(scope="module")
def metadata(sdist: Path) -> Message:
    return message_from_string((sdist / "PKG-INFO").read_text())


@pytest.mark.process
def test_a_source_distribution_holds_what_git_tracks(sdist: Path, tracked: set[str]) -> None:
    files = {file.relative_to(sdist).as_posix() for file in sdist.rglob("*") if file.is_file()}
    assert {file for file in files if not GENERATED.fullmatch(file)} == tracked


@pytest.mark.process
def test_the_version_stands_in_one_place_and_the_changelog_begins_with_it(metadata: Message) -> None:
    assert metadata["Version"] == __version__
    (newest, *_) = re.findall(r"^## (\S+)", (ROOT / "CHANGELOG.md").read_text(), re.MULTILINE)
    assert newest == __version__
    for file in ("setup.cfg", "setup.py", "pyproject.toml", "Makefile"):
        assert __version__ not in (ROOT / file).read_text(), file


@pytest.mark.process
def test_an_index_page_has_no_relative_link(metadata: Message) -> None:
    page = metadata.get_payload()
    assert re.findall(r"\]\((?!https?://|#)[^)]*\)", page) == []
    readme = (ROOT / "README.md").read_text()
    for target in re.findall(r"\]\((?!https?://|#)([^)#]+)", readme):
        assert target in page, target
    assert blocks(page) == blocks(readme)


def blocks(page: str) -> list[str]:
    return re.findall(r"```.*?```", page, re.DOTALL)
