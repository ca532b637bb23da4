"""A trigger's event, in few words for the log."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from airflow.triggers.base import TriggerEvent
from pydantic import PrivateAttr

from airflow_provider_taskwatch.core.text import safe


class BriefEvent(TriggerEvent):
    """An event that is logged without its payload.

    Airflow 3.3.2 logs each event as it fires. The payload would show people's data there, and such long lines keep the
    triggerer's supervisor, which reads 4 kB of log at a time, from its other work.

    :param payload: JSON; Airflow's runner would end with one that it cannot encode, so it is made safe here.
    :param words: what the log says instead.
    """

    _words: str = PrivateAttr()

    def __init__(self, payload: Mapping[str, Any], *, words: str) -> None:
        super().__init__(safe(payload))  # type: ignore[no-untyped-call]
        self._words = words

    def __repr__(self) -> str:
        return f"TriggerEvent<{self._words}>"

    __str__ = __repr__
