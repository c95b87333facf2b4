"""Every schedule that matters: one of each set of schedules that differ in nothing but the order of
steps that do not touch the same thing.

This is dynamic partial order reduction with source sets and sleep sets (Abdulla, Aronis, Jonsson
and Sagonas, "Optimal Dynamic Partial Order Reduction", POPL 2014, algorithm 1). A run is taken to
its end; for each two steps of it that touch the same thing and could have come the other way round,
a run is planned in which they do. When none is left, there is no other outcome.
"""

from __future__ import annotations

import functools
import random
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from .scheduler import Scheduler, Step, StuckError

# How often dice are thrown. At each step they would be even, and nobody would ever be much ahead.
_SWITCH = 0.05


class ScheduleError(AssertionError):
    """A schedule that breaks a rule. Its message tells the schedule, step by step."""

    def __init__(self, problem: str, told: list[str]) -> None:
        super().__init__("\n".join([problem, *told]))
        self.problem = problem


@dataclass(frozen=True)
class Explored:
    """What there was.

    Attributes:
        schedules: How many were run to their end.
        complete: Whether these are all that matter; otherwise *at_most* was reached.
    """

    schedules: int
    complete: bool


@dataclass
class _Choice:
    """One moment of a run: who could go on, who was chosen, and who is to be chosen yet."""

    able: dict[int, Step]
    asleep: dict[int, Step]  # what need not be chosen: it leads to what has been seen already
    chosen: int = -1
    wanted: set[int] = field(default_factory=set)
    seen: dict[int, Step] = field(default_factory=dict)


@dataclass(frozen=True)
class _Event:
    """One step of a run. What came before it: per task, how many events of the run, at most."""

    task: int
    step: Step
    before: tuple[int, ...]  # ... by what its task knew, before this step
    after: tuple[int, ...]  # ... and by what the step itself depends on


def explore(
    begin: Callable[[Scheduler], Callable[[], None]],
    *,
    at_most: int,
    interrupt: tuple[str, int] | None = None,
    dice: random.Random | None = None,
) -> Explored:
    """Run every schedule that matters, and check each.

    What is run first, where not all are run, are schedules that end in different ways and begin
    alike; with *dice* they begin anywhere.

    Args:
        begin: Given the scheduler of a new run, starts its tasks, and returns what checks the rules
            when all have ended (it raises `AssertionError`).
        at_most: How many schedules to run at most.
        interrupt: As in `Scheduler`.
        dice: Chooses who goes on where nothing is planned; None: who has gone on so far.

    Raises:
        ScheduleError: A schedule breaks a rule, or tasks are left waiting for ever.
    """
    path: list[_Choice] = []
    schedules = 0
    while schedules < at_most:
        known = len(path)
        scheduler = Scheduler(interrupt)
        check = begin(scheduler)
        events, whole = _run(scheduler, path, dice)
        if whole:
            schedules += 1
            _judge(scheduler, check, events)
        scheduler.abandon()
        _plan_reversals(path, events, max(0, known - 1))
        if not _step_back(path):
            return Explored(schedules, complete=True)
    return Explored(schedules, complete=False)


def _run(
    scheduler: Scheduler, path: list[_Choice], dice: random.Random | None
) -> tuple[list[_Event], bool]:
    """Follow *path*, and go on from its end, which makes it longer.

    Return the events, and whether the run went to its end: not if it leads to what was seen.
    """
    steps: list[tuple[int, Step]] = []
    while True:
        able = scheduler.able()
        if not able:
            return _events(scheduler, steps), True
        place = len(steps)
        if place == len(path):
            choice = _next_choice(path, {task.number: task.step for task in able}, dice)
            if choice is None:
                return _events(scheduler, steps), False
            path.append(choice)
        task = scheduler.tasks[path[place].chosen]
        steps.append((task.number, task.step))
        scheduler.go_on(task)


def _events(scheduler: Scheduler, steps: list[tuple[int, Step]]) -> list[_Event]:
    """Return what *steps* were, when all that can be told of them has been told."""
    clocks = _Clocks(len(scheduler.tasks))
    return [clocks.note(task, step, place) for place, (task, step) in enumerate(steps, 1)]


def _next_choice(
    path: list[_Choice], able: dict[int, Step], dice: random.Random | None
) -> _Choice | None:
    asleep: dict[int, Step] = {}
    last = -1
    if path:
        before = path[-1]
        last = before.chosen
        done = before.able[last]
        asleep = {
            number: step
            for number, step in {**before.asleep, **before.seen}.items()
            if number != last and not _conflict(step, done)
        }
    awake = [number for number in able if number not in asleep]
    if not awake:
        return None
    chosen = last if last in awake else awake[0]
    if dice is not None and (last not in awake or dice.random() < _SWITCH):
        chosen = dice.choice(awake)
    return _Choice(able, asleep, chosen, {chosen})


def _step_back(path: list[_Choice]) -> bool:
    """Turn *path* to the next run; return False if none is left."""
    while path:
        choice = path[-1]
        choice.seen[choice.chosen] = choice.able[choice.chosen]
        left = choice.wanted - choice.seen.keys() - choice.asleep.keys()
        if left:
            choice.chosen = min(left)
            return True
        path.pop()
    return False


def _plan_reversals(path: list[_Choice], events: list[_Event], first: int) -> None:
    """Want, for each race in *events* whose later step is not before *first*, the other order."""
    for late in range(first, len(events)):
        for early in _races_with(events, late):
            event = events[early]
            between = [
                later
                for later in events[early + 1 : late]
                if later.after[event.task] <= early  # it does not depend on *early*
            ]
            choice = path[early]
            firsts = _initials(between, events[late], early)
            if not firsts & choice.wanted:
                able = firsts & choice.able.keys()
                choice.wanted |= {min(able)} if able else choice.able.keys()


def _races_with(events: list[_Event], late: int) -> list[int]:
    """Return, for each other task, the last of its steps that could have come after step *late*."""
    event = events[late]
    races: list[int] = []
    done = {event.task}
    for early in range(late - 1, -1, -1):
        other = events[early]
        if other.task in done:
            continue
        if early < event.before[other.task]:
            done.add(other.task)  # all that this task did before is known to have come first
        elif _could_swap(other.step, event.step):
            races.append(early)
            if not _is_release(other.step):  # before which *late* may have to wait: look further
                done.add(other.task)
    return races


def _initials(between: list[_Event], last: _Event, early: int) -> set[int]:
    """Return the tasks with which *between*, and then *last*, could begin right after *early*."""
    firsts: set[int] = set()
    met: set[int] = set()
    for event in between:
        if event.task not in met and all(event.after[task] <= early + 1 for task in met):
            firsts.add(event.task)
        met.add(event.task)
    needs = {other.task for other in between if _conflict(other.step, last.step)}
    needs |= {task for task in met if last.before[task] > early + 1}
    if not needs - {last.task}:
        firsts.add(last.task)
    return firsts


def _conflict(a: Step, b: Step) -> bool:
    """Return whether the order of the two steps matters."""
    return any(
        x.thing == y.thing and not (x.reads and y.reads) for x in a.touches for y in b.touches
    )


def _could_swap(early: Step, late: Step) -> bool:
    """Return whether the order matters, and *late* could have been first.

    Not if *early* is the release that *late* waited for.
    """
    waited_for = {("release", "acquire"), ("release", "release")}
    return any(
        x.thing == y.thing and not (x.reads and y.reads) and (x.how, y.how) not in waited_for
        for x in early.touches
        for y in late.touches
    )


def _is_release(step: Step) -> bool:
    return any(touch.how == "release" for touch in step.touches)


class _Clocks:
    """What each task, and each thing, knows to have come before: a number of events per task.

    A step knows all that its task knew, and all that touched the same thing before, unless both
    only read it; and the clock that passes when nobody can go on knows all.
    """

    def __init__(self, tasks: int) -> None:
        self._nothing = (0,) * tasks
        self._of_tasks = [self._nothing] * tasks
        self._written: dict[Any, tuple[int, ...]] = {}
        self._touched: dict[Any, tuple[int, ...]] = {}

    def note(self, task: int, step: Step, place: int) -> _Event:
        """Return the event that *step* is, as number *place* of the run."""
        before = after = self._of_tasks[task]
        for touch in step.touches:
            known = self._written if touch.reads else self._touched
            after = _joined(after, known.get(touch.thing, self._nothing))
            if touch.how == "pass":  # nobody else could go on
                before = after = functools.reduce(_joined, self._of_tasks)
        after = (*after[:task], place, *after[task + 1 :])
        for touch in step.touches:
            thing = touch.thing
            self._touched[thing] = _joined(after, self._touched.get(thing, self._nothing))
            if not touch.reads:
                self._written[thing] = self._touched[thing]
        self._of_tasks[task] = after
        return _Event(task, step, before, after)


def _joined(a: tuple[int, ...], b: tuple[int, ...]) -> tuple[int, ...]:
    return tuple(map(max, a, b))


def _judge(scheduler: Scheduler, check: Callable[[], None], events: list[_Event]) -> None:
    try:
        scheduler.check_ended()
        check()
    except (AssertionError, StuckError) as error:
        told = [f"  {scheduler.tasks[event.task].name}: {event.step.label}" for event in events]
        scheduler.abandon()
        raise ScheduleError(str(error), told) from error
