"""Encrypting what may concern people and cannot be fetched a second time."""

from __future__ import annotations

import hmac
from collections.abc import Sequence

from cryptography.fernet import Fernet, InvalidToken, MultiFernet

from airflow_provider_taskwatch.core.error import ConfigurationError


class Seal:
    """The keys of sealed replies: the newest seals, all open.

    :param keys: the newest first, as :func:`fresh_key` makes them.
    :raises ConfigurationError: where there is none, or one that is no key.
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
        """What only a key opens."""
        return self._fernet.encrypt(content)

    def name(self, content: bytes) -> str:
        """Tells contents apart without telling anything of them."""
        return hmac.new(self._newest, content, "sha256").hexdigest()

    def open(self, sealed: bytes) -> bytes:
        """What was closed.

        :raises ConfigurationError: where none of the keys opens it.
        """
        try:
            return self._fernet.decrypt(sealed)
        except InvalidToken:
            raise ConfigurationError(
                "a sealed reply was closed with a key that is no longer among [taskwatch] inbox_keys; add it again"
            ) from None


_REMEDY = "`airflow taskwatch inbox key` prints a fresh one; set it wherever triggerers and workers run"


def fresh_key() -> str:
    """A key that nobody has used before."""
    return Fernet.generate_key().decode()
