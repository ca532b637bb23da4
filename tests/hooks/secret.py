"""Secrets that no test may see anywhere but in a request."""

from __future__ import annotations

SECRETS = {"password": "hush-hush-password", "token": "hush-hush-token", "param": "hush-hush-param"}


def is_clean(*texts: object) -> bool:
    """Whether no secret is in any of these, nor in what caused an error."""
    texts = []
    for one in texts:
        error = one if isinstance(one, BaseException) else None
        texts += [str(one), repr(one)]
        while error is not None and error.__cause__ is not None:
            error = error.__cause__
            texts += [str(error), repr(error)]
    return not any(secret in text for secret in SECRETS.values() for text in texts)
