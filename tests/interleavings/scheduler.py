"""Threads that run one at a time, in an order that is chosen: a schedule.

A *task* stands for a thread. It stops at each *point*, before it touches what others can see: a
lock, a shared field, the clock, the store. Whoever drives the `Scheduler` says who goes on. Tasks
are greenlets, so nothing runs beside what was chosen, and the same choices give the same run.

`Lock` and `RLock` take the places of those in `threading`, and `Condition` is CPython's own code
on top of them. Time stands still, but for a task that moves it (`Scheduler.advance`): who waits in
vain is found at once, and not after his timeout.
"""

from __future__ import annotations

import math
import threading
import types
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, NamedTuple

from greenlet import greenlet


class Touch:
    """What a task does to one thing at a point.

    Args:
        thing: A number or a name; the same in all runs that begin with the same choices.
        how: ``read``, ``write``, ``acquire`` (waits until it gets it), ``try`` (gets it or not),
            ``release``, or ``pass`` (only the clock: nobody else can go on).

    Attributes:
        reads: Whether it changes nothing, nor does what is done with a lock until it is released:
            two such touches of one thing may as well come the other way round.
    """

    __slots__ = ("how", "reads", "thing")

    def __init__(self, thing: int | str, how: str) -> None:
        self.thing = thing
        self.how = how
        self.reads = how == "read"


class Step(NamedTuple):
    """What a task does from one point to the next."""

    touches: tuple[Touch, ...]
    label: str


@dataclass(eq=False)
class Task:
    """One thread of a run, and how its function ended."""

    name: str
    number: int
    run: greenlet = field(repr=False)
    step: Step = field(default_factory=lambda: Step((), "starts"))
    may_go_on: Callable[[], bool] | None = None
    waits: int = 0
    holds: list[RLock] = field(default_factory=list)
    gives_up_at: float = math.inf  # what it waits for; in seconds of the scheduler's clock
    value: Any = None
    error: BaseException | None = None
    ended: bool = False

    def can_go_on(self) -> bool:
        return not self.ended and (self.may_go_on is None or self.may_go_on())


class StuckError(Exception):
    """No task can go on, and not all have ended."""


class Scheduler:
    """One run. `chosen` is what its tasks have done so far, in order.

    Args:
        interrupt: The name of a task, and at which of the points where a thread may wait it is
            interrupted; None: nobody is.
    """

    def __init__(self, interrupt: tuple[str, int] | None = None) -> None:
        global _active
        _active = self
        self.tasks: list[Task] = []
        self.now = 0.0
        self._interrupt = interrupt
        self.clock_moves = False
        self._broken: list[str] = []
        self._things = 0
        self._current: Task | None = None
        self._hub = greenlet.getcurrent()

    # -- What a scenario sets up ------------------------------------------------------------------

    def start(self, name: str, function: Callable[[], Any]) -> Task:
        """Add a task. It does nothing before it is chosen."""
        task = Task(name, len(self.tasks), greenlet(lambda: self._run(task, function)))
        self.tasks.append(task)
        return task

    def start_clock(self, seconds: float) -> None:
        """Add a task that lets *seconds* pass, at whatever moment it is chosen."""
        self.clock_moves = True
        self.start("clock", lambda: self.advance(seconds))

    def start_idle_clock(self, seconds: float) -> None:
        """Add a task that lets time pass when nobody else can go on: as long as somebody waits for,
        and no longer than *seconds* in all."""
        ends = self.now + seconds

        def others() -> list[Task]:
            return [task for task in self.tasks if task is not clock and not task.ended]

        def may_pass() -> bool:
            is_time = min((task.gives_up_at for task in others()), default=ends) <= ends
            return is_time and not any(task.can_go_on() for task in others())

        def pass_time() -> None:
            while others():
                self.point("lets time pass", Touch("clock", "pass"), may_go_on=may_pass)
                self.now = min((task.gives_up_at for task in others()), default=self.now)

        clock = self.start("clock", pass_time)

    # -- What drives it ---------------------------------------------------------------------------

    def able(self) -> list[Task]:
        """Return the tasks that could go on now."""
        return [task for task in self.tasks if task.can_go_on()]

    def go_on(self, task: Task) -> None:
        """Let *task* go on to its next point."""
        self._current = task
        task.run.switch()
        self._current = None

    def check_ended(self) -> None:
        """Raise `AssertionError` if a rule was broken, and `StuckError` if a task has not ended."""
        assert not self._broken, self._broken[0]
        stuck = [f"{task.name} ({task.step.label})" for task in self.tasks if not task.ended]
        if stuck:
            raise StuckError(f"nothing goes on any more, and these have not ended: {stuck}")

    def abandon(self) -> None:
        """End the tasks that have not; from here on nothing stops anywhere."""
        global _active
        _active = None
        for task in self.tasks:
            if task.run:
                task.run.throw()

    # -- What tasks do ----------------------------------------------------------------------------

    def thing(self) -> int:
        """Return a number for something new that tasks share."""
        self._things += 1
        return self._things

    def must(self, kept: bool, rule: str) -> None:
        """Note that *rule* is broken, unless it is *kept*: what an assertion raises inside of a
        refresher or a store might be handled there."""
        if not kept:
            self._broken.append(f"{self.here_name()}: {rule}")

    def here(self) -> Task | None:
        """Return the task that is running; None before and after the run."""
        return self._current

    def here_name(self) -> str:
        """Return its name."""
        return "" if self._current is None else self._current.name

    def point(
        self,
        label: str,
        *touches: Touch,
        may_go_on: Callable[[], bool] | None = None,
        waits: bool = False,
    ) -> None:
        """Stop here until chosen; the task then does what *touches* says.

        Args:
            label: What that is, in words.
            touches: See `Touch`.
            may_go_on: Whether it can be chosen; None: always.
            waits: Whether a thread may wait here, and be interrupted.
        """
        task = self._current
        if task is None:
            return
        for lock in task.holds:
            lock.changes()
        task.waits += waits
        if waits and self._interrupt == (task.name, task.waits):
            self._interrupt = None
            task.step, task.may_go_on = Step((), f"{label}, and is interrupted"), None
            self._hub.switch()
            raise KeyboardInterrupt
        task.step, task.may_go_on = Step(touches, label), may_go_on
        self._hub.switch()

    def foreign_code(self, label: str, *touches: Touch) -> None:
        """Stop here as at a point where a thread may wait. Nobody comes here with an `RLock`."""
        has_locks = self._current is not None and self._current.holds
        self.must(not has_locks, f"{label} with a lock that others need")
        self.point(label, *touches, waits=True)

    def time(self) -> float:
        """Return the time in seconds, on all clocks."""
        if self.clock_moves:
            self.point("reads the clock", Touch("clock", "read"))
        return self.now

    def advance(self, seconds: float) -> None:
        """Let *seconds* pass."""
        self.point(f"lets {seconds:g} s pass", Touch("clock", "write"))
        self.now += seconds

    def _run(self, task: Task, function: Callable[[], Any]) -> None:
        try:
            task.value = function()
        except (Exception, KeyboardInterrupt) as error:
            task.error = error
        finally:
            task.ended = True


_active: Scheduler | None = None


def here() -> Task | None:
    """Return the task that is running; None outside of tasks."""
    return None if _active is None else _active.here()


def point(label: str, *touches: Touch, **how: Any) -> None:
    """Stop here until chosen, if this is a task; see `Scheduler.point`."""
    if _active is not None:
        _active.point(label, *touches, **how)


def foreign_code(label: str, *touches: Touch) -> None:
    """Stop here until chosen; see `Scheduler.foreign_code`."""
    if _active is not None:
        _active.foreign_code(label, *touches)


def must(kept: bool, rule: str) -> None:
    """Note that *rule* is broken, unless it is *kept*."""
    if _active is not None:
        _active.must(kept, rule)


def thing() -> int:
    """Return a number for something new that tasks share."""
    return 0 if _active is None else _active.thing()


class Lock:
    """`threading.Lock`, whose owner is a task."""

    name = "a lock"

    def __init__(self) -> None:
        self._held = False
        self.thing = thing()

    def acquire(
        self, blocking: bool = True, timeout: float = -1, touch: Touch | None = None
    ) -> bool:
        if _active is not None:
            self._wait(_active, blocking, timeout, touch or Touch(self.thing, "acquire"))
        if self._held:
            return False
        self._held = True
        return True

    def acquire_uninterrupted(self) -> None:
        point(f"takes {self.name} back", Touch(self.thing, "acquire"), may_go_on=self._is_free)
        self._held = True

    def release(self, touch: Touch | None = None) -> None:
        point(f"releases {self.name}", touch or Touch(self.thing, "release"))
        if not self._held and _active is not None:
            raise RuntimeError("release unlocked lock")
        self._held = False

    def locked(self) -> bool:
        return self._held

    def _is_free(self) -> bool:
        return not self._held

    def __enter__(self) -> bool:
        return self.acquire()

    def __exit__(self, *_exc: object) -> None:
        self.release()

    def _wait(self, scheduler: Scheduler, blocking: bool, timeout: float, acquire: Touch) -> None:
        task = scheduler.here()
        if not blocking or timeout == 0:
            scheduler.point(f"tries {self.name}", Touch(self.thing, "try"))
        elif timeout < 0:
            scheduler.point(f"acquires {self.name}", acquire, may_go_on=self._is_free, waits=True)
        else:
            end = scheduler.time() + timeout
            if task is not None:
                task.gives_up_at = end
            scheduler.point(
                f"acquires {self.name} in time",
                Touch(self.thing, "try"),
                Touch("clock", "read"),
                may_go_on=lambda: not self._held or scheduler.now >= end,
                waits=True,
            )
            if task is not None:
                task.gives_up_at = math.inf


class RLock:
    """`threading.RLock`, whose owner is a task.

    Whoever has it, stops at no point and does not say that he `changes` something has changed
    nothing: the order of two like that does not matter.
    """

    def __init__(self) -> None:
        self._lock = Lock()
        self._lock.name = "turn"
        self._owner: Task | None = None
        self._depth = 0
        self._taken: Touch | None = None  # None: something has been changed since

    def changes(self) -> None:
        """Say that its owner changes what others see when they have it."""
        self._taken = None

    def acquire(self, blocking: bool = True, timeout: float = -1) -> bool:
        if self._depth and self._owner is here():
            self._depth += 1
            return True
        touch = Touch(self._lock.thing, "acquire")
        if not self._lock.acquire(blocking, timeout, touch):
            return False
        self._own(1)
        self._taken = touch
        return True

    def release(self) -> None:
        if _active is not None and not self._is_owned():
            raise RuntimeError("cannot release un-acquired lock")
        if self._depth > 1:
            self._depth -= 1
            return
        released = Touch(self._lock.thing, "release")
        if self._taken is not None:
            self._taken.reads = released.reads = True
        self._disown()
        self._lock.release(released)

    def locked(self) -> bool:
        return self._lock.locked()

    def __enter__(self) -> bool:
        return self.acquire()

    def __exit__(self, *_exc: object) -> None:
        self.release()

    # What a Condition asks of its lock.

    def _is_owned(self) -> bool:
        return self._depth > 0 and self._owner is here()

    def _release_save(self) -> int:
        depth = self._disown()
        self._lock.release()
        return depth

    def _acquire_restore(self, depth: int) -> None:
        self._lock.acquire_uninterrupted()  # as CPython's, which is written in C
        self._own(depth)

    def _own(self, depth: int) -> None:
        self._owner, self._depth = here(), depth
        if self._owner is not None:
            self._owner.holds.append(self)

    def _disown(self) -> int:
        depth, owner = self._depth, self._owner
        self._owner, self._depth, self._taken = None, 0, None
        if owner is not None:
            owner.holds.remove(self)
        return depth


def _now() -> float:
    return 0.0 if _active is None else _active.time()


def _condition() -> type:
    """Return `threading.Condition`, the very code, on the locks and the clock above."""
    globals_ = {**vars(threading), "_allocate_lock": Lock, "_time": _now, "_deque": deque}
    methods = {
        name: types.FunctionType(
            method.__code__, globals_, name, method.__defaults__, method.__closure__
        )
        for name, method in vars(threading.Condition).items()
        if isinstance(method, types.FunctionType)
    }
    return type("Condition", (), methods)


Condition: Any = _condition()


def get_ident() -> int:
    """`threading.get_ident`: the number of the task, or 0 outside of them."""
    task = here()
    return 0 if task is None else task.number + 1


def current_thread() -> Any:
    """`threading.current_thread`, of which only the name is there."""
    task = here()
    return types.SimpleNamespace(name="setup" if task is None else task.name)


# For a module that says `threading.`.
as_threading = types.SimpleNamespace(
    Condition=Condition,
    Lock=Lock,
    RLock=RLock,
    TIMEOUT_MAX=threading.TIMEOUT_MAX,
    current_thread=current_thread,
    get_ident=get_ident,
)
