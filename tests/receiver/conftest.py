"""A new receiver for each test, with an inbox in memory."""

from __future__ import annotations

import pytest

from tests.receiver.visitor import Desk


@pytest.fixture
def desk() -> Desk:
    return Desk()
