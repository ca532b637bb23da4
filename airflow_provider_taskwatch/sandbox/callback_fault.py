"""Faults of callbacks, by name: what can go wrong between a remote and its receiver.

A fault turns one attempt into none, one or two. All faults of callbacks that match strike, unlike those of calls.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import replace

from .fault import Fault
from .post import Post

Distort = Callable[[Fault, Post], tuple[Post, ...]]


def _duplicate(fault: Fault, post: Post) -> tuple[Post, ...]:
    return (post, replace(post, is_copy=True, due=post.due + (fault.seconds or 0.0)))


def _late(fault: Fault, post: Post) -> tuple[Post, ...]:
    return (replace(post, due=post.due + (1.0 if fault.seconds is None else fault.seconds)),)


def _lost(fault: Fault, post: Post) -> tuple[Post, ...]:
    return (replace(post, is_lost=True),)


def _secret(fault: Fault, post: Post) -> tuple[Post, ...]:
    """Another secret: in the header Authorization, or at the end of the URL where there is no such header."""
    secret = {name: value for name, value in post.headers.items() if name.lower() == "authorization"}
    if not secret:
        return (replace(post, url=re.sub(r"(?<=[^/][/?&=])[^/?&=]+$", _turned, post.url)),)
    parts = {name: value.rpartition(" ") for name, value in secret.items()}
    other = {name: f"{scheme}{blank}{bearer[::-1]}x" for name, (scheme, blank, bearer) in parts.items()}
    return (replace(post, headers={**post.headers, **other}),)


def _garbage(fault: Fault, post: Post) -> tuple[Post, ...]:
    return (replace(post, garbage=b'{"runid": "000'),)


def _run_id(fault: Fault, post: Post) -> tuple[Post, ...]:
    other = int(post.about) + 1 if fault.run_id is None else fault.run_id
    return (replace(post, claimed_ref=str(other)),)


def _status(fault: Fault, post: Post) -> tuple[Post, ...]:
    opposite = "1800" if post.claimed_status.startswith("19") else "1900"
    return (replace(post, claimed_status=opposite if fault.status is None else str(fault.status)),)


def _turned(found: re.Match[str]) -> str:
    """Reversed, with one more letter, so that a palindrome changes too."""
    return f"{found[0][::-1]}x"


CALLBACK_FAULTS: Mapping[str, Distort] = {
    "callback_duplicate": _duplicate,
    "callback_late": _late,
    "callback_lost": _lost,
    "callback_secret": _secret,
    "callback_garbage": _garbage,
    "callback_run_id": _run_id,
    "callback_status": _status,
}
"""All of them, but for ``callback_early``, which strikes the start."""
