"""What nobody sees in a pasted text, and what makes a credential a wrong one."""

from __future__ import annotations

import unicodedata

BLANK_AROUND = "begins or ends with a blank"


def oddity(text: str) -> str:
    """What is odd about a credential, without a character of it; empty where nothing is."""
    if text != text.rstrip("\r\n"):
        return "ends in a line break"
    if "\ufeff" in text:
        return "holds a byte order mark"
    kinds = {unicodedata.category(one) for one in text}
    for kind, words in _KINDS.items():
        if kind in kinds:
            return words
    return BLANK_AROUND if text != text.strip() else ""


_KINDS = {
    "Cc": "holds a control character, such as a line break or a tab",
    "Cf": "holds an invisible character",
    "Zl": "holds a line separator",
    "Zp": "holds a paragraph separator",
    "Cs": "holds half a surrogate pair",
}
"""By Unicode's general category."""
