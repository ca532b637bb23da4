"""Names the holders of leases."""

from __future__ import annotations

import os
import socket
import uuid


def new_holder() -> str:
    """A name for one who holds a lease, with his host and process for whoever looks for him."""
    return f"{socket.gethostname()} {os.getpid()} {uuid.uuid4()}"
