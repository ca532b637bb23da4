"""Checks the whole path of a callback: sends one to the receiver as a remote would, and reads it from the inbox."""

from __future__ import annotations

import secrets
import time
from collections.abc import Iterator
from typing import TYPE_CHECKING

from airflow_provider_taskwatch.config.callback import CallbackAddress, CallbackOptions
from airflow_provider_taskwatch.config.inbox import InboxName
from airflow_provider_taskwatch.core.error import (
    ConfigurationError,
    RemoteError,
    TaskWatchError,
    TransportError,
    at_step,
)
from airflow_provider_taskwatch.core.flow import Flow
from airflow_provider_taskwatch.core.refusal import error_message
from airflow_provider_taskwatch.core.settings import Settings
from airflow_provider_taskwatch.core.wire import Reply, get, send
from airflow_provider_taskwatch.receiver.callback import PATH, SERVICE
from airflow_provider_taskwatch.receiver.token import Ticket

if TYPE_CHECKING:
    from airflow_provider_taskwatch.inbox.protocol import Inbox

CHANNEL = "check"
LIFETIME_SECONDS = 86_400
"""Long, so that a difference between two clocks does not look like a wrong secret."""


def prove(options: CallbackOptions, inbox: Inbox, name: InboxName) -> Iterator[tuple[str, str]]:
    """Yields each step as ``(name, finding)``.

    :param name: of the inbox.
    :raises TaskWatchError: at the first step that fails, with its cause and the remedy.
    """
    start_id = f"check-{secrets.token_hex(6)}"
    ticket = Ticket(channel=CHANNEL, start_id=start_id, expires_at=int(time.time()) + LIFETIME_SECONDS)
    address = options.callback_address(ticket)
    yield "settings", f"{options.base_url} with {len(options.secrets)} secret(s)"
    with at_step("inbox"):
        receivers = _receivers(inbox)
    yield "inbox", f"{name.name}; receivers: {receivers}"
    if name.doubt:
        yield "warning", name.doubt
    with at_step("delivered"):
        _send(options.base_url, address)
    yield "delivered", f"{options.base_url} has accepted a callback"
    with at_step("found"):
        _require(inbox, start_id, options.base_url)
    yield "found", "it is in the inbox"


def _receivers(inbox: Inbox) -> str:
    there = [f"{one.host} {one.age_seconds:.0f} s ago" for one in inbox.heartbeats()]
    return ", ".join(there) or "none within a day"


def _require(inbox: Inbox, start_id: str, base_url: str) -> None:
    if not any(one.message.subject == start_id for one in inbox.read(inbox.end(), [start_id])):
        raise ConfigurationError(
            f"the receiver at {base_url} has accepted the callback, but it is not in {inbox!r}: the receiver uses "
            "another inbox; [taskwatch] inbox_url must name the same database for the receiver and the triggerers, and "
            "a SQLite file is the same on one host only"
        )


def _send(base_url: str, address: CallbackAddress) -> None:
    from airflow_provider_taskwatch.drive.blocking import BlockingDriver

    driver = BlockingDriver(
        Settings(
            conn_id="callbacks",
            connection_type="taskwatch",
            base_url=base_url,
            auth="bearer",
            login="",
            password=address.bearer,
        )
    )
    try:
        driver.run(delivery(base_url, address))
    except TransportError as error:
        raise TransportError(
            f"{error}; the receiver must run, and [taskwatch] callback_base_url must be its address as remotes see it"
        ) from error
    finally:
        driver.close()


def delivery(base_url: str, address: CallbackAddress) -> Flow[None]:
    """Delivers a callback.

    :raises TaskWatchError: where it is refused, with the cause and the remedy.
    """
    reply: Reply = yield send("POST", address.url.removeprefix(base_url), {"check": True})
    if not reply.is_ok:
        raise _refusal(base_url, reply, is_receiver=(yield from _is_receiver()))


def _is_receiver() -> Flow[bool]:
    try:
        reply: Reply = yield get("/health")
        content = reply.json()
    except (TransportError, ValueError, RecursionError):
        return False
    return isinstance(content, dict) and content.get("service") == SERVICE


def _refusal(base_url: str, reply: Reply, *, is_receiver: bool) -> TaskWatchError:
    if not is_receiver:
        return ConfigurationError(
            f"{base_url} answers {reply.status}, and {base_url}/health is not a receiver's: [taskwatch] "
            "callback_base_url must be the address of a receiver; the one on Airflow's API server is below /taskwatch, "
            "and there only where callback_secrets is set (where a proxy hides /health, the secret may be wrong)"
        )
    if reply.status == 404:
        return ConfigurationError(
            f"the receiver at {base_url} has another secret: its [taskwatch] callback_secrets must contain the first "
            "secret of this process, and the receiver must be restarted to read it"
        )
    return RemoteError(
        method="POST", path=f"{PATH}***", status=reply.status, message=f"{error_message(reply)}; see its log"
    )
