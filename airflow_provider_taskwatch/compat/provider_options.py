"""The options of providers in a process of one's own: Airflow 3.1 reads them in full only where it is asked to."""

from __future__ import annotations


def load_provider_options() -> None:
    """Let Airflow know which options are sensitive, so that it reads their ``_cmd`` and ``_secret`` forms.

    Airflow's own commands do so. Since 3.2 the configuration of the Task SDK does it by itself.
    """
    try:
        import airflow.sdk.configuration  # noqa: F401 - only whether it exists
    except ImportError:
        from airflow.providers_manager import ProvidersManager

        ProvidersManager().initialize_providers_configuration()
