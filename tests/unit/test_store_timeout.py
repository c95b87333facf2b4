"""What `lock()` of our own stores takes as a timeout, and how it refuses the rest."""

import math
from threading import TIMEOUT_MAX

import pytest

from requests_tokenrefresh.stores._timeout import check_timeout


@pytest.mark.parametrize("seconds", [0, 0.0, 5, 0.05, TIMEOUT_MAX])
def test_seconds_that_can_be_waited_for_are_taken(seconds):
    check_timeout(seconds)


@pytest.mark.parametrize("seconds", [-1, -0.001, math.nan, math.inf, 1e300])
def test_seconds_that_cannot_be_waited_for_are_refused(seconds):
    with pytest.raises(ValueError, match=r"timeout must be from 0 \(try once\) to .* seconds, got"):
        check_timeout(seconds)


@pytest.mark.parametrize("wrong", [None, "5", True])
def test_what_is_not_a_number_is_refused(wrong):
    with pytest.raises(TypeError, match=f"number of seconds, got {type(wrong).__name__}"):
        check_timeout(wrong)
