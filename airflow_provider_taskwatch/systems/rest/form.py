"""The connection type of any REST API."""

from __future__ import annotations

from airflow_provider_taskwatch.core.form import Field, Form

FORM = Form(
    connection_type="taskwatch",
    title="Task Watch (any REST API)",
    auths=("oauth2", "oauth1", "basic", "bearer", "api_key"),
    fields=(
        Field(
            name="profile",
            label="Profile",
            description="The profile of tasks that name none: a name, or a JSON object.",
            kind="content",
        ),
        Field(
            name="secrets",
            label="Secrets of profiles",
            description="A JSON object of texts, which profiles send as {secret.NAME}.",
            kind="object",
            is_secret=True,
        ),
        Field(
            name="api_key_in",
            label="API key in",
            description="Where an API key is sent.",
            default="header",
            choices=("header", "query", "cookie"),
        ),
        Field(
            name="api_key_name",
            label="API key name",
            description="The name of the header, query parameter or cookie.",
            default="X-Api-Key",
        ),
        Field(
            name="api_key_prefix",
            label="API key prefix",
            description="A word before the key in a header, such as Token for 'Authorization: Token ...'.",
        ),
    ),
    placeholders={"host": "https://api.example.com/v1"},
)
