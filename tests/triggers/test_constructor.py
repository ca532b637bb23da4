"""The constructors of triggers: any error but a TypeError ends Airflow's triggerer, with all that wait in it."""

from __future__ import annotations

from contextlib import suppress
from typing import Any

import pytest

from airflow_provider_taskwatch.core.error import ConfigurationError, TriggerArgumentError
from airflow_provider_taskwatch.core.outcome import Ending, from_event
from airflow_provider_taskwatch.sandbox.server import Running
from airflow_provider_taskwatch.triggers.event import EventTrigger
from airflow_provider_taskwatch.triggers.feed import FeedTrigger
from airflow_provider_taskwatch.triggers.watch import WatchTrigger
from tests.rows import each_row

ODD: list[Any] = [None, "", "text", 0, 5, -1.5, True, [], ["a"], [["a", "b"]], {}, {"a": object()}, {1: 2}, b"x", {3}]
GIVEN: dict[Any, dict[str, Any]] = {
    WatchTrigger: {"conn_id": "automic_default", "started_at": "2026-01-31T06:00:00+00:00", "plan": {}},
    EventTrigger: {"conn_id": "acronis_default", "feed": {}, "want": {}},
    FeedTrigger: {"name": "n", "conn_id": "acronis_default", "feed": {}, "match": {}, "names": [], "batch_size": 5},
}


@each_row("kind, name, odd", [(kind, name, odd) for kind, given in GIVEN.items() for name in given for odd in ODD])
def test_a_constructor_raises_no_other_error(kind: Any, name: str, odd: Any) -> None:
    with suppress(TriggerArgumentError):
        kind(**{**GIVEN[kind], name: odd}).serialize()


def test_airflow_survives_the_error_of_a_constructor() -> None:
    assert issubclass(TriggerArgumentError, TypeError)


@pytest.mark.parametrize("odd", [None, "text", 5, ["plan"]])
async def test_a_damaged_plan_is_refused_when_the_trigger_runs(odd: Any, connected: Running) -> None:
    trigger = WatchTrigger(**{**GIVEN[WatchTrigger], "plan": odd})
    event = await anext(trigger.run())
    assert from_event(event.payload).ending is Ending.REFUSED


@pytest.mark.parametrize("given", [{"name": ""}, {"batch_size": 0}, {"batch_size": "5"}, {"match": {"a": {}}}])
def test_a_wrong_argument_of_a_watcher_is_named_where_the_dag_is_written(given: dict[str, Any]) -> None:
    with pytest.raises(ConfigurationError, match=next(iter(given))):
        FeedTrigger(**{**GIVEN[FeedTrigger], **given})


@pytest.mark.parametrize("name", ["feed", "match"])
def test_a_name_that_ends_airflows_triggerer_is_refused_where_the_dag_is_written(name: str) -> None:
    """Airflow takes the dict for one in its own encoding, and fails with a KeyError when it makes the trigger."""
    with pytest.raises(ConfigurationError, match=f"{name} must not have the name '__type', which Airflow reserves"):
        FeedTrigger(**{**GIVEN[FeedTrigger], name: {"__type": "set", "a": "b"}})
