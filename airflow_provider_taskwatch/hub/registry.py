"""The hubs of this process: one per event loop and connection."""

from __future__ import annotations

import asyncio

from airflow_provider_taskwatch.config.connection import read_settings
from airflow_provider_taskwatch.config.metric import count

from .hub import Hub

_hubs: dict[tuple[asyncio.AbstractEventLoop, str], Hub] = {}


def hub_for(conn_id: str) -> Hub:
    """The hub of a connection in the running event loop; a new one where there is none, or it has ended."""
    key = asyncio.get_running_loop(), conn_id
    if key not in _hubs or _hubs[key].is_closed:
        for ended in [other for other, hub in _hubs.items() if hub.is_closed]:
            del _hubs[ended]
        _hubs[key] = Hub(conn_id, lambda: read_settings(conn_id), count=count)
    return _hubs[key]
