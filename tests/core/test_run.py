"""A program in progress."""

import pytest

from airflow_provider_taskwatch.core.error import TaskWatchError
from airflow_provider_taskwatch.core.run import Run


def asks_twice():
    first = yield "first"
    try:
        second = yield "second"
    except TaskWatchError:
        second = "failed"
    return first, second


def test_a_program_waits_for_its_first_answer():
    run = Run(asks_twice())
    assert (run.step, run.is_over) == ("first", False)


def test_answers_move_it_on_to_its_result():
    run = Run(asks_twice())
    run.send(1)
    run.send(2)
    assert (run.is_over, run.result) == (True, (1, 2))


def test_a_failed_step_is_the_programs_to_live_through():
    run = Run(asks_twice())
    run.send(1)
    run.throw(TaskWatchError("no"))
    assert run.result == (1, "failed")


def test_what_it_does_not_live_through_comes_out():
    run = Run(asks_twice())
    with pytest.raises(TaskWatchError, match="no"):
        run.throw(TaskWatchError("no"))


def test_a_block_that_answers_sends_its_value_at_its_end():
    run = Run(asks_twice())
    for value in (1, 2):
        with run.answering() as answer:
            answer.value = value
    assert (run.result, answer.value) == ((1, 2), None)


def test_an_error_of_the_package_in_a_block_is_thrown_into_the_program():
    run = Run(asks_twice())
    run.send(1)
    with run.answering():
        raise TaskWatchError("no")
    assert run.result == (1, "failed")


def test_any_other_error_leaves_the_block_and_the_program_waits():
    run = Run(asks_twice())
    with pytest.raises(ZeroDivisionError), run.answering():
        raise ZeroDivisionError
    assert (run.step, run.is_over) == ("first", False)


def test_what_the_program_raises_is_not_thrown_into_it_again():
    def ends_badly():
        yield "once"
        raise TaskWatchError("its own")

    run = Run(ends_badly())
    with pytest.raises(TaskWatchError, match="its own"), run.answering() as answer:
        answer.value = 1


def test_a_program_without_steps_is_over_at_once():
    def answer():
        yield from ()
        return 42

    assert Run(answer()).result == 42


def test_an_error_may_let_a_program_go_on():
    def stubborn():
        try:
            yield "once"
        except TaskWatchError:
            yield "again"

    run = Run(stubborn())
    run.throw(TaskWatchError("no"))
    assert (run.step, run.is_over) == ("again", False)
