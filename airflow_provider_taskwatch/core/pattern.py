"""Requests with placeholders, read backwards: whether a call is the one, and which values its placeholders have."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import parse_qsl, unquote

from .wire import Call

PLACEHOLDER = re.compile(
    r"\{\{(?P<escaped>\+?[a-z]+(?:\.[A-Za-z0-9_.-]+)?\??(?::[a-z]+)?)\}\}"
    r"|\{(?P<plus>\+?)(?P<name>[a-z]+(?:\.[A-Za-z0-9_.-]+)?)(?P<optional>\??)(?::(?P<cast>[a-z]+))?\}"
)
"""A placeholder in a string of a profile, or one that is escaped by a second pair of braces."""
_ABSENT = object()


class Pattern:
    """A text with placeholders.

    :param is_path: whether a placeholder without ``+`` stands for one segment, and values are percent-encoded.
    :ivar whole: the name of the placeholder that is all of the text; empty where it is not.
    :ivar literals: the number of characters that are no placeholders.
    """

    def __init__(self, text: str, *, is_path: bool = False) -> None:
        self._names: list[str] = []
        self._is_path = is_path
        self.whole, self.is_optional, self.literals = "", False, 0
        parts, at = [], 0
        for found in PLACEHOLDER.finditer(text):
            parts.append(self._literal(text[at : found.start()]))
            parts.append(self._group(found, found[0] == text))
            at = found.end()
        parts.append(self._literal(text[at:]))
        self._expression = "".join(parts)
        self._compiled = re.compile(self._expression, re.DOTALL)
        self._below = re.compile(f"((?:/[^/]+)*?){self._expression}", re.DOTALL)

    def _literal(self, text: str) -> str:
        self.literals += len(text)
        return re.escape(text)

    def _group(self, found: re.Match[str], is_whole: bool) -> str:
        if found["escaped"] is not None:
            return self._literal(f"{{{found['escaped']}}}")
        self._names.append(found["name"])
        if is_whole:
            self.whole, self.is_optional = found["name"], bool(found["optional"])
        one = "." if found["plus"] or not self._is_path else "[^/]"
        return f"({one}{'*' if found['optional'] else '+'})"

    def match(self, text: str) -> dict[str, str] | None:
        """The values of the placeholders; None where the text is another one."""
        found = self._compiled.fullmatch(text)
        return None if found is None else self._values(found.groups())

    def base_of(self, path: str) -> str | None:
        """The shortest path before this one; None where the path does not end in it."""
        found = self._below.fullmatch(path)
        return None if found is None or self._values(found.groups()[1:]) is None else str(found[1])

    def _values(self, groups: Iterable[str]) -> dict[str, str] | None:
        values: dict[str, str] = {}
        for name, raw in zip(self._names, groups, strict=True):
            value = unquote(raw) if self._is_path else raw
            if values.setdefault(name, value) != value:
                return None
        return values


@dataclass(slots=True, kw_only=True)
class Matched:
    """How well a call fits a request.

    :param values: of the placeholders, by their whole names, such as ``inputs.repo``.
    :param hits: the literal values that are there.
    :param misses: the values that are absent or others.
    """

    values: dict[str, Any] = field(default_factory=dict)
    hits: int = 0
    misses: int = 0

    def read(self, template: Any, actual: Any) -> None:
        """Compare a JSON value with its template."""
        if isinstance(template, Mapping):
            for name, one in template.items():
                self.read(one, actual.get(name, _ABSENT) if isinstance(actual, Mapping) else _ABSENT)
        elif isinstance(template, list):
            others = actual if isinstance(actual, list) and len(actual) == len(template) else [_ABSENT] * len(template)
            for one, other in zip(template, others, strict=True):
                self.read(one, other)
        elif isinstance(template, str):
            self._read_text(Pattern(template), actual)
        else:
            self._count(_text(template) == _text(actual))

    def _read_text(self, pattern: Pattern, actual: Any) -> None:
        if pattern.whole:
            if actual is not _ABSENT:
                self.values.setdefault(pattern.whole, actual)
            elif not pattern.is_optional:
                self.misses += 1
            return
        found = None if actual is _ABSENT else pattern.match(_text(actual))
        if found is not None:
            self.values = {**found, **self.values}
        self._count(found is not None)

    def _count(self, is_hit: bool) -> None:
        self.hits += is_hit
        self.misses += not is_hit


def _text(value: Any) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value)


class RequestPattern:
    """A request of a profile.

    :param request: plain data: ``method``, ``path``, ``query``, ``headers``, ``body`` or ``form``.
    :param method: where it names none.
    """

    def __init__(self, request: Mapping[str, Any], method: str = "GET") -> None:
        path, _, query = str(request.get("path") or "").partition("?")
        self.shown_path = path
        self.method = str(request.get("method") or method)
        self.path = Pattern(path, is_path=True)
        self._query: dict[str, Any] = {**dict(parse_qsl(query, keep_blank_values=True)), **(request.get("query") or {})}
        self._headers: Mapping[str, Any] = request.get("headers") or {}
        self._body, self._form = request.get("body"), request.get("form")

    def match(self, call: Call, base: str = "") -> Matched | None:
        """How a call fits; None where method or path are others.

        :param base: what is before the path.
        """
        if call.method != self.method or not call.path.startswith(base):
            return None
        found = self.path.match(call.path.removeprefix(base))
        if found is None:
            return None
        matched = Matched(values=dict(found))
        matched.read(self._query, dict(call.query))
        matched.read(
            {name.lower(): one for name, one in self._headers.items() if "{" in str(one)},
            {name.lower(): one for name, one in call.headers.items()},
        )
        if self._body is not None:
            matched.read(self._body, _body(call))
        if self._form is not None:
            matched.read(self._form, call.form())
        return matched


def _body(call: Call) -> Any:
    try:
        return call.json()
    except (ValueError, RecursionError):
        return _ABSENT
