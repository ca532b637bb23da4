"""What tests use of Airflow and each minor version has at another place, or in another form."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from airflow.triggers.base import TriggerEvent

try:  # since Airflow 3.2
    from airflow.sdk.exceptions import AirflowRescheduleException, TaskDeferralError
    from airflow.sdk.serde import deserialize, serialize

    read_xcom = deserialize
except ImportError:
    from airflow.exceptions import AirflowRescheduleException, TaskDeferralError
    from airflow.serialization.serde import deserialize as read_xcom
    from airflow.serialization.serialized_objects import BaseSerialization

    deserialize, serialize = BaseSerialization.deserialize, BaseSerialization.serialize  # of a trigger's arguments

__all__ = [
    "AirflowRescheduleException",
    "TaskDeferralError",
    "dag_bag",
    "dag_serializer",
    "deserialize",
    "fired_by_first_trigger",
    "provider_hooks",
    "read_xcom",
    "serialize",
]


def dag_bag(file: Path) -> Any:
    """The DAGs of a file."""
    try:
        from airflow.dag_processing.dagbag import DagBag
    except ImportError:  # since Airflow 3.2
        from airflow.models.dagbag import DagBag

        return DagBag(dag_folder=file, bundle_path=file.parent)
    return DagBag(dag_folder=file, bundle_path=file.parent, bundle_name="examples")


def dag_serializer() -> Any:
    """What writes and reads a DAG as Airflow stores it."""
    from airflow.serialization import serialized_objects

    return getattr(serialized_objects, "DagSerialization", None) or serialized_objects.SerializedDAG


def fired_by_first_trigger(event: TriggerEvent) -> Any:
    """An event in the list that a triggerer's runner sends to its supervisor."""
    try:
        from airflow.jobs.triggerer_job_runner import TriggerEventEntry
    except ImportError:  # since Airflow 3.3
        return 1, event
    return TriggerEventEntry(trigger_id=1, event=event, persist_seq=None)


def provider_hooks() -> Any:
    """The hooks of all providers by connection type."""
    try:
        from airflow.sdk.providers_manager_runtime import ProvidersManagerTaskRuntime
    except ImportError:  # since Airflow 3.2
        from airflow.providers_manager import ProvidersManager

        return ProvidersManager().hooks
    return ProvidersManagerTaskRuntime().hooks
