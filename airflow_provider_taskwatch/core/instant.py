"""Seconds since the epoch as a time, however a remote has counted them."""

from __future__ import annotations

import math
from datetime import UTC, datetime

EARLIEST_SECONDS = datetime.min.replace(tzinfo=UTC).timestamp()
LATEST_SECONDS = 253_402_300_799.0
"""The last whole second of the year 9999; a fraction more, as a float, is the year 10000."""


def bounded_seconds(seconds: float) -> float:
    """The seconds, or the nearest that a datetime can have; the epoch for what is no number."""
    return 0.0 if math.isnan(seconds) else min(max(seconds, EARLIEST_SECONDS), LATEST_SECONDS)


def instant(seconds: float) -> datetime:
    """The time in UTC; of seconds that no datetime can have, the nearest that it can."""
    return datetime.fromtimestamp(bounded_seconds(seconds), UTC)
