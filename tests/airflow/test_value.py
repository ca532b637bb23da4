"""Whatever a remote says gets through Airflow's own encoders and into its databases, or says what is missing of it."""

from __future__ import annotations

import json
from collections.abc import Iterator
from decimal import Decimal
from typing import Any

import msgspec
import pytest
import sqlalchemy as sa
from airflow.jobs.triggerer_job_runner import messages
from airflow.sdk.execution_time.comms import SetXCom
from airflow.sdk.execution_time.xcom import XCom
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from pydantic import TypeAdapter
from sqlalchemy.dialects import postgresql

from airflow_provider_taskwatch.core.feed import Event, fitted, shown, whole
from airflow_provider_taskwatch.core.outcome import Ending, Outcome, from_event
from airflow_provider_taskwatch.core.text import bounded, safe, shortened, stored
from airflow_provider_taskwatch.triggers.base import BriefEvent
from airflow_provider_taskwatch.triggers.event import found
from tests.any_airflow import deserialize, fired_by_first_trigger, serialize

NAMES = st.sampled_from(
    ["__classname__", "__id__", "__type", "__var", "__data__", "__version__", "...", "", "\0", "\ufffd"]
)
TEXTS = st.text(st.characters(exclude_categories=()))
NUMBERS = st.integers() | st.integers(min_value=-(10**400), max_value=10**400) | st.floats()
REMOTE = st.recursive(
    st.none() | st.booleans() | NUMBERS | TEXTS,
    lambda inner: st.lists(inner) | st.dictionaries(NAMES | TEXTS, inner),
    max_leaves=30,
)
"""Any JSON value that Python reads, and some that it only could."""
PATIENTLY = settings(deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow])

row = sa.Table(
    "row",
    sa.MetaData(),
    sa.Column("binary", sa.JSON().with_variant(postgresql.JSONB, "postgresql")),
    sa.Column("text", sa.JSON()),
)
"""The types of Airflow's XComs and of a task's next arguments; and that of an asset event's ``extra``."""


@pytest.fixture(params=["sqlite", "postgresql"])
def database(request: pytest.FixtureRequest) -> Iterator[sa.Engine]:
    url = "sqlite://" if request.param == "sqlite" else request.getfixturevalue("postgres_url")
    engine = sa.create_engine(url.replace("postgresql://", "postgresql+psycopg://"))
    row.create(engine)
    yield engine
    engine.dispose()


def over_the_wire(body: dict[str, Any]) -> dict[str, Any]:
    """What the other process gets of a message: Airflow's frames are MessagePack, and refuse what that cannot say."""
    decoded: dict[str, Any] = msgspec.msgpack.decode(msgspec.msgpack.encode(body))
    return decoded


def fired(event: Any) -> Any:
    """What a triggerer's supervisor gets of an event of its runner."""
    sent = messages.TriggerStateChanges(events=[fired_by_first_trigger(event)])
    got = TypeAdapter(messages.TriggerStateChanges).validate_python(over_the_wire(sent.model_dump()))
    assert got.events is not None
    [(_, arrived, *_)] = got.events
    return arrived.payload


def resumed(payload: Any) -> Any:
    """What a worker gets of an event that was kept for it."""
    return deserialize(json.loads(json.dumps(serialize({"event": payload}), allow_nan=False)))["event"]


def pulled(value: Any) -> Any:
    """What a task gets of a value that another one has pushed."""
    pushed = SetXCom(key="k", value=XCom.serialize_value(value), dag_id="d", run_id="r", task_id="t")
    got = SetXCom.model_validate_json(SetXCom.model_validate(over_the_wire(pushed.model_dump())).model_dump_json())
    return XCom.deserialize_value(got)


def test_an_event_of_any_remote_leaves_the_runner_and_reaches_the_worker() -> None:
    @PATIENTLY
    @given(REMOTE, TEXTS, TEXTS)
    def tried(content: Any, name: str, message: str) -> None:
        outcome = Outcome(ending=Ending.FAILED, ref=name, status=name, message=message, result={"a": content})
        for one in (outcome, found(Event(id=name, name=name, subject=name, at=0.0, content={"a": content}))):
            event = BriefEvent(one.to_event(), summary=one.message)
            assert fired(event) == one.to_event() == resumed(one.to_event())
            assert from_event(resumed(fired(event))) == one
            assert str(event).encode()

    tried()


def test_the_events_of_a_watcher_leave_the_runner_whatever_is_in_them() -> None:
    @PATIENTLY
    @given(st.lists(REMOTE, max_size=3), st.floats())
    def tried(contents: list[Any], at: float) -> None:
        events = [shown(Event(id="1", name="n", subject="", at=at, content={"a": one})) for one in contents]
        payload = {"name": "n", "events": events}
        assert fired(BriefEvent(payload, summary="w")) == payload == resumed(payload)

    tried()


@PATIENTLY
@given(REMOTE)
def test_no_event_that_we_fire_can_end_the_runner(payload: Any) -> None:
    """The last door: even one that was made without any care."""
    event = BriefEvent({"a": payload, "b": (payload, {payload_key(payload): b"\xff"})}, summary="w")
    assert resumed(fired(event)) == event.payload


def payload_key(payload: Any) -> Any:
    return payload if isinstance(payload, (int, float, str)) else None


@PATIENTLY
@given(REMOTE)
def test_any_result_is_pulled_as_it_was_pushed(value: Any) -> None:
    for kept in (
        shortened(value),
        safe(value),
        shown(Event(id="1", name="n", subject="", at=0.0, content={"a": value})),
    ):
        assert pulled(kept) == kept


def digits(value: Any) -> Any:
    """The value with its numbers as they are written; PostgreSQL makes 1e17 a whole number."""
    return json.loads(json.dumps(value), parse_int=Decimal, parse_float=Decimal)


def test_any_value_comes_back_from_a_database_as_it_went_in(database: sa.Engine) -> None:
    @PATIENTLY
    @given(REMOTE)
    def tried(value: Any) -> None:
        kept = {"a": shortened(value), "b": safe(value)}
        with database.begin() as connection:
            connection.execute(row.delete())
            connection.execute(row.insert().values(binary=serialize(kept), text=kept))
            [back] = connection.execute(sa.select(row)).all()
        assert back.text == kept
        assert digits(deserialize(back.binary)) == digits(kept)
        assert over_the_wire({"value": back.binary}) == {"value": back.binary}

    tried()


@PATIENTLY
@given(REMOTE)
def test_what_was_made_safe_stays_as_it_is(value: Any) -> None:
    for door in (safe, stored, shortened):
        assert door(door(value)) == door(value)
    assert bounded(bounded(value).value).loss == ""
    assert fitted(Event(id="1", name="n", subject="", at=0.0, content={"a": value})).loss == "" or value


@PATIENTLY
@given(st.binary())
def test_any_bytes_are_a_text(body: bytes) -> None:
    assert pulled(safe(body)) == body.decode("utf-8", "replace").replace("\0", "\ufffd")


def test_all_of_an_event_that_fits_is_there() -> None:
    event = Event(id="1", name="n", subject="s", at=0.0, content={"report": "x" * 90_000})
    assert found(event).result == whole(event)
    assert found(event).loss == ""
