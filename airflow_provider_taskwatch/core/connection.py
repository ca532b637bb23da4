"""What a connection names, read and checked against the form of its type."""

from __future__ import annotations

import json
import math
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from string import Formatter
from typing import Any
from urllib.parse import SplitResult, urlsplit

from .error import ConfigurationError
from .form import Field, Form
from .hidden import BLANK_AROUND, oddity
from .mask import is_secret_name
from .page import filled, is_template
from .url import canonical_path
from .wire import is_sendable


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """A connection, read and checked.

    :param base_url: scheme, host and path prefix, without a trailing slash.
    :param token_header: where the password is sent as it is; empty where it is sent otherwise.
    :param patience: seconds for which a host name that does not exist, or TLS that fails, is tried on.
    :param verify: True, False, or the path of a CA bundle.
    :param expired: see :class:`~.form.Form`.
    :param usual_path: the base path that the type's remotes have; empty where there is no such.
    :param own: the values of the fields that only this connection type has.
    """

    conn_id: str
    connection_type: str
    base_url: str
    auth: str
    login: str
    password: str = field(repr=False)
    charset: str = "utf-8"
    token_header: str = ""
    token_url: str = ""
    client_auth: str = "form"
    scope: str = ""
    audience: str = ""
    token_params: Mapping[str, str | tuple[str, ...]] = field(default_factory=dict, repr=False)
    reject_403: bool = False
    verify: bool | str = True
    proxy: str | None = field(default=None, repr=False)
    patience: float = 10.0
    connect_timeout: float = 10.0
    read_timeout: float = 30.0
    concurrency: int = 16
    rate_limit: float | None = None
    ui_url: str = ""
    own: Mapping[str, Any] = field(default_factory=dict)
    usual_path: str = ""
    expired: str = ""

    @property
    def tls_warning(self) -> str:
        """What is at stake where TLS is used and nobody's certificate is looked at; empty where it is verified."""
        urls = [url for url in (self.base_url, self.token_url) if url.startswith("https:")]
        if self.verify is not False or not urls:
            return ""
        hosts = " and ".join(dict.fromkeys(urlsplit(url).netloc for url in urls))
        return (
            f"'verify' is false, so nothing proves who answers for {hosts}, and whoever is on the way can read the "
            "credentials; name the issuer of its certificate in 'ca_bundle' instead"
        )

    @property
    def base_path_doubt(self) -> str:
        """Why the base path may be a wrong one; empty where it is as usual."""
        path = urlsplit(self.base_url).path
        if not self.usual_path or path == self.usual_path:
            return ""
        return f"the base path of the connection's host is {path or '/'!r}, and usually {self.usual_path!r}"

    @property
    def access(self) -> str:
        """What to check where the remote refuses the credentials; empty for OAuth2, whose token endpoint says it."""
        if self.auth == "oauth2" and not self.token_header:
            return ""
        what = "login and password" if self.auth in ("basic", "oauth1") else "the token (its password)"
        return f"{what} of the connection {self.conn_id!r}"

    def page(self, names: Mapping[str, str]) -> str:
        """The remote's own page of a task, or an empty string where the connection has no template."""
        try:
            return filled(self.ui_url, names)
        except ConfigurationError as error:
            raise ConfigurationError(f"connection {self.conn_id!r}: {error}") from None


@dataclass(frozen=True, slots=True, kw_only=True)
class RawConnection:
    """The columns of an Airflow connection, before anything is checked."""

    conn_id: str
    conn_type: str | None
    host: str | None = None
    schema: str | None = None
    port: int | None = None
    login: str | None = None
    password: str | None = field(default=None, repr=False)
    extra: str | None = field(default=None, repr=False)


def read_connection(form: Form, raw: RawConnection) -> Settings:
    """The settings that ``raw`` names, or one error that lists everything that is wrong with it."""
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
    problems += _odd_credentials(form, auth, raw)
    problems += _unsendable_credentials(form, auth, raw, values)
    problems += _wrong_urls(token_url=token_url and own_token_url, proxy=values["proxy"])
    problems += _wrong_limits(values)
    if values["ui_url"] and not is_template(values["ui_url"]):
        problems.append("extra 'ui_url' must be an http(s) URL without credentials, with {ref} behind the host")
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
        **{name: values[name] for name in _PLAIN},
    )


_PLAIN = ("reject_403", "patience", "connect_timeout", "read_timeout", "concurrency", "rate_limit")


def _read_extra(text: str | None, problems: list[str]) -> Mapping[str, Any]:
    try:
        extra = json.loads(text or "{}")
    except (ValueError, RecursionError):
        extra = None
    if isinstance(extra, dict):
        return extra
    problems.append("the extra is not a JSON object")
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
    except _ProblemError as problem:
        problems.append(f"extra {one.name!r}: {problem}")
        return one.default
    except (TypeError, ValueError, OverflowError, RecursionError):
        problems.append(f"extra {one.name!r} must be {_KIND_WORDS[one.kind]}")
        return one.default
    if one.choices and result not in one.choices:
        problems.append(f"extra {one.name!r} must be one of {', '.join(one.choices)}")
        return one.default
    return result


class _ProblemError(Exception):
    """What is wrong with a value, in words that do not show it."""


def _read_string(value: Any) -> str:
    """A text, or a number as it is written: a client 100, say."""
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
    """Form fields; a list is a field that is repeated (RFC 8707 has it so for ``resource``)."""
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
        raise _ProblemError("'grant_type' must be one text")
    return tuple(_form_value(name, one) for one in item)


def _form_value(name: str, item: Any) -> str:
    if isinstance(item, bool):
        return "true" if item else "false"
    if isinstance(item, (int, float)) and math.isfinite(item):
        return _number_text(item)
    if not isinstance(item, str):
        raise _ProblemError(
            f"{name!r} must be a text, a number, true or false, an object, or a list of the first three"
        )
    if is_secret_name(name) and (odd := oddity(item)):
        raise _ProblemError(f"{name!r} {odd}; remove it")
    return item


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
}
_KIND_WORDS = {
    "string": "a text",
    "integer": "a whole number",
    "number": "a number",
    "boolean": "true or false",
    "object": "a JSON object",
}


def _base_url(form: Form, raw: RawConnection, problems: list[str]) -> str:
    host = (raw.host or "").strip() or form.host
    if not host:
        problems.append("the host is missing")
        return ""
    parts = http_url(host if "://" in host else f"{raw.schema or 'https'}://{_prefixed(form, _bracketed(host))}")
    if parts is None or "@" in parts.netloc:
        problems.append(
            "the host must be a name or an http(s) URL without credentials or blanks, such as api.example.com or "
            "https://api.example.com:8443/v1"
        )
        return ""
    if parts.query or parts.fragment:
        problems.append("the host must not hold '?' or '#'")
    if raw.port is not None and not 0 < raw.port < 65536:
        problems.append("the port must be a number from 1 to 65535")
    port = raw.port if parts.port is None else parts.port
    netloc = _bracketed(parts.hostname or "") + (f":{port}" if port else "")
    return f"{parts.scheme}://{netloc}{_base_path(parts.path, problems).rstrip('/') or form.base_path}"


def _base_path(path: str, problems: list[str]) -> str:
    """In the form in which it is sent, and signed."""
    try:
        return canonical_path(path)
    except ConfigurationError as error:
        problems.append(f"the host: {error}")
        return ""


def _prefixed(form: Form, host: str) -> str:
    """A bare domain as the remote wants it; any other host is taken at its word."""
    is_bare = _DOMAIN.fullmatch(host) and not host.startswith(form.host_prefix)
    return f"{form.host_prefix}{host}" if is_bare else host


_DOMAIN = re.compile(r"([\w-]+\.)+[^\W\d]{2,}(/.*)?")


def _token_url(form: Form, base_url: str) -> str:
    """Where the type's tokens are obtained, empty where nobody knows."""
    known = form.token_url or ""
    return f"{base_url}{known}" if known.startswith("/") else known.format(host=urlsplit(base_url).netloc)


def _bracketed(host: str) -> str:
    """An IPv6 address as URLs want it; any other host as it is."""
    return f"[{host}]" if host.count(":") > 1 and "[" not in host and "/" not in host else host


def http_url(text: str) -> SplitResult | None:
    """The parts of an http(s) URL; None where it is none, or could not be asked."""
    try:
        parts = urlsplit(text)
        is_whole = parts.port != 0 and _HOST_NAME.fullmatch(parts.hostname or "") and not _UNSENDABLE.search(text)
    except ValueError:
        return None
    return parts if is_whole and parts.scheme in ("http", "https") else None


# A slash too few makes the scheme look like a name. Which other letters may stand in one is said where it is sent.
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
"""What login and password are; the other ways have a token and no login."""


def _password(form: Form, auth: str, raw: RawConnection) -> str:
    """As it is; but around a token there are no blanks, they come from pasting it."""
    password = raw.password or ""
    return password.strip() if _is_token(form, auth) else password


def _is_token(form: Form, auth: str) -> bool:
    """Whether the password goes into a header as it is."""
    return auth == "bearer" or auth in form.token_headers


def _odd_credentials(form: Form, auth: str, raw: RawConnection) -> list[str]:
    """What nobody sees in a text that was pasted, and no remote takes for the credential."""
    login, password = _NOUNS.get(auth, ("", "token"))
    given = {f"login ({login})": raw.login if login else "", f"password ({password})": _password(form, auth, raw)}
    odd = {name: oddity(text or "") for name, text in given.items()}
    return [f"the {name} {words}; remove it" for name, words in odd.items() if words and not _is_meant(auth, words)]


def _is_meant(auth: str, words: str) -> bool:
    """A person's password may begin or end with a blank; a secret that was generated does not."""
    return auth == "basic" and words == BLANK_AROUND


def _unsendable_credentials(form: Form, auth: str, raw: RawConnection, values: Mapping[str, Any]) -> list[str]:
    """What a header could not carry; said here, as the drivers could only fail in words that show the secret."""
    if _is_token(form, auth) and raw.password and not is_sendable(_password(form, auth, raw)):
        return ["the password (token) holds blanks, or characters that are not ASCII"]
    if auth == "oauth2" and values.get("client_auth") == "basic" and ":" in (raw.login or ""):
        return [
            "the login (client id) must not hold ':' in a Basic header; set 'client_auth' to 'basic_encoded' or 'form'"
        ]
    if auth == "basic" and ":" in (raw.login or ""):
        return ["the login (user) must not hold ':'"]
    if auth == "basic" and not _is_encodable(f"{raw.login}{raw.password}", form.charset):
        return [f"the login or the password holds a character that {form.charset} does not have"]
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
"""What sockets, session pools and clocks can do with: they overflow, or hang, where a number is absurd."""


def _scope(form: Form, own: Mapping[str, Any]) -> str:
    """The scope made from other fields; empty where one of those has no value."""
    names = [name for _, name, _, _ in Formatter().parse(form.scope) if name]
    return form.scope.format(**own) if all(own[name] for name in names) else ""
