"""Where the state of a task instance is kept: in Airflow's task state store, below Airflow 3.3 in the inbox."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, cast

from airflow_provider_taskwatch.compat.task_state import NEVER_EXPIRE, TaskState, airflows_task_state
from airflow_provider_taskwatch.core.error import ConfigurationError

if TYPE_CHECKING:
    from .inbox_state import InboxTaskState

from .job import KEY

NOT_SHARED = "Airflow below 3.3 has no task state store, and the inbox is a file that other workers do not share"
SHARE_IT = "let [taskwatch] inbox_url, or the Airflow connection 'taskwatch_inbox', name a PostgreSQL database"


class MovingTaskState:
    """Airflow's store, and the inbox for what an Airflow below 3.3 has left there before it was upgraded."""

    def __init__(self, store: TaskState, context: Mapping[str, Any]) -> None:
        self._store = store
        self._context = context

    def get(self, key: str, default: Any = None) -> Any:
        value = self._store.get(key)
        value = self._move(key) if value is None else value
        return default if value is None else value

    def _move(self, key: str) -> Any:
        from airflow_provider_taskwatch.config.airflow_id import find_airflow_id

        from .inbox_state import state_in_inbox

        airflow = find_airflow_id()
        earlier = state_in_inbox(self._context, airflow) if airflow else None
        value = earlier.get(key) if earlier else None
        if earlier and value is not None:
            self._store.set(key, value, retention=NEVER_EXPIRE)
            earlier.delete(key)
        return value

    def set(self, key: str, value: Any, *, retention: Any = None) -> None:
        self._store.set(key, value, retention=retention)

    def delete(self, key: str) -> None:
        self._store.delete(key)


def task_state(context: Mapping[str, Any], *, is_moving: bool) -> TaskState | None:
    """The state of the task instance of a context; None where it cannot be kept.

    :param is_moving: whether to look in the inbox, too, for what an Airflow below 3.3 has left there.
    :raises TaskWatchError: where Airflow or the inbox does not answer.
    """
    if (store := airflows_task_state(context)) is not None:
        return MovingTaskState(store, context) if is_moving else store
    from .inbox_state import state_in_inbox

    return state_in_inbox(context)


def durable_state(context: Mapping[str, Any], durable: bool | None, log: Any) -> TaskState | None:
    """The state of a task that is about to start something, for the record of the start; None where none is kept.

    :param durable: None keeps a record where that is possible, and warns where it is not.
    :raises ConfigurationError: where a record is required, and cannot be kept.
    :raises TaskWatchError: where Airflow or the inbox does not answer.
    """
    from airflow_provider_taskwatch.config.inbox import retention_days

    state = None if durable is False else task_state(context, is_moving=context["ti"].try_number > 1)
    if state is not None and airflows_task_state(context) is None:
        kept = cast("InboxTaskState", state)
        kept.prune(context["ti"], retention_days(), log)
        if context["ti"].try_number > 1:
            kept.check_id(KEY)
    if state is None and durable:
        raise ConfigurationError(f"durable=True cannot be kept: {NOT_SHARED}; {SHARE_IT}, or drop durable=True")
    if state is None and durable is None:
        log.warning(
            "no record of the start is kept, so a retry starts again what may still run: %s; %s, or set durable=False",
            NOT_SHARED,
            SHARE_IT,
        )
    return state
