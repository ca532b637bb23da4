"""Reads a channel of an inbox from a checkpoint on, and notices an inbox that has gone back."""

from __future__ import annotations

import math
from dataclasses import replace

from airflow_provider_taskwatch.inbox.checkpoint import (
    Checkpoint,
    Deletions,
    Page,
    View,
    deletions_from,
    deletions_name,
)
from airflow_provider_taskwatch.inbox.message import Message, Received
from airflow_provider_taskwatch.inbox.protocol import Inbox

SKEW_SECONDS = 60.0
"""The greatest difference between the clocks of two writers."""
BACK_SECONDS = 15.0
"""How long a reading may be older than the last one, as of a replica that lags, before the inbox counts as restored."""


def deletions_of(inbox: Inbox, channel: str) -> Deletions:
    """What was deleted of a channel."""
    return deletions_from(inbox.position(deletions_name(channel)))


def checkpoint_at(inbox: Inbox, channel: str, number: int) -> Checkpoint:
    """The checkpoint of a reader that begins after a number."""
    while True:
        deletions = deletions_of(inbox, channel)
        passed = deletions.count + inbox.held(channel, number)
        if deletions_of(inbox, channel) == deletions:
            there = inbox.at(number)
            checkpoint = Checkpoint(number=number, passed=passed)
            is_ours = there is not None and there.message.channel == channel
            return checkpoint.at_message(there.message) if there is not None and is_ours else checkpoint


def counted(inbox: Inbox, channel: str, checkpoint: Checkpoint) -> Checkpoint:
    """The checkpoint with the count of passed messages, if that is still known."""
    if checkpoint.passed is None and deletions_of(inbox, channel).number <= checkpoint.number:
        return replace(checkpoint, passed=checkpoint_at(inbox, channel, checkpoint.number).passed)
    return checkpoint


def read_page(inbox: Inbox, channel: str, checkpoint: Checkpoint) -> Page:
    """The messages after a checkpoint, and whether the inbox has gone back behind it."""
    view = inbox.page(channel, checkpoint.number)
    return Page(rows=view.rows, deletions=view.deletions, is_back=_is_back(view, channel, checkpoint), held=view.held)


def has_gone_back(inbox: Inbox, channel: str, checkpoint: Checkpoint) -> bool:
    """Whether the inbox is older than the one that was read up to the checkpoint."""
    return _is_back(inbox.page(channel, checkpoint.number), channel, checkpoint)


def _is_back(view: View, channel: str, checkpoint: Checkpoint) -> bool:
    """Compares the last message that was read, as numbers may have grown past the checkpoint again."""
    if view.newest < checkpoint.number:
        return True
    if checkpoint.delivery is None:
        return False
    if view.there is None:
        return view.deletions.number < checkpoint.number
    return _identity(view.there.message) != (channel, checkpoint.delivery, checkpoint.at)


def is_older(inbox: Inbox, last: int, mark: Received | None) -> bool:
    """The same for a reader of all channels. A missing mark proves nothing, as it may have been deleted.

    :param last: the greatest number that was read.
    :param mark: the last message that was read; None if it is not known.
    """
    if inbox.newest() < last:
        return True
    there = None if mark is None else inbox.at(mark.number)
    return there is not None and mark is not None and _identity(there.message) != _identity(mark.message)


def restored_checkpoint(inbox: Inbox, channel: str, checkpoint: Checkpoint) -> Checkpoint:
    """The checkpoint in an inbox that was restored: after what it had received by the time of the old one."""
    return checkpoint_at(
        inbox, channel, inbox.number_before(channel, checkpoint.at - SKEW_SECONDS if checkpoint.at else math.inf)
    )


def _identity(message: Message) -> tuple[str, str, float]:
    return message.channel, message.delivery, message.received_at
