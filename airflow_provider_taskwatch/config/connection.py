"""From an Airflow connection to settings: the one place of the hub that knows Airflow."""

from __future__ import annotations

import asyncio
import functools
import logging

from airflow.sdk import BaseHook, Connection
from airflow.sdk.exceptions import AirflowException, AirflowNotFoundException, AirflowRuntimeError
from airflow.sdk.execution_time.comms import DRCount

from airflow_provider_taskwatch.core.connection import RawConnection, Settings, read_connection
from airflow_provider_taskwatch.core.error import ConfigurationError, TransportError, described
from airflow_provider_taskwatch.core.form import Form
from airflow_provider_taskwatch.systems import form_of

from .short_secret import short_secret, without_short_warnings
from .supervisor import NEEDS_DATABASE, supervisor

log = logging.getLogger(__name__)

READ_SECONDS = 60.0
"""The supervisor answers one request at a time, some 46 a second; a herd of triggers may queue before us."""


async def read_settings(conn_id: str, form: Form | None = None) -> Settings:
    """The settings of a connection, read from inside the triggerer's event loop.

    :param form: of the type that it must have; None for any remote that can be watched.
    :raises ConfigurationError: where it is missing, or names something wrong.
    :raises TransportError: where Airflow could not look for it, or did not answer in time; an await without a limit
        could hang for ever.
    """
    try:
        async with asyncio.timeout(READ_SECONDS):
            connection = await aget_connection(conn_id)
    except TimeoutError as cause:
        raise TransportError(f"Airflow did not give the connection {conn_id!r} in {READ_SECONDS:g} s") from cause
    except AirflowRuntimeError as cause:
        raise TransportError(f"Airflow could not give the connection {conn_id!r}: {described(cause)}") from cause
    except AirflowException as cause:
        raise ConfigurationError(f"connection {conn_id!r} cannot be read: {described(cause)}") from cause
    return settings_of(connection, form or form_of(conn_id, connection.conn_type or ""))


def get_connection(conn_id: str) -> Connection:
    """An Airflow connection, on a worker.

    :raises AirflowNotFoundException: where Airflow has looked for it; 3.3.2 also says so of what it could not read.
    :raises TransportError: where it could not look.
    """
    try:
        with without_short_warnings():
            return BaseHook.get_connection(conn_id)
    except AirflowNotFoundException:
        if comms := supervisor():
            _check(conn_id, comms.send(NEEDS_DATABASE))
        raise


async def aget_connection(conn_id: str) -> Connection:
    """Like :func:`get_connection`, from inside the triggerer's event loop."""
    comms = supervisor()
    if comms is not None and not hasattr(comms, "asend"):
        return get_connection(conn_id)  # dag.test() of Airflow 3.3.2 can only be asked synchronously
    try:
        with without_short_warnings():
            return await BaseHook.aget_connection(conn_id)
    except AirflowNotFoundException:
        if comms is not None:
            _check(conn_id, await comms.asend(NEEDS_DATABASE))
        raise


def _check(conn_id: str, answer: object) -> None:
    if not isinstance(answer, DRCount):
        raise TransportError(f"Airflow could not look for the connection {conn_id!r}: {answer!r:.200}")


def settings_of(connection: Connection, form: Form) -> Settings:
    """What a connection names, checked against the form of its type."""
    settings = _settings_of(connection, form)
    for warning in filter(None, (settings.tls_warning, short_secret(connection.password))):
        _warn_once(settings.conn_id, warning)
    return settings


@functools.cache
def _warn_once(conn_id: str, warning: str) -> None:
    log.warning("connection %r: %s", conn_id, warning)


def _settings_of(connection: Connection, form: Form) -> Settings:
    return read_connection(
        form,
        RawConnection(
            conn_id=connection.conn_id,
            conn_type=connection.conn_type,
            host=connection.host,
            schema=connection.schema,
            port=connection.port,
            login=connection.login,
            password=connection.password,
            extra=connection.extra,
        ),
    )
