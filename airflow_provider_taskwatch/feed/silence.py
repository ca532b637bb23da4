"""Explains to waits for callbacks and pushed events that no receiver is alive."""

from __future__ import annotations

from airflow_provider_taskwatch.inbox.protocol import Inbox

SILENT_SECONDS = 300.0
"""A receiver writes a heartbeat each minute, and counts as dead this long after the last one."""


def silence(inbox: Inbox) -> str:
    """Explains why no receiver is alive; empty if one is. Blocking."""
    if any(one.age_seconds < SILENT_SECONDS for one in inbox.heartbeats()):
        return ""
    return (
        f"no receiver has been heard of in {inbox!r} for {SILENT_SECONDS / 60:.0f} minutes: either none runs (the "
        "plugin on the API server, or `taskwatch receiver`), or it writes into another inbox ([taskwatch] "
        "inbox_url differs)"
    )


def of_callbacks(silent: str) -> str:
    """The same for waits for a callback."""
    return f"{silent}. Until a receiver is alive, only polls notice the end"


def of_feed(channel: str, silent: str) -> str:
    """The same for waits for an event of a pushed feed."""
    return f"the feed {channel} is pushed to a receiver, and {silent}. Until then none of its events arrives"
