"""Whether anybody writes into an inbox what remotes send; whoever waits for that should know where nobody does."""

from __future__ import annotations

from airflow_provider_taskwatch.inbox.protocol import Inbox

SILENT_SECONDS = 300.0
"""A receiver writes a heartbeat each minute; whoever was not heard of for so long is taken for gone."""


def silence(inbox: Inbox) -> str:
    """What is the matter where no receiver has been heard of, with both causes; empty where one has been. Blocking."""
    if any(one.age_seconds < SILENT_SECONDS for one in inbox.heartbeats()):
        return ""
    return (
        f"no receiver has been heard of in {inbox!r} for {SILENT_SECONDS / 60:.0f} minutes: either none runs (the API "
        "server's plugin, or `airflow taskwatch receiver`), or it writes into another inbox ([taskwatch] inbox_url "
        "differs between here and there)"
    )


def of_callbacks(silent: str) -> str:
    """What :func:`silence` has told, for who waits for a callback."""
    return f"{silent}. Until then only the looks in between find the end"


def of_feed(channel: str, silent: str) -> str:
    """What :func:`silence` has told, for who waits for an event of a feed that is pushed."""
    return f"the feed {channel} is pushed to a receiver, and {silent}. Until then none of its events is heard of"
