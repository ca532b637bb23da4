"""What Airflow learns about this provider without importing its hooks, operators, sensors and triggers."""

from __future__ import annotations

from typing import Any

from airflow_provider_taskwatch.core.form import provider_info
from airflow_provider_taskwatch.systems import general
from airflow_provider_taskwatch.systems.acquia import system as acquia
from airflow_provider_taskwatch.systems.acronis import system as acronis
from airflow_provider_taskwatch.systems.aps import system as aps
from airflow_provider_taskwatch.systems.automic import system as automic
from airflow_provider_taskwatch.systems.docplanner import system as docplanner

from . import __version__

PACKAGE = __package__

_REMOTES = {
    "acquia": "Acquia Cloud",
    "automic": "Automic Automation Engine",
    "acronis": "Acronis Cyber Protect Cloud",
    "aps": "APS Notification Manager",
    "docplanner": "Docplanner",
}
_TRIGGERS = {
    "acquia": ("watch",),
    "automic": ("watch",),
    "acronis": ("watch", "event", "feed"),
    "aps": ("watch",),
    "docplanner": ("event", "feed"),
}
_PAGES = {
    "Acquia Cloud": "https://cloudapi-docs.acquia.com/",
    "Automic Automation Engine": "https://docs.automic.com/",
    "Acronis Cyber Protect Cloud": "https://developer.acronis.com/",
    "APS Notification Manager": "https://docs.cloudblue.com/",
    "Docplanner": "https://integrations.docplanner.com/",
}


def get_provider_info() -> dict[str, Any]:
    """The provider info of Airflow's ``provider_info.schema.json``."""
    return {
        "package-name": "airflow-provider-taskwatch",
        "name": "Task Watch",
        "description": "Start tasks in other systems from a DAG, and wait for them cheaply and safely.",
        "versions": [__version__],
        "integrations": [
            {"integration-name": name, "external-doc-url": page, "tags": ["service"]} for name, page in _PAGES.items()
        ],
        "operators": _modules("operators"),
        "sensors": _modules("sensors"),
        "hooks": _modules("hooks"),
        "triggers": [
            {"integration-name": name, "python-modules": [f"{PACKAGE}.triggers.{module}" for module in _TRIGGERS[kind]]}
            for kind, name in _REMOTES.items()
        ],
        "connection-types": [
            provider_info(general.FORM, f"{PACKAGE}.hooks.taskwatch.TaskWatchHook"),
            provider_info(acquia.FORM, f"{PACKAGE}.hooks.acquia.AcquiaHook"),
            provider_info(automic.FORM, f"{PACKAGE}.hooks.automic.AutomicHook"),
            provider_info(acronis.FORM, f"{PACKAGE}.hooks.acronis.AcronisHook"),
            provider_info(aps.FORM, f"{PACKAGE}.hooks.aps.ApsHook"),
            provider_info(docplanner.FORM, f"{PACKAGE}.hooks.docplanner.DocplannerHook"),
        ],
        "notifications": [f"{PACKAGE}.notifications.aps.ApsNotifier"],
        "extra-links": [f"{PACKAGE}.link.RemoteTaskLink"],
        "cli": [f"{PACKAGE}.cli.get_commands"],
        "config": {
            "taskwatch": {
                "description": "Settings of the Task Watch provider.",
                "options": {
                    "default_deferrable": {
                        "description": "Whether operators and sensors wait in the triggerer where their argument "
                        "``deferrable`` is not given. Airflow's own ``[operators] default_deferrable`` is not asked.",
                        "version_added": "0.1.0",
                        "type": "boolean",
                        "example": "False",
                        "default": "True",
                    },
                    "callback_base_url": {
                        "description": "Address of the receiver of callbacks, as remotes see it; callbacks go to "
                        "``{callback_base_url}/callbacks/...``, and pushed events to ``{callback_base_url}/push/...``. "
                        "The receiver on Airflow's API server is below ``/taskwatch``.",
                        "version_added": "0.1.0",
                        "type": "string",
                        "example": "https://airflow.example.com/taskwatch",
                        "default": None,
                    },
                    "callback_secrets": {
                        "description": "Secrets that sign callbacks, and addresses to which remotes push, the newest "
                        "first, separated by blanks or commas; the first signs, all verify. The same for tasks and "
                        "receivers. Without any there are neither. ``airflow taskwatch check --callbacks`` prints a "
                        "fresh one.",
                        "version_added": "0.1.0",
                        "type": "string",
                        "sensitive": True,
                        "example": None,
                        "default": None,
                    },
                    "require_https": {
                        "description": "Whether ``callback_base_url`` must be https, unless it is this host itself.",
                        "version_added": "0.1.0",
                        "type": "boolean",
                        "example": "False",
                        "default": "True",
                    },
                    "inbox_url": {
                        "description": "SQLAlchemy URL of the inbox, a database of its own that keeps callbacks: "
                        "SQLite on one host, PostgreSQL (extra ``postgres``) for several. Never Airflow's metadata "
                        "database. Where it is not set, an Airflow connection ``taskwatch_inbox`` of the type "
                        "``postgres`` or ``sqlite`` names it, and where there is none it is the file "
                        "``taskwatch-inbox.db`` in Airflow's home.",
                        "version_added": "0.1.0",
                        "type": "string",
                        "sensitive": True,
                        "example": "postgresql://taskwatch:password@db.example.com/taskwatch",
                        "default": None,
                    },
                    "inbox_keys": {
                        "description": "Keys that encrypt, in the inbox, the replies of remotes that forget what they "
                        "have told (Docplanner), until their events are stored; the newest first, separated by blanks "
                        "or commas. ``airflow taskwatch inbox key`` prints a fresh one.",
                        "version_added": "0.1.0",
                        "type": "string",
                        "sensitive": True,
                        "example": None,
                        "default": None,
                    },
                    "inbox_retention_days": {
                        "description": "What is older is deleted from the inbox.",
                        "version_added": "0.1.0",
                        "type": "float",
                        "example": "30",
                        "default": "14",
                    },
                },
            },
        },
    }


def _modules(folder: str) -> list[dict[str, Any]]:
    return [
        {"integration-name": name, "python-modules": [f"{PACKAGE}.{folder}.{module}"]}
        for module, name in _REMOTES.items()
    ]
