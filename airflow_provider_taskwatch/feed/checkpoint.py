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
"""So far the clocks of those who write may differ."""
BACK_SECONDS = 15.0
"""For so long an inbox that has gone back may be a replica that has not come so far."""


def deletions_of(inbox: Inbox, channel: str) -> Deletions:
    """What is gone of a channel."""
    return deletions_from(inbox.position(deletions_name(channel)))


def checkpoint_at(inbox: Inbox, channel: str, number: int) -> Checkpoint:
    """The spot of a reader that begins after a number."""
    while True:
        deletions = deletions_of(inbox, channel)
        passed = deletions.count + inbox.held(channel, number)
        if deletions_of(inbox, channel) == deletions:
            there = inbox.at(number)
            checkpoint = Checkpoint(number=number, passed=passed)
            is_ours = there is not None and there.message.channel == channel
            return checkpoint.at_message(there.message) if there is not None and is_ours else checkpoint


def counted(inbox: Inbox, channel: str, checkpoint: Checkpoint) -> Checkpoint:
    """A spot with how much it has passed, where that can still be known."""
    if checkpoint.passed is None and deletions_of(inbox, channel).number <= checkpoint.number:
        return replace(checkpoint, passed=checkpoint_at(inbox, channel, checkpoint.number).passed)
    return checkpoint


def read_page(inbox: Inbox, channel: str, checkpoint: Checkpoint) -> Page:
    """What comes after a spot, and whether the spot is still what it was."""
    view = inbox.page(channel, checkpoint.number)
    return Page(rows=view.rows, deletions=view.deletions, is_back=_is_back(view, channel, checkpoint), held=view.held)


def has_gone_back(inbox: Inbox, channel: str, checkpoint: Checkpoint) -> bool:
    """Whether an inbox is an older one than that which was read up to a spot."""
    return _is_back(inbox.page(channel, checkpoint.number), channel, checkpoint)


def _is_back(view: View, channel: str, checkpoint: Checkpoint) -> bool:
    """Numbers may have grown past the spot since it was read, so the message that was read last is looked for."""
    if view.newest < checkpoint.number:
        return True
    if checkpoint.delivery is None:
        return False
    if view.there is None:
        return view.deletions.number < checkpoint.number
    return _identity(view.there.message) != (channel, checkpoint.delivery, checkpoint.at)


def is_older(inbox: Inbox, last: int, mark: Received | None) -> bool:
    """The same for who reads all channels. A mark that is not there may have been deleted, so that tells nothing.

    :param last: the greatest number that was read.
    :param mark: a message that was read last.
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
