"""Texts of remotes that are not in UTF-8, in the encoding that they name."""

from __future__ import annotations

import codecs
import re
from email.message import Message


def decoded(body: bytes, content_type: str) -> str:
    """A body in the encoding that its content type names, or UTF-8 where that is none.

    :raises UnicodeDecodeError: where it is in neither.
    """
    return body.decode(_named(content_type))


def in_utf8(body: bytes, content_type: str) -> bytes:
    """A body in UTF-8, where it is in another encoding of 8 bits that it names; else as it is."""
    name = _named(content_type)
    if name.startswith("utf-"):
        return body
    try:
        body.decode()
    except UnicodeDecodeError:
        return body.decode(name, "replace").encode(errors="replace")
    return body


def _named(content_type: str) -> str:
    header = Message()
    header["Content-Type"] = " ".join(content_type.split())
    try:
        name = codecs.lookup(str(header.get_param("charset", "utf-8")).strip(" '")).name
    except (LookupError, ValueError):
        return "utf-8"
    return name if _CHARSETS.fullmatch(name) else "utf-8"


_CHARSETS = re.compile(r"ascii|(?:iso8859-|cp|koi8-|utf-(?:8|16|32)|shift_?jis|euc_|gb|big5|mac-).*")
"""What a remote may name: Python also knows codecs that are no charset (``unicode_escape``, ``idna``)."""
