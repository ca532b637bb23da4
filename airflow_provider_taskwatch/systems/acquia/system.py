"""Acquia Cloud API v2: a writing call queues a task, and its reply names the notification with the task's state.

* Notifications: https://docs.acquia.com/acquia-cloud-platform/scripting-api-tasks-notification-parameter
* Tokens: https://docs.acquia.com/acquia-cloud/develop/api/auth/. A token lives 300 s. An expired one gets 401 or,
  by public reports, 403 with the slug ``unauthorized``, which a missing permission has, too
* All operations: https://cloudapi-docs.acquia.com/
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, TypeVar
from urllib.parse import unquote

from airflow_provider_taskwatch.core.error import ConfigurationError, NotFoundError, RemoteError, TaskWatchError
from airflow_provider_taskwatch.core.flow import PATIENT, Flow, ask, ask_json, read_object
from airflow_provider_taskwatch.core.phase import Observation, absent
from airflow_provider_taskwatch.core.record import Started
from airflow_provider_taskwatch.core.refusal import refusal
from airflow_provider_taskwatch.core.settings import Settings
from airflow_provider_taskwatch.core.system import System, SystemDefaults, doubt_unless_uuid
from airflow_provider_taskwatch.core.wire import Call, Reply, canonical_path, get, segment, send

from .notification import read_notification
from .reference import find_reference

T = TypeVar("T")

ACCEPT = {"Accept": "application/hal+json, version=2"}


_METHODS = ("POST", "PUT", "PATCH", "DELETE")


def from_settings(settings: Settings) -> System:
    """The system behind a connection of the type ``acquia``."""
    return Acquia()


class Acquia(SystemDefaults):
    """Starts work on Acquia Cloud and reads its notifications. The API has no cancel and no idempotency key."""

    name = "acquia"
    noun = "notification"

    def doubt(self, ref: str) -> str:
        return doubt_unless_uuid(ref, self.noun)

    def start(self, method: str, path: str, content: object = None) -> Flow[Started]:
        """Send a writing call. The ref is None if the reply names no notification.

        :param path: below the API's base, percent-encoded where needed: ``environments/12-ab/databases``.
        :param content: the JSON body; empty means ``{}`` for POST, and no body for the other methods.
        """
        call = _start_call(method, path, content)

        def did_nothing(reply: Reply) -> bool:
            return self.was_refused(refusal(call, reply))

        reply = yield from _hinted(ask(call, retry=PATIENT, refused=did_nothing))
        answer = _object_or_nothing(reply)
        _check(call, reply, answer)
        return Started(ref=find_reference(answer), reply=answer)

    def observe(self, ref: str) -> Flow[Observation]:
        call = get(f"/notifications/{segment(ref)}", headers=ACCEPT)
        try:
            reply = yield from _hinted(ask(call))
        except NotFoundError:
            return absent(ref)
        content = read_object(call, reply)
        _check(call, reply, content)
        return read_notification(ref, content)

    def was_refused(self, error: TaskWatchError) -> bool:
        return _is_unavailable(error) or super().was_refused(error)

    def probe(self) -> Flow[str]:
        yield from _hinted(ask_json(get("/account", headers=ACCEPT)))
        return "the token is accepted and the account can be read"


def _hinted(flow: Flow[T]) -> Flow[T]:
    """Adds the remedy to the error about a token without the organization's scope."""
    try:
        return (yield from flow)
    except RemoteError as error:
        if not error.says("additional_authentication_required"):
            raise
        hint = "the organization has its own identity provider: set 'organization' in the connection to its UUID"
        raise error.with_message(f"{error.message}; {hint}") from error


def _start_call(method: str, path: str, content: object) -> Call:
    method = method.strip().upper()
    if method not in _METHODS:
        raise ConfigurationError(f"method {method!r} starts nothing; use one of {', '.join(_METHODS)}")
    body = content or ({} if method == "POST" else None)
    return send(method, _start_path(path), body, ACCEPT)


def _start_path(path: str) -> str:
    """``path`` below the API's base, with or without a leading ``/`` or ``/api/``."""
    below = path.strip().lstrip("/").removeprefix("api/").rstrip("/")
    if not below or "://" in path or ".." in unquote(path) or {"?", "#", "\\"} & set(path) or "//" in below:
        raise ConfigurationError(
            f"the path {path[:200]!r} must be one below the connection's host, such as "
            "'environments/<id>/databases': no URL, no '..', '?', '#' or '\\', and no part may be empty"
        )
    return canonical_path(f"/{below}")


def _object_or_nothing(reply: Reply) -> Mapping[str, Any]:
    """The content of a reply to an accepted start; empty if it cannot be read, as the start is done all the same."""
    try:
        content = reply.json()
    except (ValueError, RecursionError):
        return {}
    return content if isinstance(content, dict) else {}


def _check(call: Call, reply: Reply, content: Mapping[str, Any]) -> None:
    """Raise the refusal in a body with both ``error`` and ``message``, which Acquia also sends with status 200."""
    if content.get("error") and content.get("message"):
        raise refusal(call, reply)


def _is_unavailable(error: TaskWatchError) -> bool:
    """The documented 503 with the slug ``system``: a service behind the API is down, nothing was done."""
    return isinstance(error, RemoteError) and error.status == 503 and error.says("^system(:|$)")
