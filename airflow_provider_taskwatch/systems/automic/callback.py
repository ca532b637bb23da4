"""The callback of an Automation Engine: one per start that asks for it, when the execution has ended.

https://docs.automic.com/documentation/WEBHELP/English/all/components/DOCU/21.0.5/Automic%20Automation%20Guides/Content/REST_API/AE_REST_API_General_PollingCallback.htm
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from airflow_provider_taskwatch.core.callback import Callback
from airflow_provider_taskwatch.core.error import ConfigurationError

from .execution import run_id
from .status import number_of

NAMES: Mapping[str, tuple[str, ...]] = {
    "runid": ("runid", "run_id"),
    "execution_status": ("execution_status", "status"),
    "last_error_message": ("last_error_message",),
    "last_error_code": ("last_error_code",),
    "last_error_insert": ("last_error_insert",),
}
"""The values that are read from a payload, by their names in the vendor's template, with the names of the default
payloads."""

_ERRORS = ("last_error_message", "last_error_code", "last_error_insert")
_NO_ERROR = ("", "00000000")


def callback_section(url: str, headers: Mapping[str, str]) -> dict[str, Any]:
    """The section of a start request that asks for a callback."""
    return {"type": "http", "http": {"url": url, "headers": dict(headers)}}


def check_names(names: Mapping[str, str]) -> None:
    """Raise :class:`ConfigurationError` if names are given for values that are not read."""
    if unknown := sorted(set(names) - set(NAMES)):
        raise ConfigurationError(
            f"payload names {', '.join(unknown)}, and what is read from a callback is {', '.join(NAMES)}; write for "
            "each the name that your TEMPLATE_EXECUTION has for it: payload={'runid': 'execution_id'}"
        )


def read_callback(content: object, names: Mapping[str, str]) -> Callback:
    """The callback in a payload. Values may be numbers or strings, padded with zeros or not."""
    if not isinstance(content, Mapping):
        return Callback()
    status = _value(content, "execution_status", names)
    number = number_of(status)
    errors = {name: str(_value(content, name, names) or "") for name in _ERRORS}
    return Callback(
        ref=run_id(_value(content, "runid", names)),
        status=str(status or "") if number is None else str(number),
        errors={name: text for name, text in errors.items() if text not in _NO_ERROR},
    )


def _value(content: Mapping[str, Any], name: str, names: Mapping[str, str]) -> object:
    known = (names[name],) if name in names else NAMES[name]
    return next((content[one] for one in known if one in content), None)
