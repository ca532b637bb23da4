"""Events that are logged by a summary go through Airflow whole."""

from __future__ import annotations

import warnings

from airflow.jobs.triggerer_job_runner import messages
from airflow.triggers.base import TriggerEvent

from airflow_provider_taskwatch.triggers.base import BriefEvent
from tests.any_airflow import fired_by_first_trigger

EVENT = BriefEvent({"patient": "Ada Lovelace"}, summary="one event")


def test_the_log_shows_the_summary_alone() -> None:
    assert f"{EVENT} {EVENT!r}".count("Ada") == 0
    assert repr(EVENT) == "TriggerEvent<one event>"


def test_the_supervisor_reads_the_payload() -> None:
    with warnings.catch_warnings(action="error"):
        sent = messages.TriggerStateChanges(
            events=[fired_by_first_trigger(EVENT)], finished=None, failures=None
        ).model_dump_json()
    read = messages.TriggerStateChanges.model_validate_json(sent)

    assert read.events is not None
    [(_, event, *_)] = read.events
    assert type(event) is TriggerEvent
    assert event.payload == {"patient": "Ada Lovelace"}
