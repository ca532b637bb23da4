"""How operators, sensors and notifiers find their hook."""

from __future__ import annotations

from functools import cached_property
from typing import ClassVar, Generic, TypeVar

H = TypeVar("H")


class HookUser(Generic[H]):
    """Has a connection, and the hook that goes with it."""

    hook_class: ClassVar[str]
    """Dotted path of the hook; it is imported when a task runs, as requests and Authlib are slow to import."""

    @property
    def conn_id(self) -> str:
        """The connection, whatever the subclass calls it."""
        raise NotImplementedError

    @cached_property
    def hook(self) -> H:
        """The connection's hook."""
        from airflow.sdk.module_loading import import_string

        return import_string(self.hook_class)(self.conn_id)  # type: ignore[no-any-return]
