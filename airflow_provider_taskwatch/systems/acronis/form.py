"""What a connection to Acronis Cyber Protect Cloud holds."""

from __future__ import annotations

from airflow_provider_taskwatch.core.form import Field, Form

FORM = Form(
    connection_type="acronis",
    title="Acronis Cyber Protect Cloud",
    auths=("oauth2", "bearer"),
    token_url="/api/2/idp/token",  # noqa: S106 - a path
    client_auth="basic",
    fields=(
        Field(
            name="environment",
            label="Environment",
            description="A name for this Airflow: those of the same name share their event subscriptions.",
        ),
        Field(
            name="many_values",
            label="Many values in a filter",
            description="How to ask for many tasks at once: repeated (id=1&id=2), or id=or(1,2).",
            default="repeated",
            choices=("repeated", "or"),
        ),
    ),
    placeholders={"host": "https://eu2-cloud.acronis.com", "login": "Client id", "password": "Client secret"},
)
