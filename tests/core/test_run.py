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
