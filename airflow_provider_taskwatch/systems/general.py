"""Any REST API behind OAuth2 client credentials, HTTP Basic or a bearer token: a form, and nothing to watch."""

from __future__ import annotations

from airflow_provider_taskwatch.core.form import Form

FORM = Form(
    connection_type="taskwatch",
    title="Task Watch (OAuth2, Basic, bearer)",
    auths=("oauth2", "basic", "bearer"),
    placeholders={"host": "https://api.example.com/v1"},
)
