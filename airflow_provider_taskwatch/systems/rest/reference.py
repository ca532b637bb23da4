"""Refs: an id, a name with slashes, or a link, of which path and query below the connection's host are kept.

A ref of a later stage ends in ``#`` and the name of the stage, which no id and no link can contain.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from urllib.parse import SplitResult, urljoin, urlsplit

from airflow_provider_taskwatch.core.error import ConfigurationError, ReplyError
from airflow_provider_taskwatch.core.glob import matches
from airflow_provider_taskwatch.core.system import address, safe_ref, unquoted
from airflow_provider_taskwatch.core.wire import canonical_target

from .profile import Ref

LINK_CHARACTERS = 4000
RESULT_LINK_CHARACTERS = 16_000
"""Of a link to a result, which may hold a token."""

_UNSAFE_IN_NAME = re.compile(r"[\s?#%\\\"'\x00-\x1f\x7f]|//|(?:^|/)\.{1,2}(?:/|$)")
_UNSAFE_IN_RESULT = re.compile(r"[\s\\\x00-\x1f\x7f]")
_UNSAFE_IN_LINK = re.compile(r"[\s#\\\x00-\x1f\x7f]")
_DOTS = re.compile(r"(?:^|/)\.{1,2}(?:/|$)")


def _is_unsafe(link: str) -> bool:
    """Whether a link can be read in two ways, or leads upwards. A query may hold dots."""
    return bool(_UNSAFE_IN_LINK.search(link) or _DOTS.search(link.partition("?")[0]))


def split_stage(ref: str) -> tuple[str, str]:
    """A ref without its stage, and the name of the stage; empty for the first one."""
    bare, _, stage = ref.partition("#")
    return bare, stage


def with_stage(bare: str, stage: str) -> str:
    """The ref of a stage."""
    return f"{bare}#{stage}" if stage else bare


def checked_ref(ref: object, kind: Ref, noun: str, base_url: str) -> str:
    """A ref without stage, as it is sent.

    :raises ConfigurationError: it cannot be one of this kind.
    """
    if kind.kind == "link":
        text = _text_of(ref, noun)
        base = urlsplit(base_url).path
        # A ref that was kept has lost the base already.
        is_kept = text.startswith("/") and not text.startswith("//") and not _is_below(text.partition("?")[0], base)
        return link_below(f"{base}{text}" if is_kept else text, kind, base_url)
    if kind.kind == "id":
        return safe_ref(ref, noun)
    text = _text_of(ref, noun).strip("/")
    if not text or len(text) > LINK_CHARACTERS or _UNSAFE_IN_NAME.search(text) or not text.isprintable():
        raise ConfigurationError(
            f"{text[:80]!r} is not the name of a {noun}: it must not hold blanks, '?', '#', '%', '\\', '//', '..' or "
            "quotation marks"
        )
    return text


def plausible_ref(ref: object) -> str:
    """A ref of any kind, perhaps with a stage.

    :raises ConfigurationError: it is none.
    """
    text = _text_of(ref, "task")
    bare, _ = split_stage(text)
    if len(text) > LINK_CHARACTERS or _is_unsafe(bare) or not text.isprintable():
        raise ConfigurationError(f"{_shown(text)} is not a task id: it is too long, or holds blanks or '\\'")
    return text


def _text_of(ref: object, noun: str) -> str:
    text = unquoted(ref) if isinstance(ref, str) else ""
    if not text:
        raise ConfigurationError(f"the {noun} id is empty; give what the start returned")
    return text


def link_below(link: str, kind: Ref, base_url: str, request_path: str = "/") -> str:
    """Path and query of a link, below the base URL of the connection.

    :param request_path: of the request whose reply holds the link, which a relative link is relative to.
    :raises ConfigurationError: it leads elsewhere. The message does not show its query, which may be signed.
    """
    if len(link) > LINK_CHARACTERS + len(base_url) or _is_unsafe(link) or not link.isprintable():
        raise ConfigurationError(
            f"the link {_shown(link)} has more than {LINK_CHARACTERS} characters, or holds blanks, '..', '#' or '\\'"
        )
    try:
        parts = urlsplit(urljoin(base_url + request_path, link))
        is_here = address(f"{parts.scheme}://{parts.netloc}") == address(_origin(base_url))
    except ValueError:
        raise ConfigurationError(f"the link {_shown(link)} is not a URL") from None
    if "@" in parts.netloc or (not is_here and kind.link_host == "refuse"):
        raise ConfigurationError(
            f"the link {_shown(link)} leaves the connection's host, {_origin(base_url)}, so nothing is sent there; "
            "where the remote does not know its own name, the profile may say 'link_host: ignore'"
        )
    base = urlsplit(base_url).path
    path = parts.path[len(base) :] or "/"
    if not _is_below(parts.path, base) or not path.startswith("/") or path.startswith("//"):
        raise ConfigurationError(f"the link {_shown(link)} is not below {base_url}, the base of the connection")
    target = _normal(f"{path}?{parts.query}" if parts.query else path, link)
    if len(target) > LINK_CHARACTERS:
        raise ConfigurationError(f"the link {_shown(link)} has more than {LINK_CHARACTERS} characters")
    return target


def _normal(target: str, link: str) -> str:
    try:
        return canonical_target(target)
    except ConfigurationError:
        pass
    raise ConfigurationError(f"the link {_shown(link)} holds '%' without two hexadecimal digits, '.' or '..'")


def _is_below(path: str, base: str) -> bool:
    return not base or path == base or path.startswith(f"{base}/")


def linked(link: object, hosts: Sequence[str], base_url: str) -> tuple[str, str]:
    """Origin and path of a result's link; the origin is empty where it is the connection's.

    :param hosts: patterns of other hosts that the profile allows.
    :raises ReplyError: there is no link, or it leads where the profile does not allow it.
    """
    if not isinstance(link, str) or not link:
        raise ReplyError("the last reply has no link to the result")
    try:
        return "", link_below(link, _SAME_HOST, base_url)
    except ConfigurationError as error:
        parts = None if _UNSAFE_IN_RESULT.search(link) or len(link) > RESULT_LINK_CHARACTERS else _split(link)
        if parts is None or not _is_allowed(parts, hosts, base_url):
            raise ReplyError(f"{error}; result.hosts of the profile may allow it, without credentials") from None
    query = f"?{parts.query}" if parts.query else ""
    try:
        return f"{parts.scheme}://{parts.netloc.lower()}", _normal(f"{parts.path or '/'}{query}", link)
    except ConfigurationError as error:
        raise ReplyError(f"the result cannot be read: {error}") from None


_SAME_HOST = Ref.model_construct(source=[], kind="link", link_host="refuse")


def _split(url: str) -> SplitResult | None:
    try:
        parts = urlsplit(url)
        _ = parts.port
    except ValueError:
        return None
    return parts if _HOST.fullmatch(parts.hostname or "") and "@" not in parts.netloc else None


_HOST = re.compile(r"[a-z0-9_-]+(?:\.[a-z0-9_-]+)*")
"""A backslash or an escape would be read as the end of the host by some libraries."""


def _is_allowed(parts: SplitResult, hosts: Sequence[str], base_url: str) -> bool:
    """Whether a pattern of the profile names the host. Plain http is for a remote that is reached by it, too."""
    schemes = ("https",) if base_url.startswith("https:") else ("https", "http")
    return parts.scheme in schemes and any(matches(pattern, parts.hostname or "") for pattern in hosts)


def _origin(base_url: str) -> str:
    parts = urlsplit(base_url)
    return f"{parts.scheme}://{parts.netloc}"


def _shown(link: str) -> str:
    """A link without its query, which may be signed, and without a user and a password."""
    bare = link.partition("?")[0]
    scheme, mark, rest = bare.partition("//")
    host, slash, path = rest.partition("/")
    return repr((f"{scheme}{mark}{host.rpartition('@')[2]}{slash}{path}" if "@" in host else bare)[:120])


def ref_in(value: object, kind: Ref, noun: str, base_url: str, request_path: str) -> str:
    """The ref in a reply. A number counts as its digits.

    :raises ReplyError: the value is no ref of this kind.
    """
    if isinstance(value, int) and not isinstance(value, bool):
        value = str(value)
    if not isinstance(value, str):
        found = "there is nothing" if value is None else f"{value!r:.80} is neither a text nor a whole number"
        raise ReplyError(f"the reply names no {noun}: {found} at {' or '.join(one.text for one in kind.source)}")
    try:
        if kind.kind == "link":
            return link_below(value.strip(), kind, base_url, request_path)
        return checked_ref(value, kind, noun, base_url)
    except ConfigurationError as error:
        raise ReplyError(f"the reply names no {noun} that can be used: {error}") from None
