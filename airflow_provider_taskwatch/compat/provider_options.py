"""The options of providers: Airflow 3.1 reads them in full in its commands, and in what these fork."""

from __future__ import annotations

import functools


@functools.cache
def load_provider_options() -> None:
    """Let Airflow know which options are sensitive, so that it reads their ``_cmd`` and ``_secret`` forms.

    Airflow 3.1 does not do so in the script ``taskwatch``, in a pod of the KubernetesExecutor, nor in a program that
    uses a hook or calls ``dag.test()``. It takes 0.1 to 0.3 s, once in such a process. Since 3.2 the configuration of
    the Task SDK does it by itself.
    """
    try:
        import airflow.sdk.configuration  # noqa: F401 - only whether it exists
    except ImportError:
        from airflow.providers_manager import ProvidersManager

        ProvidersManager().initialize_providers_configuration()
