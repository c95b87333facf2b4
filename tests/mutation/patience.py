"""A pytest plugin: a test that hangs ends its process, long before mutmut loses patience."""

from __future__ import annotations

import signal
from collections.abc import Iterator

import pytest

LONGEST = 15.0  # seconds; the slowest takes two

# What becomes of a process by a signal that nobody handles, as os.waitstatus_to_exitcode has it.
HUNG = -signal.SIGALRM


@pytest.hookimpl(wrapper=True)
def pytest_runtest_protocol() -> Iterator[None]:
    signal.setitimer(signal.ITIMER_REAL, LONGEST)
    try:
        return (yield)
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
