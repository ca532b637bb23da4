"""What a callback adds to an outcome, and what it does not."""

from __future__ import annotations

import pytest

from airflow_provider_taskwatch.core.callback import Callback, Expectation, enriched
from airflow_provider_taskwatch.core.error import ConfigurationError
from airflow_provider_taskwatch.core.outcome import Ending, Outcome

ENDED = Outcome(ending=Ending.FAILED, ref="7", status="1800", message="execution 7: failed", result={"status": 1800})


def test_kept_values_are_marked_as_not_confirmed() -> None:
    outcome = enriched(ENDED, {"a": 1, "b": 2, "status": 1900}, Callback(), ["a", "missing"])

    assert outcome.result == {"status": 1800, "callback": {"is_confirmed": False, "a": 1}}
    assert outcome.ending is Ending.FAILED


def test_no_other_value_is_kept() -> None:
    assert enriched(ENDED, {"a": 1}, Callback(ref="7", status="1900"), []) == ENDED


def test_error_messages_are_added_to_a_failure() -> None:
    outcome = enriched(ENDED, {}, Callback(errors={"last_error_message": "disk\nfull"}), [])

    assert outcome.message == "execution 7: failed\nlast_error_message: disk full"


def test_error_messages_are_not_added_to_a_success() -> None:
    success = Outcome(ending=Ending.SUCCEEDED, ref="7", message="fine")

    assert enriched(success, {}, Callback(errors={"last_error_message": "old"}), []) == success


def test_the_polls_until_a_callback_need_an_interval() -> None:
    with pytest.raises(ConfigurationError, match="callback_poll_interval"):
        Expectation(poll_seconds=0)
