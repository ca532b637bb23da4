"""Any REST API behind OAuth2, OAuth 1.0a, HTTP Basic or a bearer token: a form, no tasks and no events."""

from __future__ import annotations

from airflow_provider_taskwatch.core.form import Form

FORM = Form(
    connection_type="taskwatch",
    title="Task Watch (OAuth, Basic, bearer)",
    auths=("oauth2", "oauth1", "basic", "bearer"),
    placeholders={"host": "https://api.example.com/v1"},
)
