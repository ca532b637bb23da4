"""Patterns in which ``*`` stands for any characters, compared in time that grows with the text and no faster."""

from __future__ import annotations

from functools import lru_cache

ANY = "*"


def matches(pattern: str, text: str) -> bool:
    """Whether a text is as a pattern says.

    A regular expression would try all ways to spread a text over the asterisks. The first place where a part is found
    is as good as any later one, so each part is looked for once.
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
    """What comes before, between and behind the asterisks; without any, all of it comes before them."""
    first, *rest = pattern.split(ANY)
    return (first, tuple(filter(None, rest[:-1])), rest[-1]) if rest else (first, (), None)
