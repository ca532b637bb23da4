"""The remote's own page of a task: a template of a connection, and the link that is made of it."""

from __future__ import annotations

from collections.abc import Mapping
from string import Formatter
from urllib.parse import quote, urlsplit

from .error import ConfigurationError

SCHEMES = ("http", "https")


def is_template(text: str) -> bool:
    """Whether a text may be one: an http(s) address without credentials, whose host does not depend on the task."""
    begins, brace, _ = text.partition("{")
    if not begins:
        return bool(brace)  # what it becomes is checked when it is filled
    return is_link(begins) and (not brace or any(mark in begins.partition("://")[2] for mark in "/?#"))


def filled(template: str, names: Mapping[str, str]) -> str:
    """The template with each value as one part of the address; empty where there is no template.

    :raises ConfigurationError: where it uses other names, or does not make an http(s) address.
    """
    if not template:
        return ""
    if not _uses_only(template, names):
        allowed = ", ".join(f"{{{name}}}" for name in names)
        raise ConfigurationError(f"ui_url {template!r} may only use {allowed}")
    link = template.format(**{name: quote(value, safe="", errors="replace") for name, value in names.items()})
    if not is_link(link):
        raise ConfigurationError(f"ui_url {template!r} must be an http(s) URL without credentials")
    return link


def _uses_only(template: str, names: Mapping[str, str]) -> bool:
    try:
        parts = list(Formatter().parse(template))
    except ValueError:
        return False
    return all(name is None or (name in names and not kind and not conversion) for _, name, kind, conversion in parts)


def is_link(link: str) -> bool:
    """Whether a text is an http(s) address without credentials."""
    try:
        parts = urlsplit(link)
    except ValueError:
        return False
    is_odd = any(one.isspace() or not one.isprintable() or one == "\\" for one in link)
    return parts.scheme in SCHEMES and bool(parts.hostname) and "@" not in parts.netloc and not is_odd
