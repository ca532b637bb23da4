"""The sandbox, and Airflow connections that lead to it."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from airflow_provider_taskwatch.sandbox.server import Running, running


@pytest.fixture(scope="session")
def served() -> Iterator[Running]:
    """The emulators, served by this process."""
    with running() as server:
        yield server


@pytest.fixture
def box(served: Running, monkeypatch: pytest.MonkeyPatch) -> Iterator[Running]:
    """The emulators as new; tasks end at once where a test does not say otherwise."""
    for name, value in served.environment().items():
        monkeypatch.setenv(name, value)
    served.sandbox.reset()
    served.sandbox.add_rule(duration=0.0)
    yield served
    served.sandbox.reset()
