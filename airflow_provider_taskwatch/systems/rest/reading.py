"""What a reply says of a task, by a profile."""

from __future__ import annotations

import json
import math
import re
from collections.abc import Mapping, Sequence
from typing import Any

from airflow_provider_taskwatch.core.phase import LazyMapping, Observation, Phase
from airflow_provider_taskwatch.core.refusal import summary
from airflow_provider_taskwatch.core.retry_after import retry_after
from airflow_provider_taskwatch.core.text import LINE_CHARACTERS, shortened

from .document import Document
from .expression import Expression, is_true
from .field import as_word
from .profile import Poll, Progress

RESULT_CHARACTERS = 64_000
"""Of a result in an XCom; ``output_path`` gets all of it."""


def read_observation(ref: str, poll: Poll, document: Document, select: Expression | None = None) -> Observation:
    """The observation in the reply to a poll.

    :param select: what a success returns; None: ref, status and message.
    :raises ReplyError: the body cannot be read.
    """
    status = first_value(poll.status, document)
    phase = _accepted(poll, document) or _phase_of(status, poll)
    if phase is Phase.UNKNOWN and status is None:
        document.check_object()
    shown, message = as_text(status), as_text(first_value(poll.message, document))
    return Observation(
        ref=ref,
        phase=phase,
        status=shown or (str(document.root("status_code")) if phase.is_final else ""),
        progress=None if poll.progress is None else _progress(poll.progress, document),
        message=message,
        retry_after=_retry_after(poll.retry_after, document),
        result_characters=RESULT_CHARACTERS,
        result=LazyMapping(lambda: result_of(ref, shown, message, document, select)),
    )


def _accepted(poll: Poll, document: Document) -> Phase | None:
    for acceptor in poll.acceptors:
        if is_true(acceptor.when.of(document)):
            return Phase(acceptor.phase)
    return None


def _phase_of(status: Any, poll: Poll) -> Phase:
    if not isinstance(status, (str, int, float)):
        return Phase.UNKNOWN
    return poll.phase_of(as_word(status))


def first_value(expressions: Sequence[Expression], document: Document) -> Any:
    """The first value that is neither null nor an empty text."""
    for one in expressions:
        value = one.of(document)
        if value is not None and value != "":
            return value
    return None


def as_text(value: Any) -> str:
    """Any JSON value as a short text."""
    if value is None:
        return ""
    if isinstance(value, dict):
        return summary(value)
    return (value if isinstance(value, str) else json.dumps(shortened(value)))[:LINE_CHARACTERS]


_OF_TOTAL = re.compile(r"\s*(\d{1,12}(?:\.\d{1,6})?)\s*/\s*(\d{1,12}(?:\.\d{1,6})?)\s*", re.ASCII)
_PERCENT = re.compile(r"\s*(\d{1,3}(?:\.\d{1,6})?)\s*%?\s*", re.ASCII)


def _progress(progress: Progress, document: Document) -> float | None:
    """Percent, from a number, a text such as ``40 %``, or parts such as ``2/3``; None for anything else."""
    if progress.value is not None:
        value = first_value(progress.value, document)
        if isinstance(value, str):
            if parts := _OF_TOTAL.fullmatch(value):
                return _share(float(parts[1]), float(parts[2]))
            number = _PERCENT.fullmatch(value)
            value = float(number[1]) if number else None
        return _share(value, progress.scale)
    if progress.done is None or progress.total is None:
        return None
    return _share(progress.done.of(document), progress.total.of(document))


def _share(done: Any, total: Any) -> float | None:
    if any(isinstance(one, bool) or not isinstance(one, (int, float)) for one in (done, total)):
        return None
    try:
        percent = 100.0 * done / total
    except (ZeroDivisionError, OverflowError):
        return None
    return percent if math.isfinite(percent) and 0.0 <= percent <= 100.0 else None


def _retry_after(expression: Expression, document: Document) -> float | None:
    """Seconds; a number, or a text in one of the two forms of the header ``Retry-After``."""
    value = expression.of(document)
    if value is None or isinstance(value, bool) or not isinstance(value, (str, int, float)):
        return None
    return retry_after({"retry-after": str(value)}, document.received_at)


def result_of(ref: str, status: str, message: str, document: Document, select: Expression | None) -> Mapping[str, Any]:
    """What a success returns: the selected object; another value under ``value``."""
    if select is None:
        return {"ref": ref, "status": status, "message": message}
    value = select.of(document)
    return value if isinstance(value, dict) else {"value": value}
