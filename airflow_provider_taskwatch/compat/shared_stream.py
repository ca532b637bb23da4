"""Shared streams: triggers with the same key share one producer, and Airflow confirms what it has stored. Since 3.3.

Below 3.3 a trigger runs its own producer, and nothing here is called.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from airflow.triggers.shared_stream import AdvanceItem, SharedStreamProducer
else:
    try:
        from airflow.triggers.shared_stream import AdvanceItem, SharedStreamProducer
    except ImportError:
        AdvanceItem = SharedStreamProducer = object

__all__ = ["AdvanceItem", "SharedStreamProducer"]
