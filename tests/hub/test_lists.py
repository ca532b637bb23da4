"""When lists are read, and when each ref alone."""

from __future__ import annotations

from airflow_provider_taskwatch.hub.lists import FAILED_SECONDS, SINGLY_SECONDS, Lists


def test_lists_are_usable_until_they_are_refused_and_again_after_a_while() -> None:
    lists = Lists()
    assert lists.is_usable("A-*", 0.0)
    assert [lists.refused(0.0), lists.refused(1.0)] == [True, False]
    assert [lists.is_usable("A-*", SINGLY_SECONDS + at) for at in (0.9, 1.0)] == [False, True]


def test_a_list_that_fails_again_and_again_is_left_out_and_no_other() -> None:
    lists = Lists()
    assert [lists.failed("A-*", at) for at in (0.0, 1.0, 2.0)] == [False, False, True]
    assert (lists.is_usable("A-*", 2.0), lists.is_usable("B-*", 2.0)) == (False, True)
    assert lists.is_usable("A-*", 2.0 + FAILED_SECONDS)


def test_a_list_that_works_in_between_is_not_left_out() -> None:
    lists = Lists()
    for _ in range(5):
        assert not lists.failed("A-*", 0.0)
        assert not lists.failed("A-*", 0.0)
        lists.worked("A-*")
    assert lists.is_usable("A-*", 0.0)
