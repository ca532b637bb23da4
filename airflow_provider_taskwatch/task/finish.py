"""Whether a success may end in the triggerer, without a worker: only where nothing is lost by it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from airflow.sdk import BaseOperator

from airflow_provider_taskwatch.compat.xcom import can_push_from_triggerer


def how_to_finish(task: Any, execute_complete: Callable[..., Any]) -> str:
    """How the trigger ends a success: ``resume`` a worker, ``succeed``, or ``push`` the result and succeed.

    When a trigger ends the task, Airflow 3.3.2 skips all that a worker does after the wait, hence the list.

    :param execute_complete: that of this package; an overridden one is the user's code, and needs a worker.
    """
    if any(needs(task) for needs in _NEEDS_A_WORKER) or type(task).execute_complete is not execute_complete:
        return "resume"
    if not task.do_xcom_push:
        return "succeed"
    return "push" if can_push_from_triggerer() else "resume"


def _writes_output(task: Any) -> bool:
    return bool(task.output_path)


def _has_outlets(task: Any) -> bool:
    return bool(task.outlets)


def _has_post_execute(task: Any) -> bool:
    return task._post_execute_hook is not None or type(task).post_execute is not BaseOperator.post_execute


def _has_multiple_outputs(task: Any) -> bool:
    return bool(task.multiple_outputs)


def _is_mapped_over(task: Any) -> bool:
    """A downstream task that maps over the result needs its length, which only a worker pushes."""
    return task.has_dag() and next(task.iter_mapped_dependants(), None) is not None


def _names_its_map_index(task: Any) -> bool:
    return task.map_index_template is not None


def _has_custom_xcom(task: Any) -> bool:
    from airflow.sdk.bases.xcom import BaseXCom
    from airflow.sdk.execution_time.xcom import XCom

    return XCom is not BaseXCom


def _has_listeners(task: Any) -> bool:
    """Such as OpenLineage: Airflow calls them on workers only."""
    from airflow.providers.common.compat.sdk import get_listener_manager

    return get_listener_manager().has_listeners


_NEEDS_A_WORKER = (
    _writes_output,
    _has_outlets,
    _has_post_execute,
    _has_multiple_outputs,
    _is_mapped_over,
    _names_its_map_index,
    _has_custom_xcom,
    _has_listeners,
)
