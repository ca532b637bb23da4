from __future__ import annotations

from dataclasses import fields
from typing import Any

from airflow_provider_taskwatch.core.mask import Mask
from airflow_provider_taskwatch.core.phase import LazyMapping, Observation, Phase, absent
from tests.rows import each_row


def test_five_phases_end_a_task_and_two_of_them_well():
    final = {phase for phase in Phase if phase.is_final}
    assert final == {Phase.SUCCEEDED, Phase.SKIPPED, Phase.FAILED, Phase.CANCELLED, Phase.LOST}
    assert {phase for phase in Phase if phase.is_ok} == {Phase.SUCCEEDED, Phase.SKIPPED}


def test_an_observation_is_described_on_one_line():
    seen = Observation(ref="1", phase=Phase.RUNNING, status="1550", progress=40.0, message="active")
    assert seen.describe() == "running (1550) 40 %: active"
    assert Observation(ref="1", phase=Phase.PENDING).describe() == "pending"


def test_no_progress_differs_from_a_progress_of_zero():
    assert Observation(ref="1", phase=Phase.RUNNING, progress=0).describe() == "running 0 %"


def test_an_unknown_ref_has_no_status_unlike_a_lost_task():
    assert (absent("1").phase, absent("1").status, absent("1").ref) == (Phase.LOST, "", "1")


def test_an_absent_ref_has_neither_a_result_nor_personal_data():
    assert (absent("1").result, absent("1").personal) == ({}, {})


def test_a_lazy_mapping_is_made_once_when_it_is_read():
    made = []
    later = LazyMapping(lambda: made.append("now") or {"id": "7"})
    assert made == []
    assert (later["id"], list(later), len(later), later == {"id": "7"}) == ("7", ["id"], 1, True)
    assert (repr(later), made) == ("{'id': '7'}", ["now"])


@each_row("changed", ["status", "progress", "message", "phase", "ref"])
def test_an_observation_shows_a_change_of_the_state(changed):
    values = {"ref": "7", "phase": Phase.RUNNING, "status": "s", "progress": 5.0, "message": "m"}
    other = {"ref": "8", "phase": Phase.BLOCKED, "status": "t", "progress": 6.0, "message": "n"}
    assert not Observation(**values | {changed: other[changed]}).is_state_of(Observation(**values))


def test_time_that_has_passed_is_no_change_of_the_state():
    before, now = (Observation(ref="7", phase=Phase.RUNNING, elapsed_seconds=age) for age in (5.0, 9.0))
    assert now.is_state_of(before)
    assert not now.is_state_of(None)


def test_an_observation_with_another_mask_keeps_all_other_fields():
    whole: dict[str, Any] = {one.name: object() for one in fields(Observation)}
    masked = Observation(**whole).with_mask(mask := Mask(("sesame-street",)))
    assert {name: getattr(masked, name) for name in whole} == {**whole, "mask": mask}
