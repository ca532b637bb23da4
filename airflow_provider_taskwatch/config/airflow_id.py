"""The id of this Airflow in an inbox that several may share: a Variable, made once per metadata database."""

from __future__ import annotations

import secrets
import time
from typing import TYPE_CHECKING, Any

from airflow.providers.common.compat.sdk import conf
from airflow.sdk.exceptions import AirflowRuntimeError, ErrorType
from airflow.sdk.execution_time.comms import DRCount, ErrorResponse, GetVariable, PutVariable, VariableResult

from airflow_provider_taskwatch.core.error import ConfigurationError, TransportError, described

from .supervisor import NEEDS_DATABASE, supervisor

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

    Airflow says *not found* of a Variable, too, where its database or a secrets backend does not answer. Another id
    would hide all records, so *not found* is believed only of a database that answers.

    :raises ConfigurationError: where the Variable is empty.
    :raises TransportError: where Airflow does not answer.
    """
    if supervisor() is None:
        return None
    answer = _ask(GetVariable(key=VARIABLE))
    if isinstance(answer, VariableResult):
        return _checked(answer.value)
    if isinstance(answer, ErrorResponse) and answer.error is ErrorType.VARIABLE_NOT_FOUND:
        answer = _ask(NEEDS_DATABASE)
        if isinstance(answer, DRCount):
            return None
    raise TransportError(f"Airflow could not look for the Variable {VARIABLE!r}: {answer!r:.200}")


def stored_airflow_id() -> str | None:
    """The id, on the command line, from the metadata database; None where it was not made yet."""
    from airflow.models.variable import Variable

    found: str | None = Variable.get(VARIABLE, default_var=None)
    return None if found is None else _checked(found)


def _checked(value: str | None) -> str:
    if not value:
        raise ConfigurationError(
            f"the Variable {VARIABLE!r} is empty, and waiting tasks have their records under its former value: set it "
            "back; only where nothing waits, delete it, and the next task makes a new one"
        )
    return value


def airflow_id(inbox: Inbox) -> str:
    """The id, on a worker. It is made where it is missing, under a lease, as two workers may come at once.

    :raises ConfigurationError: where teams have Airflow variables of their own, and a person must make it.
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
    if conf.getboolean("core", "multi_team", fallback=False):  # each team would overwrite the id of another one
        raise ConfigurationError(
            f"with [core] multi_team, a task cannot make the Variable {VARIABLE!r}, which all teams need: add one "
            "without a team, with any text of its own that never changes"
        )
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
