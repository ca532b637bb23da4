"""A cursor remembers skipped numbers whose transactions may still commit."""

from __future__ import annotations

from airflow_provider_taskwatch.inbox.cursor import CLEAR, MAX_HOLES, Cursor, Horizon, cursor_at


def test_skipped_numbers_are_missing() -> None:
    cursor = Cursor().moved([1, 2, 5])

    assert (cursor.last, cursor.missing) == (5, [3, 4])


def test_a_number_that_was_read_is_no_longer_missing() -> None:
    cursor = Cursor().moved([1, 2, 5]).moved([3])

    assert (cursor.last, cursor.missing) == (5, [4])


def test_nothing_new_changes_nothing() -> None:
    cursor = Cursor().moved([1, 3])

    assert cursor.moved([]) == cursor


def test_a_number_is_missing_until_each_transaction_that_may_hold_it_has_ended() -> None:
    cursor = Cursor().moved([1, 3])

    for ended in (7, 7, 8):
        cursor = cursor.moved([], Horizon(ended=ended, begun=ended + 2))
        assert cursor.missing == [2]
    assert cursor.moved([], Horizon(ended=9, begun=99)).missing == []


def test_no_number_is_missing_while_no_transaction_runs() -> None:
    assert Cursor().moved([1, 3]).moved([], CLEAR).missing == []


def test_a_number_skipped_later_is_missing_for_longer() -> None:
    cursor = Cursor().moved([1, 3]).moved([5], Horizon(ended=1, begun=2)).moved([], Horizon(ended=2, begun=4))

    assert cursor.missing == [4]
    assert cursor.moved([], Horizon(ended=3, begun=9)).missing == [4]
    assert cursor.moved([], Horizon(ended=4, begun=9)).missing == []


def test_a_number_does_not_stay_missing_in_a_restored_database() -> None:
    cursor = Cursor().moved([1, 3]).moved([], Horizon(ended=5_000_000, begun=5_000_001))

    assert cursor.moved([], Horizon(ended=700, begun=701)).missing == [2]
    assert cursor.moved([], Horizon(ended=700, begun=701)).moved([], Horizon(ended=701, begun=702)).missing == []


def test_smaller_numbers_do_not_move_a_cursor_back() -> None:
    assert Cursor(last=9).moved([4]) == Cursor(last=9)


def test_a_new_cursor_misses_the_gaps_among_the_newest_while_a_transaction_runs() -> None:
    running = Horizon(ended=7, begun=8)

    assert cursor_at(5, [2, 5], running).missing == [1, 3, 4]
    assert cursor_at(5, [2, 5], CLEAR) == Cursor(last=5)
    assert cursor_at(10 * MAX_HOLES, [10 * MAX_HOLES], running).missing[0] == 9 * MAX_HOLES + 1


def test_a_large_gap_keeps_only_its_newest_numbers_as_missing() -> None:
    cursor = Cursor().moved([10 * MAX_HOLES])

    assert len(cursor.missing) == MAX_HOLES
    assert cursor.missing[-1] == 10 * MAX_HOLES - 1
