"""A gateway before a server: it tells that it is at work before each reply, as some do."""

from __future__ import annotations

import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from urllib.parse import urlsplit

INTERIM = b"HTTP/1.1 102 Processing\r\n\r\n", b"HTTP/1.1 103 Early Hints\r\nLink: </style.css>\r\n\r\n"


@contextmanager
def relay(url: str) -> Iterator[str]:
    """The address of a gateway to ``url``."""
    target = urlsplit(url)
    listener = socket.create_server(("127.0.0.1", 0))
    thread = threading.Thread(target=_accept, args=(listener, (target.hostname, target.port)))
    thread.start()
    try:
        yield f"http://127.0.0.1:{listener.getsockname()[1]}"
    finally:
        listener.shutdown(socket.SHUT_RDWR)
        listener.close()
        thread.join()


def _accept(listener: socket.socket, target: tuple[str | None, int | None]) -> None:
    with suppress(OSError):
        while True:
            client, _ = listener.accept()
            client.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            server = socket.create_connection((target[0] or "", target[1] or 0))
            threading.Thread(target=_pass, args=(client, server, ()), daemon=True).start()
            threading.Thread(target=_pass, args=(server, client, INTERIM), daemon=True).start()


def _pass(source: socket.socket, sink: socket.socket, before: tuple[bytes, ...]) -> None:
    """Pass on what comes, with something before each reply, until one side ends."""
    with suppress(OSError), source, sink:
        while data := source.recv(65536):
            for piece in (*(before if data.startswith(b"HTTP/1.1 ") else ()), data):
                sink.sendall(piece)
        sink.shutdown(socket.SHUT_RDWR)
