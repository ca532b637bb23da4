"""The payload of a callback of Automic: the default payloads of the vendor's page, and the template of an installation.

https://docs.automic.com/documentation/WEBHELP/English/all/components/DOCU/21.0.5/Automic%20Automation%20Guides/Content/REST_API/AE_REST_API_General_PollingCallback.htm

The page shows three default payloads. The error code and the error insert of a template are ours.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from .status import phase, text

SYSTEM, CLIENT_DESCRIPTION = "AUTOMIC", "Sandbox client"
NO_ERROR = "00000000"


@dataclass(frozen=True, slots=True, kw_only=True)
class End:
    """The values of an execution that has ended.

    :param user: ``USER/DEPARTMENT``.
    :param message: why it ended badly.
    :param inputs: the object's variables, with or without the ``#`` at the end of their names.
    """

    run_id: int
    name: str
    kind: str
    status: str
    client: str
    user: str
    archive_key1: str = ""
    message: str = ""
    inputs: Mapping[str, Any] = field(default_factory=dict)


def default(end: End, shape: str) -> bytes:
    """One of the default payloads, by its name in :data:`SHAPES`."""
    return json.dumps(SHAPES[shape](end)).encode()


def filled(template: str, end: End, language: str) -> bytes:
    """The template with its placeholders replaced, as plain text: a quotation mark in a value ends a JSON text.

    An unknown placeholder stays as it is.
    """
    known = _variables(end) | _properties(end, language)
    return re.sub(r"&\$?[\w.@]+#", lambda found: known.get(found[0], found[0]), template).encode()


def _padded(end: End) -> dict[str, object]:
    return {"runid": f"{end.run_id:010}", "object_type": end.kind, "execution_status": end.status}


def _plain(end: End) -> dict[str, object]:
    return {"run_id": end.run_id, "object_type": end.kind, "execution_status": int(end.status)}


def _named(end: End) -> dict[str, object]:
    return {"run_id": end.run_id, "name": end.name, "status": int(end.status)}


SHAPES: Mapping[str, Callable[[End], Mapping[str, object]]] = {"padded": _padded, "plain": _plain, "named": _named}
"""``padded``: the page's sample of a default payload. ``plain``: what its prose names. ``named``: its last sample."""


def _variables(end: End) -> dict[str, str]:
    return {f"&{name.removesuffix('#')}#": _joined(value) for name, value in end.inputs.items()}


def _properties(end: End, language: str) -> dict[str, str]:
    user, _, department = end.user.partition("/")
    is_ok = phase(end.status).is_ok
    values = {
        "RUNID": f"{end.run_id:010}",
        "OBJECT_TYPE": end.kind,
        "EXECUTION_STATUS": end.status,
        "EXECUTION_STATUS_TEXT": text(end.status, language),
        "SYSTEM": SYSTEM,
        "CLIENT": f"{end.client:0>4}",
        "CLIENT_DESC": CLIENT_DESCRIPTION,
        "USER": user,
        "DEPARTMENT": department,
        "ARCHIVE_KEY1": end.archive_key1,
        "LAST_ERROR_MESSAGE": "" if is_ok else end.message,
        "LAST_ERROR_CODE": NO_ERROR if is_ok else f"{end.status:0>8}",
        "LAST_ERROR_INSERT": "" if is_ok else end.name,
    }
    return {f"&${name}#": value for name, value in values.items()}


def _joined(value: object) -> str:
    return ",".join(map(str, value)) if isinstance(value, list) else str(value)
