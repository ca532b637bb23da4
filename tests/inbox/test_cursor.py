"""Numbers that show up late."""

from __future__ import annotations

from airflow_provider_taskwatch.inbox.cursor import HOLE_SECONDS, LOOK_BACK, MAX_HOLES, Cursor, cursor_at


def test_numbers_that_were_passed_unseen_are_missing() -> None:
    cursor = Cursor().moved([1, 2, 5], 0.0)

    assert (cursor.last, cursor.missing) == (5, [3, 4])


def test_what_shows_up_is_missing_no_more() -> None:
    cursor = Cursor().moved([1, 2, 5], 0.0).moved([3], 1.0)

    assert (cursor.last, cursor.missing) == (5, [4])


def test_nothing_new_changes_nothing() -> None:
    cursor = Cursor().moved([1, 3], 0.0)

    assert cursor.moved([], 1.0) == cursor


def test_what_does_not_show_up_in_time_never_will() -> None:
    cursor = Cursor().moved([1, 3], 0.0)

    assert cursor.moved([], HOLE_SECONDS - 1.0).missing == [2]
    assert cursor.moved([], HOLE_SECONDS).missing == []


def test_numbers_below_that_were_asked_for_otherwise_do_not_move_it_back() -> None:
    assert Cursor(last=9).moved([4], 0.0) == Cursor(last=9)


def test_a_new_cursor_is_unsure_of_the_newest() -> None:
    cursor = cursor_at(1_000)

    assert cursor.last == 1_000 - LOOK_BACK
    assert cursor_at(3) == Cursor(last=0)


def test_a_new_cursor_is_unsure_of_all_that_came_lately() -> None:
    assert cursor_at(1_000, recent=100).last == 99
    assert cursor_at(1_000, recent=990).last == 1_000 - LOOK_BACK


def test_a_great_leap_leaves_the_newest_holes() -> None:
    cursor = Cursor().moved([10 * MAX_HOLES], 0.0)

    assert len(cursor.missing) == MAX_HOLES
    assert cursor.missing[-1] == 10 * MAX_HOLES - 1
