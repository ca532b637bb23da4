from __future__ import annotations

import functools
import json
from dataclasses import replace

import pytest

from airflow_provider_taskwatch.core.error import ConfigurationError
from airflow_provider_taskwatch.core.mask import Mask
from airflow_provider_taskwatch.core.record import (
    MOST_MARKS,
    Record,
    Started,
    changed_inputs,
    fingerprint,
    from_json,
    marks,
)
from airflow_provider_taskwatch.core.start import Decision, decide, objection
from tests.rows import each_row

RECORD = Record(
    start_id="0123456789ab", fingerprint="same", max_tries=2, started_at="2026-01-31T06:00:00+00:00", ref="7"
)
INTENT = replace(RECORD, ref=None)


def decision(record, *, inputs="same", max_tries=2, **now):
    return decide(record, fingerprint=inputs, max_tries=max_tries, **now)


@pytest.mark.parametrize("record", [None, replace(RECORD, is_delivered=True), replace(INTENT, is_delivered=True)])
def test_without_an_open_start_there_is_a_new_one(record):
    assert decision(record) is Decision.START
    assert decision(record, inputs="changed", max_tries=3) is Decision.START


def test_a_retry_rejoins_what_it_has_started():
    assert decision(RECORD) is Decision.REJOIN


def test_a_retry_with_other_inputs_starts_anew():
    assert decision(RECORD, inputs="changed") is Decision.START_CHANGED


def test_a_start_whose_reply_was_lost_is_looked_up_and_never_repeated_blindly():
    assert decision(INTENT) is Decision.LOOK_UP
    assert decision(INTENT, inputs="changed") is Decision.LOOK_UP


@each_row("record", [RECORD, INTENT])
@each_row("inputs", ["same", "changed"])
def test_a_clear_starts_anew_whatever_was_known(record, inputs):
    assert decision(record, inputs=inputs, max_tries=3) is Decision.START_CLEARED


KNOWN = replace(RECORD, clear_number=4, carrier="mine", id_space="here")


@each_row(
    "record, now, expected",
    [
        (KNOWN, {"clear_number": 5, "carrier": "renewed"}, Decision.START_CLEARED),
        (replace(KNOWN, ref=None), {"clear_number": 5, "carrier": "renewed"}, Decision.START_CLEARED),
        (KNOWN, {"clear_number": 5, "carrier": "mine"}, Decision.REJOIN),
        (KNOWN, {"clear_number": 4, "carrier": "renewed"}, Decision.REJOIN),
        (KNOWN, {"clear_number": 5, "carrier": ""}, Decision.REJOIN),
        (KNOWN, {"clear_number": None, "carrier": "renewed"}, Decision.REJOIN),
        (KNOWN, {}, Decision.REJOIN),
        (RECORD, {"clear_number": 5, "carrier": "renewed"}, Decision.REJOIN),
        (replace(KNOWN, max_tries=None), {"clear_number": 5, "carrier": "renewed"}, Decision.REJOIN),
    ],
)
def test_a_clear_that_leaves_max_tries_is_known_by_the_carrier_that_it_renews(record, now, expected):
    assert decision(record, id_space="here", **now) is expected


@each_row(
    "record, id_space, expected",
    [
        (KNOWN, "elsewhere", Decision.MOVED),
        (replace(KNOWN, ref=None), "elsewhere", Decision.MOVED),
        (replace(KNOWN, fingerprint="other"), "elsewhere", Decision.MOVED),
        (KNOWN, "here", Decision.REJOIN),
        (KNOWN, "", Decision.REJOIN),
        (RECORD, "elsewhere", Decision.REJOIN),
    ],
)
def test_a_start_at_another_place_is_neither_rejoined_nor_looked_up(record, id_space, expected):
    assert decision(record, id_space=id_space) is expected


def test_a_clear_starts_anew_wherever_the_earlier_one_was_started():
    assert decision(KNOWN, max_tries=3, id_space="elsewhere") is Decision.START_CLEARED


@each_row("max_tries", [2, 3])
@each_row("inputs", ["same", "changed"])
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


EDITED = [{"started_at": "yesterday"}, {"started_at": "2026-01-31T06:00:00"}, {"started_at": None}, {"ref": 7}]


@each_row("stored", [{}, {"ref": "7"}, "text", [], 5, False, *({**RECORD.to_json(), **edited} for edited in EDITED)])
def test_a_record_that_cannot_be_read_is_loud_because_a_second_start_would_be_worse(stored):
    with pytest.raises(ConfigurationError, match=r"record of the start .* cannot be read"):
        from_json(stored)


def test_a_ref_that_is_not_known_yet_cannot_be_used():
    assert RECORD.known_ref == "7"
    with pytest.raises(ValueError, match="the start 0123456789ab has no ref yet"):
        _ = INTENT.known_ref


def test_a_start_may_bring_no_ref():
    assert (Started(ref=None).ref, Started(ref=None).reply) == (None, {})


def test_a_message_shows_the_beginning_of_a_reply_without_its_secrets():
    started = Started(ref=None, reply={"pass": "s3cret", "log": "x" * 600}, mask=Mask(("s3cret",)))
    assert started.summary.startswith("{'pass': '***', 'log': 'xxx")
    assert len(started.summary) == 500


def test_a_fingerprint_knows_inputs_by_their_content():
    assert fingerprint({"a": 1, "b": [1, 2]}) == fingerprint({"b": (1, 2), "a": 1})
    assert fingerprint({"a": 1}) != fingerprint({"a": 2})
    assert fingerprint({"a": 1, 2: "b"}) == fingerprint({2: "b", "a": 1})
    assert len(fingerprint(None)) == 16


def test_a_fingerprint_does_not_show_the_inputs():
    assert "s3cret" not in fingerprint({"password": "s3cret"})


ENDLESS = []
ENDLESS.append(ENDLESS)
DEEP = functools.reduce(lambda inner, _: [inner], range(100_000), [])


@each_row("value", [object(), {"a": {1, 2}}, float("nan"), [float("inf")], b"x", ENDLESS, DEEP])
def test_a_fingerprint_of_what_is_no_json_is_refused(value):
    with pytest.raises(ConfigurationError, match="must be JSON"):
        fingerprint(value)


INPUTS = {"object": "X", "inputs": {"DAY": "1", "LIST": ["a"], "NONE": None}, "empty": {}}


def test_each_input_has_a_mark_by_its_dotted_name():
    made = marks(INPUTS, "0123456789ab")
    assert sorted(made) == ["empty", "inputs.DAY", "inputs.LIST", "inputs.NONE", "object"]
    assert {len(one) for one in made.values()} == {4}
    assert marks(INPUTS, "ba9876543210") != made


def test_very_many_inputs_are_marked_by_their_first_names_only():
    most = {str(number): number for number in range(MOST_MARKS)}
    assert len(marks({"inputs": most}, "")) == MOST_MARKS
    assert list(marks({"inputs": {**most, "more": 1}}, "")) == ["inputs"]


@each_row(
    "now, names",
    [
        (INPUTS, []),
        ({**INPUTS, "object": "Y"}, ["object"]),
        ({**INPUTS, "inputs": {"DAY": "2", "LIST": ["a"]}}, ["inputs.DAY", "inputs.NONE"]),
        ({**INPUTS, "new": 1}, ["new"]),
        ({}, ["empty", "inputs.DAY", "inputs.LIST", "inputs.NONE", "object"]),
    ],
)
def test_the_inputs_that_changed_are_named(now, names):
    record = replace(RECORD, inputs=marks(INPUTS, RECORD.start_id))
    assert changed_inputs(record, now) == names


def test_a_record_of_an_earlier_version_names_none():
    assert changed_inputs(RECORD, INPUTS) == []


@each_row(
    "record, state, text",
    [
        (RECORD, "running", "the task is running: 7 is what it waits for"),
        (INTENT, "queued", "the task is queued: what it starts"),
        (RECORD, "success", "has succeeded with 7"),
        (replace(RECORD, ref="8"), "failed", "the task has 8, which may still run"),
        (RECORD, "failed", ""),
        (INTENT, "up_for_retry", ""),
        (INTENT, None, ""),
    ],
)
def test_what_speaks_against_adopting_a_ref_is_said(record, state, text):
    shown = objection(record, "7", state)
    assert text in shown
    assert bool(text) is bool(shown)
