"""Opens the inbox of this installation: ``[taskwatch] inbox_url``, else an Airflow connection, else a file.

All processes must choose the same inbox. A connection therefore counts as missing only where Airflow's database could
be asked for it.
"""

from __future__ import annotations

import asyncio
import os
import re
import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any
from urllib.parse import quote, urlencode

from airflow.providers.common.compat.sdk import AirflowNotFoundException, conf
from airflow.sdk.execution_time import task_runner

from airflow_provider_taskwatch.compat.home import airflow_home
from airflow_provider_taskwatch.core.error import ConfigurationError, InboxError, TransportError, described
from airflow_provider_taskwatch.inbox.message import RETENTION_DAYS
from airflow_provider_taskwatch.inbox.thread import in_thread

from . import option
from .connection import aget_connection, get_connection

if TYPE_CHECKING:
    from airflow_provider_taskwatch.inbox.protocol import Inbox
    from airflow_provider_taskwatch.inbox.seal import Seal
    from airflow_provider_taskwatch.inbox.store import SqlInbox

CONN_ID = "taskwatch_inbox"
FILE_URL = "sqlite:///{AIRFLOW_HOME}/taskwatch-inbox.db"
ASK_SECONDS = 60.0


def retention_days() -> float:
    """``[taskwatch] inbox_retention_days``."""
    return option.days("inbox_retention_days", default=RETENTION_DAYS)


def open_inbox(*, keeps: bool = True) -> Inbox:
    """The inbox, on a worker, on the API server and on the command line. The first query opens its database.

    :param keeps: whether idle connections to a database server stay open.
    :raises ConfigurationError: where the option or the connection is not valid.
    :raises InboxError: where Airflow could not be asked for the connection.
    """
    return _inbox(_url(), keeps=keeps)


def open_shared_inbox() -> Inbox | None:
    """The inbox on a worker, where all workers have the same one; else None.

    All workers share a database server, and a file where every configured executor is the LocalExecutor.

    :raises ConfigurationError: where the option or the connection is not valid.
    :raises InboxError: where Airflow could not be asked for the connection.
    """
    url = _url()
    is_shared = not url.startswith("sqlite") or _all_workers_are_local()
    return _inbox(url, keeps=False) if is_shared else None


def open_named_inbox() -> Inbox:
    """The inbox on a worker that reads a feed. The default file is refused: the triggerers may have another host.

    Idle connections are closed, because hundreds of workers may each read now and then.

    :raises ConfigurationError: where neither the option nor a connection names the inbox.
    """
    if not option.text("inbox_url") and _find() is None:
        raise ConfigurationError(
            "a worker that reads a feed needs the inbox of the triggerers: set [taskwatch] inbox_url on workers, too, "
            f"or add an Airflow connection {CONN_ID!r}; or wait in the triggerer (deferrable=True)"
        )
    return open_inbox(keeps=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class InboxName:
    """Which inbox a process uses, for people.

    :param name: its address without credentials; of a file also its host, and whether it is the default.
    :param doubt: who may use another inbox by mistake, and the remedy; empty where that is unlikely.
    """

    name: str
    doubt: str = ""

    def __str__(self) -> str:
        return f"{self.name} ({self.doubt})" if self.doubt else self.name


def inbox_name() -> InboxName:
    """The inbox that the settings of this process lead to. A name for a log ends no task, so this raises nothing."""
    try:
        return _name_of(_url())
    except Exception as error:  # noqa: BLE001 - a command in the settings may fail in any way
        return InboxName(name=f"an inbox that is not known here: {described(error):.500}")


def _name_of(url: str) -> InboxName:
    from airflow_provider_taskwatch.inbox.store import SqlInbox

    address = SqlInbox.address(url)
    if not url.startswith("sqlite"):
        return InboxName(name=address)
    kind = "the default file" if url == _named_by(None) else "a file"
    name = f"{address}, {kind} of the host {socket.gethostname()}"
    return InboxName(name=name, doubt="" if _all_workers_are_local() else _FILE_DOUBT)


_FILE_DOUBT = (
    "triggerers and receivers on other hosts do not see this file: let [taskwatch] inbox_url, or the connection "
    f"{CONN_ID!r}, name the same database server for all of them"
)


async def aopen_inbox() -> Inbox:
    """Like :func:`open_inbox`, in the triggerer's event loop. One inbox serves the whole process.

    Slow steps run in a thread: an option may come from a command, and the import of the database's library takes long.
    """
    url = await in_thread(option.text, "inbox_url")
    try:
        async with asyncio.timeout(ASK_SECONDS):
            url = url or _named_by(await _afind())
    except TimeoutError as cause:
        raise InboxError(f"{_UNKNOWN}: no answer in {ASK_SECONDS:g} s") from cause
    return await in_thread(lambda: _shared(_checked(url)))


def open_seal() -> Seal:
    """Encrypts replies that their remote has deleted, with ``[taskwatch] inbox_keys``.

    :raises ConfigurationError: where there is no key.
    """
    from airflow_provider_taskwatch.inbox.seal import Seal

    return Seal(option.items("inbox_keys"))


def find_seal() -> Seal | None:
    """Like :func:`open_seal`; None where there is no key."""
    return open_seal() if option.items("inbox_keys") else None


def inbox_url_of(connection: Any) -> str:
    """The SQLAlchemy URL of an Airflow connection. Its extra becomes the options of the URL.

    :raises ConfigurationError: where the type is neither ``postgres`` nor ``sqlite``.
    """
    kind = connection.conn_type
    if kind == "sqlite":
        return f"sqlite:///{connection.host or connection.schema or ''}"
    if kind not in ("postgres", "postgresql"):
        raise ConfigurationError(
            f"connection {CONN_ID!r} has the type {kind!r}; an inbox is in PostgreSQL or SQLite: 'postgres' or 'sqlite'"
        )
    user, password = (quote(text or "", safe="") for text in (connection.login, connection.password))
    host = connection.host or ""
    place = f"[{host}]" if ":" in host else host
    port = f":{connection.port}" if connection.port else ""
    options = urlencode(connection.extra_dejson, quote_via=quote)
    credentials = f"{user}:{password}@" if user else ""
    return f"postgresql://{credentials}{place}{port}/{quote(connection.schema or '', safe='')}?{options}".rstrip("?")


def _all_workers_are_local() -> bool:
    """Whether every configured executor runs tasks on its own host.

    A pod of the KubernetesExecutor does not count, as its configuration names the LocalExecutor.
    """
    if os.environ.get("AIRFLOW_IS_K8S_EXECUTOR_POD"):
        return False
    names = re.findall(_EXECUTOR, conf.get("core", "executor"))
    return all(name in ("LocalExecutor", "airflow.executors.local_executor.LocalExecutor") for name in names)


_EXECUTOR = r"([^,;=:\s]+)\s*(?=[,;]|$)"
"""The name or path of an executor; teams (``name=``) and aliases (``name:``) may be before it."""


def _url() -> str:
    return _checked(option.text("inbox_url") or _named_by(_find()))


def _inbox(url: str, *, keeps: bool = True) -> SqlInbox:
    from airflow_provider_taskwatch.inbox.store import SqlInbox

    return SqlInbox(url, retention_days=retention_days(), keeps=keeps)


_open: dict[str, SqlInbox] = {}
_opening = threading.Lock()


def _shared(url: str) -> Inbox:
    """The open inbox of a URL, else a new one. PostgreSQL allows 100 connections by default, for all clients."""
    with _opening:
        inbox = _open.get(url)
        if inbox is None or not inbox.share():
            inbox = _open[url] = _inbox(url)
        return inbox


def _named_by(connection: Any) -> str:
    return FILE_URL.format(AIRFLOW_HOME=airflow_home()) if connection is None else inbox_url_of(connection)


def _checked(url: str) -> str:
    """The URL, unless it is that of Airflow's metadata database.

    On a worker, which has no metadata database, Airflow's setting is its default, which is no inbox either.
    """
    airflows = conf.get("database", "sql_alchemy_conn", fallback="")
    if airflows and _place(url) == _place(airflows):
        raise ConfigurationError(
            "the inbox must not be Airflow's own database; let [taskwatch] inbox_url, or the connection "
            f"{CONN_ID!r}, name another one (another database of the same server will do)"
        )
    return url


def _place(url: str) -> tuple[str, str]:
    """Kind, and host and name without credentials and options, of a database's URL."""
    kind, _, rest = url.partition("://")
    return kind.partition("+")[0].replace("postgresql", "postgres"), rest.partition("?")[0].rpartition("@")[2]


def _find() -> Any:
    if getattr(task_runner, "SUPERVISOR_COMMS", None) is None:
        return _find_in_database()
    with _none_where_missing():
        return get_connection(CONN_ID)


async def _afind() -> Any:
    if getattr(task_runner, "SUPERVISOR_COMMS", None) is None:
        return _find_in_database()
    with _none_where_missing():
        return await aget_connection(CONN_ID)


@contextmanager
def _none_where_missing() -> Iterator[None]:
    """Treats a connection that does not exist as None, and one that could not be looked for as an error."""
    with suppress(AirflowNotFoundException):
        try:
            yield
        except TransportError as cause:
            raise InboxError(f"{_UNKNOWN}: {cause}") from cause


_UNKNOWN = (
    f"Airflow cannot be asked for the connection {CONN_ID!r}, which may name the inbox; where there is no database of "
    "Airflow, set [taskwatch] inbox_url"
)


def _find_in_database() -> Any:
    """The connection, on the API server and on the command line, which have no supervisor."""
    from airflow.models.connection import Connection
    from airflow.secrets.metastore import MetastoreBackend

    try:
        return Connection.get_connection_from_secrets(CONN_ID)
    except AirflowNotFoundException:
        pass
    try:
        return MetastoreBackend().get_connection(CONN_ID)
    except Exception as cause:  # whatever it is, the connection may exist
        raise InboxError(f"{_UNKNOWN}: {described(cause):.200}") from cause
