"""A free port on the loopback interface."""

from __future__ import annotations

import socket


def free_port() -> int:
    """A port that no process listens on now; take it soon."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])
