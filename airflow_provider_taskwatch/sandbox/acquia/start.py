"""Acquia's write operations, and the shapes in which they name the notification of what they start.

Paths, required fields and reply codes are the vendor's; event names and messages are ours where it documents
none. Of 350 operations 83 answer with ``_links.notification``, four of them also with a top-level
``notification``, one with ``notification_id``; 39 answer 202 without any.
"""

from __future__ import annotations

import re
import uuid
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Any

from airflow_provider_taskwatch.core.wire import Call
from airflow_provider_taskwatch.sandbox.answer import header


@dataclass(frozen=True, slots=True)
class Operation:
    """One write operation.

    :param event: what its notification is called.
    :param message: what the start reply says.
    :param required: fields that the body must hold.
    :param status: HTTP status of the start reply.
    """

    method: str
    path: str
    event: str
    message: str
    required: tuple[str, ...] = ()
    status: int = 202

    @property
    def label(self) -> str:
        """The event as text: ``DatabaseBackupCreated`` is ``Database backup created``."""
        return re.sub(r"(?<!^)[A-Z]", lambda letter: f" {letter[0].lower()}", self.event)

    def matches(self, method: str, path: str) -> bool:
        return method == self.method and _is_at(self.path, path)


_ENV = "/environments/{id}"
_BACKUPS = f"{_ENV}/databases/{{name}}/backups"

OPERATIONS = (
    Operation("POST", f"{_ENV}/code/actions/switch", "CodeSwitched", "Switching code.", ("branch",)),
    Operation("POST", f"{_ENV}/code", "CodeDeployed", "Deploying code.", ("source",)),
    Operation(
        "POST",
        f"{_ENV}/artifacts/actions/switch",
        "ArtifactSwitched",
        "Deploying artifact.",
        ("artifact_id",),
    ),
    Operation("POST", "/applications/{id}/databases", "DatabaseCreated", "Creating the database.", ("name",)),
    Operation("POST", f"{_ENV}/databases", "DatabaseCopied", "The database is being copied.", ("name", "source")),
    Operation("POST", _BACKUPS, "DatabaseBackupCreated", "Creating the backup."),
    Operation("POST", f"{_BACKUPS}/{{backup}}/actions/restore", "DatabaseBackupRestored", "Restoring the backup."),
    Operation("POST", f"{_ENV}/files", "FilesCopied", "Copying files."),
    Operation("POST", f"{_ENV}/actions/clear-caches", "CachesCleared", "Caches are being cleared.", ("domains",)),
    Operation("POST", f"{_ENV}/domains", "DomainAdded", "The domain is being added."),
    Operation("DELETE", f"{_ENV}/domains/{{domain}}", "DomainRemoved", "The domain is being removed."),
    Operation(
        "POST",
        "/applications/{id}/environments",
        "EnvironmentAdded",
        "Adding an environment.",
        ("label", "branch", "databases"),
    ),
    Operation("DELETE", _ENV, "EnvironmentDeleted", "The environment is being deleted."),
    Operation("POST", f"{_ENV}/logs/{{type}}", "LogfileCreated", "Creating the log file.", status=201),
)

BULK_SWITCH = Operation(
    "POST",
    "/codebases/{id}/bulk-code-switch",
    "BulkCodeSwitched",
    "Bulk code switch started.",
    ("reference", "targets"),
)

_OTHERS = {
    "POST": Operation("POST", "", "ResourceCreated", "The resource is being created."),
    "PUT": Operation("PUT", "", "ResourceChanged", "The resource is being changed."),
    "DELETE": Operation("DELETE", "", "ResourceDeleted", "The resource is being deleted."),
}


_APP = "/applications/{id}"
_SUB = "/subscriptions/{id}"
_STATUSES: Mapping[int, tuple[tuple[str, str], ...]] = {
    200: (
        ("DELETE", "/account/tokens/{id}"),
        ("PUT", _APP),
        ("POST", f"{_APP}/code-studio"),
        ("DELETE", f"{_APP}/code-studio"),
        ("POST", f"{_APP}/email/domains/{{id}}/actions/associate"),
        ("POST", f"{_APP}/email/domains/{{id}}/actions/disassociate"),
        ("DELETE", f"{_APP}/search/config-sets/{{id}}"),
        ("POST", f"{_APP}/tags"),
        ("DELETE", f"{_APP}/tags/{{name}}"),
        ("POST", f"{_ENV}/cdn"),
        ("DELETE", f"{_ENV}/cdn"),
        ("PUT", f"{_ENV}/cloud-actions"),
        ("POST", f"{_ENV}/cloud-actions/actions/disable"),
        ("POST", f"{_ENV}/cloud-actions/actions/enable"),
        ("POST", f"{_ENV}/cloud-actions/actions/reset"),
        ("DELETE", f"{_ENV}/search/indexes/{{id}}"),
        ("POST", "/identity-providers/{id}/actions/enable"),
        ("POST", "/identity-providers/{id}/actions/disable"),
        ("DELETE", "/organizations/{id}/available-tags"),
        ("POST", f"{_SUB}/apm/{{type}}/actions/opt-in"),
        ("POST", f"{_SUB}/code-studio/actions/enable"),
        ("POST", f"{_SUB}/code-studio/users"),
        ("DELETE", f"{_SUB}/code-studio/users/{{id}}"),
        ("POST", f"{_SUB}/domains"),
        ("DELETE", f"{_SUB}/domains/{{id}}"),
        ("POST", f"{_SUB}/domains/{{id}}/actions/verify"),
    ),
    201: (
        ("POST", "/account/tokens"),
        ("POST", "/organizations/{id}/available-tags"),
    ),
}
"""Other writes that the vendor's OpenAPI answers with another status than 202."""


def operation(method: str, path: str) -> Operation:
    """The operation at a path after ``/api``; every other write is one as well."""
    known = next((one for one in OPERATIONS if one.matches(method, path)), None)
    return known or replace(_OTHERS[method], status=_status(method, path))


def _status(method: str, path: str) -> int:
    rows = ((status, row) for status, rows in _STATUSES.items() for row in rows)
    return next((status for status, row in rows if row[0] == method and _is_at(row[1], path)), 202)


def _is_at(pattern: str, path: str) -> bool:
    return re.fullmatch(re.sub(r"\{\w+\}", "[^/]+", pattern), path) is not None


def fields(call: Call) -> dict[str, Any] | None:
    """The fields of a write, sent as JSON or as a form; None where they cannot be read.

    A POST without fields carries ``{}``, a PUT without fields carries no body at all.
    """
    if call.method == "DELETE" or (call.method == "PUT" and not call.body):
        return {}
    kind = header(call, "content-type")
    if kind.startswith("application/x-www-form-urlencoded"):
        return dict(call.form())
    try:
        content = call.json()
    except ValueError:
        return None
    if not isinstance(content, dict) or "json" not in kind or (call.method == "PUT" and not content):
        return None
    return content


@dataclass(frozen=True, slots=True, kw_only=True)
class StartReply:
    """What the shapes of a start reply are made of.

    :param api: the API base that links name.
    :param foreign_api: another one.
    :param path: of the start, after the API base.
    """

    api: str
    foreign_api: str
    path: str
    ref: str
    message: str

    def reply(self, links: Mapping[str, str], **more: str) -> dict[str, Any]:
        """A reply with these links."""
        return {
            "message": self.message,
            **more,
            "_links": {name: {"href": href} for name, href in links.items()},
        }

    @property
    def own(self) -> dict[str, str]:
        return {"self": f"{self.api}{self.path}"}

    @property
    def operation(self) -> dict[str, str]:
        """A link to an operation, which is not the notification."""
        return {"self": f"{self.api}/operations/{uuid.uuid4()}"}

    @property
    def notification(self) -> dict[str, str]:
        return {"notification": f"{self.api}/notifications/{self.ref}"}

    @property
    def foreign(self) -> dict[str, str]:
        return {"notification": f"{self.foreign_api}/notifications/{self.ref}"}


Shape = Callable[[StartReply], object]

SHAPES: Mapping[str, Shape] = {
    "link": lambda s: s.reply(s.own | s.notification),
    "link+notification": lambda s: s.reply(s.own | s.notification, notification=s.ref),
    "link+notification_id": lambda s: s.reply(s.own | s.notification, notification_id=s.ref),
    "notification": lambda s: s.reply(s.own, notification=s.ref),
    "notificationUuid": lambda s: s.reply(s.own, notificationUuid=s.ref),
    "renamed-links": lambda s: {"message": s.message, "links": s.reply(s.own | s.notification)["_links"]},
    "foreign-host": lambda s: s.reply(s.own | s.foreign),
    "relative-self": lambda s: s.reply({"self": s.path} | s.notification),
    "operation-self": lambda s: s.reply(s.operation | s.notification),
    "operation-only": lambda s: s.reply(s.operation),
    "none": lambda s: s.reply(s.own),
    "empty-href": lambda s: s.reply(s.own | {"notification": ""}),
    "empty-body": lambda s: None,
}
"""The start replies, by name; their status is the operation's, but 200 for an empty body."""

SWITCH_SHAPES: Mapping[str, Shape] = {
    "links": lambda s: s.reply(
        s.own | {"get": f"{s.api}{s.path}/{s.ref}", "status": f"{s.api}{s.path}/{s.ref}/status"}
    ),
    "uuid": lambda s: s.reply(s.operation, uuid=s.ref),
    "notification": lambda s: s.reply(s.notification),
}
"""The replies to a bulk code switch: OpenAPI, a client's recording, a vendor's guide."""
