"""Threads started together, and waiting for what can be seen: the tools of a staged race.

Nothing here hangs: what takes too long fails the test, with the stacks of all threads.
"""

from __future__ import annotations

import time
from collections.abc import Callable

from requests_tokenrefresh.testing._threads import (
    Callers,
    Outcome,
    fail_with_stacks,
    run_together,
    start_together,
)

__all__ = ["Callers", "Outcome", "fail_with_stacks", "run_together", "start_together", "wait_until"]

_POLL = 0.001


def wait_until(predicate: Callable[[], object], timeout: float = 10.0) -> None:
    """Return as soon as *predicate* holds: for a state that can be seen, and has no event.

    Args:
        predicate: Called every millisecond.
        timeout: Seconds; then the test fails.
    """
    end = time.monotonic() + timeout
    while not predicate():
        if time.monotonic() > end:
            fail_with_stacks(f"{predicate!r} does not hold after {timeout} s")
        time.sleep(_POLL)
