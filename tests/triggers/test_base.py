"""Events that are logged by a summary go through Airflow whole."""

from __future__ import annotations

import warnings

from airflow.jobs.triggerer_job_runner import TriggerEventEntry, messages
from airflow.triggers.base import TriggerEvent

from airflow_provider_taskwatch.triggers.base import BriefEvent

EVENT = BriefEvent({"patient": "Ada Lovelace"}, summary="one event")


def test_the_log_shows_the_summary_alone() -> None:
    assert f"{EVENT} {EVENT!r}".count("Ada") == 0
    assert repr(EVENT) == "TriggerEvent<one event>"


def test_the_supervisor_reads_the_payload() -> None:
    with warnings.catch_warnings(action="error"):
        sent = messages.TriggerStateChanges(
            events=[TriggerEventEntry(trigger_id=1, event=EVENT, persist_seq=None)], finished=None, failures=None
        ).model_dump_json()
    read = messages.TriggerStateChanges.model_validate_json(sent)

    assert read.events is not None
    assert type(read.events[0].event) is TriggerEvent
    assert read.events[0].event.payload == {"patient": "Ada Lovelace"}
