"""Names the holders of leases."""

from __future__ import annotations

import os
import socket
import uuid


def new_holder() -> str:
    """A unique name for the holder of a lease, with its host and process, by which people find it."""
    return f"{socket.gethostname()} {os.getpid()} {uuid.uuid4()}"
