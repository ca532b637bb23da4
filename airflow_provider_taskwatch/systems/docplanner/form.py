"""What a connection to Docplanner holds."""

from __future__ import annotations

from airflow_provider_taskwatch.core.form import Field, Form

FORM = Form(
    connection_type="docplanner",
    title="Docplanner",
    auths=("oauth2",),
    host_prefix="www.",
    base_path="/api/v3/integration",
    token_url="https://{host}/oauth/v2/token",  # noqa: S106 - an address
    scope="integration",
    fields=(
        Field(
            name="delivery",
            label="Delivery",
            description="pull: notifications are fetched; push: Docplanner sends them to the receiver.",
            default="pull",
            choices=("pull", "push"),
        ),
        Field(
            name="store_payload",
            label="Stored of notifications",
            description="ids: ids, names of events, times and statuses; full: all, patients' data included.",
            default="ids",
            choices=("ids", "full"),
        ),
        Field(
            name="denial_code",
            label="Denial code",
            description="Where Docplanner pushes and asks whether a patient may book or move: deny it with this "
            "error_code. Empty: approve.",
            kind="integer",
        ),
    ),
    placeholders={"host": "www.doctoralia.es"},
)
