"""The settings of a connection, and the remote's own page of a task."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from string import Formatter
from typing import Any
from urllib.parse import quote, urlsplit

from .error import ConfigurationError


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """A connection, read and checked.

    :param base_url: scheme, host and path prefix, without a trailing slash.
    :param token_header: the header in which the password is sent unchanged; empty if it is sent otherwise.
    :param patience: seconds for which a host name that does not exist, or TLS that fails, is retried.
    :param verify: True, False, or the path of a CA bundle.
    :param expired: see :class:`~.form.Form`.
    :param usual_path: the usual base path of the connection type; empty if it has none.
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
    own: Mapping[str, Any] = field(default_factory=dict, repr=False)
    usual_path: str = ""
    expired: str = ""

    @property
    def tls_warning(self) -> str:
        """A warning that certificates are not verified; empty if they are, or if TLS is not used."""
        urls = [url for url in (self.base_url, self.token_url) if url.startswith("https:")]
        if self.verify is not False or not urls:
            return ""
        hosts = " and ".join(dict.fromkeys(urlsplit(url).netloc for url in urls))
        return (
            f"'verify' is false, so the certificate of {hosts} is not checked, and anyone on the network path can read "
            "the credentials; set 'ca_bundle' to the issuer of the certificate instead"
        )

    @property
    def base_path_doubt(self) -> str:
        """Why the base path may be wrong; empty if it is the usual one."""
        path = urlsplit(self.base_url).path
        if not self.usual_path or path == self.usual_path:
            return ""
        return f"the base path of the connection's host is {path or '/'!r}, and usually {self.usual_path!r}"

    @property
    def access(self) -> str:
        """What to check if the remote refuses the credentials; empty for OAuth2, as the token error says it."""
        if self.auth == "oauth2" and not self.token_header:
            return ""
        credential = "login and password" if self.auth in ("basic", "oauth1") else "the token (its password)"
        return f"{credential} of the connection {self.conn_id!r}"

    def page(self, values: Mapping[str, str]) -> str:
        """The remote's own page of a task; empty if the connection has no template for it."""
        try:
            return filled_page(self.ui_url, values)
        except ConfigurationError as error:
            raise ConfigurationError(f"connection {self.conn_id!r}: {error}") from None


def is_page_template(text: str) -> bool:
    """Whether a text can be a template of a page: an http(s) URL without credentials.

    Its host must not depend on the task.
    """
    begins, brace, _ = text.partition("{")
    if not begins:
        return bool(brace)  # checked when it is filled
    return is_link(begins) and (not brace or any(mark in begins.partition("://")[2] for mark in "/?#"))


def filled_page(template: str, values: Mapping[str, str]) -> str:
    """The template with each value percent-encoded, as one part of the URL; empty if the template is empty.

    :raises ConfigurationError: the template uses other names, or the result is not an http(s) URL.
    """
    if not template:
        return ""
    if not _uses_only(template, values):
        allowed = ", ".join(f"{{{name}}}" for name in values)
        raise ConfigurationError(f"ui_url {template!r} may only use {allowed}")
    link = template.format(**{name: quote(value, safe="", errors="replace") for name, value in values.items()})
    if not is_link(link):
        raise ConfigurationError(f"ui_url {template!r} must be an http(s) URL without credentials")
    return link


def _uses_only(template: str, names: Collection[str]) -> bool:
    try:
        parts = list(Formatter().parse(template))
    except ValueError:
        return False
    return all(name is None or (name in names and not kind and not conversion) for _, name, kind, conversion in parts)


def is_link(text: str) -> bool:
    """Whether a text is an http(s) URL without credentials."""
    try:
        parts = urlsplit(text)
    except ValueError:
        return False
    is_odd = any(one.isspace() or not one.isprintable() or one == "\\" for one in text)
    return parts.scheme in ("http", "https") and bool(parts.hostname) and "@" not in parts.netloc and not is_odd
