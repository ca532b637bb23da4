"""Reads Airflow's connections, and turns one into settings."""

from __future__ import annotations

import asyncio
import functools
import logging
from collections.abc import Iterator
from contextlib import contextmanager

from airflow.providers.common.compat.sdk import AirflowException, AirflowNotFoundException
from airflow.sdk import BaseHook, Connection
from airflow.sdk.exceptions import AirflowRuntimeError
from airflow.sdk.execution_time.comms import DRCount

from airflow_provider_taskwatch.core.connection import RawConnection, read_connection
from airflow_provider_taskwatch.core.error import ConfigurationError, TransportError, described
from airflow_provider_taskwatch.core.form import Form
from airflow_provider_taskwatch.core.settings import Settings
from airflow_provider_taskwatch.remotes import REMOTES

from .supervisor import NEEDS_DATABASE, supervisor

log = logging.getLogger(__name__)

READ_SECONDS = 60.0
"""The supervisor answers one request at a time, about 46 per second. The requests of many triggers may be ahead."""
SHORT_CHARACTERS = 5
"""Airflow does not mask a shorter secret, unless ``[logging] min_length_masked_secret`` says otherwise."""


async def read_settings(conn_id: str, form: Form | None = None) -> Settings:
    """The settings of a connection, read in the triggerer's event loop.

    :param form: of the connection type that is required; None for any remote that can be watched.
    :raises ConfigurationError: where the connection does not exist, or is not valid.
    :raises TransportError: where Airflow could not look for it, or did not answer in time.
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
    return settings_of(connection, form or REMOTES.form_of(conn_id, connection.conn_type or ""))


def get_connection(conn_id: str) -> Connection:
    """An Airflow connection, on a worker.

    :raises AirflowNotFoundException: where it does not exist. Airflow 3.3.2 also raises this where it could not read
        an existing one.
    :raises TransportError: where Airflow could not look for it.
    """
    try:
        with _without_warnings_of_short_values():
            return BaseHook.get_connection(conn_id)
    except AirflowNotFoundException:
        if comms := supervisor():
            _check_database(conn_id, comms.send(NEEDS_DATABASE))
        raise


async def aget_connection(conn_id: str) -> Connection:
    """Like :func:`get_connection`, in the triggerer's event loop."""
    comms = supervisor()
    if comms is not None and not hasattr(comms, "asend"):
        return get_connection(conn_id)  # dag.test() of Airflow 3.3.2 can only be asked synchronously
    try:
        with _without_warnings_of_short_values():
            return await BaseHook.aget_connection(conn_id)
    except AirflowNotFoundException:
        if comms is not None:
            _check_database(conn_id, await comms.asend(NEEDS_DATABASE))
        raise


def _check_database(conn_id: str, answer: object) -> None:
    """Raises :class:`TransportError` where Airflow has no database at the moment, so *not found* means nothing."""
    if not isinstance(answer, DRCount):
        raise TransportError(f"Airflow could not look for the connection {conn_id!r}: {answer!r:.200}")


def settings_of(connection: Connection, form: Form) -> Settings:
    """The settings of a connection, checked against the form of its type."""
    settings = read_connection(
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
    if settings.tls_warning:
        _warn_once(settings.conn_id, settings.tls_warning)
    if connection.password and len(connection.password) < SHORT_CHARACTERS:
        short = f"the password has less than {SHORT_CHARACTERS} characters, so Airflow does not mask it in logs"
        _warn_once(settings.conn_id, short)
    return settings


@functools.cache
def _warn_once(conn_id: str, warning: str) -> None:
    log.warning("connection %r: %s", conn_id, warning)


@contextmanager
def _without_warnings_of_short_values() -> Iterator[None]:
    """Drops Airflow's warning that a secret is too short to be masked while a connection is read.

    Airflow 3.3.2 passes all values of an extra to its masker, which checks their lengths before their names. A
    ``"client": "100"`` therefore counts as a secret, and the warning is in the log of each task.
    """
    loggers = [logging.getLogger(name) for name in _MASKERS]
    for one in loggers:
        one.addFilter(_is_other_record)
    try:
        yield
    finally:
        for one in loggers:
            one.removeFilter(_is_other_record)


_MASKERS = ("airflow.sdk._shared.secrets_masker.secrets_masker", "airflow._shared.secrets_masker.secrets_masker")


def _is_other_record(record: logging.LogRecord) -> bool:
    return not record.getMessage().startswith("Skipping masking for a secret")
