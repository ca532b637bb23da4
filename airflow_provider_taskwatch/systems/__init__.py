"""One small, mostly-data file per remote, and the table of them."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from airflow_provider_taskwatch.core.connection import Settings
from airflow_provider_taskwatch.core.error import ConfigurationError
from airflow_provider_taskwatch.core.feed import Feed, Push
from airflow_provider_taskwatch.core.form import Form
from airflow_provider_taskwatch.core.system import System
from airflow_provider_taskwatch.systems.acquia import system as acquia
from airflow_provider_taskwatch.systems.acronis import feed as acronis_feed
from airflow_provider_taskwatch.systems.acronis import system as acronis
from airflow_provider_taskwatch.systems.aps import system as aps
from airflow_provider_taskwatch.systems.automic import system as automic
from airflow_provider_taskwatch.systems.docplanner import feed as docplanner_feed
from airflow_provider_taskwatch.systems.docplanner import push as docplanner_push
from airflow_provider_taskwatch.systems.docplanner import system as docplanner

FORMS: Mapping[str, Form] = {
    form.connection_type: form for form in (acquia.FORM, automic.FORM, acronis.FORM, aps.FORM, docplanner.FORM)
}

_SYSTEMS: Mapping[str, Callable[[Settings], System]] = {
    "acquia": acquia.from_settings,
    "automic": automic.from_settings,
    "acronis": acronis.from_settings,
    "aps": aps.from_settings,
}

_FEEDS: Mapping[str, Callable[[Settings, Mapping[str, Any]], Feed]] = {
    "acronis": acronis_feed.feed_of,
    "docplanner": docplanner_feed.feed_of,
}

_PUSHES: Mapping[str, Push] = {"docplanner": docplanner_push.PUSH}


def form_of(conn_id: str, connection_type: str) -> Form:
    """The form of a connection type whose remote has tasks to watch, or events."""
    try:
        return FORMS[connection_type]
    except KeyError:
        raise _without(conn_id, connection_type, "no tasks to watch and no events", FORMS) from None


def system_for(settings: Settings) -> System:
    """The system behind a connection, by its type."""
    make = _SYSTEMS.get(settings.connection_type)
    if make is None:
        raise _without(settings.conn_id, settings.connection_type, "no tasks to watch", _SYSTEMS)
    return make(settings)


def feed_for(settings: Settings, options: Mapping[str, Any]) -> Feed:
    """The feed of the remote behind a connection.

    :param options: plain JSON; each remote documents its own keys.
    """
    make = _FEEDS.get(settings.connection_type)
    if make is None:
        raise _without(settings.conn_id, settings.connection_type, "no events", _FEEDS)
    return make(settings, options)


def push_of(connection_type: str) -> Push:
    """How the remote behind a connection type pushes its events."""
    try:
        return _PUSHES[connection_type]
    except KeyError:
        raise ConfigurationError(
            f"remotes of the type {connection_type!r} push no events; types whose remotes do are {', '.join(_PUSHES)}"
        ) from None


def _without(conn_id: str, connection_type: str, what: str, known: Mapping[str, object]) -> ConfigurationError:
    return ConfigurationError(
        f"connection {conn_id!r} has the type {connection_type!r}, which has {what}; types that have are "
        f"{', '.join(known)}"
    )
