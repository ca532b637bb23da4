"""The operators of a chaos run reach each point at which their worker may die."""

from __future__ import annotations

import importlib
import sys
from pathlib import Path
from typing import Any

import pytest

from airflow_provider_taskwatch.core.outcome import Ending
from tests.chaos import plan
from tests.chaos.plan import Job, Kind, Point
from tests.task.life import Life, event_of

NAME = "JOBS.T"


@pytest.fixture
def seam(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Any:
    plan.write([Job(name=NAME, kind=Kind.AUTOMIC)], tmp_path / "jobs.json")
    monkeypatch.setenv("CHAOS_FOLDER", str(tmp_path))
    monkeypatch.delitem(sys.modules, "tests.chaos.seam", raising=False)
    return importlib.import_module("tests.chaos.seam")


@pytest.mark.usefixtures("connected")
def test_a_start_and_its_end_reach_each_point_once(seam: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    reached: list[Point] = []
    monkeypatch.setattr(seam, "die", lambda job, point, attempt: reached.append(point))
    life = Life(seam.MortalAutomic, object_name=NAME)
    ref = life.defer().trigger.ref
    assert reached == [Point.INTENDED, Point.REPLIED, Point.STORED]
    life.resume(event_of(Ending.SUCCEEDED, ref))
    assert reached[3:] == [Point.RESUMED, Point.FINISHED]
