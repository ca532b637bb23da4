"""``taskwatch inbox``: shows the inbox, deletes what is old, prints a key."""

from __future__ import annotations

import time
from argparse import Namespace
from collections import Counter
from contextlib import closing
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from .console import exit_on_error, say

if TYPE_CHECKING:
    from airflow_provider_taskwatch.inbox.protocol import Inbox


def inbox(args: Namespace) -> None:
    """Carry out one of the actions ``status``, ``show``, ``prune`` and ``key``."""
    from airflow_provider_taskwatch.config.inbox import open_inbox, retention_days
    from airflow_provider_taskwatch.inbox.seal import fresh_key

    with exit_on_error():
        if args.action == "key":
            say("", f"a fresh key: AIRFLOW__TASKWATCH__INBOX_KEYS={fresh_key()}")
            return
        with closing(open_inbox()) as store:
            if args.action == "prune":
                days = retention_days() if args.older_than_days is None else args.older_than_days
                _prune(store, days, with_sealed=args.sealed)
            elif args.action == "show":
                _show_unread(store, is_raw=args.raw)
            else:
                _show_status(store)


def _prune(store: Inbox, days: float, *, with_sealed: bool) -> None:
    """Delete what is old, in steps, as callbacks wait while a long transaction runs.

    :param with_sealed: whether to delete sealed replies whose events are not stored, too. They are lost then.
    """
    from airflow_provider_taskwatch.inbox.message import DAY_SECONDS, PRUNE_MESSAGES

    before = time.time() - days * DAY_SECONDS
    messages = sum(iter(lambda: store.prune(before, PRUNE_MESSAGES), 0))
    say("", f"{messages} messages older than {days:g} days are deleted")
    if forgotten := store.forget_sealed(before, unread=with_sealed):
        say("", f"{forgotten} sealed replies older than {days:g} days are deleted")
    if left := sum(one.received_at < before for one in store.sealed(unread=True)):
        say("yellow", f"{left} unread sealed replies are kept;", "--sealed deletes them, too")


def _show_status(store: Inbox) -> None:
    """Who writes into the inbox, which process reads each feed, and what needs a person."""
    from airflow_provider_taskwatch.hub.canceller import unsettled
    from airflow_provider_taskwatch.inbox.aside import asides

    say("", repr(store))
    for one in store.heartbeats():
        say("", f"receiver on {one.host}, {one.age_seconds:.0f} s ago", one.url)
    for name, holder in store.holders().items():
        say("", f"{name}: held by {holder}")
    if kept := store.count_task_states():
        say("", f"records of starts: {kept}, kept until their Airflow tasks are over; `prune` leaves them")
    for feed, number in Counter(one.feed for one in asides(store)).items():
        say("red", f"{feed}: {number} of its events cannot be read and are set aside;", "see `inbox show`")
    for cancel in unsettled(store):
        say(
            "red",
            f"{cancel.shown_ref} of {cancel.conn_id} is still to be cancelled:",
            f"a user has ended {cancel.task}",
        )


def _show_unread(store: Inbox, *, is_raw: bool) -> None:
    """Replies whose events are not stored, and what was set aside.

    :param is_raw: whether to print the content as well.
    """
    from airflow_provider_taskwatch.config.inbox import open_seal
    from airflow_provider_taskwatch.inbox.aside import asides

    sealed, others = list(store.sealed()), list(asides(store))
    if not sealed and not others:
        say("", "nothing is set aside, and all replies are stored")
    for one in sealed:
        say("", f"{one.feed} at {_second(one.received_at)}:", one.problem or "its events are not stored yet")
        if is_raw:
            say("", open_seal().open(one.content).decode(errors="replace"))
    for other in others:
        say("", f"{other.feed} at {_second(other.received_at)}:", other.problem)
        if is_raw:
            say("", other.open(open_seal).decode(errors="replace"))


def _second(at: float) -> str:
    return datetime.fromtimestamp(at, UTC).isoformat(timespec="seconds")
