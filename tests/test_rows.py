from __future__ import annotations

import pytest

from tests.rows import each_row


def test_all_rows_that_fail_are_named() -> None:
    seen = []

    @each_row("left, right", [(1, 1), (1, 2), (3, 3), (4, 5)])
    def test(left: int, right: int) -> None:
        seen.append(left)
        assert left == right

    with pytest.raises(BaseExceptionGroup, match="2 of 4 rows fail: 1, 2; 4, 5") as caught:
        test()
    assert seen == [1, 1, 3, 4]
    assert [error.__notes__ for error in caught.value.exceptions] == [["row: 1, 2"], ["row: 4, 5"]]


def test_a_row_that_raises_nothing_where_it_should_fails() -> None:
    @each_row("text", ["1", "x"], ids=["a number", "none"])
    def test(text: str) -> None:
        with pytest.raises(ValueError, match="invalid"):
            int(text)

    with pytest.raises(BaseExceptionGroup, match="1 of 2 rows fail: a number"):
        test()


@each_row("first", "ab")
@each_row("second", [1, 2])
def test_tables_can_be_crossed_and_fixtures_stay(first: str, second: int, tmp_path_factory: object) -> None:
    assert (first in "ab", second in (1, 2), tmp_path_factory is not None) == (True, True, True)
