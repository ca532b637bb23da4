"""An inbox in whose place another one may step: a backup that was restored, a replica that lags."""

from __future__ import annotations

from copy import copy
from typing import Any

from tests.inbox.memory import MemoryInbox


class ReplaceableInbox:
    """Asks the inbox that is there now."""

    def __init__(self) -> None:
        self.present = MemoryInbox()

    def __getattr__(self, name: str) -> Any:
        return getattr(self.present, name)

    def backup(self) -> MemoryInbox:
        """All that the inbox holds now, its leases included."""
        saved = MemoryInbox()
        saved.__dict__ |= {name: copy(held) for name, held in self.present.__dict__.items() if name != "_lock"}
        return saved
