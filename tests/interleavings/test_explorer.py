"""The explorer itself: what it leaves out differs in nothing that can be seen."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from tests.support.length import at_length, few

from .explorer import ScheduleError, explore
from .scheduler import Condition, Lock, RLock, Scheduler, Touch

# What a task does: to one of two fields, or with one of two locks (an RLock, and a Lock).
OPERATIONS = st.tuples(
    st.sampled_from(["read", "write", "with", "look with", "try", "try for 5 s"]),
    st.integers(0, 1),
)
PROGRAMS = st.lists(st.lists(OPERATIONS, min_size=1, max_size=2), min_size=2, max_size=3)

Outcome = tuple[Any, ...]


class Program:
    """Tasks that do what a program says: to two fields, with two locks of each kind.

    Attributes:
        seen: What each task has seen, in order.
    """

    def __init__(self, scheduler: Scheduler, parts: list[list[tuple[str, int]]]) -> None:
        self.scheduler = scheduler
        self.seen: list[list[Any]] = [[] for _ in parts]
        self._fields: list[Any] = [None, None]
        self._guarded: list[Any] = [None, None]  # by an RLock each
        self._locks, self._turns = [Lock(), Lock()], [RLock(), RLock()]
        for number, part in enumerate(parts):
            scheduler.start(
                f"task-{number}", lambda number=number, part=part: self._run(number, part)
            )

    def outcome(self) -> Outcome:
        return tuple(map(tuple, self.seen)), (*self._fields, *self._guarded)

    def _run(self, number: int, part: list[tuple[str, int]]) -> None:
        for place, (operation, which) in enumerate(part):
            if operation == "read":
                self._read(number, which)
            elif operation == "write":
                self._write(number, which, place)
            elif operation in ("with", "look with"):
                self._take_turn(number, which, place, looks=operation == "look with")
            else:
                self._try(number, which, -1 if operation == "try" else 5)

    def _read(self, number: int, which: int) -> None:
        self.scheduler.point("reads", Touch(f"field {which}", "read"))
        self.seen[number].append(self._fields[which])

    def _write(self, number: int, which: int, place: int) -> None:
        self.scheduler.point("writes", Touch(f"field {which}", "write"))
        self._fields[which] = (number, place)

    def _take_turn(self, number: int, which: int, place: int, *, looks: bool) -> None:
        with self._turns[which]:
            if not looks:
                self._turns[which].changes()
                self._guarded[which] = (number, place)
                return
            self.seen[number].append(self._guarded[which])
            if self._guarded[which] is None:
                self._write(number, which, place)

    def _try(self, number: int, which: int, timeout: float) -> None:
        got = self._locks[which].acquire(timeout > 0, timeout)
        self.seen[number].append(got)
        if got:
            self._read(number, 1 - which)
            self._locks[which].release()


def begin_program(
    scheduler: Scheduler, program: list[list[tuple[str, int]]], passes: float | None
) -> Callable[[], Outcome]:
    """Start a task for each part of *program*; return what tells all that could be seen."""
    begun = Program(scheduler, program)
    if passes is not None:
        scheduler.start_clock(passes)
    return begun.outcome


def all_outcomes(program: list[list[tuple[str, int]]], passes: float | None) -> set[Outcome]:
    """Return what comes of *program* in all schedules, by trying each."""
    outcomes: set[Outcome] = set()
    left: list[list[int]] = [[]]
    runs = 0
    while left:
        chosen = left.pop()
        runs += 1
        assume(runs < (3000 if at_length("interleavings") else 300))
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


@few(2, "interleavings")
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


def test_locks_that_are_taken_only_to_look_need_one_schedule() -> None:
    def begin(scheduler: Scheduler) -> Callable[[], None]:
        lock = RLock()

        def look() -> None:
            with lock:
                pass

        for name in "abc":
            scheduler.start(name, look)
        return lambda: None

    assert explore(begin, at_most=10).schedules == 1


@pytest.mark.parametrize("seconds", [10.0, 4.0])
def test_time_that_passes_when_nobody_can_go_on_ends_what_waits_for_it(seconds: float) -> None:
    """And nothing that waits for longer."""
    orders: set[str] = set()

    def begin(scheduler: Scheduler) -> Callable[[], None]:
        lock, news = Lock(), Lock()
        lock.acquire()
        gave_up: list[str] = []

        def wait(name: str) -> None:
            assert not lock.acquire(timeout=5)
            with news:
                gave_up.append(name)

        for name in "ab":
            scheduler.start(name, lambda name=name: wait(name))
        scheduler.start_idle_clock(seconds)
        return lambda: orders.add("".join(gave_up))

    if seconds < 5:
        with pytest.raises(ScheduleError, match="have not ended"):
            explore(begin, at_most=100)
    else:
        assert explore(begin, at_most=100).complete
        assert orders == {"ab", "ba"}


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


def test_what_never_ends_is_found() -> None:
    def begin(scheduler: Scheduler) -> Callable[[], None]:
        def look() -> None:
            while True:
                scheduler.point("looks", Touch("field", "read"))

        scheduler.start("a", look)
        return lambda: None

    with pytest.raises(ScheduleError, match="this goes on and on"):
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
