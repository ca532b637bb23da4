"""Keeps Airflow from warning of ordinary short values of a connection as if they were secrets."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from contextlib import contextmanager

_LOGGERS = ("airflow.sdk._shared.secrets_masker.secrets_masker", "airflow._shared.secrets_masker.secrets_masker")
_WORDS = "Skipping masking for a secret"
SHORT_CHARACTERS = 5
"""What is shorter is not masked by Airflow, unless ``[logging] min_length_masked_secret`` says otherwise."""


@contextmanager
def without_short_warnings() -> Iterator[None]:
    """While a connection is read, drop the warning of a secret that is too short to be masked.

    Airflow 3.3.2 hands all values of an extra to its masker and looks at their lengths before it looks at their names,
    so a ``"client": "100"`` counts as such a secret, in the log of each task.
    """
    loggers = [logging.getLogger(name) for name in _LOGGERS]
    for one in loggers:
        one.addFilter(_is_other)
    try:
        yield
    finally:
        for one in loggers:
            one.removeFilter(_is_other)


def _is_other(record: logging.LogRecord) -> bool:
    return not record.getMessage().startswith(_WORDS)


def short_secret(password: str | None) -> str:
    """The warning that is meant: of a password that is too short to be masked; empty where it is not."""
    if not password or len(password) >= SHORT_CHARACTERS:
        return ""
    return f"the password has less than {SHORT_CHARACTERS} characters, so Airflow does not mask it in logs"
