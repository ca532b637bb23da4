"""The ids of played tasks: new ones in the form of those in the examples, put in their places."""

from __future__ import annotations

import re
import uuid
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit

_LAST_SEGMENT = re.compile(r"[^/?]+(?=/?(?:\?|$))")
SHORT = 4
"""Shorter ids are replaced only where the name of the member says that it is one: 7 may be a count as well."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Name:
    """One ref of a played task.

    :param kind: ``id``, ``name`` or ``link``.
    :param known: the ref in the examples, without host and base path; empty where they hold none.
    :param ref: as a client sends it: an id, a name, or path and query below the base.
    :param is_number: whether the examples have it as a number.
    """

    kind: str
    known: str
    ref: str
    is_number: bool = False

    def value(self, base_url: str) -> Any:
        """The ref as a reply has it.

        :param base_url: of the remote, which begins a link.
        """
        return base_url + self.ref if self.kind == "link" else int(self.ref) if self.is_number else self.ref

    def renamed(self, content: Any, base_url: str, base_path: str, ids: frozenset[str], key: str = "") -> Any:
        """A JSON value with this ref in place of the one in the examples.

        :param base_path: of the addresses in the examples.
        :param ids: the names of members that are ids, whatever their length.
        """
        if isinstance(content, Mapping):
            return {name: self.renamed(one, base_url, base_path, ids, str(name)) for name, one in content.items()}
        if isinstance(content, list):
            return [self.renamed(one, base_url, base_path, ids, key) for one in content]
        if not self.known or isinstance(content, bool) or not isinstance(content, (str, int)):
            return content
        return self._text(content, base_url, base_path, key in ids)

    def _text(self, content: str | int, base_url: str, base_path: str, is_id: bool) -> Any:
        text = str(content)
        if self.kind == "link":
            found = below(text, base_path) if "/" in text else ""
            rest = found[len(self.known) :]
            is_below = found.startswith(self.known) and (not rest or self.known[-1] == "/" or rest[0] in "/?&:")
            return base_url + self.ref + rest if is_below else content
        if text == self.known and (is_id or len(text) >= SHORT):
            return int(self.ref) if isinstance(content, int) and self.ref.isdecimal() else self.ref
        if isinstance(content, str) and "/" in text:
            return re.sub(rf"(?<=[/=:]){re.escape(self.known)}(?![\w.-])", lambda _: self.ref, text)
        return content


def below(link: str, base_path: str) -> str:
    """Path and query of a link, without the base path."""
    parts = urlsplit(link)
    path = parts.path
    if base_path and (path == base_path or path.startswith(f"{base_path}/")):
        path = path[len(base_path) :]
    return f"{path or '/'}?{parts.query}" if parts.query else path or "/"


def own_id(known: str, number: int) -> str:
    """A new id in the form of a known one: a number, or a UUID."""
    return str(number) if known.isdecimal() else str(uuid.uuid4())


def named(kind: str, known: Any, number: int, base_path: str) -> tuple[str, Name]:
    """A new id, and the ref that holds it.

    :param known: the ref in the examples; None where they hold none.
    """
    shown = "" if known is None else str(known)
    if kind == "id":
        made = own_id(shown, number)
        return made, Name(kind=kind, known=shown, ref=made, is_number=isinstance(known, int))
    text = below(shown, base_path) if kind == "link" and shown else shown
    old = _LAST_SEGMENT.search(text)
    made = own_id(old[0] if old else "", number)
    if old is None:
        return made, Name(kind=kind, known="", ref=f"/tasks/{made}" if kind == "link" else f"tasks/{made}")
    return made, Name(kind=kind, known=text, ref=text[: old.start()] + made + text[old.end() :])
