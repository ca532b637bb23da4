"""The id of this Airflow in an inbox that several may share: a Variable, made once per metadata database."""

from __future__ import annotations

import secrets
import time
from typing import TYPE_CHECKING, Any

from airflow.sdk.exceptions import AirflowRuntimeError, ErrorType
from airflow.sdk.execution_time.comms import ErrorResponse, GetVariable, PutVariable, VariableResult

from airflow_provider_taskwatch.core.error import TransportError, described

from .supervisor import supervisor

if TYPE_CHECKING:
    from airflow_provider_taskwatch.inbox.protocol import Inbox

VARIABLE = "taskwatch_airflow_id"
DESCRIPTION = (
    "Names this Airflow in the inbox of Task Watch, where waiting tasks find what they started: do not change it."
)
LEASE = "airflow id"
LEASE_SECONDS = 60.0
AGAIN_SECONDS = 0.2


def find_airflow_id() -> str | None:
    """The id, on a worker; None where it was not made yet, and outside of Airflow.

    :raises TransportError: where Airflow does not answer.
    """
    if supervisor() is None:
        return None
    answer = _ask(GetVariable(key=VARIABLE))
    if isinstance(answer, VariableResult):
        return answer.value or None
    if isinstance(answer, ErrorResponse) and answer.error is ErrorType.VARIABLE_NOT_FOUND:
        return None
    raise TransportError(f"Airflow could not look for the Variable {VARIABLE!r}: {answer!r:.200}")


def stored_airflow_id() -> str | None:
    """The id, on the command line, from the metadata database; None where it was not made yet."""
    from airflow.models.variable import Variable

    found: str | None = Variable.get(VARIABLE, default_var=None)
    return found


def airflow_id(inbox: Inbox) -> str:
    """The id, on a worker. It is made where it is missing, under a lease, as two workers may come at once.

    :raises TransportError: where Airflow does not answer, or does not keep the id.
    :raises InboxError: where the inbox does not answer.
    """
    holder, ends_at = secrets.token_hex(8), time.monotonic() + LEASE_SECONDS
    while (found := find_airflow_id()) is None:
        if inbox.lease(LEASE, holder, LEASE_SECONDS):
            try:
                return find_airflow_id() or _make()
            finally:
                inbox.release(LEASE, holder)
        if time.monotonic() > ends_at:
            raise TransportError(f"another worker has not made the Variable {VARIABLE!r} in {LEASE_SECONDS:g} s")
        time.sleep(AGAIN_SECONDS)
    return found


def _make() -> str:
    if supervisor() is None:
        raise TransportError(f"the Variable {VARIABLE!r} can only be set by a task that Airflow runs")
    made = secrets.token_hex(8)
    _ask(PutVariable(key=VARIABLE, value=made, description=DESCRIPTION))
    if find_airflow_id() != made:
        raise TransportError(f"Airflow does not keep the Variable {VARIABLE!r}; a task must be allowed to set it")
    return made


def _ask(question: Any) -> Any:
    try:
        return supervisor().send(question)
    except AirflowRuntimeError as cause:  # the answers to some requests are raised
        return cause.error
    except Exception as cause:
        raise TransportError(f"Airflow did not answer for the Variable {VARIABLE!r}: {described(cause)}") from cause
