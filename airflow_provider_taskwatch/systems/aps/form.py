"""What a connection to APS Notification Manager holds."""

from __future__ import annotations

from airflow_provider_taskwatch.core.form import Field, Form

FORM = Form(
    connection_type="aps",
    title="APS Notification Manager",
    auths=("oauth1", "aps_token"),
    token_headers={"aps_token": "APS-Token"},
    fields=(
        Field(
            name="package_id",
            label="Package id",
            description="APS id of the package that sends, where a notification names none.",
        ),
        Field(name="service", label="Service", description="Name of the service that sends, likewise."),
        Field(
            name="path",
            label="Path",
            description="service: /aps/2/services/notification-manager. resource: /aps/2/resources/<manager id>.",
            default="service",
            choices=("service", "resource"),
        ),
        Field(
            name="manager_id",
            label="Manager id",
            description="APS id of the notification manager, for the path by resource. Empty: it is looked up.",
        ),
        Field(
            name="locale",
            label="Locale",
            description="Language of the texts in answers (APS-Locale), such as en_US.",
        ),
        Field(
            name="resource_id",
            label="Impersonated resource",
            description="APS id of the resource on whose behalf calls are made (APS-Resource-ID).",
        ),
    ),
    placeholders={
        "host": "https://oa.example.com:6308",
        "login": "Consumer key of the application instance",
        "password": "Consumer secret, or the token",
    },
)
