"""The table of remotes: one row per connection type, with the paths of its implementation.

A row holds plain values, so a module of a remote is imported on first use. A path that begins with a dot is relative to
this package.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from importlib import import_module
from typing import TYPE_CHECKING, Any

from airflow_provider_taskwatch.core.error import ConfigurationError

if TYPE_CHECKING:
    from airflow_provider_taskwatch.core.feed import Feed, Push
    from airflow_provider_taskwatch.core.form import Form
    from airflow_provider_taskwatch.core.settings import Settings
    from airflow_provider_taskwatch.core.system import System

PACKAGE = __package__ or ""


@dataclass(frozen=True, slots=True, kw_only=True)
class RemoteSpec:
    """A row of the table: one connection type.

    :param connection_type: also the name of the remote's modules in each room, unless ``named`` says another.
    :param form: path of its :class:`~.core.form.Form`.
    :param hook: path of its hook.
    :param system: path of a function that makes a :class:`~.core.system.System` of a connection's settings; empty if
        the remote has no tasks to watch.
    :param feed: path of a function that makes a :class:`~.core.feed.Feed` of settings and options; empty where the
        remote has no events.
    :param push: path of the :class:`~.core.feed.Push` that reads its pushes; empty where the remote pushes no events.
    :param docs: the vendor's documentation. Airflow lists the modules of a remote that has one.
    :param triggers: paths of the modules whose triggers it uses.
    :param notifications: paths of its notifiers.
    :param named: the name of its modules in each room.
    """

    connection_type: str
    form: str
    hook: str
    system: str = ""
    feed: str = ""
    push: str = ""
    docs: str = ""
    triggers: tuple[str, ...] = ()
    notifications: tuple[str, ...] = ()
    named: str = ""

    @property
    def modules(self) -> str:
        """The name of the remote's modules in each room."""
        return self.named or self.connection_type


class Remotes:
    """The remotes by their connection types."""

    def __init__(self, rows: Iterable[RemoteSpec]) -> None:
        self.rows: Mapping[str, RemoteSpec] = {row.connection_type: row for row in rows}

    def form_of(self, conn_id: str, connection_type: str) -> Form:
        """The form of a connection type whose remote has tasks to watch, or events.

        :raises ConfigurationError: where there is no such type.
        """
        known = {name: row.form for name, row in self.rows.items() if row.system or row.feed}
        form: Form = self._load(known, conn_id, connection_type, "no tasks to watch and no events")
        return form

    def system_for(self, settings: Settings) -> System:
        """The system behind a connection.

        :raises ConfigurationError: where its remote has no tasks to watch.
        """
        known = {name: row.system for name, row in self.rows.items() if row.system}
        make: Callable[[Settings], System]
        make = self._load(known, settings.conn_id, settings.connection_type, "no tasks to watch")
        return make(settings)

    def feed_for(self, settings: Settings, options: Mapping[str, Any]) -> Feed:
        """The feed of the remote behind a connection.

        :param options: plain JSON; each remote documents its own keys.
        :raises ConfigurationError: where its remote has no events, or an option is wrong.
        """
        known = {name: row.feed for name, row in self.rows.items() if row.feed}
        make: Callable[[Settings, Mapping[str, Any]], Feed]
        make = self._load(known, settings.conn_id, settings.connection_type, "no events")
        return make(settings, options)

    def push_of(self, connection_type: str) -> Push:
        """How the remotes of a connection type push their events.

        :raises ConfigurationError: where they push none.
        """
        known = {name: row.push for name, row in self.rows.items() if row.push}
        if connection_type not in known:
            raise ConfigurationError(
                f"remotes of the type {connection_type!r} push no events; types whose remotes do are {', '.join(known)}"
            )
        push: Push = load(known[connection_type])
        return push

    def _load(self, known: Mapping[str, str], conn_id: str, connection_type: str, lack: str) -> Any:
        if connection_type not in known:
            raise ConfigurationError(
                f"connection {conn_id!r} has the type {connection_type!r}, which has {lack}; types that have are "
                f"{', '.join(known)}"
            )
        return load(known[connection_type])


def load(path: str) -> Any:
    """What a path of the table names; its module is imported."""
    module, _, name = path.rpartition(".")
    return getattr(import_module(module, PACKAGE), name)


REMOTES = Remotes(
    (
        RemoteSpec(
            connection_type="taskwatch",
            form=".systems.rest.form.FORM",
            hook=".hooks.rest.RestHook",
            system=".systems.rest.system.from_settings",
            docs="https://www.rfc-editor.org/rfc/rfc9110.html#name-202-accepted",
            triggers=(".triggers.watch",),
            named="rest",
        ),
        RemoteSpec(
            connection_type="acquia",
            form=".systems.acquia.form.FORM",
            hook=".hooks.acquia.AcquiaHook",
            system=".systems.acquia.system.from_settings",
            docs="https://cloudapi-docs.acquia.com/",
            triggers=(".triggers.watch",),
        ),
        RemoteSpec(
            connection_type="automic",
            form=".systems.automic.form.FORM",
            hook=".hooks.automic.AutomicHook",
            system=".systems.automic.system.from_settings",
            docs="https://docs.automic.com/",
            triggers=(".triggers.watch",),
        ),
        RemoteSpec(
            connection_type="acronis",
            form=".systems.acronis.form.FORM",
            hook=".hooks.acronis.AcronisHook",
            system=".systems.acronis.system.from_settings",
            feed=".systems.acronis.feed.feed_of",
            docs="https://developer.acronis.com/",
            triggers=(".triggers.watch", ".triggers.event", ".triggers.feed"),
        ),
        RemoteSpec(
            connection_type="aps",
            form=".systems.aps.form.FORM",
            hook=".hooks.aps.ApsHook",
            system=".systems.aps.system.from_settings",
            docs="https://docs.cloudblue.com/",
            triggers=(".triggers.watch",),
            notifications=(".notifications.aps.ApsNotifier",),
        ),
        RemoteSpec(
            connection_type="docplanner",
            form=".systems.docplanner.form.FORM",
            hook=".hooks.docplanner.DocplannerHook",
            feed=".systems.docplanner.feed.feed_of",
            push=".systems.docplanner.push.PUSH",
            docs="https://integrations.docplanner.com/",
            triggers=(".triggers.event", ".triggers.feed"),
        ),
    )
)
