"""The explorer itself: what it leaves out differs in nothing that can be seen."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from .explorer import ScheduleError, explore
from .scheduler import Condition, Lock, RLock, Scheduler, Touch

# What a task does: to one of two fields, or with one of two locks.
OPERATIONS = st.tuples(
    st.sampled_from(["read", "write", "with", "try", "try for 5 s"]), st.integers(0, 1)
)
PROGRAMS = st.lists(st.lists(OPERATIONS, min_size=1, max_size=2), min_size=2, max_size=3)

Outcome = tuple[Any, ...]


def begin_program(
    scheduler: Scheduler, program: list[list[tuple[str, int]]], passes: float | None
) -> Callable[[], Outcome]:
    """Start a task for each part of *program*; return what tells all that could be seen."""
    fields: list[Any] = [None, None]
    locks = [Lock(), Lock()]
    seen: list[list[Any]] = [[] for _ in program]

    def run(number: int) -> None:
        for place, (operation, which) in enumerate(program[number]):
            if operation == "read":
                scheduler.point("reads", Touch(f"field {which}", "read"))
                seen[number].append(fields[which])
            elif operation == "write":
                scheduler.point("writes", Touch(f"field {which}", "write"))
                fields[which] = (number, place)
            elif operation == "with":
                with locks[which]:
                    scheduler.point("writes", Touch(f"field {which}", "write"))
                    fields[which] = (number, place)
            else:
                got = locks[which].acquire(operation != "try", 5 if operation != "try" else -1)
                seen[number].append(got)
                if got:
                    scheduler.point("reads", Touch(f"field {1 - which}", "read"))
                    seen[number].append(fields[1 - which])
                    locks[which].release()

    for number in range(len(program)):
        scheduler.start(f"task-{number}", lambda number=number: run(number))
    if passes is not None:
        scheduler.start_clock(passes)
    return lambda: (tuple(map(tuple, seen)), tuple(fields))


def all_outcomes(program: list[list[tuple[str, int]]], passes: float | None) -> set[Outcome]:
    """Return what comes of *program* in all schedules, by trying each."""
    outcomes: set[Outcome] = set()
    left: list[list[int]] = [[]]
    runs = 0
    while left:
        chosen = left.pop()
        runs += 1
        assume(runs < 3000)
        scheduler = Scheduler()
        tell = begin_program(scheduler, program, passes)
        step = 0
        while able := scheduler.able():
            if step == len(chosen):
                left += [[*chosen, task.number] for task in able[1:]]
                chosen = [*chosen, able[0].number]
            scheduler.go_on(scheduler.tasks[chosen[step]])
            step += 1
        scheduler.check_ended()
        outcomes.add(tell())
        scheduler.abandon()
    return outcomes


@settings(max_examples=8, derandomize=True)
@given(program=PROGRAMS, passes=st.sampled_from([None, 10.0]))
def test_every_outcome_is_found(program: list[list[tuple[str, int]]], passes: float | None) -> None:
    found: set[Outcome] = set()

    def begin(scheduler: Scheduler) -> Callable[[], None]:
        tell = begin_program(scheduler, program, passes)
        return lambda: found.add(tell())

    expected = all_outcomes(program, passes)
    assert explore(begin, at_most=10**6).complete
    assert found == expected


def test_steps_that_do_not_meet_need_one_schedule() -> None:
    def begin(scheduler: Scheduler) -> Callable[[], None]:
        for name in "abc":
            scheduler.start(name, lambda name=name: scheduler.point("writes", Touch(name, "write")))
        return lambda: None

    explored = explore(begin, at_most=10)
    assert (explored.schedules, explored.complete) == (1, True)


def test_what_is_left_out_is_told() -> None:
    def begin(scheduler: Scheduler) -> Callable[[], None]:
        for name in "abc":
            scheduler.start(name, lambda: scheduler.point("writes", Touch("field", "write")))
        return lambda: None

    explored = explore(begin, at_most=4)
    assert (explored.schedules, explored.complete) == (4, False)
    assert explore(begin, at_most=10).schedules == 6


def test_a_deadlock_is_found_and_told_step_by_step() -> None:
    def begin(scheduler: Scheduler) -> Callable[[], None]:
        locks = [Lock(), Lock()]

        def take(first: Lock, second: Lock) -> None:
            with first, second:
                pass

        scheduler.start("a", lambda: take(*locks))
        scheduler.start("b", lambda: take(*reversed(locks)))
        return lambda: None

    with pytest.raises(ScheduleError, match=r"have not ended: \['a \(acquires a lock\)', 'b"):
        explore(begin, at_most=100)


@pytest.mark.parametrize("looks_again", [True, False])
def test_a_wake_up_that_is_lost_is_found(looks_again: bool) -> None:
    """Who looks before he takes the lock may sleep through the one wake-up."""

    def begin(scheduler: Scheduler) -> Callable[[], None]:
        news = Condition(RLock())
        done: list[bool] = []

        def is_done() -> bool:
            scheduler.point("looks", Touch("done", "read"))
            return bool(done)

        def wait() -> None:
            if looks_again:
                with news:
                    news.wait_for(is_done, 30)
            elif not is_done():
                with news:
                    news.wait(30)

        def wake() -> None:
            with news:
                scheduler.point("is done", Touch("done", "write"))
                done.append(True)
                news.notify()

        scheduler.start("waiter", wait)
        scheduler.start("waker", wake)
        return lambda: None

    if looks_again:
        assert explore(begin, at_most=1000).complete
    else:
        with pytest.raises(ScheduleError, match="waiter"):
            explore(begin, at_most=1000)
