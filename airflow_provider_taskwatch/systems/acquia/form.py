"""What a connection to Acquia Cloud holds."""

from __future__ import annotations

from airflow_provider_taskwatch.core.form import Field, Form

FORM = Form(
    connection_type="acquia",
    title="Acquia Cloud",
    auths=("oauth2", "bearer"),
    host="https://cloud.acquia.com/api",
    base_path="/api",
    token_url="https://accounts.acquia.com/api/auth/oauth/token",  # noqa: S106 - an address
    scope="organization:{organization}",
    expired=r"token (has |is |was )?(expired|revoked|no longer valid)|(expired|revoked) (access )?token",
    fields=(
        Field(
            name="organization",
            label="Organization",
            description="UUID of the organization; needed where it signs in with its own identity provider.",
        ),
    ),
    placeholders={
        "host": "https://cloud.acquia.com/api",
        "login": "API key",
        "password": "API secret",
    },
)
