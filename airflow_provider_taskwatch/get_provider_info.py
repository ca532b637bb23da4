"""What Airflow learns about this provider without importing its hooks, operators, sensors and triggers."""

from __future__ import annotations

from importlib.util import resolve_name
from typing import Any

from airflow_provider_taskwatch.core.form import Field, Form

from . import __version__
from .remotes import PACKAGE, REMOTES, Remotes, RemoteSpec, load


def get_provider_info(remotes: Remotes = REMOTES) -> dict[str, Any]:
    """The provider info of Airflow's ``provider_info.schema.json``."""
    forms: list[tuple[RemoteSpec, Form]] = [(row, load(row.form)) for row in remotes.rows.values()]
    documented = [(row, form) for row, form in forms if row.docs]
    return {
        "package-name": "airflow-provider-taskwatch",
        "name": "Task Watch",
        "description": "Start tasks in other systems from a DAG, and wait for them cheaply and safely.",
        "versions": [__version__],
        "integrations": [
            {"integration-name": form.title, "external-doc-url": row.docs, "tags": ["service"]}
            for row, form in documented
        ],
        "operators": [_modules(form, f".operators.{row.modules}") for row, form in documented],
        "sensors": [_modules(form, f".sensors.{row.modules}") for row, form in documented],
        "hooks": [_modules(form, f".hooks.{row.modules}") for row, form in documented],
        "triggers": [_modules(form, *row.triggers) for row, form in documented],
        "connection-types": [connection_type(form, _absolute(row.hook)) for row, form in forms],
        "task-decorators": [{"name": "rest", "class-name": f"{PACKAGE}.decorators.rest.rest_task"}],
        "notifications": [_absolute(path) for row, _ in forms for path in row.notifications],
        "extra-links": [f"{PACKAGE}.link.RemoteTaskLink"],
        "cli": [f"{PACKAGE}.cli.get_commands"],
        "config": {
            "taskwatch": {
                "description": "Settings of the Task Watch provider.",
                "options": {
                    "default_deferrable": {
                        "description": "Whether operators and sensors wait in the triggerer if their argument "
                        "``deferrable`` is not given. Airflow's own ``[operators] default_deferrable`` does not count.",
                        "version_added": "0.1.0",
                        "type": "boolean",
                        "example": "False",
                        "default": "True",
                    },
                    "profiles_folder": {
                        "description": "Folder with profiles of REST APIs (``NAME.yaml``), beside the presets of the "
                        "package. Workers and DAG processors read it.",
                        "version_added": "0.1.0",
                        "type": "string",
                        "example": "/opt/airflow/profiles",
                        "default": None,
                    },
                    "callback_base_url": {
                        "description": "Address of the receiver, as remotes see it. Callbacks go to "
                        "``{callback_base_url}/callbacks/...``, pushed events to ``{callback_base_url}/push/...``. "
                        "The receiver on Airflow's API server has the path ``/taskwatch``.",
                        "version_added": "0.1.0",
                        "type": "string",
                        "example": "https://airflow.example.com/taskwatch",
                        "default": None,
                    },
                    "callback_secrets": {
                        "description": "Secrets that sign the addresses of callbacks and pushes, separated by blanks "
                        "or commas, the newest first: the first signs, all verify. Tasks and receivers need the same "
                        "ones. Without a secret there are no callbacks and no pushes. ``taskwatch check "
                        "--callbacks`` prints a new one.",
                        "version_added": "0.1.0",
                        "type": "string",
                        "sensitive": True,
                        "example": None,
                        "default": None,
                    },
                    "require_https": {
                        "description": "Whether ``callback_base_url`` must be https, unless it is a loopback address.",
                        "version_added": "0.1.0",
                        "type": "boolean",
                        "example": "False",
                        "default": "True",
                    },
                    "inbox_url": {
                        "description": "SQLAlchemy URL of the inbox, the database for callbacks and events: SQLite on "
                        "one host, PostgreSQL (extra ``postgres``) on several. It is never Airflow's own database. If "
                        "it is not set, the Airflow connection ``taskwatch_inbox`` of the type ``postgres`` or "
                        "``sqlite`` names the inbox; without that it is the file ``taskwatch-inbox.db`` in Airflow's "
                        "home.",
                        "version_added": "0.1.0",
                        "type": "string",
                        "sensitive": True,
                        "example": "postgresql://taskwatch:password@db.example.com/taskwatch",
                        "default": None,
                    },
                    "inbox_keys": {
                        "description": "Keys that encrypt, in the inbox, replies that a remote deletes after it has "
                        "sent them (Docplanner), until their events are stored; separated by blanks or commas, the "
                        "newest first. ``taskwatch inbox key`` prints a new one.",
                        "version_added": "0.1.0",
                        "type": "string",
                        "sensitive": True,
                        "example": None,
                        "default": None,
                    },
                    "inbox_retention_days": {
                        "description": "Messages that are older are deleted from the inbox.",
                        "version_added": "0.1.0",
                        "type": "float",
                        "example": "30",
                        "default": "14",
                    },
                },
            },
        },
    }


def _modules(form: Form, *paths: str) -> dict[str, Any]:
    return {"integration-name": form.title, "python-modules": [_absolute(path) for path in paths]}


def connection_type(form: Form, hook_class: str) -> dict[str, Any]:
    """One entry of ``connection-types``."""
    return {
        "connection-type": form.connection_type,
        "hook-class-name": hook_class,
        "hook-name": form.title,
        "conn-fields": {one.name: _conn_field(one) for one in form.all_fields},
        "ui-field-behaviour": {
            "hidden-fields": [],
            "relabeling": _LABELS.get(form.auths[0], {}),
            "placeholders": dict(form.placeholders),
        },
    }


_LABELS = {
    "oauth1": {"login": "Consumer key", "password": "Consumer secret"},
    "oauth2": {"login": "Client id", "password": "Client secret"},
}


def _conn_field(one: Field) -> dict[str, Any]:
    if one.is_secret:  # whatever its kind: only a line of text can be hidden
        hidden = {"type": ["string", "null"], "format": "password"}
        return {"label": one.label, "description": one.description, "schema": hidden}
    schema: dict[str, Any] = {"type": ["string" if one.kind == "content" else one.kind, "null"]}
    if one.default is not None:
        schema["default"] = one.default
    if one.choices:
        schema["enum"] = list(one.choices)
    return {"label": one.label, "description": one.description, "schema": schema}


def _absolute(path: str) -> str:
    return resolve_name(path, PACKAGE)
