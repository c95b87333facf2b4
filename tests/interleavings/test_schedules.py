"""Every interleaving that matters: what may come of each scenario, and what does.

A run of all tests explores a few of them, which is all for some scenarios with two tasks. In
`tox -e interleavings` nothing is left out where `MOST` are enough; of the others there are `MORE`,
begun anywhere.
"""

from __future__ import annotations

import itertools
import logging
import random
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from tests.support.length import at_length, long

from .explorer import Explored, ScheduleError, explore
from .planted_bugs import BUGS
from .scenario import Scenario
from .scenarios import SCENARIOS
from .scheduler import Scheduler
from .watched_source import load_source

ALL = at_length("interleavings")
MOST = 150_000 if ALL else 8
MOST_A_PLACE = 10_000 if ALL else 2
MOST_FOR_A_BUG, MOST_A_PLACE_FOR_A_BUG = 100, 100
# Where these are not all, so many more, in as many places.
MORE, PLACES = (100_000, 1_000) if ALL else (4, 2)
SOURCE = load_source()


@pytest.fixture(autouse=True)
def quiet() -> Iterator[None]:
    """Thousands of failing refreshes are not worth a line each."""
    logging.disable()
    yield
    logging.disable(logging.NOTSET)


def explored(
    scenario: Scenario,
    modules: dict[str, Any],
    expected: Callable[[str], bool],
    *,
    at_most: int = MOST,
    interrupt: tuple[str, int] | None = None,
) -> tuple[Explored, set[str]]:
    """Explore *scenario*, whose outcomes are *expected*; return how far, and all there were."""
    outcomes: set[str] = set()

    def begin(scheduler: Scheduler) -> Callable[[], None]:
        tell = scenario.begin(modules, scheduler)

        def check() -> None:
            outcome = tell()
            assert expected(outcome), f"this came of it: {outcome}"
            outcomes.add(outcome)

        return check

    how_far = explore(begin, at_most=at_most, interrupt=interrupt)
    if not how_far.complete and interrupt is None:
        dice = random.Random(1)
        for _ in range(PLACES):
            explore(begin, at_most=MORE // PLACES, dice=dice)
    return how_far, outcomes


def explored_with_interrupts(
    scenario: Scenario, modules: dict[str, Any], task: str, *, at_most: int = MOST_A_PLACE
) -> Iterator[set[str]]:
    """Interrupt *task* wherever a thread may wait, one place after the other.

    The others get what they may get without that.
    """
    names = [*scenario.tasks, *scenario.elsewhere]
    others = {
        (name, got)
        for outcome in scenario.outcomes
        for name, got in zip(names, outcome.split(", "), strict=False)
    }

    def expected(outcome: str) -> bool:
        return all(
            (name, got) in others or (name, got) == (task, "KeyboardInterrupt")
            for name, got in zip(names, outcome.split(", "), strict=False)
        )

    for place in itertools.count(1):
        _, outcomes = explored(
            scenario, modules, expected, at_most=at_most, interrupt=(task, place)
        )
        if not any("KeyboardInterrupt" in outcome for outcome in outcomes):
            return  # it has no such place in any schedule
        yield outcomes


@pytest.mark.parametrize("name", SCENARIOS)
def test_whatever_the_order_only_this_can_come_of_it(name: str) -> None:
    scenario = SCENARIOS[name]
    how_far, outcomes = explored(scenario, SOURCE, scenario.outcomes.__contains__)
    print(f"{name}: {how_far.schedules} schedules, {'all' if how_far.complete else 'not all'}")
    if how_far.complete or ALL:
        assert outcomes == scenario.outcomes


@pytest.mark.parametrize(
    ("name", "task"),
    [
        ("two rejections", "a"),
        ("two rejections, and the token cannot be saved", "a"),
        ("two replays that are accepted", "a"),
        ("two requests in the early window", "a"),
        ("a rejection and a request", "rejected"),
        ("a rejection and a login", "a"),
        ("a rejection and a logout", "a"),
        ("a rejection in each of two processes", "here"),
        ("one page refuses, and another accepts", "forbidden"),
        ("one page refuses, and another accepts", "data"),
        ("two pages refuse, and a third accepts", "b"),
        ("a page learns of the new token late", "a"),
    ],
)
def test_wherever_a_thread_is_interrupted_the_others_get_theirs(name: str, task: str) -> None:
    places = list(explored_with_interrupts(SCENARIOS[name], SOURCE, task))
    print(f"{name}: interrupted at {len(places)} places")
    assert len(places) > 5


@pytest.mark.parametrize(
    "bug", [*list(BUGS)[::3], *long("interleavings", *list(BUGS)[1::3], *list(BUGS)[2::3])]
)
def test_the_schedule_that_a_bug_needs_is_found(bug: str) -> None:
    planted = BUGS[bug]
    modules = load_source(*planted.edits)
    scenario = SCENARIOS[planted.found_by]
    with pytest.raises(ScheduleError, match=planted.breaks):
        if planted.interrupts is None:
            explored(scenario, modules, scenario.outcomes.__contains__, at_most=MOST_FOR_A_BUG)
        else:
            of_a_place = explored_with_interrupts(
                scenario, modules, planted.interrupts, at_most=MOST_A_PLACE_FOR_A_BUG
            )
            list(of_a_place)
