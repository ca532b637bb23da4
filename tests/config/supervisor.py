"""A fake of Airflow's supervisor that has no connection."""

from __future__ import annotations

from typing import Any

from airflow.sdk.exceptions import ErrorType
from airflow.sdk.execution_time.comms import ErrorResponse, GetConnection


class Supervisor:
    """Answers a worker or a triggerer.

    :param answer: to each request but the one for a connection.
    """

    def __init__(self, answer: Any) -> None:
        self.answer = answer

    def send(self, message: Any) -> Any:
        is_known = not isinstance(message, GetConnection)
        return self.answer if is_known else ErrorResponse(error=ErrorType.CONNECTION_NOT_FOUND)

    async def asend(self, message: Any) -> Any:
        return self.send(message)
