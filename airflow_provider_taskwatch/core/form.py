"""Connection types as tables of fields. Airflow's form and the checks of a connection are made from them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any


@dataclass(frozen=True, slots=True, kw_only=True)
class Field:
    """One extra field of a connection.

    :param kind: ``string``, ``integer``, ``number``, ``boolean`` or ``object``; ``content`` is a string or an object.
    :param choices: the allowed values; empty: any value of the kind.
    :param default: the value of an absent or empty field.
    :param is_secret: whether the form hides the value.
    :param is_address: whether the value is an address or a file name; a number is refused.
    """

    name: str
    label: str
    description: str = ""
    kind: str = "string"
    default: Any = None
    choices: tuple[str, ...] = ()
    is_secret: bool = False
    is_address: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Form:
    """One connection type.

    :param auths: the remote's authentication methods, the default first.
    :param host: the base URL of a connection without a host; None: a host is required.
    :param host_prefix: the first part of the remote's host names; added to a bare domain without it.
    :param base_path: appended to a host without a path.
    :param token_url: the token endpoint of a connection that names none (OAuth2 only): a path below its base URL, or an
        address in which ``{host}`` stands for name and port of its host.
    :param client_auth: the default of the field ``client_auth`` (OAuth2 only).
    :param scope: the scope of a connection that names none: a format string over its other fields.
    :param charset: the encoding of Basic credentials.
    :param expired: a regular expression that matches the message of a 403 if the token has expired; empty: a 403 never
        means that.
    :param token_headers: further authentication methods, each with the header in which the password is sent.
    :param fields: of this type, besides those that all types share.
    """

    connection_type: str
    title: str
    auths: tuple[str, ...]
    host: str | None = None
    host_prefix: str = ""
    base_path: str = ""
    token_url: str | None = None
    client_auth: str = "form"
    scope: str = ""
    charset: str = "utf-8"
    expired: str = ""
    token_headers: Mapping[str, str] = field(default_factory=dict)
    fields: tuple[Field, ...] = ()
    placeholders: Mapping[str, str] = field(default_factory=dict)

    @property
    def all_fields(self) -> tuple[Field, ...]:
        """The fields of this type, then those that all types share."""
        return (*self.fields, *_shared_fields(self))


def _shared_fields(form: Form) -> tuple[Field, ...]:
    oauth2 = "oauth2" in form.auths
    return (
        Field(
            name="auth",
            label="Authentication",
            description=" ".join(_auth_text(form, auth) for auth in form.auths),
            default=form.auths[0],
            choices=form.auths,
        ),
        *((*_OAUTH2_FIELDS, replace(_CLIENT_AUTH, default=form.client_auth)) if oauth2 else ()),
        *_TRANSPORT_FIELDS,
    )


def _auth_text(form: Form, auth: str) -> str:
    if auth in form.token_headers:
        return f"{auth}: the password is the token, sent in the header {form.token_headers[auth]}."
    return _AUTHS[auth]


_AUTHS = {
    "oauth1": "oauth1: login and password are consumer key and secret; each request is signed (OAuth 1.0a, HMAC-SHA1).",
    "oauth2": "oauth2: login and password are client id and secret.",
    "basic": "basic: login and password are user and password.",
    "bearer": "bearer: the password is the token.",
    "api_key": "api_key: the password is the key; api_key_in, api_key_name and api_key_prefix say how it is sent.",
}

_OAUTH2_FIELDS = (
    Field(name="token_url", label="Token URL", description="Where OAuth2 tokens are obtained.", is_address=True),
    Field(name="scope", label="Scope", description="OAuth2 scope, if the remote requires one."),
    Field(name="audience", label="Audience", description="OAuth2 audience, if the remote requires one."),
    Field(
        name="token_params",
        label="Extra token parameters",
        description="A JSON object of further form fields for the token request; a list repeats its field.",
        kind="object",
        is_secret=True,
    ),
)

_CLIENT_AUTH = Field(
    name="client_auth",
    label="Client authentication",
    description="How client id and secret are sent to the token URL: as form fields (form), in a Basic header as they "
    "are (basic), or in a Basic header whose parts are form-encoded, by RFC 6749 (basic_encoded).",
    choices=("form", "basic", "basic_encoded"),
)

_TRANSPORT_FIELDS = (
    Field(
        name="reject_403",
        label="403 means a rejected token",
        description="Some remotes answer 403 instead of 401 to an expired token.",
        kind="boolean",
        default=False,
    ),
    Field(
        name="verify",
        label="Verify TLS",
        description="Whether the certificate of the remote is verified. Off only for tests.",
        kind="boolean",
        default=True,
    ),
    Field(name="ca_bundle", label="CA bundle", description="File with the certificates to trust.", is_address=True),
    Field(name="proxy", label="Proxy", description="URL of an HTTP proxy.", is_secret=True, is_address=True),
    Field(
        name="patience",
        label="Patience (s)",
        description="Seconds for which an unknown host name, or failing TLS, is tried if the remote was never reached.",
        kind="number",
        default=10.0,
    ),
    Field(
        name="connect_timeout",
        label="Connect timeout (s)",
        description="Seconds to wait for a connection.",
        kind="number",
        default=10.0,
    ),
    Field(
        name="read_timeout",
        label="Read timeout (s)",
        description="Seconds to wait for a reply.",
        kind="number",
        default=30.0,
    ),
    Field(
        name="concurrency",
        label="Concurrent requests",
        description="The largest number of requests at a time, per triggerer process.",
        kind="integer",
        default=16,
    ),
    Field(
        name="rate_limit",
        label="Requests per second",
        description="The largest number of requests per second, per triggerer process. Empty: no limit.",
        kind="number",
    ),
    Field(
        name="ui_url",
        label="Page of a task",
        description="Template of the remote's own page of a task, with {ref}; it becomes a link in Airflow.",
        is_address=True,
    ),
)
