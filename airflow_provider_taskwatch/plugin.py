"""The Airflow plugin: it mounts the receiver of callbacks on the API server."""

from __future__ import annotations

import logging
from functools import cached_property
from typing import TYPE_CHECKING, Any

from airflow.plugins_manager import AirflowPlugin

if TYPE_CHECKING:
    from airflow_provider_taskwatch.config.callback import CallbackOptions

log = logging.getLogger(__name__)

PREFIX = "/taskwatch"


def receiver_apps() -> list[dict[str, Any]]:
    """The receiver in Airflow's form; empty if ``[taskwatch] callback_secrets`` is not set.

    A wrong setting is logged, and the API server starts without the receiver.
    """
    from airflow_provider_taskwatch.config.callback import callback_options
    from airflow_provider_taskwatch.core.error import ConfigurationError, InboxError

    try:
        settings = callback_options()
        return [_mounted(settings)] if settings.secrets else []
    except (ConfigurationError, InboxError) as error:
        log.error("the receiver of callbacks is not mounted: %s", error)
        return []


def _mounted(settings: CallbackOptions) -> dict[str, Any]:
    from airflow_provider_taskwatch.compat.stats import api_server_counter
    from airflow_provider_taskwatch.config.inbox import find_seal, open_inbox
    from airflow_provider_taskwatch.receiver.app import create_app

    seal, count = find_seal(), api_server_counter()
    app = create_app(open_inbox(), settings.keys(), url=settings.base_url, seal=seal, count=count)
    return {"app": app, "url_prefix": PREFIX, "name": "Task Watch receiver"}


class _Apps:
    """The apps, made once on first access.

    Every Airflow process imports the plugin, but only the API server and ``airflow plugins`` read the apps, so no other
    process imports FastAPI. Airflow reads the attribute from an instance or from the class, depending on how it found
    the plugin.
    """

    @cached_property
    def _made(self) -> list[dict[str, Any]]:
        return receiver_apps()

    def __get__(self, plugin: object, owner: type) -> list[dict[str, Any]]:
        return self._made


class TaskWatchPlugin(AirflowPlugin):
    """Mounts the receiver of callbacks below ``/taskwatch`` of the API server if ``callback_secrets`` is set."""

    name = "taskwatch"
    fastapi_apps = _Apps()
