"""The hook for Acquia Cloud."""

from __future__ import annotations

from airflow_provider_taskwatch.core.error import ConfigurationError, RemoteError
from airflow_provider_taskwatch.core.flow import Flow
from airflow_provider_taskwatch.systems.acquia import FORM

from .taskwatch import SystemHook


class AcquiaHook(SystemHook):
    """Requests to the Acquia Cloud API v2 (https://docs.acquia.com/acquia-cloud/develop/api/auth/).

    :param acquia_conn_id: an Airflow connection of the type ``acquia``.
    """

    conn_name_attr = "acquia_conn_id"
    default_conn_name = "acquia_default"
    conn_type = FORM.connection_type
    hook_name = FORM.title
    form = FORM

    def __init__(self, acquia_conn_id: str = default_conn_name) -> None:
        super().__init__(acquia_conn_id)

    def _probe(self) -> Flow[str]:
        """Acquia's words for a token without the organization's scope do not say what to do."""
        try:
            return (yield from super()._probe())
        except RemoteError as error:
            if "additional_authentication_required" not in error.message:
                raise
            raise ConfigurationError(
                f"{error}; the organization signs in with its own identity provider: set 'organization' in the extra "
                f"of connection {self.conn_id!r} to its UUID"
            ) from error
