"""The sandbox, whose tasks end at once where a test does not say otherwise."""

from __future__ import annotations

import pytest

from airflow_provider_taskwatch.sandbox.server import Running


@pytest.fixture
def box(connected: Running) -> Running:
    """The emulators as new, and quick; Airflow connections lead to them."""
    connected.sandbox.add_rule(duration=0.0)
    return connected
