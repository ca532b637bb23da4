"""The sandbox, whose tasks end at once where a test does not say otherwise."""

from __future__ import annotations

import pytest

from airflow_provider_taskwatch.sandbox.server import Running
from airflow_provider_taskwatch.systems.acronis import feed
from airflow_provider_taskwatch.task import deferral


@pytest.fixture
def box(connected: Running, monkeypatch: pytest.MonkeyPatch) -> Running:
    """The emulators as new, and quick; Airflow connections lead to them."""
    connected.sandbox.add_rule(duration=0.0)
    monkeypatch.setattr(feed, "SHORT_SECONDS", 0)  # else each read that finds no event takes a second
    monkeypatch.setattr(deferral, "SETTLED_LEAST_SECONDS", 0.0)  # no scheduler has to learn of a deferral here
    return connected
