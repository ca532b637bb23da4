"""Reads a channel of an inbox from a checkpoint on, and notices an inbox that has gone back."""

from __future__ import annotations

import math
from dataclasses import replace

from airflow_provider_taskwatch.inbox.checkpoint import Gone, Page, Spot, View, gone_from, gone_name
from airflow_provider_taskwatch.inbox.message import Message, Received
from airflow_provider_taskwatch.inbox.protocol import Inbox

SKEW_SECONDS = 60.0
"""So far the clocks of those who write may differ."""
BACK_SECONDS = 15.0
"""For so long an inbox that has gone back may be a replica that has not come so far."""


def gone_of(inbox: Inbox, channel: str) -> Gone:
    """What is gone of a channel."""
    return gone_from(inbox.position(gone_name(channel)))


def spot_at(inbox: Inbox, channel: str, number: int) -> Spot:
    """The spot of a reader that begins after a number."""
    while True:
        gone = gone_of(inbox, channel)
        passed = gone.count + inbox.held(channel, number)
        if gone_of(inbox, channel) == gone:
            there = inbox.at(number)
            spot = Spot(number=number, passed=passed)
            is_ours = there is not None and there.message.channel == channel
            return spot.at_message(there.message) if there is not None and is_ours else spot


def counted(inbox: Inbox, channel: str, spot: Spot) -> Spot:
    """A spot with how much it has passed, where that can still be known."""
    if spot.passed is None and gone_of(inbox, channel).number <= spot.number:
        return replace(spot, passed=spot_at(inbox, channel, spot.number).passed)
    return spot


def read_page(inbox: Inbox, channel: str, spot: Spot) -> Page:
    """What comes after a spot, and whether the spot is still what it was."""
    view = inbox.page(channel, spot.number)
    return Page(rows=view.rows, gone=view.gone, is_back=_is_back(view, channel, spot), held=view.held)


def has_gone_back(inbox: Inbox, channel: str, spot: Spot) -> bool:
    """Whether an inbox is an older one than that which was read up to a spot."""
    return _is_back(inbox.page(channel, spot.number), channel, spot)


def _is_back(view: View, channel: str, spot: Spot) -> bool:
    """Numbers may have grown past the spot since it was read, so the message that was read last is looked for."""
    if view.newest < spot.number:
        return True
    if spot.delivery is None:
        return False
    if view.there is None:
        return view.gone.number < spot.number
    return _identity(view.there.message) != (channel, spot.delivery, spot.at)


def is_older(inbox: Inbox, last: int, mark: Received | None) -> bool:
    """The same for who reads all channels. A mark that is not there may have been deleted, so that tells nothing.

    :param last: the greatest number that was read.
    :param mark: a message that was read last.
    """
    if inbox.newest() < last:
        return True
    there = None if mark is None else inbox.at(mark.number)
    return there is not None and mark is not None and _identity(there.message) != _identity(mark.message)


def spot_again(inbox: Inbox, channel: str, spot: Spot) -> Spot:
    """Where to read on in an inbox that has gone back: after what had come in by the time of a spot, by its clocks."""
    return spot_at(inbox, channel, inbox.number_before(channel, spot.at - SKEW_SECONDS if spot.at else math.inf))


def _identity(message: Message) -> tuple[str, str, float]:
    return message.channel, message.delivery, message.received_at
