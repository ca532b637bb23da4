"""Encrypts replies and events that may hold personal data and cannot be fetched again."""

from __future__ import annotations

import hmac
from collections.abc import Sequence

from cryptography.fernet import Fernet, InvalidToken, MultiFernet

from airflow_provider_taskwatch.core.error import ConfigurationError


class Seal:
    """The keys of sealed replies: the newest encrypts, all decrypt, so that keys can be rotated.

    :param keys: the newest first, as :func:`fresh_key` returns them.
    :raises ConfigurationError: where there is no key, or one is malformed.
    """

    def __init__(self, keys: Sequence[str]) -> None:
        if not keys:
            raise ConfigurationError(f"[taskwatch] inbox_keys is not set; {_REMEDY}")
        try:
            self._fernet = MultiFernet([Fernet(key) for key in keys])
        except ValueError:
            raise ConfigurationError(f"[taskwatch] inbox_keys holds something that is no key; {_REMEDY}") from None
        self._newest = keys[0].encode()

    def close(self, content: bytes) -> bytes:
        """The encrypted content."""
        return self._fernet.encrypt(content)

    def name(self, content: bytes) -> str:
        """A keyed hash of the content, which reveals nothing of it."""
        return hmac.new(self._newest, content, "sha256").hexdigest()

    def open(self, sealed: bytes) -> bytes:
        """The decrypted content.

        :raises ConfigurationError: where none of the keys decrypts it.
        """
        try:
            return self._fernet.decrypt(sealed)
        except InvalidToken:
            raise ConfigurationError(
                "a sealed reply was closed with a key that is no longer among [taskwatch] inbox_keys; add it again"
            ) from None


_REMEDY = "`taskwatch inbox key` prints a fresh one; set it wherever triggerers and workers run"


def fresh_key() -> str:
    """A new random key."""
    return Fernet.generate_key().decode()
