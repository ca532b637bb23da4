"""The notification id that a reply to a start names, in all known shapes.

* https://docs.acquia.com/acquia-cloud-platform/scripting-api-tasks-notification-parameter
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any
from urllib.parse import unquote, urlsplit

from airflow_provider_taskwatch.core.error import ConfigurationError
from airflow_provider_taskwatch.core.system import safe_ref

from .notification import member_of


def reference_of(value: object) -> str:
    """The notification id in a UUID, a notification URL, or a whole reply to a start (a mapping, or JSON).

    :raises ConfigurationError: there is none.
    """
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
    """The notification id in a reply to a start, in all known shapes; None if there is none.

    Only the id of a link is used, never its host. ``_links.self``, operations and other ids do not count.
    """
    named = (
        member_of(reply, "_links", "notification"),
        member_of(reply, "links", "notification"),
        reply.get("notification"),
        reply.get("notification_id"),
        reply.get("notificationUuid"),
    )
    found = (_id_in(one.get("href") if isinstance(one, Mapping) else one) for one in named)
    return next(filter(None, found), None)


def _loaded(value: object) -> object:
    """The value that a template has rendered as JSON: a whole reply, or a quoted string."""
    if not isinstance(value, str) or not value.strip().startswith(("{", '"')):
        return value
    try:
        loaded: object = json.loads(value)
    except (ValueError, RecursionError):
        return None
    return loaded


def _id_in(value: object) -> str | None:
    """The id in a bare id or in the address of a notification; None if it is neither."""
    if not isinstance(value, str):
        return None
    try:
        parts = urlsplit(value.strip()).path.rstrip("/").split("/") if "/" in value else ["notifications", value]
        return safe_ref(unquote(parts[-1]), "notification") if parts[-2:-1] == ["notifications"] else None
    except (ConfigurationError, ValueError):
        return None
