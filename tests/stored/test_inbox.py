"""The stored names of an inbox: tables, channels, positions, leases, deliveries."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa
from sqlalchemy.dialects import postgresql, sqlite

from airflow_provider_taskwatch.core.cancel import Cancel, cancel_from
from airflow_provider_taskwatch.core.event_filter import EventFilter
from airflow_provider_taskwatch.core.feed import Event, Unreadable
from airflow_provider_taskwatch.core.flow import Flow
from airflow_provider_taskwatch.core.settings import Settings
from airflow_provider_taskwatch.core.wire import Reply
from airflow_provider_taskwatch.feed.batch_range import BatchRange, BatchRanges
from airflow_provider_taskwatch.feed.checkpoint import deletions_of
from airflow_provider_taskwatch.feed.follower import FeedFollower
from airflow_provider_taskwatch.feed.worker_reader import WorkerFeedReader
from airflow_provider_taskwatch.hub.canceller import Canceller, unsettled, write_down
from airflow_provider_taskwatch.hub.hub import Hub
from airflow_provider_taskwatch.inbox import schema
from airflow_provider_taskwatch.inbox.aside import set_aside
from airflow_provider_taskwatch.inbox.event import event_of, message_of
from airflow_provider_taskwatch.inbox.message import Message
from airflow_provider_taskwatch.inbox.protocol import Inbox
from airflow_provider_taskwatch.inbox.seal import Seal
from airflow_provider_taskwatch.inbox.store import SqlInbox
from airflow_provider_taskwatch.operators.automic import CHANNEL as CALLBACKS
from airflow_provider_taskwatch.remotes import REMOTES
from tests.feed.remote import QueueFeed
from tests.task.life import Store
from tests.until import until

HERE = Path(__file__).parent
NOW = 1_800_000_000.0
FEED = "fake queue"
KEY = "xA8DTu8uHU3YQyNYqJgrhTpHnZbeylXGlPSyIBzqe0s="


class SpiedInbox(SqlInbox):
    """Records the names of the leases that were requested."""

    def __init__(self, url: str) -> None:
        super().__init__(url, clock=lambda: NOW)
        self.leases: list[str] = []

    def lease(self, name: str, holder: str, seconds: float) -> bool:
        self.leases.append(name)
        return super().lease(name, holder, seconds)


@pytest.fixture
def url(tmp_path: Path) -> str:
    return f"sqlite:///{tmp_path}/inbox.db"


@pytest.fixture
def inbox(url: str) -> Iterator[SpiedInbox]:
    inbox = SpiedInbox(url)
    yield inbox
    inbox.close()


def rows(url: str, table: str) -> list[dict[str, Any]]:
    """The rows of a table, read without the package's code."""
    engine = sa.create_engine(url)
    with engine.connect() as connection:
        found = [dict(row) for row in connection.execute(sa.text(f"SELECT * FROM {table}")).mappings()]
    engine.dispose()
    return found


def positions(url: str) -> dict[str, str]:
    return {row["feed"]: row["position"] for row in rows(url, "taskwatch_position")}


def bring(inbox: Inbox, *names: str, at: float = NOW) -> None:
    events = [Event(id=name, name="made", subject="s", at=at, content={"of": name}) for name in names]
    inbox.append(FEED, [message_of(FEED, one, at) for one in events])


# --- tables


def statements(sql: str) -> list[str]:
    """Each statement on one line, with the indices in a fixed order."""
    return sorted(" ".join(one.split()) for one in sql.split(";") if one.strip())


@pytest.mark.parametrize("dialect", [sqlite.dialect(), postgresql.dialect()], ids=lambda one: str(one.name))
def test_the_tables_and_their_version_are_these(dialect: sa.Dialect) -> None:
    made: list[str] = []
    engine = sa.create_mock_engine(
        f"{dialect.name}://", lambda sql, *_, **__: made.append(str(sql.compile(dialect=dialect)))
    )
    schema.tables.create_all(engine, checkfirst=False)
    assert statements(";".join(made)) == statements((HERE / f"inbox.{dialect.name}.sql").read_text())
    assert schema.VERSION == 1
    assert schema.LOCK == 0x7461736B77617463


def test_a_new_database_has_the_tables_of_this_version(inbox: SpiedInbox, url: str) -> None:
    bring(inbox, "a")
    assert rows(url, "taskwatch_version") == [{"version": 1}]
    made = [row["sql"] for row in rows(url, "sqlite_master") if row["sql"] and row["tbl_name"] != "sqlite_sequence"]
    assert statements(";".join(made)) == statements((HERE / "inbox.sqlite.sql").read_text())


# --- messages


def test_the_channel_of_callbacks_is_the_system() -> None:
    assert CALLBACKS == "automic"


def test_an_event_is_stored_in_this_form(inbox: SpiedInbox, url: str) -> None:
    event = Event(id="e1", name="made", subject="s1", at=5.5, content={"a": [1]})
    message = message_of(FEED, event, NOW)
    inbox.append(FEED, [message])
    [row] = rows(url, "taskwatch_message")
    assert json.loads(row.pop("content")) == {"name": "made", "at": 5.5, "content": {"a": [1]}}
    assert row == {"number": 1, "channel": FEED, "subject": "s1", "delivery": "e1", "received_at": NOW}
    assert event_of(inbox.after(FEED, 0)[0].message) == event


def test_ids_too_long_for_an_index_end_in_a_hash() -> None:
    message = message_of(FEED, Event(id="i" * 2000, name="made", subject="s" * 2000, at=5.5, content={}), NOW)
    assert message.delivery == f"{'i' * 1120} {HASH_OF_I}"
    assert message.subject == f"{'s' * 1120} {HASH_OF_S}"
    assert message.content["subject"] == "s" * 2000


HASH_OF_I = "0c57396a6f29ba62475c841060aace348ec3a8f0a85165a25fc2c8e7e5734b4d"
HASH_OF_S = "f95593ebda668600daabc0cc8a53dc48b99edcfd6d37ffe4c6c7ddfedd01b34b"


def test_an_unreadable_event_is_set_aside_in_this_form() -> None:
    odd = Unreadable(content=b'{"odd": 1}', problem="it has no name")
    plain = set_aside(FEED, odd, NOW, None)
    assert (plain.channel, plain.subject) == ("aside", FEED)
    assert plain.delivery == "fake queue 51e17f55eb20fdaa941ef119c82193ae358021ee154b2cb953b5b5ffa3687c35"
    assert plain.content == {"problem": "it has no name", "plain": '{"odd": 1}'}

    sealed = set_aside(FEED, odd, NOW, Seal([KEY]))
    assert sealed.delivery == "fake queue e848f2ed1e604aa4acf70f3672c2d2945ddcf90906d418dbd1f111ee12194135"
    assert set(sealed.content) == {"problem", "sealed"}
    assert Seal([KEY]).open(sealed.content["sealed"].encode()) == odd.content


def test_content_sealed_by_an_older_version_can_be_opened() -> None:
    assert Seal([KEY]).open(SEALED) == b'{"odd": 1}'


SEALED = b"gAAAAABrDdOOkllH3te9sMyE15I6gHip6XfOBluaSWGIrV0fqid5nFkQCVyNpDECL0lJcXpSLMxxIPePoCit0frnTCWXt7inyQ=="


# --- kept cancels

CANCEL: dict[str, Any] = {
    "cancel_id": "0123456789abcdef",
    "conn_id": "automic_default",
    "ref": "1000001",
    "id_space": "https://automic.example.com/ae/api/v1 client 100",
    "options": {"alias": "JOBS-T-0123456789ab"},
    "dag_id": "d",
    "run_id": "r",
    "task_id": "t",
    "map_index": 3,
    "keeps_record": True,
    "is_users": True,
    "unknown_until": 5.5,
    "valid_until": 6.5,
    "kept_at": NOW,
}
"""No value is a default, so that a dropped field is noticed."""


def test_a_kept_cancel_has_this_channel_and_these_fields(inbox: SpiedInbox, url: str) -> None:
    cancel = cancel_from(CANCEL)
    assert cancel is not None
    assert json.dumps(cancel.to_json()) == json.dumps(CANCEL)
    write_down(inbox, cancel, NOW)

    [row] = rows(url, "taskwatch_message")
    assert json.loads(row.pop("content")) == CANCEL
    assert row == {
        "number": 1,
        "channel": "taskwatch.cancel",
        "subject": "cancel 0123456789abcdef",
        "delivery": "0123456789abcdef",
        "received_at": NOW,
    }
    assert unsettled(inbox) == [cancel]

    inbox.append("taskwatch.cancel.settled", [settled_message("0123456789abcdef")])
    assert unsettled(inbox) == []


def settled_message(cancel_id: str) -> Message:
    """The message of another process after the cancel has reached the remote."""
    return Message(
        channel="taskwatch.cancel.settled",
        subject=f"cancel {cancel_id}",
        delivery=cancel_id,
        content={"words": "execution 1000001 was cancelled"},
        received_at=NOW,
    )


def test_a_cancel_of_an_older_version_is_read() -> None:
    assert cancel_from({"cancel_id": "c", "conn_id": "a", "ref": "1"}) == Cancel(cancel_id="c", conn_id="a", ref="1")


async def test_a_cancel_is_tried_under_this_lease(inbox: SpiedInbox) -> None:
    cancel = cancel_from(CANCEL)
    assert cancel is not None

    async def opened() -> Inbox:
        return inbox

    async def succeeded(**_: Any) -> str:
        return "success"

    def no_hub(conn_id: str) -> Hub:
        raise AssertionError(conn_id)

    await Canceller(opened, no_hub, succeeded, clock=lambda: NOW).keep(cancel)
    await until(lambda: bool(inbox.leases))
    assert inbox.leases == ["cancel 0123456789abcdef"]


# --- readers


def test_a_follower_has_these_positions_and_this_lease(inbox: SpiedInbox, url: str) -> None:
    follower = FeedFollower(
        inbox, name="mine", fingerprint="f00d", channel=FEED, event_filter=EventFilter(), quiet_seconds=0.0
    )

    async def follow() -> None:
        bundles = follower.bundles()
        reading = asyncio.ensure_future(anext(bundles))
        await until(lambda: "feed trigger mine" in positions(url))
        bring(inbox, "a")
        follower.news.set()
        bundle = await reading
        await follower.confirm(bundle.number)
        assert positions(url)["feed trigger mine burst"] == "open"
        closing = asyncio.ensure_future(anext(bundles))
        await until(lambda: positions(url)["feed trigger mine burst"] == "closed")
        closing.cancel()
        with suppress(asyncio.CancelledError):
            await closing

    bring(inbox, "before")
    asyncio.run(asyncio.wait_for(follow(), 20.0))
    found = positions(url)
    assert json.loads(found.pop("spot of feed trigger mine")) == {"number": 2, "passed": 2, "delivery": "a", "at": NOW}
    assert found == {"feed trigger mine": "2", "feed trigger mine burst": "closed"}
    assert set(inbox.leases) == {"feed trigger mine"}
    [lease] = rows(url, "taskwatch_lease")
    assert lease["name"] == "feed trigger mine"
    assert lease["holder"].startswith("f00d ")


def test_a_reader_in_batches_has_this_position_and_these_ranges(inbox: SpiedInbox, url: str) -> None:
    store = Store()
    name = f"reader d.t of {FEED}"
    ranges = BatchRanges(inbox, name, "run_1 -1", store, clock=lambda: NOW)
    reader = WorkerFeedReader(QueueFeed(), inbox, lambda _: None, lambda: Seal([KEY]))
    bring(inbox, "a", "b")
    start = reader.begin(0)
    end, _ = start.after(next(iter(reader.pages(start))).rows, next(iter(reader.pages(start))))
    assert ranges.claim(None, start, end, 2)

    assert json.loads(positions(url)[name]) == {
        "run": "run_1 -1",
        "start": 0,
        "end": 2,
        "passed": 2,
        "delivery": "b",
        "at": NOW,
    }
    row = rows(url, "taskwatch_message")[-1]
    assert (row["channel"], row["subject"], row["delivery"]) == (name, "", "run_1 -1")
    assert json.loads(row["content"]) == {"start": 0, "end": 2, "size": 2}
    assert store.get("taskwatch_share") == {"reader": name, "share": {"start": 0, "end": 2, "size": 2}}


def test_ranges_of_an_older_version_are_found(inbox: SpiedInbox) -> None:
    name = f"reader d.t of {FEED}"
    inbox.save_position(name, json.dumps({"run": "run_1 -1", "start": 3, "end": 7}))
    ranges = BatchRanges(inbox, name, "run_1 -1", None)
    assert ranges.mine() == BatchRange(start=3, end=7)
    reached = ranges.reached()
    assert reached is not None
    assert (reached.end.number, reached.end.passed) == (7, None)

    store = Store()
    store.set("taskwatch_share", {"reader": name, "share": {"start": 1, "end": 2, "size": 1}})
    assert BatchRanges(inbox, name, "another -1", store).mine() == BatchRange(start=1, end=2, size=1)


def test_deletions_of_a_channel_are_counted_under_this_position(inbox: SpiedInbox, url: str) -> None:
    bring(inbox, "a", "b", at=NOW)
    inbox.prune(NOW + 1.0, 10)
    assert json.loads(positions(url)[f"pruned {FEED}"]) == {"number": 2, "count": 2, "at": NOW, "days": {"20833": 2}}
    assert deletions_of(inbox, FEED).count == 2


# --- feeds


class Queue(QueueFeed):
    """Has one event."""

    def read(self, position: str, reader: str, *, waits: bool = True) -> Flow[Reply]:
        self.reader = reader
        return Reply(status=200, body=b"[1]")
        yield  # makes this function a flow


def test_a_feed_has_these_positions_and_this_lease(inbox: SpiedInbox, url: str) -> None:
    feed = Queue()

    def converse(flow: Flow[Any]) -> Any:
        try:
            while True:
                flow.send(None)
        except StopIteration as end:
            return end.value

    WorkerFeedReader(feed, inbox, converse, lambda: Seal([KEY]), clock=lambda: NOW).fetch(None, 1)
    assert positions(url) == {FEED: "1", f"{FEED} reader": feed.reader}
    assert inbox.leases == [f"pump {FEED}"]


def settings(connection_type: str, **own: Any) -> Settings:
    return Settings(
        conn_id="c",
        connection_type=connection_type,
        base_url="https://remote.example.com/api",
        auth="oauth2",
        login="us",
        password="s3cret",
        own=own,
    )


@pytest.mark.parametrize("delivery", ["pull", "push"])
def test_the_feed_of_docplanner_has_this_key(delivery: str) -> None:
    feed = REMOTES.feed_for(settings("docplanner", delivery=delivery, store_payload="ids", denial_code=None), {})
    assert feed.key == "docplanner remote.example.com 79adb2a2fce5c6ba"


@pytest.mark.parametrize(
    "wishes, key",
    [
        ({}, "acronis c a.p.tenant.v1.0 1a335ece-487d-5938-8860-63e7bb2785e2"),
        ({"consumer": "stateless"}, "acronis c a.p.tenant.v1.0 96e9f795-aa66-5ecd-a4ee-11b6a48cdcef"),
        (
            {
                "tenant_depth": "CURRENT",
                "tenant_id": "0a5e3ab0-6f1c-4a5b-8d0e-0a5e3ab06f1c",
                "cel": "event.data.x == 1",
                "session_timeout": "PT1M",
            },
            "acronis c a.p.tenant.v1.0 7485b853-7532-502c-a55a-dd42ed66c4a1",
        ),
    ],
)
def test_the_feeds_of_acronis_have_these_keys(wishes: dict[str, Any], key: str) -> None:
    topic = {"topic": "cti.a.p.em.topic.v1.0~a.p.tenant.v1.0", "types": ["cti.a.p.em.event.v1.0~a.p.tenant.*"]}
    feed = REMOTES.feed_for(settings("acronis", environment=None, many_values="repeated"), {**topic, **wishes})
    assert feed.key == key
