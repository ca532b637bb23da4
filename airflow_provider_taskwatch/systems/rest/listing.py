"""Lists of a profile: many tasks in few requests, and the task that carries our marker."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

from airflow_provider_taskwatch.core.error import ConfigurationError, ReplyError
from airflow_provider_taskwatch.core.flow import Flow, Retry, ask
from airflow_provider_taskwatch.core.wire import Call

from .document import Document
from .expression import Expression
from .field import as_word
from .profile import Listing, Page, Ref, Where
from .reference import link_below
from .request import call_of

MAX_PAGES = 50
_NEXT_LINK = re.compile(r'<([^<>]*)>((?:\s*;\s*[\w*-]+\s*(?:=\s*(?:"[^"]*"|[^\s";,]+))?)*)')
_IS_NEXT = re.compile(r';\s*rel\s*=\s*(?:"(?:[^"]*\s)?next(?:\s[^"]*)?"|next\b)', re.IGNORECASE)


def read_list(
    listing: Listing,
    values: Mapping[str, Any],
    base_url: str,
    take: Callable[[str, Document], bool],
    shape: Expression | None = None,
) -> Flow[None]:
    """Reads one page after the other, until an entry is the last one that is needed.

    :param take: called with the ref of each entry, and the entry as a document; whether no more are needed.
    :param shape: what an entry is turned into.
    :raises ReplyError: there are more than :data:`MAX_PAGES` pages, or they lead in a circle. An entry that is not
        found in a part of the list may be in the rest of it.
    """
    call: Call | None = call_of(listing, values, is_replayable=True)
    number = 0
    asked: set[tuple[str, object]] = set()
    while call is not None:
        if number == MAX_PAGES or (call.path, call.query) in asked:
            problem = f"has more than {MAX_PAGES} pages" if number == MAX_PAGES else "leads to the same page again"
            raise ReplyError(f"the list {call.method} {call.shown_path} {problem}")
        asked.add((call.path, call.query))
        reply = yield from ask(call, retry=Retry(attempts=3))
        document = Document(call, reply, values["inputs"])
        items = listing.items.of(document)
        if not isinstance(items, list):
            raise ReplyError(f"the reply to {call.method} {call.shown_path} has no list at {listing.items.text!r}")
        for item in items:
            value = listing.ref.of_item(item)
            if not isinstance(value, (str, int)) or isinstance(value, bool):
                continue
            if take(str(value), Document.of_item(shape.of_item(item) if shape else item, document)):
                return
        number += 1
        call = _next_call(listing.page, call, document, number, len(items), base_url)


def _next_call(
    page: Page | str | None, call: Call, document: Document, number: int, count: int, base_url: str
) -> Call | None:
    """The call for the next page; None where there is none."""
    if page is None:
        return None
    if not isinstance(page, Page):
        return _linked(call, _next_in(document.root("headers").get("link", "")), base_url)
    if page.link is not None:
        return _linked(call, page.link.of(document), base_url)
    if page.next is not None and page.query is not None:
        token = page.next.of(document)
        return _with(call, page.query, token) if isinstance(token, (str, int)) and token not in ("", False) else None
    if page.offset is not None and page.limit is not None and count >= page.limit:
        return _with(call, page.offset, number * page.limit)
    return None


def _linked(call: Call, link: Any, base_url: str) -> Call | None:
    if not isinstance(link, str) or not link:
        return None
    try:
        path = link_below(link, _PAGE_LINK, base_url, call.path)
    except ConfigurationError as error:
        raise ReplyError(f"the link to the next page cannot be followed: {error}") from None
    return Call(method=call.method, path=path, headers=call.headers, body=call.body, is_replayable=True)


_PAGE_LINK = Ref.model_construct(source=[], kind="link", link_host="refuse")


def _next_in(header: str) -> str:
    """The target of ``rel="next"`` in a ``Link`` header (RFC 8288)."""
    for found in _NEXT_LINK.finditer(header[:8000]):
        if _IS_NEXT.search(found[2]):
            return found[1]
    return ""


def _with(call: Call, name: str, value: object) -> Call:
    """The call with another value of one query parameter."""
    others = tuple(pair for pair in call.query if pair[0] != name)
    return Call(
        method=call.method,
        path=call.path,
        query=(*others, (name, str(value))),
        headers=call.headers,
        body=call.body,
        is_replayable=True,
    )


def fits(where: Mapping[str, Where], document: Document, values: Mapping[str, Any]) -> bool:
    """Whether an entry has what is looked for in each of its members."""
    return all(_has(rule, _member(document.root("body"), name), values) for name, rule in where.items())


def _member(item: Any, dotted: str) -> Any:
    for name in dotted.split("."):
        item = item.get(name) if isinstance(item, Mapping) else None
    return item


def _has(rule: Where, value: Any, values: Mapping[str, Any]) -> bool:
    if not isinstance(value, (str, int, float)):
        return False
    text = value if isinstance(value, str) else as_word(value)
    return all(
        test(text, template.text(values))
        for test, template in (
            (str.__eq__, rule.equals),
            (str.__contains__, rule.contains),
            (str.startswith, rule.starts_with),
        )
        if template is not None
    )


def batches(refs: Sequence[str], size: int) -> Iterator[Sequence[str]]:
    """The refs in groups of at most ``size``."""
    return (refs[at : at + size] for at in range(0, len(refs), size))
