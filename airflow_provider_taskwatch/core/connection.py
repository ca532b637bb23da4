"""Reads an Airflow connection and checks it against the form of its type."""

from __future__ import annotations

import json
import math
import re
import unicodedata
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from string import Formatter
from typing import Any
from urllib.parse import SplitResult, urlsplit

from .error import ConfigurationError
from .form import Field, Form
from .mask import is_secret_name
from .settings import Settings, is_page_template
from .wire import canonical_path, is_sendable


@dataclass(frozen=True, slots=True, kw_only=True)
class RawConnection:
    """The columns of an Airflow connection, not checked."""

    conn_id: str
    conn_type: str | None
    host: str | None = None
    schema: str | None = None
    port: int | None = None
    login: str | None = None
    password: str | None = field(default=None, repr=False)
    extra: str | None = field(default=None, repr=False)


def read_connection(form: Form, raw: RawConnection) -> Settings:
    """The settings in ``raw``.

    :raises ConfigurationError: lists everything that is wrong with the connection.
    """
    problems: list[str] = []
    if raw.conn_type != form.connection_type:
        raise ConfigurationError(
            f"connection {raw.conn_id!r} has the type {raw.conn_type!r}; it must be {form.connection_type!r}"
        )
    values = _read_fields(form, _read_extra(raw.extra, problems), problems)
    base_url = _base_url(form, raw, problems)
    auth = values["auth"]
    own_token_url = values.pop("token_url", None) or ""
    token_url = (own_token_url or _token_url(form, base_url)) if auth == "oauth2" else ""
    problems += _missing_credentials(auth, raw, token_url)
    problems += _invisible_in_credentials(form, auth, raw)
    problems += _unsendable_credentials(form, auth, raw, values)
    problems += _wrong_urls(token_url=token_url and own_token_url, proxy=values["proxy"])
    problems += _wrong_limits(values)
    problems += _wrong_api_key(values) if auth == "api_key" else []
    if values["ui_url"] and not is_page_template(values["ui_url"]):
        problems.append("extra 'ui_url' must be an http(s) URL without credentials, with {ref} after the host")
    if problems:
        raise ConfigurationError(f"connection {raw.conn_id!r} ({raw.conn_type}): " + "; ".join(problems))
    own = {one.name: values.get(one.name) for one in form.fields}
    return Settings(
        conn_id=raw.conn_id,
        connection_type=form.connection_type,
        base_url=base_url,
        auth=auth,
        login=raw.login or "",
        password=_password(form, auth, raw),
        charset=form.charset,
        token_header=form.token_headers.get(auth, ""),
        token_url=token_url,
        client_auth=values.get("client_auth") or "form",
        scope=values.get("scope") or _scope(form, own),
        audience=values.get("audience") or "",
        token_params=values.get("token_params") or {},
        verify=(values["ca_bundle"] or True) if values["verify"] else False,
        proxy=values["proxy"],
        ui_url=values["ui_url"] or "",
        own=own,
        usual_path=form.base_path,
        expired=form.expired,
        **{name: values[name] for name in _COPIED},
    )


_COPIED = ("reject_403", "patience", "connect_timeout", "read_timeout", "concurrency", "rate_limit")


def _read_extra(text: str | None, problems: list[str]) -> Mapping[str, Any]:
    try:
        extra = json.loads(text or "{}")
    except (ValueError, RecursionError):
        extra = None
    if isinstance(extra, dict):
        return extra
    problems.append("the extra must be a JSON object")
    return {}


def _read_fields(form: Form, extra: Mapping[str, Any], problems: list[str]) -> dict[str, Any]:
    known = {one.name: one for one in form.all_fields}
    if unknown := sorted(set(extra) - set(known)):
        problems.append(f"unknown extra {', '.join(map(repr, unknown))}; known are {', '.join(sorted(known))}")
    return {name: _read(one, extra.get(name), problems) for name, one in known.items()}


def _read(one: Field, value: Any, problems: list[str]) -> Any:
    if value is None or value == "":
        return one.default
    try:
        result = _READERS["address" if one.is_address else one.kind](value)
    except _ValueError as problem:
        problems.append(f"extra {one.name!r}: {problem}")
        return one.default
    except (TypeError, ValueError, OverflowError, RecursionError):
        problems.append(f"extra {one.name!r} must be {_KIND_NAMES[one.kind]}")
        return one.default
    if one.choices and result not in one.choices:
        problems.append(f"extra {one.name!r} must be one of {', '.join(one.choices)}")
        return one.default
    return result


class _ValueError(Exception):
    """Why a value is wrong. The message does not show the value."""


def _read_string(value: Any) -> str:
    """A string, or a number as it is written, such as the client 100."""
    return _number_text(value) if isinstance(value, (int, float)) else _read_address(value)


def _read_address(value: Any) -> str:
    if not isinstance(value, str):
        raise TypeError
    return value.strip()


def _number_text(value: float) -> str:
    number = _read_number(value)
    return str(int(number)) if number.is_integer() else repr(value)


def _read_boolean(value: Any) -> bool:
    if isinstance(value, bool):
        return value
    word = _read_address(value).lower()
    if word not in _BOOLEANS:
        raise ValueError
    return _BOOLEANS[word]


_BOOLEANS = {"true": True, "1": True, "yes": True, "false": False, "0": False, "no": False}


def _read_object(value: Any) -> dict[str, str | tuple[str, ...]]:
    """Form fields. A list is a field that is repeated, as RFC 8707 does with ``resource``."""
    content = json.loads(value) if isinstance(value, str) else value
    if not isinstance(content, dict):
        raise TypeError
    given = {name: item for name, item in content.items() if item is not None}
    return {name: _form_values(name, item) for name, item in given.items()}


def _form_values(name: str, item: Any) -> str | tuple[str, ...]:
    if isinstance(item, dict):
        return json.dumps(item)
    if not isinstance(item, list):
        return _form_value(name, item)
    if name == "grant_type":
        raise _ValueError("'grant_type' must be one string")
    return tuple(_form_value(name, one) for one in item)


def _form_value(name: str, item: Any) -> str:
    if isinstance(item, bool):
        return "true" if item else "false"
    if isinstance(item, (int, float)) and math.isfinite(item):
        return _number_text(item)
    if not isinstance(item, str):
        raise _ValueError(
            f"{name!r} must be a string, a number, true, false, an object, or a list of strings, numbers and booleans"
        )
    if is_secret_name(name) and (invisible := invisible_in(item)):
        raise _ValueError(f"{name!r} {invisible}; remove it")
    return item


def _read_content(value: Any) -> str | dict[str, Any]:
    """A name, or an object that is given as JSON or as its text."""
    if isinstance(value, str) and not value.lstrip().startswith("{"):
        return value.strip()
    content = json.loads(value) if isinstance(value, str) else value
    if not isinstance(content, dict):
        raise TypeError
    return content


def _read_integer(value: Any) -> int:
    number = _read_number(value)
    if not number.is_integer():
        raise ValueError
    return int(number)


def _read_number(value: Any) -> float:
    number = float(value)
    if isinstance(value, bool) or not math.isfinite(number):
        raise ValueError
    return number


_READERS: Mapping[str, Callable[[Any], Any]] = {
    "string": _read_string,
    "address": _read_address,
    "integer": _read_integer,
    "number": _read_number,
    "boolean": _read_boolean,
    "object": _read_object,
    "content": _read_content,
}
_KIND_NAMES = {
    "string": "a string",
    "integer": "a whole number",
    "number": "a number",
    "boolean": "true or false",
    "object": "a JSON object",
    "content": "a string or a JSON object",
}


def _base_url(form: Form, raw: RawConnection, problems: list[str]) -> str:
    host = (raw.host or "").strip() or form.host
    if not host:
        problems.append("the host is missing (for example api.example.com)")
        return ""
    parts = http_url(host if "://" in host else f"{raw.schema or 'https'}://{_prefixed(form, _bracketed(host))}")
    if parts is None or "@" in parts.netloc:
        problems.append(
            "the host must be a name or an http(s) URL without credentials or spaces, such as api.example.com or "
            "https://api.example.com:8443/v1"
        )
        return ""
    if parts.query or parts.fragment:
        problems.append("the host must not contain '?' or '#'")
    if raw.port is not None and not 0 < raw.port < 65536:
        problems.append("the port must be a number from 1 to 65535")
    port = raw.port if parts.port is None else parts.port
    netloc = _bracketed(parts.hostname or "") + (f":{port}" if port else "")
    return f"{parts.scheme}://{netloc}{_base_path(parts.path, problems).rstrip('/') or form.base_path}"


def _base_path(path: str, problems: list[str]) -> str:
    """The path in the form in which it is signed and sent."""
    try:
        return canonical_path(path)
    except ConfigurationError as error:
        problems.append(f"the host: {error}")
        return ""


def _prefixed(form: Form, host: str) -> str:
    """A bare domain with the prefix of the remote's host names; any other host unchanged."""
    is_bare = _DOMAIN.fullmatch(host) and not host.startswith(form.host_prefix)
    return f"{form.host_prefix}{host}" if is_bare else host


_DOMAIN = re.compile(r"([\w-]+\.)+[^\W\d]{2,}(/.*)?")


def _token_url(form: Form, base_url: str) -> str:
    """The token endpoint of the connection type; empty if the type names none."""
    known = form.token_url or ""
    return f"{base_url}{known}" if known.startswith("/") else known.format(host=urlsplit(base_url).netloc)


def _bracketed(host: str) -> str:
    """An IPv6 address in the brackets that a URL needs; any other host unchanged."""
    return f"[{host}]" if host.count(":") > 1 and "[" not in host and "/" not in host else host


def http_url(text: str) -> SplitResult | None:
    """The parts of an http(s) URL; None if it is not one, or if no request could be sent to it."""
    try:
        parts = urlsplit(text)
        is_whole = parts.port != 0 and _HOST_NAME.fullmatch(parts.hostname or "") and not _UNSENDABLE.search(text)
    except ValueError:
        return None
    return parts if is_whole and parts.scheme in ("http", "https") else None


# With one slash too few, the scheme looks like a host name. The driver checks the name itself when it sends.
_HOST_NAME = re.compile(r"(?!https?$)(?:[\w.:-]|[^\x00-\x7f])+")
_UNSENDABLE = re.compile(r"[\s\x00-\x1f\x7f\\]")


def _missing_credentials(auth: str, raw: RawConnection, token_url: str) -> list[str]:
    problems = []
    login, password = _NOUNS.get(auth, ("", "token"))
    if login and not raw.login:
        problems.append(f"the login ({login}) is missing")
    if not raw.password:
        problems.append(f"the password ({password}) is missing")
    if auth == "oauth2" and not token_url:
        problems.append("extra 'token_url' is missing")
    return problems


_NOUNS = {
    "oauth1": ("consumer key", "consumer secret"),
    "oauth2": ("client id", "client secret"),
    "basic": ("user", "password"),
}
"""What login and password are. Other authentications have a token as the password, and no login."""


def _password(form: Form, auth: str, raw: RawConnection) -> str:
    """The password. Spaces around a token are removed, as they come from pasting it."""
    password = raw.password or ""
    return password.strip() if _is_token(form, auth) else password


def _is_token(form: Form, auth: str) -> bool:
    """Whether the password is sent in a header without encoding."""
    return auth in ("bearer", "api_key") or auth in form.token_headers


def _invisible_in_credentials(form: Form, auth: str, raw: RawConnection) -> list[str]:
    """Invisible characters, which come from pasting and make a credential wrong."""
    login, password = _NOUNS.get(auth, ("", "token"))
    given = {f"login ({login})": raw.login if login else "", f"password ({password})": _password(form, auth, raw)}
    found = {name: invisible_in(text or "") for name, text in given.items()}
    # A user's password may begin or end with a space. A generated secret does not.
    allowed = ("", SPACE_AROUND) if auth == "basic" else ("",)
    return [f"the {name} {invisible}; remove it" for name, invisible in found.items() if invisible not in allowed]


def invisible_in(credential: str) -> str:
    """Which invisible character a credential contains, as ``ends in a line break``; empty if none.

    The answer shows no character of the credential.
    """
    if credential != credential.rstrip("\r\n"):
        return "ends in a line break"
    if "\ufeff" in credential:
        return "contains a byte order mark"
    categories = {unicodedata.category(one) for one in credential}
    for category, sentence in _INVISIBLE.items():
        if category in categories:
            return sentence
    return SPACE_AROUND if credential != credential.strip() else ""


SPACE_AROUND = "begins or ends with a space"
_INVISIBLE = {
    "Cc": "contains a control character, such as a line break or a tab",
    "Cf": "contains an invisible character",
    "Zl": "contains a line separator",
    "Zp": "contains a paragraph separator",
    "Cs": "contains half a surrogate pair",
}
"""By Unicode's general category."""


def _unsendable_credentials(form: Form, auth: str, raw: RawConnection, values: Mapping[str, Any]) -> list[str]:
    """What a header cannot carry. Checked here, as an error of the HTTP library would show the secret."""
    if _is_token(form, auth) and raw.password and not is_sendable(_password(form, auth, raw)):
        return ["the password (token) contains spaces or characters that are not ASCII; copy the token again"]
    if auth == "oauth2" and values.get("client_auth") == "basic" and ":" in (raw.login or ""):
        return ["the login (client id) must not contain ':'; set 'client_auth' to 'basic_encoded' or 'form'"]
    if auth == "basic" and ":" in (raw.login or ""):
        return ["the login (user) must not contain ':'"]
    if auth == "basic" and not _is_encodable(f"{raw.login}{raw.password}", form.charset):
        return [f"the login or the password contains a character that {form.charset} does not have"]
    return []


def _is_encodable(text: str, charset: str) -> bool:
    try:
        text.encode(charset)
    except UnicodeEncodeError:
        return False
    return True


def _wrong_urls(*, token_url: str, proxy: str | None) -> list[str]:
    problems = []
    if token_url and ((parts := http_url(token_url)) is None or "@" in parts.netloc):
        problems.append("extra 'token_url' must be an http(s) URL without credentials")
    if proxy and http_url(proxy) is None:
        problems.append("extra 'proxy' must be an http(s) URL")
    return problems


def _wrong_api_key(values: Mapping[str, Any]) -> list[str]:
    name, prefix = values["api_key_name"] or "", values["api_key_prefix"] or ""
    problems = []
    if not _TOKEN.fullmatch(name) or name.lower() in ("host", "content-length", "content-type", "connection"):
        problems.append(f"extra 'api_key_name' must be the name of a {values['api_key_in']}, not {name!r:.80}")
    if prefix and (values["api_key_in"] != "header" or not is_sendable(prefix.replace(" ", "-"))):
        problems.append("extra 'api_key_prefix' must be ASCII, and is for a key in a header only")
    return problems


_TOKEN = re.compile(r"[A-Za-z0-9!#$%&'*+.^_`|~-]{1,200}")


def _wrong_limits(values: Mapping[str, Any]) -> list[str]:
    given = ((name, limits, values[name]) for name, limits in _LIMITS.items() if values[name] is not None)
    return [
        f"extra {name!r} must be {'' if low == 0 else 'greater than 0: '}from {low:g} to {high:g}"
        for name, (low, high), value in given
        if not low <= value <= high
    ]


_LIMITS = {
    "patience": (0, 31_536_000),
    "connect_timeout": (0.001, 86400),
    "read_timeout": (0.001, 86400),
    "concurrency": (1, 10_000),
    "rate_limit": (0.0001, 1_000_000),
}
"""Limits of sockets, connection pools and clocks: larger or smaller numbers make them overflow or hang."""


def _scope(form: Form, own: Mapping[str, Any]) -> str:
    """The scope made from other fields; empty if one of them has no value."""
    names = [name for _, name, _, _ in Formatter().parse(form.scope) if name]
    return form.scope.format(**own) if all(own[name] for name in names) else ""
