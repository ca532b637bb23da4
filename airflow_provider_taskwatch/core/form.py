"""A connection form in the shape that Airflow's provider info wants."""

from __future__ import annotations

from typing import Any

from .connection import Field, Form


def provider_info(form: Form, hook_class: str) -> dict[str, Any]:
    """One entry of ``connection-types``."""
    return {
        "connection-type": form.connection_type,
        "hook-class-name": hook_class,
        "hook-name": form.title,
        "conn-fields": {one.name: _conn_field(one) for one in form.all_fields},
        "ui-field-behaviour": {
            "hidden-fields": [],
            "relabeling": _LABELS if form.auths[0] == "oauth2" else {},
            "placeholders": dict(form.placeholders),
        },
    }


_LABELS = {"login": "Client id", "password": "Client secret"}


def _conn_field(one: Field) -> dict[str, Any]:
    if one.is_secret:  # whatever its kind: only a line of text can be hidden
        hidden = {"type": ["string", "null"], "format": "password"}
        return {"label": one.label, "description": one.description, "schema": hidden}
    schema: dict[str, Any] = {"type": [one.kind, "null"]}
    if one.default is not None:
        schema["default"] = one.default
    if one.choices:
        schema["enum"] = list(one.choices)
    return {"label": one.label, "description": one.description, "schema": schema}
