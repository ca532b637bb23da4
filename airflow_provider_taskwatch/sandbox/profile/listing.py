"""Pages of a list of played tasks, in the way of paging that the profile describes."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any
from urllib.parse import urlencode

from airflow_provider_taskwatch.core.wire import Call
from airflow_provider_taskwatch.sandbox.answer import number

from .example import Example

PAGE = "sandbox_page"
"""The query parameter in the links of the sandbox's own."""


def page_of(listing: Mapping[str, Any], items: list[Any], call: Call, url: str, size: int) -> Example:
    """One page.

    :param listing: ``find`` or ``list`` of the profile.
    :param url: of the remote, which begins a link.
    :param size: entries of a page, where the profile does not say it.
    """
    page = listing.get("page")
    rule: Mapping[str, Any] = page if isinstance(page, Mapping) else {}
    size = int(rule.get("limit") or size)
    parameter = str(rule.get("offset") or rule.get("query") or PAGE)
    start = number(call, parameter, 0)
    reply = Example()
    shown = items[start : start + size] if page else items
    if not reply.put([listing["items"]], shown):
        reply.body = shown
    if page is None or start + size >= len(items):
        return reply
    others = [pair for pair in call.query if pair[0] != parameter]
    link = f"{url}{call.path}?{urlencode([*others, (parameter, start + size)])}"
    if page == "link":
        reply.headers["link"] = f'<{link}>; rel="next"'
    elif "next" in rule:
        reply.put([rule["next"]], str(start + size))
    elif "link" in rule:
        reply.put([rule["link"]], link)
    return reply


def wanted_refs(value: Any) -> frozenset[str] | None:
    """The refs that a list names; None where it names none."""
    if value is None:
        return None
    return frozenset(map(str, value if isinstance(value, list) else str(value).split(",")))
