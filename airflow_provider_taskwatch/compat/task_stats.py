"""Airflow's metrics in tasks and triggers: those of the Task SDK since Airflow 3.2.

The triggerer of Airflow 3.2 sets up the metrics of its core only. The serializers of the SDK set up those of the SDK,
and the triggerer imports them for another reason. On 3.1 the first metric sets them up.
"""

from __future__ import annotations

from contextlib import suppress
from importlib import import_module

from airflow.providers.common.compat.sdk import Stats

with suppress(ModuleNotFoundError):  # below Airflow 3.2
    import_module("airflow.sdk.serde")

__all__ = ["Stats"]
