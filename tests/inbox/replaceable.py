"""An inbox that a test can replace with another one: a restored backup or a lagging replica."""

from __future__ import annotations

from copy import copy
from typing import Any

from tests.inbox.memory import MemoryInbox


class ReplaceableInbox:
    """Passes each call to the present inbox."""

    def __init__(self) -> None:
        self.present = MemoryInbox()

    def __getattr__(self, name: str) -> Any:
        return getattr(self.present, name)

    def backup(self) -> MemoryInbox:
        """A copy of the present inbox, including its leases."""
        saved = MemoryInbox()
        saved.__dict__ |= {name: copy(held) for name, held in self.present.__dict__.items() if name != "_lock"}
        return saved
