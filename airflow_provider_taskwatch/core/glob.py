"""Patterns in which ``*`` stands for any characters, matched in linear time."""

from __future__ import annotations

from functools import lru_cache

ANY = "*"


def matches(pattern: str, text: str) -> bool:
    """Whether a pattern matches a whole text.

    Each part between asterisks is searched once, as its first occurrence is as good as any later one. A regular
    expression would try all occurrences.
    """
    first, middle, last = _parts(pattern)
    if last is None:
        return text == first
    at, end = len(first), len(text) - len(last)
    if at > end or not text.startswith(first) or not text.endswith(last):
        return False
    for part in middle:
        found = text.find(part, at, end)
        if found < 0:
            return False
        at = found + len(part)
    return True


@lru_cache(maxsize=1024)
def _parts(pattern: str) -> tuple[str, tuple[str, ...], str | None]:
    """The parts before, between and after the asterisks. Without an asterisk, the whole pattern is the first part."""
    first, *rest = pattern.split(ANY)
    return (first, tuple(filter(None, rest[:-1])), rest[-1]) if rest else (first, (), None)
