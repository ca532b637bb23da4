"""For processes under libfaketime: 0.9.10 answers Python's sleeps, which are absolute, with EINVAL."""

import select
import time


def sleep(seconds: float) -> None:
    """Sleep for that many seconds, by a relative timeout."""
    if seconds < 0:
        raise ValueError("sleep length must be non-negative")
    select.select([], [], [], seconds)


time.sleep = sleep  # type: ignore[assignment]
