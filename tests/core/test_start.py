from __future__ import annotations

import json
from dataclasses import replace

import pytest

from airflow_provider_taskwatch.core.error import ConfigurationError
from airflow_provider_taskwatch.core.start import Decision, Record, Started, decide, fingerprint, from_json

RECORD = Record(
    start_id="0123456789ab", fingerprint="same", max_tries=2, started_at="2026-01-31T06:00:00+00:00", ref="7"
)
INTENT = replace(RECORD, ref=None)


def decision(record, *, inputs="same", max_tries=2):
    return decide(record, fingerprint=inputs, max_tries=max_tries)


@pytest.mark.parametrize("record", [None, replace(RECORD, is_delivered=True), replace(INTENT, is_delivered=True)])
def test_without_an_open_start_there_is_a_new_one(record):
    assert decision(record) is Decision.START
    assert decision(record, inputs="changed", max_tries=3) is Decision.START


def test_a_retry_rejoins_what_it_has_started():
    assert decision(RECORD) is Decision.REJOIN


def test_a_retry_with_other_inputs_starts_anew():
    assert decision(RECORD, inputs="changed") is Decision.START_CHANGED


def test_a_start_whose_reply_nobody_saw_is_looked_up_and_never_repeated_blindly():
    assert decision(INTENT) is Decision.LOOK_UP
    assert decision(INTENT, inputs="changed") is Decision.LOOK_UP


@pytest.mark.parametrize("record", [RECORD, INTENT])
@pytest.mark.parametrize("inputs", ["same", "changed"])
def test_a_clear_starts_anew_whatever_was_known(record, inputs):
    assert decision(record, inputs=inputs, max_tries=3) is Decision.START_CLEARED


@pytest.mark.parametrize("max_tries", [2, 3])
@pytest.mark.parametrize("inputs", ["same", "changed"])
def test_an_adopted_execution_is_rejoined_by_the_next_attempt_whatever_it_is(inputs, max_tries):
    adopted = replace(RECORD, max_tries=None)
    assert decision(adopted, inputs=inputs, max_tries=max_tries) is Decision.REJOIN


@pytest.mark.parametrize("record", [RECORD, INTENT, replace(RECORD, max_tries=None, is_delivered=True)])
def test_a_record_survives_between_two_attempts(record):
    assert from_json(json.loads(json.dumps(record.to_json()))) == record


def test_no_record_is_none():
    assert from_json(None) is None


def test_a_record_of_an_older_or_newer_version_is_read():
    stored = {name: value for name, value in INTENT.to_json().items() if name not in ("ref", "is_delivered")}
    assert from_json({**stored, "new": True}) == INTENT


@pytest.mark.parametrize("stored", [{}, {"ref": "7"}, "text", [], 5, False])
def test_a_record_that_cannot_be_read_is_loud_because_a_second_start_would_be_worse(stored):
    with pytest.raises(ConfigurationError, match=r"record of the start .* cannot be read"):
        from_json(stored)


def test_a_ref_that_is_not_known_yet_cannot_be_used():
    assert RECORD.known_ref == "7"
    with pytest.raises(ValueError, match="the start 0123456789ab has no ref yet"):
        _ = INTENT.known_ref


def test_a_start_may_bring_no_ref():
    assert (Started(ref=None).ref, Started(ref=None).reply) == (None, {})


def test_a_fingerprint_knows_inputs_by_their_content():
    assert fingerprint({"a": 1, "b": [1, 2]}) == fingerprint({"b": (1, 2), "a": 1})
    assert fingerprint({"a": 1}) != fingerprint({"a": 2})
    assert fingerprint({"a": 1, 2: "b"}) == fingerprint({2: "b", "a": 1})
    assert len(fingerprint(None)) == 16


def test_a_fingerprint_does_not_show_the_inputs():
    assert "s3cret" not in fingerprint({"password": "s3cret"})
