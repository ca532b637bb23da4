"""One small, mostly-data file per remote, and the table of them."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from airflow_provider_taskwatch.core.connection import Settings
from airflow_provider_taskwatch.core.error import ConfigurationError
from airflow_provider_taskwatch.core.feed import Feed
from airflow_provider_taskwatch.core.form import Form
from airflow_provider_taskwatch.core.system import System

from . import acquia, acronis, acronis_feed, aps, automic, docplanner_feed

FORMS: Mapping[str, Form] = {form.connection_type: form for form in (acquia.FORM, automic.FORM, acronis.FORM, aps.FORM)}

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


def system_for(settings: Settings) -> System:
    """The system behind a connection, by its type."""
    form = form_of(settings.conn_id, settings.connection_type)
    return _SYSTEMS[form.connection_type](settings)


def form_of(conn_id: str, connection_type: str) -> Form:
    """The form of a connection type whose remote has tasks to watch."""
    try:
        return FORMS[connection_type]
    except KeyError:
        raise ConfigurationError(
            f"connection {conn_id!r} has the type {connection_type!r}, which has no tasks to watch; "
            f"types that have are {', '.join(FORMS)}"
        ) from None


def feed_for(settings: Settings, options: Mapping[str, Any]) -> Feed:
    """The feed of the remote behind a connection.

    :param options: plain JSON; each remote documents its own keys.
    """
    make = _FEEDS.get(settings.connection_type)
    if make is None:
        raise ConfigurationError(
            f"connection {settings.conn_id!r} has the type {settings.connection_type!r}, which has no events; "
            f"types that have are {', '.join(_FEEDS)}"
        )
    return make(settings, options)
