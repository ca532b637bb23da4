from __future__ import annotations

import json

import pytest

from airflow_provider_taskwatch.core.callback import Expectation
from airflow_provider_taskwatch.core.error import ConfigurationError
from airflow_provider_taskwatch.core.judge import WaitRules
from airflow_provider_taskwatch.core.plan import Plan
from airflow_provider_taskwatch.core.schedule import Rhythm
from tests.rows import each_row

PLAN = Plan(
    ref="1000001",
    id_space="automic https://ae.example.com/100",
    options={"alias": "JOBS-T-0123456789ab", "success_statuses": [1900]},
    rules=WaitRules(not_found_grace=9.0, unknown_status_grace=8.0, fail_on_blocked=True, blocked_timeout=7.0),
    rhythm=Rhythm(limit_seconds=5.0, far_seconds=60.0, adaptive=False, is_own_start=True),
    callback=Expectation(poll_seconds=300.0, names={"runid": "id"}, keep=["archive_key1"]),
    personal=True,
    ends_at=3600.5,
    cancel_on_kill=True,
    keeps_record=True,
    finish="push",
)
STORED = {
    "version": 1,
    "ref": "1000001",
    "id_space": "automic https://ae.example.com/100",
    "options": {"alias": "JOBS-T-0123456789ab", "success_statuses": [1900]},
    "rules": {
        "not_found_grace": 9.0,
        "unknown_status_grace": 8.0,
        "fail_on_blocked": True,
        "blocked_timeout": 7.0,
    },
    "rhythm": {"limit_seconds": 5.0, "far_seconds": 60.0, "adaptive": False, "is_own_start": True},
    "callback": {"poll_seconds": 300.0, "names": {"runid": "id"}, "keep": ["archive_key1"]},
    "personal": True,
    "ends_at": 3600.5,
    "cancel_on_kill": True,
    "keeps_record": True,
    "finish": "push",
}


def test_a_plan_is_stored_in_this_form():
    """A change of this form needs another PLAN_VERSION."""
    assert json.loads(json.dumps(PLAN.to_json())) == STORED


@each_row("plan", [PLAN, Plan(ref="7")])
def test_a_plan_survives_json(plan):
    assert Plan.from_json(json.loads(json.dumps(plan.to_json()))) == plan


@each_row("version", [0, 2, "1", None])
def test_a_plan_of_another_version_names_the_remedy(version):
    with pytest.raises(ConfigurationError, match=r"has the version .*, and this process reads 1\. Install the same"):
        Plan.from_json({**STORED, "version": version, "unheard_of": 1})


@each_row(
    "change, missing",
    [({"unheard_of": 1}, ""), ({"rules": {"x": 1}}, ""), ({"rules": 1}, ""), ({}, "ref"), ({}, "rhythm")],
)
def test_a_damaged_plan_is_an_error_of_its_own(change, missing):
    stored = {name: value for name, value in {**STORED, **change}.items() if name != missing}
    with pytest.raises(ConfigurationError, match="is damaged"):
        Plan.from_json(stored)


@each_row(
    "plan, age, description",
    [
        (Plan(ref="7"), 0.0, "the first poll is now, then at most every 30 s"),
        (
            Plan(ref="7", rhythm=Rhythm(is_own_start=True, far_seconds=60.0)),
            0.0,
            "the first poll is in 8 s, then at most every 30 s, or 60 s while the end is far",
        ),
        (Plan(ref="7", rhythm=Rhythm(limit_seconds=5.0, adaptive=False)), 0.0, "the first poll is now, then every 5 s"),
        (
            Plan(ref="7", rhythm=Rhythm(limit_seconds=1.0, is_own_start=True)),
            0.0,
            "the first poll is in 1 s, then at most every 1 s",
        ),
        (
            Plan(ref="7", rhythm=Rhythm(limit_seconds=5.0, far_seconds=60.0, adaptive=False)),
            0.0,
            "the first poll is now, then every 5 s",
        ),
        (Plan(ref="7"), 3600.0, "the first poll is within 30 s, then at most every 30 s"),
        (
            Plan(ref="7", callback=Expectation(poll_seconds=300.0)),
            0.0,
            "a callback is expected; until then it is polled every 300 s, the first time in 300 s",
        ),
    ],
)
def test_a_plan_says_when_it_polls(plan, age, description):
    assert plan.describe(age) == description


def test_a_plan_ends_by_the_clock_of_the_process_that_waits():
    started_ahead = Plan(ref="7", ends_at=-3540.0)
    assert started_ahead.ending_in(60.0, 0.0).ends_at == 60.0
    assert started_ahead.ending_in(None, 0.0) == started_ahead
