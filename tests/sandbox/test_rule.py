from __future__ import annotations

import pytest

from airflow_provider_taskwatch.core.error import ConfigurationError
from airflow_provider_taskwatch.sandbox.rule import DEFAULT, Rule, TaskRules


def test_the_first_rule_that_matches_wins() -> None:
    narrow, wide = Rule(match="JOBS.A*"), Rule(match="JOBS.*")
    rules = TaskRules([narrow, wide])
    assert rules.take("automic", ("JOBS.A1",)) is narrow
    assert rules.take("automic", ("JOBS.B",)) is wide
    assert rules.take("automic", ("JOBP.X",)) is DEFAULT


def test_new_rules_come_before_old_ones_in_the_order_given() -> None:
    old, first, second = Rule(), Rule(match="a"), Rule(match="b")
    rules = TaskRules([old])
    rules.add(first, second)
    assert list(rules) == [first, second, old]


def test_a_rule_can_apply_to_one_system() -> None:
    rules = TaskRules([Rule(system="acquia")])
    assert rules.take("automic", ("x",)) is DEFAULT


def test_a_rule_can_apply_to_a_number_of_starts() -> None:
    failing = Rule(outcome="failure", times=2)
    rules = TaskRules([failing])
    taken = [rules.take("acquia", ("x",)) for _ in range(3)]
    assert taken == [failing, failing, DEFAULT]


def test_reading_a_rule_does_not_use_it_up() -> None:
    rules = TaskRules([Rule(outcome="failure", times=1)])
    assert rules.peek("acquia", ("x",)) is rules.peek("acquia", ("x",))


def test_a_reset_brings_the_first_rules_back() -> None:
    first = Rule(times=1)
    rules = TaskRules([first])
    rules.take("acquia", ("x",))
    rules.add(Rule(match="b"))
    rules.reset()
    assert rules.take("acquia", ("x",)) is first
    rules.clear()
    assert list(rules) == []


@pytest.mark.parametrize("values", [{"progress": "sideways"}, {"duration": -1}, {"hidden_seconds": "3"}])
def test_a_senseless_rule_is_refused(values: dict[str, object]) -> None:
    with pytest.raises(ConfigurationError, match=next(iter(values))):
        Rule(**values)  # type: ignore[arg-type]
