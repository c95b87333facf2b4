"""Threads of the tests end with an outcome each, or the test fails and says where they hang."""

import threading

import pytest

from requests_tokenrefresh.testing._threads import run_together, start_together


def test_each_call_ends_with_its_own_outcome():
    numbers = iter([1, 0])
    first, second = sorted(
        run_together(2, lambda: 6 // next(numbers)), key=lambda it: str(it.error)
    )
    assert first.result() == 6
    with pytest.raises(ZeroDivisionError):
        second.result()


def test_calls_that_hang_fail_the_test_and_show_where():
    hanging, gate = threading.Barrier(3), threading.Event()

    def hang_in_here() -> None:
        hanging.wait(10)
        gate.wait(30)

    calls = start_together(2, hang_in_here)
    hanging.wait(10)
    with pytest.raises(AssertionError, match=r"2 of 2 calls go on for 0\.05 s") as raised:
        calls.outcomes(0.05)
    assert str(raised.value).count("in hang_in_here") == 2
    gate.set()
    assert [outcome.error for outcome in calls.outcomes()] == [None, None]
    assert calls.running == 0
