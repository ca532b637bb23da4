"""The calls of a profile: its templates, filled with refs, inputs and secrets."""

from __future__ import annotations

import hashlib
import json
import uuid
from collections.abc import Mapping
from dataclasses import replace
from typing import Any
from urllib.parse import urlencode

from airflow_provider_taskwatch.core.error import ConfigurationError
from airflow_provider_taskwatch.core.plain import plain
from airflow_provider_taskwatch.core.wire import Call, pairs

from .profile import Request, Start
from .template import Hidden, filled, filled_texts, is_left_out

_START_IDS = uuid.UUID("5c1f6b0e-7b61-5f0e-9d1c-0a7f2f6c1f52")


def values_of(
    inputs: Mapping[str, Any],
    secrets: Mapping[str, str],
    *,
    ref: str = "",
    refs: list[str] | None = None,
    start_id: str = "",
    marker: str = "",
    callback_url: str = "",
) -> dict[str, Any]:
    """What placeholders stand for. What is empty has no value."""
    values: dict[str, Any] = {"inputs": inputs, "secret": secrets}
    if ref:
        values["ref"] = ref
    if refs is not None:
        values["refs"] = refs
    if start_id:
        values["start"] = {"id": start_id, "uuid": _uuid_of(start_id)}
    if marker:
        values["marker"] = marker
    if callback_url:
        values["callback"] = {"url": callback_url}
    return values


def _uuid_of(start_id: str) -> str:
    """The same UUID for the same start, in the form of version 4, as some remotes accept no other."""
    return str(uuid.UUID(bytes=uuid.uuid5(_START_IDS, start_id).bytes, version=4))


def call_of(request: Request, values: Mapping[str, Any], *, path: str = "", is_replayable: bool | None = None) -> Call:
    """The call of a request.

    :param path: of a request without one.
    :param is_replayable: see :class:`~..core.wire.Call`.
    """
    body, kind = _body(request, values)
    return Call(
        method=request.method,
        path=path or request.path.path(values),
        query=pairs(filled_texts(request.query, values)),
        headers=_with_kind(filled_texts(request.headers, values), kind),
        body=body,
        is_replayable=is_replayable,
    )


def _with_kind(headers: dict[str, str], kind: str) -> dict[str, str]:
    """The headers of a request, with the type of its body unless the profile names one."""
    if not kind or any(name.lower() == "content-type" for name in headers):
        return headers
    return {"Content-Type": kind, **headers}


def start_call(start: Start, values: Mapping[str, Any], *, again: bool = False) -> Call:
    """The call that starts a task.

    :param again: whether it repeats an earlier one.
    """
    call = call_of(start, values, is_replayable=start.replay == "same")
    if not again:
        return call
    return replace(
        call,
        query=(*call.query, *pairs(filled_texts(start.retry_query, values))),
        headers={**call.headers, **filled_texts(start.retry_headers, values)},
    )


def _body(request: Request, values: Mapping[str, Any]) -> tuple[bytes | None, str]:
    if request.form is not None:
        fields = _fields("form", filled(request.form, values))
        return urlencode(fields).encode(), "application/x-www-form-urlencoded"
    if request.multipart is not None:
        return _parts(filled(request.multipart, values))
    if request.body is None:
        return None, ""
    content = filled(request.body, values)
    if is_left_out(content):
        return None, ""
    return json.dumps(plain("the JSON body", content)).encode(), "application/json"


def _parts(fields: Any) -> tuple[bytes, str]:
    """Text fields as ``multipart/form-data`` (RFC 7578). Equal fields give equal bytes."""
    named = _fields("multipart", fields)
    boundary = hashlib.sha256(json.dumps(named).encode()).hexdigest()
    parts = [
        f'--{boundary}\r\nContent-Disposition: form-data; name="{_in_quotes(name)}"\r\n\r\n{value}\r\n'
        for name, value in named
    ]
    return f"{''.join(parts)}--{boundary}--\r\n".encode(), f"multipart/form-data; boundary={boundary}"


def _fields(place: str, fields: Any) -> tuple[tuple[str, str], ...]:
    if is_left_out(fields) or fields is None:
        return ()
    if not isinstance(fields, Mapping):
        raise ConfigurationError(f"{place} must be an object with the names and values of fields")
    return pairs(fields)


def _in_quotes(name: str) -> str:
    return name.replace('"', "%22").replace("\r", "%0D").replace("\n", "%0A")


def sent_request(call: Call, start: Start, values: Mapping[str, Any]) -> dict[str, Any]:
    """The start request as expressions see it: without credentials, and without the profile's secrets."""
    public = {**values, "secret": _Hidden()}
    body = None if start.body is None else filled(start.body, public)
    return {
        "method": call.method,
        "path": call.path,
        "query": filled_texts(start.query, public),
        "headers": {
            name.lower().replace("-", "_"): value for name, value in filled_texts(start.headers, public).items()
        },
        "body": None if is_left_out(body) else body,
        "form": None if start.form is None else filled(start.form, public),
        "multipart": None if start.multipart is None else filled(start.multipart, public),
    }


class _Hidden(dict[str, str]):
    """Stands for the secrets where a request is shown."""

    def get(self, name: str, default: Any = None) -> str:
        return _HIDDEN


_HIDDEN = Hidden("***")
