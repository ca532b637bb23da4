from __future__ import annotations

import json

import pytest

from airflow_provider_taskwatch.core.judge import Memory, WaitRules, from_json, judge, outcome_from, patience
from airflow_provider_taskwatch.core.mask import Mask
from airflow_provider_taskwatch.core.outcome import Ending
from airflow_provider_taskwatch.core.phase import Observation, Phase, absent
from tests.rows import each_row


def seen(phase, status="1", **more):
    return Observation(ref="7", phase=phase, status=status, **more)


def read(*ages_and_readings, rules=None, memory=None):
    """Judge one reading after the other; what the last of them means."""
    memory = memory or Memory()
    for age, reading in ages_and_readings:
        memory, counts, outcome = judge(memory, reading, rules or WaitRules(), age, "execution")
    return memory, counts, outcome


RUNNING, ODD, BLOCKED, ABSENT = seen(Phase.RUNNING), seen(Phase.UNKNOWN, "4711"), seen(Phase.BLOCKED), absent("7")
UNREADABLE = Observation(ref="7", phase=Phase.UNKNOWN, message="the reply is not JSON")


@each_row("phase", [phase for phase in Phase if phase.is_final])
def test_a_final_phase_ends_the_wait(phase):
    reading = seen(phase, "1800", message="why", result={"a": 1})
    _, _, outcome = read((0.0, reading))
    assert (outcome.ending, outcome.phase, outcome.status) == (Ending(str(phase)), phase, "1800")
    assert (outcome.ref, outcome.message) == ("7", f"execution 7: {phase} (1800): why")
    assert outcome.result == {"a": 1}


@each_row("phase", [Phase.PENDING, Phase.RUNNING, Phase.BLOCKED, Phase.UNKNOWN])
def test_no_other_phase_ends_it_at_once(phase):
    assert read((90_000.0, seen(phase)))[2] is None


def test_a_new_ref_may_be_unknown_during_its_grace_period():
    memory, counts, outcome = read((0.0, ABSENT), (299.9, ABSENT))
    assert (counts.phase, counts.message, outcome) == (Phase.PENDING, "not found yet", None)
    assert not memory.seen


def test_a_ref_that_stays_unknown_is_lost_with_the_possible_reasons():
    _, _, outcome = read((0.0, ABSENT), (300.0, ABSENT))
    assert (outcome.ending, outcome.status) == (Ending.LOST, "")
    assert "not found after 300 s: there is none of that id, or the connection's credentials" in outcome.message


def test_the_grace_period_counts_from_the_start_of_the_wait():
    assert read((301.0, ABSENT))[2].ending is Ending.LOST
    assert read((5.0, ABSENT), rules=WaitRules(not_found_grace=0.0))[2].ending is Ending.LOST


def test_a_known_ref_that_is_gone_is_lost_at_once():
    _, _, outcome = read((0.0, RUNNING), (2.0, ABSENT))
    assert outcome.ending is Ending.LOST
    assert outcome.message == "execution 7 was there and is not found any more: it was removed or archived"


def test_an_unreadable_reply_does_not_prove_that_the_ref_is_known():
    memory, _, outcome = read((0.0, UNREADABLE), (2.0, ABSENT))
    assert (memory.seen, outcome) == (False, None)
    assert read((0.0, ODD))[0].seen
    assert read((0.0, seen(Phase.RUNNING, "")))[0].seen


def test_an_unreadable_reply_does_not_hide_that_the_ref_was_known():
    assert read((0.0, RUNNING), (2.0, UNREADABLE), (4.0, ABSENT))[2].ending is Ending.LOST


def test_a_restart_has_a_grace_period_of_its_own():
    successor = Memory(ref="8", since=5000.0)
    assert read((5299.0, ABSENT), memory=successor)[2] is None
    assert "not found after 300 s" in read((5300.0, ABSENT), memory=successor)[2].message


def test_an_unknown_status_ends_the_wait_after_its_grace_period():
    memory, _, outcome = read((10.0, ODD), (309.0, ODD))
    assert (memory.unknown_since, outcome) == (10.0, None)
    _, _, outcome = read((310.0, ODD), memory=memory)
    assert (outcome.ending, outcome.status) == (Ending.UNKNOWN, "4711")
    assert outcome.message == (
        "execution 7 has had the unknown status '4711' for more than 300 s; "
        "the wait ends, and the execution may still run"
    )


def test_unreadable_replies_end_the_wait_after_the_same_period():
    _, _, outcome = read((0.0, UNREADABLE), (400.0, UNREADABLE))
    assert outcome.message == (
        "execution 7 has shown no readable status for more than 300 s: the reply is not JSON; "
        "the wait ends, and the execution may still run"
    )


@pytest.mark.parametrize("between", [RUNNING, ABSENT, BLOCKED])
def test_the_period_begins_anew_after_another_observation(between):
    memory, _, outcome = read((0.0, UNREADABLE), (100.0, between), (350.0, ODD))
    assert (memory.unknown_since, outcome) == (350.0, None)


def test_failed_polls_do_not_end_the_period_early():
    memory, _, _ = read((0.0, ODD))
    assert memory.unknown_since == 0.0
    assert read((10.0, ODD), memory=Memory(failures=5, unknown_since=0.0))[0] == Memory(seen=True, unknown_since=0.0)


def test_a_blocked_task_does_not_end_the_wait():
    assert read((0.0, BLOCKED), (90_000.0, BLOCKED))[2] is None


def test_fail_on_blocked_ends_the_wait():
    _, _, outcome = read((0.0, BLOCKED), rules=WaitRules(fail_on_blocked=True))
    assert (outcome.ending, outcome.phase) == (Ending.BLOCKED, Phase.BLOCKED)
    assert "waits for a person" in outcome.message


def test_blocked_timeout_counts_from_the_beginning_of_the_state():
    rules = WaitRules(blocked_timeout=60.0)
    memory, _, outcome = read((0.0, RUNNING), (100.0, BLOCKED), (159.0, BLOCKED), rules=rules)
    assert (memory.blocked_since, outcome) == (100.0, None)
    assert read((160.0, BLOCKED), memory=memory, rules=rules)[2].ending is Ending.BLOCKED
    assert read((160.0, RUNNING), (161.0, BLOCKED), memory=memory, rules=rules)[2] is None


def test_a_blocked_timeout_of_zero_does_not_wait():
    assert read((0.0, BLOCKED), rules=WaitRules(blocked_timeout=0.0))[2].ending is Ending.BLOCKED


@pytest.mark.parametrize("reading", [RUNNING, ABSENT, ODD])
def test_any_observation_ends_a_row_of_failures(reading):
    assert read((0.0, reading), memory=Memory(failures=3))[0].failures == 0


@each_row("reading", [RUNNING, ODD, BLOCKED])
def test_an_observation_that_changes_nothing_keeps_the_same_memory(reading):
    memory, *_ = read((0.0, reading))
    assert judge(memory, reading, WaitRules(), 1.0, "execution")[0] is memory


@each_row(
    "memory, age, seconds",
    [
        (Memory(), 100.0, 200.0),
        (Memory(since=50.0), 100.0, 250.0),
        (Memory(), 301.0, 0.0),
        (Memory(seen=True), 100.0, None),
        (Memory(seen=True, unknown_since=90.0), 100.0, 290.0),
        (Memory(seen=True, unknown_since=90.0), 391.0, 0.0),
        (Memory(seen=True, blocked_since=90.0), 100.0, 50.0),
        (Memory(seen=True, blocked_since=90.0), 151.0, 0.0),
    ],
)
def test_the_patience_with_a_state_runs_from_its_beginning(memory, age, seconds):
    assert patience(memory, WaitRules(blocked_timeout=60.0), age) == seconds


def test_a_blocked_task_without_a_timeout_is_waited_for_without_end():
    assert patience(Memory(seen=True, blocked_since=90.0), WaitRules(), 100.0) is None


def test_a_memory_survives_json():
    memory = Memory(ref="8", since=4.0, failures=2, seen=True, unknown_since=1.5, blocked_since=2.5)
    assert from_json(json.loads(json.dumps(memory.to_json()))) == memory


@each_row("stored", [None, "", 5, [], {}, {"of_a_newer_version": 1}])
def test_anything_but_a_memory_is_read_as_an_empty_one(stored):
    assert from_json(stored) == Memory()


def test_memory_of_an_older_version_is_completed():
    assert from_json({"ref": "8", "seen": True}) == Memory(ref="8", seen=True)


class CountingMask(Mask):
    """Counts the characters that it is asked to mask."""

    seen = 0

    def text(self, text: str) -> str:
        type(self).seen += len(text)
        return super().text(text)

    def data(self, value: object, keep: str = "") -> object:
        type(self).seen += len(json.dumps(value))
        return super().data(value, keep)


@pytest.mark.parametrize("result", [{"log": "%25" * 700_000}, {"logs": ["&lt;"] * 300_000}, {"a" * 2_000_000: 1}])
def test_only_the_kept_part_of_a_long_observation_is_masked(result: dict[str, object]) -> None:
    """To mask megabytes takes seconds, in which no other wait of the triggerer goes on."""
    CountingMask.seen = 0
    mask = CountingMask(("a-secret-of-the-connection",))
    long = Observation(
        ref="1", phase=Phase.FAILED, status="+" * 2_000_000, message="%41" * 700_000, result=result, mask=mask
    )
    outcome_from(long, Ending.FAILED, long.describe())
    assert CountingMask.seen < 500_000


@each_row("before", range(1900, 2000, 7))
def test_no_part_of_a_secret_is_left_at_the_cut_of_a_long_text(before: int) -> None:
    secret = "a-secret-of-the-connection"
    text = "x" * before + secret + "y" * 200_000 + secret + "z" * before
    seen = Observation(ref="1", phase=Phase.FAILED, result={"log": text}, mask=Mask((secret,)))
    outcome = outcome_from(seen, Ending.FAILED, "")
    shown = outcome.result["log"]
    assert outcome.loss == "1 long texts are cut"
    assert len(shown) <= 4000
    assert not any(secret[at : at + 6] in shown for at in range(len(secret) - 5))
