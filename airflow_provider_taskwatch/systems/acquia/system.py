"""Acquia Cloud API v2: any writing call queues work, and names the notification that tells how it goes.

* Notifications: https://docs.acquia.com/acquia-cloud-platform/scripting-api-tasks-notification-parameter
* Tokens, which live 300 s: https://docs.acquia.com/acquia-cloud/develop/api/auth/; an expired one is answered 401 or,
  as public reports have it, 403 with the slug ``unauthorized``, which a missing permission has, too
* All operations: https://cloudapi-docs.acquia.com/
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any, TypeVar
from urllib.parse import unquote, urlsplit

from airflow_provider_taskwatch.core.error import ConfigurationError, NotFoundError, RemoteError, TaskWatchError
from airflow_provider_taskwatch.core.flow import PATIENT, Flow, ask, ask_json, read_object, refusal
from airflow_provider_taskwatch.core.phase import LazyMapping, Observation, Phase, absent
from airflow_provider_taskwatch.core.settings import Settings
from airflow_provider_taskwatch.core.start import Started
from airflow_provider_taskwatch.core.system import System, SystemDefaults, doubt_unless_uuid, safe_ref
from airflow_provider_taskwatch.core.text import LINE_CHARACTERS, shortened
from airflow_provider_taskwatch.core.wire import Call, Reply, canonical_path, get, segment, send
from airflow_provider_taskwatch.systems.moment import seconds_between

T = TypeVar("T")

PHASES: Mapping[str, Phase] = {
    "in-progress": Phase.RUNNING,
    "started": Phase.RUNNING,
    "completed": Phase.SUCCEEDED,
    "succeeded": Phase.SUCCEEDED,  # the vendor's sample script
    "complete": Phase.SUCCEEDED,  # bulk code switch
    "failed": Phase.FAILED,
    "error": Phase.FAILED,
}

ACCEPT = {"Accept": "application/hal+json, version=2"}


_METHODS = ("POST", "PUT", "PATCH", "DELETE")
_RESULT = ("event", "label", "description", "status", "created_at", "started_at", "completed_at")
_CONTEXT = ("application", "environment", "database", "organization", "team", "subscription", "role")
_CONTEXT_IDS = ("uuids", "ids", "names", "uuid", "id", "name")
_PEOPLE = ("author", "user")

Operation = tuple[str, str, dict[str, Any]]
"""Method, path and JSON body of a call that answers with a notification."""


def from_settings(settings: Settings) -> System:
    """The system behind a connection of the type ``acquia``."""
    return Acquia()


class Acquia(SystemDefaults):
    """Starts work on Acquia Cloud and reads its notifications. There is no cancel and no idempotency key."""

    name = "acquia"
    noun = "notification"

    def doubt(self, ref: str) -> str:
        return doubt_unless_uuid(ref, self.noun)

    def start(self, method: str, path: str, content: object = None) -> Flow[Started]:
        """Send any writing call; the ref is None where the reply names no notification.

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


def create_database(application_uuid: str, name: str) -> Operation:
    """Create a database in all environments of an application."""
    return "POST", f"/applications/{segment(application_uuid)}/databases", {"name": name}


def create_database_backup(environment_id: str, database: str) -> Operation:
    """Back up one database of an environment."""
    return "POST", f"/environments/{segment(environment_id)}/databases/{segment(database)}/backups", {}


def deploy_artifact(environment_id: str, artifact_id: str) -> Operation:
    """Deploy a build artifact to an environment."""
    path = f"/environments/{segment(environment_id)}/artifacts/actions/switch"
    return "POST", path, {"artifact_id": artifact_id}


def switch_code(environment_id: str, branch: str) -> Operation:
    """Switch an environment to a branch or tag (``tags/2026-01-31``)."""
    return "POST", f"/environments/{segment(environment_id)}/code/actions/switch", {"branch": branch}


def reference_of(value: object) -> str:
    """The notification id in a UUID, a notification URL, or a whole start reply (a mapping, or JSON text)."""
    content = _loaded(value)
    found = find_reference(content) if isinstance(content, Mapping) else _id_in(content)
    if found is None:
        raise ConfigurationError(
            f"no notification id in {str(value)[:200]!r}; give a notification UUID, a notification URL "
            "(.../notifications/<uuid>) or the whole reply of the call that started the work "
            "(a template must render it as JSON: add `| tojson`)"
        )
    return found


def find_reference(reply: Mapping[str, Any]) -> str | None:
    """The notification id that a start reply names, in all known shapes; None where it names none.

    Links give an id only, whatever host they name. ``_links.self``, operations and other ids do not count.
    """
    named = (
        _member(reply, "_links", "notification"),
        _member(reply, "links", "notification"),
        reply.get("notification"),
        reply.get("notification_id"),
        reply.get("notificationUuid"),
    )
    found = (_id_in(one.get("href") if isinstance(one, Mapping) else one) for one in named)
    return next(filter(None, found), None)


def read_notification(ref: str, content: Mapping[str, Any]) -> Observation:
    """The reading in a notification; only ``status`` says whether it is over."""
    phase = phase_of(content.get("status"))
    message = content.get("message") or content.get("description") or content.get("label")
    return Observation(
        ref=ref,
        phase=phase,
        status=_text(content.get("status")),
        progress=_progress(content.get("progress")),
        message=_text(message),
        result=LazyMapping(lambda: _result(ref, content, phase)),
        personal=LazyMapping(lambda: _personal(content)),
    )


def phase_of(status: object) -> Phase:
    """Our word for a status in any of its spellings (``in-progress``, ``in_progress``, ``In Progress``)."""
    word = status.strip().lower() if isinstance(status, str) else ""
    return PHASES.get(word.replace("_", "-").replace(" ", "-"), Phase.UNKNOWN)


def _hinted(flow: Flow[T]) -> Flow[T]:
    """Acquia's words for a token without the organization's scope do not say what to do."""
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
    """``path`` below the API's base, whether it was given with ``/`` or ``/api/`` in front or without."""
    below = path.strip().lstrip("/").removeprefix("api/").rstrip("/")
    if not below or "://" in path or ".." in unquote(path) or {"?", "#", "\\"} & set(path) or "//" in below:
        raise ConfigurationError(
            f"the path {path[:200]!r} must be one below the connection's host, such as "
            "'environments/<id>/databases': no URL, no '..', '?', '#' or '\\', and no part may be empty"
        )
    return canonical_path(f"/{below}")


def _object_or_nothing(reply: Reply) -> Mapping[str, Any]:
    """A reply to a start was accepted, readable or not; one that cannot be read names no notification."""
    try:
        content = reply.json()
    except (ValueError, RecursionError):
        return {}
    return content if isinstance(content, dict) else {}


def _check(call: Call, reply: Reply, content: Mapping[str, Any]) -> None:
    """A body with both ``error`` and ``message`` is a failure, even under 200."""
    if content.get("error") and content.get("message"):
        raise refusal(call, reply)


def _is_unavailable(error: TaskWatchError) -> bool:
    """The documented 503 with the slug ``system``: a service behind the API is down, nothing was done."""
    return isinstance(error, RemoteError) and error.status == 503 and error.says("^system(:|$)")


def _loaded(value: object) -> object:
    """What a template has rendered as JSON: a whole reply, or a text in quotation marks."""
    if not isinstance(value, str) or not value.strip().startswith(("{", '"')):
        return value
    try:
        loaded: object = json.loads(value)
    except (ValueError, RecursionError):
        return None
    return loaded


def _id_in(value: object) -> str | None:
    """The id in a bare id or in the address of a notification; None where it is neither."""
    if not isinstance(value, str):
        return None
    try:
        parts = urlsplit(value.strip()).path.rstrip("/").split("/") if "/" in value else ["notifications", value]
        return safe_ref(unquote(parts[-1]), "notification") if parts[-2:-1] == ["notifications"] else None
    except (ConfigurationError, ValueError):
        return None


def _member(content: Mapping[str, Any], *names: str) -> Any:
    """A member of nested objects, None where any of them is missing."""
    value: Any = content
    for name in names:
        value = value.get(name) if isinstance(value, Mapping) else None
    return value


def _result(ref: str, content: Mapping[str, Any], phase: Phase) -> dict[str, Any]:
    """The XCom. ``duration`` is in seconds, from ``started_at`` (or ``created_at``) to ``completed_at``."""
    begun = content.get("started_at") or content.get("created_at")
    return {
        "uuid": content.get("uuid") or ref,
        **{name: content.get(name) for name in _RESULT},
        "progress": _progress(content.get("progress")),
        "duration": seconds_between(begun, content.get("completed_at")) if phase.is_final else None,
        "context": {name: ids for name in _CONTEXT if (ids := _context_ids(content, name))},
    }


def _context_ids(content: Mapping[str, Any], name: str) -> list[str]:
    found = (_member(content, "context", name, key) for key in _CONTEXT_IDS)
    ids: object = next(filter(None, found), [])
    return [str(one) for one in (ids if isinstance(ids, list) else [ids]) if isinstance(one, (str, int))]


def _personal(content: Mapping[str, Any]) -> dict[str, Any]:
    people = {name: _member(content, "context", name) for name in _PEOPLE}
    people["embedded_author"] = _member(content, "_embedded", "author")
    return {name: value for name, value in people.items() if value is not None}


def _progress(value: object) -> float | None:
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        return None
    return value if 0 <= value <= 100 else None


def _text(value: object) -> str:
    """What the remote says, for people: at most 500 characters, whatever shape it has."""
    if value is None:
        return ""
    return (value if isinstance(value, str) else json.dumps(shortened(value)))[:LINE_CHARACTERS]
