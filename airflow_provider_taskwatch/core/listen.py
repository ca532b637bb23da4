"""Why an address cannot be listened on, in words that name the remedy."""

from __future__ import annotations

import errno
import socket


def cannot_listen(who: str, host: str, port: int, error: OSError) -> str:
    """The sentence for an error of taking an address: the host, where that is what is wrong, or else the port.

    Python 3.11's ``create_server`` makes a plain error of a name that cannot be resolved, with the resolver's number,
    which is below 0 on Linux, and appends the address to the words.
    """
    why = str(error.strerror).partition(" (while ")[0]
    if isinstance(error, socket.gaierror) or (error.errno or 0) < 0:
        return f"{who} cannot listen on {host}: the name cannot be resolved ({why}); choose another --host"
    remedy = "--host" if error.errno == errno.EADDRNOTAVAIL else "--port"
    return f"{who} cannot listen on {host}:{port}: {why}; choose another {remedy}"
