"""Threads started together, whose outcomes are waited for.

Nothing here hangs: what takes too long fails the test, with the stacks of all threads.
"""

from __future__ import annotations

import faulthandler
import tempfile
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Generic, TypeVar

T = TypeVar("T")


@dataclass(frozen=True)
class Outcome(Generic[T]):
    """How one call ended.

    Attributes:
        value: What it returned; None if it raised.
        error: What it raised (`KeyboardInterrupt` included); None if it returned.
    """

    value: T | None = None
    error: BaseException | None = None

    def result(self) -> T:
        """Return what the call returned, or raise what it raised."""
        if self.error is not None:
            raise self.error
        return self.value  # type: ignore[return-value]


class Callers(Generic[T]):
    """Threads that call one function, released together once all of them run."""

    def __init__(self, count: int, function: Callable[[], T]) -> None:
        self._function = function
        self._start = threading.Barrier(count)
        self._outcomes: list[Outcome[T] | None] = [None] * count  # each by its own thread
        self._threads = [
            threading.Thread(target=self._call, args=(place,), name=f"caller-{place}", daemon=True)
            for place in range(count)
        ]
        for thread in self._threads:
            thread.start()

    @property
    def running(self) -> int:
        """How many calls have not ended yet."""
        return self._outcomes.count(None)

    def outcomes(self, timeout: float = 30.0) -> list[Outcome[T]]:
        """Wait for all of them and return how each call ended.

        Args:
            timeout: Seconds for all of them together; then the test fails.
        """
        end = time.monotonic() + timeout
        for thread in self._threads:
            thread.join(max(0.0, end - time.monotonic()))
        outcomes = [outcome for outcome in self._outcomes if outcome is not None]
        if len(outcomes) < len(self._threads):
            fail_with_stacks(f"{self.running} of {len(self._threads)} calls go on for {timeout} s")
        return outcomes

    def _call(self, place: int) -> None:
        self._start.wait()
        try:
            self._outcomes[place] = Outcome(value=self._function())
        except BaseException as error:
            self._outcomes[place] = Outcome(error=error)


def start_together(count: int, function: Callable[[], T]) -> Callers[T]:
    """Call *function* on *count* threads at once, and go on; for callers that have to be held."""
    return Callers(count, function)


def run_together(count: int, function: Callable[[], T], timeout: float = 30.0) -> list[Outcome[T]]:
    """Call *function* on *count* threads at once and return how each call ended."""
    return Callers(count, function).outcomes(timeout)


def fail_with_stacks(problem: str) -> None:
    """Fail the test, showing where every thread is."""
    with tempfile.TemporaryFile("w+") as stacks:
        faulthandler.dump_traceback(stacks)
        stacks.seek(0)
        raise AssertionError(f"{problem}\n{stacks.read()}")
