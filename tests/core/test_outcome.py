from __future__ import annotations

import json

import pytest

from airflow_provider_taskwatch.core.error import EventError
from airflow_provider_taskwatch.core.outcome import Ending, Outcome, from_event
from airflow_provider_taskwatch.core.phase import Phase
from airflow_provider_taskwatch.core.text import TEXT_CHARACTERS, shortened
from tests.rows import each_row

FULL = Outcome(
    ending=Ending.FAILED, ref="7", phase=Phase.FAILED, status="1800", message="why\nnot", result={"a": [1, None]}
)
BARE = Outcome(ending=Ending.REFUSED, ref="7")


def test_two_endings_are_good():
    assert {ending for ending in Ending if ending.is_ok} == {Ending.SUCCEEDED, Ending.SKIPPED}


def test_the_remotes_endings_are_its_final_phases():
    assert {str(ending) for ending in Ending if ending.is_of_remote} == {str(one) for one in Phase if one.is_final}


@pytest.mark.parametrize("outcome", [FULL, BARE])
def test_an_outcome_survives_json(outcome):
    assert from_event(json.loads(json.dumps(outcome.to_event()))) == outcome


def test_optional_fields_of_an_event_may_be_missing():
    assert from_event({"version": 1, "ending": "refused", "ref": "7"}) == BARE
    assert from_event({**BARE.to_event(), "result": None, "status": None}) == BARE


def test_more_fields_in_an_event_are_ignored():
    assert from_event({**FULL.to_event(), "new": True}) == FULL


@each_row("event", [None, "success", 5, [], ["version", 1], "x" * 10_000])
def test_a_missing_event_is_an_error_with_a_remedy(event):
    with pytest.raises(EventError, match="instead of an event; clear the task to start again") as caught:
        from_event(event)
    assert len(str(caught.value)) < 200


@each_row("version", [2, 99, None, "1", 1.5, [1]])
def test_an_event_of_another_version_names_the_remedy(version):
    with pytest.raises(EventError, match="install the same airflow-provider-taskwatch on triggerer and workers"):
        from_event({**FULL.to_event(), "version": version})


@each_row(
    "wrong",
    [
        {"ending": "exploded"},
        {"ending": None},
        {"ending": []},
        {"phase": "exploded"},
        {"phase": ["failed"]},
        {"result": "text"},
        {"result": 5},
        {"result": [1, 2]},
    ],
)
def test_a_malformed_event_is_an_event_error(wrong):
    with pytest.raises(EventError, match="the trigger's event is malformed"):
        from_event({**FULL.to_event(), **wrong})


@pytest.mark.parametrize("missing", ["ending", "ref"])
def test_a_missing_field_is_named(missing):
    event = {name: value for name, value in FULL.to_event().items() if name != missing}
    with pytest.raises(EventError, match=f"malformed .KeyError..{missing}"):
        from_event(event)


def test_a_long_text_keeps_its_beginning_and_its_end():
    text = "begin" + "x" * 100_000 + "end"
    cut = shortened(text)
    assert len(cut) <= TEXT_CHARACTERS
    assert (cut[:5], cut[-3:], shortened(cut)) == ("begin", "end", cut)
    assert "characters left out" in cut
    assert shortened("x" * TEXT_CHARACTERS) == "x" * TEXT_CHARACTERS


def test_no_event_is_larger_than_a_row_of_the_database():
    long = "x" * 100_000
    outcome = Outcome(
        ending=Ending.FAILED, ref="7", status=long, message=long, result={"a": {"b": [long, 5, None]}, "c": "short"}
    )
    assert len(json.dumps(outcome.to_event())) < 13_000
    assert (outcome.result["a"]["b"][1:], outcome.result["c"]) == ([5, None], "short")
    assert from_event(outcome.to_event()) == outcome


def test_long_texts_lose_their_middle_so_that_an_event_stays_small():
    long = "first" + "x" * 1_000_000 + "last"
    event = Outcome(
        ending=Ending.FAILED, ref="7", status=long, message=long, result={"a": [long], "b": {"c": long}, "d": 5}
    ).to_event()
    assert len(event["message"]) <= TEXT_CHARACTERS
    assert event["message"].startswith("firstx")
    assert event["message"].endswith("xlast")
    assert "characters left out" in event["message"]
    assert event["result"] == {"a": [event["message"]], "b": {"c": event["message"]}, "d": 5}
    assert from_event(event).to_event() == event


@each_row("ending", Ending)
def test_a_deadline_and_an_id_that_is_not_found_rest_on_a_clock(ending):
    assert Outcome(ending=ending, ref="1", status="1900").rests_on_clock is (ending is Ending.TIMED_OUT)
    assert Outcome(ending=ending, ref="1").rests_on_clock is (ending in (Ending.TIMED_OUT, Ending.LOST))


def test_a_result_that_is_not_whole_is_a_warning():
    assert Outcome(ending=Ending.SUCCEEDED, ref="7").warning == ""
    cut = Outcome(ending=Ending.SUCCEEDED, ref="7", result={"log": ["x" * 10_000] * 100})
    assert cut.warning.startswith("the result is too long for an XCom: ")
    assert cut.warning.endswith("; set output_path= to get all of it")
