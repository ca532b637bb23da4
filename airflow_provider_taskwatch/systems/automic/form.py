"""What a connection to Automic Automation Engine holds."""

from __future__ import annotations

from airflow_provider_taskwatch.core.form import Field, Form

FORM = Form(
    connection_type="automic",
    title="Automic Automation Engine",
    auths=("basic", "oauth2", "bearer"),
    base_path="/ae/api/v1",
    charset="latin-1",
    fields=(
        Field(
            name="client",
            label="Client",
            description="Automic's client, a part of every path, as your system writes it: 100, 0100. "
            "Empty: paths without a client.",
        ),
    ),
    placeholders={
        "host": "https://ae.example.com:8088",
        "login": "100/USER/DEPARTMENT",
    },
)
