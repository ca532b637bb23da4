"""The receiver's socket."""

from __future__ import annotations

import socket

from airflow_provider_taskwatch.receiver.server import listen


def test_a_reply_over_a_kept_connection_does_not_wait_for_an_acknowledgement() -> None:
    with listen("127.0.0.1", 0) as listener, socket.create_connection(listener.getsockname()) as client:
        accepted, _ = listener.accept()
        with accepted, client:
            assert accepted.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY)
